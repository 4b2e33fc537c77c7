"""T15.1: a request for a human that nobody answered is not lost with the session that waited: it is flagged until one looks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest

from agents_app.models import Tenant
from sessions_app import queries
from sessions_app.actions import conversations, lifecycle, silence, sweep, transfers
from sessions_app.errors import IllegalTransition
from sessions_app.queries import View
from sessions_app.states import Kind, Status
from tests.cast import Cast, Chat, Later, wrong_in_the_record
from tests.office import berlin, calendar

HOUR, DAY = 3600, 24 * 3600

pytestmark = pytest.mark.django_db


def passes(later: Later, hours: int) -> None:
    """The clocks run, and somebody is there who takes nothing."""
    for _ in range(hours):
        later(HOUR)
        sweep.sweep_due()
        silence.escalate_from_dead_bots()


def is_flagged(chat: Chat, since: datetime | None) -> bool:
    """It waits in sight, with the clock of the request."""
    row = chat.row
    shown = {line.id for line in queries.list_page(actor=chat.cast.cat, view=View.UNASSIGNED).rows}
    assert (chat.id in shown) == row.needs_human
    return row.needs_human and (row.need["kind"], row.waiting_since) == ("unanswered", since)


# --- Ways in which somebody waits for a human, though the last word was an answer -----------------------------------


def _escalated_with_a_word(chat: Chat, later: Later) -> None:
    chat.cast.policy(transfer_policy=Tenant.TransferPolicy.REQUEUE)
    chat.robot()
    chat.says("A human, please")
    chat.speaks(chat.cast.bargain, "I call somebody.")
    chat.escalate(reason="wants a human")


def _a_button_without_words(chat: Chat, later: Later) -> None:
    lifecycle.open_session(actor=chat.customer, conversation_id=chat.id, robot=False, reason="My lamp burns")


def _promised_after_hours(chat: Chat, later: Later) -> None:
    chat.cast.policy(calendar=calendar(chat.cast))
    later.until(berlin("2026-03-30", "18:00"))
    chat.robot()
    chat.says("A human, please")
    chat.speaks(chat.cast.bargain, "I call somebody.")
    chat.escalate()


def _its_agent_fell_silent(chat: Chat, later: Later) -> None:
    chat.human()
    chat.says()
    chat.speaks(chat.cast.ann, "I look into it, one moment.")
    later(400)
    silence.move_on_from_silent_agents()


def _put_back(chat: Chat, later: Later) -> None:
    chat.human()
    chat.reassign()


WAYS = [_escalated_with_a_word, _a_button_without_words, _promised_after_hours, _its_agent_fell_silent, _put_back]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("unanswered", Tenant.Unanswered.values)
def test_a_request_for_a_human_outlives_the_session_that_waited(
    chat: Chat, later: Later, way: Callable[[Chat, Later], None], unanswered: str
) -> None:
    """Also where the tenant leaves words that nobody answered: what is lost here is the request, not the words."""
    chat.cast.policy(unanswered=unanswered)
    way(chat, later)
    asked = chat.pending
    assert chat.controller == "queue"
    passes(later, 24 * 4)
    assert (chat.controller, chat.sessions[-1].status) == ("none", Status.TIMEOUT)
    assert is_flagged(chat, asked.waiting_since)
    assert chat.row.need["reason"] == asked.reason
    assert list(wrong_in_the_record()) == []


def test_words_without_an_answer_change_nothing_of_it(chat: Chat, later: Later) -> None:
    """The flag is the request's, which an answer does not take away, and its clock is the longer one."""
    chat.human()
    chat.reassign()
    since = chat.pending.waiting_since
    later(HOUR)
    chat.says("Is anybody there?")
    passes(later, 24)
    assert is_flagged(chat, since)
    chat.robot()
    chat.speaks(chat.cast.bargain)
    later(1800)
    sweep.sweep_due()
    assert is_flagged(chat, since)
    assert chat.event_types.count("attention.raised") == 1


