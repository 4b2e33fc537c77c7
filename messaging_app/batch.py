"""What was said while nobody was looking: reading, checking, sorting and grouping rows. Pure functions, no database.

A row is an object as described in docs/ingest.md. Validation comes before deduplication: a bad row is reported, stops
nothing and does not use up its id; of the valid rows with one id, the first wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

SENDERS = frozenset({"customer", "bot", "agent", "shop"})
_KEYS = ("message_id", "account_id", "shop_id", "timestamp", "content")
_TEXTS = (*_KEYS, "platform", "sender_id", "sender_name")
_MAX_KEY = 191
_MAX_CONTENT = 20_000
_MAX_SHOWN = 200


@dataclass(slots=True)
class Row:
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
    line: int
    reason: str
    text: str


def read_line(line: int, raw: bytes | str) -> Row | Rejected | None:
    """One line of NDJSON: a row, a rejection, or None for a blank line."""
    if not raw.strip():
        return None
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        return Rejected(line, f"not JSON: {error}", _shown(raw))
    row = read_object(line, value)
    return row if isinstance(row, Row) else Rejected(line, row, _shown(raw))


def read_object(line: int, value: Any) -> Row | str:
    """A row, or the reason why it is none."""
    if not isinstance(value, dict):
        return f"a row is a JSON object, not {_named(value)}"
    for key in _KEYS:
        text = value.get(key)
        if not isinstance(text, str):
            return f"{key} is missing" if key not in value else f"{key} must be text, not {_named(text)}"
        if not text:
            return f"{key} is empty"
    if key := next((key for key in _TEXTS if "\x00" in str(value.get(key))), ""):
        return f"{key} holds the character NUL"
    sender = value.get("sender_type")
    if not isinstance(sender, str) or sender not in SENDERS:
        return f"sender_type must be one of {', '.join(sorted(SENDERS))}, not {sender!r}"
    platform = value.get("platform", "default")
    if not isinstance(platform, str) or not platform or len(platform) > 64:
        return "platform must be a text of 1 to 64 characters"
    for key in ("message_id", "account_id", "shop_id"):
        if len(value[key]) > _MAX_KEY:
            return f"{key} is longer than {_MAX_KEY} characters"
    if len(value["content"]) > _MAX_CONTENT:
        return f"content is longer than {_MAX_CONTENT} characters"
    sent_at = read_time(value["timestamp"])
    if sent_at is None:
        return f"timestamp {value['timestamp'][:40]!r} is no ISO 8601 time"
    return Row(
        line,
        platform,
        value["shop_id"],
        value["account_id"],
        value["message_id"],
        sender,
        value["content"],
        sent_at,
        str(value.get("sender_id") or "")[:_MAX_KEY],
        str(value.get("sender_name") or "")[:200],
        sender == "bot" or value.get("is_robot") is True,
    )


def read_time(text: str) -> datetime | None:
    """An ISO 8601 time in UTC; one without an offset is taken for UTC. None if it is none."""
    try:
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _named(value: Any) -> str:
    names = {type(None): "null", list: "a list", dict: "an object", str: "text", bool: "true or false"}
    return names.get(type(value), "a number")


def _shown(raw: bytes | str) -> str:
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
    return text.strip()[:_MAX_SHOWN]


def first_of_each(rows: Iterable[Row]) -> tuple[list[Row], int]:
    """The first row of each message id in its platform, and how many repeats were dropped."""
    kept: dict[tuple[str, str], Row] = {}
    seen = 0
    for row in rows:
        seen += 1
        kept.setdefault((row.platform, row.message_id), row)
    return list(kept.values()), seen - len(kept)


def by_conversation(rows: Iterable[Row]) -> dict[tuple[str, str, str], list[Row]]:
    """Rows of each conversation in the order they were said; among equal times, in the order they came."""
    grouped: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        grouped.setdefault((row.platform, row.shop_id, row.account_id), []).append(row)
    for said in grouped.values():
        said.sort(key=lambda row: row.sent_at)
    return grouped


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
    """Messages, none more than the gap after the one before, and the grouped sessions they belong to or join."""

    start: datetime
    end: datetime
    keys: list[Any] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)


def group(
    spans: Sequence[Span], rows: Sequence[Row], gap: timedelta
) -> tuple[list[tuple[Any, list[Row]]], list[Stretch]]:
    """Put one conversation's rows (sorted) into sessions: a gap of MORE than `gap` starts a new one, nothing else does.

    Returns the rows that fall into fixed spans, by key, and the stretches that new rows touch. Because existing grouped
    spans are maximal stretches themselves, the result does not depend on how rows were cut into batches or ordered.
    """
    covered: dict[int, tuple[Any, list[Row]]] = {}
    pieces: list[tuple[datetime, datetime, Any, Row | None]] = []
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
    for start, end, key, said in pieces:
        if not stretches or start - stretches[-1].end > gap:
            stretches.append(Stretch(start, end))
        stretch = stretches[-1]
        stretch.end = max(stretch.end, end)
        if said is None:
            stretch.keys.append(key)
        else:
            stretch.rows.append(said)
    return list(covered.values()), [s for s in stretches if s.rows]
