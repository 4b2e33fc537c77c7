"""Service levels: which clock starts, pauses and ends by what people do, and what it says when it is late."""

from __future__ import annotations

from collections.abc import Callable
from datetime import time, timedelta
from typing import Any

import pytest

from agents_app.models import SlaPolicy, Tenant
from config import clock
from messaging_app.thread import NewMessage
from sessions_app.actions import conversations, lifecycle, messages, sweep
from sessions_app.models import SlaClock, Transfer
from sessions_app.states import Kind
from tests.cast import Cast, Chat, Later
from tests.office import FRIDAYS, HOUR, MINUTE, MONDAYS, berlin, by_email, calendar, levels, office
from tests.races.invariants import check

ELAPSED = SlaPolicy.Counts.ELAPSED
FIRST, NEXT, RESOLUTION = SlaClock.Kind.FIRST_RESPONSE, SlaClock.Kind.NEXT_RESPONSE, SlaClock.Kind.RESOLUTION
SEASONS = pytest.mark.parametrize("season", FRIDAYS)
CLOSE = timedelta(seconds=5)
"""A test takes some time itself."""


@pytest.fixture(autouse=True)
def _operations_say_it_all(cast: Cast) -> Any:
    yield
    assert check(cast.tenant.pk, stamped=False, sweeper_lived=False) == []
    assert not SlaClock.objects.filter(ended_at=None, session__ended_at__isnull=False).exists(), "outlived its session"
    assert not SlaClock.objects.filter(wakes_at__lt=clock.now() - CLOSE).exists(), "overdue"


@pytest.fixture
def promised(cast: Cast) -> SlaPolicy:
    """Ten minutes to the first words, five to the next, four hours in all; nothing closes."""
    return levels(cast, first_response=10 * MINUTE, next_response=5 * MINUTE, resolution=4 * HOUR)


def clocks(chat: Chat, kind: str = "") -> list[SlaClock]:
    found = SlaClock.objects.filter(conversation_id=chat.id).order_by("pk")
    return list(found.filter(kind=kind) if kind else found)


def states(chat: Chat) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in clocks(chat):
        found.setdefault(one.kind, []).append(one.state)
    return found


def the(chat: Chat, kind: str) -> SlaClock:
    """The newest of its kind."""
    return clocks(chat, kind)[-1]


def said(chat: Chat) -> list[tuple[str, str]]:
    """What the clocks have put on record."""
    return [(o.type, o.data["kind"]) for o in chat.operations if o.type.startswith("sla.")]


def about(span: timedelta, seconds: float) -> bool:
    return abs(span - timedelta(seconds=seconds)) < CLOSE


# --- First response ----------------------------------------------------------------------------------------------


def _asked_for(chat: Chat) -> None:
    chat.queue()


def _asked_for_and_accepted(chat: Chat) -> None:
    chat.queue()
    chat.accept()


def _taken_over(chat: Chat) -> None:
    chat.serve()


def _opened_by_an_agent(chat: Chat) -> None:
    chat.human()


def _opened_by_the_channel(chat: Chat) -> None:
    chat.human(chat.cast.channel)


@pytest.mark.parametrize(
    "begin",
    [_asked_for, _asked_for_and_accepted, _taken_over, _opened_by_an_agent, _opened_by_the_channel],
    ids=lambda way: way.__name__.strip("_").replace("_", " "),
)
def test_two_clocks_start_when_a_human_is_asked_for_or_takes_it(
    chat: Chat, promised: SlaPolicy, begin: Callable[[Chat], None]
) -> None:
    begin(chat)
    assert states(chat) == {FIRST: ["running"], RESOLUTION: ["running"]}
    assert about(the(chat, FIRST).due_at - clock.now(), 10 * MINUTE)  # type: ignore[operator]
    assert about(the(chat, RESOLUTION).due_at - clock.now(), 4 * HOUR)  # type: ignore[operator]


