"""T19: whoever owns a conversation is no collaborator of it, and an agent who has left the desk is in none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from agents_app.credentials.tokens import issue_token
from sessions_app.actions import departure, lifecycle, participants, silence
from sessions_app.models import Participant
from sessions_app.queries import guest as guests
from sessions_app.queries.thread import thread_page
from tests.api.world import Caller, agent
from tests.cast import Cast, Chat, Later, refused
from tests.joined.conftest import Guest

pytestmark = pytest.mark.django_db


def calls_in(chat: Chat, name: str = "ben", by: str = "ann") -> int:
    """A colleague is called in; answers with the participation."""
    actor = getattr(chat.cast, by)
    outcome = participants.invite_colleague(actor=actor, conversation_id=chat.id, agent_id=chat.cast.agent(name).pk)
    assert outcome.participant_id
    return outcome.participant_id


def why(chat: Chat) -> list[tuple[str, str]]:
    """Whose collaboration has ended by itself, and why: on record."""
    ended = [o.data for o in chat.operations if o.type == "collaborator.ended"]
    return [(Participant.objects.get(pk=data["participant_id"]).name, data["reason"]) for data in ended]


def accepts(chat: Chat) -> None:
    """Ann hands over to Ben, who accepts."""
    chat.hand_over(to_agent_id=chat.cast.agent("ben").pk)
    chat.accept(chat.cast.ben)


def takes_over(chat: Chat) -> None:
    chat.release()
    chat.take(chat.cast.ben)


def from_the_queue(chat: Chat) -> None:
    chat.reassign()
    chat.accept(chat.cast.ben)


def urgently(chat: Chat) -> None:
    chat.opens(chat.cast.ben, "MANUAL_URGENT")


WAYS: dict[str, Callable[[Chat], Any]] = {
    "grab": lambda chat: chat.grab(chat.cast.ben),
    "handover": accepts,
    "take over": takes_over,
    "accept": from_the_queue,
    "open": urgently,
}


@pytest.mark.parametrize("way", WAYS)
def test_whoever_comes_to_own_the_conversation_ends_as_its_collaborator(chat: Chat, way: str) -> None:
    chat.serve()
    row = calls_in(chat)
    WAYS[way](chat)
    assert chat.live.agent_id == chat.cast.ben.id
    ended = Participant.objects.get(pk=row)
    assert (ended.status, ended.ended_at is not None) == ("ended", True)
    assert why(chat) == [("Ben", "owns the conversation")]
    chat.speaks(chat.cast.ben, "as its owner")


@pytest.mark.parametrize("way", WAYS)
def test_after_handing_on_they_may_not_speak(chat: Chat, way: str) -> None:
    """Seen: the row of the collaboration was there still, and gave the right."""
    chat.serve()
    calls_in(chat)
    WAYS[way](chat)
    chat.grab(chat.cast.cat)
    refused("forbidden", chat.speaks, chat.cast.ben)
    page = thread_page(actor=chat.cast.ben, conversation_id=chat.id)
    assert [p.name for p in page.people] == []
    assert not page.collaborates


def test_a_release_to_the_bot_leaves_the_owner_nothing_and_the_collaborators_in(chat: Chat) -> None:
    """A release ends no participation (docs/people.md), but who has released is none of them."""
    chat.serve()
    calls_in(chat)
    calls_in(chat, "cat")
    chat.grab(chat.cast.ben)
    chat.release(chat.cast.ben)
    chat.take(chat.cast.ann)
    refused("forbidden", chat.speaks, chat.cast.ben)
    chat.speaks(chat.cast.cat, "still beside")


def test_they_may_be_called_in_again(chat: Chat) -> None:
    chat.serve()
    calls_in(chat)
    chat.grab(chat.cast.ben)
    chat.grab(chat.cast.ann)
    calls_in(chat)
    chat.speaks(chat.cast.ben, "beside once more")


def test_a_row_of_before_ends_when_its_owner_hands_on(chat: Chat) -> None:
    """Older versions left owners collaborators."""
    chat.serve()
    row = calls_in(chat)
    chat.grab(chat.cast.ben)
    Participant.objects.filter(pk=row).update(status="joined", ended_at=None)
    chat.grab(chat.cast.cat)
    assert Participant.objects.get(pk=row).status == "ended"
    refused("forbidden", chat.speaks, chat.cast.ben)


def test_an_owner_who_comes_back_from_a_pause_ends_as_collaborator(chat: Chat) -> None:
    """Ben's urgent session pauses Ann's; he calls her in; his ends, and hers resumes."""
    chat.serve()
    chat.opens(chat.cast.ben, "MANUAL_URGENT")
    calls_in(chat, "ann", by="ben")
    chat.resolve(chat.cast.ben)
    assert chat.live.agent_id == chat.cast.ann.id
    assert why(chat) == [("Ann", "owns the conversation")]


def test_guests_and_other_colleagues_stay(chat: Chat) -> None:
    chat.serve()
    guest = chat.guest()
    calls_in(chat)
    calls_in(chat, "cat")
    chat.grab(chat.cast.ben)
    chat.speaks(chat.cast.cat)
    chat.speaks(guest)


def test_assigned_by_the_strategy_they_end_as_collaborator(chat: Chat, later: Later) -> None:
    """An absent owner's conversation goes back to the queue, and a collaborator accepts the offer."""
    cast = chat.cast
    chat.serve()
    calls_in(chat)
    later(301)
    cast.seen("ben")
    silence.move_on_from_silent_agents()
    assert chat.has_pending
    chat.accept(cast.ben)
    assert why(chat) == [("Ben", "owns the conversation")]


# --- An agent who has left the desk ---


def test_an_agent_who_has_left_is_neither_listed_nor_let_speak(chat: Chat) -> None:
    cast = chat.cast
    chat.serve()
    calls_in(chat)
    calls_in(chat, "cat")
    guest = Guest(participants.invite_participant(actor=cast.ann, conversation_id=chat.id, name="Gus"))
    by_api = [agent(cast, "ann"), Caller(issue_token(chat.participant_actor(guest.pk)))]
    cast.change("ben", is_active=False)
    refused("forbidden", chat.speaks, cast.ben)
    for actor in (cast.ann, cast.sue):
        assert [p.name for p in thread_page(actor=actor, conversation_id=chat.id).people] == ["Cat", "Gus"]
    seen = guests.guest_page(Participant.objects.get(pk=guest.pk)).people
    assert [person.name for person in seen][2:] == ["Cat", "Gus"]
    for caller in by_api:
        listed = caller.get(f"conversations/{chat.id}/participants").json()["results"]
        assert sorted(row["name"] for row in listed) == ["Cat", "Gus"]


def test_what_is_left_of_them_ends_on_record(cast: Cast) -> None:
    """However somebody was marked as gone: the clock finds where they are in, and ends it there."""
    chats = [cast.chat().serve() for _ in range(2)]
    for chat in chats:
        calls_in(chat)
    cast.change("ben", is_active=False)
    departure.finish_departures()
    for chat in chats:
        assert why(chat) == [("Ben", departure.HAS_LEFT)]
    assert set(Participant.objects.values_list("status", flat=True)) == {"ended"}


def test_the_end_of_the_work_says_so_too(chat: Chat) -> None:
    chat.serve()
    calls_in(chat)
    chat.resolve()
    lifecycle.expire_due(actor=chat.cast.system, conversation_id=chat.id)
    assert why(chat) == [("Ben", "the work has ended")]
