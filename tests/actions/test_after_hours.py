"""Asking for a human while nobody is there: the customer is told, and waits for the opening or is answered by e-mail."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, time, timedelta
from typing import Any

import pytest
from django.utils import timezone, translation

from agents_app.models import Calendar, Holiday, OpeningHours, Tenant
from config import clock
from messaging_app.models import Message
from sessions_app.actions import flows, lifecycle, sweep
from sessions_app.core.locked_conversation import Outcome
from sessions_app.models import GuidedFlow, Mail, Transfer
from sessions_app.states import Kind
from tests.cast import Cast, Chat, Later
from tests.office import BERLIN, FRIDAYS, HOUR, MINUTE, MONDAYS, berlin, by_email, calendar, office
from tests.races.invariants import check

SEASONS = pytest.mark.parametrize("season", FRIDAYS)


@pytest.fixture(autouse=True)
def _mail_is_set_up(settings: Any) -> None:
    settings.EMAIL_URL = "memory://"


@pytest.fixture(autouse=True)
def _operations_say_it_all(cast: Cast) -> Any:
    """Deadlines and owners follow from the operations, the hours included."""
    yield
    assert check(cast.tenant.pk, stamped=False, sweeper_lived=False) == []


def evening(chat: Chat, later: Later, season: str = "spring") -> datetime:
    """Friday, an hour after the close. Returns the opening: Monday, after the clock was changed."""
    later.until(berlin(FRIDAYS[season], "18:00"))
    chat.cast.seen()
    return berlin(MONDAYS[season], "09:00")


def told(chat: Chat) -> list[str]:
    said = Message.objects.filter(conversation_id=chat.id, sender_type=Message.Sender.SYSTEM).order_by("pk")
    return list(said.values_list("content", flat=True))


# --- Every way to ask --------------------------------------------------------------------------------------------


def _bot_escalates(chat: Chat) -> Outcome:
    chat.robot()
    return chat.escalate()


def _bot_needs_a_human(chat: Chat) -> Outcome:
    opened = chat.robot()
    return lifecycle.complete_session(actor=chat.cast.bargain, session_id=opened.session_id or 0, outcome="needs_human")


def _bot_admits_failure(chat: Chat) -> Outcome:
    chat.cast.rule("failure", phrases=["I cannot help"], threshold=1)
    chat.robot()
    return chat.speaks(chat.cast.bargain, "Sorry, I cannot help.")


def _customer_says_so(chat: Chat) -> Outcome:
    chat.cast.rule("keyword", phrases=["a human"])
    chat.robot()
    return chat.says("Get me a human!")


def _customer_says_so_with_nobody_there(chat: Chat) -> Outcome:
    chat.cast.rule("keyword", phrases=["a human"])
    return chat.says("Get me a human!")


def _customer_asks(chat: Chat) -> Outcome:
    chat.robot()
    return chat.escalate(chat.customer)


def _channel_opens_a_manual_session(chat: Chat) -> Outcome:
    return chat.human(chat.cast.channel)


def _channel_opens_one_over_a_bot(chat: Chat) -> Outcome:
    chat.robot()
    return chat.human(chat.cast.channel)


def _urgently(chat: Chat) -> Outcome:
    chat.robot()
    return chat.opens(chat.cast.channel, Kind.MANUAL_URGENT)


def _agent_is_absent(chat: Chat) -> Outcome:
    chat.serve()
    return chat.reassign()


def _one_agent_is_asked(chat: Chat) -> Outcome:
    chat.robot()
    return chat.escalate(to_agent_id=chat.cast.ann.id)


EVERY_WAY = pytest.mark.parametrize(
    "ask",
    [
        _bot_escalates,
        _bot_needs_a_human,
        _bot_admits_failure,
        _customer_says_so,
        _customer_says_so_with_nobody_there,
        _customer_asks,
        _channel_opens_a_manual_session,
        _channel_opens_one_over_a_bot,
        _urgently,
        _agent_is_absent,
        _one_agent_is_asked,
    ],
    ids=lambda way: way.__name__.strip("_").replace("_", " "),
)


@EVERY_WAY
def test_the_conversation_waits_for_the_opening_and_the_customer_is_told(
    chat: Chat, later: Later, ask: Callable[[Chat], Outcome]
) -> None:
    office(chat.cast)
    opens_at = evening(chat, later)
    answer = ask(chat)
    assert answer.detail["opens_at"] == opens_at.isoformat()
    assert (chat.controller, chat.pending.opens_at) == ("queue", opens_at)
    assert chat.pending.deadline == opens_at + timedelta(seconds=300)
    assert chat.pending.waiting_since < opens_at
    assert not chat.pending.is_open_at(clock.now())
    assert chat.pending.is_open_at(opens_at)
    [said] = told(chat)
    assert "Monday 30 March, 09:00" in said
    assert chat.event_types.count("message.created") == chat.row.messages.count()


@EVERY_WAY
def test_the_conversation_becomes_an_email_and_the_turn_is_free(
    chat: Chat, later: Later, ask: Callable[[Chat], Outcome]
) -> None:
    by_email(chat.cast)
    evening(chat, later)
    answer = ask(chat)
    assert answer.detail["after_hours"] == "email"
    mail = Mail.objects.get()
    ended = mail.session
    assert (ended.outcome, ended.status) == ("email", "COMPLETED" if ended.activated_at else "CANCELLED")
    assert (mail.to, mail.status, mail.transfer.status) == ("desk@example.org", "waiting", "WITHDRAWN")
    assert not chat.has_pending
    assert (answer.controller, chat.controller) == ((chat.controller,) * 2)
    assert chat.controller == ("bot" if ask is _urgently else "none"), "whoever was interrupted goes on"
    [said] = told(chat)
    assert "passed on by e-mail" in said


@EVERY_WAY
def test_while_it_is_open_all_is_as_without_hours(chat: Chat, later: Later, ask: Callable[[Chat], Outcome]) -> None:
    by_email(chat.cast)
    later.until(berlin(FRIDAYS["spring"], "16:00"))
    chat.cast.seen()
    answer = ask(chat)
    assert "opens_at" not in answer.detail
    assert chat.pending.opens_at is None
    assert told(chat) == []
    assert not Mail.objects.exists()


def test_without_a_calendar_it_is_always_open(chat: Chat, later: Later) -> None:
    evening(chat, later)
    chat.queue()
    assert (chat.pending.opens_at, told(chat)) == (None, [])


# --- Waiting, across both changes of the clock -------------------------------------------------------------------


@SEASONS
def test_nothing_times_out_before_the_opening(chat: Chat, later: Later, season: str) -> None:
    """63 hours by the clock on the wall; the night in between makes them 62 or 64."""
    office(chat.cast)
    opens_at = evening(chat, later, season)
    chat.queue()
    assert opens_at - clock.now() < timedelta(hours=62) if season == "spring" else timedelta(hours=64)
    for _ in range(10):
        later(6 * HOUR)
        sweep.sweep_due()
        assert (chat.controller, chat.has_pending) == ("queue", True)
    later.until(opens_at, 300 - MINUTE)
    sweep.sweep_due()
    assert chat.has_pending, "early"
    later(MINUTE)
    sweep.sweep_due()
    assert (chat.controller, chat.pending.asked_again) == ("queue", 1), "a human was promised"


@SEASONS
def test_what_waits_may_be_accepted_by_hand_at_any_time(chat: Chat, later: Later, season: str) -> None:
    office(chat.cast)
    evening(chat, later, season)
    chat.queue()
    later(30 * HOUR)
    chat.cast.seen()
    assert chat.accept().controller == "human"
    chat.speaks(chat.cast.ann)


def test_a_session_that_waits_ends_after_a_day_that_begins_with_the_opening(chat: Chat, later: Later) -> None:
    office(chat.cast)
    opens_at = evening(chat, later)
    chat.human(chat.cast.channel)
    assert chat.sessions[0].expires_at == opens_at + timedelta(days=1)


def test_nobody_waits_for_ever_by_being_asked_for_each_evening(chat: Chat, later: Later) -> None:
    """The time while it is closed does not count; the rest of the day does, and is not given anew."""
    office(chat.cast, transfer_policy=Tenant.TransferPolicy.REQUEUE)
    evening(chat, later)
    chat.queue()
    for _ in range(14 * 24):
        later(HOUR)
        sweep.sweep_due()
        if not chat.has_live:
            break
    # Monday to Wednesday, eight hours each.
    assert chat.sessions[0].status == "TIMEOUT"
    ended_at = chat.sessions[0].ended_at
    assert ended_at
    assert berlin("2026-04-01", "16:00") <= ended_at <= berlin("2026-04-02", "10:00")
    assert len(told(chat)) == 3


def test_who_is_asked_for_again_in_the_same_closing_is_not_told_again(chat: Chat, later: Later) -> None:
    office(chat.cast, transfer_policy=Tenant.TransferPolicy.REQUEUE)
    opens_at = evening(chat, later)
    chat.queue()
    later(HOUR)
    chat.escalate(to_agent_id=chat.cast.ben.id)
    chat.decline(chat.cast.ben)  # the queue's own policy asks again
    assert [(t.opens_at, t.asked_again) for t in chat.transfers] == [(opens_at, 1)]
    chat.opens(chat.cast.ann, Kind.MANUAL_URGENT)
    chat.resolve()  # and so does coming back after a pause
    assert [t.opens_at for t in chat.transfers if t.kind == "escalation"] == [opens_at] * 2
    chat.says("Is anybody there?")
    assert len(told(chat)) == 1


def test_who_is_asked_for_again_in_the_next_closing_is_told_again(chat: Chat, later: Later) -> None:
    office(chat.cast, transfer_policy=Tenant.TransferPolicy.REQUEUE)
    later.until(berlin("2026-03-30", "16:58"))
    chat.queue()
    assert told(chat) == []
    later(6 * MINUTE)  # nobody accepted until just after the close
    sweep.sweep_due()
    assert len(told(chat)) == 1
    later.until(berlin("2026-03-31", "18:00"))
    for _ in range(3):
        sweep.sweep_due()
    first, second = told(chat)
    assert ("Tuesday 31 March, 09:00" in first, "Wednesday 1 April, 09:00" in second) == (True, True)


def test_the_waiting_clock_is_the_original_one(chat: Chat, later: Later) -> None:
    office(chat.cast)
    evening(chat, later)
    asked_at = clock.now()
    chat.queue()
    later(40 * HOUR)
    assert abs(chat.row.waiting_since - asked_at) < timedelta(seconds=5)  # type: ignore[operator]
    assert chat.says("Still here.").detail.keys() == {"opens_at", "queue_position", "expected_wait"}


def test_a_handover_between_agents_is_stopped_by_no_hours(chat: Chat, later: Later) -> None:
    by_email(chat.cast)
    evening(chat, later)
    chat.serve()
    chat.hand_over(to_agent_id=chat.cast.ben.id)
    assert (chat.pending.opens_at, chat.pending.deadline - chat.pending.requested_at) == (None, timedelta(seconds=300))  # type: ignore[operator]
    assert chat.accept(chat.cast.ben).controller == "human"
    assert told(chat) == []


def test_an_agent_may_take_a_conversation_while_it_is_closed(chat: Chat, later: Later) -> None:
    by_email(chat.cast)
    evening(chat, later)
    chat.serve()
    other = chat.cast.chat()
    other.human()
    assert (chat.controller, other.controller, told(chat), told(other)) == ("human", "human", [], [])


def test_the_list_shows_the_customers_words_and_not_the_notice(chat: Chat, later: Later) -> None:
    office(chat.cast)
    evening(chat, later)
    chat.robot()
    chat.says("Where is my parcel?")
    chat.escalate()
    assert (chat.row.last_text, chat.row.last_sender) == ("Where is my parcel?", "customer")


# --- Whose hours, whose words ------------------------------------------------------------------------------------


def test_a_team_keeps_its_own_hours_and_follows_its_tenant_in_the_rest(chat: Chat, later: Later) -> None:
    cast = chat.cast
    office(cast, after_hours_text="The shop is closed until {opens}.")
    night = cast.team("night", "ann")
    night.calendar = calendar(cast, "nights", days=range(7), opens=time(17), closes=time(0))
    night.save()
    later.until(berlin(FRIDAYS["spring"], "18:00"))
    chat.robot()
    chat.escalate(to_team_id=night.pk)
    assert (chat.pending.opens_at, told(chat)) == (None, [])
    chat.accept()
    later.until(berlin("2026-03-28", "01:00"))
    other = cast.chat()
    other.robot(cast.faq)
    other.escalate(cast.faq, to_team_id=night.pk)
    assert other.pending.opens_at == berlin("2026-03-28", "17:00")
    assert told(other) == ["The shop is closed until Saturday 28 March, 17:00."]


def test_a_team_may_answer_by_email_where_its_tenant_lets_wait(chat: Chat, later: Later) -> None:
    cast = chat.cast
    office(cast)
    returns = cast.team("returns", "ann")
    returns.after_hours, returns.email = Tenant.AfterHours.EMAIL, "returns@example.org"
    returns.save()
    evening(chat, later)
    chat.robot()
    chat.escalate(to_team_id=returns.pk)
    assert Mail.objects.get().to == "returns@example.org"


def test_words_of_the_tenants_own_hold_no_code(chat: Chat, later: Later) -> None:
    office(chat.cast, after_hours_text="{0} {opens.__class__} %(opens)s {opens}")
    evening(chat, later)
    chat.queue()
    assert told(chat) == ["{0} {opens.__class__} %(opens)s Monday 30 March, 09:00"]


def test_a_holiday_is_waited_out(chat: Chat, later: Later) -> None:
    made = office(chat.cast)
    Holiday.objects.create(calendar=made, date="2026-03-30", name="Stocktaking")
    Holiday.objects.create(calendar=made, date="2026-03-31", name="Late start", opens="12:00", closes="17:00")
    evening(chat, later)
    chat.queue()
    assert chat.pending.opens_at == berlin("2026-03-31", "12:00")


def test_each_conversation_is_told_by_itself(cast: Cast, later: Later) -> None:
    office(cast)
    one, other = cast.chat(), cast.chat()
    evening(one, later)
    one.queue()
    other.queue()
    assert (len(told(one)), len(told(other))) == (1, 1)


def test_another_tenants_hours_are_another_matter(cast: Cast, others: Cast, later: Later) -> None:
    office(cast)
    chat = others.chat()
    evening(chat, later)
    chat.queue()
    assert (chat.pending.opens_at, told(chat)) == (None, [])


# --- Where it cannot be as it was meant --------------------------------------------------------------------------


def test_without_an_address_the_conversation_waits(chat: Chat, later: Later) -> None:
    office(chat.cast, after_hours=Tenant.AfterHours.EMAIL)
    opens_at = evening(chat, later)
    chat.queue()
    assert (chat.controller, chat.pending.opens_at) == ("queue", opens_at)


def test_where_no_email_is_set_up_the_conversation_waits(chat: Chat, later: Later, settings: Any) -> None:
    """The customer is promised nothing that cannot be kept."""
    settings.EMAIL_URL = ""
    by_email(chat.cast)
    opens_at = evening(chat, later)
    chat.queue()
    assert (chat.controller, chat.pending.opens_at) == ("queue", opens_at)
    assert "e-mail" not in told(chat)[0]


def test_nobody_waits_for_an_opening_that_never_comes(chat: Chat, later: Later) -> None:
    made = office(chat.cast)
    OpeningHours.objects.all().delete()
    evening(chat, later)
    chat.queue()
    assert (chat.pending.opens_at, told(chat)) == (None, [])
    by_mail = chat.cast.chat()
    chat.cast.policy(after_hours=Tenant.AfterHours.EMAIL, email="desk@example.org")
    by_mail.queue()
    assert (by_mail.controller, Mail.objects.get().conversation_id) == ("none", by_mail.id)
    assert "open again" not in told(by_mail)[0]
    assert made.hours.next_opening(clock.now()) is None


def test_a_time_zone_that_is_none_any_more_leaves_nobody_unheard(chat: Chat, later: Later) -> None:
    made = office(chat.cast)
    Calendar.objects.filter(pk=made.pk).update(time_zone="Europe/Atlantis")
    evening(chat, later)
    chat.queue()
    assert chat.pending.opens_at == datetime.fromisoformat("2026-03-30T09:00+00:00")


def test_an_email_is_told_each_time_because_each_ends_a_session(chat: Chat, later: Later) -> None:
    by_email(chat.cast)
    evening(chat, later)
    chat.queue()
    later(HOUR)
    chat.queue()
    assert (len(told(chat)), Mail.objects.count()) == (2, 2)


def test_a_repeated_message_is_answered_as_the_first_time(chat: Chat, later: Later) -> None:
    by_email(chat.cast)
    chat.cast.rule("keyword", phrases=["a human"])
    evening(chat, later)
    chat.robot()
    first = chat.says("A human!", "m-1")
    again = chat.says("A human!", "m-1")
    assert again.is_repeat
    assert (again.controller, again.epoch, again.seq) == (first.controller, first.epoch, first.seq)
    assert (Mail.objects.count(), len(told(chat))) == (1, 1)


def test_the_customer_is_told_in_the_language_of_the_one_who_asks(chat: Chat, later: Later) -> None:
    office(chat.cast)
    evening(chat, later)
    with translation.override("zh-hans"):
        chat.queue()
    assert "星期一" in told(chat)[0]


# --- What the hours do not touch: elapsed time across the changes ------------------------------------------------


@SEASONS
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_a_guided_flow_expires_after_a_day_of_elapsed_time(chat: Chat, later: Later, season: str, zone: str) -> None:
    """From Saturday 20:00 to the same time on Sunday are 23 hours in spring and 25 in autumn; a flow has 24."""
    opened_at = berlin(FRIDAYS[season], "20:00") + timedelta(days=1)
    later.until(opened_at)
    with timezone.override(zone):
        flow = flows.open_flow(actor=chat.cast.channel, trigger_id="t", question="Which size?", conversation_id=chat.id)
        assert abs(flow.expires_at - opened_at - timedelta(hours=24)) < timedelta(seconds=5)
        later.until(opened_at, 24 * HOUR - MINUTE)
        sweep.sweep_due()
        assert GuidedFlow.objects.get().status == "waiting_user_reply", "early"
        wall = clock.now().astimezone(BERLIN)
        assert (wall.hour, wall.minute) == ((20, 59) if season == "spring" else (18, 59))
        later.until(opened_at, 24 * HOUR + MINUTE)
        sweep.sweep_due()
        assert GuidedFlow.objects.get().status == "expired"


@SEASONS
def test_an_unanswered_transfer_times_out_after_five_minutes_of_elapsed_time(
    chat: Chat, later: Later, season: str
) -> None:
    """Two minutes before the clock is changed, and open all night."""
    made = calendar(chat.cast, days=range(7), opens=time(0), closes=time(0))
    chat.cast.policy(calendar=made)
    sunday = berlin(FRIDAYS[season]) + timedelta(days=2)
    change = datetime.fromisoformat(f"{sunday.astimezone(BERLIN).date()}T01:00+00:00")
    later.until(change, -2 * MINUTE)
    chat.queue()
    later.until(change, 2 * MINUTE)
    sweep.sweep_due()
    assert chat.has_pending, "early"
    later.until(change, 4 * MINUTE)
    sweep.sweep_due()
    assert Transfer.objects.get().status == "TIMED_OUT"
