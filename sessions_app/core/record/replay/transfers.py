"""What the operations say of transfers: asked for, asked again, ended."""

from __future__ import annotations

from datetime import datetime

from config import limits
from sessions_app.core.record.replay import clocks
from sessions_app.core.record.replay.conversation import ReplayedConversation
from sessions_app.core.record.replay.replayed import OperationLike, ReplayedSession, ReplayedTransfer


def ask(replay: ReplayedConversation, operation: OperationLike) -> None:
    data, id = operation.data, operation.data["transfer_id"]
    assert operation.session_id is not None
    if replay.pending(operation.session_id):
        replay.fault(5, f"session {operation.session_id} has two unanswered transfers at operation {operation.seq}")
    opens_at = datetime.fromisoformat(data["opens_at"]) if data.get("opens_at") else None
    session = replay.sessions[operation.session_id]
    session.is_found = False
    _tell_request(replay, session, operation)
    _waits_for_the_opening(replay, session, operation.at, opens_at)
    deadline = operation.at + replay.span("TRANSFER_TIMEOUT")
    if opens_at:  # it depends on the place in the queue, which no single conversation knows
        deadline = _deadline_after(replay, opens_at, operation)
    since = replay.waiting_since or operation.at
    replay.transfers[id] = ReplayedTransfer(
        id, operation.session_id, data["kind"], "PENDING", deadline=deadline, waiting_since=since, opens_at=opens_at
    )


def _tell_request(replay: ReplayedConversation, session: ReplayedSession, operation: OperationLike) -> None:
    """The sender is the session's owner; where it has none, the actor."""
    kind, id = session.owner
    reason = operation.data["reason"][: limits.MAX_REASON]
    facts = {"id": operation.data["transfer_id"], "reason": reason, "from_kind": kind or operation.actor_kind}
    replay.tell("transfer", facts | {"from_id": id}, "reason", "from_kind", "from_id")


def ask_again(replay: ReplayedConversation, operation: OperationLike) -> None:
    data, at, transfer = operation.data, operation.at, replay.transfers[operation.data["transfer_id"]]
    if transfer.status != "PENDING":
        replay.fault(5, f"transfer {transfer.id} had ended, and was asked again by {operation.seq}")
    if data["declined_by"] is None:
        clocks.fired(replay, at, transfer.deadline, f"transfer {transfer.id}")
    transfer.asked_again += 1
    if data["times"] != transfer.asked_again:
        replay.fault(9, f"transfer {transfer.id} was asked again {transfer.asked_again} times, not {data['times']}")
    if data["waiting_since"] != (transfer.waiting_since or at).isoformat():
        replay.fault(9, f"transfer {transfer.id} waits since {transfer.waiting_since}, not {data['waiting_since']}")
    opens_at = datetime.fromisoformat(data["opens_at"]) if data["opens_at"] else None
    if opens_at != transfer.opens_at:
        _waits_for_the_opening(replay, replay.session(operation), at, opens_at)
    transfer.opens_at = opens_at
    patience = replay.span("TRANSFER_TIMEOUT")
    pause = max(patience, min(patience * 2 ** (transfer.asked_again - 1), limits.LONGEST_PAUSE))
    transfer.deadline = _deadline_after(replay, opens_at, operation) if opens_at and opens_at > at else at + pause


def _waits_for_the_opening(
    replay: ReplayedConversation, session: ReplayedSession, at: datetime, opens_at: datetime | None
) -> None:
    """The time of a waiting session does not run outside service hours."""
    if opens_at and session.expires_at and session.expires_at > at and session.owner[0] == "":
        session.expires_at = opens_at + min(session.expires_at - at, replay.span("WAITING_SESSION_TIMEOUT"))


def _deadline_after(replay: ReplayedConversation, opens_at: datetime, operation: OperationLike) -> datetime:
    """The recorded deadline; a fault where it is less than one time-out after the opening."""
    deadline = datetime.fromisoformat(operation.data["deadline"])
    if deadline < opens_at + replay.span("TRANSFER_TIMEOUT"):
        replay.fault(11, f"operation {operation.seq} leaves no time after the opening")
    return deadline


def end(replay: ReplayedConversation, operation: OperationLike, status: str) -> None:
    data, id = operation.data, operation.data["transfer_id"]
    assert operation.session_id is not None
    facts = {"id": id, "end_reason": ""}
    if id not in replay.transfers:
        replay.sessions[operation.session_id].is_found = False
        _tell_request(replay, replay.sessions[operation.session_id], operation)
    else:
        facts["end_reason"] = data["reason"][: limits.MAX_REASON]
    if "override" in data:
        facts["is_override"] = data["override"]
    replay.tell("transfer", facts, *(facts.keys() - {"id"}))
    moved_at_once = ReplayedTransfer(id, operation.session_id, data["kind"], "PENDING")
    moved_at_once.waiting_since = replay.waiting_since or operation.at
    transfer = replay.transfers.setdefault(id, moved_at_once)
    replay.ends[id] = replay.ends.get(id, 0) + 1
    if transfer.status != "PENDING":
        replay.fault(5, f"transfer {id} ended as {transfer.status} and again as {status} by {operation.seq}")
    if status == "TIMED_OUT":
        clocks.fired(replay, operation.at, transfer.deadline, f"transfer {id}")
    transfer.status, transfer.agent_id = status, data["agent_id"]
