"""Applies the operations of a conversation to its replayed state, one verb after the other. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from sessions_app.core.record.replay import clocks, flows, messages, sessions, transfers, turn
from sessions_app.core.record.replay.conversation import ReplayedConversation
from sessions_app.core.record.replay.replayed import OperationLike

_MARKS = {
    "conversation.pinned": ("pinned", True),
    "conversation.unpinned": ("pinned", False),
    "conversation.todo_set": ("todo", True),
    "conversation.todo_cleared": ("todo", False),
    "conversation.urgent_set": ("urgent", True),
    "conversation.urgent_cleared": ("urgent", False),
    "attention.raised": ("needs_human", True),
    "attention.cleared": ("needs_human", False),
}
_STATUS = {
    "session.activated",
    "session.returned",
    "session.resumed",
    "session.paused",
    "session.transferred",
    "session.completed",
    "session.cancelled",
    "session.timed_out",
}
_TRANSFER_ENDS = {
    "transfer.accepted": "ACCEPTED",
    "transfer.declined": "DECLINED",
    "transfer.withdrawn": "WITHDRAWN",
    "transfer.timed_out": "TIMED_OUT",
}


@dataclass(slots=True)
class Replay(ReplayedConversation):
    """A conversation rebuilt from its operations, with what could not have happened so (`faults`)."""

    def apply(self, operations: Iterable[OperationLike]) -> None:
        """Go on from the present state. `operations` follow it without a gap, in the order of `seq`."""
        for at, group in groupby(operations, key=lambda operation: operation.at):
            self._verb(at, list(group))

    def _verb(self, at: datetime, operations: list[OperationLike]) -> None:
        if self.at and at < self.at:
            self.fault(11, f"operation {operations[0].seq} is older than the one before it")
        self.at = at
        due = list(clocks.due(self, at)) if self.keeps_time else []
        self.is_override = any(operation.data.get("override") for operation in operations)
        for operation in operations:
            if operation.seq != self.seq + 1:
                self.fault(6, f"operation {operation.seq} follows {self.seq}")
            self.seq = operation.seq
            _apply_one(self, operation)
            if not self.keeps_time:
                turn.count_turns(self)
        for name, is_done in due:
            if not is_done():
                self.fault(11, f"{name} was due when operation {operations[0].seq} was made, and not applied")
        turn.settle(self, at)


def _apply_one(replay: ReplayedConversation, operation: OperationLike) -> None:  # noqa: C901 – one line for each type
    kind, data = operation.type, operation.data
    if kind == "session.opened":
        sessions.open_session(replay, operation)
    elif kind in _STATUS:
        sessions.move(replay, operation)
    elif kind in ("session.held", "session.hold_ended"):
        replay.session(operation).on_hold = kind == "session.held"
    elif kind == "session.priority_set":
        replay.session(operation).rank = data["rank"]
    elif kind == "ownership.changed":
        sessions.change_owner(replay, operation)
    elif kind == "transfer.requested":
        transfers.ask(replay, operation)
    elif kind == "transfer.asked_again":
        transfers.ask_again(replay, operation)
    elif kind in _TRANSFER_ENDS:
        transfers.end(replay, operation, _TRANSFER_ENDS[kind])
    elif kind == "transfer.offered":
        transfer = replay.transfers[data["transfer_id"]]
        transfer.offered_to = data["agent_id"]
        transfer.offer_expires_at = datetime.fromisoformat(data["expires_at"])
    elif kind == "transfer.offer_refused":
        transfer = replay.transfers[data["transfer_id"]]
        if data["reason"] == "not answered in time":
            clocks.fired(replay, operation.at, transfer.offer_expires_at, f"the offer of transfer {transfer.id}")
        transfer.offered_to = transfer.offer_expires_at = None
    elif kind == "transfer.offer_withdrawn":
        transfer = replay.transfers[data["transfer_id"]]
        transfer.offered_to = transfer.offer_expires_at = None
    elif kind.startswith(("collaborator.", "participant.")):
        replay.participants[data["participant_id"]] = (data["status"], data["notice"], data["role"])
    elif kind in ("flow.opened", "flow.bound", "flow.moved"):
        flows.move(replay, operation)
    elif kind == "flow.renewed":
        replay.flows[data["flow_id"]].lease_until = datetime.fromisoformat(data["lease_until"])
    elif kind in _MARKS:
        name, value = _MARKS[kind]
        replay.marks[name] = value
        if name == "needs_human":
            turn.flag(replay, operation)
    elif kind == "message.created":
        messages.say(replay, operation)
    elif kind == "messages.grouped":
        messages.group(replay, operation)
    elif kind == "session.ending_soon":
        session = replay.session(operation)
        clocks.fired(replay, operation.at, session.warns_at, f"the warning of session {session.id}")
        session.warns_at = None
    elif kind == "transfer.changed":
        if replay.transfers[data["transfer_id"]].status != "PENDING":
            replay.fault(5, f"transfer {data['transfer_id']} had ended, and was added to by {operation.seq}")
    elif kind == "transfer.offers_renewed":
        if replay.transfers[data["transfer_id"]].status != "PENDING":
            replay.fault(5, f"transfer {data['transfer_id']} had ended, and was offered anew by {operation.seq}")
    elif kind == "transfer.readdressed":
        replay.transfers[data["transfer_id"]].deadline = datetime.fromisoformat(data["deadline"])
    elif kind.startswith(("mail.", "sla.")):
        pass  # they do not change the turn; tests/actions covers them
    else:
        replay.fault(9, f"operation {operation.seq} is of a type that nobody can replay: {kind}")
    if data.get("set_aside") or kind == "mail.queued":  # decided by an agent, or passed on by e-mail
        messages.awaits_answer(replay, operation, awaits=False)
    if sum(session.is_live for session in replay.sessions.values()) > 1:
        replay.fault(1, f"two sessions are live after operation {operation.seq}")
