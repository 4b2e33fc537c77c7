"""The rows of a batch read one after the other: what is plain at a glance, all else by `batch.read_object`.

A row is plain if it is right for certain, with nothing in it that would be stored otherwise than it came. So this never
decides that something is wrong, and each reading gives what `read_line` gives (tests/batches/test_row_reader.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import Any

from config import limits
from messaging_app import incoming
from messaging_app.batch import SENDERS, BatchRow, Rejected, read_line, read_value

_NEEDED = ("message_id", "shop_id", "account_id", "sender_type", "content", "timestamp")
_needed = itemgetter(*_NEEDED)
_MOST_KEYS = 10_000
"""Conversations of one batch whose key is remembered: a file may have millions."""

type _Keys = dict[tuple[Any, Any, Any], tuple[str, str, str]]


def rows_of_values(values: Iterable[Any], first: int = 1) -> Iterator[BatchRow | Rejected]:
    """Of JSON values, the row or the rejection of each; `first` is the first one's number."""
    keys: _Keys = {}
    for line, value in enumerate(values, first):
        yield _plain(line, value, keys) or read_value(line, value)


def rows_of_lines(lines: Iterable[bytes], first: int = 1) -> Iterator[BatchRow | Rejected | None]:
    """Of lines of NDJSON, as `read_line` reads each."""
    keys: _Keys = {}
    for line, raw in enumerate(lines, first):
        try:
            row = _plain(line, incoming.load_json(raw), keys)
        except ValueError:
            row = None
        yield row or read_line(line, raw)


def _plain(line: int, value: Any, keys: _Keys) -> BatchRow | None:
    """The row, if it is plain. The key of a conversation is checked at its first row, and remembered in `keys`."""
    try:
        message_id, shop_id, account_id, sender, text, timestamp = _needed(value)
        platform, sender_id, sender_name, is_robot, epoch = _NOT_GIVEN if len(value) == len(_NEEDED) else _more(value)
        key = keys.get((platform, shop_id, account_id)) or _key(platform, shop_id, account_id, keys)
        if not _is_plain_id(message_id) or sender not in SENDERS or not _is_plain_text(text):
            return None
        sent_at = incoming.read_time(timestamp)
    except Exception:  # whatever it is, `read_object` says it
        return None
    is_robot = is_robot or sender == "bot"
    return BatchRow(line, *key, message_id, sender, text, sent_at, sender_id, sender_name, is_robot, epoch)


_NOT_GIVEN = (incoming.DEFAULT_PLATFORM, "", "", False, None)


def _more(value: dict[str, Any]) -> tuple[Any, str, str, bool, int | None]:
    """What a row may have and need not: the platform as it came, the other fields as they are stored."""
    epoch = value.get("epoch")
    return (
        value.get("platform", incoming.DEFAULT_PLATFORM),
        incoming.person_name(value.get("sender_id"), limits.MAX_ID),
        incoming.person_name(value.get("sender_name")),
        value.get("is_robot") is True,
        epoch if type(epoch) is int else None,
    )


def _key(platform: Any, shop_id: Any, account_id: Any, keys: _Keys) -> tuple[str, str, str]:
    """Raises `Malformed`."""
    key = incoming.conversation_key(platform, shop_id, account_id)
    if len(keys) < _MOST_KEYS:
        keys[platform, shop_id, account_id] = key
    return key


def _is_plain_id(text: Any) -> bool:
    return (
        type(text) is str
        and 0 < len(text) <= limits.MAX_ID
        and text.isascii()
        and text.isprintable()
        and " " not in text
    )


def _is_plain_text(text: Any) -> bool:
    return type(text) is str and 0 < len(text) <= limits.MAX_CONTENT and incoming.is_clean(text)
