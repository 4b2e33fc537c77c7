"""Guided flows: the table of moves, compare-and-set, leases, and what the customer says meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from sessions_app.actions import flows
from sessions_app.errors import FlowMoved
from sessions_app.models import GuidedFlow
from sessions_app.states import FLOW_BLOCKING, FLOW_TRANSITIONS, FlowStatus
from tests.cast import Cast, Chat, Later, refused

W, R, P = FlowStatus.WAITING, FlowStatus.RERUNNING, FlowStatus.READY
PATHS = {
    W: [],
    R: [R],
    P: [R, P],
    FlowStatus.APPLIED: [R, P, FlowStatus.APPLIED],
    FlowStatus.IGNORED: [FlowStatus.IGNORED],
    FlowStatus.EXPIRED: [FlowStatus.EXPIRED],
    FlowStatus.FAILED: [FlowStatus.FAILED],
}
# Written out here once more: docs/rules.md, Guided flows
ALLOWED = {
    W: {R, FlowStatus.EXPIRED, FlowStatus.IGNORED, FlowStatus.FAILED},
    R: {P, W, FlowStatus.IGNORED, FlowStatus.FAILED, FlowStatus.EXPIRED},
    P: {FlowStatus.APPLIED, FlowStatus.IGNORED, FlowStatus.EXPIRED, R},
}


def opened(chat: Chat, trigger: str = "t-1", **more: Any) -> GuidedFlow:
    given = {"conversation_id": chat.id, "question": "Which size?"} | more
    if given["conversation_id"] is not None and not chat.has_live:
        chat.robot()  # a flow is bound where the bot's session is live
    return flows.open_flow(actor=chat.cast.bargain, trigger_id=trigger, **given)


def moved(chat: Chat, flow: GuidedFlow, to: str, **more: Any) -> GuidedFlow:
    flow.refresh_from_db()
    return flows.move_flow(actor=chat.cast.bargain, flow_id=flow.pk, to=to, version=flow.version, **more)


@pytest.mark.parametrize("is_bound", [True, False], ids=["bound", "unbound"])
@pytest.mark.parametrize("to", list(FlowStatus))
@pytest.mark.parametrize("start", list(FlowStatus))
def test_a_flow_moves_along_its_table_and_nowhere_else(
    chat: Chat, start: FlowStatus, to: FlowStatus, is_bound: bool
) -> None:
    flow = opened(chat, conversation_id=chat.id if is_bound else None)
    for step in PATHS[start]:
        moved(chat, flow, step)
    flow.refresh_from_db()
    version = flow.version
    if to in ALLOWED.get(start, set()):
        moved(chat, flow, to)
        flow.refresh_from_db()
        assert (flow.status, flow.version) == (to, version + 1)
        assert (chat.controller == "flow") == (is_bound and to in FLOW_BLOCKING)
        if is_bound:
            last = chat.operations[-1]
            assert (last.type, last.data["before"], last.data["after"]) == ("flow.moved", start.value, to.value)
    else:
        refused("illegal_transition", moved, chat, flow, to)


def test_the_table_in_code_is_that_of_the_design() -> None:
    assert {start: set(ends) for start, ends in FLOW_TRANSITIONS.items() if ends} == ALLOWED
    assert {W, R} == FLOW_BLOCKING


def test_a_move_from_an_old_version_loses_and_is_told_the_present_one(chat: Chat) -> None:
    flow = opened(chat)
    moved(chat, flow, R)
    error = refused("flow_moved", flows.move_flow, actor=chat.cast.bargain, flow_id=flow.pk, to=W, version=1)
    assert error.fields == {"version": 2, "status": "rerunning"}


def test_a_lost_compare_and_set_in_the_database_is_seen_although_the_row_in_memory_is_old(chat: Chat) -> None:
    from config import clock
    from sessions_app.core import oplog

    flow = opened(chat, conversation_id=None)
    stale = GuidedFlow.objects.get(pk=flow.pk)
    moved(chat, flow, R)
    with pytest.raises(FlowMoved) as lost:
        oplog.move_flow(None, stale, FlowStatus.IGNORED, clock.now())
    assert lost.value.fields == {"version": 2, "status": "rerunning"}
    assert stale.version == 2  # no stale copy is left in the loser's hands


def test_the_blocked_text_is_stored_first_and_becomes_the_flows_answer(chat: Chat) -> None:
    chat.robot()
    flow = opened(chat)
    answer = chat.says("Large, please.")
    flow.refresh_from_db()
    assert (answer.controller, flow.status, flow.answer) == ("flow", R, "Large, please.")
    assert chat.event_types[-2:] == ["message.created", "flow.moved"]
    assert chat.says("And blue.").controller == "flow"  # a rerun is not disturbed, and nothing is lost
    flow.refresh_from_db()
    assert (flow.answer, chat.said) == ("Large, please.", ["Large, please.", "And blue."])


@pytest.mark.parametrize("empty", ["", "  \n"])
def test_empty_text_repeats_the_question(chat: Chat, empty: str) -> None:
    chat.robot()
    opened(chat)
    seq = chat.row.seq
    answer = chat.says(empty)
    assert answer.detail == {"question": "Which size?"}
    assert (chat.said, chat.row.seq, chat.controller) == ([], seq, "flow")


def test_a_flow_that_does_not_block_leaves_the_customer_to_the_bot(chat: Chat) -> None:
    chat.robot()
    flow = opened(chat)
    moved(chat, flow, R)
    moved(chat, flow, P)
    assert chat.says("Hm?").controller == "bot"
    flow.refresh_from_db()
    assert (flow.status, flow.answer) == (P, "")


def test_a_human_who_serves_goes_before_a_flow(chat: Chat) -> None:
    flow = opened(chat)
    chat.take()
    assert chat.says("Large.").controller == "human"
    flow.refresh_from_db()
    assert (flow.status, flow.answer) == (W, "")


def test_opening_and_ending_a_flow_moves_the_epoch(chat: Chat) -> None:
    chat.robot()
    epoch = chat.epoch
    flow = opened(chat)
    refused("stale_epoch", chat.speaks, chat.cast.bargain, epoch=epoch)
    assert chat.epoch == epoch + 1
    moved(chat, flow, FlowStatus.IGNORED)
    assert (chat.epoch, chat.controller) == (epoch + 2, "bot")


@pytest.mark.parametrize("is_bound", [True, False])
def test_a_retry_is_the_same_flow(chat: Chat, is_bound: bool) -> None:
    named = {"conversation_id": chat.id if is_bound else None}
    first = opened(chat, **named)
    seq = chat.row.seq
    again = opened(chat, question="Another question?", **named)
    assert (again.pk, again.pending_question, chat.row.seq) == (first.pk, "Which size?", seq)
    assert opened(chat, "t-2", **named).pk != first.pk


def test_the_same_trigger_in_another_tenant_is_another_flow(chat: Chat, others: Cast) -> None:
    assert opened(chat).pk != opened(others.chat()).pk


def test_a_flow_may_be_bound_later_and_blocks_from_then_on(chat: Chat) -> None:
    bot = chat.cast.bargain
    chat.robot()
    flow = opened(chat, conversation_id=None)
    assert chat.says("Hello").controller == "bot"
    flows.bind_flow(actor=bot, flow_id=flow.pk, conversation_id=chat.id)
    assert (chat.controller, chat.event_types[-1]) == ("flow", "flow.bound")
    seq = chat.row.seq
    flows.bind_flow(actor=bot, flow_id=flow.pk, conversation_id=chat.id)  # harmless
    assert chat.row.seq == seq
    other = chat.cast.chat()
    other.robot()
    refused("conflict", flows.bind_flow, actor=bot, flow_id=flow.pk, conversation_id=other.id)
    assert chat.says("Large").controller == "flow"


def test_a_flow_that_has_ended_may_be_bound_and_does_not_block(chat: Chat) -> None:
    flow = opened(chat, conversation_id=None)
    moved(chat, flow, FlowStatus.IGNORED)
    chat.robot()
    flows.bind_flow(actor=chat.cast.bargain, flow_id=flow.pk, conversation_id=chat.id)
    assert chat.controller == "bot"


def test_the_light_state_of_a_flow_is_kept(chat: Chat) -> None:
    flow = opened(chat, missing_info=["size"])
    moved(chat, flow, R, last_candidate="c-7", last_notification="n-1")
    moved(chat, flow, W, pending_question="Which colour?", missing_info=["colour"])
    moved(chat, flow, FlowStatus.FAILED, failed_reason="Out of stock.")
    flow.refresh_from_db()
    assert (flow.last_candidate, flow.last_notification, flow.pending_question) == ("c-7", "n-1", "Which colour?")
    assert (flow.missing_info, flow.failed_reason) == (["colour"], "Out of stock.")


@pytest.mark.parametrize(
    "wrong",
    [{"to": "dancing"}, {"to": R, "mood": "good"}, {"to": R, "status": "applied"}, {"to": R, "version_": 1}],
    ids=str,
)
def test_what_is_no_move_is_refused(chat: Chat, wrong: dict[str, Any]) -> None:
    flow = opened(chat)
    refused("malformed", flows.move_flow, actor=chat.cast.bargain, flow_id=flow.pk, version=1, **wrong)


@pytest.mark.parametrize(("trigger", "question"), [("", "Which?"), ("t" * 192, "Which?"), ("t", " ")])
def test_what_is_no_flow_is_refused(chat: Chat, trigger: str, question: str) -> None:
    refused("malformed", opened, chat, trigger, question=question, conversation_id=None)


def test_a_crash_of_the_rerun_frees_the_conversation_when_the_lease_runs_out(chat: Chat, later: Later) -> None:
    chat.robot()
    flow = opened(chat)
    chat.says("Large")
    later(121)
    answer = chat.says("Hello?")  # no sweeper is needed
    flow.refresh_from_db()
    assert (flow.status, flow.failed_reason) == (FlowStatus.FAILED, "the rerun's lease ran out")
    assert answer.controller == "bot"


def test_a_late_program_finds_its_flow_moved_on(chat: Chat, later: Later) -> None:
    flow = opened(chat)
    chat.says("Large")
    flow.refresh_from_db()
    later(121)
    with pytest.raises(FlowMoved) as late:
        flows.move_flow(actor=chat.cast.bargain, flow_id=flow.pk, to=P, version=flow.version)
    assert late.value.fields["status"] == "failed"


@pytest.mark.parametrize(("status", "seconds", "ends"), [(W, 86_401, "expired"), (R, 121, "failed")])
def test_an_unbound_flow_has_deadlines_too(
    chat: Chat, later: Later, status: FlowStatus, seconds: int, ends: str
) -> None:
    """The deadline is data: whoever touches the flow first after it applies it, and it stays applied."""
    flow = opened(chat, conversation_id=None)
    if status == R:
        moved(chat, flow, R)
    flow.refresh_from_db()
    later(seconds)
    with pytest.raises(FlowMoved):
        flows.move_flow(actor=chat.cast.bargain, flow_id=flow.pk, to=FlowStatus.IGNORED, version=flow.version)
    flow.refresh_from_db()
    assert flow.status == ends


def test_binding_an_overdue_flow_does_not_block_the_conversation(chat: Chat, later: Later) -> None:
    chat.robot()
    flow = opened(chat, conversation_id=None)
    later(86_401)
    chat.sweep()  # the robot session has ended meanwhile
    chat.robot()
    bound = flows.bind_flow(actor=chat.cast.bargain, flow_id=flow.pk, conversation_id=chat.id)
    assert (bound.status, chat.controller) == ("expired", "bot")
