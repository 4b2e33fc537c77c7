"""Input from senders, checked and normalised alike at every door: times, ids, texts, names, JSON. Pure, no database.

Every entry point uses it (the API, batches, files, the facade, the pages, the admin), so that a message is the same
whichever way it came. Ids and times that cannot be right are refused. Texts are not, because a customer's message must
be kept: characters that no database can hold are replaced by U+FFFD.
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
"""An earlier time is a mistake of the sender's clock or export (docs/rules.md, Times)."""
DEFAULT_PLATFORM = "default"
IT = "it"
"""The name of a value whose error is shown at its own field: the message need not name it."""

_LATEST = datetime.max.replace(tzinfo=UTC)
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ](?:[01][0-9]|2[0-3]):[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,30})?)?"
    r"(?:[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)?"
)
_USUAL_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?Z")
"""What programs send as a rule; of these the standard library takes no more than `_TIME` does."""
_BAD_IN_IDS = ("Cc", "Cs", "Zl", "Zp")
"""Categories of characters that nobody can see or type: two ids must not differ by them alone."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_TURNS = re.compile("[\u202a-\u202e\u2066-\u2069]")
_BOM = b"\xef\xbb\xbf"


# --- Times -------------------------------------------------------------------------------------------------------


def read_time(value: object, name: str = "timestamp") -> datetime:
    """An ISO 8601 date with a time, in UTC; one without an offset is taken for UTC. Raises `Malformed`.

    `T` or a space separates date and time; seconds, their fraction and the offset may be missing. A fraction is cut to
    microseconds. Week dates, a date alone and numbers are refused, although parsers understand them; so is a time
    before 2000. A time in the future is taken, because refusing it would mend nothing (see `not_later`).
    """
    if type(value) is str and _USUAL_TIME.fullmatch(value) and (usual := _usual_time(value)):
        return usual
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


def _usual_time(value: str) -> datetime | None:
    """The time of a text that `_USUAL_TIME` fits; None for one that is not taken as it stands."""
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment >= EARLIEST else None


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
    """A sender's time, but now at the latest: no message comes from the future, whatever the sender's clock shows."""
    return min(moment, now)


# --- Ids ---------------------------------------------------------------------------------------------------------


def identifier(value: object, name: str, most: int = limits.MAX_ID) -> str:
    """An id as it is stored: trimmed, in Unicode's form NFC.

    Raises `Malformed` for one that is empty then, longer than `most` characters, or holds characters that nobody sees:
    control characters, line separators, lone surrogates.
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
    """The key of a conversation in its tenant: platform, shop, account. Raises `Malformed`."""
    return (
        identifier(platform, "platform", limits.MAX_PLATFORM),
        identifier(shop_id, "shop_id"),
        identifier(account_id, "account_id"),
    )


# --- Texts -------------------------------------------------------------------------------------------------------


def is_clean(text: str) -> bool:
    """Whether `clean` leaves a text as it is."""
    return "\x00" not in text and (text.isascii() or not _SURROGATE.search(text))


def clean(text: str) -> str:
    """A text that every database and every answer can hold: U+FFFD for NUL and for lone surrogates."""
    if "\x00" in text:
        text = text.replace("\x00", "\ufffd")
    if not text.isascii() and _SURROGATE.search(text):  # two halves of one character become that character
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

    Characters that change the direction of writing are left out: they would turn the text that follows the name.
    """
    if text is None or text == "":
        return ""
    one_line = _TURNS.sub("", _CONTROL.sub(" ", clean(str(text))))
    return unicodedata.normalize("NFC", one_line).strip()[:most].rstrip()


# --- JSON --------------------------------------------------------------------------------------------------------


def without_bom(raw: bytes) -> bytes:
    """Without a byte order mark. JSON has none, but exports of spreadsheets and of Windows begin with one."""
    return raw.removeprefix(_BOM)


def load_json(raw: bytes | str) -> Any:
    """One JSON value, with or without a byte order mark.

    Raises `ValueError` for what is not JSON, for an object that has a name twice, because parsers disagree on which one
    counts, and for numbers that JSON does not have (NaN, Infinity, 1e999). Lone surrogates are taken (`clean` replaces
    them later), because cut emoji are common in what channels deliver.
    """
    raw = without_bom(raw) if isinstance(raw, bytes) else raw.removeprefix("\ufeff")
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        refusal: Exception = error
    else:
        # orjson silently keeps the last of two equal names. As many colons after a quotation mark as names: none lost.
        colons = raw.count(b'":') if isinstance(raw, bytes) else raw.count('":')
        if _has_a_colon_apart(raw):
            colons = -1
        if type(value) is dict and colons == len(value) and _NESTED.isdisjoint(map(type, value.values())):
            return value
        if colons == _names_in(value):
            return value
        refusal = ValueError("nested too deeply")  # the only other error that is possible besides a repeated name
    try:
        text = raw.decode("utf-8", "surrogatepass") if isinstance(raw, bytes) else raw
        return json.loads(text, parse_constant=_no_number, parse_float=_finite, object_pairs_hook=free_json.once_each)
    except free_json.Twice:
        raise
    except (ValueError, RecursionError):
        raise ValueError(str(refusal)) from None


_NESTED = frozenset({dict, list})
_SPACES = (" ", "\n", "\t", "\r")
_APART = re.compile(r'"[ \n\t\r]+:')


def _has_a_colon_apart(raw: bytes | str) -> bool:
    """Whether a colon may stand apart from its name, where nobody counts it. Nearly nobody writes so."""
    if isinstance(raw, bytes):
        if not any(b'"' + space.encode() in raw for space in _SPACES):
            return False
        raw = raw.decode("latin-1")  # one character for each byte
    return _APART.search(raw) is not None


def _names_in(value: Any) -> int:
    """How many names all objects in it have. Without recursion: orjson reads values nested too deeply for it."""
    names, pending = 0, [value]
    while pending:
        item = pending.pop()
        if type(item) is dict:
            names += len(item)
            pending += [inner for inner in item.values() if type(inner) in _NESTED]
        elif type(item) is list:
            pending += [inner for inner in item if type(inner) in _NESTED]
    return names


def dump_line(value: Any) -> bytes:
    """One JSON value as a line of NDJSON, whatever texts it holds."""
    try:
        return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)
    except (TypeError, ValueError, RecursionError):  # lone surrogates, numbers beyond 64 bits
        return json.dumps(value).encode() + b"\n"


def _finite(text: str) -> float:
    number = float(text)
    return number if number not in (float("inf"), float("-inf")) else _no_number(text)


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


# --- Words for refusals ------------------------------------------------------------------------------------------


def named(value: object) -> str:
    """The kind of a JSON value, for error messages."""
    names = {type(None): "null", list: "a list", dict: "an object", str: "text", bool: "true or false"}
    return names.get(type(value), "a number")


def shown(value: object) -> str:
    """The beginning of a value, for error messages."""
    return repr(clean(value[:40])) if isinstance(value, str) else named(value)


def _quoted(value: object, name: str) -> str:
    """The beginning of an error message about a value: its name, unless that is `IT`, and how it begins."""
    return shown(value) if name == IT else f"{name} {shown(value)}"
