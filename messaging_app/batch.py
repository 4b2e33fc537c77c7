"""Messages imported in batches: reading, checking, sorting and grouping their rows. Pure functions, no database.

A row is an object as described in docs/ingest.md. Validation comes before deduplication: a bad row is reported, stops
nothing and does not use up its id; of the valid rows with one id, the first wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any

import orjson

from config import limits
from config.errors import Malformed
from messaging_app import incoming

SENDERS = frozenset({"customer", "bot", "agent", "shop"})
_KEYS = ("message_id", "account_id", "shop_id", "timestamp", "content")
MAX_SHOWN = 200
MESSAGE_ID_TAKEN = "message_id_taken"


@dataclass(slots=True)
class BatchRow:
    line: int
    platform: str
    shop_id: str
    account_id: str
    message_id: str
    sender_type: str
    content: str
    sent_at: datetime
    sender_id: str = ""
    sender_name: str = ""
    is_robot: bool = False
    epoch: int | None = None  # the conversation's epoch in which a bot says this now; history needs none
    pk: int | None = None  # of a message that is stored already and only lacks its session

    @property
    def conversation(self) -> tuple[str, str, str]:
        return self.platform, self.shop_id, self.account_id

    @property
    def is_human_side(self) -> bool:
        """Said by a person of the shop."""
        return self.sender_type in ("agent", "shop") and not self.is_robot


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that is not stored, and why. `code` is for programs, as in the API's errors.

    A row whose id is taken counts as a duplicate. It is reported here as well, so that it does not disappear unseen.
    """

    line: int
    reason: str
    text: str
    code: str = "malformed"


def read_line(line: int, raw: bytes | str) -> BatchRow | Rejected | None:
    """One line of NDJSON: a row, a rejection, or None for a blank line."""
    if not raw.strip():
        return None
    try:
        value = incoming.load_json(raw)
    except ValueError as error:
        return None if _is_bare_mark(raw) else Rejected(line, f"not JSON: {error}", _shown(raw))
    row = read_object(line, value)
    return row if isinstance(row, BatchRow) else Rejected(line, row, _shown(raw))


def read_value(line: int, value: Any) -> BatchRow | Rejected:
    """One JSON value: a row, or a rejection."""
    row = read_object(line, value)
    return row if isinstance(row, BatchRow) else Rejected(line, row, _shown(incoming.dump_line(value)))


def _is_bare_mark(raw: bytes | str) -> bool:
    """A file that holds nothing but a byte order mark has no rows."""
    return not (incoming.without_bom(raw) if isinstance(raw, bytes) else raw.removeprefix("\ufeff")).strip()


def read_object(line: int, value: Any) -> BatchRow | str:
    """A row, or the reason why it is none."""
    if not isinstance(value, dict):
        return f"a row is a JSON object, not {incoming.named(value)}"
    for key in _KEYS:
        text = value.get(key)
        if not isinstance(text, str):
            return f"{key} is missing" if key not in value else f"{key} must be text, not {incoming.named(text)}"
        if not text:
            return f"{key} is empty"
    sender = value.get("sender_type")
    if not isinstance(sender, str) or sender not in SENDERS:
        return f"sender_type must be one of {', '.join(sorted(SENDERS))}, not {incoming.shown(sender)}"
    try:
        platform, shop_id, account_id = incoming.conversation_key(
            value.get("platform", incoming.DEFAULT_PLATFORM), value["shop_id"], value["account_id"]
        )
        return BatchRow(
            line,
            platform,
            shop_id,
            account_id,
            incoming.identifier(value["message_id"], "message_id"),
            sender,
            incoming.content(value["content"]),
            incoming.read_time(value["timestamp"]),
            incoming.person_name(value.get("sender_id"), limits.MAX_ID),
            incoming.person_name(value.get("sender_name")),
            sender == "bot" or value.get("is_robot") is True,
            epoch if type(epoch := value.get("epoch")) is int else None,
        )
    except Malformed as error:
        return error.detail


def _shown(raw: bytes | str) -> str:
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else incoming.clean(raw)
    return text.strip()[:MAX_SHOWN]


def distinct(rows: Iterable[BatchRow]) -> tuple[list[BatchRow], int, list[Rejected]]:
    """The first row of each message id in its platform, the number of others, and those of them that are no repeats."""
    kept: dict[tuple[str, str], BatchRow] = {}
    repeats, taken = 0, []
    for row in rows:
        first = kept.setdefault((row.platform, row.message_id), row)
        if first is not row:
            repeats += 1
            if not is_repeat(row, first.conversation, first.sender_type, first.content):
                taken.append(id_taken(row))
    return list(kept.values()), repeats, taken


