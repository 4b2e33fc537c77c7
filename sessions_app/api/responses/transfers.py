"""A transfer with its context package, and the decisions by which it was offered to agents."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from agents_app.actors import ActorKind
from config.api import Id, ResponseSerializer
from config.compiled_answers import Compiled
from sessions_app.assignment.explanations import ConsideredAgent, Explanation
from sessions_app.models import Transfer


class Package(ResponseSerializer):
    """A context package; the task state is the bot's own, and stays as it is."""

    def to_representation(self, value: Any) -> Any:
        shown = super().to_representation(value)
        return shown | {"task_state": value["task_state"]} if "task_state" in value else shown


class TransferResponse(Compiled, serializers.ModelSerializer[Transfer]):
    id = Id()
    conversation_id = Id()
    session_id = Id()
    from_id = Id(allow_null=True)
    to_team_id = Id(allow_null=True)
    to_agent_id = Id(allow_null=True)
    accepted_by_id = Id(allow_null=True)
    offered_to_id = Id(allow_null=True)
    needs = serializers.DictField(child=serializers.IntegerField(), help_text="Skills that are needed, with a level.")
    reason_by = serializers.SerializerMethodField(help_text="Whose words the reason is; empty without one.")
    context: Any = Package(
        help_text="The context package: docs/schemas/context-package-2.json; of older transfers context-package-1.json."
    )

    class Meta:
        model = Transfer
        fields = (
            "id",
            "conversation_id",
            "session_id",
            "kind",
            "status",
            "from_kind",
            "from_id",
            "from_name",
            "to_team_id",
            "to_agent_id",
            "offered_to_id",
            "offer_expires_at",
            "needs",
            "accepted_by_id",
            "reason",
            "reason_by",
            "trigger",
            "context",
            "requested_at",
            "waiting_since",
            "opens_at",
            "deadline",
            "asked_again",
            "ended_at",
            "end_reason",
        )
        read_only_fields = fields

    @extend_schema_field(serializers.ChoiceField([(kind.value, kind.value) for kind in ActorKind], allow_blank=True))
    def get_reason_by(self, transfer: Transfer) -> str:
        return str(transfer.context.get("reason_by", ""))


class CandidateResponse(Compiled, serializers.Serializer[ConsideredAgent]):
    """An agent who was looked at. `verdict` is fits, or why not; those who fit come in the strategy's order."""

    agent_id = Id()
    name = serializers.CharField()
    verdict = serializers.CharField()
    busy = serializers.IntegerField(help_text="Live sessions and open offers at that moment.")
    max_load = serializers.IntegerField()


class DecisionResponse(Compiled, serializers.Serializer[Explanation]):
    """Why a conversation was offered to this agent, or to nobody."""

    id = Id()
    at = serializers.DateTimeField()
    strategy = serializers.CharField()
    chosen_id = Id(allow_null=True)
    why = serializers.CharField()
    candidates = CandidateResponse(many=True)


class DecisionsResponse(Compiled, serializers.Serializer[dict[str, Any]]):
    decisions = DecisionResponse(many=True)
