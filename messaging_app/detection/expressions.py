"""From a regular expression, as Python reads it, to one that RE2 matches in time linear in the text.

RE2's word boundary looks at ASCII alone. So the text it meets is spelt for it (`spelled`): each letter beyond ASCII
becomes five capital letters, which normalised text never holds, and an expression is written in the same letters. Then
`\\b`, `\\w` and every class of characters mean what they mean to Python, in every language. The first of the five is
one of A to J, the others are of K to Z: no match begins or ends inside a letter.

What RE2 cannot express is refused: look-ahead, look-behind, references to groups, possessive repetitions. A part of an
expression may be named `(?P<match>…)`: then the rest must match too, and does not belong to the result.

Pure: no Django, no database.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import pairwise
from typing import Any

import re2

MAX_REPEAT = 1000
"""The most times that RE2 repeats something, counted through repetitions inside of one another."""
MAX_MEMORY = 1 << 20
"""Bytes that one compiled expression takes at most, with its cache of states."""
MAX_PROGRAM = 5_000
"""Instructions of one compiled expression: a letter of a text costs at most so many. The largest default has 703."""
MATCH = "match"
"""The name of the group that holds the result, where that is not the whole match."""

# `sre_parse` under its present name: the only way to the syntax tree of Python's own parser.
_parser: Any = import_module("re._parser")

type Ranges = list[tuple[int, int]]
"""A set of characters: ranges of code points, both ends included, in order and apart from each other."""

_LEADS, _FOLLOWERS = "ABCDEFGHIJ", "KLMNOPQRSTUVWXYZ"
_LENGTH = 5
_ANY = "[A-J]" + "[K-Z]" * 4  # written out: RE2 counts repetitions
_BEYOND_ASCII = (0x80, len(_LEADS) * 16 ** (_LENGTH - 1) - 1)  # to 0x9FFFF; Unicode's letters end below 0x40000
_EVERY = (0, 0x10FFFF)
_CAPITALS = (ord("A"), ord("Z"))
_FOLDED = 2048  # characters of a range that are looked at for capitals; longer ones are whole scripts

_BOUNDARIES = {
    "AT_BEGINNING": r"\A",
    "AT_BEGINNING_STRING": r"\A",
    "AT_END": r"\z",
    "AT_END_STRING": r"\z",
    "AT_BOUNDARY": r"\b",
    "AT_NON_BOUNDARY": r"\B",
}


class Refused(Exception):
    """An expression that cannot be used, and the reason."""

    LOOKS_AROUND, REFERS_BACK, KEEPS_HOLD = "looks around", "refers back", "keeps hold"
    ONLY_ASCII, REPEATS, TOO_LARGE = "only ASCII", "repeats", "too large"

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


_REFUSED = {
    "ASSERT": Refused.LOOKS_AROUND,
    "ASSERT_NOT": Refused.LOOKS_AROUND,
    "GROUPREF": Refused.REFERS_BACK,
    "GROUPREF_EXISTS": Refused.REFERS_BACK,
    "ATOMIC_GROUP": Refused.KEEPS_HOLD,
    "POSSESSIVE_REPEAT": Refused.KEEPS_HOLD,
}


# --- Texts -------------------------------------------------------------------------------------------------------


class Spelling(dict[int, str | int]):
    """How characters are spelled: those beyond ASCII for which `is_spelled` is true. Each is computed once."""

    def __init__(self, is_spelled: Callable[[str], bool]) -> None:
        super().__init__()
        self._is_spelled = is_spelled
        self._sizes: dict[str, int] = {}

    def __missing__(self, code: int) -> str | int:
        """For `str.translate`."""
        spell = _BEYOND_ASCII[0] <= code <= _BEYOND_ASCII[1] and self._is_spelled(chr(code))
        self[code] = value = _spelling(code) if spell else code
        return value

    def spell(self, character: str) -> str:
        return character.translate(self)

    def size(self, character: str) -> int:
        """The bytes of one character."""
        return 1 if character.isascii() else len(self.spelled(character))

    def spelled(self, text: str) -> bytes:
        """A text as RE2 meets it. Half of a surrogate pair, which no database holds, becomes a question mark."""
        return (text if text.isascii() else text.translate(self)).encode(errors="replace")


def _spelling(code: int) -> str:
    return _LEADS[code >> 16] + "".join(_FOLLOWERS[code >> shift & 15] for shift in (12, 8, 4, 0))


# --- Sets of characters ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Characters:
    """A set of characters: those that stand in a spelled text as they are, and those that are spelled."""

    plain: Ranges
    letters: Ranges

    def __or__(self, other: Characters) -> Characters:
        return Characters(_merged([*self.plain, *other.plain]), _merged([*self.letters, *other.letters]))

    def __invert__(self) -> Characters:
        return Characters(_missing(self.plain, _EVERY), _missing(self.letters, _BEYOND_ASCII))

    def source(self) -> str:
        """One of these characters, as an expression over spelled text."""
        below, above = (0, _CAPITALS[0] - 1), (_CAPITALS[1] + 1, _EVERY[1])
        plain = [*_clipped(self.plain, below), *_clipped(self.plain, above)]
        choices = [_class(plain)] if plain else []
        letters = _clipped(self.letters, _BEYOND_ASCII)
        choices += [_ANY] if letters == [_BEYOND_ASCII] else [way for part in letters for way in _ways_to_spell(*part)]
        if not choices:
            return r"[^\x00-\x{10FFFF}]"  # nothing
        return choices[0] if len(choices) == 1 else f"(?:{'|'.join(choices)})"


def _merged(ranges: Iterable[tuple[int, int]]) -> Ranges:
    merged: Ranges = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = merged[-1][0], max(last, merged[-1][1])
        else:
            merged.append((first, last))
    return merged


def _clipped(ranges: Ranges, ends: tuple[int, int]) -> Ranges:
    clipped = [(max(first, ends[0]), min(last, ends[1])) for first, last in ranges]
    return [(first, last) for first, last in clipped if first <= last]


def _missing(ranges: Ranges, ends: tuple[int, int]) -> Ranges:
    """The code points between two ends that are not in the ranges."""
    edges = [(0, ends[0] - 1), *_clipped(ranges, ends), (ends[1] + 1, 0)]
    return [(before[1] + 1, after[0] - 1) for before, after in pairwise(edges) if before[1] + 1 < after[0]]


def _class(ranges: Ranges) -> str:
    parts = "".join(map(_class_part, ranges))
    return parts if len(ranges) == 1 and ranges[0][0] == ranges[0][1] else f"[{parts}]"


def _class_part(part: tuple[int, int]) -> str:
    first, last = part
    return _code_point(first) if first == last else f"{_code_point(first)}-{_code_point(last)}"


def _code_point(code: int) -> str:
    character = chr(code)
    return character if character.isascii() and character.isalnum() else f"\\x{{{code:X}}}"


def _ways_to_spell(first: int, last: int) -> Iterator[str]:
    """The spellings of a range of letters, as few expressions as its ends allow: [A-J][K-Z]{4} for all of them."""
    for place in range(1, _LENGTH):
        rest = 16**place - 1
        if first & ~rest != last & ~rest:
            if first & rest:
                yield from _ways_to_spell(first, first | rest)
                yield from _ways_to_spell((first | rest) + 1, last)
                return
            if last & rest != rest:
                yield from _ways_to_spell(first, (last & ~rest) - 1)
                yield from _ways_to_spell(last & ~rest, last)
                return
    pairs = zip(_spelling(first), _spelling(last), strict=True)
    yield "".join(a if a == b else f"[{a}-{b}]" for a, b in pairs)


def _span(first: int, last: int) -> Characters:
    return Characters([(first, last)], _clipped([(first, last)], _BEYOND_ASCII))


def _one(code: int) -> Characters:
    """A character with its small form, because normalised text has no capitals."""
    codes = {code, *(ord(small) for small in (chr(code).lower(), chr(code).casefold()) if len(small) == 1)}
    spelled_ones = [(code, code) for code in codes if code >= _BEYOND_ASCII[0] and chr(code).isalnum()]
    return Characters(_merged((c, c) for c in codes if (c, c) not in spelled_ones), _merged(spelled_ones))


@cache
def _literal(code: int) -> str:
    return _one(code).source()


def _range(first: int, last: int) -> Characters:
    characters = _span(first, last)
    if last - first < _FOLDED:
        for code in range(first, last + 1):
            if chr(code) != chr(code).lower():
                characters |= _one(code)
    return characters


@cache
def _named(name: str) -> Characters:
    """A class by its name in the parser: digits, white space, word characters, or all others."""
    if name.startswith("CATEGORY_NOT_"):
        return ~_named(name.replace("NOT_", "", 1))
    if name == "CATEGORY_SPACE":
        return Characters([(0x09, 0x0D), (0x1C, 0x20)], [])  # normalised text has no other
    if name == "CATEGORY_DIGIT":
        decimals = (code for code in range(_BEYOND_ASCII[0], 0x20000) if chr(code).isdecimal())
        return Characters([(0x30, 0x39)], _merged((code, code) for code in decimals))
    return Characters([(0x30, 0x39), (0x5F, 0x5F), (0x61, 0x7A)], [_BEYOND_ASCII])


# --- Expressions -------------------------------------------------------------------------------------------------


def translated(source: str) -> str:
    """The same expression for RE2, over spelled text. Raises `Refused` and what Python's own parser raises."""
    tree = _parser.parse(source, re.IGNORECASE)
    if tree.state.flags & re.ASCII:
        raise Refused(Refused.ONLY_ASCII)
    return _sequence(tree, tree.state.groupdict.get(MATCH))


