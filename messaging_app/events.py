"""Operations as events: what readers of the stream are told, by SSE, WebSocket, polling and webhook alike."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.db.models import QuerySet

from messaging_app.attachments import rows as attachments
from messaging_app.models import Message, Operation

MESSAGE_CREATED = "message.created"


def rendered(operations: Sequence[Operation], messages: QuerySet[Message] | None = None) -> list[dict[str, Any]]:
    """One event for each operation, in order; a new message with its words as they are stored now.

    `messages` are those the reader may see. Whoever names none is told no private note: its event comes without words.
    """
    if messages is None:
        messages = Message.objects.filter(is_note=False)
    ids = {o.data["message"] for o in operations if o.type == MESSAGE_CREATED}
    said = {m.pk: m for m in messages.filter(pk__in=ids).prefetch_related("attachments")} if ids else {}
    return [_rendered(operation, said) for operation in operations]


def _rendered(operation: Operation, said: dict[int, Message]) -> dict[str, Any]:
    told = {
        "id": f"evt_{operation.tenant_id}_{operation.pos}",
        "type": operation.type,
        "tenant": operation.tenant.slug,
        "conversation_id": str(operation.conversation_id) if operation.conversation_id else None,
        "session_id": str(operation.session_id) if operation.session_id else None,
        "seq": operation.seq,
        "pos": operation.pos,
        "at": _utc(operation.at),
        "actor": {
            "kind": operation.actor_kind,
            "id": str(operation.actor_id) if operation.actor_id else None,
            "name": operation.actor_name,
        },
        "data": operation.data,
    }
    if operation.type == MESSAGE_CREATED:
        message = said.get(operation.data["message"])
        told["message"] = _message(message) if message else None
    return told


def _message(message: Message) -> dict[str, Any]:
    return {
        "id": str(message.pk),
        "message_id": message.message_id,
        "sender_type": message.sender_type,
        "sender_name": message.sender_name,
        "content": message.content,
        "sent_at": _utc(message.sent_at),
        "is_note": message.is_note,
        "attachments": [attachments.told(row) for row in message.attachments.all()],
    }


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
