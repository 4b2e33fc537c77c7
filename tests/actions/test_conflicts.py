"""Who yields: docs/rules.md, C0 to C7, row by row."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import pytest

from config.errors import DomainError
from sessions_app.actions import lifecycle
from sessions_app.core.capacity import load
from sessions_app.core.locked_conversation import Outcome
from sessions_app.models import ChatSession
from sessions_app.states import Kind, Owner, Priority, Status, TransferKind, TransferStatus
from tests.cast import Chat, Later, refused

BARGAIN, ASSISTANT, FOLLOW_UP = Kind.AUTO_BARGAIN, Kind.AUTO_ASSISTANT, Kind.AUTO_FOLLOW_UP
SERVICE, COMPLAINT, URGENT = Kind.MANUAL_CUSTOMER_SERVICE, Kind.MANUAL_COMPLAINT, Kind.MANUAL_URGENT
ROBOTS, HUMANS = (BARGAIN, ASSISTANT, FOLLOW_UP), (SERVICE, COMPLAINT, URGENT)


def bring_about(chat: Chat, live: str) -> Outcome | None:
    """Let `live` have the turn: nothing, a robot's kind, a human one's (Ann's), the queue, the desk, or the shop's app."""
    if live == "nothing":
        return None
    if live == "queued robot":
        chat.robot()
        return chat.escalate()
    if live == "waiting human":
        return chat.opens(chat.cast.channel, SERVICE)
    if live == "taken robot":
        chat.robot()
        return chat.take()
    if live == "shop":
        chat.robot()
        chat.echo()
        return chat.says()
    return chat.opens(chat.cast.bargain if Kind(live).is_robot else chat.cast.ann, live)


@dataclass(frozen=True)
class Row:
    live: str
    asked: str
    by: str
    rule: str
    asked_becomes: str  # status of the session in the answer
    live_becomes: str  # status of what was live; "" when nothing was
    controller: str
    epoch_rise: int
    fails: str = ""  # code with on_conflict="fail"; "" when that makes no difference

    def __str__(self) -> str:
        return f"{self.live}<-{self.asked} by {self.by}"


TABLE = [
    # C0: nothing live
    *(Row("nothing", kind, "bot", "C0", "ACTIVE", "", "bot", 1) for kind in ROBOTS),
    Row("nothing", ASSISTANT, "integrator", "C0", "ACTIVE", "", "bot", 1),
    *(Row("nothing", kind, "agent", "C0", "ACTIVE", "", "human", 1) for kind in HUMANS),
    Row("nothing", SERVICE, "customer", "C0", "PENDING", "", "queue", 1),  # a customer names no kind
    *(Row("nothing", kind, "integrator", "C0", "PENDING", "", "queue", 1) for kind in (SERVICE, COMPLAINT)),
    # C0: nothing live, but a manual session heads the line and holds robots back; an agent steps in all the same
    *(
        Row("waiting human", kind, "bot", "C0", "PENDING", "PENDING", "queue", 0, "live_session_exists")
        for kind in ROBOTS
    ),
    Row("waiting human", SERVICE, "agent", "C0", "ACTIVE", "PENDING", "human", 1),
    # C1: an agent's session pauses a robot's
    *(
        Row(live, asked, "agent", "C1", "ACTIVE", "PAUSED", "human", 1)
        for live in ROBOTS
        for asked in (SERVICE, COMPLAINT)
    ),
    # C2: a robot waits for a human
    *(
        Row(live, asked, "bot", "C2", "PENDING", "ACTIVE", "human", 0, "live_session_exists")
        for live in HUMANS
        for asked in ROBOTS
    ),
    *(
        Row("taken robot", asked, "bot", "C2", "PENDING", "TRANSFERRED", "human", 0, "live_session_exists")
        for asked in ROBOTS
    ),
    Row("queued robot", BARGAIN, "bot", "C2", "PENDING", "TRANSFERRED", "queue", 0, "live_session_exists"),
    Row("shop", BARGAIN, "bot", "C2", "PENDING", "TRANSFERRED", "human", 0, "live_session_exists"),
    # C3: between robots the better rank wins, and an equal rank waits
    *(
        Row(live, asked, "bot", "C3", "ACTIVE", "PAUSED", "bot", 1)
        for live in ROBOTS
        for asked in ROBOTS
        if ROBOTS.index(asked) < ROBOTS.index(live)
    ),
    *(
        Row(live, asked, "bot", "C3", "PENDING", "ACTIVE", "bot", 0, "live_session_exists")
        for live in ROBOTS
        for asked in ROBOTS
        if ROBOTS.index(asked) >= ROBOTS.index(live)
    ),
    # C4: an emergency pauses anything
    *(Row(live, URGENT, "agent", "C4", "ACTIVE", "PAUSED", "human", 1) for live in (*ROBOTS, *HUMANS)),
    Row("queued robot", URGENT, "agent", "C4", "ACTIVE", "PAUSED", "human", 1),
    Row("taken robot", URGENT, "agent", "C4", "ACTIVE", "PAUSED", "human", 1),
    Row("shop", URGENT, "agent", "C4", "ACTIVE", "PAUSED", "human", 1),
    Row(BARGAIN, URGENT, "integrator", "C4", "ACTIVE", "PAUSED", "queue", 1),
    Row(SERVICE, URGENT, "integrator", "C4", "ACTIVE", "PAUSED", "queue", 1),
    # C6: a human asked for without an agent escalates the robot: one session, not two
    *(
        Row(live, asked, "integrator", "C6", "TRANSFERRED", "TRANSFERRED", "queue", 1, "live_session_exists")
        for live in ROBOTS
        for asked in (SERVICE, COMPLAINT)
    ),
    *(Row(live, SERVICE, "customer", "C6", "TRANSFERRED", "TRANSFERRED", "queue", 1) for live in ROBOTS),
]


def asks(chat: Chat, row: Row, **more: str) -> Outcome:
    cast = chat.cast
    actor = {"bot": cast.faq, "agent": cast.ben, "customer": chat.customer, "integrator": cast.channel}[row.by]
    if row.by == "customer":
        return lifecycle.open_session(actor=actor, conversation_id=chat.id, robot=False, **more)
    return chat.opens(actor, row.asked, **more)


@pytest.mark.parametrize("row", TABLE, ids=str)
def test_the_rules_decide_who_has_the_turn(chat: Chat, row: Row) -> None:
    was = bring_about(chat, row.live)
    epoch = chat.epoch
    answer = asks(chat, row, reason="Asked for.")

    assert answer.rule == row.rule
    assert answer.status == row.asked_becomes
    assert chat.session(answer).status == row.asked_becomes
    if was is not None:
        before = chat.session(was)
        assert before.status == row.live_becomes
        assert (before.pk == answer.session_id) == (row.rule == "C6")
    assert chat.controller == answer.controller == row.controller
    assert chat.epoch - epoch == row.epoch_rise
    assert answer.epoch == chat.epoch
    opened = [o for o in chat.operations if o.type in ("session.opened", "session.transferred")][-1]
    assert opened.data["rule"] == row.rule  # the rule is on record, not only in the answer


@pytest.mark.parametrize("row", [row for row in TABLE if row.fails], ids=str)
def test_fail_instead_of_wait_names_what_is_in_the_way(chat: Chat, row: Row) -> None:
    was = bring_about(chat, row.live)
    assert was is not None
    error = refused(row.fails, asks, chat, row, on_conflict="fail")

    in_the_way = chat.session(was)
    owner = {"human": "agent", "bot": "bot", "queue": "queue"}[chat.controller]
    assert error.status == 409
    assert error.fields["rule"] == row.rule
    assert error.fields["live_session_id"] == in_the_way.pk
    assert error.fields["owner_kind"] == ("shop" if row.live == "shop" else owner)
    assert in_the_way.expires_at is not None
    assert error.fields["may_end_at"] == in_the_way.expires_at.isoformat()


@pytest.mark.parametrize("row", [row for row in TABLE if not row.fails and row.by != "customer"], ids=str)
def test_fail_changes_nothing_where_nobody_would_have_waited(chat: Chat, row: Row) -> None:
    bring_about(chat, row.live)
    answer = asks(chat, row, on_conflict="fail")
    assert (answer.rule, answer.status) == (row.rule, row.asked_becomes)


@pytest.mark.parametrize(
    ("live", "owner_kind", "owner_name"),
    [
        (SERVICE, "agent", "Ann"),
        (COMPLAINT, "agent", "Ann"),
        (URGENT, "agent", "Ann"),
        ("taken robot", "agent", "Ann"),
        ("queued robot", "queue", "nobody"),
        ("shop", "shop", "a person at the shop"),
    ],
)
@pytest.mark.parametrize("on_conflict", ["wait", "fail"])
@pytest.mark.parametrize("asked", [SERVICE, COMPLAINT])
def test_c7_a_second_human_is_refused_and_told_who_serves(
    chat: Chat, live: str, owner_kind: str, owner_name: str, on_conflict: str, asked: str
) -> None:
    was = bring_about(chat, live)
    assert was is not None
    error = refused("human_serves", chat.opens, chat.cast.ben, asked, on_conflict=on_conflict)
    assert error.status == 409
    assert (error.fields["rule"], error.fields["live_session_id"]) == ("C7", was.session_id)
    assert (error.fields["owner_kind"], error.fields["owner_name"]) == (owner_kind, owner_name)


# --- Priorities raised and lowered: the rank follows the priority first, the type second ---


@pytest.mark.parametrize(
    ("live", "live_priority", "asked", "asked_priority", "yields"),
    [
        (BARGAIN, None, FOLLOW_UP, Priority.HIGH, True),  # raised above a bargain
        (BARGAIN, None, FOLLOW_UP, Priority.MEDIUM, False),  # the same priority: the type decides
        (ASSISTANT, None, FOLLOW_UP, Priority.MEDIUM, False),
        (BARGAIN, Priority.LOW, ASSISTANT, None, True),  # the live one was lowered
        (BARGAIN, Priority.LOW, FOLLOW_UP, None, False),  # lowered as far as a follow-up: the type decides
        (FOLLOW_UP, Priority.HIGH, BARGAIN, None, False),
        (FOLLOW_UP, Priority.HIGH, FOLLOW_UP, Priority.EMERGENCY, True),
        (BARGAIN, None, BARGAIN, Priority.MEDIUM, False),
    ],
)
def test_c3_counts_a_raised_or_lowered_priority(
    chat: Chat, live: str, live_priority: int | None, asked: str, asked_priority: int | None, yields: bool
) -> None:
    was = chat.opens(chat.cast.bargain, live, priority=live_priority)
    answer = chat.opens(chat.cast.faq, asked, priority=asked_priority)
    assert answer.rule == "C3"
    assert answer.status == (Status.ACTIVE if yields else Status.PENDING)
    assert chat.session(was).status == (Status.PAUSED if yields else Status.ACTIVE)


@pytest.mark.parametrize("priority", list(Priority))
def test_setting_a_priority_moves_the_rank_and_leaves_the_turn_where_it_is(chat: Chat, priority: Priority) -> None:
    cast = chat.cast
    live = chat.robot(cast.bargain)
    waits = chat.robot(cast.follow_up, FOLLOW_UP)
    lifecycle.set_priority(actor=cast.follow_up, session_id=waits.session_id, priority=priority)
    assert chat.session(waits).rank == priority * 10 + 6
    assert (chat.session(live).status, chat.session(waits).status) == (Status.ACTIVE, Status.PENDING)


def test_no_robot_outranks_a_human_however_far_its_priority_is_raised(chat: Chat) -> None:
    chat.human()
    answer = chat.opens(chat.cast.bargain, BARGAIN, priority=Priority.EMERGENCY)
    assert (answer.rule, answer.status, chat.controller) == ("C2", Status.PENDING, "human")


# --- Whose turn is next ---


def test_the_best_ranked_then_the_oldest_waiter_becomes_live(chat: Chat, later: Later) -> None:
    """Invariant 7, over a whole line of waiters of both kinds."""
    cast = chat.cast
    first = chat.opens(cast.follow_up, FOLLOW_UP)
    later(1)
    second = chat.opens(cast.program("reminder"), FOLLOW_UP)
    later(1)
    bargain = chat.opens(cast.bargain, BARGAIN)  # pauses the first
    later(1)
    assistant = chat.opens(cast.faq, ASSISTANT)
    human = chat.human()  # pauses the bargain
    later(1)
    raised = chat.opens(cast.faq, FOLLOW_UP, priority=Priority.HIGH)
    assert [s.status for s in chat.sessions] == ["PAUSED", "PENDING", "PAUSED", "PENDING", "ACTIVE", "PENDING"]

    order = []
    while chat.has_live:
        live = chat.live
        order.append(live.pk)
        lifecycle.complete_session(actor=cast.system, session_id=live.pk)
    assert order == [o.session_id for o in (human, raised, bargain, assistant, first, second)]


def test_a_waiting_human_session_holds_robots_back_until_an_agent_takes_it(chat: Chat) -> None:
    cast = chat.cast
    bot = chat.robot()
    waits = chat.robot(cast.faq, ASSISTANT)
    lifecycle.pause_session(actor=cast.bargain, session_id=bot.session_id)  # the assistant goes on
    assert chat.session(waits).status == Status.ACTIVE
    lifecycle.cancel_session(actor=cast.faq, session_id=waits.session_id)
    manual = chat.opens(cast.channel, SERVICE)
    robot = chat.robot(cast.faq, ASSISTANT)
    assert (chat.session(manual).status, chat.session(robot).status) == (Status.PENDING, Status.PENDING)
    assert chat.controller == "queue"
    chat.accept(cast.ann)
    assert (chat.live.pk, chat.controller) == (manual.session_id, "human")
    chat.resolve()
    assert (chat.live.pk, chat.controller) == (robot.session_id, "bot")


def test_what_is_paused_on_request_waits_for_resume_and_not_for_its_turn(chat: Chat) -> None:
    cast = chat.cast
    bargain = chat.robot()
    lifecycle.pause_session(actor=cast.bargain, session_id=bargain.session_id)
    assert (chat.controller, chat.has_live) == ("none", False)
    chat.sweep()
    assert not chat.has_live
    again = lifecycle.pause_session(actor=cast.bargain, session_id=bargain.session_id)  # harmless to repeat
    assert again.status == Status.PAUSED
    resumed = lifecycle.resume_session(actor=cast.bargain, session_id=bargain.session_id)
    assert (resumed.status, chat.controller) == (Status.ACTIVE, "bot")


@pytest.mark.parametrize(
    ("asked", "live", "becomes"),
    [
        (BARGAIN, FOLLOW_UP, "ACTIVE"),
        (FOLLOW_UP, BARGAIN, "PAUSED"),
        (BARGAIN, BARGAIN, "PAUSED"),
        (BARGAIN, SERVICE, "PAUSED"),
    ],
)
def test_resume_is_given_at_once_over_a_lesser_robot_only(chat: Chat, asked: str, live: str, becomes: str) -> None:
    cast = chat.cast
    held = chat.opens(cast.bargain, asked)
    lifecycle.pause_session(actor=cast.bargain, session_id=held.session_id)
    other = chat.opens(cast.faq if Kind(live).is_robot else cast.ann, live)
    answer = lifecycle.resume_session(actor=cast.bargain, session_id=held.session_id)
    assert answer.status == chat.session(held).status == becomes
    if becomes == "PAUSED":  # asked for all the same: it comes when it is its turn, on record
        lifecycle.complete_session(actor=cast.system, session_id=other.session_id)
        assert chat.session(held).status == Status.ACTIVE
        lifted = [o for o in chat.operations if o.type == "session.hold_ended"]
        assert [o.session_id for o in lifted] == [held.session_id]


def test_a_human_who_paused_comes_back_over_a_robot_that_began_meanwhile(chat: Chat) -> None:
    """C1 holds for coming back as for beginning: a robot is never in a human's way."""
    cast = chat.cast
    mine = chat.human()
    lifecycle.pause_session(actor=cast.ann, session_id=mine.session_id)
    robot = chat.robot()
    assert chat.session(robot).status == Status.ACTIVE
    answer = lifecycle.resume_session(actor=cast.ann, session_id=mine.session_id)
    assert (answer.status, answer.rule) == (Status.ACTIVE, "C1")
    assert chat.session(robot).status == Status.PAUSED


@pytest.mark.parametrize("live", [SERVICE, "taken robot"])
def test_a_transferred_session_is_paused_by_an_emergency_only(chat: Chat, live: str) -> None:
    was = bring_about(chat, live)
    assert was is not None
    pause = {"actor": chat.cast.ann, "session_id": was.session_id}
    if live == SERVICE:
        assert lifecycle.pause_session(**pause).status == Status.PAUSED
    else:
        refused("illegal_transition", lifecycle.pause_session, **pause)


# --- C4, seen through to the end ---


def test_c4_over_a_human_comes_back_to_that_human_and_says_why(chat: Chat) -> None:
    cast = chat.cast
    mine = chat.human(cast.ann)
    urgent = chat.opens(cast.ben, URGENT, reason="Parcel on fire.")
    assert (chat.live.pk, chat.live.agent_id) == (urgent.session_id, cast.ben.id)
    paused = next(o for o in chat.operations if o.type == "session.paused")
    assert (paused.session_id, paused.data["reason"], paused.data["preempted"]) == (
        mine.session_id,
        "Parcel on fire.",
        True,
    )
    assert load(cast.agent("ann")) == 0

    chat.resolve(cast.ben)
    assert (chat.live.pk, chat.live.agent_id, chat.live.status) == (mine.session_id, cast.ann.id, Status.ACTIVE)
    assert chat.controller == "human"


def test_c4_over_a_taken_robot_session_comes_back_as_transferred(chat: Chat) -> None:
    cast = chat.cast
    taken = chat.robot()
    chat.take(cast.ann)
    chat.opens(cast.ben, URGENT)
    chat.resolve(cast.ben)
    assert (chat.live.pk, chat.live.status, chat.live.agent_id) == (taken.session_id, Status.TRANSFERRED, cast.ann.id)


def test_c4_over_the_queue_withdraws_the_transfer_and_asks_again_with_the_original_clock(
    chat: Chat, later: Later
) -> None:
    cast = chat.cast
    chat.queue()
    first = chat.pending
    later(100)
    chat.opens(cast.ben, URGENT, reason="Emergency.")
    first.refresh_from_db()
    assert first.status == TransferStatus.WITHDRAWN
    assert not chat.has_pending
    later(1000)
    chat.resolve(cast.ben)

    again = chat.pending
    assert (again.kind, again.session_id) == (TransferKind.ESCALATION, first.session_id)
    assert again.waiting_since == first.waiting_since
    assert chat.row.waiting_since == first.waiting_since
    assert (chat.live.status, chat.live.owner_kind, chat.controller) == (Status.TRANSFERRED, Owner.NOBODY, "queue")
    assert chat.accept(cast.ann).controller == "human"


def test_c4_withdraws_a_handover_and_the_sender_comes_back_without_it(chat: Chat) -> None:
    cast = chat.cast
    chat.human(cast.ann)
    chat.hand_over(cast.ann, to_agent_id=cast.ben.id)
    chat.opens(cast.sue, URGENT)
    assert not chat.has_pending
    chat.resolve(cast.sue)
    assert (chat.live.agent_id, chat.has_pending) == (cast.ann.id, False)


def test_an_emergency_nobody_has_taken_yet_waits_in_front_with_the_queue_as_controller(chat: Chat) -> None:
    cast = chat.cast
    robot = chat.robot()
    urgent = chat.opens(cast.channel, URGENT)
    assert (urgent.rule, chat.live.pk, chat.live.owner_kind) == ("C4", urgent.session_id, Owner.NOBODY)
    assert chat.pending.session_id == urgent.session_id
    chat.accept(cast.ann)
    assert (chat.live.pk, chat.live.status, chat.controller) == (urgent.session_id, Status.ACTIVE, "human")
    chat.resolve()
    assert chat.live.pk == robot.session_id


def test_a_bot_that_comes_back_is_told_since_when_it_waited(chat: Chat) -> None:
    cast = chat.cast
    robot = chat.robot()
    chat.says("before")
    paused_at = chat.row.seq
    chat.human()
    chat.says("to the human")
    chat.speaks(cast.ann, "from the human")
    chat.resolve(reason="Refunded.")
    resumed = chat.operations[-1]
    assert (resumed.type, resumed.session_id) == ("session.resumed", robot.session_id)
    assert resumed.data["missed_from_seq"] >= paused_at
    missed = [o.type for o in chat.operations if o.seq > resumed.data["missed_from_seq"]]
    assert missed.count("message.created") == 2
    assert "session.completed" in missed  # the human's outcome


# --- What the caller may not ask ---


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"robot": True, "kind": SERVICE}, "malformed"),
        ({"robot": False, "kind": BARGAIN}, "malformed"),
        ({"robot": True, "kind": "AUTO_PILOT"}, "malformed"),
        ({"robot": True, "task": "astrology"}, "malformed"),
        ({"robot": True, "priority": 0}, "malformed"),
        ({"robot": True, "priority": 5}, "malformed"),
        ({"robot": True, "bot_id": None}, "malformed"),
        ({"robot": True, "bot_id": 10**9}, "not_found"),
    ],
    ids=str,
)
def test_a_session_of_no_known_kind_is_not_opened(chat: Chat, asked: dict[str, object], code: str) -> None:
    asked = {"bot_id": chat.cast.faq.id} | asked
    refused(code, lifecycle.open_session, actor=chat.cast.channel, conversation_id=chat.id, **asked)


