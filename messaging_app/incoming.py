"""What senders bring, checked and normalised alike at every door: times, ids, texts, names, JSON. Pure, no database.

Every way in uses it (the API, batches, files, the facade, the pages, the admin), so that one message is the same message
whichever way it came. Ids and times that cannot be meant are refused. Texts are not: what a customer has said has been
said, so what no database can hold is replaced by U+FFFD.
"""

from __future__ import annotations

import json
import re
import unicodedata
from datetime import UTC, datetime
from typing import Any, NoReturn

import orjson

from config import free_json, limits
from config.errors import Malformed

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
"""What a sender dates earlier is a mistake of its clock or its export (docs/rules.md, Times)."""
DEFAULT_PLATFORM = "default"
IT = "it"
"""The name of what stands in a field, which says itself whose error it is."""

_LATEST = datetime.max.replace(tzinfo=UTC)
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ](?:[01][0-9]|2[0-3]):[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,30})?)?"
    r"(?:[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)?"
)
_BAD_IN_IDS = ("Cc", "Cs", "Zl", "Zp")
"""Categories of characters that nobody can see or type: two ids must not differ by them alone."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_TURNS = re.compile("[\u202a-\u202e\u2066-\u2069]")
_BOM = b"\xef\xbb\xbf"


# --- Times -------------------------------------------------------------------------------------------------------


def read_time(value: object, name: str = "timestamp") -> datetime:
    """An ISO 8601 date with a time, in UTC; one without an offset is taken for UTC. Raises `Malformed`.

    Date and time stand apart by `T` or a space; seconds, a fraction of them and the offset may be missing. A fraction is
    cut to microseconds. Nothing else that a parser happens to understand is a time here (week dates, a date alone,
    numbers). What lies before 2000 is refused. What lies ahead is no mistake that could be mended by refusing it: see `not_later`.
    """
    if not isinstance(value, str):
        raise Malformed(f"{name} must be text such as 2026-03-01T08:30:00Z, not {named(value)}")
    if not _TIME.fullmatch(value):
        raise Malformed(f"{_quoted(value, name)} is no ISO 8601 time such as 2026-03-01T08:30:00Z")
    try:
        moment = datetime.fromisoformat(value.upper())
    except ValueError:
        raise Malformed(f"{_quoted(value, name)} is no ISO 8601 time: there is no such date or time") from None
    try:
        return sent_time(moment, name)
    except Malformed:
        raise Malformed(f"{_quoted(value, name)} is before {EARLIEST:%Y-%m-%d}") from None


def sent_time(moment: datetime, name: str = "sent_at") -> datetime:
    """A sender's time in UTC; one without an offset is taken for UTC. Raises `Malformed` for one before `EARLIEST`."""
    try:
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError:  # beyond year 9999 or before year 1, only by its offset
        moment = _LATEST if moment.year > EARLIEST.year else datetime.min.replace(tzinfo=UTC)
    if moment < EARLIEST:
        raise Malformed(f"{name} {moment.isoformat()!r} is before {EARLIEST:%Y-%m-%d}")
    return moment


def not_later(moment: datetime, now: datetime) -> datetime:
    """A sender's time, bounded: nobody has said anything later than now, whatever the sender's clock shows."""
    return min(moment, now)


# --- Ids ---------------------------------------------------------------------------------------------------------


def identifier(value: object, name: str, most: int = limits.MAX_ID) -> str:
    """An id as it is kept: trimmed, in Unicode's form NFC. Raises `Malformed` for what is empty then, or too long.

    So is one with characters that nobody sees: control characters, line separators, lone surrogates.
    """
    if not isinstance(value, str):
        raise Malformed(f"{name} must be text, not {named(value)}")
    if value.isascii():
        text = value.strip()
        is_clean = text.isprintable()
    else:
        text = unicodedata.normalize("NFC", value).strip()
        is_clean = text.isprintable() or not any(unicodedata.category(letter) in _BAD_IN_IDS for letter in text)
    if not text:
        raise Malformed(f"{name} is empty")
    if not is_clean:
        raise Malformed(f"{name} holds a control character, or half of one that takes two")
    if len(text) > most:
        raise Malformed(f"{name} is longer than {most} characters")
    return text


