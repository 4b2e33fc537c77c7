"""No event reaches somebody who may not read it: each role's whole stream, read as the doors read it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from agents_app.actors import Actor
from config import clock
from messaging_app.events import rendered
from messaging_app.models import Operation
from messaging_app.thread import NewMessage
from sessions_app.actions import conversations, messages, participants
from sessions_app.events import subscription
from sessions_app.events.subscription import Subscription
from sessions_app.rights import visible
from sessions_app.states import HistoryMode
from tests.cast import Cast, Chat


@pytest.fixture
def told(stamped: Callable[[], None]) -> Callable[..., list[dict[str, Any]]]:
    """All that an actor is told, from the first position on."""

    def events(actor: Actor, **asked: Any) -> list[dict[str, Any]]:
        stamped()
        return subscription.read(actor, Subscription(**asked), 0, 500).events

    return events


def words(events: list[dict[str, Any]]) -> list[str]:
    return [event["message"]["content"] for event in events if event.get("message")]


@pytest.fixture
def served(chat: Chat) -> Chat:
    """A bot worked here, Ann serves, with a note and a reason that are the desk's own."""
    chat.robot()
    chat.says("My order is late.")
    chat.escalate(reason="the customer looks like a fraud")
    chat.accept()
    messages.post_note(actor=chat.cast.ann, conversation_id=chat.id, words=NewMessage(content="SECRET note"))
    chat.speaks(chat.cast.ann, "I will look.")
    conversations.pin(actor=chat.cast.ann, conversation_id=chat.id)
    return chat


def test_agents_are_told_all_of_their_tenant_with_notes(
    cast: Cast, others: Cast, served: Chat, told: Callable[..., Any]
) -> None:
    elsewhere = others.chat()
    elsewhere.says("theirs")
    for agent in (cast.ann, cast.ben, cast.sue):
        events = told(agent)
        assert len(events) == Operation.objects.filter(tenant=cast.tenant).count()
        assert words(events) == ["My order is late.", "SECRET note", "I will look."]
    assert words(told(others.ann)) == ["theirs"]


def test_an_integrator_is_told_all_but_the_notes(cast: Cast, served: Chat, told: Callable[..., Any]) -> None:
    events = told(cast.channel)
    assert len(events) == Operation.objects.filter(tenant=cast.tenant).count() - 1
    assert words(events) == ["My order is late.", "I will look."]


def test_a_bot_is_told_of_its_own_sessions_and_what_is_said_around_them(
    cast: Cast, served: Chat, told: Callable[..., Any]
) -> None:
    other = cast.chat()
    other.robot(cast.faq, kind="AUTO_ASSISTANT")
    other.says("for the faq")
    assert words(told(cast.bargain)) == ["My order is late.", "I will look."]
    assert {event["conversation_id"] for event in told(cast.bargain)} == {str(served.id)}
    assert words(told(cast.faq)) == ["for the faq"]
    assert told(cast.follow_up) == []


def test_a_customer_is_told_of_the_own_conversation_and_nothing_of_the_desks_reasons(
    cast: Cast, served: Chat, told: Callable[..., Any]
) -> None:
    other = cast.chat()
    other.says("somebody else's")
    served.guest()
    events = told(served.customer)
    assert words(events) == ["My order is late.", "I will look."]
    assert {event["type"] for event in events} == {
        "session.opened",
        "message.created",
        "transfer.requested",
        "transfer.accepted",
    }
    everything = str(events)
    for private in ("fraud", "SECRET", "rank", "epoch", "digest", "somebody else's"):
        assert private not in everything


def test_a_participant_is_told_what_was_shared_while_in(cast: Cast, served: Chat, told: Callable[..., Any]) -> None:
    gus = served.guest(history=HistoryMode.NONE)
    served.says("since then")
    assert words(told(gus)) == ["since then"]
    assert "fraud" not in str(told(gus))
    all_of_it = served.guest(name="Gil", history=HistoryMode.ALL)
    assert words(told(all_of_it)) == ["My order is late.", "I will look.", "since then"]
    participants.remove_participant(actor=cast.ann, conversation_id=served.id, participant_id=gus.pk)
    assert told(gus) == []


def test_a_participant_is_told_what_came_since_whatever_time_its_sender_claims(
    served: Chat, told: Callable[..., Any]
) -> None:
    """Seen by arrival (T16): the channel was an hour late, and the guest reads what the others read."""
    gus = served.guest(history=HistoryMode.NONE)
    served.says("said long before", sent_at=clock.now() - timedelta(hours=1))
    assert [event["type"] for event in told(gus)] == ["participant.joined", "message.created"]
    assert words(told(gus)) == ["said long before"]


def test_a_token_of_one_conversation_cannot_ask_for_another(cast: Cast, told: Callable[..., Any]) -> None:
    mine, other = cast.chat(), cast.chat()
    other.says("not yours")
    assert told(mine.customer, conversation_id=other.id) == []


def test_a_note_has_no_words_for_whoever_renders_events_without_naming_a_reader(served: Chat) -> None:
    """As webhooks do: what they send goes out of the house."""
    operations = list(Operation.objects.filter(conversation_id=served.id).order_by("seq"))
    events = rendered(operations)
    assert "SECRET" not in str(events)
    assert words(events) == ["My order is late.", "I will look."]
    assert words(rendered(operations, visible.messages(served.cast.ann))).count("SECRET note") == 1


def test_only_who_reads_alike_shares_a_look(cast: Cast, others: Cast, chat: Chat) -> None:
    asked = Subscription()
    of = [
        subscription.audience(actor, asked)
        for actor in (cast.ann, cast.channel, cast.bargain, cast.faq, chat.customer, cast.chat().customer, others.ann)
    ]
    assert len(set(of)) == len(of)
    assert subscription.audience(cast.ben, asked) == of[0]
    assert subscription.audience(cast.ann, Subscription(types=frozenset({"session.*"}))) != of[0]