def test_a_bot_at_work_has_no_clock(chat: Chat, promised: SlaPolicy) -> None:
    chat.robot()
    chat.says()
    chat.speaks(chat.cast.bargain)
    assert clocks(chat) == []


def test_who_has_promised_nothing_has_no_clock(chat: Chat) -> None:
    chat.queue()
    chat.accept()
    chat.speaks(chat.cast.ann)
    assert clocks(chat) == []


def test_a_target_that_is_empty_has_no_clock(chat: Chat, cast: Cast) -> None:
    levels(cast, next_response=60)
    chat.serve()
    assert clocks(chat) == []
    chat.says()
    assert states(chat) == {NEXT: ["running"]}


def test_the_first_words_to_the_customer_meet_it_and_a_note_does_not(
    chat: Chat, promised: SlaPolicy, later: Later
) -> None:
    chat.queue()
    later(2 * MINUTE)
    chat.accept()
    messages.post_note(actor=chat.cast.ann, conversation_id=chat.id, words=NewMessage(content="Difficult."))
    assert the(chat, FIRST).state == "running"
    later(MINUTE)
    chat.speaks(chat.cast.ann)
    assert (the(chat, FIRST).state, said(chat)) == ("met", [("sla.met", FIRST)])
    assert about(the(chat, FIRST).spent, 3 * MINUTE)


def test_words_from_the_shops_own_app_are_an_answer(chat: Chat, promised: SlaPolicy) -> None:
    chat.queue()
    chat.echo()
    assert states(chat) == {FIRST: ["met"], RESOLUTION: ["paused"]}


def test_a_shop_that_answers_a_bots_customer_has_kept_nobody_waiting(chat: Chat, promised: SlaPolicy) -> None:
    chat.robot()
    chat.echo()
    assert clocks(chat) == []


def test_what_tandem_or_a_guest_says_is_no_answer(chat: Chat, promised: SlaPolicy, later: Later) -> None:
    office(chat.cast)
    later.until(berlin(FRIDAYS["spring"], "18:00"))
    chat.cast.seen()
    chat.queue()
    assert the(chat, FIRST).state == "running"
    chat.accept()
    chat.speaks(chat.guest())
    assert the(chat, FIRST).state == "running"


# --- Warned, and too late ----------------------------------------------------------------------------------------


def test_it_warns_once_at_its_percentage_and_is_late_once(chat: Chat, promised: SlaPolicy, later: Later) -> None:
    Tenant.objects.update(transfer_policy="requeue")
    chat.queue()
    later(8 * MINUTE - 5)
    sweep.sweep_due()
    assert said(chat) == []
    for after, expected in (
        (5, [("sla.warned", FIRST)]),
        (MINUTE, [("sla.warned", FIRST)]),
        (MINUTE, [("sla.warned", FIRST), ("sla.breached", FIRST)]),
        (MINUTE, [("sla.warned", FIRST), ("sla.breached", FIRST)]),
    ):
        later(after)
        sweep.sweep_due()
        assert said(chat) == expected
    assert (the(chat, FIRST).state, the(chat, FIRST).ended_at) == ("breached", None)


def test_an_answer_that_comes_late_ends_the_clock_and_does_not_meet_it(
    chat: Chat, promised: SlaPolicy, later: Later
) -> None:
    chat.serve()
    later(11 * MINUTE)
    chat.speaks(chat.cast.ann)
    assert said(chat) == [("sla.breached", FIRST)], "too late to be warned"
    assert the(chat, FIRST).state == "breached"
    assert the(chat, FIRST).ended_at
    assert about(the(chat, FIRST).spent, 11 * MINUTE)


def test_at_a_hundred_percent_nobody_is_warned(chat: Chat, cast: Cast, later: Later) -> None:
    levels(cast, first_response=10 * MINUTE, warn_at=100)
    chat.serve()
    for _ in range(12):
        later(MINUTE)
        sweep.sweep_due()
    assert said(chat) == [("sla.breached", FIRST)]