def conversation_key(platform: object, shop_id: object, account_id: object) -> tuple[str, str, str]:
    """What names a conversation in its tenant: platform, shop, account. Raises `Malformed`."""
    return (
        identifier(platform, "platform", limits.MAX_PLATFORM),
        identifier(shop_id, "shop_id"),
        identifier(account_id, "account_id"),
    )


# --- Texts -------------------------------------------------------------------------------------------------------


def clean(text: str) -> str:
    """A text that every database and every answer can hold: U+FFFD for NUL and for lone surrogates."""
    if "\x00" in text:
        text = text.replace("\x00", "\ufffd")
    if not text.isascii() and _SURROGATE.search(text):  # halves that belong together are put together
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def content(text: object, name: str = "content") -> str:
    """A message's text as it is stored. Raises `Malformed` when it is longer than `limits.MAX_CONTENT`."""
    if not isinstance(text, str):
        raise Malformed(f"{name} must be text, not {named(text)}")
    if len(text) > limits.MAX_CONTENT:
        raise Malformed(f"{name} is longer than {limits.MAX_CONTENT} characters: it has {len(text)}")
    return clean(text)


def person_name(text: object, most: int = limits.MAX_NAME) -> str:
    """A name as it is shown, in one line: trimmed, in NFC, cut at `most`; empty where there is none.

    What turns the direction of all that follows is left out: a name stands in front of other people's words.
    """
    if text is None or text == "":
        return ""
    one_line = _TURNS.sub("", _CONTROL.sub(" ", clean(str(text))))
    return unicodedata.normalize("NFC", one_line).strip()[:most].rstrip()


# --- JSON --------------------------------------------------------------------------------------------------------


def without_bom(raw: bytes) -> bytes:
    """JSON has no byte order mark; exports of spreadsheets and of Windows put one before it all the same."""
    return raw.removeprefix(_BOM)


def load_json(raw: bytes | str) -> Any:
    """One JSON value, with or without a byte order mark. Raises `ValueError` for what is none, and for an object that has a
    name twice: readers disagree on which one counts.

    Lone surrogates are taken (`clean` replaces them later), because cut emoji are common in what channels deliver;
    numbers that JSON does not have (NaN, Infinity, 1e999) are not.
    """
    raw = without_bom(raw) if isinstance(raw, bytes) else raw.removeprefix("\ufeff")
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        refusal: Exception = error
    else:
        # orjson keeps the last one without a word. As many colons after a quotation mark as names: none is lost.
        colons = raw.count(b'":') if isinstance(raw, bytes) else raw.count('":')
        if colons == _names_in(value):
            return value
        refusal = ValueError("nested too deeply")  # all that can be wrong with it beside a name that stands twice
    try:
        text = raw.decode("utf-8", "surrogatepass") if isinstance(raw, bytes) else raw
        return json.loads(text, parse_constant=_no_number, parse_float=_finite, object_pairs_hook=free_json.once_each)
    except free_json.Twice:
        raise
    except (ValueError, RecursionError):
        raise ValueError(str(refusal)) from None


def _names_in(value: Any) -> int:
    """Of all objects together. Without recursion: orjson reads values that are nested deeper than Python may call."""
    names, left = 0, [value]
    while left:
        item = left.pop()
        if isinstance(item, dict):
            names += len(item)
            left += [inner for inner in item.values() if isinstance(inner, dict | list)]
        elif isinstance(item, list):
            left += [inner for inner in item if isinstance(inner, dict | list)]
    return names


def dump_line(value: Any) -> bytes:
    """One JSON value as a line of NDJSON, whatever texts it holds."""
    try:
        return orjson.dumps(value) + b"\n"
    except (TypeError, ValueError, RecursionError):  # lone surrogates, numbers beyond 64 bits
        return json.dumps(value).encode() + b"\n"


def _finite(text: str) -> float:
    number = float(text)
    return number if number not in (float("inf"), float("-inf")) else _no_number(text)


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


# --- Words for refusals ------------------------------------------------------------------------------------------


def named(value: object) -> str:
    """What kind of JSON value this is."""
    names = {type(None): "null", list: "a list", dict: "an object", str: "text", bool: "true or false"}
    return names.get(type(value), "a number")


def shown(value: object) -> str:
    """The beginning of what was sent, for people."""
    return repr(clean(value[:40])) if isinstance(value, str) else named(value)


def _quoted(value: object, name: str) -> str:
    """The beginning of a sentence about a value: its name and how it begins, or the latter alone."""
    return shown(value) if name == IT else f"{name} {shown(value)}"
