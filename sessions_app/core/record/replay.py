"""What a conversation's operations say happened, without a look at the rows they are meant to describe.

Pure. `Thread.apply` takes the operations by `seq` and finds fault with each that could not have happened where it stands;
`Thread.of_rows` makes the same thing from rows. The two must agree (invariants 9 and 10).

Operations of one transaction carry the same time, so neighbours with the same time are one verb. The turn is derived at
the end of each, as `settle` does it, from the words of the domain and not from its code.

The tests of races ask for everything, clocks included. `check` asks for what does not depend on settings of then: it takes
`keeps_time=False`, and leaves out what a type that it does not know may have done.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby
from typing import Any, Protocol

from config import limits
from sessions_app.states import FLOW_BLOCKING, FLOW_OPEN, LIVE, PRIORITY, TERMINAL, TRANSITIONS, Kind, Status, rank


class OperationLike(Protocol):
    seq: int
    pos: int | None
    type: str
    session_id: int | None
    actor_kind: str
    data: dict[str, Any]
    at: datetime


@dataclass(frozen=True, slots=True)
class Fault:
    """`invariant` is its number in docs/rules.md, Invariants."""

    invariant: int
    text: str

    def __str__(self) -> str:
        return f"invariant {self.invariant}: {self.text}"


@dataclass(slots=True)
class ReplayedSession:
    id: int
    kind: str
    status: str
    rank: int
    owner: tuple[str, int | None]
    opened_at: datetime
    expires_at: datetime | None
    on_hold: bool = False
    paused_from: str = ""
    is_found: bool = False  # in messages, and nobody has moved it yet
    human_until: datetime | None = None
    warns_at: datetime | None = None

    @property
    def is_robot(self) -> bool:
        return Kind(self.kind).is_robot

    @property
    def is_live(self) -> bool:
        return self.status in LIVE

    @property
    def is_unclaimed(self) -> bool:
        return self.is_found and self.owner[0] == ""

    @property
    def agent(self) -> int | None:
        """The agent whose load it counts for."""
        return self.owner[1] if self.is_live and self.owner[0] == "agent" else None


@dataclass(slots=True)
class ReplayedTransfer:
    id: int
    session_id: int
    kind: str
    status: str
    agent_id: int | None = None
    deadline: datetime | None = None
    offered_to: int | None = None
    offer_expires_at: datetime | None = None
    waiting_since: datetime | None = None
    opens_at: datetime | None = None
    asked_again: int = 0


@dataclass(slots=True)
class ReplayedFlow:
    id: int
    status: str
    expires_at: datetime
    lease_until: datetime | None = None

    @property
    def blocks(self) -> bool:
        return self.status in FLOW_BLOCKING

    @property
    def is_open(self) -> bool:
        return self.status in FLOW_OPEN


@dataclass(frozen=True, slots=True)
class LoadChange:
    """At `pos` of the tenant's stream an agent won or lost a live session."""

    pos: int
    agent_id: int
    change: int
    is_override: bool
    seq: int


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
class Replay:
    clocks: Mapping[str, int]
    id: int = 0
    seq: int = 0
    at: datetime | None = None
    sessions: dict[int, ReplayedSession] = field(default_factory=dict)
    transfers: dict[int, ReplayedTransfer] = field(default_factory=dict)
    flows: dict[int, ReplayedFlow] = field(default_factory=dict)
    participants: dict[int, tuple[str, str, str]] = field(default_factory=dict)  # status, how far the notice is, role
    details: dict[str, Any] = field(default_factory=dict)  # by name, of what is recorded word for word
    messages: dict[str, tuple[int, int | None]] = field(default_factory=dict)
    marks: dict[str, bool] = field(
        default_factory=lambda: {"pinned": False, "todo": False, "urgent": False, "needs_human": False}
    )
    waiting_since: datetime | None = None
    unanswered_since: datetime | None = None
    need: str = ""  # the kind of what the conversation is flagged for
    controller: str = "none"
    holder: str = ""
    epoch: int = 0
    epoch_most: int = 0  # if each operation had been a verb of its own
    keeps_time: bool = True
    faults: list[Fault] = field(default_factory=list)
    loads: list[LoadChange] = field(default_factory=list)
    awaits_by: int = 0  # seq of the operation that said last whether the customer awaits an answer
    awaits_from: int = 0  # and of the one since which they do
    epoch_at: dict[int, int] = field(default_factory=dict)  # seq of a message → the epoch it was said in
    ends: dict[int, int] = field(default_factory=dict)  # transfer → how often it ended
    lateness: timedelta = timedelta(0)
    is_override: bool = False
    _turn: tuple[str, str] = ("none", "")

    # --- From rows ---

    @classmethod
    def of_rows(cls, rows: Mapping[str, Any], clocks: Mapping[str, int]) -> Replay:
        """A thread as a snapshot of the rows shows it: see `invariants.snapshot`."""
        conversation = rows["conversation"]
        thread = cls(
            clocks,
            id=conversation["id"],
            seq=conversation["seq"],
            waiting_since=conversation["waiting_since"],
            unanswered_since=conversation["unanswered_since"],
            need=conversation["need"].get("kind", ""),
            controller=conversation["controller"],
            holder=conversation["holder"],
            epoch=conversation["epoch"],
        )
        thread.marks = {
            "pinned": conversation["pinned_at"] is not None,
            "todo": conversation["todo_at"] is not None,
            "urgent": conversation["is_urgent"],
            "needs_human": conversation["needs_human"],
        }
        for row in rows["sessions"]:
            owner_id = {"agent": row["agent_id"], "bot": row["bot_id"]}.get(row["owner_kind"])
            thread.sessions[row["id"]] = ReplayedSession(
                id=row["id"],
                kind=row["kind"],
                status=row["status"],
                rank=row["rank"],
                owner=(row["owner_kind"], owner_id),
                opened_at=row["opened_at"],
                expires_at=row["expires_at"],
                on_hold=row["on_hold"],
                paused_from=row["paused_from"],
                is_found=row["origin"] == "grouped",
                human_until=row["human_until"],
                warns_at=row["warns_at"],
            )
            thread._tell("session", row, "opened_at", "ended_at", "outcome", "reason")
        for row in rows["transfers"]:
            thread.transfers[row["id"]] = ReplayedTransfer(
                id=row["id"],
                session_id=row["session_id"],
                kind=row["kind"],
                status=row["status"],
                agent_id=row["accepted_by_id"],
                deadline=row["deadline"],
                offered_to=row["offered_to_id"],
                offer_expires_at=row["offer_expires_at"],
                waiting_since=row["waiting_since"],
                opens_at=row["opens_at"],
                asked_again=row["asked_again"],
            )
            thread._tell("transfer", row, "reason", "end_reason", "is_override", "from_kind", "from_id")
        for row in rows["flows"]:
            thread.flows[row["id"]] = ReplayedFlow(row["id"], row["status"], row["expires_at"], row["lease_until"])
        thread.participants = {
            row["id"]: (row["status"], row["notice_status"], row["role"]) for row in rows["participants"]
        }
        thread.messages = {row["message_id"]: (row["seq"], row["session_id"]) for row in rows["messages"]}
        return thread

    def _tell(self, what: str, row: Mapping[str, Any], *names: str) -> None:
        self.details |= {f"{what} {row['id']}, {name}": row[name] for name in names}

    def _untell(self, what: str, id: int) -> None:
        """Of a row that is there no more."""
        its = f"{what} {id}, "
        self.details = {name: value for name, value in self.details.items() if not name.startswith(its)}

    def facts(self) -> dict[str, Any]:
        """All that rows and operations must agree on, flat, so that a difference has a name."""
        facts: dict[str, Any] = {
            "seq": self.seq,
            "controller": self.controller,
            "holder": self.holder,
            "epoch": self.epoch,
            "waiting since": self.waiting_since,
            "unanswered since": self.unanswered_since,
            "need": self.need,
            **self.marks,
        }
        for session in self.sessions.values():
            facts[f"session {session.id}"] = (session.kind, session.status, session.rank, session.owner)
            if session.status not in TERMINAL:
                facts[f"session {session.id} expires"] = (session.expires_at, session.human_until, session.warns_at)
                facts[f"session {session.id} waits"] = (session.on_hold, session.opened_at)
            if session.status == Status.PAUSED:
                facts[f"session {session.id} paused from"] = session.paused_from
        for transfer in self.transfers.values():
            facts[f"transfer {transfer.id}"] = (transfer.session_id, transfer.kind, transfer.status, transfer.agent_id)
            if transfer.status == "PENDING":
                facts[f"transfer {transfer.id} clocks"] = (
                    transfer.deadline,
                    transfer.asked_again,
                    transfer.offered_to,
                    transfer.offer_expires_at,
                )
        for flow in self.flows.values():
            facts[f"flow {flow.id}"] = (flow.status, flow.lease_until, flow.expires_at if flow.is_open else None)
        facts |= {f"participant {id}": standing for id, standing in self.participants.items()}
        facts |= {f"message {id}": where for id, where in self.messages.items()}
        return facts

    def standing(self) -> dict[str, Any]:
        """Of `facts` what no clock decides, and no setting: what rows of any age can be held against."""
        facts: dict[str, Any] = {"controller": self.controller, "holder": self.holder, **self.marks}
        facts |= {"need": self.need, "waits for a human": self.waiting_since is not None}
        for session in self.sessions.values():
            facts[f"session {session.id}"] = (session.kind, session.status, session.rank, session.owner)
            if session.status == Status.PAUSED:
                facts[f"session {session.id} paused"] = (session.paused_from, session.on_hold)
        for transfer in self.transfers.values():
            facts[f"transfer {transfer.id}"] = (transfer.session_id, transfer.kind, transfer.status, transfer.agent_id)
            if transfer.status == "PENDING":
                facts[f"transfer {transfer.id} offered to"] = transfer.offered_to
        facts |= {f"flow {flow.id}": flow.status for flow in self.flows.values()}
        return facts | {f"participant {id}": standing for id, standing in self.participants.items()}

    # --- From operations ---

    def apply(self, operations: Iterable[OperationLike]) -> None:
        """Go on from where the thread stands. `operations` follow it without a gap, in the order of `seq`."""
        for at, group in groupby(operations, key=lambda operation: operation.at):
            self._verb(at, list(group))

    def _verb(self, at: datetime, operations: list[OperationLike]) -> None:
        if self.at and at < self.at:
            self._fault(11, f"operation {operations[0].seq} is older than the one before it")
        self.at = at
        due = list(self._due(at)) if self.keeps_time else []
        self.is_override = any(operation.data.get("override") for operation in operations)
        for operation in operations:
            if operation.seq != self.seq + 1:
                self._fault(6, f"operation {operation.seq} follows {self.seq}")
            self.seq = operation.seq
            self._one(operation)
            if not self.keeps_time:
                self._count_turns()
        for name, is_done in due:
            if not is_done():
                self._fault(11, f"{name} was due when operation {operations[0].seq} was made, and not applied")
        self._settle(at)

    def _one(self, operation: OperationLike) -> None:  # noqa: C901 – one line for each type
        kind, data = operation.type, operation.data
        if kind == "session.opened":
            self._open(operation)
        elif kind in _STATUS:
            self._move(operation)
        elif kind in ("session.held", "session.hold_ended"):
            self._session(operation).on_hold = kind == "session.held"
        elif kind == "session.priority_set":
            self._session(operation).rank = data["rank"]
        elif kind == "ownership.changed":
            self._change_owner(operation)
        elif kind == "transfer.requested":
            self._ask(operation)
        elif kind == "transfer.asked_again":
            self._ask_again(operation)
        elif kind in _TRANSFER_ENDS:
            self._end_transfer(operation, _TRANSFER_ENDS[kind])
        elif kind == "transfer.offered":
            transfer = self.transfers[data["transfer_id"]]
            transfer.offered_to = data["agent_id"]
            transfer.offer_expires_at = datetime.fromisoformat(data["expires_at"])
        elif kind == "transfer.offer_refused":
            transfer = self.transfers[data["transfer_id"]]
            if data["reason"] == "not answered in time":
                self._fired(operation.at, transfer.offer_expires_at, f"the offer of transfer {transfer.id}")
            transfer.offered_to = transfer.offer_expires_at = None
        elif kind == "transfer.offer_withdrawn":
            transfer = self.transfers[data["transfer_id"]]
            transfer.offered_to = transfer.offer_expires_at = None
        elif kind.startswith(("collaborator.", "participant.")):
            self.participants[data["participant_id"]] = (data["status"], data["notice"], data["role"])
        elif kind in ("flow.opened", "flow.bound", "flow.moved"):
            self._flow(operation)
        elif kind == "flow.renewed":
            self.flows[data["flow_id"]].lease_until = datetime.fromisoformat(data["lease_until"])
        elif kind in _MARKS:
            name, value = _MARKS[kind]
            self.marks[name] = value
            if name == "needs_human":
                self._flag(operation)
        elif kind == "message.created":
            self._said(operation)
        elif kind == "messages.grouped":
            self._grouped(operation)
        elif kind == "session.ending_soon":
            session = self._session(operation)
            self._fired(operation.at, session.warns_at, f"the warning of session {session.id}")
            session.warns_at = None
        elif kind == "transfer.changed":
            if self.transfers[data["transfer_id"]].status != "PENDING":
                self._fault(5, f"transfer {data['transfer_id']} had ended, and was added to by {operation.seq}")
        elif kind == "transfer.offers_renewed":
            if self.transfers[data["transfer_id"]].status != "PENDING":
                self._fault(5, f"transfer {data['transfer_id']} had ended, and was offered anew by {operation.seq}")
        elif kind == "transfer.readdressed":
            self.transfers[data["transfer_id"]].deadline = datetime.fromisoformat(data["deadline"])
        elif kind.startswith(("mail.", "sla.")):
            pass  # they move no turn; tests/actions has theirs
        else:
            self._fault(9, f"operation {operation.seq} is of a type that nobody can replay: {kind}")
        if data.get("set_aside") or kind == "mail.queued":  # decided by an agent, or passed on by e-mail
            self._awaits_answer(operation, awaits=False)
        if sum(session.is_live for session in self.sessions.values()) > 1:
            self._fault(1, f"two sessions are live after operation {operation.seq}")

    def _awaits_answer(self, operation: OperationLike, *, awaits: bool) -> None:
        self.awaits_by = operation.seq
        if not awaits:
            self.unanswered_since = None
        elif self.unanswered_since is None:
            self.unanswered_since, self.awaits_from = operation.at, operation.seq

    def _flag(self, operation: OperationLike) -> None:
        self.need = operation.data["kind"] if operation.type == "attention.raised" else ""
        if since := operation.data.get("waiting_since"):
            self.waiting_since = datetime.fromisoformat(since)

    def _session(self, operation: OperationLike) -> ReplayedSession:
        assert operation.session_id is not None
        return self.sessions[operation.session_id]

    def _grouped(self, operation: OperationLike) -> None:
        """What a batch brought, or what nobody had taken, was put into sessions. Their ranks are those of their kinds."""
        data = operation.data
        for told in (*data["created"], *data["extended"]):
            session = self.sessions.get(told["session_id"])
            if session is None:
                kind = Kind(told["kind"])
                session = ReplayedSession(
                    told["session_id"],
                    kind,
                    "",
                    rank(kind, PRIORITY[kind]),
                    ("", None),
                    operation.at,
                    None,
                    is_found=True,
                )
                self.sessions[session.id] = session
            if session.is_found:
                kind = Kind(told["kind"])
                if kind != session.kind:
                    session.kind, session.rank = kind, rank(kind, PRIORITY[kind])
                session.status = told["status"]
                session.owner = (told["owner_kind"], session.owner[1])
        for gone, _ in data["joined"]:
            self.sessions.pop(gone, None)
            self._untell("session", gone)
        if "unanswered_since" in data:
            self._waits(operation)
        elif "awaits_answer" in data:  # what was recorded before the operation said since when
            self._awaits_answer(operation, awaits=data["awaits_answer"])

    def _open(self, operation: OperationLike) -> None:
        data, id = operation.data, operation.session_id
        assert id is not None
        if id in self.sessions:
            self._fault(6, f"session {id} opens twice")
        self.sessions[id] = session = ReplayedSession(
            id=id,
            kind=data["kind"],
            status=data["status"],
            rank=data["rank"],
            owner=(data["owner_kind"], data["owner_id"]),
            opened_at=datetime.fromisoformat(data["opened_at"]),
            expires_at=None,
        )
        # Of what was found in messages no operation says when it began: words that come later may still move it.
        told = {"id": id, "opened_at": session.opened_at, "ended_at": None, "outcome": ""}
        self._tell("session", told, "opened_at", "ended_at", "outcome")
        self._give(session, ("", None), operation.at)
        self._set_deadline(session, operation.at)
        self._count(operation, None, session.agent)

    def _move(self, operation: OperationLike) -> None:
        session, data, at = self._session(operation), operation.data, operation.at
        before, after, agent = Status(session.status), Status(data["after"]), session.agent
        if before in TERMINAL:
            self._fault(8, f"session {session.id} left {before} by operation {operation.seq}")
        elif data["before"] != before or after not in TRANSITIONS[before]:
            self._fault(9, f"session {session.id} was {before} when operation {operation.seq} took it to {after}")
        if operation.type == "session.resumed" or (operation.type == "session.activated" and session.is_robot):
            self._was_next(operation, session)
        if after == Status.TIMEOUT:
            self._fired(at, session.expires_at, f"session {session.id}")
        if after == Status.PAUSED:
            session.paused_from = before
            session.on_hold = session.on_hold or data["preempted"] is False
        elif operation.type == "session.resumed" and after != session.paused_from:
            self._fault(9, f"session {session.id} was paused from {session.paused_from} and resumed to {after}")
        if after in TERMINAL:
            self._tell_end(session, operation)
        session.status, was = after, session.owner
        session.owner = (data["owner_kind"], data["owner_id"])
        self._give(session, was, at)
        self._set_deadline(session, at)
        if operation.type == "session.resumed" and was[0] == session.owner[0] == "":
            self._waits_again(session)
        self._count(operation, agent, session.agent)

    def _tell_end(self, session: ReplayedSession, operation: OperationLike) -> None:
        told = {"id": session.id, "outcome": operation.data.get("outcome", "")}
        if not session.is_found:  # which later words may lengthen
            told["ended_at"] = operation.at
        if reason := operation.data["reason"]:
            told["reason"] = reason[: limits.MAX_REASON]
        self._tell("session", told, *(told.keys() - {"id"}))

    def _waits_again(self, session: ReplayedSession) -> None:
        """Asked for again after a pause, with the original waiting clock; what was served waits from now on."""
        asked = [t for t in self.transfers.values() if t.session_id == session.id]
        if asked and (last := max(asked, key=lambda t: t.id)).status != "ACCEPTED":
            self.waiting_since = last.waiting_since

    def _change_owner(self, operation: OperationLike) -> None:
        session, data = self._session(operation), operation.data
        was, agent = session.owner, session.agent
        if was != (data["was_kind"], data["was_id"]):
            self._fault(9, f"session {session.id} had the owner {was} before operation {operation.seq}")
        session.owner = (data["owner_kind"], data["owner_id"])
        self._give(session, was, operation.at)
        if was[0] == session.owner[0] == "agent":
            self._set_warning(session)
        else:
            self._set_deadline(session, operation.at)
        self._count(operation, agent, session.agent)

    def _ask(self, operation: OperationLike) -> None:
        data, id = operation.data, operation.data["transfer_id"]
        assert operation.session_id is not None
        if self._pending(operation.session_id):
            self._fault(5, f"session {operation.session_id} has two unanswered transfers at operation {operation.seq}")
        opens_at = datetime.fromisoformat(data["opens_at"]) if data.get("opens_at") else None
        session = self.sessions[operation.session_id]
        session.is_found = False
        self._tell_request(session, operation)
        self._waits_for_the_opening(session, operation.at, opens_at)
        deadline = operation.at + self._span("TRANSFER_TIMEOUT")
        if opens_at:  # its place in the queue counts, which no single conversation knows
            deadline = self._after(opens_at, operation)
        since = self.waiting_since or operation.at
        self.transfers[id] = ReplayedTransfer(
            id, operation.session_id, data["kind"], "PENDING", deadline=deadline, waiting_since=since, opens_at=opens_at
        )

    def _tell_request(self, session: ReplayedSession, operation: OperationLike) -> None:
        """Who asks is whose the session is; whoever acts, where it is nobody's."""
        kind, id = session.owner
        reason = operation.data["reason"][: limits.MAX_REASON]
        told = {"id": operation.data["transfer_id"], "reason": reason, "from_kind": kind or operation.actor_kind}
        self._tell("transfer", told | {"from_id": id}, "reason", "from_kind", "from_id")

    def _ask_again(self, operation: OperationLike) -> None:
        data, at, transfer = operation.data, operation.at, self.transfers[operation.data["transfer_id"]]
        if transfer.status != "PENDING":
            self._fault(5, f"transfer {transfer.id} had ended, and was asked again by {operation.seq}")
        if data["declined_by"] is None:
            self._fired(at, transfer.deadline, f"transfer {transfer.id}")
        transfer.asked_again += 1
        if data["times"] != transfer.asked_again:
            self._fault(9, f"transfer {transfer.id} was asked again {transfer.asked_again} times, not {data['times']}")
        if data["waiting_since"] != (transfer.waiting_since or at).isoformat():
            self._fault(9, f"transfer {transfer.id} waits since {transfer.waiting_since}, not {data['waiting_since']}")
        opens_at = datetime.fromisoformat(data["opens_at"]) if data["opens_at"] else None
        if opens_at != transfer.opens_at:
            self._waits_for_the_opening(self._session(operation), at, opens_at)
        transfer.opens_at = opens_at
        patience = self._span("TRANSFER_TIMEOUT")
        pause = max(patience, min(patience * 2 ** (transfer.asked_again - 1), limits.LONGEST_PAUSE))
        transfer.deadline = self._after(opens_at, operation) if opens_at and opens_at > at else at + pause

    def _waits_for_the_opening(self, session: ReplayedSession, at: datetime, opens_at: datetime | None) -> None:
        """What waits does not use up its time while it is closed."""
        if opens_at and session.expires_at and session.expires_at > at and session.owner[0] == "":
            session.expires_at = opens_at + min(session.expires_at - at, self._span("WAITING_SESSION_TIMEOUT"))

    def _after(self, opens_at: datetime, operation: OperationLike) -> datetime:
        deadline = datetime.fromisoformat(operation.data["deadline"])
        if deadline < opens_at + self._span("TRANSFER_TIMEOUT"):
            self._fault(11, f"operation {operation.seq} leaves no time after the opening")
        return deadline

    def _end_transfer(self, operation: OperationLike, status: str) -> None:
        data, id = operation.data, operation.data["transfer_id"]
        assert operation.session_id is not None
        told = {"id": id, "end_reason": ""}
        if id not in self.transfers:
            self.sessions[operation.session_id].is_found = False
            self._tell_request(self.sessions[operation.session_id], operation)
        else:
            told["end_reason"] = data["reason"][: limits.MAX_REASON]
        if "override" in data:
            told["is_override"] = data["override"]
        self._tell("transfer", told, *(told.keys() - {"id"}))
        moved_at_once = ReplayedTransfer(id, operation.session_id, data["kind"], "PENDING")
        moved_at_once.waiting_since = self.waiting_since or operation.at
        transfer = self.transfers.setdefault(id, moved_at_once)
        self.ends[id] = self.ends.get(id, 0) + 1
        if transfer.status != "PENDING":
            self._fault(5, f"transfer {id} ended as {transfer.status} and again as {status} by {operation.seq}")
        if status == "TIMED_OUT":
            self._fired(operation.at, transfer.deadline, f"transfer {id}")
        transfer.status, transfer.agent_id = status, data["agent_id"]

    def _flow(self, operation: OperationLike) -> None:
        data, at = operation.data, operation.at
        id, status = data["flow_id"], data.get("after") or data["status"]
        if operation.type == "flow.bound":  # its clocks have run since before it was bound
            lease = datetime.fromisoformat(data["lease_until"]) if data["lease_until"] else None
            self.flows[id] = ReplayedFlow(id, status, datetime.fromisoformat(data["expires_at"]), lease)
            return
        flow = self.flows.setdefault(id, ReplayedFlow(id, status, at))
        if operation.type == "flow.moved" and data["before"] != flow.status:
            self._fault(9, f"flow {id} was {flow.status}, not {data['before']}, at {operation.seq}")
        flow.status = status
        flow.lease_until = at + self._span("FLOW_LEASE") if status == "rerunning" else None
        if flow.is_open:
            flow.expires_at = at + self._span("FLOW_EXPIRY" if flow.blocks else "FLOW_PREVIEW_EXPIRY")

    def _said(self, operation: OperationLike) -> None:
        data, id = operation.data, operation.data["message_id"]
        if id in self.messages:
            self._fault(2, f"message {id} is recorded twice")
        self.messages[id] = (operation.seq, operation.session_id)
        self.epoch_at[operation.seq] = self.epoch
        if data["sender_type"] == "bot":
            if self.controller != "bot":
                self._fault(3, f"the bot's message {id} was stored while the turn was {self.controller}'s")
            if data["epoch"] != self.epoch:
                self._fault(3, f"the bot's message {id} named epoch {data['epoch']}; it was {self.epoch}")
        session = self.sessions.get(operation.session_id or 0)
        if "unanswered_since" in data:
            self._waits(operation)
        elif not data["is_note"] and data["sender_type"] != "system" and not data.get("is_history"):
            self._awaits_answer(operation, awaits=data["sender_type"] == "customer")
        if session and session.is_live and not data["is_note"] and session.owner[0] in ("bot", "shop"):
            session.expires_at = operation.at + self._span("DEFAULT_SESSION_TIMEOUT")

    def _waits(self, operation: OperationLike) -> None:
        """Since when the customer waits after an answer to one message of several, or after a batch: never longer than before."""
        told = operation.data["unanswered_since"]
        since = datetime.fromisoformat(told) if told else None
        longest = self.unanswered_since or (operation.at if operation.type == "messages.grouped" else None)
        if since and (longest is None or not longest <= since <= operation.at):
            self._fault(11, f"the customer waits since {longest}; operation {operation.seq} says since {since}")
        self.unanswered_since = since
        self.awaits_by = self.awaits_from = operation.seq

    # --- What follows ---

    def _settle(self, at: datetime) -> None:
        live = next((s for s in self.sessions.values() if s.is_live), None)
        waiting = self.waiting()
        if live is None and waiting and (waiting[0].is_robot or waiting[0].status == Status.PAUSED):
            self._fault(7, f"session {waiting[0].id} waits and nothing is live after operation {self.seq}")
        for session in self.sessions.values() if self.keeps_time else ():
            asks = self._pending(session.id)
            if session.is_live and session.owner[0] == "" and not session.is_found and len(asks) != 1:
                self._fault(5, f"session {session.id} is live, has no owner and {len(asks)} unanswered transfers")
            if session.status == Status.PENDING and not session.is_robot and len(asks) != 1:
                self._fault(5, f"session {session.id} waits for an agent with {len(asks)} unanswered transfers")
            if not session.is_live and session.status != Status.PENDING and asks:
                self._fault(5, f"session {session.id} is {session.status} and has an unanswered transfer")
        had_turn, was_served = not self._is_nobodys(), self.controller == "human"
        controller, holder = self._whose_turn(live)
        if (controller, holder) != (self.controller, self.holder):
            self.controller, self.holder = controller, holder
            self.epoch += 1
        self._mind(at, had_turn=had_turn)
        if controller == "human" or not (controller == "queue" or self.marks["needs_human"]):
            self.waiting_since = None
        else:
            kept = None if was_served else self._waited_all_along()
            self.waiting_since = self.waiting_since or kept or at

    def _waited_all_along(self) -> datetime | None:
        """Since when a request for a human waits that no human's turn came between, but a bot's of a better rank or a flow's."""
        waiting = [s for s in self.sessions.values() if s.status == Status.PENDING and not s.is_robot]
        return min((t.waiting_since for s in waiting for t in self._pending(s.id) if t.waiting_since), default=None)

    def _whose_turn(self, live: ReplayedSession | None) -> tuple[str, str]:
        holder = f"{live.id}:{live.owner[0]}:{live.owner[1] or ''}" if live else ""
        return self._controller(live), holder

    def _count_turns(self) -> None:
        locked = self._whose_turn(next((s for s in self.sessions.values() if s.is_live), None))
        if locked != self._turn:
            self._turn = locked
            self.epoch_most += 1

    def _mind(self, at: datetime, *, had_turn: bool) -> None:
        """Nobody is forgotten: who waits for an answer that is nobody's to give is flagged, and nobody else is for that."""
        since = self.unanswered_since if self._is_nobodys() else None
        is_over = since is not None and (had_turn or since + self._span("GROUP_AFTER") <= at)
        if is_over and not self.marks["needs_human"]:
            self._fault(11, f"the customer waits since {since}, and operation {self.seq} calls nobody")
        may_wait = self.unanswered_since is not None and self.controller in ("none", "bot")  # a bot's that may be dead
        if self.need == "no_answer" and not may_wait:
            self._fault(11, f"somebody is called after operation {self.seq} to a customer who does not wait")

    def _is_nobodys(self) -> bool:
        """Nobody has the turn, or a bot that nobody has announced: there is nobody who could answer."""
        return self.controller == "none" or (self.controller == "bot" and self.holder.endswith(":bot:"))

    def _controller(self, live: ReplayedSession | None) -> str:
        """Who gets the customer's next message: docs/rules.md, The next message."""
        if live and live.owner[0] in ("agent", "shop"):
            return "human"
        manual_waits = any(s.status == Status.PENDING and not s.is_robot for s in self.sessions.values())
        if (live and live.owner[0] == "" and not live.is_unclaimed) or (live is None and manual_waits):
            return "queue"
        if any(flow.blocks for flow in self.flows.values()):
            return "flow"
        return "bot" if live and live.owner[0] == "bot" else "none"

    def waiting(self) -> list[ReplayedSession]:
        waiters = [s for s in self.sessions.values() if s.status in ("PENDING", "PAUSED") and not s.on_hold]
        return sorted(waiters, key=lambda s: (s.rank, s.opened_at, s.id))

    def _was_next(self, operation: OperationLike, session: ReplayedSession) -> None:
        if not session.is_robot and operation.data.get("rule") == "C1":
            return  # a human who asks for the turn comes back over any robot
        waiting = self.waiting()
        if not waiting or waiting[0] is not session:
            first = waiting[0].id if waiting else None
            self._fault(7, f"session {session.id} became live by {operation.seq}; {first} was before it")

    def _pending(self, session_id: int) -> list[ReplayedTransfer]:
        return [t for t in self.transfers.values() if t.session_id == session_id and t.status == "PENDING"]

    def _count(self, operation: OperationLike, before: int | None, after: int | None) -> None:
        if before == after:
            return
        pos = operation.pos or 0
        if before:
            self.loads.append(LoadChange(pos, before, -1, self.is_override, operation.seq))
        if after:
            self.loads.append(LoadChange(pos, after, 1, self.is_override, operation.seq))

    def _give(self, session: ReplayedSession, was: tuple[str, int | None], at: datetime) -> None:
        """The fixed time of agents runs from when the first of them got the session, until none has it."""
        if session.owner[0] != "agent":
            session.human_until = None
        elif was[0] != "agent":
            session.human_until = at + self._span("HUMAN_SESSION_TIMEOUT")

    def _warning(self) -> timedelta:
        return min(self._span("HUMAN_SESSION_WARNING"), self._span("HUMAN_SESSION_TIMEOUT"))

    def _set_deadline(self, session: ReplayedSession, at: datetime) -> None:
        session.expires_at = self._deadline(session, at)
        self._set_warning(session)

    def _set_warning(self, session: ReplayedSession) -> None:
        serves = session.agent is not None and session.expires_at
        session.warns_at = session.expires_at - self._warning() if serves and session.expires_at else None

    def _deadline(self, session: ReplayedSession, at: datetime) -> datetime | None:
        if session.status in TERMINAL:
            return None
        if session.status not in LIVE:
            return at + self._span("WAITING_SESSION_TIMEOUT")
        if session.owner[0] == "":
            opens_at = next((t.opens_at for t in self._pending(session.id)), None)
            return (opens_at or at) + self._span("WAITING_SESSION_TIMEOUT")
        if session.human_until:
            return max(session.human_until, at + self._warning())
        return at + self._span("HISTORY_GAP" if session.is_found else "DEFAULT_SESSION_TIMEOUT")

    def _due(self, at: datetime) -> Iterator[tuple[str, Callable[[], bool]]]:
        """Whatever verb comes first after a deadline applies it, and does nothing else in that transaction."""
        for transfer in self.transfers.values():
            if transfer.status == "PENDING":
                if transfer.deadline and transfer.deadline <= at:
                    yield f"transfer {transfer.id}", partial(_has_gone_on, transfer, transfer.deadline)
                elif transfer.offer_expires_at and transfer.offer_expires_at <= at:
                    was = transfer.offer_expires_at
                    yield (
                        f"the offer of transfer {transfer.id}",
                        partial(_is_not_offered, transfer, was),
                    )
        for session in self.sessions.values():
            if session.expires_at and session.expires_at <= at:
                ends = session.expires_at
                yield (
                    f"session {session.id}",  # a transfer that comes back to its bot gives it its time anew
                    partial(_is_over, session, ends),
                )
            elif session.warns_at and session.warns_at <= at:
                yield f"the warning of session {session.id}", partial(_is_warned, session, session.warns_at)
        for flow in self.flows.values():
            if flow.blocks and min(flow.expires_at, flow.lease_until or flow.expires_at) <= at:
                yield f"flow {flow.id}", partial(_blocks_no_more, flow)

    def _fired(self, at: datetime, deadline: datetime | None, what: str) -> None:
        if deadline is None or at < deadline:
            self._fault(11, f"{what} fired at {at}, before its deadline {deadline}")
        else:
            self.lateness = max(self.lateness, at - deadline)

    def _span(self, name: str) -> timedelta:
        return timedelta(seconds=self.clocks[name])

    def _fault(self, invariant: int, text: str) -> None:
        self.faults.append(Fault(invariant, f"conversation {self.id}: {text}"))


