"""T5: what is sent again is done once, and what it says anew is not lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from agents_app.models import IdempotencyRecord
from config import buckets
from config.wire_format import encode
from sessions_app.actions import conversations, lifecycle, participants, transfers
from sessions_app.events.catalogue import schema_of
from sessions_app.models import ChatSession, Participant, Transfer
from sessions_app.states import Kind, Priority, Status, TransferStatus
from tests.api.world import agent, program
from tests.cases.test_t03_free_json import FITS
from tests.cast import Cast, Chat, refused


@pytest.fixture(autouse=True)
def _nobody_has_called_yet() -> Iterator[None]:
    buckets.forget()
    yield
    buckets.forget()


def recorded(chat: Chat, type: str) -> list[dict[str, Any]]:
    return [operation.data for operation in chat.operations if operation.type == type]


# --- T5.3: ending again ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", ["success", "failed"])
@pytest.mark.parametrize("again", ["success", "failed", "needs_human"])
def test_t5_3_only_the_same_outcome_is_a_repeat(chat: Chat, outcome: str, again: str) -> None:
    session = chat.robot().session_id
    bot = program(chat.cast, "bargain")
    assert bot.post(f"sessions/{session}/complete", {"outcome": outcome}).json()["is_repeat"] is False
    answer = bot.post(f"sessions/{session}/complete", {"outcome": again})
    if again == outcome:
        assert (answer.status_code, answer.json()["is_repeat"]) == (200, True)
    else:
        assert (answer.status_code, answer.json()["code"]) == (409, "illegal_transition")
        assert (answer.json()["session_status"], answer.json()["outcome"]) == ("COMPLETED", outcome)
    assert chat.session(type("O", (), {"session_id": session})()).outcome == outcome
    assert not chat.has_pending


def test_t5_3_a_wish_for_a_human_is_never_dropped_in_silence(chat: Chat) -> None:
    session = chat.robot().session_id
    assert session is not None
    ends = {"actor": chat.cast.bargain, "session_id": session, "outcome": "needs_human"}
    first = lifecycle.complete_session(**ends, reason="asks for a refund")
    assert (first.is_repeat, first.transfer_id) == (False, chat.pending.pk)
    again = lifecycle.complete_session(**ends, reason="asks for a refund")
    assert (again.is_repeat, again.transfer_id) == (True, first.transfer_id)
    more = lifecycle.complete_session(**ends, reason="is angry now")
    assert (more.is_repeat, more.transfer_id) == (False, first.transfer_id)
    assert [one["reason"] for one in chat.pending.context["reasons"]] == ["is angry now"]
    chat.accept()
    channel = {"actor": chat.cast.channel, "session_id": session, "outcome": "needs_human"}
    assert "human serves" in str(refused("illegal_transition", lifecycle.complete_session, **channel))


def test_t5_4_what_was_asked_for_in_all_has_the_bounds_of_what_is_asked_for_at_once(chat: Chat) -> None:
    chat.robot()
    bot = program(chat.cast, "bargain")
    asks = f"conversations/{chat.id}/escalate"
    for number in range(3):
        told = bot.post(asks, {"context": {"promises": [f"{number}" + "x" * 20_000]}})
        assert told.status_code in (200, 201), told.content
    kept = chat.pending.context
    answer = bot.post(asks, {"context": {"promises": ["y" * 20_000]}})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["context"])
    assert chat.pending.context == kept
    assert bot.post(asks, {"needs": {f"skill {n}": 1 for n in range(100)}}).status_code == 200
    assert bot.post(asks, {"needs": {"one more": 1}}).status_code == 400
    assert len(chat.pending.needs) == 100


@pytest.mark.parametrize("asks", ["customer", "bot"])
@pytest.mark.parametrize("waits", ["in the queue", "paused from there"])
def test_t5_3_a_bot_does_not_end_what_waits_for_a_human(chat: Chat, asks: str, waits: str) -> None:
    """Whoever asked: its success, failure or cancellation would end the wish with the session."""
    session = chat.robot().session_id
    bot = program(chat.cast, "bargain")
    if asks == "customer":
        chat.escalate(chat.customer)
    else:
        bot.post(f"sessions/{session}/complete", {"outcome": "needs_human"})
    if waits == "paused from there":
        lifecycle.open_session(actor=chat.cast.ann, conversation_id=chat.id, robot=False, urgent=True)
    for way, body in (("complete", {"outcome": "success"}), ("complete", {"outcome": "failed"}), ("cancel", {})):
        answer = bot.post(f"sessions/{session}/{way}", body)
        assert (answer.status_code, answer.json()["code"]) == (409, "illegal_transition"), (way, body)
        assert "human was asked for" in answer.json()["detail"]
    assert chat.session(type("O", (), {"session_id": session})()).status in ("TRANSFERRED", "PAUSED")


def test_t5_3_what_came_back_to_the_bot_is_its_own_to_end(chat: Chat) -> None:
    session = chat.robot().session_id
    chat.escalate(chat.cast.bargain, to_agent_id=chat.cast.ann.id)
    transfers.decline_transfer(actor=chat.cast.ann, transfer_id=chat.pending.pk, reason="the bot knows better")
    assert program(chat.cast, "bargain").post(f"sessions/{session}/complete").status_code == 200


def test_t5_3_the_channel_ends_what_waits_and_the_record_says_so(chat: Chat) -> None:
    """The customer has hung up: the channel knows, the bot does not."""
    session = chat.robot().session_id
    chat.escalate(chat.customer)
    asked = chat.pending
    assert program(chat.cast, "channel").post(f"sessions/{session}/cancel").status_code == 200
    assert [one["transfer_id"] for one in recorded(chat, "transfer.withdrawn")] == [asked.pk]


@pytest.mark.parametrize("end", ["cancel", "timeout"])
def test_t5_3_a_session_that_ended_otherwise_is_not_completed(chat: Chat, later: Any, end: str) -> None:
    session = chat.robot().session_id
    if end == "cancel":
        lifecycle.cancel_session(actor=chat.cast.bargain, session_id=session or 0)
    else:
        later(1801)
        chat.sweep()
    refused(
        "illegal_transition", lifecycle.complete_session, actor=chat.cast.bargain, session_id=session, outcome="success"
    )


# --- T5.4: asking again ------------------------------------------------------------------------------------------


def test_t5_4_asking_again_adds_what_is_new_and_says_so(chat: Chat) -> None:
    team = chat.cast.team("Refunds", "ann")
    chat.robot()
    bot = program(chat.cast, "bargain")
    path = f"conversations/{chat.id}/escalate"
    body = {
        "reason": "a refund",
        "needs": {"zh": 2, "returns": 3},
        "context": {"promises": ["an answer"], "urgency": 3},
    }
    first = bot.post(path, body).json()
    waits = chat.row.waiting_since
    assert first["is_repeat"] is False
    assert bot.post(path, body).json()["is_repeat"] is True

    more = {
        "reason": "waits for a month",
        "urgent": True,
        "needs": {"zh": 4, "returns": 1, "vip": 1},
        "to_team_id": str(team.pk),
        "context": {"promises": ["an answer", "tea"], "urgency": 1, "suggestion": "Pay.", "task_state": {"order": 7}},
    }
    again = bot.post(path, more).json()
    assert (again["is_repeat"], again["transfer_id"]) == (False, first["transfer_id"])
    transfer, session = chat.pending, chat.sessions[0]
    assert transfer.needs == {"zh": 4, "returns": 3, "vip": 1}
    assert transfer.to_team == team
    assert session.priority == Priority.EMERGENCY
    package = transfer.context
    FITS.validate(package)
    assert (package["reason"], [(r["by"], r["reason"]) for r in package["reasons"]]) == (
        "a refund",
        [("bot", "waits for a month")],
    )
    assert (package["promises"], package["urgency"]) == (["an answer", "tea"], 1)
    assert (package["suggestion"], package["task_state"]) == ("Pay.", {"order": 7})
    assert chat.row.waiting_since == waits
    assert len(recorded(chat, "transfer.requested")) == 1
    changed = recorded(chat, "transfer.changed")
    assert len(changed) == 1
    assert (changed[0]["reason"], changed[0]["needs"]["zh"]) == ("waits for a month", 4)
    assert bot.post(path, more).json()["is_repeat"] is True


def test_t5_4_urgency_is_never_lowered_and_an_addressee_stays(chat: Chat) -> None:
    ann, ben = chat.cast.agent("ann"), chat.cast.agent("ben")
    chat.robot()
    chat.escalate(urgent=True, context={"urgency": 1}, to_agent_id=ann.pk)
    again = chat.escalate(context={"urgency": 4}, to_agent_id=ben.pk)
    assert again.is_repeat
    assert (chat.pending.to_agent, chat.pending.context["urgency"]) == (ann, 1)
    assert chat.sessions[0].priority == Priority.EMERGENCY


def test_t5_4_whom_it_does_not_fit_any_more_loses_the_offer(cast: Cast) -> None:
    cast.policy(assignment="push")
    chat = cast.chat()
    chat.robot()
    chat.escalate()
    offered = chat.pending.offered_to
    assert offered is not None
    chat.escalate(needs={"zh": 3})
    assert recorded(chat, "transfer.offer_withdrawn")[0]["agent_id"] == offered.pk
    assert chat.pending.offered_to is None, "nobody speaks it"


def test_t5_4_the_desk_shows_what_was_said_later(chat: Chat) -> None:
    chat.robot()
    chat.escalate(reason="a refund")
    chat.escalate(reason="is angry now")
    page = agent(chat.cast, "ann").client.get(f"/desk/c/{chat.id}/").content.decode()
    assert page.count("is angry now") >= 2, "in the package and in the thread"
    jsonschema.validate(
        {"type": "transfer.changed", "data": encode(recorded(chat, "transfer.changed")[0])},
        schema_of("transfer.changed"),
    )


def test_t5_4_a_waiting_manual_session_is_added_to_as_well(chat: Chat) -> None:
    first = chat.escalate(chat.cast.channel, reason="by phone")
    again = chat.escalate(chat.cast.channel, reason="by mail", urgent=True)
    assert (again.is_repeat, again.session_id) == (False, first.session_id)
    assert chat.sessions[0].priority == Priority.EMERGENCY


# --- T5.5: opening again -----------------------------------------------------------------------------------------


def test_t5_5_a_bot_that_opens_again_gets_its_own_session(chat: Chat) -> None:
    bot = program(chat.cast, "bargain")
    body = {"conversation_id": str(chat.id), "kind": "AUTO_BARGAIN"}
    answers = [bot.post("sessions", body) for _ in range(10)]
    assert {answer.json()["session_id"] for answer in answers} == {str(chat.sessions[0].pk)}
    assert [answer.json()["is_repeat"] for answer in answers] == [False] + [True] * 9
    assert [answer.status_code for answer in answers] == [201] + [200] * 9
    assert ChatSession.objects.filter(conversation_id=chat.id).count() == 1
    other = bot.post("sessions", body | {"kind": "AUTO_FOLLOW_UP"})
    assert (other.status_code, other.json()["is_repeat"]) == (201, False)


@pytest.mark.parametrize("state", ["paused", "queued", "served", "pending"])
def test_t5_5_also_while_it_waits_or_a_human_has_it(chat: Chat, state: str) -> None:
    if state == "pending":
        chat.robot(chat.cast.faq)
    first = chat.robot(kind=Kind.AUTO_FOLLOW_UP)
    if state == "paused":
        lifecycle.pause_session(actor=chat.cast.bargain, session_id=first.session_id or 0)
    if state in ("queued", "served"):
        chat.escalate()
    if state == "served":
        chat.accept()
    seq = chat.row.seq
    again = chat.robot(kind=Kind.AUTO_FOLLOW_UP)
    assert (again.session_id, again.is_repeat, chat.row.seq) == (first.session_id, True, seq)


def test_t5_5_another_bot_or_an_ended_session_is_not_it(chat: Chat) -> None:
    first = chat.robot()
    other = chat.robot(chat.cast.faq)
    assert other.session_id != first.session_id
    lifecycle.complete_session(actor=chat.cast.bargain, session_id=first.session_id or 0)
    assert chat.robot().session_id != first.session_id


def test_t5_5_who_does_not_want_to_wait_is_not_answered_with_what_waits(chat: Chat) -> None:
    chat.robot(chat.cast.faq)
    assert chat.robot(kind=Kind.AUTO_FOLLOW_UP).status == Status.PENDING
    refused("live_session_exists", chat.robot, kind=Kind.AUTO_FOLLOW_UP, on_conflict="fail")


# --- T5.6: the key ------------------------------------------------------------------------------------------------


def test_t5_6_a_key_belongs_to_its_route(chat: Chat) -> None:
    """The same key with the same body at another address is another request: 422, and nothing is done."""
    session = chat.robot().session_id
    bot = program(chat.cast, "bargain")
    paused = bot.post(f"sessions/{session}/pause", {}, key="k1")
    assert (paused.status_code, paused.json()["status"]) == (200, "PAUSED")
    seq = chat.row.seq
    for path in (f"sessions/{session}/resume", f"sessions/{session}/cancel", f"conversations/{chat.id}/escalate"):
        other = bot.post(path, {}, key="k1")
        assert (other.status_code, other.json()["code"]) == (422, "unprocessable"), path
    assert chat.row.seq == seq
    again = bot.post(f"sessions/{session}/pause", {}, key="k1")
    assert (again.status_code, again.headers["Idempotent-Replayed"], again.json()) == (200, "true", paused.json())
    assert IdempotencyRecord.objects.get(key="k1").route == f"POST /api/v1/sessions/{session}/pause"


# --- Every other verb ---------------------------------------------------------------------------------------------


def test_t5_verbs_sent_again_change_nothing_and_say_so(chat: Chat) -> None:
    """Whatever was done once and is asked for again in the same state."""
    cast = chat.cast
    session = chat.robot().session_id or 0
    for verb in (
        lambda: lifecycle.activate_session(actor=cast.bargain, session_id=session),
        lambda: lifecycle.resume_session(actor=cast.bargain, session_id=session),
        lambda: lifecycle.set_priority(actor=cast.bargain, session_id=session, priority=3),
    ):
        assert_is_repeat(chat, verb)
    for mark in (
        conversations.pin,
        conversations.unpin,
        conversations.todo,
        conversations.untodo,
        conversations.mark_urgent,
        conversations.unmark_urgent,
    ):
        mark(actor=cast.ann, conversation_id=chat.id)
        assert_is_repeat(chat, lambda mark=mark: mark(actor=cast.ann, conversation_id=chat.id))
    conversations.raise_flag(actor=cast.ann, conversation_id=chat.id, reason="look")
    assert_is_repeat(chat, lambda: conversations.raise_flag(actor=cast.ann, conversation_id=chat.id, reason="look"))
    conversations.acknowledge(actor=cast.ann, conversation_id=chat.id)
    assert_is_repeat(chat, lambda: conversations.acknowledge(actor=cast.ann, conversation_id=chat.id))
    for _ in range(2):
        paused = lifecycle.pause_session(actor=cast.bargain, session_id=session)
    assert paused.is_repeat
    lifecycle.cancel_session(actor=cast.bargain, session_id=session)
    assert_is_repeat(chat, lambda: lifecycle.cancel_session(actor=cast.bargain, session_id=session))


def test_t5_moves_sent_again_change_nothing_and_say_so(chat: Chat) -> None:
    cast = chat.cast
    chat.robot()
    asked = chat.escalate().transfer_id or 0
    chat.withdraw(cast.bargain)
    assert_is_repeat(chat, lambda: transfers.withdraw_transfer(actor=cast.bargain, transfer_id=asked))
    asked = chat.escalate(to_agent_id=cast.agent("ben").pk).transfer_id or 0
    chat.decline(cast.ben)
    assert_is_repeat(chat, lambda: transfers.decline_transfer(actor=cast.ben, transfer_id=asked))
    assert Transfer.objects.get(pk=asked).status == TransferStatus.DECLINED
    chat.take()
    assert_is_repeat(chat, chat.take)
    chat.hand_over(to_agent_id=cast.agent("ben").pk)
    assert_is_repeat(chat, lambda: chat.hand_over(to_agent_id=cast.agent("ben").pk))
    refused("conflict", chat.hand_over, to_agent_id=cast.agent("cat").pk)
    chat.reassign()
    assert_is_repeat(chat, chat.reassign)
    chat.accept(cast.ann)
    chat.release()
    assert_is_repeat(chat, chat.release)
    chat.take(cast.ben)
    refused("forbidden", chat.release, cast.ann)
    chat.resolve(cast.ben)
    assert_is_repeat(chat, lambda: chat.resolve(cast.ben))


def test_t5_resolving_again_is_a_repeat_when_the_bot_has_the_turn_again(chat: Chat) -> None:
    chat.robot()
    chat.human(chat.cast.ann)
    chat.resolve()
    assert chat.sessions[0].status == Status.ACTIVE
    assert_is_repeat(chat, chat.resolve)
    refused("not_serving", chat.resolve, chat.cast.ben)


def test_t5_people_who_left_or_were_removed_are_gone_once(chat: Chat) -> None:
    cast = chat.cast
    chat.serve()
    participants.invite_colleague(actor=cast.ann, conversation_id=chat.id, agent_id=cast.agent("ben").pk)
    participants.leave(actor=cast.ben, conversation_id=chat.id)
    assert_is_repeat(chat, lambda: participants.leave(actor=cast.ben, conversation_id=chat.id))
    refused("not_found", participants.leave, actor=cast.cat, conversation_id=chat.id)
    guest = chat.guest()
    out = {"actor": cast.ann, "conversation_id": chat.id, "participant_id": guest.pk}
    participants.remove_participant(**out)
    assert_is_repeat(chat, lambda: participants.remove_participant(**out))
    assert Participant.objects.get(pk=guest.pk).status == "removed"


def assert_is_repeat(chat: Chat, verb: Any) -> None:
    seq = chat.row.seq
    assert verb().is_repeat
    assert chat.row.seq == seq