def _sequence(tree: Any, match: int | None) -> str:
    return "".join(_item(str(operation), argument, match) for operation, argument in tree)


def _item(operation: str, argument: Any, match: int | None) -> str:
    if operation in _REFUSED:
        raise Refused(_REFUSED[operation])
    if operation == "AT":
        return _BOUNDARIES[str(argument)]
    if operation == "BRANCH":
        return f"(?:{'|'.join(_sequence(choice, match) for choice in argument[1])})"
    if operation == "SUBPATTERN":
        group, added, _, body = argument
        if added & re.ASCII:
            raise Refused(Refused.ONLY_ASCII)
        return f"{'(' if group is not None and group == match else '(?:'}{_sequence(body, match)})"
    if operation in {"MAX_REPEAT", "MIN_REPEAT"}:
        least, most, body = argument
        return _repeated(least, most, _sequence(body, match)) + ("?" if operation == "MIN_REPEAT" else "")
    return _character(operation, argument)


def _repeated(least: Any, most: Any, body: str) -> str:
    once = f"(?:{body})"
    if most == _parser.MAXREPEAT:
        if int(least) > MAX_REPEAT:
            raise Refused(Refused.REPEATS)
        return once + {0: "*", 1: "+"}.get(int(least), f"{{{int(least)},}}")
    if int(most) > MAX_REPEAT:
        raise Refused(Refused.REPEATS)
    return once + f"{{{int(least)},{int(most)}}}"


