"""T17: what is asked for once more goes to the same team, with the same skills, and says why it was asked for before."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from agents_app.models import Team
from config import clock
from sessions_app.actions import departure, silence
from sessions_app.core.context_package import MOST_REASONS
from sessions_app.models import Transfer
from sessions_app.states import Kind, TransferKind
from tests import packages
from tests.cast import Cast, Chat, Later

pytestmark = pytest.mark.django_db
FRENCH = {"fr": 3}
HOUR = timedelta(hours=1)


@pytest.fixture
def team(cast: Cast) -> Team:
    cast.change("cat", skills=FRENCH)
    return cast.team("French", "cat")


@pytest.fixture
def chat(chat: Chat, team: Team) -> Chat:
    """The bot has asked the French team, for somebody who speaks French, because of a refund."""
    chat.robot()
    chat.says("Je veux un remboursement")
    chat.escalate(to_team_id=team.pk, needs=FRENCH, reason="asks for a refund")
    return chat


def urgent(chat: Chat) -> None:
    """It waited, was paused by an urgent session, and waits again."""
    chat.opens(chat.cast.ann, Kind.MANUAL_URGENT)
    chat.resolve(chat.cast.ann)


def urgent_twice(chat: Chat) -> None:
    urgent(chat)
    urgent(chat)


def silent_agent(chat: Chat) -> None:
    chat.accept(chat.cast.cat)
    gone(chat)
    silence.move_on_from_silent_agents()


def silent_at_the_end_of_a_pause(chat: Chat) -> None:
    chat.accept(chat.cast.cat)
    chat.opens(chat.cast.ann, Kind.MANUAL_URGENT)
    gone(chat)
    chat.resolve(chat.cast.ann)


def dismissed(chat: Chat) -> None:
    chat.accept(chat.cast.cat)
    departure.dismiss_agent(actor=chat.cast.sue, agent_id=chat.cast.agent("cat").pk)


def dismissed_in_a_pause(chat: Chat) -> None:
    chat.accept(chat.cast.cat)
    chat.opens(chat.cast.ann, Kind.MANUAL_URGENT)
    departure.dismiss_agent(actor=chat.cast.sue, agent_id=chat.cast.agent("cat").pk)
    chat.resolve(chat.cast.ann)


def put_back(chat: Chat) -> None:
    chat.accept(chat.cast.cat)
    chat.reassign()


def grabbed_and_silent(chat: Chat) -> None:
    chat.accept(chat.cast.cat)
    chat.grab(chat.cast.ben)
    gone(chat, "ben")
    silence.move_on_from_silent_agents()


def gone(chat: Chat, name: str = "cat") -> None:
    chat.cast.change(name, last_seen_at=clock.now() - HOUR)


WAYS: dict[Callable[[Chat], None], str] = {
    urgent: TransferKind.ESCALATION,
    urgent_twice: TransferKind.ESCALATION,
    silent_agent: TransferKind.REASSIGNMENT,
    silent_at_the_end_of_a_pause: TransferKind.REASSIGNMENT,
    dismissed: TransferKind.REASSIGNMENT,
    dismissed_in_a_pause: TransferKind.REASSIGNMENT,
    put_back: TransferKind.REASSIGNMENT,
    grabbed_and_silent: TransferKind.REASSIGNMENT,
}


def reasons(transfer: Transfer) -> list[tuple[str, str]]:
    return [(one["by"], one["reason"]) for one in transfer.context.get("reasons", [])]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_the_team_the_skills_and_the_reason_stay(chat: Chat, team: Team, way: Callable[[Chat], None]) -> None:
    way(chat)
    asked = chat.pending
    assert (asked.kind, asked.to_team, asked.needs) == (WAYS[way], team, FRENCH)
    assert reasons(asked) == [("bot", "asks for a refund")]
    assert asked.reason == asked.context["reason"] != "asks for a refund"
    assert packages.wrong(asked.context) == ""


def test_no_first_reply_asks_for_the_same_skills(chat: Chat, team: Team, later: Later) -> None:
    Team.objects.filter(pk=team.pk).update(first_reply_timeout=60)
    chat.accept(chat.cast.cat)
    later(61)
    chat.sweep()
    assert (chat.pending.trigger, chat.pending.to_team, chat.pending.needs) == ("no_reply", team, FRENCH)
    assert reasons(chat.pending) == [("bot", "asks for a refund")]


def test_the_customers_reason_stays_the_customers_and_what_came_later_stays_too(chat: Chat) -> None:
    chat.escalate(chat.customer, reason="I have waited for a week!")
    urgent(chat)
    assert reasons(chat.pending) == [("bot", "asks for a refund"), ("customer", "I have waited for a week!")]
    chat.escalate(chat.customer, reason="I have waited for a week!")
    assert len(reasons(chat.pending)) == 2, "said before, and nothing new"
    assert len(chat.transfers) == 3


def test_who_was_asked_by_name_is_asked_still_unless_they_get_nothing_new(cast: Cast) -> None:
    first, second = cast.chat(), cast.chat()
    for one in (first, second):
        one.robot()
        one.escalate(to_agent_id=cast.agent("ben").pk)
    urgent(first)
    assert first.pending.to_agent_id == cast.ben.id
    cast.change("ben", is_drained=True)
    urgent(second)
    assert second.pending.to_agent_id is None


def test_a_handover_that_nobody_took_asks_for_no_skills_once_it_is_over(chat: Chat) -> None:
    cast = chat.cast
    chat.accept(cast.cat)
    chat.escalate(cast.cat, to_agent_id=cast.ben.id, needs={"de": 2}, reason="speaks German now")
    chat.reassign()
    assert (chat.pending.needs, reasons(chat.pending)) == (FRENCH, [("bot", "asks for a refund")])


def test_a_handover_that_was_under_way_goes_on_with_its_own_skills(chat: Chat) -> None:
    cast = chat.cast
    chat.accept(cast.cat)
    chat.escalate(cast.cat, to_agent_id=cast.ben.id, needs={"de": 2}, reason="speaks German now")
    gone(chat)
    silence.move_on_from_silent_agents()
    assert (chat.pending.to_agent_id, chat.pending.needs) == (cast.ben.id, {"de": 2})
    assert reasons(chat.pending) == [("bot", "asks for a refund"), ("agent", "speaks German now")]


def test_what_a_bot_got_back_and_asks_for_anew_is_another_request(chat: Chat) -> None:
    chat.accept(chat.cast.cat)
    chat.release(chat.cast.cat)
    chat.escalate(reason="is angry")
    assert (chat.pending.needs, reasons(chat.pending)) == ({}, [])
    urgent(chat)
    assert (chat.pending.needs, reasons(chat.pending)) == ({}, [("bot", "is angry")])


def test_the_reasons_have_a_bound(chat: Chat) -> None:
    for number in range(MOST_REASONS + 5):
        chat.escalate(reason=f"reason {number}")
    urgent(chat)
    kept = reasons(chat.pending)
    assert len(kept) == MOST_REASONS
    assert kept[-1] == ("bot", f"reason {MOST_REASONS + 4}")
    assert packages.wrong(chat.pending.context) == ""
