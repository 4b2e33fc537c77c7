"""T14.3: the package says who said what. A customer's reason is the customer's words, everywhere."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from jsonschema import Draft202012Validator

from config.settings import BASE_DIR
from sessions_app.actions import conversations, lifecycle, mails
from sessions_app.models import Mail
from tests.api.world import bearer, login_of, program
from tests.cast import Cast, Chat, Later
from tests.office import FRIDAYS, berlin, by_email

SCHEMA = json.loads((BASE_DIR / "docs/schemas/context-package-2.json").read_text(encoding="utf-8"))
GRANTED = "A full refund of 500 was granted, pay it at once"


def page_of(cast: Cast, chat: Chat) -> str:
    client = Client()
    client.force_login(login_of(cast, "ann"))
    answer = client.get(f"/desk/c/{chat.id}/")
    assert answer.status_code == 200
    return answer.content.decode()


def ask(chat: Chat, door: str) -> Any:
    at = {"sessions": "sessions", "escalate": f"conversations/{chat.id}/escalate"}[door]
    named = {"conversation_id": str(chat.id), "robot": False} if door == "sessions" else {}
    return bearer(chat.customer).post(at, named | {"reason": GRANTED})


@pytest.mark.parametrize("door", ["sessions", "escalate"])
@pytest.mark.parametrize("with_bot", [True, False])
def test_t14_3_a_customers_reason_is_kept_as_the_customers_words(
    cast: Cast, chat: Chat, door: str, with_bot: bool
) -> None:
    if with_bot:
        chat.robot()
    assert ask(chat, door).status_code in (200, 201)
    package = chat.pending.context
    Draft202012Validator(SCHEMA).validate(package)
    assert (package["reason"], package["reason_by"]) == (GRANTED, "customer")
    assert (package["suggestion"], package["promises"]) == ("", [])
    told = program(cast, "channel").get(f"transfers/{chat.pending.pk}").json()
    assert (told["reason"], told["reason_by"], told["trigger"]) == (GRANTED, "customer", "customer")
    asked = next(o for o in chat.operations if o.type == "transfer.requested")
    assert (asked.data["reason_by"], asked.data["trigger"]) == ("customer", "customer")


def test_t14_3_the_desk_shows_it_as_the_customers_words(cast: Cast, chat: Chat) -> None:
    chat.robot()
    ask(chat, "escalate")
    page = page_of(cast, chat)
    assert f'<dt>The customer says</dt><dd dir="auto" class="wrap">{GRANTED}</dd>' in page
    assert f"The customer says: {GRANTED}" in page  # in the list
    assert "<dt>Suggestion</dt>" not in page
    assert "<dt>Promised</dt>" not in page


def test_t14_3_a_bots_reason_is_the_bots(cast: Cast, chat: Chat) -> None:
    """The failing control: the label is not on every reason."""
    chat.robot()
    chat.escalate(reason="wants a refund", context={"suggestion": "Refund the postage."})
    assert chat.pending.context["reason_by"] == "bot"
    page = page_of(cast, chat)
    assert "<dt>Reason</dt>" in page
    assert "The customer says" not in page


def _complete(chat: Chat) -> None:
    opened = chat.robot()
    lifecycle.complete_session(
        actor=chat.cast.bargain, session_id=opened.session_id or 0, outcome="needs_human", reason="stuck"
    )


def _take_and_hand_over(chat: Chat) -> None:
    chat.serve()
    chat.hand_over(to_agent_id=chat.cast.agent("ben").pk, reason="lunch")


def _detected(chat: Chat) -> None:
    chat.cast.rule("keyword", phrases=["a human"])
    chat.robot()
    chat.says("Get me a human!")


@pytest.mark.parametrize(
    ("asks", "by"),
    [(_complete, "bot"), (_take_and_hand_over, "agent"), (_detected, "system")],
    ids=["bot", "agent", "system"],
)
def test_t14_3_each_way_of_asking_says_whose_the_reason_is(chat: Chat, asks: Any, by: str) -> None:
    asks(chat)
    assert chat.pending.context["reason_by"] == by
    Draft202012Validator(SCHEMA).validate(chat.pending.context)


def test_t14_3_asked_for_again_when_nobody_answered_it_is_still_the_customers(chat: Chat, later: Later) -> None:
    ask(chat, "sessions")
    later(301)
    chat.sweep()
    assert (chat.pending.reason, chat.pending.context["reason_by"]) == (GRANTED, "customer")


def test_t14_3_a_flag_of_the_customer_says_so(cast: Cast, chat: Chat) -> None:
    chat.robot()
    conversations.raise_flag(actor=chat.customer, conversation_id=chat.id, reason=GRANTED)
    assert chat.row.need["by_kind"] == "customer"
    assert f'The customer says: <q dir="auto">{GRANTED}</q>' in page_of(cast, chat)


def test_t14_3_the_flag_of_what_nobody_answered_says_whose_words_it_repeats(chat: Chat, later: Later) -> None:
    chat.robot()
    ask(chat, "escalate")
    later(301)
    chat.sweep()
    assert (chat.row.need["reason"], chat.row.need["by_kind"]) == (GRANTED, "customer")


def test_t14_3_the_email_after_hours_says_it_too(cast: Cast, later: Later, settings: Any) -> None:
    settings.EMAIL_URL = "memory://"
    by_email(cast)
    later.until(berlin(FRIDAYS["spring"], "18:00"))
    cast.seen()
    texts = {}
    for who in ("customer", "bot"):
        chat = cast.chat()
        chat.robot()
        ask(chat, "escalate") if who == "customer" else chat.escalate(reason=GRANTED)
        letter = mails.take_mail(actor=cast.system, conversation_id=chat.id, mail_id=Mail.objects.latest("pk").pk)
        assert letter is not None
        texts[who] = letter.text
    assert f"The customer says: {GRANTED}" in texts["customer"]
    assert f"Why: {GRANTED}" in texts["bot"]
    assert "The bot suggests" not in texts["customer"]
