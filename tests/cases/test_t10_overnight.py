"""T10: what was asked for after hours has its time after the opening, and the human that was promised."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest

from agents_app.models import Calendar, Holiday
from config import clock
from sessions_app.actions import flows, lifecycle, sweep
from sessions_app.states import Kind
from tests.cast import Cast, Chat, Later, refused, wrong_in_the_record
from tests.office import berlin, calendar

HOUR = 3600
PATIENCE = timedelta(seconds=300)
EVENING, OPENING = "2026-03-30", "2026-03-31"


@pytest.fixture
def office(cast: Cast, later: Later) -> Calendar:
    """Open from nine to five; it is six in the evening."""
    made = calendar(cast)
    cast.policy(calendar=made)
    later.until(berlin(EVENING, "18:00"))
    cast.seen()
    return made


def opening() -> datetime:
    return berlin(OPENING, "09:00")


def told(chat: Chat) -> list[str]:
    return [text for text in chat.said if "closed" in text]


@pytest.mark.usefixtures("office")
def test_the_deadline_counts_one_time_out_for_each_that_waits_before(cast: Cast) -> None:
    chats = [cast.chat().queue() for _ in range(4)]
    assert [chat.pending.deadline for chat in chats] == [opening() + PATIENCE * place for place in (1, 2, 3, 4)]


@pytest.mark.usefixtures("office")
def test_who_waits_for_another_team_does_not_count(cast: Cast) -> None:
    team = cast.team("second", "ben")
    first, other = cast.chat(), cast.chat()
    first.queue()
    other.robot()
    other.escalate(to_team_id=team.pk)
    assert other.pending.deadline == opening() + PATIENCE


@pytest.mark.usefixtures("office")
def test_no_deadline_is_later_than_a_session_waits(cast: Cast, settings: Any) -> None:
    settings.TANDEM = settings.TANDEM | {"WAITING_SESSION_TIMEOUT": 600}
    chats = [cast.chat().queue() for _ in range(4)]
    assert [chat.pending.deadline for chat in chats] == [opening() + PATIENCE * place for place in (1, 2, 2, 2)]


@pytest.mark.usefixtures("office")
@pytest.mark.parametrize("policy", ["return", "requeue"])
def test_it_is_asked_again_and_never_the_bots_until_a_human_has_had_it(
    cast: Cast, chat: Chat, later: Later, policy: str
) -> None:
    cast.policy(transfer_policy=policy)
    chat.queue()
    asked = chat.pending.pk
    later.until(opening())
    for _ in range(16):
        later(HOUR / 2)
        sweep.sweep_due()
        assert (chat.controller, chat.pending.pk) == ("queue", asked)
    assert chat.pending.asked_again > 3
    cast.seen()
    chat.accept(cast.ann)
    assert chat.controller == "human"


@pytest.mark.usefixtures("office")
def test_once_a_human_has_had_it_the_policy_counts_again(cast: Cast, chat: Chat, later: Later) -> None:
    chat.queue()
    later.until(opening(), 60)
    cast.seen()
    chat.accept(cast.ann)
    chat.release(cast.ann)
    chat.escalate()
    later(301)
    chat.sweep()
    assert chat.controller == "bot"


@pytest.mark.usefixtures("office")
def test_a_promise_outlives_a_pause(cast: Cast, chat: Chat, later: Later) -> None:
    """Asked for anew in the morning, after something more urgent, when it is open: nobody has come yet all the same."""
    chat.queue()
    later.until(opening(), 60)
    cast.seen()
    chat.opens(cast.ann, Kind.MANUAL_URGENT)
    chat.resolve(cast.ann)
    assert chat.pending.opens_at is None
    later(301)
    chat.sweep()
    assert chat.controller == "queue"


def test_a_holiday_that_comes_up_overnight_keeps_the_promise(
    cast: Cast, office: Calendar, chat: Chat, later: Later
) -> None:
    chat.queue()
    Holiday.objects.create(calendar=office, date=date.fromisoformat(OPENING))
    later.until(opening() + PATIENCE, 1)
    sweep.sweep_due()
    next_day = opening() + timedelta(days=1)
    assert (chat.controller, chat.pending.opens_at) == ("queue", next_day)
    assert chat.pending.deadline == next_day + PATIENCE
    assert [("Tuesday" in text, "Wednesday" in text) for text in told(chat)] == [(True, False), (False, True)]


def test_hours_that_are_taken_away_keep_the_promise(cast: Cast, office: Calendar, chat: Chat, later: Later) -> None:
    """Without a calendar it counts as open, and still nobody has come."""
    chat.queue()
    cast.policy(calendar=None)
    later.until(opening() + PATIENCE, 1)
    sweep.sweep_due()
    assert (chat.controller, chat.pending.asked_again) == ("queue", 1)


@pytest.mark.usefixtures("office")
def test_only_a_supervisor_takes_the_promise_back(cast: Cast, chat: Chat) -> None:
    chat.queue()
    refused("no_way_back", chat.withdraw, cast.bargain)
    refused("no_way_back", chat.withdraw, cast.channel)
    chat.withdraw(cast.sue)
    assert chat.controller == "bot"


@pytest.mark.usefixtures("office")
def test_what_was_asked_for_while_it_was_open_is_as_the_policy_says(cast: Cast, chat: Chat, later: Later) -> None:
    later.until(berlin(OPENING, "10:00"))
    cast.seen()
    chat.queue()
    later(301)
    chat.sweep()
    assert (chat.controller, chat.has_pending) == ("bot", False)


@pytest.mark.usefixtures("office")
def test_what_waits_when_it_closes_is_promised_too(cast: Cast, chat: Chat, later: Later) -> None:
    cast.policy(transfer_policy="requeue")
    later.until(berlin(OPENING, "16:58"))
    cast.seen()
    chat.queue()
    later(301)
    chat.sweep()
    cast.policy(transfer_policy="return")
    assert len(told(chat)) == 1
    later.until(opening() + timedelta(days=1) + PATIENCE, 1)
    chat.sweep()
    assert chat.controller == "queue"
    assert chat.pending.opens_at == opening() + timedelta(days=1)
    assert clock.now() > chat.pending.opens_at


@pytest.mark.parametrize("asks_something", [False, True], ids=["and speaks", "and asks by a flow"])
def test_a_bot_that_comes_between_by_its_priority_takes_no_time_from_who_waits(
    cast: Cast, chat: Chat, later: Later, asks_something: bool
) -> None:
    """Whoever asked first is served first, whatever had the turn meanwhile."""
    cast.policy(transfer_policy="requeue")
    lifecycle.open_session(actor=chat.customer, conversation_id=chat.id, robot=False)
    asked_at = chat.row.waiting_since
    later(100)
    second = cast.chat()
    lifecycle.open_session(actor=second.customer, conversation_id=second.id, robot=False)
    chat.robot(cast.bargain, priority=1)
    if asks_something:
        flows.open_flow(actor=cast.bargain, trigger_id="size", question="Which size?", conversation_id=chat.id)
    assert chat.row.controller == ("flow" if asks_something else "bot")
    later(100)
    lifecycle.complete_session(actor=cast.bargain, session_id=chat.sessions[-1].pk)
    assert (chat.row.controller, chat.row.waiting_since) == ("queue", asked_at)
    assert chat.row.desk_order < second.row.desk_order
    assert list(wrong_in_the_record()) == []