@pytest.mark.parametrize("look", ["acknowledge", "serve"])
def test_it_stays_until_a_human_has_looked(chat: Chat, later: Later, look: str) -> None:
    _escalated_with_a_word(chat, later)
    since = chat.pending.waiting_since
    passes(later, 3 * 24)
    assert is_flagged(chat, since)
    if look == "acknowledge":
        conversations.acknowledge(actor=chat.cast.ben, conversation_id=chat.id)
    else:
        chat.human()
    assert not chat.row.needs_human
    passes(later, 2)
    assert not chat.row.needs_human


def test_it_is_not_lost_while_it_is_paused_for_an_urgent_one(chat: Chat, later: Later) -> None:
    _escalated_with_a_word(chat, later)
    since = chat.pending.waiting_since
    chat.opens(chat.cast.channel, Kind.MANUAL_URGENT)
    later(HOUR)
    chat.sweep()
    assert [s.status for s in chat.sessions] == [Status.PAUSED, Status.ACTIVE]
    passes(later, 24)
    assert [s.status for s in chat.sessions] == [Status.TIMEOUT, Status.TIMEOUT]
    assert is_flagged(chat, since)


def test_a_bot_that_gets_the_turn_by_it_takes_no_flag_away(chat: Chat, later: Later) -> None:
    chat.robot()
    chat.opens(chat.cast.channel, Kind.MANUAL_URGENT)
    asked = chat.pending
    later(DAY - 10)
    lifecycle.pause_session(actor=chat.cast.bargain, session_id=chat.sessions[0].pk)
    lifecycle.resume_session(actor=chat.cast.bargain, session_id=chat.sessions[0].pk)
    later(10)
    sweep.sweep_due()
    assert chat.sessions[1].status == Status.TIMEOUT
    assert is_flagged(chat, asked.waiting_since)


# --- What a person decided, or served -------------------------------------------------------------------------------


def test_a_handover_that_ends_with_its_session_was_served_all_along(chat: Chat, later: Later) -> None:
    chat.human()
    chat.says()
    chat.speaks(chat.cast.ann)
    later(8 * HOUR - 100)
    chat.hand_over(to_agent_id=chat.cast.ben.id)
    later(100)
    sweep.sweep_due()
    assert (chat.sessions[0].status, chat.transfers[-1].status) == (Status.TIMEOUT, "WITHDRAWN")
    assert not chat.row.needs_human


@pytest.mark.parametrize("end", ["cancel", "withdraw"])
def test_who_takes_the_request_back_has_decided(chat: Chat, later: Later, end: str) -> None:
    _a_button_without_words(chat, later)
    if end == "cancel":
        lifecycle.cancel_session(actor=chat.cast.sue, session_id=chat.sessions[0].pk)
    else:
        transfers.withdraw_transfer(actor=chat.cast.sue, transfer_id=chat.pending.pk)
    passes(later, 2)
    assert (chat.controller, chat.row.needs_human) == ("none", False)


def test_a_session_that_only_a_bot_worked_is_no_request(cast: Cast, later: Later) -> None:
    chat = cast.chat()
    chat.robot()
    chat.says()
    chat.speaks(cast.bargain)
    later(1800)
    sweep.sweep_due()
    assert (chat.sessions[0].status, chat.row.needs_human) == (Status.TIMEOUT, False)


def test_a_bot_does_not_hold_what_waits_for_a_human_behind_something_urgent(cast: Cast, chat: Chat) -> None:
    """Held, it would be in no agent's view once the urgent one is over."""
    chat.robot()
    chat.says("A human, please")
    chat.escalate()
    waits = chat.sessions[-1].pk
    chat.opens(cast.ann, Kind.MANUAL_URGENT)
    with pytest.raises(IllegalTransition):
        lifecycle.pause_session(actor=cast.bargain, session_id=waits)
    chat.resolve(cast.ann)
    assert chat.row.controller == "queue"