def is_repeat(row: BatchRow, conversation: tuple[str, str, str], sender_type: str, content: str) -> bool:
    """Whether a row is the message with its id once more: the same text, type of sender and conversation."""
    return (row.conversation, row.sender_type, row.content) == (conversation, sender_type, content)


def id_taken(row: BatchRow) -> Rejected:
    reason = f"{MESSAGE_ID_TAKEN}: message_id {row.message_id!r} names another message; this row is not stored"
    return not_stored(row, reason, MESSAGE_ID_TAKEN)


def not_stored(row: BatchRow, reason: str, code: str) -> Rejected:
    """The rejection of a row that is valid by itself."""
    excerpt = {
        "message_id": row.message_id,
        "platform": row.platform,
        "shop_id": row.shop_id,
        "account_id": row.account_id,
        "sender_type": row.sender_type,
        "content": row.content[:MAX_SHOWN],
    }
    return Rejected(row.line, reason, orjson.dumps(excerpt).decode()[:MAX_SHOWN], code)


def by_conversation(rows: Iterable[BatchRow]) -> dict[tuple[str, str, str], list[BatchRow]]:
    """The rows of each conversation, by time; among equal times, in the order they came."""
    grouped: dict[tuple[str, str, str], list[BatchRow]] = {}
    for row in rows:
        grouped.setdefault((row.platform, row.shop_id, row.account_id), []).append(row)
    for conversation_rows in grouped.values():
        conversation_rows.sort(key=_sent_at)
    return grouped


_sent_at = attrgetter("sent_at")


@dataclass(slots=True)
class Span:
    """The time a session covers. A `fixed` one was opened by a robot or an agent: it takes what falls inside it, and is
    never joined, split or stretched. `end` None: still open."""

    key: Any
    start: datetime
    end: datetime | None
    fixed: bool = False


@dataclass(slots=True)
class Stretch:
    """Messages without a pause longer than the gap, and the keys of the grouped sessions they belong to or join."""

    start: datetime
    end: datetime
    keys: list[Any] = field(default_factory=list)
    rows: list[BatchRow] = field(default_factory=list)


def group(
    spans: Sequence[Span], rows: Sequence[BatchRow], gap: timedelta
) -> tuple[list[tuple[Any, list[BatchRow]]], list[Stretch]]:
    """Put one conversation's rows (sorted) into sessions: a gap of MORE than `gap` starts a new one, nothing else does.

    Returns the rows that fall into fixed spans, by key, and the stretches that new rows touch. Because existing grouped
    spans are maximal stretches themselves, the result does not depend on how rows were cut into batches or ordered.
    """
    if not spans:
        return [], _stretches(rows, gap)
    covered: dict[int, tuple[Any, list[BatchRow]]] = {}
    pieces: list[tuple[datetime, datetime, Any, BatchRow | None]] = []
    fixed = sorted((s for s in spans if s.fixed), key=lambda s: s.start, reverse=True)
    for row in rows:
        inside = next((s for s in fixed if s.start <= row.sent_at and (s.end is None or row.sent_at <= s.end)), None)
        if inside is None:
            pieces.append((row.sent_at, row.sent_at, None, row))
        else:
            covered.setdefault(id(inside), (inside.key, []))[1].append(row)
    if not pieces:
        return list(covered.values()), []
    pieces += [(s.start, s.end or s.start, s.key, None) for s in spans if not s.fixed]
    pieces.sort(key=lambda piece: piece[0])
    stretches: list[Stretch] = []
    for start, end, key, message in pieces:
        if not stretches or start - stretches[-1].end > gap:
            stretches.append(Stretch(start, end))
        stretch = stretches[-1]
        stretch.end = max(stretch.end, end)
        if message is None:
            stretch.keys.append(key)
        else:
            stretch.rows.append(message)
    return list(covered.values()), [s for s in stretches if s.rows]


def _stretches(rows: Sequence[BatchRow], gap: timedelta) -> list[Stretch]:
    """As `group` makes them where there is nothing yet."""
    stretches: list[Stretch] = []
    for row in rows:
        if not stretches or row.sent_at - stretches[-1].end > gap:
            stretches.append(Stretch(row.sent_at, row.sent_at))
        stretches[-1].end = row.sent_at
        stretches[-1].rows.append(row)
    return stretches
