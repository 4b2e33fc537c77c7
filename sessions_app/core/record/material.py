"""What the check compares: conversations with their operations and rows, read some at a time.

A row that cannot be read hides no other: whatever was to be read with it is read again by itself, and what still cannot
be read is named with the reason (`Unread`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Count

from config.faults import fault_of
from messaging_app import record_marks
from messaging_app.models import Conversation, Message, Operation, RecordMark
from sessions_app.models import ChatSession, GuidedFlow, Participant, Transfer

PAGE = 300
"""Rows that are read at a time."""
AT_ONCE = 5_000
"""About how many operations are in memory at a time; one conversation may have more."""
_ROWS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "sessions": (
        ChatSession,
        ("id", "kind", "status", "rank", "owner_kind", "agent_id", "bot_id", "opened_at", "expires_at", "on_hold",
         "paused_from", "origin", "human_until", "warns_at", "ended_at", "outcome", "reason"),
    ),
    "transfers": (
        Transfer,
        ("id", "session_id", "kind", "status", "accepted_by_id", "deadline", "offered_to_id", "offer_expires_at",
         "waiting_since", "opens_at", "asked_again", "reason", "end_reason", "is_override", "from_kind", "from_id"),
    ),
    "flows": (GuidedFlow, ("id", "status", "expires_at", "lease_until")),
    "participants": (Participant, ("id", "status", "notice_status", "role")),
}  # fmt: skip
_WHERE = ("conversation_id", "tenant_id")


@dataclass(slots=True)
class Material:
    """A conversation with its operations, and the rows that must agree with them."""

    conversation: Conversation
    operations: list[Operation] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {name: [] for name in _ROWS})
    cut: RecordMark | None = None  # up to which operations were forgotten

    @property
    def pk(self) -> int:
        return self.conversation.pk


@dataclass(frozen=True, slots=True)
class Unread:
    """Something that cannot be read: `what` names it, `why` says why. `pk` is the row's, or its conversation's."""

    pk: int
    what: str
    why: str


def why_unread(error: Exception) -> str:
    """The reason, without the text that could not be read. Raises `error` if the database is at fault, not a row."""
    if fault_of(error):
        raise error
    text = str(error).partition(" with text ")[0][:200]
    return f"that it cannot be read: {type(error).__name__}: {text}"


def paged(rows: Any) -> Iterator[Any]:
    """Rows ordered by id, `PAGE` at a time, or `Unread`: MariaDB's driver would bring all of them at once."""
    last = 0
    while page := _page(rows.filter(pk__gt=last)[:PAGE]):
        yield from page
        last = page[-1].pk


def _page(rows: Any) -> list[Any]:
    try:
        return list(rows)
    except Exception as error:
        why_unread(error)
        return [_alone(rows.model, pk) for pk in rows.values_list("pk", flat=True)]


def _alone(model: Any, pk: int) -> Any:
    try:
        return model.objects.get(pk=pk)
    except Exception as error:
        return Unread(pk, f"{model._meta.model_name} {pk}", why_unread(error))


def in_chunks(tenant_id: int) -> Iterator[list[int]]:
    """The ids of a tenant's conversations in order, in chunks of about `AT_ONCE` operations."""
    last = 0
    rows = Conversation.objects.filter(tenant_id=tenant_id).order_by("pk").values_list("pk", flat=True)
    while page := list(rows.filter(pk__gt=last)[:PAGE]):
        counted = Operation.objects.filter(conversation_id__in=page).order_by().values_list("conversation_id")
        sizes = dict(counted.annotate(n=Count("pk")))
        chunk: list[int] = []
        size = 0
        for pk in page:
            chunk.append(pk)
            size += sizes.get(pk, 0)
            if size >= AT_ONCE:
                yield chunk
                chunk, size = [], 0
        if chunk:
            yield chunk
        last = page[-1]


def gathered(pks: Sequence[int]) -> Iterable[Material | Unread]:
    """Each conversation with its operations and rows, or `Unread`; one query for each table."""
    try:
        return _gathered(pks)
    except Exception as error:
        why = why_unread(error)
        if len(pks) > 1:
            return [material for pk in pks for material in gathered([pk])]
        return [_unread(pks[0]) or Unread(pks[0], "its rows", why)]


def _gathered(pks: Sequence[int]) -> list[Material]:
    by_conversation = {row.pk: Material(row) for row in Conversation.objects.filter(pk__in=pks).order_by("pk")}
    for operation in Operation.objects.filter(conversation_id__in=pks).order_by("conversation_id", "seq", "pk"):
        material = by_conversation[operation.conversation_id or 0]
        if operation.seq == 1:  # its link in the chain names the conversation
            operation.conversation = material.conversation
        material.operations.append(operation)
    for message in Message.objects.filter(conversation_id__in=pks).order_by("conversation_id", "seq", "pk"):
        by_conversation[message.conversation_id].messages.append(message)
    for name, (model, columns) in _ROWS.items():
        for row in model.objects.filter(conversation_id__in=pks).order_by("pk").values(*_WHERE, *columns):
            by_conversation[row["conversation_id"]].rows[name].append(row)
    cuts = RecordMark.objects.filter(kind=RecordMark.Kind.FORGOTTEN, conversation_id__in=pks)
    for mark in cuts:
        if record_marks.is_signed(mark):
            by_conversation[mark.conversation_id or 0].cut = mark
    return list(by_conversation.values())


def _unread(pk: int) -> Unread | None:
    """The first row of a conversation that cannot be read."""
    tables = (Operation, Message, *(model for model, _ in _ROWS.values()), RecordMark)
    here = Conversation.objects.filter(pk=pk).order_by("pk")
    for rows in (here, *(table._default_manager.filter(conversation_id=pk).order_by("pk") for table in tables)):
        for row in paged(rows):
            if isinstance(row, Unread):
                return Unread(pk, row.what, row.why)
    return None
