"""Rows are read, checked, deduplicated and grouped by pure functions."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from messaging_app import incoming
from messaging_app.batch import BatchRow, Rejected, Span, distinct, group, read_line

GOOD: dict[str, Any] = {
    "message_id": "m1",
    "account_id": "a",
    "shop_id": "s",
    "sender_type": "customer",
    "content": "hello",
    "timestamp": "2026-03-01T08:00:00Z",
}
GAP = timedelta(seconds=1800)
T0 = datetime(2026, 3, 1, 8, tzinfo=UTC)


def line(**changes: Any) -> bytes:
    row = {key: value for key, value in {**GOOD, **changes}.items() if value is not ...}
    return json.dumps(row).encode()


def test_a_good_row_is_read_with_its_time_in_utc() -> None:
    row = read_line(3, line(timestamp="2026-03-01T16:00:00+08:00"))
    assert isinstance(row, BatchRow)
    assert (row.line, row.sent_at, row.conversation) == (3, T0, ("default", "s", "a"))


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"{", "not JSON"),
        (b"[1]", "a row is a JSON object, not a list"),
        (b"17", "not a number"),
        (b"null", "not null"),
        (line(message_id=...), "message_id is missing"),
        (line(message_id=None), "message_id must be text, not null"),
        (line(message_id=""), "message_id is empty"),
        (line(message_id="x" * 192), "message_id is longer than 191"),
        (line(account_id=7), "account_id must be text, not a number"),
        (line(shop_id=...), "shop_id is missing"),
        (line(content=["a"]), "content must be text, not a list"),
        (line(content="x" * 65_537), "content is longer than 65536"),
        (line()[:-1] + b', "content": "other words"}', 'the name "content" stands twice in one object'),
        (line()[:-1] + b', "more": {"a": 1, "a": 2}}', 'the name "a" stands twice in one object'),
        (line(content='he said "x":')[:-1] + b', "content" : ""}', 'the name "content" stands twice in one object'),
        (line(timestamp="yesterday"), "timestamp 'yesterday' is no ISO 8601 time"),
        (line(timestamp="2018-02-30T10:00:00Z"), "is no ISO 8601 time"),
        (line(sender_type="robot"), "sender_type must be one of agent, bot, customer, shop"),
        (line(platform=""), "platform is empty"),
        (line(platform="x" * 65), "platform is longer than 64"),
    ],
)
def test_a_bad_row_is_rejected_with_its_line_and_reason(raw: bytes, reason: str) -> None:
    rejected = read_line(9, raw)
    assert isinstance(rejected, Rejected)
    assert rejected.line == 9
    assert reason in rejected.reason


@pytest.mark.parametrize("tail", ["1", r'"\ud800"', '{"a": 1, "a": 2}', "NaN"])
@pytest.mark.parametrize("depth", [200, 500, 900, 1_020, 5_000, 100_000])
@pytest.mark.parametrize("field", ["content", "sender_id", "sender_name", "epoch", "anything"])
def test_however_deep_it_is_nested_a_row_is_taken_or_rejected(field: str, depth: int, tail: str) -> None:
    deep = '[{"a":' * (depth // 2) + tail + "}]" * (depth // 2)
    raw = json.dumps({**GOOD, field: "here"}).replace('"here"', deep)
    assert isinstance(read_line(1, raw.encode()), BatchRow | Rejected)


def test_a_blank_line_is_no_row_and_no_mistake() -> None:
    assert read_line(1, b"  \n") is None


def test_a_time_without_an_offset_is_taken_for_utc() -> None:
    assert incoming.read_time("2026-03-01T08:00:00") == T0


def test_the_first_row_of_an_id_wins_in_its_platform() -> None:
    rows = [row("m", 0), row("m", 5), row("m", 9, platform="web")]
    kept, repeats, taken = distinct(rows)
    assert [(r.platform, r.sent_at) for r in kept] == [("default", T0), ("web", T0 + timedelta(seconds=9))]
    assert (repeats, taken) == (1, [])


def row(message_id: str, seconds: float, *, platform: str = "default", sender: str = "customer") -> BatchRow:
    return BatchRow(1, platform, "s", "a", message_id, sender, "text", T0 + timedelta(seconds=seconds))


@pytest.mark.parametrize(("gap", "stretches"), [(1799.999, 1), (1800, 1), (1800.001, 2)])
def test_only_more_than_the_gap_starts_a_new_stretch(gap: float, stretches: int) -> None:
    _, found = group([], [row("1", 0), row("2", gap)], GAP)
    assert len(found) == stretches


def test_a_late_row_bridges_two_sessions_that_were_found_before() -> None:
    spans = [Span("A", T0, T0), Span("B", T0 + timedelta(seconds=3000), T0 + timedelta(seconds=3100))]
    _, (stretch,) = group(spans, [row("late", 1500)], GAP)
    assert stretch.keys == ["A", "B"]
    assert (stretch.start, stretch.end) == (T0, T0 + timedelta(seconds=3100))


def test_an_opened_session_takes_what_falls_inside_it_and_is_not_stretched() -> None:
    opened = Span("opened", T0, T0 + timedelta(seconds=60), fixed=True)
    covered, stretches = group([opened], [row("before", -10), row("inside", 30), row("after", 70)], GAP)
    assert [(key, [r.message_id for r in rows]) for key, rows in covered] == [("opened", ["inside"])]
    assert [[r.message_id for r in s.rows] for s in stretches] == [["before", "after"]]


def test_an_open_session_has_no_end() -> None:
    covered, stretches = group([Span("open", T0, None, fixed=True)], [row("much later", 10**6)], GAP)
    assert covered[0][0] == "open"
    assert not stretches


def test_grouping_one_row_at_a_time_in_any_order_gives_what_grouping_at_once_gives() -> None:
    rows = [row(str(i), s) for i, s in enumerate((0, 1700, 3500, 5301, 9000))]
    _, at_once = group([], rows, GAP)
    expected = [(s.start, s.end) for s in at_once]
    for order in permutations(rows):
        spans: list[Span] = []
        for one in order:
            _, (stretch,) = group(spans, [one], GAP)
            spans = [s for s in spans if s.key not in stretch.keys]
            spans.append(Span(one.message_id, stretch.start, stretch.end))
        assert sorted((s.start, s.end) for s in spans) == expected


@pytest.mark.parametrize("seconds", [[], [0], [0, 0, 1800, 3600, 5401, 5401, 9000], [0, 1800.001, 3600.001]])
def test_rows_are_grouped_alike_whether_anything_is_there_or_not(seconds: list[float]) -> None:
    rows = [row(str(number), second) for number, second in enumerate(seconds)]
    far_away = Span("far away", T0 - timedelta(days=9), T0 - timedelta(days=8))
    assert group([], rows, GAP) == group([far_away], rows, GAP)