def _has_gone_on(transfer: ReplayedTransfer, was: datetime) -> bool:
    return transfer.status == "TIMED_OUT" or transfer.deadline != was


def _is_not_offered(transfer: ReplayedTransfer, was: datetime) -> bool:
    return transfer.offer_expires_at != was or transfer.status != "PENDING"


def _is_warned(session: ReplayedSession, was: datetime) -> bool:
    return session.warns_at != was


def _is_over(session: ReplayedSession, was: datetime) -> bool:
    return session.status == Status.TIMEOUT or session.expires_at != was


def _blocks_no_more(flow: ReplayedFlow) -> bool:
    return not flow.blocks


PRESENCE = ("availability", "reason", "is_heard", "max_load", "is_drained")


@dataclass(slots=True)
class Roster:
    """The agents of a tenant, as its events of presence tell it. Each tells what was so before, and what is so now."""

    agents: dict[int, dict[str, Any]] = field(default_factory=dict)
    sheets: dict[int, list[tuple[Any, ...]]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    _rooms: dict[int, list[tuple[int, int]]] = field(default_factory=dict)

    def apply(self, operations: Iterable[OperationLike]) -> None:
        """In the order in which they were made."""
        for operation in operations:
            data, agent = operation.data, operation.data["agent_id"]
            facts = {name: data[name] for name in PRESENCE}
            known = self.agents.get(agent)
            if data["before"] != known:
                text = f"agent {agent} was {known}; the event at {operation.at} says {data['before']}"
                self.faults.append(Fault(9, text))
            if facts == known:
                self.faults.append(Fault(6, f"agent {agent}: the event at {operation.at} tells of no change"))
            self.agents[agent] = facts
            self.sheets.setdefault(agent, []).append((operation.at, *facts.values()))
            self._rooms.setdefault(agent, []).append((operation.pos or 0, facts["max_load"]))

    def room(self, agent: int, pos: int) -> int | None:
        """How much an agent took on at a position of the stream; None where nothing was told of it yet."""
        rooms = self._rooms.get(agent, [])
        place = bisect_right(rooms, pos, key=lambda told: told[0])
        return rooms[place - 1][1] if place else None


def differences(expected: Replay, found: Replay) -> list[str]:
    """What the operations say and the rows do not, or the other way round."""
    told, stored = expected.facts(), found.facts()
    return [
        f"{name}: operations say {told.get(name)!r}, rows say {stored.get(name)!r}"
        for name in sorted(told.keys() | stored.keys())
        if told.get(name) != stored.get(name)
    ] + [
        f"{name}: operations say {value!r}, rows say {found.details.get(name)!r}"
        for name, value in expected.details.items()
        if found.details.get(name) != value
    ]
