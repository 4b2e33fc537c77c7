"""What stands around the words: the context package, who speaks, rules in plain words, and what is fetched on request."""

from __future__ import annotations

import json
import re
from typing import Any

from django.test import Client

from agents_app.actors import agent_actor
from agents_app.models import Agent
from config import clock
from messaging_app.models import Conversation, ReadCursor
from messaging_app.thread import NewMessage
from sessions_app.actions import conversations as marks
from sessions_app.actions import lifecycle, messages, participants, takeovers, transfers
from sessions_app.models import ChatSession, Transfer
from tests.cast import Later
from tests.workbench.conftest import Desk
from tests.workbench.test_query_budget import MOST, SCRIPT, Full, costs

CONTEXT = {"suggestion": "Offer 10 % off.", "promises": ["an answer today", "free delivery"]}


def text(response: Any) -> str:
    return " ".join(response.content.decode().split())


def package(response: Any) -> str:
    """The part on top of the thread; empty where there is none."""
    return text(response).split('<div id="package">')[1].split('<div id="log"')[0].split("</div>" + " <div id=")[0]


def escalated(desk: Desk, account: str = "") -> Conversation:
    conversation = desk.with_bot(account)
    transfers.request_transfer(
        actor=desk.bot, conversation_id=conversation.pk, reason="wants a discount", trigger="bot", context=CONTEXT
    )
    conversation.refresh_from_db()
    return conversation


def message(page: str, words: str) -> str:
    """The line of a thread that says so."""
    found = [line for line in re.findall(r'<li id="m\d+".*?</li>', page) if words in line]
    assert len(found) == 1, found
    return found[0]


# --- The context package -----------------------------------------------------------------------------------------


def test_the_context_package_stands_on_top_while_the_customer_waits(desk: Desk, maya: Client) -> None:
    page = package(maya.get(f"/desk/c/{escalated(desk).pk}/"))
    for told in ("Why it waits", "the bot asked", "wants a discount", "Offer 10 % off.", "free delivery", "2 messages"):
        assert told in page


def test_it_stays_for_whoever_accepted_until_they_have_had_time_to_read_it(
    desk: Desk, maya: Client, later: Later, act: Any
) -> None:
    conversation = escalated(desk)
    act(maya, conversation.pk, "accept")
    url = f"/desk/c/{conversation.pk}/"
    assert "What came with it" in package(maya.get(url))
    assert "Offer 10 % off." in package(maya.get(f"{url}news/?seq=1", headers=SCRIPT))
    later(601)
    assert "Offer 10 % off." not in package(maya.get(url))


def test_it_goes_with_the_turn(desk: Desk, maya: Client, act: Any) -> None:
    conversation = escalated(desk)
    act(maya, conversation.pk, "accept")
    act(maya, conversation.pk, "release")
    assert "<details" not in package(maya.get(f"/desk/c/{conversation.pk}/"))


def test_nothing_stands_on_top_of_a_thread_that_nobody_handed_on(desk: Desk, maya: Client) -> None:
    assert "<details" not in package(maya.get(f"/desk/c/{desk.with_bot().pk}/"))


def test_what_the_customer_said_is_shown_as_evidence(desk: Desk, maya: Client) -> None:
    assert '<q dir="auto" class="wrap">human please</q>' in package(maya.get(f"/desk/c/{desk.queued().pk}/"))


# --- The lines of a thread ---------------------------------------------------------------------------------------


def test_a_colleague_who_was_called_in_is_told_apart(desk: Desk, maya: Client, jun: Client, act: Any) -> None:
    me, other = (agent_actor(desk.agents[name]) for name in ("maya", "jun"))
    conversation = desk.with_bot()
    takeovers.take_over(actor=me, conversation_id=conversation.pk)
    Agent.objects.update(availability="available", last_seen_at=clock.now())
    participants.invite_colleague(actor=me, conversation_id=conversation.pk, agent_id=other.pk)
    for actor, words in ((me, "I ask Jun"), (other, "Jun here")):
        messages.post_message(actor=actor, conversation_id=conversation.pk, words=NewMessage(content=words))
    page = text(maya.get(f"/desk/c/{conversation.pk}/"))
    assert "#i-as-helper" in message(page, "Jun here")
    assert "Colleague" in message(page, "Jun here")
    assert "#i-as-agent" in message(page, "I ask Jun")
    assert "Colleague" not in message(page, "I ask Jun")
    assert "#i-as-bot" in message(page, "How may I help?")
    assert "#i-as-customer" in message(page, ">hello<")
    participants.leave(actor=other, conversation_id=conversation.pk)
    assert "Colleague" in message(text(maya.get(f"/desk/c/{conversation.pk}/")), "Jun here"), "they were called in then"


def test_an_event_names_the_rule_that_decided_in_plain_words_too(desk: Desk, maya: Client) -> None:
    page = text(maya.get(f"/desk/c/{desk.queued().pk}/"))
    rule = (
        r'A human was asked for \(the customer asked\) <abbr class="rule" title="C6: a human is needed[^"]*">C6</abbr>'
    )
    assert re.search(rule, page)


def test_the_page_says_how_far_its_reader_had_read(desk: Desk, maya: Client, jun: Client) -> None:
    conversation = desk.queued()
    marks.mark_read(actor=agent_actor(desk.agents["maya"]), conversation_id=conversation.pk, seq=3)
    assert 'data-read-to="3"' in text(maya.get(f"/desk/c/{conversation.pk}/"))
    assert 'data-read-to="0"' in text(jun.get(f"/desk/c/{conversation.pk}/"))


