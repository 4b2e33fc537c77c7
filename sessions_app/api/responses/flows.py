"""A guided flow: what a program asks the customer, and how far the answer has come."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from agents_app.scopes import Scope
from config.api import Id
from config.compiled_answers import Compiled
from sessions_app.api.responses.reader import reader_of
from sessions_app.models import GuidedFlow


class FlowResponse(Compiled, serializers.ModelSerializer[GuidedFlow]):
    id = Id()
    conversation_id = Id(allow_null=True)
    is_repeat = serializers.BooleanField(
        help_text="True when this had been done before and nothing was changed; false where a flow is only read."
    )
    missing_info = serializers.ListField(child=serializers.CharField())

    class Meta:
        model = GuidedFlow
        fields = (
            "id",
            "trigger_id",
            "conversation_id",
            "status",
            "version",
            "pending_question",
            "missing_info",
            "answer",
            "last_candidate",
            "last_notification",
            "failed_reason",
            "lease_until",
            "expires_at",
            "created_at",
            "updated_at",
            "is_repeat",
        )
        read_only_fields = fields

    def to_representation(self, flow: GuidedFlow) -> dict[str, Any]:
        """Without the right to read messages, a program gets no answers, and no text of another program's flow."""
        shown, reader = super().to_representation(flow), reader_of(self)
        if reader.may(Scope.READ):
            return shown
        if flow.client_id == reader.pk:
            return shown | {"answer": ""}
        texts = ("pending_question", "answer", "last_candidate", "last_notification", "failed_reason")
        return shown | dict.fromkeys(texts, "") | {"missing_info": []}
