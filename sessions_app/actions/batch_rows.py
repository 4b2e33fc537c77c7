"""The rows of a batch, the messages that they become, and the report on them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from operator import attrgetter

from config import bulk_rows, limits
from messaging_app.batch import BatchRow, Rejected, id_taken, is_repeat
from messaging_app.incoming import EARLIEST, not_later
from messaging_app.models import Conversation, Message
from sessions_app.models import ChatSession
from sessions_app.unit.settle import desk_order


@dataclass(slots=True)
class Report:
    """What a batch did. Counts of rows, except the sessions and transfers.

    A session that one part of the batch made and another joined to its neighbour does not count as created, so the
    counts do not depend on how the batch was cut. `since` is the id of the newest session before the batch; as long as the
    batch has made none, one that no session has.
    """

    since: int = 2**63 - 1

    lines: int = 0
    accepted: int = 0
    duplicate: int = 0
    rejected: int = 0
    sessions_created: int = 0
    sessions_extended: int = 0
    sessions_joined: int = 0
    transfers_raised: int = 0
    rejections: list[Rejected] = field(default_factory=list)

    def add(self, other: Report) -> None:
        for name, value in other.counts().items():
            setattr(self, name, getattr(self, name) + value)

    def made(self, sessions: Iterable[ChatSession]) -> None:
        """Note that the batch has made these sessions, which are stored."""
        self.since = min([self.since, *[session.pk - 1 for session in sessions]])

    def include(self, part: Report) -> None:
        """Add the report on a part of this batch, with its rejections."""
        self.add(part)
        self.since = min(self.since, part.since)
        self.rejections += part.rejections

    def refuse(self, rows: Iterable[Rejected]) -> None:
        """Count and list rows that are not stored."""
        before = len(self.rejections)
        self.rejections += rows
        self.rejected += len(self.rejections) - before

    def counts(self) -> dict[str, int]:
        return dict(zip(_COUNTS, _counts_of(self), strict=True))


_COUNTS = tuple(column.name for column in fields(Report) if column.name not in ("rejections", "since"))
_counts_of = attrgetter(*_COUNTS)


def not_known(tenant_id: int, rows: list[BatchRow], report: Report) -> list[BatchRow]:
    """The rows that are not stored yet. The others count as duplicates; an id of another message is listed as well."""
    known: dict[tuple[str, str], tuple[int, str, str]] = {}
    for platform in {row.platform for row in rows}:
        ids = [row.message_id for row in rows if row.platform == platform]
        fields = ("message_id", "conversation_id", "sender_type", "content")
        same = bulk_rows.find(Message, {"tenant_id": tenant_id, "platform": platform}, "message_id", ids, fields)
        known |= {(platform, message_id): (where, who, what) for message_id, where, who, what in same}
    if not known:
        return rows
    conversations = Conversation.objects.filter(pk__in={conversation_id for conversation_id, *_ in known.values()})
    keys = {pk: (p, s, a) for pk, p, s, a in conversations.values_list("pk", "platform", "shop_id", "account_id")}
    new = []
    for row in rows:
        first = known.get((row.platform, row.message_id))
        if first is None:
            new.append(row)
            continue
        report.duplicate += 1
        conversation_id, sender_type, content = first
        if not is_repeat(row, keys[conversation_id], sender_type, content):
            report.rejections.append(id_taken(row))
    return new


def on_time(rows: list[BatchRow], now: datetime) -> list[BatchRow]:
    """The rows in the order they were said. Changes them: a `sent_at` in the future becomes now."""
    for row in [row for row in rows if row.sent_at > now]:
        row.sent_at = not_later(row.sent_at, now)
    return sorted(rows, key=attrgetter("sent_at"))


def message_of(conversation: Conversation, row: BatchRow, session_id: int | None, seq: int) -> Message:
    return Message(
        tenant_id=conversation.tenant_id,
        conversation_id=conversation.pk,
        session_id=session_id,
        platform=row.platform,
        message_id=row.message_id,
        sender_type=row.sender_type,
        sender_id=row.sender_id,
        sender_name=row.sender_name,
        content=row.content,
        sent_at=row.sent_at,
        seq=seq,
    )


def columns_of(tenant_id: int, rows: Sequence[tuple[BatchRow, int, int, int]]) -> bulk_rows.Columns:
    """Rows as `message_of` makes messages of them, by columns: each with its conversation, its session and its `seq`."""
    said = [row for row, *_ in rows]
    return {
        "tenant_id": bulk_rows.Same(tenant_id),
        "conversation_id": [conversation_id for _, conversation_id, _, _ in rows],
        "session_id": [session_id for _, _, session_id, _ in rows],
        "platform": [row.platform for row in said],
        "message_id": [row.message_id for row in said],
        "sender_type": [row.sender_type for row in said],
        "sender_id": [row.sender_id for row in said],
        "sender_name": [row.sender_name for row in said],
        "is_note": bulk_rows.Same(False),
        "content": [row.content for row in said],
        "sent_at": [row.sent_at for row in said],
        "seq": [seq for _, _, _, seq in rows],
    }


def remember(conversation: Conversation, rows: list[BatchRow]) -> None:
    """Show the newest new message in the desk's list, unless a newer one is shown. Rows with a `pk` are not new."""
    newest = next((row for row in reversed(rows) if row.pk is None), None)
    if newest is None:
        return
    if conversation.last_activity_at is None or newest.sent_at >= conversation.last_activity_at:
        conversation.last_text = newest.content[: limits.MAX_PREVIEW]
        conversation.last_sender = newest.sender_type
        conversation.last_activity_at = newest.sent_at
        conversation.desk_order = desk_order(conversation.waiting_since, newest.sent_at)


def row_of(message: Message, now: datetime) -> BatchRow:
    """A stored message as a row. Its time is bounded here too: older versions stored what senders claimed."""
    return BatchRow(
        line=0,
        platform=message.platform,
        shop_id="",
        account_id="",
        message_id=message.message_id,
        sender_type=message.sender_type,
        content=message.content,
        sent_at=max(EARLIEST, not_later(message.sent_at, now)),
        is_robot=message.sender_type == Message.Sender.BOT,
        pk=message.pk,
    )
