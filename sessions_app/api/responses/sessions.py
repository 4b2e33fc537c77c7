"""A session with its service levels; whether one could begin; what became of one while its bot or agent was away."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from config.api import Id
from config.compiled_answers import Compiled
from messaging_app.models import Controller
from sessions_app import queries
from sessions_app.actions.recovery import RecoveryState
from sessions_app.api.responses.messages import MessageResponse
from sessions_app.api.responses.operations import OperationResponse
from sessions_app.api.responses.owners import OwnerResponse
from sessions_app.models import ChatSession, SlaClock
from sessions_app.rights import access
from sessions_app.states import Derived


class ClockResponse(Compiled, serializers.ModelSerializer[SlaClock]):
    """How long a customer may be kept waiting, and was. What ran over goes on until `ended_at`."""

    target = serializers.SerializerMethodField(help_text="Seconds.")
    spent = serializers.SerializerMethodField(help_text="Seconds that counted before it last began to run.")

    class Meta:
        model = SlaClock
        fields = (
            "kind",
            "state",
            "target",
            "spent",
            "started_at",
            "running_since",
            "paused_at",
            "due_at",
            "warned_at",
            "breached_at",
            "ended_at",
        )
        read_only_fields = fields

    def get_target(self, clock: SlaClock) -> int:
        return int(clock.target.total_seconds())

    def get_spent(self, clock: SlaClock) -> int:
        return int(clock.spent.total_seconds())


class SessionResponse(Compiled, serializers.ModelSerializer[ChatSession]):
    id = Id()
    conversation_id = Id()
    owner = serializers.SerializerMethodField()
    state = serializers.SerializerMethodField(help_text="What other systems call the status.")
    bot_id = Id(allow_null=True)
    agent_id = Id(allow_null=True)
    previous_id = Id(allow_null=True, help_text="The ended session that this one reopens.")
    context = serializers.DictField()  # type: ignore[assignment]
    clocks = ClockResponse(many=True, help_text="Service levels, oldest first; none where nothing was promised.")

    class Meta:
        model = ChatSession
        fields = (
            "id",
            "conversation_id",
            "kind",
            "origin",
            "task",
            "priority",
            "rank",
            "status",
            "state",
            "owner",
            "bot_id",
            "agent_id",
            "previous_id",
            "on_hold",
            "outcome",
            "reason",
            "context",
            "message_count",
            "opened_at",
            "activated_at",
            "last_activity_at",
            "ended_at",
            "expires_at",
            "missed_from_seq",
            "clocks",
        )
        read_only_fields = fields

    @extend_schema_field(OwnerResponse)
    def get_owner(self, session: ChatSession) -> dict[str, Any]:
        owner = session.owner_id
        name = access.owner_name(session) if session.owner_kind else ""
        return {"kind": session.owner_kind, "id": str(owner) if owner else None, "name": name}

    @extend_schema_field(serializers.ChoiceField([(word.value, word.value) for word in Derived]))
    def get_state(self, session: ChatSession) -> str:
        return session.derived.value


class AvailabilityResponse(Compiled, serializers.Serializer[queries.Availability]):
    """Whether a robot session could be live at once; if not, what is in the way and when that may end."""

    available = serializers.BooleanField()
    conversation_id = Id(allow_null=True, help_text="Null when nobody has written to this shop yet.")
    conflicting_session_id = Id(allow_null=True)
    owner_kind = serializers.CharField()
    owner_name = serializers.CharField()
    may_end_at = serializers.DateTimeField(allow_null=True)


class RecoveryStateResponse(Compiled, serializers.Serializer[RecoveryState]):
    """What has become of a session while its bot or agent was away (rule C5)."""

    state = serializers.ChoiceField([(s, s) for s in ("yours", "paused", "waiting", "moved", "ended")])
    session_id = Id()
    conversation_id = Id()
    status = serializers.CharField()
    controller = serializers.ChoiceField(Controller.choices, help_text="Who gets the customer's next message.")
    epoch = serializers.IntegerField()
    seq = serializers.IntegerField()
    owner_name = serializers.CharField(help_text="Who has it now; empty for a key that does not read names.")
    missed = OperationResponse(many=True)
    messages = MessageResponse(
        many=True, help_text="The words that this page of operations recorded, as far as the caller may read them."
    )
    unanswered = MessageResponse(
        many=True,
        help_text="What the customer said and nobody has answered, the newest 200 of it; none where the turn is "
        "not the caller's. An answer with the `message_id` `re-` and a message's id answers that message alone, any "
        "other all before it.",
    )
    has_more = serializers.BooleanField(help_text="Ask again at once, behind `next_after_seq`.")
    next_after_seq = serializers.IntegerField(help_text="Send it as `after_seq` with the next request.")