def test_whoever_comes_first_applies_it_and_sweeping_again_does_nothing(
    chat: Chat, promised: SlaPolicy, later: Later
) -> None:
    chat.serve()
    later(11 * MINUTE)
    conversations.pin(actor=chat.cast.ann, conversation_id=chat.id)
    assert chat.event_types[-2:] == ["sla.breached", "conversation.pinned"]
    seq = chat.row.seq
    assert sweep.sweep_due() == 0
    chat.sweep()
    assert chat.row.seq == seq


def test_the_sweeper_finds_a_clock_that_is_due(cast: Cast, promised: SlaPolicy, later: Later) -> None:
    late, fresh = cast.chat().serve(), cast.chat()
    later(9 * MINUTE)
    fresh.serve()
    assert {conversation_id for _, conversation_id in sweep.due()} == {late.id}
    assert sweep.sweep_due() == 1


# --- Next response -----------------------------------------------------------------------------------------------


def test_the_first_unanswered_words_start_it_and_the_agents_meet_it(
    chat: Chat, promised: SlaPolicy, later: Later
) -> None:
    chat.serve()
    chat.speaks(chat.cast.ann)
    chat.says("And the postage?")
    since = the(chat, NEXT).started_at
    later(MINUTE)
    chat.says("Hello?")
    assert [one.started_at for one in clocks(chat, NEXT)] == [since], "the waiting goes on, it does not begin anew"
    chat.speaks(chat.cast.ann)
    chat.says("Thanks. And returns?")
    assert states(chat)[NEXT] == ["met", "running"]


def test_until_the_agent_has_spoken_it_is_the_first_response_that_is_waited_for(
    chat: Chat, promised: SlaPolicy
) -> None:
    chat.serve()
    chat.says("Hello?")
    assert states(chat) == {FIRST: ["running"], RESOLUTION: ["running"]}


def test_a_colleagues_words_are_an_answer_too(chat: Chat, promised: SlaPolicy) -> None:
    from sessions_app.actions import participants

    chat.serve()
    participants.invite_colleague(actor=chat.cast.ann, conversation_id=chat.id, agent_id=chat.cast.agent("ben").pk)
    chat.speaks(chat.cast.ben)
    assert the(chat, FIRST).state == "met"


def test_a_customer_whose_agent_is_gone_waits_on(chat: Chat, promised: SlaPolicy) -> None:
    chat.serve()
    chat.speaks(chat.cast.ann)
    chat.says("And?")
    chat.reassign()
    chat.says("Hello?")
    assert states(chat)[NEXT] == ["running"]
    chat.accept(chat.cast.ben)
    chat.speaks(chat.cast.ben)
    assert states(chat) == {FIRST: ["met"], NEXT: ["met"], RESOLUTION: ["paused"]}


def test_while_nobody_serves_a_customers_words_start_nothing_new(chat: Chat, cast: Cast) -> None:
    levels(cast, next_response=60)
    chat.queue()
    chat.says("Hello?")
    assert clocks(chat) == []


# --- Resolution, and its pauses ----------------------------------------------------------------------------------


def test_it_stands_still_while_the_customers_answer_is_waited_for(
    chat: Chat, promised: SlaPolicy, later: Later
) -> None:
    chat.serve()
    later(HOUR)
    chat.speaks(chat.cast.ann, "Which size?")
    assert (the(chat, RESOLUTION).state, the(chat, RESOLUTION).due_at) == ("paused", None)
    later(5 * HOUR)
    sweep.sweep_due()
    chat.speaks(chat.cast.ann, "Still there?")
    assert the(chat, RESOLUTION).state == "paused"
    chat.says("Large.")
    assert about(the(chat, RESOLUTION).due_at - clock.now(), 3 * HOUR)  # type: ignore[operator]
    later(HOUR)
    chat.resolve()
    assert the(chat, RESOLUTION).state == "met"
    assert about(the(chat, RESOLUTION).spent, 2 * HOUR)


