"""What the operations say of sessions: opened, moved on, given to another owner."""

from __future__ import annotations

from datetime import datetime

from config import limits
from sessions_app.core.record.replay import clocks
from sessions_app.core.record.replay.conversation import ReplayedConversation
from sessions_app.core.record.replay.replayed import OperationLike, ReplayedSession
from sessions_app.states import TERMINAL, TRANSITIONS, Status


def open_session(replay: ReplayedConversation, operation: OperationLike) -> None:
    data, id = operation.data, operation.session_id
    assert id is not None
    if id in replay.sessions:
        replay.fault(6, f"session {id} opens twice")
    replay.sessions[id] = session = ReplayedSession(
        id=id,
        kind=data["kind"],
        status=data["status"],
        rank=data["rank"],
        owner=(data["owner_kind"], data["owner_id"]),
        opened_at=datetime.fromisoformat(data["opened_at"]),
        expires_at=None,
    )
    # No operation says when a grouped session began: messages that come later may still move it.
    facts = {"id": id, "opened_at": session.opened_at, "ended_at": None, "outcome": ""}
    replay.tell("session", facts, "opened_at", "ended_at", "outcome")
    clocks.give(replay, session, ("", None), operation.at)
    clocks.set_deadline(replay, session, operation.at)
    replay.count_load(operation, None, session.agent)


def move(replay: ReplayedConversation, operation: OperationLike) -> None:
    session, data, at = replay.session(operation), operation.data, operation.at
    before, after, agent = Status(session.status), Status(data["after"]), session.agent
    if before in TERMINAL:
        replay.fault(8, f"session {session.id} left {before} by operation {operation.seq}")
    elif data["before"] != before or after not in TRANSITIONS[before]:
        replay.fault(9, f"session {session.id} was {before} when operation {operation.seq} took it to {after}")
    if operation.type == "session.resumed" or (operation.type == "session.activated" and session.is_robot):
        _was_next(replay, operation, session)
    if after == Status.TIMEOUT:
        clocks.fired(replay, at, session.expires_at, f"session {session.id}")
    if after == Status.PAUSED:
        session.paused_from = before
        session.on_hold = session.on_hold or data["preempted"] is False
    elif operation.type == "session.resumed" and after != session.paused_from:
        replay.fault(9, f"session {session.id} was paused from {session.paused_from} and resumed to {after}")
    if after in TERMINAL:
        _tell_end(replay, session, operation)
    session.status, was = after, session.owner
    session.owner = (data["owner_kind"], data["owner_id"])
    clocks.give(replay, session, was, at)
    clocks.set_deadline(replay, session, at)
    if operation.type == "session.resumed" and was[0] == session.owner[0] == "":
        _waits_again(replay, session)
    replay.count_load(operation, agent, session.agent)


def _was_next(replay: ReplayedConversation, operation: OperationLike, session: ReplayedSession) -> None:
    """A fault where another session was before this one in the line for the turn."""
    if not session.is_robot and operation.data.get("rule") == "C1":
        return  # a human who asks for the turn comes back over any robot
    waiting = replay.waiting()
    if not waiting or waiting[0] is not session:
        first = waiting[0].id if waiting else None
        replay.fault(7, f"session {session.id} became live by {operation.seq}; {first} was before it")


def _tell_end(replay: ReplayedConversation, session: ReplayedSession, operation: OperationLike) -> None:
    facts = {"id": session.id, "outcome": operation.data.get("outcome", "")}
    if not session.is_found:  # a grouped session may still grow by later messages
        facts["ended_at"] = operation.at
    if reason := operation.data["reason"]:
        facts["reason"] = reason[: limits.MAX_REASON]
    replay.tell("session", facts, *(facts.keys() - {"id"}))


def _waits_again(replay: ReplayedConversation, session: ReplayedSession) -> None:
    """A session asked for again after a pause keeps its waiting clock; one that was served waits from now on."""
    transfers = [t for t in replay.transfers.values() if t.session_id == session.id]
    if transfers and (last := max(transfers, key=lambda t: t.id)).status != "ACCEPTED":
        replay.waiting_since = last.waiting_since


def change_owner(replay: ReplayedConversation, operation: OperationLike) -> None:
    session, data = replay.session(operation), operation.data
    was, agent = session.owner, session.agent
    if was != (data["was_kind"], data["was_id"]):
        replay.fault(9, f"session {session.id} had the owner {was} before operation {operation.seq}")
    session.owner = (data["owner_kind"], data["owner_id"])
    clocks.give(replay, session, was, operation.at)
    if was[0] == session.owner[0] == "agent":
        clocks.set_warning(replay, session)
    else:
        clocks.set_deadline(replay, session, operation.at)
    replay.count_load(operation, agent, session.agent)
