"""Rows that are read fast are what `read_line` and `read_value` make of them, one by one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from messaging_app import incoming, row_reader
from messaging_app.batch import SENDERS, read_line, read_value
from messaging_app.row_reader import rows_of_lines, rows_of_values

GOOD: dict[str, Any] = {
    "message_id": "m1",
    "account_id": "a",
    "shop_id": "s",
    "sender_type": "customer",
    "content": "您好，什么时候发货？\n",
    "timestamp": "2026-03-01T08:00:00Z",
}
WHOLE = GOOD | {"platform": "web", "sender_id": "7", "sender_name": "Ann", "is_robot": True, "epoch": 3}
IDS: tuple[Any, ...] = (
    "m1", " m1 ", "m 1", "m\x001", "m\u200b1", "e\u0301", "é", "\ud800", "", " ", "x" * 191, "x" * 192, "\x7f", "m\n",
    None, 7, 1.5, True, [], {}, ["m1"],
)  # fmt: skip
TEXTS: tuple[Any, ...] = (
    "x", "", " ", "\x00", "half \ud83d", "\ud83d\ude00", "é", "x" * 65_536, "x" * 65_537, "您" * 65_536, None, 7, True, [], {"a": 1},
)  # fmt: skip
TIMES: tuple[Any, ...] = (
    "2026-03-01T08:00:00Z", "2026-03-01T08:00:00.5Z", "2026-03-01T08:00:00.123456Z", "2026-03-01T08:00:00.1234567Z",
    "2026-03-01t08:00:00z", "2026-03-01 08:00:00Z", "2026-03-01T08:00:00+08:00", "2026-03-01T08:00:00", "2026-03-01T08:00Z",
    "2026-02-30T08:00:00Z", "2026-03-01T24:00:00Z", "2026-03-01T23:60:00Z", "2026-03-01T23:59:60Z", "1999-12-31T23:59:59Z",
    "2000-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-W09-7T08:00:00Z", "2026-03-01", "٢026-03-01T08:00:00Z",
    "2026-03-01T08:00:00Z\n", "2026-03-01T08:00:00,5Z", "", None, 17, [], {},
)  # fmt: skip
VALUES: dict[str, tuple[Any, ...]] = {
    "message_id": IDS,
    "account_id": IDS,
    "shop_id": IDS,
    "platform": (*IDS, "x" * 64, "x" * 65),
    "sender_type": ("customer", "bot", "agent", "shop", "Customer", "system", "", None, 7, [], {}),
    "content": TEXTS,
    "timestamp": TIMES,
    "sender_id": IDS,
    "sender_name": (*IDS, "A\nB", "\u202eA", "x" * 201),
    "is_robot": (True, False, None, 1, "true", []),
    "epoch": (3, 0, -1, True, 2.5, None, "3", 2**63, 2**70),
    "anything": (1, None, {"a": {"b": 1}}, [[1]], "x"),
}
ROWS: list[Any] = [
    GOOD,
    WHOLE,
    *({**base, name: value} for base in (GOOD, WHOLE) for name, values in VALUES.items() for value in values),
    *({key: value for key, value in base.items() if key != left} for base in (GOOD, WHOLE) for left in base),
    {key: value for key, value in GOOD.items() if key != "content"} | {"contents": "x"},
    *(None, 7, "text", [], list(GOOD), {}, [GOOD]),
]


def read_one_by_one(rows: list[Any]) -> list[Any]:
    return [read_value(number, value) for number, value in enumerate(rows, 5)]


def test_each_row_is_read_as_it_is_by_itself() -> None:
    assert list(rows_of_values(ROWS, 5)) == read_one_by_one(ROWS)


LINES = [
    *(json.dumps(value, ensure_ascii=is_ascii).encode("utf-8", "surrogatepass") for value in ROWS for is_ascii in (True, False)),
    *(b"", b" \n", b"{", b"\xef\xbb\xbf", b"\xef\xbb\xbf" + json.dumps(GOOD).encode(), b"NaN", b"\xff"),
    json.dumps(GOOD).encode()[:-1] + b', "content": "other"}',
    json.dumps(GOOD).encode()[:-1] + b', "content" : "other"}',
    json.dumps(GOOD).encode()[:-1] + b', "more": {"a": 1, "a": 2}}',
    json.dumps(GOOD | {"content": 'he said "x":'}).encode(),
]  # fmt: skip


def test_each_line_is_read_as_it_is_by_itself() -> None:
    assert list(rows_of_lines(LINES, 5)) == [read_line(number, raw) for number, raw in enumerate(LINES, 5)]


@pytest.mark.parametrize("row", [GOOD, WHOLE], ids=["what is needed", "all that may be there"])
def test_what_a_program_sends_as_a_rule_is_read_fast(row: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    expected = read_value(1, row)
    monkeypatch.setattr(row_reader, "read_value", None)
    assert list(rows_of_values([row])) == [expected]


def test_the_key_of_a_conversation_is_remembered_as_it_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [GOOD | {"shop_id": " s "}, GOOD, GOOD | {"shop_id": " s "}, GOOD | {"account_id": "b"}]
    assert [row.conversation for row in rows_of_values(rows)] == [  # type: ignore[union-attr]
        ("default", "s", "a"), ("default", "s", "a"), ("default", "s", "a"), ("default", "s", "b"),
    ]  # fmt: skip
    monkeypatch.setattr(row_reader, "_MOST_KEYS", 1)
    assert list(rows_of_values(ROWS, 5)) == read_one_by_one(ROWS)


MUTANTS: dict[str, tuple[Any, str, Any]] = {
    "no id is looked at": (row_reader, "_is_plain_id", lambda text: True),
    "no text is looked at": (row_reader, "_is_plain_text", lambda text: True),
    "no text has to be clean": (incoming, "is_clean", lambda text: True),
    "another sender counts": (row_reader, "SENDERS", SENDERS | {"system"}),
    "no key is checked": (row_reader, "_key", lambda platform, shop_id, account_id, keys: (platform, shop_id, account_id)),
}  # fmt: skip


@pytest.mark.parametrize("mutant", MUTANTS)
def test_without_one_of_its_checks_it_would_read_something_else(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*MUTANTS[mutant])
    assert list(rows_of_values(ROWS, 5)) != read_one_by_one(ROWS)


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2, "b" : 3}', '{"a" \n: 1, "a": 2}', '[{"a": 1, "a": 2}, {"b"\t: 3}]'])
def test_a_name_that_stands_twice_is_noticed_whatever_stands_between_name_and_colon(text: str) -> None:
    for raw in (text, text.encode()):
        with pytest.raises(ValueError, match="twice"):
            incoming.load_json(raw)


@pytest.mark.parametrize("text", ['{"a" : 1, "b": {"c"\n: "d : \\" :"}}', '{"a": "x\\" : y"}', '{\n  "a": "b"\n}'])
def test_a_colon_that_stands_apart_is_read_all_the_same(text: str) -> None:
    assert incoming.load_json(text) == incoming.load_json(text.encode()) == json.loads(text)


def test_a_name_that_stands_twice_is_found_however_many_others_there_are() -> None:
    assert incoming.load_json(b'{"a": 1, "b": {"c": 2}}') == {"a": 1, "b": {"c": 2}}
    with pytest.raises(ValueError, match="stands twice"):
        incoming.load_json(b'{"a": 1, "b": 3, "a": 2}')