def test_all_clocks_stand_still_while_the_session_is_paused(chat: Chat, promised: SlaPolicy, later: Later) -> None:
    chat.queue()
    chat.accept()
    later(MINUTE)
    chat.opens(chat.cast.ben, Kind.MANUAL_URGENT)
    session = chat.sessions[0].pk
    paused = {one.kind: one.state for one in clocks(chat) if one.session_id == session}
    assert paused == {FIRST: "paused", RESOLUTION: "paused"}
    later(3 * HOUR)
    chat.cast.seen()
    chat.resolve(chat.cast.ben)
    first = next(one for one in clocks(chat, FIRST) if one.session_id == session)
    assert about(first.due_at - clock.now(), 9 * MINUTE)  # type: ignore[operator]


def test_a_customer_who_answers_the_urgent_session_is_not_waited_for_in_the_paused_one(
    chat: Chat, promised: SlaPolicy
) -> None:
    chat.serve()
    chat.speaks(chat.cast.ann, "Which size?")
    session = chat.live.pk
    chat.opens(chat.cast.ben, Kind.MANUAL_URGENT)
    chat.says("Large! And my house is on fire.")
    chat.resolve(chat.cast.ben)
    resolution = next(one for one in clocks(chat, RESOLUTION) if one.session_id == session)
    assert (resolution.state, resolution.awaits_customer) == ("running", False)


def test_a_warning_is_not_given_twice_because_of_a_pause(chat: Chat, cast: Cast, later: Later) -> None:
    levels(cast, resolution=HOUR)
    chat.serve()
    later(50 * MINUTE)
    sweep.sweep_due()
    chat.speaks(chat.cast.ann)
    later(HOUR)
    chat.says()
    later(9 * MINUTE)
    sweep.sweep_due()
    assert said(chat) == [("sla.warned", RESOLUTION)]
    later(2 * MINUTE)
    sweep.sweep_due()
    assert said(chat) == [("sla.warned", RESOLUTION), ("sla.breached", RESOLUTION)]


def test_what_is_too_late_is_so_to_the_end_whatever_is_said(chat: Chat, cast: Cast, later: Later) -> None:
    levels(cast, resolution=HOUR)
    chat.serve()
    later(61 * MINUTE)
    chat.speaks(chat.cast.ann)
    chat.says()
    chat.resolve()
    assert (the(chat, RESOLUTION).state, bool(the(chat, RESOLUTION).ended_at)) == ("breached", True)
    assert said(chat) == [("sla.breached", RESOLUTION)]


# --- How they end ------------------------------------------------------------------------------------------------


def _released(chat: Chat) -> None:
    chat.release()


def _cancelled(chat: Chat) -> None:
    lifecycle.cancel_session(actor=chat.cast.sue, session_id=chat.live.pk)


def _resolved(chat: Chat) -> None:
    chat.resolve()


def _completed_by_the_channel(chat: Chat) -> None:
    lifecycle.complete_session(actor=chat.cast.channel, session_id=chat.live.pk)


@pytest.mark.parametrize(
    ("end", "resolution"),
    [(_released, "stopped"), (_cancelled, "stopped"), (_resolved, "met"), (_completed_by_the_channel, "met")],
    ids=["released to the bot", "cancelled", "resolved", "completed by the channel"],
)
def test_how_a_session_ends_is_how_its_clocks_end(
    chat: Chat, promised: SlaPolicy, end: Callable[[Chat], None], resolution: str
) -> None:
    """With a customer whom nobody has answered: that was neither kept nor broken."""
    chat.serve()
    chat.speaks(chat.cast.ann)
    chat.says("And?")
    end(chat)
    assert states(chat) == {FIRST: ["met"], NEXT: ["stopped"], RESOLUTION: [resolution]}


