"""Trust, T5: what is refused is as if it had never been sent: it makes no conversation, whichever door it comes in by."""

from __future__ import annotations

from typing import Any

import pytest

from agents_app.models import ApiClient
from messaging_app.models import Conversation
from sessions_app.errors import NotFound
from sessions_app.manager import AutoSessionManager
from tests.api.world import NOBODY, agent, program
from tests.cast import Cast, snapshot

pytestmark = pytest.mark.django_db

NEW = {"shop_id": "lamps", "account_id": "anna"}


def work() -> dict[str, Any]:
    """What is stored of conversations. That somebody called, and what was answered, is on record all the same."""
    return {name: rows for name, rows in snapshot().items() if not name.startswith("agents_app.")}


@pytest.mark.parametrize(
    ("sent", "refusal"),
    [
        ({"content": "Hello", "message_id": "X"}, (409, "message_id_taken")),
        ({"content": " "}, (400, "malformed")),
        ({"content": "Hello", "attachments": [str(NOBODY)]}, (404, "attachment_not_found")),
    ],
)
def test_t5_a_message_that_is_refused_makes_no_conversation(
    cast: Cast, sent: dict[str, Any], refusal: tuple[int, str]
) -> None:
    cast.chat().says("Something else", message_id="X")
    channel, before = program(cast, "channel"), work()
    for key in ("", "refused-once"):
        answer = channel.post("inbound", {**NEW, **sent, "customer_name": "Anna"}, key=key)
        assert (answer.status_code, answer.json()["code"]) == refusal
    assert work() == before
    good = channel.post("inbound", {**NEW, "content": "Hello", "customer_name": "Anna Li"})
    assert (good.status_code, good.json()["seq"]) == (201, 1)
    assert Conversation.objects.get(account_id="anna").customer_name == "Anna Li"


@pytest.mark.parametrize("unknown", ["bot_id", "previous_id"])
def test_t5_a_session_that_is_refused_makes_no_conversation(cast: Cast, unknown: str) -> None:
    bot, before = {"bot_id": str(cast.faq.id)}, work()
    answer = program(cast, "channel").post("sessions", {**NEW, **bot, unknown: str(NOBODY)})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert work() == before
    opened = program(cast, "channel").post("sessions", {**NEW, **bot})
    assert (opened.status_code, opened.json()["status"]) == (201, "ACTIVE")


def test_t5_an_agent_without_room_makes_no_conversation(cast: Cast) -> None:
    cast.change("ann", max_load=1)
    cast.busy("ann", 1)
    before = work()
    answer = agent(cast, "ann").post("sessions", {**NEW, "robot": False})
    assert (answer.status_code, answer.json()["code"]) == (409, "no_capacity")
    assert work() == before


def test_t5_the_facade_makes_none_either(cast: Cast) -> None:
    facade = AutoSessionManager("shop")
    ApiClient.objects.filter(name="auto-session").update(is_active=False)
    before = work()
    with pytest.raises(NotFound):
        facade.create_robot_session(shop_id="lamps", user_id="anna")
    assert work() == before
