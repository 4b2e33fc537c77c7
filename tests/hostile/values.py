"""What strangers send: times from year 1 to 9999, ids, texts and free JSON of every kind. Seeded, so that a day repeats.

Nothing here knows what is right: the doors decide, and `tests.hostile.day` looks at what they did.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from config import limits

TIMES: tuple[Any, ...] = (
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:10Z",
    "0001-01-01T00:00:00+14:00",
    "1969-12-31T23:59:59Z",
    "1999-12-31T23:59:59Z",
    "2000-01-01T00:00:00Z",
    "2066-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "9999-12-31T23:59:59-23:59",
    "2026-W48-6",
    "2026-333",
    "2026-02-30T00:00:00Z",
    "2026-11-28",
    "20261128T101112Z",
    "2026-11-28T24:00:00Z",
    "2026-11-28T23:59:60Z",
    "２０２６-11-28T10:00:00Z",
    "yesterday",
    "",
    " ",
    "\x00",
    "\ud800",
    1_700_000_000,
    -1,
    1.5,
    True,
    None,
    [],
    {},
)

IDS: tuple[Any, ...] = (
    "",
    " ",
    "0",
    "-1",
    "1",
    "1.0",
    "1e3",
    "9" * 18,
    "9" * 40,
    "𝟙",
    "x",
    " x ",
    "x\u0000y",
    "\u200b",
    "\ufeff",
    "\ud800",
    "e\u0301",
    "\u00e9",
    "a" * 191,
    "a" * 192,
    "a" * 5_000,
    "../../etc",
    "' OR 1=1 --",
    "%s%n{0}",
    "\u202eabc",
    0,
    -1,
    1.5,
    2**70,
    True,
    None,
    [],
    {},
)

TEXTS: tuple[Any, ...] = (
    "",
    " ",
    "Hello?",
    "How much is the lamp?",
    "I want a human, please.",
    "\x00",
    "a\x00b",
    "\ud800",
    "x\udfff",
    "\ufeffHello",
    "Z" * 20_001,
    "語" * limits.MAX_CONTENT,
    "語" * (limits.MAX_CONTENT + 1),
    "a\u0301" * 500,
    "\u202eevil",
    "<script>alert(1)</script>",
    "{{ 7 * 7 }} {% debug %}",
    "%(name)s %s {0}",
    "\r\n\r\n",
    "\u2028",
    7,
    True,
    None,
    [],
    {},
)

RAW = (
    "",
    "null",
    "[]",
    "{",
    '{"a":1e999}',
    '{"a":NaN}',
    '{"a":-Infinity}',
    '{"content":"x","content":"y"}',
    '{"a":' * 3_000 + "1" + "}" * 3_000,
    "[" * 100_000,
    "\ufeff{}",
    '"\\ud800"',
    '{"\\u0000":1}',
)
"""Bodies that no encoder makes."""

SECONDS_APART = 420
"""Rows of the cuts are multiples of this apart, so that none is within seconds of the gap of 30 minutes."""


class Stranger:
    """One seeded source of all that is sent."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def one_of(self, *values: Any) -> Any:
        return self.random.choice(values)

    def sometimes(self, share: float) -> bool:
        return self.random.random() < share

    def time(self, now: datetime) -> Any:
        """Any time of any year, or what is none; every other one within two days."""
        if self.sometimes(0.5):
            return _iso(now + timedelta(seconds=self.random.randint(-172_800, 7_200)))
        if self.sometimes(0.5):
            return self.random.choice(TIMES)
        year, day = self.random.randint(1, 9999), self.random.randint(0, 364)
        moment = datetime(year, 1, 1, tzinfo=UTC) + timedelta(days=day if year < 9999 else 0)
        return _iso(moment)

    def id(self) -> Any:
        return self.random.choice(IDS)

    def text(self) -> Any:
        return self.random.choice(TEXTS)

    def json(self, depth: int = 0) -> Any:
        """Free JSON, as deep as twelve and now and then a hundred times that."""
        if depth == 0 and self.sometimes(0.03):
            return _nested(self.one_of(30, 200, 900))
        kind = self.random.random()
        if depth < 12 and kind < 0.3:
            return {self._key(): self.json(depth + 1) for _ in range(self.random.randint(0, 4))}
        if depth < 12 and kind < 0.4:
            return [self.json(depth + 1) for _ in range(self.random.randint(0, 4))]
        return self.one_of(self.text(), self.id(), 0, -1, 2**63, 2**70, 1.5, 1e308, float("nan"), float("inf"), None)

    def _key(self) -> str:
        return str(
            self.one_of("k", "suggestion", "promises", "urgency", "", "\x00", "\ud800", "k" * 3_000, "é", "e\u0301")
        )


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"k": value}
    return value


def encoded(value: Any) -> str:
    """JSON as a careless client writes it: lone surrogates escaped, NaN and Infinity as words."""
    return json.dumps(value)


def from_schema(stranger: Stranger, schema: dict[str, Any], parts: dict[str, Any], known: Callable[[str], Any]) -> Any:
    """A body for a schema of the API's document, of which about every third value is of another kind.

    `known` gives a value that names something that exists, by the property's name, or None.
    """
    schema = _resolved(schema, parts)
    if stranger.sometimes(0.02):
        return stranger.json()
    made: dict[str, Any] = {}
    for name, part in schema.get("properties", {}).items():
        is_wanted = name in schema.get("required", ())
        if not is_wanted and stranger.sometimes(0.6):
            continue
        made[name] = _value(stranger, name, _resolved(part, parts), parts, known)
    if stranger.sometimes(0.03):
        made[str(stranger.id())] = stranger.json()
    return made


def _value(
    stranger: Stranger, name: str, schema: dict[str, Any], parts: dict[str, Any], known: Callable[[str], Any]
) -> Any:
    if stranger.sometimes(0.25):
        return stranger.one_of(stranger.text(), stranger.id(), stranger.json())
    if (given := known(name)) is not None:
        return given
    if "enum" in schema:
        return stranger.one_of(*schema["enum"])
    kinds = schema.get("type", "object")
    kind = kinds[0] if isinstance(kinds, list) else kinds
    if kind == "boolean":
        return stranger.sometimes(0.5)
    if kind in ("integer", "number"):
        least, most = schema.get("minimum", -1), schema.get("maximum", 100)
        return stranger.one_of(least, most, least - 1, most + 1, 1, 2)
    if kind == "array":
        item = _resolved(schema.get("items", {}), parts)
        return [_value(stranger, name, item, parts, known) for _ in range(stranger.one_of(0, 1, 2, 300))]
    if kind == "object":
        return stranger.json() if "properties" not in schema else from_schema(stranger, schema, parts, known)
    return stranger.one_of("Hello?", "A reason.", stranger.text(), stranger.id())


def _resolved(schema: dict[str, Any], parts: dict[str, Any]) -> dict[str, Any]:
    while True:
        if "$ref" in schema:
            schema = parts[schema["$ref"].rpartition("/")[2]]
        elif choices := schema.get("allOf") or schema.get("oneOf") or schema.get("anyOf"):
            schema = {
                **choices[0],
                **{key: value for key, value in schema.items() if key not in ("allOf", "oneOf", "anyOf")},
            }
        else:
            return schema