def test_a_session_that_times_out_stops_its_clocks(chat: Chat, cast: Cast, later: Later) -> None:
    levels(cast, first_response=10 * HOUR, resolution=10 * HOUR)
    chat.human()
    later(8 * HOUR + 1)
    sweep.sweep_due()
    assert states(chat) == {FIRST: ["stopped"], RESOLUTION: ["stopped"]}


def test_what_became_an_email_was_not_resolved(chat: Chat, promised: SlaPolicy, later: Later, settings: Any) -> None:
    settings.EMAIL_URL = "memory://"
    by_email(chat.cast)
    later.until(berlin(FRIDAYS["spring"], "16:50"))
    chat.serve()
    later(HOUR)
    sweep.sweep_due()
    chat.cast.seen()
    chat.reassign()
    assert states(chat)[RESOLUTION] == ["stopped"]


def test_a_request_that_goes_back_to_the_bot_unanswered_stops_and_the_next_begins_anew(
    chat: Chat, promised: SlaPolicy, later: Later
) -> None:
    chat.queue()
    later(301)
    sweep.sweep_due()
    assert chat.controller == "bot"
    assert states(chat) == {FIRST: ["stopped"], RESOLUTION: ["stopped"]}
    chat.escalate()
    assert states(chat) == {FIRST: ["stopped", "running"], RESOLUTION: ["stopped", "running"]}


def test_being_asked_for_again_changes_no_clock(chat: Chat, promised: SlaPolicy, later: Later) -> None:
    chat.cast.policy(transfer_policy="requeue")
    chat.queue()
    before = [(one.pk, one.due_at) for one in clocks(chat)]
    later(301)
    sweep.sweep_due()
    assert chat.has_pending
    chat.accept()
    chat.reassign()
    assert [(one.pk, one.due_at) for one in clocks(chat)] == before


def test_a_refused_verb_moves_no_clock(chat: Chat, promised: SlaPolicy) -> None:
    from tests.cast import refused

    chat.serve()
    chat.says()
    refused("forbidden", chat.speaks, chat.cast.ben)


# --- Whose targets -----------------------------------------------------------------------------------------------


def test_a_teams_own_levels_count_where_the_team_was_asked(chat: Chat, cast: Cast, promised: SlaPolicy) -> None:
    returns = cast.team("returns", "ann")
    levels(cast, team=returns, first_response=MINUTE)
    chat.robot()
    chat.escalate(to_team_id=returns.pk)
    assert [(one.kind, one.target) for one in clocks(chat)] == [(FIRST, timedelta(minutes=1))]
    other = cast.chat().queue()
    assert the(other, FIRST).target == timedelta(minutes=10)


def test_a_clock_keeps_the_targets_it_began_with(chat: Chat, promised: SlaPolicy, later: Later) -> None:
    chat.serve()
    SlaPolicy.objects.update(first_response=1, resolution=1)
    later(MINUTE)
    chat.speaks(chat.cast.ann)
    assert said(chat) == [("sla.met", FIRST)]
    chat.says()
    assert about(the(chat, RESOLUTION).due_at - clock.now(), 4 * HOUR - MINUTE)  # type: ignore[operator]


# --- Business time, across both changes of the clock -------------------------------------------------------------


@SEASONS
def test_the_weekend_does_not_count(chat: Chat, cast: Cast, later: Later, season: str) -> None:
    """Asked on Friday at 16:30: half an hour then, the rest on Monday, by the clock as it is then."""
    office(cast)
    levels(cast, first_response=2 * HOUR, resolution=20 * HOUR)
    later.until(berlin(FRIDAYS[season], "16:30"))
    chat.cast.seen()
    chat.queue()
    chat.accept()
    assert abs(the(chat, FIRST).due_at - berlin(MONDAYS[season], "10:30")) < CLOSE  # type: ignore[operator]
    later.until(berlin(MONDAYS[season], "10:29"))
    chat.cast.seen()
    assert said(chat) == []
    sweep.sweep_due()
    assert said(chat) == [("sla.warned", FIRST)]


