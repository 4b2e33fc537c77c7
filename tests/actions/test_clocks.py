"""The clocks (docs/rules.md, Clocks): each row fires when it is due, not early, and by whoever comes first."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from io import StringIO

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from agents_app import presence
from agents_app.models import ApiClient, Team, Tenant
from config import clock
from sessions_app.actions import flows, lifecycle, silence, sweep
from sessions_app.models import ChatSession, GuidedFlow, Transfer
from sessions_app.promises.clocks import CLOCKS as CLOCK_TABLE
from sessions_app.promises.clocks import ELSEWHERE
from sessions_app.states import Kind, Status
from tests.cast import Cast, Chat, Later

MARGIN = 5
"""Seconds: a test takes some time itself. Nothing may be overdue by more than this while a sweeper lives."""


def _robot(chat: Chat) -> None:
    chat.robot()


def _robot_that_talked(chat: Chat) -> None:
    chat.robot()
    chat.says()
    chat.speaks(chat.cast.bargain)


def _escalated(chat: Chat) -> None:
    chat.queue()


def _handed_over(chat: Chat) -> None:
    chat.serve()
    chat.hand_over(to_agent_id=chat.cast.ben.id)


def _reassigned(chat: Chat) -> None:
    chat.serve()
    chat.reassign()


def _human(chat: Chat) -> None:
    chat.human()


def _taken(chat: Chat) -> None:
    chat.serve()


def _accepted(chat: Chat) -> None:
    chat.queue()
    chat.accept()


def _shop(chat: Chat) -> None:
    chat.robot()
    chat.echo()


def _pending_robot(chat: Chat) -> None:
    chat.cast.policy(transfer_policy=Tenant.TransferPolicy.REQUEUE)
    chat.queue()
    chat.robot(kind=Kind.AUTO_FOLLOW_UP)


def _paused_robot(chat: Chat) -> None:
    robot = chat.robot(kind=Kind.AUTO_FOLLOW_UP)
    lifecycle.pause_session(actor=chat.cast.bargain, session_id=robot.session_id or 0)


def _manual_waits(chat: Chat) -> None:
    chat.cast.policy(transfer_policy=Tenant.TransferPolicy.REQUEUE)
    chat.escalate(chat.cast.channel)


def _urgent_waits(chat: Chat) -> None:
    chat.opens(chat.cast.channel, Kind.MANUAL_URGENT)


def _flow_waits(chat: Chat) -> None:
    chat.robot()
    flows.open_flow(actor=chat.cast.bargain, trigger_id="t", question="Which size?", conversation_id=chat.id)


def _flow_reruns(chat: Chat) -> None:
    _flow_waits(chat)
    chat.says("Large.")


def _offered(chat: Chat) -> None:
    chat.cast.policy(assignment=Tenant.Assignment.PUSH)
    chat.queue()


def status_of(kind: str) -> Callable[[Chat], str]:
    return lambda chat: ChatSession.objects.get(conversation_id=chat.id, kind=kind).status


def transfer(chat: Chat) -> str:
    return Transfer.objects.filter(conversation_id=chat.id).exclude(kind="takeover").earliest("pk").status


def asked_again(chat: Chat) -> str:
    return str(chat.pending.asked_again)


def flow(chat: Chat) -> str:
    return GuidedFlow.objects.get().status


def offered_to(chat: Chat) -> str:
    return chat.pending.offered_to.name if chat.pending.offered_to else ""


BARGAIN, MANUAL, FOLLOW_UP = Kind.AUTO_BARGAIN, Kind.MANUAL_CUSTOMER_SERVICE, Kind.AUTO_FOLLOW_UP
HOUR, DAY = 3600, 24 * 3600
CLOCKS = [
    ("robot session idle", _robot, 1800, status_of(BARGAIN), "ACTIVE", "TIMEOUT"),
    ("robot session idle since the last word", _robot_that_talked, 1800, status_of(BARGAIN), "ACTIVE", "TIMEOUT"),
    ("the shop's own people idle", _shop, 1800, status_of(BARGAIN), "TRANSFERRED", "TIMEOUT"),
    ("escalation unanswered", _escalated, 300, transfer, "PENDING", "TIMED_OUT"),
    ("handover unanswered", _handed_over, 300, transfer, "PENDING", "TIMED_OUT"),
    ("reassignment unanswered", _reassigned, 300, asked_again, "0", "1"),
    ("human session of the agent's own", _human, 8 * HOUR, status_of(MANUAL), "ACTIVE", "TIMEOUT"),
    ("human session by takeover", _taken, 8 * HOUR, status_of(BARGAIN), "TRANSFERRED", "TIMEOUT"),
    ("human session by accepting", _accepted, 8 * HOUR, status_of(BARGAIN), "TRANSFERRED", "TIMEOUT"),
    ("robot session that waits", _paused_robot, DAY, status_of(FOLLOW_UP), "PAUSED", "TIMEOUT"),
    ("flow waits for the reply", _flow_waits, DAY, flow, "waiting_user_reply", "expired"),
    ("lease of a rerun", _flow_reruns, 120, flow, "rerunning", "failed"),
    ("offer to one agent", _offered, 30, offered_to, "Ann", "Ben"),
]


@pytest.mark.parametrize("first", ["the sweeper", "a customer", "an agent"])
@pytest.mark.parametrize(
    ("prepare", "after", "what", "before_it", "after_it"), [row[1:] for row in CLOCKS], ids=[row[0] for row in CLOCKS]
)
def test_a_deadline_is_applied_when_it_is_due_and_not_before(
    chat: Chat, later: Later, prepare: Callable[[Chat], None], after: int, what: Callable[[Chat], str],
    before_it: str, after_it: str, first: str,
) -> None:  # fmt: skip
    cast = chat.cast

    def somebody_comes() -> None:
        cast.seen()  # presence is another clock
        if first == "the sweeper":
            sweep.sweep_due()
        elif first == "a customer":
            chat.says() if what is not flow or "waiting" not in what(chat) else chat.says("  ")
        else:
            from sessions_app.actions import conversations

            conversations.pin(actor=cast.ann, conversation_id=chat.id)

    prepare(chat)
    assert what(chat) == before_it
    if first == "the sweeper":  # the others talk, and talking starts the idle clock anew
        later(after - MARGIN)
        somebody_comes()
        chat.sweep()  # also a sweeper that looks where nothing is due
        assert what(chat) == before_it, "early"
        later(MARGIN)
    else:
        later(after)
    if first == "a customer" and what is flow and after == DAY:
        lifecycle.expire_due(actor=cast.system, conversation_id=chat.id)
    else:
        somebody_comes()
    assert what(chat) == after_it, "late"


@pytest.mark.parametrize(
    ("prepare", "what"),
    [
        (_pending_robot, status_of(FOLLOW_UP)),
        (_manual_waits, status_of(MANUAL)),
        (_urgent_waits, status_of(Kind.MANUAL_URGENT)),
    ],
    ids=["pending robot", "pending manual", "urgent without an agent"],
)
def test_nothing_waits_for_ever_and_nothing_that_waits_idles_out(
    chat: Chat, later: Later, prepare: Callable[[Chat], None], what: Callable[[Chat], str]
) -> None:
    """A customer in the queue is silent because the customer waits: half an hour of it ends nothing."""
    prepare(chat)
    status = what(chat)
    for _ in range(4):
        later(6 * HOUR - MARGIN)
        sweep.sweep_due()
        assert what(chat) == status
    later(4 * MARGIN)
    sweep.sweep_due()
    assert what(chat) == "TIMEOUT"


@pytest.mark.parametrize("kind", [MANUAL, BARGAIN])
def test_who_waits_for_a_new_agent_does_not_idle_out(chat: Chat, later: Later, kind: str) -> None:
    if kind == MANUAL:
        chat.human()
    else:
        chat.serve()
    chat.reassign()
    later(1801)
    sweep.sweep_due()
    assert (chat.controller, chat.has_pending) == ("queue", True)


def test_talking_starts_a_robots_idle_clock_anew(chat: Chat, later: Later) -> None:
    chat.robot()
    for act in (chat.says, lambda: chat.speaks(chat.cast.bargain), chat.says):
        later(1795)
        act()
    later(1795)
    sweep.sweep_due()
    assert chat.live.status == Status.ACTIVE
    later(MARGIN)
    sweep.sweep_due()
    assert not chat.has_live


def test_talking_does_not_prolong_a_humans_session(chat: Chat, later: Later) -> None:
    chat.serve()
    later(7 * HOUR)
    chat.says()
    chat.speaks(chat.cast.ann)
    later(HOUR)
    sweep.sweep_due()
    assert not chat.has_live


def test_a_human_session_that_times_out_lets_the_paused_robot_go_on(chat: Chat, later: Later) -> None:
    robot = chat.robot()
    chat.human()
    later(8 * HOUR)
    sweep.sweep_due()
    assert (chat.live.pk, chat.controller) == (robot.session_id, "bot")


@pytest.mark.parametrize(("silent", "reachable"), [(55, True), (60 + MARGIN, False)])
def test_an_agent_is_away_after_a_minute_of_silence(cast: Cast, later: Later, silent: int, reachable: bool) -> None:
    later(silent)
    assert (cast.agent("ann") in presence.reachable(clock.now())) is reachable


@pytest.mark.parametrize(("silent", "moved"), [(300 - MARGIN, 0), (300 + MARGIN, 1)])
def test_an_agents_sessions_move_on_after_five_minutes_of_silence(
    chat: Chat, later: Later, silent: int, moved: int
) -> None:
    chat.serve()
    later(silent)
    assert silence.move_on_from_silent_agents() == moved
    assert chat.controller == ("queue" if moved else "human")


# --- No sweeper, two sweepers, a wrong clock ---


def test_deadlines_missed_for_hours_are_applied_one_after_the_other_by_the_next_verb(chat: Chat, later: Later) -> None:
    cast = chat.cast
    chat.serve()
    chat.robot(cast.faq, Kind.AUTO_ASSISTANT)
    chat.hand_over(to_agent_id=cast.ben.id)
    later(8 * HOUR + MARGIN)
    answer = chat.says("Hello?")
    assert answer.controller == "bot"  # handover and human session are over, the assistant has the turn
    assert [t.status for t in chat.transfers] == ["ACCEPTED", "TIMED_OUT"]
    assert [s.status for s in chat.sessions] == ["TIMEOUT", "ACTIVE"]


@pytest.mark.parametrize("first", ["the sweeper", "a customer"])
def test_what_comes_back_to_its_bot_after_a_day_without_sweeps_has_its_time_anew(
    chat: Chat, later: Later, first: str
) -> None:
    """The transfer and the session that waited for it are both over; the session must not end as it comes back."""
    chat.queue()
    later(DAY + MARGIN)
    if first == "the sweeper":
        sweep.sweep_due()
    else:
        chat.says("Hello?")
    assert [t.status for t in chat.transfers] == ["TIMED_OUT"]
    assert (chat.controller, chat.live.status, chat.row.needs_human) == ("bot", Status.ACTIVE, True)
    later(1800)
    sweep.sweep_due()
    assert not chat.has_live


def test_sweeping_again_does_nothing(cast: Cast, later: Later) -> None:
    for _ in range(3):
        cast.chat().queue()
    later(301)
    assert sweep.sweep_due() == 3
    ends = Transfer.objects.filter(status="TIMED_OUT").count()
    assert (ends, sweep.sweep_due()) == (3, 0)
    for conversation_id in Transfer.objects.values_list("conversation_id", flat=True):
        before = Chat(cast, conversation_id).row.seq
        lifecycle.expire_due(actor=cast.system, conversation_id=conversation_id)
        assert Chat(cast, conversation_id).row.seq == before


def test_the_sweeper_finds_what_is_due_and_nothing_else(cast: Cast, later: Later) -> None:
    cast.chat().queue()
    later(200)
    fresh = cast.chat().queue()
    cast.chat().serve()
    later(101)
    found = sweep.due()
    assert len(found) == 1
    assert (cast.tenant.pk, fresh.id) not in found


@pytest.mark.usefixtures("failures_are_meant")
def test_one_conversation_that_cannot_be_swept_stops_no_other(
    cast: Cast, later: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    from config.errors import Busy

    broken, well = cast.chat().queue(), cast.chat().queue()
    real = lifecycle.expire_due

    def expire_due(*, actor: object, conversation_id: int) -> object:
        if conversation_id == broken.id:
            raise Busy
        return real(actor=actor, conversation_id=conversation_id)  # type: ignore[arg-type]

    monkeypatch.setattr(sweep, "expire_due", expire_due)
    later(301)
    assert sweep.sweep_due() == 1
    assert (broken.has_pending, well.has_pending) == (True, False)


def test_the_application_servers_clock_decides_nothing(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault F9: a server ten minutes ahead. Every time the core uses is the database's."""
    from django.utils import timezone

    real = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: real() + timedelta(minutes=10))
    chat.queue()
    asked = chat.pending
    chat.sweep()
    assert chat.has_pending
    assert abs((asked.requested_at - clock.now()).total_seconds()) < 60
    assert chat.accept().controller == "human"


# --- The page that is made from the table of clocks ---


def test_docs_clocks_is_fresh() -> None:
    call_command("clocks_doc", "--check", stdout=StringIO())


def test_a_stale_page_of_clocks_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sessions_app.management.commands.clocks_doc.CLOCKS", CLOCK_TABLE[1:])
    with pytest.raises(CommandError) as stale:
        call_command("clocks_doc", "--check", stdout=StringIO())
    assert stale.value.returncode == 1


def test_every_span_of_the_domain_is_in_the_table() -> None:
    """And every switch by which a bot, team or tenant sets a clock of its own is named as it is spelled."""
    spans = {name for name in settings.TANDEM if settings.FIGURES[name].unit == "seconds"}
    assert {row.setting for row in CLOCK_TABLE if row.setting} == spans - ELSEWHERE
    for row in CLOCK_TABLE:
        for field, model in re.findall(r"`(\w+)` of the (\w+)", row.own):
            holder = {"bot": ApiClient, "team": Team, "tenant": Tenant}[model]
            assert holder._meta.get_field(field)