@pytest.mark.parametrize(
    ("task", "urgent", "robot", "kind"),
    [
        ("negotiation", False, True, BARGAIN),
        ("follow_up", False, True, FOLLOW_UP),
        ("consultation", False, True, ASSISTANT),
        ("complaint", False, True, ASSISTANT),
        ("order_inquiry", False, True, ASSISTANT),
        ("complaint", False, False, COMPLAINT),
        ("consultation", False, False, SERVICE),
        ("negotiation", False, False, SERVICE),
        ("complaint", True, False, URGENT),
    ],
)
def test_a_session_without_a_type_gets_it_from_its_task(
    chat: Chat, task: str, urgent: bool, robot: bool, kind: str
) -> None:
    answer = lifecycle.open_session(
        actor=chat.cast.channel if robot else chat.cast.ann,
        conversation_id=chat.id,
        robot=robot,
        task=task,
        urgent=urgent,
        bot_id=chat.cast.faq.id if robot else None,
    )
    assert chat.session(answer).kind == kind


def test_reopening_makes_a_new_session_that_points_to_the_old_one(chat: Chat) -> None:
    cast = chat.cast
    old = chat.human()
    refused("conflict", chat.opens, cast.ben, URGENT, previous_id=old.session_id)
    chat.resolve()
    new = chat.human(cast.ben, previous_id=old.session_id)
    assert new.session_id != old.session_id
    assert chat.session(new).previous_id == old.session_id
    assert chat.session(old).status == Status.COMPLETED


