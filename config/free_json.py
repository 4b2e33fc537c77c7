"""Free-form JSON of callers: bounded, and refused where a database or a response cannot hold it. Pure.

`check` is for whatever a caller sends, `checked_object` for a free-form field. Doors, verbs, admin forms and models use
the same functions. `readable` is for rows that were stored before these checks: no stored value may break a page.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from config.errors import Malformed

MAX_DEPTH = 16
"""Levels of objects and lists within each other."""
MAX_BYTES = 64 * 1024
"""Bytes of one field, as JSON in UTF-8."""
MAX_KEYS = 1000
"""Names in all objects of one field together."""
MAX_KEY = 200
"""Characters of a key's name."""

_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
"""NUL, which PostgreSQL cannot hold, and half a pair of surrogates, which UTF-8 cannot."""
_LARGEST = 2**63
_SUSPECT = re.compile(r"\\u0000|\\ud[89a-f]|\d{19}|[eE]\+?\d{3}|NaN|Infinity", re.IGNORECASE)
"""Finds what may be unreadable in stored JSON, which must then be parsed to know."""


class Unstorable(ValueError):
    """`place` is where: `context.k[3]`. `reason` is what is wrong there; it repeats nothing of the value."""

    def __init__(self, place: str, reason: str) -> None:
        self.place, self.reason = place, reason
        super().__init__(f"{place}: {reason}")


def is_storable(text: str) -> bool:
    return not _UNSTORABLE.search(text)


def visible(text: str) -> str:
    """A caller's own name as a response can hold it: cut at 60 characters, those that cannot be stored as escapes."""
    return _UNSTORABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text[:60])


def checked_text(text: str, place: str) -> str:
    """A text that a database can hold. Raises `Malformed`, whose `errors` name the place."""
    try:
        check(text, place)
    except Unstorable as error:
        raise malformed(error) from None
    return text


def check(value: Any, place: str) -> None:
    """Any JSON, as `json.loads` reads it. Raises `Unstorable`."""
    _check(value, place, 0)


def _check(value: Any, place: str, depth: int) -> None:
    if isinstance(value, str):
        if not is_storable(value):
            raise Unstorable(place, "Text holds no character NUL and no half of a surrogate pair.")
    elif isinstance(value, dict | list):
        if depth == MAX_DEPTH:
            raise Unstorable(place, f"At most {MAX_DEPTH} objects and lists within each other.")
        for within, item in _members(value, place):
            _check(item, within, depth + 1)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise Unstorable(place, "A number must be finite.")
    elif isinstance(value, int):
        if not -_LARGEST <= value < _LARGEST:
            raise Unstorable(place, "A whole number has at most 64 bits.")
    elif value is not None:
        raise Unstorable(place, "This is no JSON.")


def _members(value: dict[Any, Any] | list[Any], place: str) -> Iterator[tuple[str, Any]]:
    """The members of an object or list, each with its place. Raises `Unstorable` for a name."""
    if isinstance(value, list):
        yield from ((f"{place}[{number}]", item) for number, item in enumerate(value))
        return
    for name, item in value.items():
        within = f"{place}.{visible(str(name))}" if place else visible(str(name))
        if not isinstance(name, str) or not is_storable(name):
            raise Unstorable(within, "A name holds no character NUL and no half of a surrogate pair.")
        yield within, item


def check_bounds(value: Any, place: str) -> None:
    """Check a free-form field: `check`, and its size. Raises `Unstorable`."""
    check(value, place)
    names = list(_names(value))
    if len(names) > MAX_KEYS:
        raise Unstorable(place, f"At most {MAX_KEYS} names.")
    if long := next((name for name in names if len(name) > MAX_KEY), None):
        raise Unstorable(f"{place}.{visible(long)}", f"A name has at most {MAX_KEY} characters.")
    if (bytes_ := size(value)) > MAX_BYTES:
        raise Unstorable(place, f"At most {MAX_BYTES:,} bytes as JSON; these are {bytes_:,}.")


def size(value: Any) -> int:
    """Bytes of the value as JSON without spaces."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def count_names(value: Any) -> int:
    """How many names all objects in it have together."""
    return sum(1 for _ in _names(value))


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _names(item)


def checked_object(value: Any, place: str) -> dict[str, Any]:
    """A free-form object, for a verb; None is an empty one. Raises `Malformed`, whose `errors` name the place."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise malformed(Unstorable(place, "Send an object."))
    try:
        check_bounds(value, place)
    except Unstorable as error:
        raise malformed(error) from None
    return value


def malformed(error: Unstorable) -> Malformed:
    return Malformed(str(error), errors={error.place: [error.reason]})


class Twice(ValueError):
    """One object has the same name twice."""


def loads(text: str) -> Any:
    """JSON in which no object has a name twice: parsers disagree on which one counts. Raises `ValueError`.

    Numbers that are none (`NaN`, `1e999`) are left for `check`, which names their place.
    """
    try:
        return json.loads(text, object_pairs_hook=once_each)
    except (json.JSONDecodeError, Twice):
        raise
    except ValueError:  # more digits than Python turns into a number
        raise ValueError("a whole number has at most 64 bits") from None


def once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise Twice(f'the name "{visible(twice)}" stands twice in one object')
    return members


# --- What is stored already --------------------------------------------------------------------------------------


def is_suspect(stored: str) -> bool:
    """Whether stored JSON needs `readable` before it is shown. Quick; if it is wrong, then by saying yes."""
    return stored.count("[") + stored.count("{") > MAX_DEPTH or _SUSPECT.search(stored) is not None


def readable(value: Any, depth: int = 0) -> Any:
    """The value with what cannot be shown replaced: U+FFFD for a character, null for a number or what is too deep."""
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, dict | list):
        if depth >= 2 * MAX_DEPTH:  # a context package nests a caller's field in its own object
            return None
        if isinstance(value, dict):
            return {readable(name): readable(item, depth + 1) for name, item in value.items()}
        return [readable(item, depth + 1) for item in value]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if -_LARGEST <= value < _LARGEST else None
