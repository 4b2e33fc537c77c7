"""A file that goes with a message."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from config.api import Id
from config.compiled_answers import Compiled
from messaging_app.attachments import rows as attachments
from messaging_app.models.attachments import Attachment


class AttachmentResponse(Compiled, serializers.ModelSerializer[Attachment]):
    """A file. `width` and `height` are a picture's; `url` and `preview_url` ask for a credential like this address."""

    id = Id()
    conversation_id = Id()
    message_id = serializers.SerializerMethodField(help_text="The `id` of the message that sent it; null until then.")
    url = serializers.SerializerMethodField()
    preview_url = serializers.SerializerMethodField(help_text="Of a small copy; null for what is no picture.")

    class Meta:
        model = Attachment
        fields = (
            "id",
            "conversation_id",
            "message_id",
            "name",
            "media_type",
            "size",
            "sha256",
            "width",
            "height",
            "url",
            "preview_url",
            "created_at",
        )
        read_only_fields = fields

    @extend_schema_field(Id(allow_null=True))
    def get_message_id(self, attachment: Attachment) -> str | None:
        return str(attachment.message_id) if attachment.message_id else None

    def get_url(self, attachment: Attachment) -> str:
        return str(attachments.as_data(attachment)["url"])

    def get_preview_url(self, attachment: Attachment) -> str | None:
        url: str | None = attachments.as_data(attachment)["preview_url"]
        return url
