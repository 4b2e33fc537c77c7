"""The people in a conversation beside its owner and customer, and the departments that can be invited."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from agents_app.directory import Found
from config.api import Id
from config.compiled_answers import Compiled
from sessions_app.api.responses.reader import reader_of
from sessions_app.core.locked_conversation import Outcome
from sessions_app.models import Participant


class ParticipantResponse(Compiled, serializers.ModelSerializer[Participant]):
    id = Id()
    agent_id = Id(allow_null=True)

    class Meta:
        model = Participant
        fields = (
            "id",
            "role",
            "status",
            "agent_id",
            "name",
            "contact",
            "history",
            "history_count",
            "invited_by",
            "invited_at",
            "notice_status",
            "notice_error",
            "notice_sent_at",
            "joined_at",
            "ended_at",
        )
        read_only_fields = fields

    def to_representation(self, participant: Participant) -> dict[str, Any]:
        shown = super().to_representation(participant)
        return shown if reader_of(self).is_agent else shown | {"contact": "", "invited_by": ""}


class InvitedMember(Compiled, serializers.Serializer[dict[str, Any]]):
    participant_id = Id()
    name = serializers.CharField()
    token = serializers.CharField(help_text="The link's, shown once.")


class SkippedMember(Compiled, serializers.Serializer[dict[str, str]]):
    name = serializers.CharField()
    reason = serializers.ChoiceField([("already_in", "already_in")])


class InvitedResponse(Compiled, serializers.Serializer[Outcome]):
    """Everybody of a department: who was invited, and who was not because they are in or invited already."""

    conversation_id = Id()
    seq = serializers.IntegerField(help_text="The conversation's last operation.")
    invited = InvitedMember(many=True, source="detail.invited")
    skipped = SkippedMember(many=True, source="detail.skipped")


class DepartmentResponse(Compiled, serializers.Serializer[Found]):
    id = serializers.CharField(help_text="The directory's own.")
    name = serializers.CharField()


class DepartmentsResponse(Compiled, serializers.Serializer[dict[str, Any]]):
    """A few that fit; search by name for others."""

    departments = DepartmentResponse(many=True)