@pytest.mark.parametrize("status", ["COMPLETED", "CANCELLED", "TIMEOUT"])
@pytest.mark.parametrize("verb", ["activate", "pause", "resume", "complete", "cancel", "set_priority"])
def test_what_has_ended_stays_ended(chat: Chat, later: Later, status: str, verb: str) -> None:
    cast = chat.cast
    robot = chat.robot()
    if status == "COMPLETED":
        lifecycle.complete_session(actor=cast.bargain, session_id=robot.session_id)
    elif status == "CANCELLED":
        lifecycle.cancel_session(actor=cast.bargain, session_id=robot.session_id)
    else:
        later(1801)
        chat.sweep()
    named = {"actor": cast.bargain, "session_id": robot.session_id}
    if (verb, status) in (("complete", "COMPLETED"), ("cancel", "CANCELLED")):
        seq = chat.row.seq
        answer = getattr(lifecycle, f"{verb}_session")(**named)
        assert (answer.is_repeat, answer.status, chat.row.seq) == (True, status, seq)
    elif verb == "set_priority":
        refused("illegal_transition", lifecycle.set_priority, **named, priority=1)
    else:
        refused("illegal_transition", getattr(lifecycle, f"{verb}_session"), **named)
    assert ChatSession.objects.get().status == status


