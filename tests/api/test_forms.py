"""What is not of the documented form is refused and told where, rather than guessed at."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from tests.api.world import Caller, agent, program
from tests.cast import Cast

pytestmark = pytest.mark.django_db


@pytest.fixture
def bot(cast: Cast) -> Caller:
    return program(cast, "bargain")


def wrong(answer: Any) -> dict[str, Any]:
    """What is wrong, by field."""
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed"), answer.content
    errors: dict[str, Any] = answer.json().get("errors", {})
    return errors


# --- Bodies ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("reason", 5),
        ("reason", True),
        ("reason", ["a"]),
        ("priority", "3"),
        ("priority", True),
        ("priority", 3.5),
        ("robot", "true"),
        ("robot", 1),
        ("conversation_id", 17),
        ("context", "a"),
        ("unknown", 1),
    ],
)
def test_a_value_of_another_type_is_refused(bot: Caller, field: str, value: Any) -> None:
    assert list(wrong(bot.post("sessions", {"shop_id": "s", "account_id": "a", field: value}))) == [field]


def test_a_list_is_looked_into(bot: Caller) -> None:
    flow = {"trigger_id": "t", "question": "Which?"}
    assert list(wrong(bot.post("flows", flow | {"missing_info": ["size", 5]}))) == ["missing_info"]
    assert bot.post("flows", flow | {"missing_info": ["size"]}).status_code == 201


def test_a_whole_number_may_be_written_with_a_point(bot: Caller) -> None:
    opened = bot.client.post(
        "/api/v1/sessions",
        '{"shop_id": "s", "account_id": "a", "task": "negotiation", "priority": 2.0}',
        content_type="application/json",
    )
    assert opened.status_code == 201


def test_a_body_is_an_object_of_some_size_and_depth(bot: Caller, settings: Any) -> None:
    def sends(body: str) -> Any:
        return bot.client.post("/api/v1/sessions", body, content_type="application/json")

    for body in ("[]", '"text"', "{", "[" * 100_000, '{"reason": NaN}'):
        wrong(sends(body))
    settings.MAX_BODY_BYTES = 100
    answer = sends('{"reason": "' + "a" * 100 + '"}')
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


# --- Lists -------------------------------------------------------------------------------------------------------


def test_a_limit_is_kept_to_and_not_guessed(cast: Cast, bot: Caller) -> None:
    for account in "abc":
        cast.chat(account).robot(cast.bargain)
    page = bot.get("sessions", limit="2").json()
    assert len(page["results"]) == 2
    assert len(bot.client.get(page["next"]).json()["results"]) == 1
    for limit in ("0", "201", "-1", "two", "", "1e1"):
        assert list(wrong(bot.get("sessions", limit=limit))) == ["limit"]


LISTS = ("sessions", "conversations", "conversations/{}/messages", "conversations/{}/timeline", "labels", "agents")


@pytest.mark.parametrize(
    "inside", ["p=abc", "p=%00", "o=x", "r=x&p=1", "\0\0\0", "[]", "a", "o=1", "r=1", "p=", "o=1&p=abc"]
)
@pytest.mark.parametrize("path", LISTS)
def test_a_cursor_of_nobodys_making_is_refused(cast: Cast, path: str, inside: str) -> None:
    """Also one that says nothing of a place: who follows it would begin anew, and read everything twice."""
    cursor = b64encode(inside.encode()).decode()
    assert list(wrong(agent(cast, "ann").get(path.format(cast.chat().id), cursor=cursor))) == ["cursor"]


@pytest.mark.parametrize("cursor", ["AAAA", "\0", "[]", "!", "=", "%", " ", "cD0x\n[]"])
@pytest.mark.parametrize("path", LISTS)
def test_a_damaged_cursor_is_refused(cast: Cast, path: str, cursor: str) -> None:
    assert list(wrong(agent(cast, "ann").get(path.format(cast.chat().id), cursor=cursor))) == ["cursor"]


@pytest.mark.parametrize("path", LISTS)
def test_an_empty_cursor_is_the_first_page(cast: Cast, path: str) -> None:
    assert agent(cast, "ann").get(path.format(cast.chat().id), cursor="").status_code == 200


def test_a_cursor_beyond_all_rows_finds_none(cast: Cast, bot: Caller) -> None:
    cast.chat().robot(cast.bargain)
    beyond = b64encode(b"r=1&p=" + b"9" * 40).decode()
    assert bot.get("sessions", cursor=beyond).json()["results"] == []


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("sessions", {"conversation_id": ""}),
        ("sessions", {"conversation_id": "abc"}),
        ("sessions", {"status": "GONE"}),
        ("conversations", {"mine": "perhaps"}),
        ("conversations", {"mine": ""}),
        ("conversations", {"needs_human": "1"}),
        ("conversations", {"agent_id": "9" * 30}),
        ("conversations", {"owner_kind": "nobody"}),
        ("conversations/availability", {"shop_id": "s"}),
        ("conversations/availability", {"shop_id": "s", "account_id": "a" * 200}),
    ],
)
def test_a_filter_that_says_nothing_is_refused(bot: Caller, path: str, query: dict[str, str]) -> None:
    named = next(iter(query)) if "availability" not in path else "account_id"
    assert list(wrong(bot.get(path, **query))) == [named]


@pytest.mark.parametrize("key", ["", " ", "a b", "a" * 192, "ключ"])
def test_an_idempotency_key_is_visible_ascii(bot: Caller, key: str) -> None:
    answer = bot.post("sessions/heartbeat", **{"Idempotency-Key": key})
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")