def _character(operation: str, argument: Any) -> str:
    if operation == "LITERAL":
        return _literal(argument)
    if operation == "NOT_LITERAL":
        return (~_one(argument)).source()
    if operation == "ANY":
        return (~_one(ord("\n"))).source()
    assert operation == "IN", operation
    characters = Characters([], [])
    for kind, value in argument:
        if str(kind) == "LITERAL":
            characters |= _one(value)
        elif str(kind) == "RANGE":
            characters |= _range(*value)
        elif str(kind) == "CATEGORY":
            characters |= _named(str(value))
    return (~characters if str(argument[0][0]) == "NEGATE" else characters).source()


def compiled(source: str) -> Any:
    """An expression of `translated`, compiled. Raises `Refused` if RE2 cannot compile it, or only too large."""
    try:
        engine = re2.compile(source.encode(), options(MAX_MEMORY))
    except re2.error as error:
        reason = error.args[0] if error.args else b""
        is_repeat = b"repetition" in (reason if isinstance(reason, bytes) else str(reason).encode())
        raise Refused(Refused.REPEATS if is_repeat else Refused.TOO_LARGE) from error
    if engine.programsize > MAX_PROGRAM:
        raise Refused(Refused.TOO_LARGE)
    return engine


def options(memory: int) -> Any:
    chosen = re2.Options()
    chosen.max_mem = memory
    chosen.log_errors = False  # what it would write to the standard error is in the exception
    return chosen