def test_activation_answers_truly_whether_it_is_the_sessions_turn(chat: Chat) -> None:
    cast = chat.cast
    live = chat.robot()
    waits = chat.robot(cast.faq, ASSISTANT)
    answer = lifecycle.activate_session(actor=cast.faq, session_id=waits.session_id)
    assert answer.status == Status.PENDING
    lifecycle.complete_session(actor=cast.bargain, session_id=live.session_id)
    assert chat.session(waits).status == Status.ACTIVE
    assert lifecycle.activate_session(actor=cast.faq, session_id=waits.session_id).is_repeat


@pytest.mark.parametrize("outcome", ["success", "failed"])
def test_a_bot_completes_what_it_works(chat: Chat, outcome: str) -> None:
    robot = chat.robot()
    lifecycle.complete_session(actor=chat.cast.bargain, session_id=robot.session_id, outcome=outcome)
    assert (chat.session(robot).status, chat.session(robot).outcome) == (Status.COMPLETED, outcome)
    assert chat.controller == "none"
    refused(
        "malformed", lifecycle.complete_session, actor=chat.cast.bargain, session_id=robot.session_id, outcome="meh"
    )


def test_a_bot_that_ends_with_needs_human_escalates_and_keeps_the_session(chat: Chat) -> None:
    robot = chat.robot()
    done = {"actor": chat.cast.bargain, "session_id": robot.session_id, "outcome": "needs_human"}
    answer = lifecycle.complete_session(**done, reason="Beyond me.")
    assert (answer.rule, answer.status, answer.session_id) == ("C6", Status.TRANSFERRED, robot.session_id)
    asked = chat.pending
    assert (asked.reason, asked.trigger, chat.controller) == ("Beyond me.", "bot", "queue")

    again = lifecycle.complete_session(**done)  # told twice, or after somebody else asked: the wait is not ended by it
    assert (again.status, chat.pending.pk, chat.controller) == (Status.TRANSFERRED, asked.pk, "queue")


