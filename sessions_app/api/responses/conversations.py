"""A conversation, in a list and by itself, and its place in the queue. Outsiders see none of the desk's own marks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from agents_app.actors import ActorKind
from config.api import Id
from config.compiled_answers import Compiled
from messaging_app.models import Controller, Conversation, Tier
from sessions_app.api.responses.labels import LabelResponse
from sessions_app.api.responses.owners import OwnerResponse
from sessions_app.api.responses.reader import OUTSIDERS, reader_of
from sessions_app.queries import answered
from sessions_app.queries.expected_wait import waiting


def labels_shown(rows: Iterable[Any]) -> dict[int, dict[str, Any]]:
    """For the context of a `ConversationResponse`: the labels on these rows, by id, each written once."""
    return {pk: dict(LabelResponse(label).data) for pk, label in answered.labels_of(rows).items()}


def _tier_for_outsiders(conversation: Conversation) -> int:
    """The tier from the controller alone, for readers from outside: urgency and flags are the desk's own."""
    if conversation.controller == Controller.QUEUE:
        return Tier.HAND_RAISED
    return Tier.RESOLVED if conversation.controller == Controller.NONE else Tier.ACTIVE


# Written of a row of `queries.answered`, with `labels_shown` in the context.
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

    def to_representation(self, conversation: Conversation) -> dict[str, Any]:
        self._answer = answered.answer_of(reader_of(self), conversation)
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

    @extend_schema_field(OwnerResponse)
    def get_owner(self, conversation: Conversation) -> dict[str, Any]:
        answer = self._answer
        if not answer.owner_kind:
            return {"kind": "", "id": None, "name": ""}
        owner = answer.owner_id
        return {"kind": answer.owner_kind, "id": str(owner) if owner else None, "name": answer.owner_name}

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_opens_at(self, conversation: Conversation) -> str | None:
        at = self._answer.opens_at
        return serializers.DateTimeField().to_representation(at) if at else None

    @extend_schema_field(LabelResponse(many=True))
    def get_labels(self, conversation: Conversation) -> list[dict[str, Any]]:
        here = self._answer.label_ids
        return [shown for pk, shown in self.context["labels"].items() if pk in here] if here else []

    def get_is_unread(self, conversation: Conversation) -> bool:
        return self._answer.is_unread

    def get_is_collaborator(self, conversation: Conversation) -> bool:
        return self._answer.is_collaborator

    def get_can_grab(self, conversation: Conversation) -> bool:
        return self._answer.can_grab

    @extend_schema_field(Id(allow_null=True))
    def get_live_session_id(self, conversation: Conversation) -> str | None:
        live_id = self._answer.live_id
        return str(live_id) if live_id else None


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
