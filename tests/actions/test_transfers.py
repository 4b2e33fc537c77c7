"""Moving a conversation: every kind of transfer, every way in which it can end, and who may take it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from agents_app.models import Agent, Tenant
from messaging_app.models import Controller, Tier
from sessions_app.actions import conversations, lifecycle, participants, presence, recovery, silence, transfers
from sessions_app.core.capacity import load
from sessions_app.errors import TransferEnded
from sessions_app.models import ChatSession, Transfer
from sessions_app.states import Kind, Owner, Status, TransferKind, TransferStatus
from tests.cast import Cast, Chat, Later, refused

RETURN, REQUEUE = Tenant.TransferPolicy.RETURN, Tenant.TransferPolicy.REQUEUE


# --- Escalation ---


def test_an_escalation_leaves_the_session_its_id_and_fences_the_bot_out(chat: Chat) -> None:
    robot = chat.robot()
    epoch = chat.epoch
    answer = chat.escalate(reason="The customer asks for a discount.", trigger="keyword")
    assert (answer.rule, answer.session_id, answer.status) == ("C6", robot.session_id, Status.TRANSFERRED)
    assert (chat.live.owner_kind, chat.controller, chat.epoch) == (Owner.NOBODY, "queue", epoch + 1)
    asked = chat.pending
    assert (asked.kind, asked.from_kind, asked.from_id, asked.from_name) == (
        "escalation",
        "bot",
        chat.cast.bargain.id,
        "bargain",
    )
    assert (asked.reason, asked.trigger) == ("The customer asks for a discount.", "keyword")
    assert (asked.deadline - asked.requested_at).total_seconds() == 300  # type: ignore[operator]
    refused("stale_epoch", chat.speaks, chat.cast.bargain)


@pytest.mark.parametrize("who", ["bargain", "channel", "ann", "customer"])
def test_bot_channel_agent_and_customer_may_ask_for_a_human(chat: Chat, who: str) -> None:
    chat.robot()
    actor = chat.customer if who == "customer" else getattr(chat.cast, who)
    assert chat.escalate(actor).controller == Controller.QUEUE


def test_escalating_where_no_robot_is_opens_a_manual_session_that_waits(chat: Chat) -> None:
    answer = chat.escalate(chat.cast.channel, reason="Calls for a person.")
    session = chat.session(answer)
    assert (session.kind, session.status, session.owner_kind) == (
        Kind.MANUAL_CUSTOMER_SERVICE,
        Status.PENDING,
        Owner.NOBODY,
    )
    assert (chat.controller, chat.pending.session_id) == ("queue", session.pk)
    chat.accept()
    session.refresh_from_db()
    assert (session.status, session.agent_id, chat.controller) == (Status.ACTIVE, chat.cast.ann.id, "human")


@pytest.mark.parametrize("is_robot", [True, False])
def test_an_urgent_escalation_goes_to_the_top_of_the_list(chat: Chat, is_robot: bool) -> None:
    if is_robot:
        chat.robot()
    chat.escalate(chat.cast.channel, urgent=True)
    assert chat.row.tier == Tier.EMERGENCY


@pytest.mark.parametrize("is_robot", [True, False])
def test_escalating_again_answers_with_what_waits_and_keeps_the_waiting_clock(
    chat: Chat, later: Later, is_robot: bool
) -> None:
    if is_robot:
        chat.robot()
    first = chat.escalate(chat.cast.channel)
    since, seq = chat.row.waiting_since, chat.row.seq
    later(120)
    again = chat.escalate(chat.cast.channel)
    assert (again.transfer_id, again.session_id, again.is_repeat) == (first.transfer_id, first.session_id, True)
    assert (chat.row.waiting_since, chat.row.seq) == (since, seq)
    more = chat.escalate(chat.cast.channel, reason="And again.")
    assert (more.transfer_id, more.is_repeat, chat.row.waiting_since) == (first.transfer_id, False, since)
    assert Transfer.objects.count() == 1


@pytest.mark.parametrize("ends", ["declined", "timed out", "withdrawn"])
def test_escalating_after_a_transfer_came_back_keeps_the_waiting_clock(chat: Chat, later: Later, ends: str) -> None:
    """Nobody has looked yet: the customer has waited since the first time."""
    cast = chat.cast
    chat.robot()
    chat.escalate(to_agent_id=cast.ann.id)
    since = chat.row.waiting_since
    later(120)
    if ends == "declined":
        chat.decline(cast.ann)
    elif ends == "withdrawn":
        chat.withdraw(cast.bargain)
    else:
        later(200)
        chat.sweep()
    assert (chat.controller, chat.row.needs_human, chat.row.waiting_since) == ("bot", True, since)
    later(60)
    chat.escalate()
    assert chat.pending.waiting_since == chat.row.waiting_since == since


def test_a_new_escalation_after_a_human_looked_has_a_new_waiting_clock(chat: Chat, later: Later) -> None:
    chat.queue()
    since = chat.pending.waiting_since
    chat.accept()
    chat.release()
    later(60)
    chat.escalate()
    assert chat.pending.waiting_since > since


def test_the_context_package_travels_with_the_transfer(chat: Chat) -> None:
    chat.robot(context={"product": "kettle", "last_offer": 42})
    chat.says("Can I have it for 40?")
    chat.speaks(chat.cast.bargain, "I can offer 42.")
    chat.escalate(reason="Below the floor.", context={"suggestion": "Offer 41.", "promises": ["free delivery"]})
    context = chat.pending.context
    assert context["version"] == 2
    assert [m["content"] for m in context["messages"]] == ["Can I have it for 40?", "I can offer 42."]
    assert context["history"]["count"] == 2
    assert context["task_state"] == {"product": "kettle", "last_offer": 42}
    assert (context["reason"], context["suggestion"], context["promises"]) == (
        "Below the floor.",
        "Offer 41.",
        ["free delivery"],
    )
    assert context["customer"]["account_id"] == chat.row.account_id
    assert context["completeness"] == 0.83  # who the customer is, is not known


def test_the_context_package_never_holds_a_private_note(chat: Chat) -> None:
    from messaging_app.thread import NewMessage
    from sessions_app.actions import messages

    chat.robot()
    chat.says("Hello")
    messages.post_note(actor=chat.cast.ann, conversation_id=chat.id, words=NewMessage(content="A difficult one."))
    chat.escalate()
    assert "difficult" not in str(chat.pending.context)


# --- Accepting ---


def test_accepting_gives_the_conversation_to_the_agent(chat: Chat) -> None:
    chat.queue()
    asked, epoch = chat.pending, chat.epoch
    answer = chat.accept()
    asked.refresh_from_db()
    assert (asked.status, asked.accepted_by_id, asked.is_override) == (TransferStatus.ACCEPTED, chat.cast.ann.id, False)
    assert (answer.controller, chat.live.agent_id, chat.live.status) == ("human", chat.cast.ann.id, Status.TRANSFERRED)
    assert chat.epoch == epoch + 1
    assert chat.row.waiting_since is None


def test_accepting_ones_own_again_answers_the_same(chat: Chat) -> None:
    chat.queue()
    asked = chat.pending
    first = chat.accept()
    seq = chat.row.seq
    again = transfers.accept_transfer(actor=chat.cast.ann, transfer_id=asked.pk)
    assert again.is_repeat
    assert (again.session_id, again.controller, again.epoch, again.status) == (
        first.session_id,
        first.controller,
        first.epoch,
        first.status,
    )
    assert chat.row.seq == seq


@pytest.mark.parametrize("way", ["accept", "accept with epoch", "take", "take with epoch"])
def test_the_loser_is_told_who_won(chat: Chat, way: str) -> None:
    cast = chat.cast
    chat.robot()
    if way.startswith("accept"):
        chat.escalate()
    asked = chat.pending if chat.has_pending else None
    epoch = {"expected_epoch": chat.epoch} if "epoch" in way else {}
    code = "stale_epoch" if epoch else "already_taken"
    if asked:
        chat.accept(cast.ann, **epoch)
        error = refused(code, transfers.accept_transfer, actor=cast.ben, transfer_id=asked.pk, **epoch)
    else:
        chat.take(cast.ann, **epoch)
        error = refused(code, chat.take, cast.ben, **epoch)
    assert error.status == 409
    assert error.fields["owner_name"] == "Ann"
    assert load(cast.agent("ben")) == 0


@pytest.mark.parametrize("ended", ["declined", "withdrawn", "timed out"])
def test_a_transfer_that_has_ended_is_not_accepted(chat: Chat, later: Later, ended: str) -> None:
    cast = chat.cast
    chat.robot()
    chat.escalate(to_agent_id=cast.ann.id)
    asked = chat.pending
    if ended == "declined":
        chat.decline(cast.ann)
    elif ended == "withdrawn":
        chat.withdraw(cast.bargain)
    else:
        later(301)
        chat.sweep()
    error = refused("transfer_ended", transfers.accept_transfer, actor=cast.ann, transfer_id=asked.pk)
    assert error.fields == {"status": ended.upper().replace(" ", "_")}
    for end, verb, actor in (
        ("declined", transfers.decline_transfer, cast.ann),
        ("withdrawn", transfers.withdraw_transfer, cast.bargain),
    ):
        if end == ended:
            assert verb(actor=actor, transfer_id=asked.pk).is_repeat
        else:
            refused("transfer_ended", verb, actor=actor, transfer_id=asked.pk)


def test_a_late_accept_is_refused_with_no_sweeper_alive_and_the_timer_stays_applied(chat: Chat, later: Later) -> None:
    chat.queue()
    asked = chat.pending
    later(301)
    with pytest.raises(TransferEnded):
        transfers.accept_transfer(actor=chat.cast.ann, transfer_id=asked.pk)
    asked.refresh_from_db()
    assert asked.status == TransferStatus.TIMED_OUT
    assert (chat.live.status, chat.live.owner_kind, chat.controller) == (Status.ACTIVE, Owner.BOT, "bot")
    assert chat.row.needs_human


@pytest.mark.parametrize(
    ("addressed", "by", "code"),
    [
        ("ben", "ben", ""),
        ("ben", "ann", "forbidden"),
        ("ben", "sue", ""),  # a supervisor may take any
        ("refunds", "ben", ""),
        ("refunds", "ann", "forbidden"),
        ("refunds", "sue", ""),
        ("", "ann", ""),
    ],
)
@pytest.mark.parametrize("kind", ["escalation", "handover", "reassignment"])
def test_a_transfer_is_accepted_by_whom_it_is_addressed_to(
    chat: Chat, addressed: str, by: str, code: str, kind: str
) -> None:
    cast = chat.cast
    team = cast.team("refunds", "ben", "cat")
    to = {"to_team_id": team.pk} if addressed == "refunds" else {"to_agent_id": cast.ben.id} if addressed else {}
    chat.robot()
    if kind == "escalation":
        chat.escalate(**to)
    elif kind == "handover":
        chat.take(cast.cat)
        if not to:
            refused("malformed", chat.hand_over, cast.cat)
            return
        chat.hand_over(cast.cat, **to)
    elif "to_agent_id" in to:
        return  # a reassignment is addressed to a team or to everybody
    else:
        chat.take(cast.cat)
        chat.reassign(**to)
    actor = getattr(cast, by)
    if code:
        refused(code, chat.accept, actor)
    else:
        chat.accept(actor)
        assert (chat.live.agent_id, chat.controller, chat.has_pending) == (actor.id, "human", False)


def test_one_does_not_accept_ones_own_handover(chat: Chat) -> None:
    cast = chat.cast
    chat.serve()
    chat.hand_over(to_team_id=cast.team("refunds", "ann", "ben").pk)
    refused("forbidden", chat.accept, cast.ann)


def test_accepting_a_waiting_manual_session_pauses_the_robot_that_works_meanwhile(chat: Chat) -> None:
    """A robot that was live when an emergency nobody took gave way is the only way there: C1 decides."""
    cast = chat.cast
    manual = chat.opens(cast.channel, Kind.MANUAL_CUSTOMER_SERVICE)
    chat.opens(cast.ben, Kind.MANUAL_CUSTOMER_SERVICE)
    error = refused("human_serves", chat.accept, cast.ann)
    assert error.fields["owner_name"] == "Ben"
    chat.resolve(cast.ben)
    assert chat.accept(cast.ann).session_id == manual.session_id


# --- Nobody accepts: both policies, and who the sender is ---


def _decline(chat: Chat, later: Later) -> None:
    chat.decline(chat.cast.ben)


def _time_out(chat: Chat, later: Later) -> None:
    later(301)
    chat.sweep()


UNANSWERED = pytest.mark.parametrize(
    ("end", "status"),
    [(_decline, TransferStatus.DECLINED), (_time_out, TransferStatus.TIMED_OUT)],
    ids=["declined", "timed out"],
)
type End = Callable[[Chat, Later], None]


@UNANSWERED
def test_an_escalation_nobody_takes_goes_back_to_the_bot_and_stays_flagged(
    chat: Chat, later: Later, end: End, status: TransferStatus
) -> None:
    cast = chat.cast
    chat.robot()
    chat.escalate(to_agent_id=cast.ben.id, reason="Angry.")
    asked = chat.pending
    end(chat, later)
    asked.refresh_from_db()
    assert asked.status == status
    assert (chat.live.status, chat.live.owner_kind, chat.live.bot_id) == (Status.ACTIVE, Owner.BOT, cast.bargain.id)
    assert (chat.controller, chat.row.needs_human, chat.row.tier, chat.has_pending) == (
        "bot",
        True,
        Tier.NEEDS_HUMAN,
        False,
    )
    chat.speaks(cast.bargain)  # with the new epoch the bot speaks again
    assert chat.row.needs_human  # until a human has looked at it


@pytest.mark.parametrize("end", [_decline, _time_out], ids=["declined", "timed out"])
def test_with_requeue_an_escalation_nobody_takes_waits_on_for_everybody(chat: Chat, later: Later, end: End) -> None:
    cast = chat.cast
    cast.policy(transfer_policy=REQUEUE)
    chat.robot()
    chat.escalate(to_agent_id=cast.ben.id, reason="Angry.")
    first = chat.pending
    end(chat, later)
    again = chat.pending
    assert (again.pk, again.asked_again) == (first.pk, 1)
    assert (again.to_agent_id, again.reason, again.kind) == (None, "Angry.", "escalation")
    assert (again.waiting_since, again.context) == (first.waiting_since, first.context)
    assert (chat.live.status, chat.controller) == (Status.TRANSFERRED, "queue")
    chat.accept(cast.ann)


@UNANSWERED
@pytest.mark.parametrize("policy", [RETURN, REQUEUE])
def test_a_handover_nobody_takes_leaves_it_with_its_sender(
    chat: Chat, later: Later, end: End, status: TransferStatus, policy: str
) -> None:
    cast = chat.cast
    cast.policy(transfer_policy=policy)
    chat.serve()
    epoch = chat.epoch
    chat.hand_over(to_agent_id=cast.ben.id)
    end(chat, later)
    assert (chat.live.agent_id, chat.controller, chat.epoch) == (cast.ann.id, "human", epoch)
    assert not chat.has_pending
    assert not chat.row.needs_human
    assert chat.transfers[-1].status == status


@pytest.mark.parametrize("policy", [RETURN, REQUEUE])
@pytest.mark.parametrize("is_manual", [True, False])
def test_a_reassignment_nobody_takes_waits_on_whatever_the_policy(
    chat: Chat, later: Later, policy: str, is_manual: bool
) -> None:
    cast = chat.cast
    cast.policy(transfer_policy=policy)
    chat.human() if is_manual else chat.serve()
    chat.reassign()
    since = chat.pending.waiting_since
    for pause in (1, 1, 2, 4):
        later(pause * 300 + 1)
        chat.sweep()
    moves = [(t.status, t.asked_again) for t in chat.transfers if t.kind == TransferKind.REASSIGNMENT]
    assert moves == [("PENDING", 4)]
    assert (chat.pending.waiting_since, chat.controller) == (since, "queue")


@pytest.mark.parametrize("policy", [RETURN, REQUEUE])
def test_a_waiting_manual_session_nobody_takes_waits_on(chat: Chat, later: Later, policy: str) -> None:
    """It has no sender it could go back to; the customer would talk to a wall."""
    chat.cast.policy(transfer_policy=policy)
    waits = chat.escalate(chat.cast.channel)
    since = chat.pending.waiting_since
    later(301)
    chat.sweep()
    assert (chat.controller, chat.pending.session_id, chat.pending.waiting_since) == ("queue", waits.session_id, since)


def test_withdrawing_gives_the_bot_its_session_back(chat: Chat) -> None:
    chat.queue()
    answer = chat.withdraw(chat.cast.bargain, reason="Solved it.")
    assert (answer.controller, chat.live.owner_kind, chat.live.status) == ("bot", Owner.BOT, Status.ACTIVE)
    assert chat.transfers[-1].status == TransferStatus.WITHDRAWN
    assert chat.transfers[-1].end_reason == "Solved it."


@pytest.mark.parametrize(
    ("kind", "by", "code"),
    [
        ("escalation", "bargain", ""),
        ("escalation", "sue", ""),
        ("escalation", "channel", ""),
        ("escalation", "faq", "not_found"),
        ("escalation", "ann", "forbidden"),
        ("handover", "ann", ""),
        ("handover", "sue", ""),
        ("handover", "ben", "forbidden"),
        ("handover", "bargain", "forbidden"),
    ],
)
def test_who_asked_may_withdraw(chat: Chat, kind: str, by: str, code: str) -> None:
    cast = chat.cast
    if kind == "escalation":
        chat.queue()
    else:
        chat.serve()
        chat.hand_over(to_agent_id=cast.ben.id)
    if code:
        refused(code, chat.withdraw, getattr(cast, by))
    else:
        chat.withdraw(getattr(cast, by))
        assert not chat.has_pending
        assert chat.controller == ("bot" if kind == "escalation" else "human")


def test_what_lies_in_the_queue_for_everybody_is_not_one_agents_to_decline(chat: Chat) -> None:
    chat.queue()
    refused("forbidden", chat.decline, chat.cast.ann)
    chat.decline(chat.cast.sue)
    assert chat.controller == "bot"


# --- Handover ---


def test_the_sender_of_a_handover_serves_on_until_it_is_accepted(chat: Chat) -> None:
    cast = chat.cast
    chat.serve()
    epoch = chat.epoch
    chat.hand_over(to_agent_id=cast.ben.id, reason="Knows refunds.")
    assert (chat.live.agent_id, chat.epoch, chat.controller) == (cast.ann.id, epoch, "human")
    assert chat.says("Still there?").controller == "human"
    chat.speaks(cast.ann, "Yes.")
    refused("forbidden", chat.speaks, cast.ben)
    assert (load(cast.agent("ann")), load(cast.agent("ben"))) == (1, 0)

    chat.accept(cast.ben)
    assert (chat.live.agent_id, chat.epoch, chat.controller) == (cast.ben.id, epoch + 1, "human")
    assert (load(cast.agent("ann")), load(cast.agent("ben"))) == (0, 1)
    refused("forbidden", chat.speaks, cast.ann)


def test_a_handover_keeps_the_time_since_activation(chat: Chat, later: Later) -> None:
    cast = chat.cast
    chat.serve()
    ends = chat.live.expires_at
    later(3600)
    chat.hand_over(to_agent_id=cast.ben.id)
    chat.accept(cast.ben)
    assert chat.live.expires_at == ends


@pytest.mark.parametrize(
    ("to", "code"),
    [
        ({}, "malformed"),
        ({"to_agent_id": "ann"}, "conflict"),  # to oneself
        ({"to_agent_id": 10**9}, "not_found"),
        ({"to_team_id": 10**9}, "not_found"),
        ({"to_agent_id": "gone"}, "not_found"),
    ],
    ids=str,
)
def test_a_handover_needs_somebody_to_go_to(chat: Chat, to: dict[str, object], code: str) -> None:
    cast = chat.cast
    cast.hire("gone", is_active=False)
    chat.serve()
    named = {key: cast.agent(value).pk if isinstance(value, str) else value for key, value in to.items()}
    refused(code, chat.hand_over, cast.ann, **named)


def test_only_one_handover_waits_at_a_time(chat: Chat) -> None:
    cast = chat.cast
    chat.serve()
    chat.hand_over(to_agent_id=cast.ben.id)
    error = refused("conflict", chat.hand_over, cast.ann, to_agent_id=cast.cat.id)
    assert error.fields["transfer_id"] == chat.pending.pk


def test_ending_a_session_withdraws_the_handover_that_waits(chat: Chat) -> None:
    chat.serve()
    chat.hand_over(to_agent_id=chat.cast.ben.id)
    chat.resolve()
    assert [t.status for t in chat.transfers] == ["ACCEPTED", "WITHDRAWN"]


# --- Takeover and grab ---


def test_taking_over_is_at_once_and_on_record_and_may_be_done_again_after_a_release(chat: Chat) -> None:
    cast = chat.cast
    robot = chat.robot()
    for agent in (cast.ann, cast.ben, cast.ann):
        chat.take(agent, reason="I see a chance.")
        assert (chat.live.pk, chat.live.agent_id, chat.live.status) == (robot.session_id, agent.id, Status.TRANSFERRED)
        refused("stale_epoch", chat.speaks, cast.bargain)
        chat.release(agent)
    assert [(t.kind, t.status) for t in chat.transfers] == [("takeover", "ACCEPTED"), ("return", "ACCEPTED")] * 3


def test_taking_over_what_one_has_already_answers_the_same(chat: Chat) -> None:
    chat.serve()
    seq = chat.row.seq
    again = chat.take()
    assert again.is_repeat
    assert (again.controller, chat.row.seq) == ("human", seq)


@pytest.mark.parametrize("state", ["nothing", "queue", "manual waits"])
def test_only_a_bots_conversation_is_taken_over(chat: Chat, state: str) -> None:
    if state == "queue":
        chat.queue()
    elif state == "manual waits":
        chat.escalate(chat.cast.channel)
    refused("not_serving", chat.take)


def test_a_grab_moves_the_conversation_with_its_reason_on_record(chat: Chat) -> None:
    cast = chat.cast
    chat.serve()
    epoch = chat.epoch
    answer = chat.grab(cast.ben, "It is my customer.")
    assert (answer.controller, chat.live.agent_id, chat.epoch) == ("human", cast.ben.id, epoch + 1)
    move = chat.transfers[-1]
    assert (move.kind, move.status, move.reason) == ("grab", "ACCEPTED", "It is my customer.")
    assert (move.from_kind, move.from_id, move.accepted_by_id) == ("agent", cast.ann.id, cast.ben.id)


def test_a_grab_ends_the_handover_that_waits(chat: Chat) -> None:
    cast = chat.cast
    chat.serve()
    chat.hand_over(to_agent_id=cast.ben.id)
    chat.grab(cast.cat)
    assert (chat.has_pending, chat.live.agent_id) == (False, cast.cat.id)
    assert "grabbed by Cat" in [t.end_reason for t in chat.transfers]


@pytest.mark.parametrize(
    ("state", "by", "reason", "code"),
    [
        ("served", "ann", "Mine.", "conflict"),  # never one's own
        ("queue", "ben", "Mine.", "not_serving"),  # never an unassigned one
        ("bot", "ben", "Mine.", "not_serving"),
        ("ended", "ben", "Mine.", "not_serving"),  # never an ended one
        ("served", "ben", "  ", "malformed"),  # never without a reason
        ("served", "bargain", "Mine.", "forbidden"),
        ("served", "channel", "Mine.", "forbidden"),
    ],
)
def test_what_cannot_be_grabbed(chat: Chat, state: str, by: str, reason: str, code: str) -> None:
    chat.robot()
    if state == "queue":
        chat.escalate()
    elif state != "bot":
        chat.take()
    if state == "ended":
        chat.resolve()
    refused(code, chat.grab, getattr(chat.cast, by), reason)


# --- Release ---


def test_releasing_tells_the_bot_what_it_missed_and_the_humans_summary(chat: Chat) -> None:
    cast = chat.cast
    robot = chat.robot()
    chat.says("one")
    chat.escalate()
    relieved_at = chat.row.seq
    chat.accept()
    chat.says("two")
    chat.speaks(cast.ann, "three")
    answer = chat.release(summary="Agreed on 41.")
    assert (answer.session_id, answer.status, answer.controller) == (robot.session_id, Status.ACTIVE, "bot")
    returned = next(o for o in reversed(chat.operations) if o.type == "session.returned")
    assert returned.data["reason"] == "Agreed on 41."
    missed = [o for o in chat.operations if returned.data["missed_from_seq"] < o.seq < returned.seq]
    assert [o.type for o in missed if o.type == "message.created"] == ["message.created"] * 2
    assert returned.data["missed_from_seq"] <= relieved_at
    assert (chat.transfers[-1].kind, chat.transfers[-1].from_id) == ("return", cast.ann.id)


def test_releasing_resets_the_count_of_failed_answers(chat: Chat) -> None:
    cast = chat.cast
    cast.rule("failure", phrases=["sorry"], threshold=3)
    chat.robot()
    for _ in range(3):
        chat.speaks(cast.bargain, "Sorry.")
    assert chat.controller == "queue"
    chat.accept()
    chat.release()
    chat.speaks(cast.bargain, "Sorry.")
    assert (chat.controller, chat.live.failed_answers) == ("bot", 1)


def test_releasing_a_manual_session_ends_it_and_the_paused_robot_resumes(chat: Chat) -> None:
    robot = chat.robot()
    manual = chat.human()
    answer = chat.release(summary="Done.")
    assert chat.session(manual).status == Status.COMPLETED
    assert (answer.session_id, chat.live.pk, chat.live.status) == (robot.session_id, robot.session_id, Status.ACTIVE)
    assert chat.controller == "bot"


@pytest.mark.parametrize("is_manual", [True, False])
def test_a_release_is_refused_when_no_bot_can_take_it_unless_forced(chat: Chat, is_manual: bool) -> None:
    cast = chat.cast
    served = chat.human() if is_manual else chat.robot()
    if not is_manual:
        chat.take()
        cast.change("bargain", is_active=False)
    refused("no_bot", chat.release)
    chat.release(force=True)
    assert chat.session(served).status == (Status.COMPLETED if is_manual else Status.ACTIVE)


def test_releasing_withdraws_a_handover_that_waits(chat: Chat) -> None:
    chat.serve()
    chat.hand_over(to_agent_id=chat.cast.ben.id)
    chat.release()
    assert (chat.has_pending, chat.controller) == (False, "bot")


def test_a_supervisor_may_release_on_record(chat: Chat) -> None:
    chat.serve()
    chat.release(chat.cast.sue)
    assert {o.actor_name for o in chat.operations if o.type == "session.returned"} == {"Sue"}


def test_any_agent_brings_back_what_the_shops_own_people_serve(chat: Chat) -> None:
    chat.robot()
    chat.echo()
    assert chat.controller == "human"
    refused("forbidden", chat.release, chat.cast.bargain)
    chat.release(chat.cast.ben)
    assert chat.controller == "bot"


# --- Capacity ---


def _way_accept(chat: Chat, **more: bool) -> None:
    chat.accept(chat.cast.ben, **more)


def _way_take(chat: Chat, **more: bool) -> None:
    chat.take(chat.cast.ben, **more)


def _way_grab(chat: Chat, **more: bool) -> None:
    chat.grab(chat.cast.ben, **more)


WAYS = {
    "accept an escalation": (lambda c: c.queue(), _way_accept),
    "accept a handover": (lambda c: (c.serve(), c.hand_over(to_agent_id=c.cast.ben.id)), _way_accept),
    "accept a reassignment": (lambda c: (c.serve(), c.reassign()), _way_accept),
    "accept a waiting manual session": (lambda c: c.escalate(c.cast.channel), _way_accept),
    "take over": (lambda c: c.robot(), _way_take),
    "grab": (lambda c: c.serve(), _way_grab),
    "open": (lambda c: None, lambda c: c.human(c.cast.ben)),
    "open over a robot": (lambda c: c.robot(), lambda c: c.human(c.cast.ben)),
    "open an emergency": (lambda c: c.serve(), lambda c: c.opens(c.cast.ben, Kind.MANUAL_URGENT)),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_in_checks_the_capacity(chat: Chat, way: str) -> None:
    cast = chat.cast
    prepare, enter = WAYS[way]
    cast.change("ben", max_load=2)
    cast.busy("ben", 1)
    prepare(chat)
    other = cast.chat()
    other.human(cast.ben)
    error = refused("no_capacity", enter, chat)
    assert error.fields["load"] == 2
    other.resolve(cast.ben)  # room for one again
    enter(chat)
    assert load(cast.agent("ben")) == 2
    assert chat.live.agent_id == cast.ben.id


@pytest.mark.parametrize("way", ["accept an escalation", "take over", "grab"])
def test_an_override_is_a_supervisors_and_on_record(chat: Chat, way: str) -> None:
    cast = chat.cast
    prepare, enter = WAYS[way]
    cast.change("ben", max_load=1)
    cast.busy("ben", 1)
    prepare(chat)
    refused("forbidden", enter, chat, override=True)

    cast.change("ben", role=Agent.Role.SUPERVISOR)
    from agents_app.actors import agent_actor

    cast.ben = agent_actor(cast.agent("ben"))
    refused("no_capacity", enter, chat)  # a supervisor who does not ask for it neither
    enter(chat, override=True)
    assert load(cast.agent("ben")) == 2
    assert chat.transfers[-1].is_override
    assert [o.data["override"] for o in chat.operations if o.type == "transfer.accepted"][-1] is True


def test_an_override_that_was_not_needed_is_not_recorded(chat: Chat) -> None:
    chat.queue()
    chat.accept(chat.cast.sue, override=True)
    assert chat.transfers[-1].is_override is False


@pytest.mark.parametrize("is_robot", [True, False])
def test_what_is_paused_or_waits_does_not_count_as_load(chat: Chat, is_robot: bool) -> None:
    cast = chat.cast
    chat.serve() if is_robot else chat.human()
    chat.opens(cast.ben, Kind.MANUAL_URGENT)
    assert (load(cast.agent("ann")), load(cast.agent("ben"))) == (0, 1)


def test_a_human_who_is_full_when_the_paused_session_comes_back_gets_it_as_a_recorded_override(chat: Chat) -> None:
    cast = chat.cast
    cast.change("ann", max_load=1)
    mine = chat.human()
    chat.opens(cast.ben, Kind.MANUAL_URGENT)
    cast.busy("ann", 1)
    chat.resolve(cast.ben)
    assert (chat.live.pk, chat.live.agent_id, load(cast.agent("ann"))) == (mine.session_id, cast.ann.id, 2)
    assert next(o for o in chat.operations if o.type == "session.resumed").data["override"] is True


def test_a_paused_session_whose_agent_has_left_is_asked_for_again(chat: Chat) -> None:
    cast = chat.cast
    mine = chat.human()
    chat.opens(cast.ben, Kind.MANUAL_URGENT)
    cast.change("ann", is_active=False)
    chat.resolve(cast.ben)
    assert (chat.live.pk, chat.live.owner_kind, chat.controller) == (mine.session_id, Owner.NOBODY, "queue")
    assert chat.pending.kind == TransferKind.REASSIGNMENT


def test_who_does_not_work_here_any_more_gets_nothing(chat: Chat) -> None:
    chat.queue()
    chat.cast.change("ann", is_active=False)
    refused("not_available", chat.accept)


# --- C5: reassignment, and agents who fell silent ---


def test_reassigning_leaves_the_session_live_without_an_owner(chat: Chat) -> None:
    cast = chat.cast
    chat.serve()
    epoch = chat.epoch
    answer = chat.reassign()
    assert (answer.rule, chat.live.status, chat.live.owner_kind) == ("C5", Status.TRANSFERRED, Owner.NOBODY)
    assert (chat.pending.kind, chat.pending.from_id, chat.pending.from_name) == ("reassignment", cast.ann.id, "Ann")
    assert (chat.controller, chat.epoch, load(cast.agent("ann"))) == ("queue", epoch + 1, 0)
    assert chat.says("Anybody?").controller == "queue"
    refused("not_serving", chat.speaks, cast.ann)


@pytest.mark.parametrize("state", ["nothing", "bot", "queue", "shop"])
def test_only_what_an_agent_serves_is_reassigned(chat: Chat, state: str) -> None:
    if state != "nothing":
        chat.robot()
    if state == "queue":
        chat.escalate()
    if state == "shop":
        chat.echo()
    refused("not_serving", chat.reassign)


def test_reassigning_from_an_agent_who_has_it_no_more_does_nothing(chat: Chat) -> None:
    cast = chat.cast
    chat.serve()
    chat.grab(cast.ben)
    refused("not_serving", chat.reassign, from_agent_id=cast.ann.id)


def test_agents_not_heard_of_for_the_grace_time_lose_their_sessions_and_the_others_keep_them(
    cast: Cast, later: Later
) -> None:
    anns, anns_manual, bens, paused = (cast.chat() for _ in range(4))
    anns.serve()
    anns_manual.human(cast.ann)
    bens.robot()
    bens.take(cast.ben)
    paused.human(cast.ann)
    paused.opens(cast.sue, Kind.MANUAL_URGENT)
    later(295)
    cast.seen("ben", "sue")
    assert silence.move_on_from_silent_agents() == 0
    later(10)
    cast.seen("ben", "sue")
    assert silence.move_on_from_silent_agents() == 2
    assert [c.controller for c in (anns, anns_manual, bens, paused)] == ["queue", "queue", "human", "human"]
    assert {c.pending.kind for c in (anns, anns_manual)} == {"reassignment"}
    assert silence.move_on_from_silent_agents() == 0
    presence.heartbeat(actor=cast.ann)
    anns.accept(cast.ann)  # who comes back may take it again
    assert silence.move_on_from_silent_agents() == 0


def test_an_agent_who_is_heard_of_between_finding_and_locking_keeps_the_session(
    chat: Chat, later: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    cast = chat.cast
    chat.serve()
    later(301)
    assert cast.agent("ann") in silence._silent()
    presence.heartbeat(actor=cast.ann)
    assert not silence._move_on(cast.tenant.pk, chat.id, cast.ann.id)
    assert chat.controller == "human"


@pytest.mark.parametrize(
    ("happens", "state", "owner"),
    [
        ("nothing", "yours", "Ann"),
        ("grabbed", "moved", "Ben"),
        ("reassigned", "moved", "nobody"),
        ("released", "moved", "bargain"),
        ("emergency", "paused", "Ann"),
        ("resolved by a supervisor", "ended", "Ann"),
    ],
)
def test_recover_tells_an_agent_the_truth_and_what_was_missed(chat: Chat, happens: str, state: str, owner: str) -> None:
    cast = chat.cast
    chat.serve()
    session_id, known = chat.live.pk, chat.row.seq
    chat.says("While you were away.")
    {
        "grabbed": lambda: chat.grab(cast.ben),
        "reassigned": chat.reassign,
        "released": lambda: chat.release(cast.sue),
        "emergency": lambda: chat.opens(cast.ben, Kind.MANUAL_URGENT),
        "resolved by a supervisor": lambda: chat.resolve(cast.sue),
    }.get(happens, lambda: None)()
    truth = recovery.recover(actor=cast.ann, session_id=session_id, after_seq=known)
    assert (truth.state, truth.owner_name, truth.epoch, truth.seq) == (state, owner, chat.epoch, chat.row.seq)
    assert [o.seq for o in truth.missed] == list(range(known + 1, chat.row.seq + 1))


@pytest.mark.parametrize(
    ("happens", "state"),
    [
        ("nothing", "yours"),
        ("taken", "moved"),
        ("queued", "moved"),
        ("preempted", "paused"),
        ("waits", "waiting"),
        ("idle", "ended"),
    ],
)
def test_recover_tells_a_bot_the_truth(chat: Chat, later: Later, happens: str, state: str) -> None:
    cast = chat.cast
    if happens == "waits":
        chat.human()
    session = chat.robot()
    {
        "taken": chat.take,
        "queued": chat.escalate,
        "preempted": chat.human,
        "idle": lambda: later(1801),  # nobody has swept: asking applies what is due
    }.get(happens, lambda: None)()
    assert recovery.recover(actor=cast.bargain, session_id=session.session_id or 0).state == state
    refused("not_found", recovery.recover, actor=cast.faq, session_id=session.session_id)


# --- Push: one agent at a time ---


@pytest.fixture
def push(cast: Cast) -> Cast:
    cast.policy(assignment=Tenant.Assignment.PUSH)
    cast.change("sue", availability="break")
    return cast


def _offered(chat: Chat) -> str | None:
    return chat.pending.offered_to.name if chat.pending.offered_to else None


def test_the_queue_is_offered_to_the_least_loaded_reachable_agent(push: Cast) -> None:
    push.busy("ann", 2)
    push.busy("ben", 1)
    push.change("cat", availability="busy")
    chat = push.chat().queue()
    assert _offered(chat) == "Ben"
    assert (chat.pending.offer_expires_at - chat.pending.requested_at).total_seconds() == 30  # type: ignore[operator]
    refused("forbidden", chat.accept, push.ann)
    assert chat.accept(push.ben).controller == "human"


def test_an_offer_goes_on_when_it_expires_and_never_comes_back_to_who_let_it(push: Cast, later: Later) -> None:
    chat = push.chat().queue()
    assert _offered(chat) == "Ann"
    later(25)
    chat.sweep()
    assert _offered(chat) == "Ann"
    seen: list[str] = []
    for _ in range(3):
        later(31 if seen else 6)
        push.seen()
        chat.sweep()
        seen.append(_offered(chat))
    assert seen == ["Ben", "Cat", None]
    assert chat.pending.refused_by == [push.ann.id, push.ben.id, push.cat.id]
    assert chat.controller == "queue"
    assert chat.accept(push.ann).controller == "human"  # nobody is left to be asked: whoever is free may take it


def test_a_refused_offer_goes_to_the_next_agent_at_once(push: Cast) -> None:
    chat = push.chat().queue()
    refused("forbidden", chat.decline, push.ben)
    chat.decline(push.ann, reason="Lunch.")
    assert (_offered(chat), chat.pending.refused_by) == ("Ben", [push.ann.id])
    refused("forbidden", chat.accept, push.ann)
    assert chat.controller == "queue"
    assert chat.event_types[-2:] == ["transfer.offer_refused", "transfer.offered"]


def test_an_offer_to_a_team_stays_in_the_team(push: Cast, later: Later) -> None:
    team = push.team("refunds", "cat")
    chat = push.chat()
    chat.robot()
    chat.escalate(to_team_id=team.pk)
    assert _offered(chat) == "Cat"
    chat.decline(push.cat)
    assert _offered(chat) is None


@pytest.mark.parametrize("why", ["full", "on a break", "silent", "gone"])
def test_nothing_is_offered_to_who_cannot_take_it(push: Cast, later: Later, why: str) -> None:
    change = {
        "full": {"max_load": 0},
        "on a break": {"availability": "break"},
        "gone": {"is_active": False},
    }.get(why, {})
    if change:
        push.change("ann", **change)
    else:
        later(61)
        push.seen("ben", "cat")
    assert _offered(push.chat().queue()) == "Ben"


def test_what_nobody_could_be_offered_is_offered_when_somebody_is_free_again(push: Cast) -> None:
    for name in ("ann", "ben", "cat"):
        push.change(name, availability="away")
    chat = push.chat().queue()
    assert _offered(chat) is None
    presence.declare_availability(actor=push.cat, availability="available")
    chat.sweep()
    assert _offered(chat) == "Cat"


def test_a_transfer_addressed_to_an_agent_is_not_offered_around(push: Cast) -> None:
    chat = push.chat()
    chat.robot()
    chat.escalate(to_agent_id=push.cat.id)
    assert _offered(chat) is None
    chat.accept(push.cat)


def test_a_pull_tenant_offers_nothing(chat: Chat) -> None:
    chat.queue()
    assert _offered(chat) is None
    assert "transfer.offered" not in chat.event_types


# --- Every move has one row ---


def test_the_history_of_takeovers_is_a_query(chat: Chat) -> None:
    cast = chat.cast
    chat.robot()
    chat.escalate()
    chat.accept(cast.ann)
    chat.hand_over(to_agent_id=cast.ben.id)
    chat.accept(cast.ben)
    chat.grab(cast.cat)
    chat.reassign()
    chat.accept(cast.ann)
    chat.release()
    chat.take(cast.ben)
    assert [(t.kind, t.from_name, t.accepted_by.name if t.accepted_by else "") for t in chat.transfers] == [
        ("escalation", "bargain", "Ann"),
        ("handover", "Ann", "Ben"),
        ("grab", "Ben", "Cat"),
        ("reassignment", "Cat", "Ann"),
        ("return", "Ann", ""),
        ("takeover", "bargain", "Ben"),
    ]
    assert {t.status for t in chat.transfers} == {TransferStatus.ACCEPTED}
    assert ChatSession.objects.count() == 1


def test_a_participant_asks_for_nothing(chat: Chat) -> None:
    chat.serve()
    guest = chat.guest()
    refused("forbidden", chat.escalate, guest)
    participants.leave(actor=guest, conversation_id=chat.id)
    chat.release()
    refused("forbidden", chat.escalate, guest)
    refused("forbidden", conversations.raise_flag, actor=guest, conversation_id=chat.id)
    lifecycle.cancel_session(actor=chat.cast.system, session_id=chat.live.pk)