def test_the_epoch_rises_by_one_with_every_change_of_holder_and_with_nothing_else(chat: Chat) -> None:
    cast = chat.cast
    seen = [chat.epoch]
    for act in (chat.robot, chat.escalate, chat.accept, lambda: chat.grab(cast.ben), lambda: chat.release(cast.ben)):
        act()
        seen.append(chat.epoch)
    assert [after - before for before, after in pairwise(seen)] == [1, 1, 1, 1, 1]
    for act in (chat.says, lambda: chat.speaks(cast.bargain), lambda: chat.robot(cast.faq, FOLLOW_UP)):
        act()
    assert chat.epoch == seen[-1]


def test_every_verb_that_takes_an_expected_epoch_refuses_a_stale_one(chat: Chat) -> None:
    cast = chat.cast
    chat.serve()
    stale = chat.epoch - 1
    tries = [
        (lifecycle.pause_session, cast.ann, {"session_id": chat.live.pk}),
        (lifecycle.complete_session, cast.ann, {"session_id": chat.live.pk}),
        *((act, cast.ann, {}) for act in (chat.take, chat.release, chat.resolve)),
        (chat.grab, cast.ben, {}),
        (chat.hand_over, cast.ann, {"to_agent_id": cast.ben.id}),
        (chat.escalate, cast.bargain, {}),
    ]
    for act, actor, named in tries:
        error = refused("stale_epoch", act, actor=actor, **named, expected_epoch=stale)
        assert error.fields == {"epoch": stale + 1, "controller": "human", "owner_name": "Ann"}


def test_an_unknown_rule_is_never_answered(chat: Chat) -> None:
    """`resolve_conflict` answers for every pair of kinds: no hole in the table."""
    cast = chat.cast
    for live in (None, *Kind):
        for asked in Kind:
            fresh = cast.chat()
            if live:
                fresh.opens(cast.bargain if live.is_robot else cast.ann, live)
            try:
                answer = fresh.opens(cast.faq if asked.is_robot else cast.sue, asked)
                rule = answer.rule
            except DomainError as error:
                rule = error.fields["rule"]
            assert rule in {"C0", "C1", "C2", "C3", "C4", "C7"}, (live, asked)
            if live and not live.is_robot:
                fresh.resolve(cast.sue)  # capacity is not what is tested here
            if fresh.has_live:
                lifecycle.cancel_session(actor=cast.system, session_id=fresh.live.pk)
