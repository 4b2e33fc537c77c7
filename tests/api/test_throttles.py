"""How often one caller may call: each by itself, told in headers, whoever is unknown by address."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.world import Caller, agent, bearer, program
from tests.cast import Cast, Chat

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _three_a_minute(settings: Any) -> None:
    rates = {"caller": "3/min", "anonymous": "2/min"}
    settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"DEFAULT_THROTTLE_RATES": rates}


def _codes(caller: Caller, times: int, path: str = "teams", **headers: str) -> list[int]:
    return [caller.client.get(f"/api/v1/{path}", headers=headers).status_code for _ in range(times)]


def test_the_headers_count_down_and_then_say_how_long_to_wait(cast: Cast) -> None:
    bot = program(cast, "bargain")
    answers = [bot.get("teams") for _ in range(4)]
    assert [answer["RateLimit-Limit"] for answer in answers] == ["3"] * 4
    assert [answer["RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0"]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[3].json()["code"] == "throttled"
    assert answers[3]["Content-Type"] == "application/problem+json"
    assert 1 <= int(answers[3]["Retry-After"]) <= 61
    assert all(1 <= int(answer["RateLimit-Reset"]) <= 61 for answer in answers)


def test_nobody_uses_up_anothers(cast: Cast) -> None:
    chat, other = cast.chat(), cast.chat()
    callers = [program(cast, "bargain"), program(cast, "faq"), agent(cast, "ann"), agent(cast, "ben")]
    callers += [bearer(chat.customer), bearer(other.customer)]
    for caller in callers:
        assert _codes(caller, 4, "events") == [200, 200, 200, 429]


def test_a_new_key_is_still_the_same_caller(cast: Cast) -> None:
    _codes(program(cast, "bargain"), 3)
    assert _codes(program(cast, "bargain"), 1) == [429]


def test_a_throttled_command_does_nothing(chat: Chat) -> None:
    ann = agent(chat.cast, "ann")
    _codes(ann, 3)
    assert ann.post(f"conversations/{chat.id}/pin").status_code == 429
    assert chat.event_types == []


def test_whoever_is_unknown_is_counted_by_address(cast: Cast) -> None:
    assert _codes(Caller(), 3) == [401, 401, 429]
    assert Caller().client.get("/api/v1/teams", REMOTE_ADDR="10.1.1.1").status_code == 401
    assert _codes(program(cast, "bargain"), 1) == [200]


@pytest.mark.parametrize("secret", ["tdm_0_0", "nonsense"])
def test_who_tries_keys_and_tokens_is_counted_by_address(cast: Cast, secret: str) -> None:
    assert _codes(Caller(secret), 3) == [401, 401, 429]


def test_links_cannot_be_tried_without_end(cast: Cast) -> None:
    tries = [Caller().post("join", {"tenant": "shop", "token": f"guess-{n}"}).status_code for n in range(3)]
    assert tries == [404, 404, 429]


def test_an_address_that_somebody_claims_to_have_counts_for_nothing(cast: Cast) -> None:
    """Else everybody would have as many tries as they can think of addresses; or use up a program's."""
    who = f"{cast.tenant.pk}:bot:0:{cast.bargain.id}"
    for claimed in ("10.0.0.1", "10.0.0.2"):
        _codes(Caller(), 1, **{"X-Forwarded-For": claimed})
    assert _codes(Caller(), 1, **{"X-Forwarded-For": "10.0.0.3"}) == [429]
    _codes(Caller(), 9, **{"X-Forwarded-For": who})
    assert _codes(program(cast, "bargain"), 1) == [200]


def test_behind_a_proxy_the_address_is_the_one_the_proxy_saw(cast: Cast, settings: Any) -> None:
    settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"NUM_PROXIES": 1}
    assert _codes(Caller(), 3, **{"X-Forwarded-For": "1.1.1.1, 10.0.0.1"}) == [401, 401, 429]
    assert _codes(Caller(), 1, **{"X-Forwarded-For": "1.1.1.1, 10.0.0.2"}) == [401]
