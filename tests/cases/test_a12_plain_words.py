"""A12: the detail of a refusal is a sentence for people, in one language; `code` is the contract."""

from __future__ import annotations

from typing import Any

import pytest

from config import buckets
from messaging_app.models import Message
from tests.api.world import Caller, program
from tests.cast import Cast, Chat, Later
from tests.office import FRIDAYS, berlin, by_email

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _ready(settings: Any) -> None:
    settings.EMAIL_URL = "memory://"
    buckets.forget()  # throttles count there


def test_a12_what_is_wrong_with_a_body_as_a_whole_is_said_without_a_frameworks_word(cast: Cast) -> None:
    told = program(cast, "bargain").post("sessions", {"shop_id": "lamps"}).json()
    sentence = "Name the conversation: conversation_id, or shop_id and account_id."
    assert (told["code"], told["detail"], told["errors"]) == ("malformed", sentence, {"body": [sentence]})


def test_a12_several_mistakes_are_sentences_that_name_their_fields(cast: Cast) -> None:
    told = program(cast, "bargain").post("sessions", {"conversation_id": "1", "priority": 9, "colour": "red"}).json()
    assert list(told["errors"]) == ["colour"]
    told = program(cast, "bargain").post("sessions", {"conversation_id": "1", "priority": 9, "task": "x"}).json()
    assert set(told["errors"]) == {"priority", "task"}
    assert told["detail"].count(". ") == 1
    assert told["detail"].endswith(".")


REFUSED: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("POST", "sessions", {"priority": 9, "conversation_id": "1"}),
    ("GET", "sessions?status=ASLEEP", {}),
    ("GET", "conversations/availability", {}),
    ("DELETE", "inbound", {}),
    ("GET", "sessions?limit=0", {}),
    ("POST", "health/live", {}),
    ("GET", "sessions/1", {}),
    ("GET", "nowhere", {}),
)


@pytest.mark.parametrize(("method", "path", "body"), REFUSED)
def test_a12_refusals_are_in_english_whatever_the_browser_speaks(
    cast: Cast, method: str, path: str, body: dict[str, Any]
) -> None:
    caller = program(cast, "bargain")
    english = caller.send(method, path, body).json()
    for language in ("es", "ja", "zh-hans"):
        caller.client.defaults["HTTP_ACCEPT_LANGUAGE"] = language
        assert caller.send(method, path, body).json() == english


def test_a12_no_credential_is_told_alike_in_every_language() -> None:
    english = Caller().get("sessions").json()
    abroad = Caller()
    abroad.client.defaults["HTTP_ACCEPT_LANGUAGE"] = "es"
    assert abroad.get("sessions").json() == english


def test_a12_what_a_verb_says_to_a_customer_is_in_the_requests_language(chat: Chat, later: Later) -> None:
    by_email(chat.cast)
    later.until(berlin(FRIDAYS["spring"], "18:00"))
    chat.cast.seen()
    chat.robot()
    bot = program(chat.cast, "bargain")
    bot.client.defaults["HTTP_ACCEPT_LANGUAGE"] = "es"
    assert bot.post(f"conversations/{chat.id}/escalate", {}).status_code == 200
    said = Message.objects.get(conversation_id=chat.id, sender_type=Message.Sender.SYSTEM).content
    assert "correo" in said
