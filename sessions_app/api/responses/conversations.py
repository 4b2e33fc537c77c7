"""A conversation, in a list and by itself, and its place in the queue. Outsiders see none of the desk's own marks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from agents_app.actors import ActorKind
from config.api import Id
from config.compiled_answers import Compiled
from messaging_app.agent_tools import labels
from messaging_app.models import Controller, Conversation, Tier
from messaging_app.models.agent_tools import Label
from sessions_app import queries
from sessions_app.api.responses.labels import LabelResponse
from sessions_app.api.responses.owners import OwnerResponse
from sessions_app.api.responses.reader import OUTSIDERS, reader_of
from sessions_app.models import ChatSession
from sessions_app.queries import ConversationRow, pressing
from sessions_app.queries.expected_wait import waiting
from sessions_app.rights import access


def _tier_for_outsiders(conversation: Conversation) -> int:
    """The tier from the controller alone, for readers from outside: urgency and flags are the desk's own."""
    if conversation.controller == Controller.QUEUE:
        return Tier.HAND_RAISED
    return Tier.RESOLVED if conversation.controller == Controller.NONE else Tier.ACTIVE


class ConversationResponse(Compiled, serializers.ModelSerializer[Conversation]):
    id = Id()
    tier = serializers.ChoiceField(Tier.choices)
    owner = serializers.SerializerMethodField()
    live_session_id = serializers.SerializerMethodField()
    need = serializers.DictField(help_text="Why a human is needed; empty when none is.")
    opens_at = serializers.SerializerMethodField(
        help_text="When somebody is there for whom the customer waits; null when somebody is, or nobody is waited for."
    )
    labels = serializers.SerializerMethodField()
    is_unread = serializers.SerializerMethodField(
        help_text=(
            "Whether the customer has spoken since this agent last read it, and it is the agent's to read: the agent serves "
            "it, or it waits for somebody. False for programs and people from outside."
        )
    )
    is_collaborator = serializers.SerializerMethodField(
        help_text="Whether this agent was called in to help whoever serves, and is in it."
    )
    can_grab = serializers.SerializerMethodField(
        help_text=(
            "Whether this agent may take it from the human who serves it: another's, with room for one more (a full "
            "supervisor takes it with `override`), and not while the agent gets nothing new."
        )
    )

    # The row of a single conversation; a list reads all rows at once and puts them into the context.
    _alone: Mapping[int, ConversationRow] = MappingProxyType({})

    def to_representation(self, conversation: Conversation) -> dict[str, Any]:
        shown = super().to_representation(conversation)
        kind = reader_of(self).kind
        if kind in OUTSIDERS:  # they see nothing of the desk's own judgement and marks
            shown |= {"need": {}, "is_vip": False, "is_urgent": False, "pinned_at": None, "todo_at": None, "labels": []}
            shown |= {"needs_human": False, "tier": _tier_for_outsiders(conversation)}
            shown |= {} if conversation.controller == Controller.QUEUE else {"waiting_since": None}
        # They may read only the messages that are shared with them; the preview may be of another one.
        if kind in (ActorKind.PARTICIPANT, ActorKind.BOT):
            shown |= {"last_text": "", "last_sender": ""}
        return shown

    class Meta:
        model = Conversation
        fields = (
            "id",
            "platform",
            "shop_id",
            "account_id",
            "kind",
            "customer_name",
            "is_vip",
            "controller",
            "epoch",
            "tier",
            "owner",
            "live_session_id",
            "needs_human",
            "need",
            "waiting_since",
            "opens_at",
            "is_urgent",
            "pinned_at",
            "todo_at",
            "labels",
            "is_unread",
            "is_collaborator",
            "can_grab",
            "seq",
            "last_text",
            "last_sender",
            "last_activity_at",
            "created_at",
        )
        read_only_fields = fields

    def _live(self, conversation: Conversation) -> ChatSession | None:
        live: dict[int, ChatSession] | None = self.context.get("live")
        if live is None:
            live = queries.live_sessions([conversation.pk])
        return live.get(conversation.pk)

    @extend_schema_field(OwnerResponse)
    def get_owner(self, conversation: Conversation) -> dict[str, Any]:
        live = self._live(conversation)
        if live is None or not live.owner_kind:
            return {"kind": "", "id": None, "name": ""}
        owner = live.owner_id
        return {"kind": live.owner_kind, "id": str(owner) if owner else None, "name": access.owner_name(live)}

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_opens_at(self, conversation: Conversation) -> str | None:
        openings: dict[int, datetime] | None = self.context.get("openings")
        if openings is None:
            openings = pressing.openings([conversation])
        at = openings.get(conversation.pk)
        return serializers.DateTimeField().to_representation(at) if at else None

    @extend_schema_field(LabelResponse(many=True))
    def get_labels(self, conversation: Conversation) -> list[dict[str, Any]]:
        by_conversation: Mapping[int, list[Label]] | None = self.context.get("labels")
        if by_conversation is None:
            by_conversation = labels.on([conversation.pk])
        return list(LabelResponse(by_conversation.get(conversation.pk, []), many=True).data)

    def _standing(self, conversation: Conversation) -> ConversationRow | None:
        rows: Mapping[int, ConversationRow] = self.context.get("standing", self._alone)
        if "standing" not in self.context and conversation.pk not in rows:
            rows = self._alone = queries.standing(reader_of(self), [conversation.pk])
        return rows.get(conversation.pk)

    def get_is_unread(self, conversation: Conversation) -> bool:
        row = self._standing(conversation)
        return row is not None and row.is_unread

    def get_is_collaborator(self, conversation: Conversation) -> bool:
        row = self._standing(conversation)
        return row is not None and row.is_collaborator

    def get_can_grab(self, conversation: Conversation) -> bool:
        row = self._standing(conversation)
        return row is not None and row.can_grab

    @extend_schema_field(Id(allow_null=True))
    def get_live_session_id(self, conversation: Conversation) -> str | None:
        live = self._live(conversation)
        return str(live.pk) if live else None


class ConversationDetailResponse(ConversationResponse):
    """`queue_position` and `expected_wait` are null while nobody waits for a human; the latter also when not known."""

    queue_position = serializers.IntegerField(allow_null=True, help_text="1 for the next.")
    expected_wait = serializers.IntegerField(allow_null=True, help_text="Seconds; 0 for at once.")

    class Meta:
        model = Conversation
        fields = (*ConversationResponse.Meta.fields, "queue_position", "expected_wait")
        read_only_fields = fields

    def to_representation(self, conversation: Conversation) -> dict[str, Any]:
        waits = waiting(conversation)
        conversation.queue_position = waits.position if waits else None  # type: ignore[attr-defined]
        conversation.expected_wait = waits.seconds if waits else None  # type: ignore[attr-defined]
        return super().to_representation(conversation)


class QueueResponse(Compiled, serializers.Serializer[dict[str, Any]]):
    """Where a conversation stands in the line for a human. The wait is an estimate from how long agents needed of late."""

    is_waiting = serializers.BooleanField()
    position = serializers.IntegerField(allow_null=True, help_text="1 for the next; null while it does not wait.")
    expected_wait = serializers.IntegerField(allow_null=True, help_text="Seconds; 0 for at once, null when not known.")
