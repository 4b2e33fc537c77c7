"""The try-it page: the customer's side, and the rule bot that works as an outside program would."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from agents_app.actors import client_actor
from agents_app.models import ApiClient
from config.limits import MAX_CONTENT
from messaging_app.models import Conversation, Message
from sessions_app.actions import flows
from sessions_app.queries.expected_wait import waiting
from sessions_app.workbench import rule_bot
from tests.workbench.conftest import Desk


def say(client: Client, text: str, **more: str) -> str:
    return client.post("/try-it/say/", {"content": text, **more}, follow=True).content.decode()


def the_conversation() -> Conversation:
    return Conversation.objects.get(platform="try-it")


def test_the_whole_circle(desk: Desk, maya: Client, act: Any) -> None:
    visitor = Client()
    assert "The blue kettle is 90.00" in say(visitor, "How much is the kettle?")
    page = say(visitor, "human please")
    assert "You are number 1" in page
    conversation = the_conversation()
    act(maya, conversation.pk, "accept")
    maya.post(f"/desk/c/{conversation.pk}/say/", {"mode": "reply", "content": "Hello, Maya here."})
    maya.post(f"/desk/c/{conversation.pk}/say/", {"mode": "note", "content": "a secret between us"})
    page = say(visitor, "how much was it again?")
    assert page.count("The blue kettle is 90.00") == 1  # while Maya serves, the bot is silent
    assert "Hello, Maya here." in page
    assert "a secret between us" not in page
    assert "is serving you" in page
    act(maya, conversation.pk, "release")
    assert "answers at once" in visitor.get("/try-it/").content.decode()
    assert say(visitor, "what does it cost?").count("The blue kettle is 90.00") == 2


def test_failed_answers_ask_for_a_human(desk: Desk) -> None:
    visitor = Client()
    for _ in range(3):
        page = say(visitor, "xyzzy")
    assert "Sorry, I did not understand" in page
    assert "Waiting for a human" in page


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("hello", "Hello!"),
        ("Can you make it cheaper?", "5%"),
        ("when will it arrive", "two working days"),
        ("你好", "您好"),
        ("多少钱", "90元"),
        ("xyzzy", rule_bot.FALLBACK),
        ("抽象派", rule_bot.FALLBACK_CHINESE),
    ],
)
def test_answers(text: str, answer: str) -> None:
    assert answer in rule_bot.answer_to(text)


def test_a_stale_answer_is_dropped(desk: Desk, maya: Client, act: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    visitor = Client()
    say(visitor, "hello")
    conversation = the_conversation()

    def slow(text: str) -> str:
        act(maya, conversation.pk, "take-over")  # while the bot was thinking
        return "too late"

    monkeypatch.setattr(rule_bot, "answer_to", slow)
    assert "too late" not in say(visitor, "how much?")
    assert not Message.objects.filter(content="too late").exists()


def test_sent_again_is_heard_and_answered_once(desk: Desk) -> None:
    visitor = Client()
    for _ in range(2):
        say(visitor, "hello", message_id="once")
    assert Message.objects.count() == 2


def test_start_over_is_somebody_else(desk: Desk) -> None:
    visitor = Client()
    say(visitor, "hello")
    visitor.post("/try-it/again/")
    say(visitor, "hello")
    assert Conversation.objects.filter(platform="try-it").count() == 2


def test_one_visitor_does_not_see_another(desk: Desk) -> None:
    say(Client(), "hello, this is a secret")
    assert "secret" not in Client().get(f"/try-it/news/?seq=0&conversation={the_conversation().pk}").content.decode()


def test_words_that_were_refused_are_given_back(desk: Desk) -> None:
    visitor = Client()
    answer = visitor.post("/try-it/say/", {"content": "x" * (MAX_CONTENT + 1)})
    assert answer.status_code == 400
    assert "xxx</textarea>" in answer.content.decode()


def test_switched_off_it_is_not_there(desk: Desk, settings: Any) -> None:
    settings.TRY_IT = False
    assert Client().get("/try-it/").status_code == 404
    assert Client().post("/try-it/say/", {"content": "hello"}).status_code == 404


@pytest.mark.django_db
def test_without_a_tenant_it_says_what_to_do(settings: Any) -> None:
    settings.TRY_IT = True
    answer = Client().get("/try-it/")
    assert answer.status_code == 503
    assert "loadsample" in answer.content.decode()


@pytest.mark.django_db
def test_the_place_in_the_queue_counts_those_before(desk: Desk) -> None:
    desk.queued("first")
    visitor = Client()
    assert "You are number 2" in say(visitor, "human please")
    place = waiting(the_conversation())
    assert place
    assert place.position == 2


def test_a_flows_question_stands_above_the_chat_until_it_is_answered(desk: Desk) -> None:
    visitor = Client()
    say(visitor, "hello")
    conversation = the_conversation()
    bot = client_actor(ApiClient.objects.get(name=rule_bot.NAME))
    flows.open_flow(actor=bot, trigger_id="t", question="Which size?", conversation_id=conversation.pk)
    assert "Which size?" in visitor.get("/try-it/").content.decode()
    assert "is looking at your answer" in say(visitor, "Large")