def test_a_supervisors_look_never_reads_for_them_either(desk: Desk, sam: Client) -> None:
    conversation = desk.queued()
    sam.get(f"/desk/c/{conversation.pk}/")
    sam.post(f"/desk/c/{conversation.pk}/read/", {"seq": conversation.seq})
    assert not ReadCursor.objects.exists()
    transfers.accept_transfer(
        actor=agent_actor(desk.agents["sam"]), transfer_id=Transfer.objects.get(conversation=conversation).pk
    )
    sam.post(f"/desk/c/{conversation.pk}/read/", {"seq": conversation.seq})
    assert ReadCursor.objects.get().agent == desk.agents["sam"], "their own work they do read"


# --- The side panel ----------------------------------------------------------------------------------------------


def test_what_the_bot_knows_is_shown(desk: Desk, maya: Client) -> None:
    heard = desk.hears("hello")
    state = {"order": "A-17", "items": [{"sku": "kettle"}], "<b>": "<i>"}
    lifecycle.open_session(actor=desk.bot, conversation_id=heard.conversation_id, robot=True, context=state)
    page = text(maya.get(f"/desk/c/{heard.conversation_id}/"))
    assert (
        '<dt dir="auto">order</dt><dd dir="auto" class="wrap">A-17' in page
    )  # the order of names is the database's, and the last one says who said them
    assert "[{&quot;sku&quot;: &quot;kettle&quot;}]" in page
    assert "&lt;b&gt;</dt>" in page


def test_the_timeline_holds_the_newest_fifty_operations(desk: Desk, maya: Client) -> None:
    conversation = desk.queued("busy")
    for number in range(50):
        desk.hears(f"question {number}", "busy")
    conversation.refresh_from_db()
    part = text(maya.get(f"/desk/c/{conversation.pk}/timeline/", headers=SCRIPT))
    numbers = [int(found) for found in re.findall(r'class="timeline-seq">(\d+)<', part)]
    assert numbers == list(range(conversation.seq, conversation.seq - 50, -1))
    assert f"{conversation.seq - 50} earlier operations" in part
    assert "question 7" not in part, "operations hold no words"


def test_the_timeline_names_types_rules_and_who_did_it(desk: Desk, maya: Client, act: Any) -> None:
    conversation = desk.queued()
    act(maya, conversation.pk, "accept")
    part = text(maya.get(f"/desk/c/{conversation.pk}/timeline/", headers=SCRIPT))
    assert "<code>transfer.accepted</code>" in part
    assert "Maya accepted" in part
    assert ">C6</abbr>" in part
    assert "<bdi>helper</bdi>" in part


def test_earlier_work_for_the_same_account_is_listed_the_newest_first(desk: Desk, maya: Client, act: Any) -> None:
    here, other = desk.queued("ann", name="Ann"), desk.queued("bob")
    for _ in range(2):
        act(maya, here.pk, "accept")
        act(maya, here.pk, "resolve", reason="paid back")
        desk.hears("human please", "ann")
    act(maya, other.pk, "accept")
    act(maya, other.pk, "resolve")
    elsewhere = Desk("elsewhere")
    elsewhere.hire("ben")
    theirs = elsewhere.queued("ann")
    act(elsewhere.browser("ben"), theirs.pk, "accept")
    act(elsewhere.browser("ben"), theirs.pk, "resolve")
    answer = maya.get(f"/desk/c/{here.pk}/past/", headers=SCRIPT)
    ended = ChatSession.objects.filter(conversation=here, status="COMPLETED").order_by("-ended_at")
    assert [one["session"].pk for one in answer.context["past"]] == [session.pk for session in ended]
    assert "paid back" in text(answer)
    assert "resolved" in text(answer)


def test_earlier_work_stops_at_ten_and_is_none_for_a_new_account(desk: Desk, maya: Client, act: Any) -> None:
    new = desk.with_bot()
    assert "Nothing before this." in text(maya.get(f"/desk/c/{new.pk}/past/", headers=SCRIPT))
    for _ in range(12):
        opened = lifecycle.open_session(
            actor=desk.bot, conversation_id=desk.hears("hi", "ann").conversation_id, robot=True
        )
        assert opened.session_id
        lifecycle.complete_session(actor=desk.bot, session_id=opened.session_id)
    pk = Conversation.objects.get(account_id="ann").pk
    assert len(maya.get(f"/desk/c/{pk}/past/", headers=SCRIPT).context["past"]) == 10


def test_the_json_for_integrators_is_what_the_api_answers(desk: Desk, maya: Client) -> None:
    conversation = desk.queued()
    page = text(maya.get(f"/desk/c/{conversation.pk}/"))
    found = re.search(r'data-json="([^"]+)"', page)
    assert found
    told = json.loads(maya.get(found[1]).content)
    assert told["id"] == str(conversation.pk)
    assert told["controller"] == "queue"


def test_parts_of_another_tenants_conversation_are_not_found(desk: Desk) -> None:
    conversation = desk.queued()
    elsewhere = Desk("elsewhere")
    elsewhere.hire("ben")
    for part in ("timeline", "past", "recipients"):
        assert elsewhere.browser("ben").get(f"/desk/c/{conversation.pk}/{part}/").status_code == 404


def test_no_part_costs_more_than_a_page_may(desk: Desk, maya: Client) -> None:
    full = Full(desk)
    full.grow(5)
    parts = ("timeline", "past", "recipients")
    few = [costs(maya, f"/desk/c/{full.served}/{part}/", SCRIPT) for part in parts]
    full.grow(20)
    many = [costs(maya, f"/desk/c/{full.served}/{part}/", SCRIPT) for part in parts]
    assert many == few
    assert max(many) <= MOST
