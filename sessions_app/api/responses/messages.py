"""A message, with its files."""

from __future__ import annotations

from rest_framework import serializers

from config.api import Id
from config.compiled_answers import Compiled
from messaging_app.models import Message
from sessions_app.api.responses.attachments import AttachmentResponse


class MessageResponse(Compiled, serializers.ModelSerializer[Message]):
    id = Id()
    session_id = Id(allow_null=True)
    attachments = AttachmentResponse(many=True)

    class Meta:
        model = Message
        fields = (
            "id",
            "message_id",
            "session_id",
            "sender_type",
            "sender_name",
            "is_note",
            "content",
            "attachments",
            "sent_at",
            "seq",
        )
        read_only_fields = fields
