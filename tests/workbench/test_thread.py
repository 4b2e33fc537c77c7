"""The open conversation: what it shows, what its buttons do, and what it says when the answer is no."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from agents_app.actors import agent_actor
from messaging_app.models import Conversation, Message
from messaging_app.thread import NewMessage
from sessions_app.actions import departure, messages, takeovers, transfers
from sessions_app.models import Transfer
from tests.workbench.conftest import Desk

SCRIPT = {"HX-Request": "true"}


def text(response: Any) -> str:
    return response.content.decode()


def turn(conversation: Conversation) -> str:
    conversation.refresh_from_db()
    return conversation.controller


def test_the_whole_circle(desk: Desk, maya: Client, act: Any) -> None:
    conversation = desk.queued()
    assert "human please" in text(maya.get(f"/desk/c/{conversation.pk}/"))
    act(maya, conversation.pk, "accept")
    assert turn(conversation) == "human"
    maya.post(f"/desk/c/{conversation.pk}/say/", {"mode": "reply", "content": "Hello, I am Maya."})
    act(maya, conversation.pk, "release", reason="price agreed")
    assert turn(conversation) == "bot"
    page = text(maya.get(f"/desk/c/{conversation.pk}/"))
    for line in ("Hello, I am Maya.", "Maya accepted", "Maya gave this back to the bot: price agreed"):
        assert line in page


def test_take_over_and_resolve(desk: Desk, maya: Client, act: Any) -> None:
    conversation = desk.with_bot()
    act(maya, conversation.pk, "take-over")
    assert turn(conversation) == "human"
    act(maya, conversation.pk, "resolve", reason="answered")
    assert turn(conversation) == "none"
    assert "Maya resolved this: answered" in text(maya.get(f"/desk/c/{conversation.pk}/"))


def test_nobodys_conversation_can_be_taken(desk: Desk, maya: Client, act: Any) -> None:
    outcome = desk.hears("hello")
    act(maya, outcome.conversation_id, "take")
    assert turn(Conversation.objects.get(pk=outcome.conversation_id)) == "human"


def test_a_flag_is_looked_at(desk: Desk, maya: Client, act: Any) -> None:
    conversation = desk.with_bot()
    desk.hears("I want to complain", conversation.account_id)
    conversation.refresh_from_db()
    assert conversation.needs_human
    act(maya, conversation.pk, "looked")
    conversation.refresh_from_db()
    assert not conversation.needs_human


def test_grab_needs_a_reason_and_is_on_record(desk: Desk, maya: Client, jun: Client, act: Any) -> None:
    conversation = desk.queued()
    act(maya, conversation.pk, "accept")
    refused = act(jun, conversation.pk, "grab")
    assert refused.status_code == 400
    assert "Say why" in text(refused)
    act(jun, conversation.pk, "grab", reason="Maya is at lunch")
    assert Transfer.objects.get(conversation=conversation, kind="grab").reason == "Maya is at lunch"


@pytest.mark.parametrize("as_script", [True, False])
def test_the_loser_of_a_race_is_told_who_won(desk: Desk, maya: Client, jun: Client, act: Any, as_script: bool) -> None:
    conversation = desk.queued()
    seen = jun.get(f"/desk/c/{conversation.pk}/")  # drawn before Maya was faster
    form = {"epoch": seen.context["conversation"].epoch, "transfer": seen.context["page"].pending.pk}
    act(maya, conversation.pk, "accept")
    lost = jun.post(f"/desk/c/{conversation.pk}/accept/", form, headers=SCRIPT if as_script else {})
    assert lost.status_code == 409
    assert "Maya has taken this conversation." in text(lost)


def test_a_stale_page_is_told(desk: Desk, maya: Client, act: Any) -> None:
    conversation = desk.with_bot()
    desk.hears("human please", conversation.account_id)
    stale = maya.post(f"/desk/c/{conversation.pk}/take-over/", {"epoch": conversation.epoch})
    assert stale.status_code == 409
    assert "waiting for a human. Accept it first." in text(stale)


def test_a_full_agent_is_told_and_a_supervisor_may(desk: Desk, maya: Client, sam: Client, act: Any) -> None:
    for name in ("maya", "sam"):
        desk.agents[name].max_load = 1
        desk.agents[name].save()
        takeovers.take_over(actor=agent_actor(desk.agents[name]), conversation_id=desk.with_bot().pk)
    conversation = desk.queued()
    assert "You serve 1 of at most 1" in text(maya.get(f"/desk/c/{conversation.pk}/"))
    refused = act(maya, conversation.pk, "accept")
    assert refused.status_code == 409
    assert "You serve 1 of at most 1 conversations." in text(refused)
    assert "Accept over capacity" in text(sam.get(f"/desk/c/{conversation.pk}/"))
    assert act(sam, conversation.pk, "accept", override="1").status_code == 302


def test_who_gets_nothing_new_is_told_and_a_supervisor_may(desk: Desk, maya: Client, sam: Client, act: Any) -> None:
    for name in ("maya", "sam"):
        departure.drain_agent(actor=agent_actor(desk.agents["sam"]), agent_id=desk.agents[name].pk)
    conversation = desk.queued()
    why = 'id="why-accept" role="tooltip">You get nothing new for now. What you serve stays yours.'
    assert why in text(maya.get(f"/desk/c/{conversation.pk}/"))
    assert act(maya, conversation.pk, "accept").status_code == 409
    assert "Accept all the same" in text(sam.get(f"/desk/c/{conversation.pk}/"))
    assert act(sam, conversation.pk, "accept", override="1").status_code == 302


def test_a_reply_while_the_bot_speaks_is_refused_and_given_back(desk: Desk, maya: Client) -> None:
    conversation = desk.with_bot()
    refused = maya.post(f"/desk/c/{conversation.pk}/say/", {"mode": "reply", "content": "let me <b>help</b>"})
    assert refused.status_code == 409
    assert "The bot has this conversation. Take it over first." in text(refused)
    assert "let me &lt;b&gt;help&lt;/b&gt;</textarea>" in text(refused)


def test_sent_again_is_said_once(desk: Desk, maya: Client, act: Any) -> None:
    conversation = desk.queued()
    act(maya, conversation.pk, "accept")
    form = {"mode": "reply", "content": "Hello", "message_id": "made-in-the-browser"}
    assert {maya.post(f"/desk/c/{conversation.pk}/say/", form).status_code for _ in range(2)} == {302}
    assert Message.objects.filter(message_id="made-in-the-browser").count() == 1


def test_lines_are_kept_as_typed(desk: Desk, maya: Client) -> None:
    conversation = desk.with_bot()
    maya.post(f"/desk/c/{conversation.pk}/say/", {"mode": "note", "content": "  one\r\ntwo\r\n"})
    assert Message.objects.get(is_note=True).content == "  one\ntwo\n"


def test_empty_words_are_refused(desk: Desk, maya: Client) -> None:
    conversation = desk.with_bot()
    assert maya.post(f"/desk/c/{conversation.pk}/say/", {"mode": "note", "content": " "}).status_code == 400


def test_news_since_an_operation(desk: Desk, maya: Client) -> None:
    conversation = desk.with_bot()
    conversation.refresh_from_db()
    desk.hears("one more question", conversation.account_id)
    news = maya.get(f"/desk/c/{conversation.pk}/news/?seq={conversation.seq}", headers=SCRIPT)
    assert news["Desk-Fragment"] == "news"
    assert "one more question" in text(news)
    assert "How may I help?" not in text(news)


def test_far_behind_a_page_is_loaded_anew(desk: Desk, maya: Client) -> None:
    conversation = desk.with_bot()
    for number in range(205):
        desk.hears(f"question {number}", conversation.account_id)
    assert "data-behind" in text(maya.get(f"/desk/c/{conversation.pk}/news/?seq=1", headers=SCRIPT))


def test_the_thread_goes_back_by_pages(desk: Desk, maya: Client) -> None:
    conversation = desk.with_bot()
    for number in range(120):
        desk.hears(f"question {number}.", conversation.account_id)
    seen: list[str] = []
    before, pages = "", 0
    while pages == 0 or before:
        page = maya.get(f"/desk/c/{conversation.pk}/", {"before": before})
        seen += [line.item.message.content for line in reversed(page.context["lines"]) if line.item.message]
        before = page.context["page"].earlier
        pages += 1
    assert pages == 3
    assert seen == [*(f"question {n}." for n in reversed(range(120))), "How may I help?", "hello"]


@pytest.mark.parametrize("number", [1, 45])
def test_the_thread_costs_the_same_however_long_it_is(
    desk: Desk, maya: Client, number: int, django_assert_max_num_queries: Any
) -> None:
    conversation = desk.queued()
    transfers.accept_transfer(
        actor=agent_actor(desk.agents["maya"]), transfer_id=Transfer.objects.get(conversation=conversation).pk
    )
    for _ in range(number):
        desk.hears("hello", conversation.account_id)
        messages.post_message(
            actor=agent_actor(desk.agents["maya"]), conversation_id=conversation.pk, words=NewMessage(content="yes")
        )
    with django_assert_max_num_queries(12):
        maya.get(f"/desk/c/{conversation.pk}/")
    with django_assert_max_num_queries(10):
        maya.get(f"/desk/c/{conversation.pk}/news/?seq=1", headers=SCRIPT)


def test_disabled_actions_say_why(desk: Desk, maya: Client, jun: Client, act: Any) -> None:
    conversation = desk.queued()
    assert "Accept it first" in text(maya.get(f"/desk/c/{conversation.pk}/"))
    act(maya, conversation.pk, "accept")
    assert "Maya is serving" in text(jun.get(f"/desk/c/{conversation.pk}/"))
