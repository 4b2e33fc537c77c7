"""Operations as events: what readers of the stream receive, by SSE, WebSocket, polling and webhook alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from django.db.models import QuerySet

from config import wire_format
from config.clock import utc
from messaging_app.attachments import rows as attachments
from messaging_app.models import Message, Operation

MESSAGE_CREATED = "message.created"
CHANGES_MESSAGE = frozenset({"message.echoed"})
"""The operations that name a message which exists already (`Operation.message_pk`). Its row may have changed with them,
so every page sends its line again, and search indexes it again. An operation that changes a message belongs here."""


def message_ids(operations: Iterable[Operation]) -> list[int]:
    """The primary keys of the messages that these operations recorded, where the record has them."""
    return [o.message_pk for o in operations if o.type == MESSAGE_CREATED and o.message_pk is not None]


def changed_message_ids(operations: Iterable[Operation]) -> list[int]:
    """The primary keys of the earlier messages that these operations name (`CHANGES_MESSAGE`)."""
    return [o.message_pk for o in operations if o.type in CHANGES_MESSAGE and o.message_pk is not None]


PLAIN = frozenset(
    {
        *(
            "message_id",
            "trigger_id",
            "sender_type",
            "kind",
            "status",
            "state",
            "controller",
            "rule",
            "outcome",
            "type",
        ),
        *("before", "after", "owner_kind", "was_kind", "role", "notice", "channel", "strategy", "availability"),
        *("effect", "severity", "reason_by", "by_kind", "opened_at", "expires_at", "opens_at", "due_at", "lease_until"),
        *("waiting_since", "unanswered_since", "deadline", "override_why"),
    }
)
"""The fields of an event's data whose texts are ids, fixed words or times. Any other may be somebody's text."""


type Texts = Callable[[Sequence[int]], Iterable[Message]]
"""Those of these messages that a reader may see, with their attachments."""


def rendered(
    operations: Sequence[Operation],
    messages: QuerySet[Message] | None = None,
    *,
    reads: bool = True,
    texts: Texts | None = None,
) -> list[dict[str, Any]]:
    """One event for each operation, in order; a new message with its text as it is stored now.

    `messages` are those the reader may see; by default all but private notes. In the event of any other message,
    `message` is None. With `reads` false, for a credential that may follow but not read, all events come without texts
    (`without_words`). `texts` reads the messages in another way.
    """
    if not reads:
        return [_encoded(without_words(_rendered(operation, {}))) for operation in operations]
    ids = message_ids(operations)
    by_id = {message.pk: message for message in (texts or partial(texts_of, messages))(ids)} if ids else {}
    return [_encoded(_rendered(operation, by_id)) for operation in operations]


def texts_of(messages: QuerySet[Message] | None, ids: Sequence[int]) -> QuerySet[Message]:
    """Those of the messages with these ids; without `messages`, of all but private notes."""
    if messages is None:
        messages = Message.objects.filter(is_note=False)
    return messages.filter(pk__in=ids).prefetch_related("attachments")


def _encoded(event: dict[str, Any]) -> dict[str, Any]:
    return event | {"data": wire_format.encode(event["data"])}


def without_words(event: dict[str, Any]) -> dict[str, Any]:
    """An event with ids, fixed words, numbers and times alone: no text that anybody wrote, and nobody's name."""
    return event | {"actor": event["actor"] | {"name": ""}, "data": plain(event["data"])}


def plain(data: Any, name: str = "") -> Any:
    """An event's data with every text emptied that is not one of `PLAIN`."""
    if isinstance(data, dict):
        return {key: plain(value, key) for key, value in data.items()}
    if isinstance(data, list):
        return [plain(value, name) for value in data]
    return data if not isinstance(data, str) or name in PLAIN else ""


def _rendered(operation: Operation, messages: dict[int, Message]) -> dict[str, Any]:
    event = {
        "id": f"evt_{operation.tenant_id}_{operation.pos}",
        "type": operation.type,
        "tenant": operation.tenant.slug,
        "conversation_id": str(operation.conversation_id) if operation.conversation_id else None,
        "session_id": str(operation.session_id) if operation.session_id else None,
        "seq": operation.seq,
        "pos": operation.pos,
        "at": utc(operation.at),
        "actor": {
            "kind": operation.actor_kind,
            "id": str(operation.actor_id) if operation.actor_id else None,
            "name": operation.actor_name,
        },
        "data": operation.data,
    }
    if operation.type == MESSAGE_CREATED:
        message = messages.get(operation.message_pk or 0)
        event["message"] = _message(message) if message else None
    return event


def _message(message: Message) -> dict[str, Any]:
    sent_at: datetime | None = (
        message.sent_at
    )  # None where SQLite holds no valid time: one such row must not stop readers
    return {
        "id": str(message.pk),
        "message_id": message.message_id,
        "sender_type": message.sender_type,
        "sender_name": message.sender_name,
        "content": message.content,
        "sent_at": utc(sent_at) if sent_at else None,
        "is_note": message.is_note,
        "attachments": [attachments.as_data(row) for row in message.attachments.all()],
    }