@SEASONS
def test_who_asks_while_it_is_closed_waits_from_the_opening_on(
    chat: Chat, cast: Cast, later: Later, season: str
) -> None:
    office(cast, transfer_policy="requeue")
    levels(cast, first_response=HOUR)
    later.until(berlin(FRIDAYS[season], "20:00"))
    chat.queue()
    assert the(chat, FIRST).due_at == berlin(MONDAYS[season], "10:00")
    for _ in range(10):
        later(6 * HOUR)
        sweep.sweep_due()
    assert said(chat) == []
    later.until(berlin(MONDAYS[season], "10:00"), 1)
    sweep.sweep_due()
    assert said(chat) == [("sla.breached", FIRST)]


@SEASONS
def test_a_pause_over_the_weekend_gives_back_what_was_left(chat: Chat, cast: Cast, later: Later, season: str) -> None:
    office(cast)
    levels(cast, resolution=4 * HOUR)
    later.until(berlin(FRIDAYS[season], "15:00"))
    chat.cast.seen()
    chat.queue()
    chat.accept()
    later(HOUR)
    chat.speaks(chat.cast.ann, "Which size?")
    later.until(berlin(FRIDAYS[season], "20:00"))
    chat.says("Large.")
    assert abs(the(chat, RESOLUTION).due_at - berlin(MONDAYS[season], "12:00")) < CLOSE  # type: ignore[operator]


@SEASONS
@pytest.mark.parametrize(("opens", "lasts"), [(time(0), {"spring": 23, "autumn": 25}), (time(9), None)])
def test_a_sunday_on_which_the_clock_is_changed(
    chat: Chat, cast: Cast, later: Later, season: str, opens: time, lasts: dict[str, int] | None
) -> None:
    """Open all day it has 23 or 25 hours, from nine to five it has eight: what is due on Monday moves with it."""
    made = calendar(cast, days=range(7), opens=opens, closes=time(0) if lasts else time(17))
    cast.policy(calendar=made)
    hours = lasts[season] if lasts else 8
    levels(cast, first_response=(hours + 1) * HOUR)
    sunday = (berlin(FRIDAYS[season], "12:00") + timedelta(days=2)).date().isoformat()
    later.until(berlin(sunday))
    chat.queue()
    assert abs(the(chat, FIRST).due_at - berlin(MONDAYS[season], f"{opens.hour + 1:02}:00")) < CLOSE  # type: ignore[operator]


@SEASONS
def test_where_every_hour_counts_the_change_of_clocks_is_nothing(
    chat: Chat, cast: Cast, later: Later, season: str
) -> None:
    office(cast)
    levels(cast, first_response=48 * HOUR, counts=ELAPSED)
    later.until(berlin(FRIDAYS[season], "20:00"))
    chat.queue()
    assert about(the(chat, FIRST).due_at - clock.now(), 48 * HOUR)  # type: ignore[operator]


def test_without_a_calendar_every_hour_counts(chat: Chat, promised: SlaPolicy, later: Later) -> None:
    assert promised.counts == SlaPolicy.Counts.BUSINESS
    later.until(berlin(FRIDAYS["spring"], "23:00"))
    chat.queue()
    assert about(the(chat, FIRST).due_at - clock.now(), 10 * MINUTE)  # type: ignore[operator]


def test_what_is_never_open_again_is_never_due(chat: Chat, cast: Cast, later: Later) -> None:
    made = office(cast)
    levels(cast, first_response=HOUR)
    made.opening_hours.all().delete()
    chat.serve()
    assert (the(chat, FIRST).state, the(chat, FIRST).due_at) == ("running", None)
    later(7 * HOUR)
    sweep.sweep_due()
    chat.speaks(chat.cast.ann)
    assert said(chat) == [("sla.met", FIRST)]
    assert Transfer.objects.count() == 1
