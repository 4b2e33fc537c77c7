"""What a conversation's operations say happened, without a look at the rows they are meant to describe.

Pure. `Thread.apply` takes the operations by `seq` and finds fault with each that could not have happened where it stands;
`Thread.of_rows` makes the same thing from rows. The two must agree (invariants 9 and 10).

Operations of one transaction carry the same time, so neighbours with the same time are one verb. The turn is derived at
the end of each, as `settle` does it, from the words of the domain and not from its code.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Protocol

from sessions_app.states import FLOW_BLOCKING, LIVE, TERMINAL, TRANSITIONS, Kind, Status


class OperationLike(Protocol):
    seq: int
    pos: int | None
    type: str
    session_id: int | None
    data: dict[str, Any]
    at: datetime


@dataclass(frozen=True, slots=True)
class Fault:
    """`invariant` is its number in domain.md."""

    invariant: int
    text: str

    def __str__(self) -> str:
        return f"invariant {self.invariant}: {self.text}"


@dataclass(slots=True)
class Session:
    id: int
    kind: str
    status: str
    rank: int
    owner: tuple[str, int | None]
    opened_at: datetime
    expires_at: datetime | None
    on_hold: bool = False
    paused_from: str = ""

    @property
    def is_robot(self) -> bool:
        return Kind(self.kind).is_robot

    @property
    def is_live(self) -> bool:
        return self.status in LIVE

    @property
    def agent(self) -> int | None:
        """The agent whose load it counts for."""
        return self.owner[1] if self.is_live and self.owner[0] == "agent" else None


@dataclass(slots=True)
class Transfer:
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


@dataclass(slots=True)
class Flow:
    id: int
    status: str
    expires_at: datetime
    lease_until: datetime | None = None

    @property
    def blocks(self) -> bool:
        return self.status in FLOW_BLOCKING


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
class Thread:
    clocks: Mapping[str, int]
    id: int = 0
    seq: int = 0
    at: datetime | None = None
    sessions: dict[int, Session] = field(default_factory=dict)
    transfers: dict[int, Transfer] = field(default_factory=dict)
    flows: dict[int, Flow] = field(default_factory=dict)
    participants: dict[int, tuple[str, str]] = field(default_factory=dict)  # status, and how far the notice has come
    messages: dict[str, tuple[int, int | None]] = field(default_factory=dict)
    marks: dict[str, bool] = field(
        default_factory=lambda: {"pinned": False, "todo": False, "urgent": False, "needs_human": False}
    )
    waiting_since: datetime | None = None
    controller: str = "none"
    holder: str = ""
    epoch: int = 0
    faults: list[Fault] = field(default_factory=list)
    loads: list[LoadChange] = field(default_factory=list)
    epoch_at: dict[int, int] = field(default_factory=dict)  # seq of a message → the epoch it was said in
    ends: dict[int, int] = field(default_factory=dict)  # transfer → how often it ended
    lateness: timedelta = timedelta(0)
    is_override: bool = False

    # --- From rows ---

    @classmethod
    def of_rows(cls, rows: Mapping[str, Any], clocks: Mapping[str, int]) -> Thread:
        """A thread as a snapshot of the rows shows it: see `invariants.snapshot`."""
        conversation = rows["conversation"]
        thread = cls(
            clocks,
            id=conversation["id"],
            seq=conversation["seq"],
            waiting_since=conversation["waiting_since"],
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
            thread.sessions[row["id"]] = Session(
                id=row["id"],
                kind=row["kind"],
                status=row["status"],
                rank=row["rank"],
                owner=(row["owner_kind"], owner_id),
                opened_at=row["opened_at"],
                expires_at=row["expires_at"],
                on_hold=row["on_hold"],
                paused_from=row["paused_from"],
            )
        for row in rows["transfers"]:
            thread.transfers[row["id"]] = Transfer(
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
            )
        for row in rows["flows"]:
            thread.flows[row["id"]] = Flow(row["id"], row["status"], row["expires_at"], row["lease_until"])
        thread.participants = {row["id"]: (row["status"], row["notice_status"]) for row in rows["participants"]}
        thread.messages = {row["message_id"]: (row["seq"], row["session_id"]) for row in rows["messages"]}
        return thread

    def facts(self) -> dict[str, Any]:
        """All that rows and operations must agree on, flat, so that a difference has a name."""
        facts: dict[str, Any] = {
            "seq": self.seq,
            "controller": self.controller,
            "holder": self.holder,
            "epoch": self.epoch,
            "waiting since": self.waiting_since,
            **self.marks,
        }
        for session in self.sessions.values():
            facts[f"session {session.id}"] = (session.kind, session.status, session.rank, session.owner)
            if session.status not in TERMINAL:
                facts[f"session {session.id} expires"] = session.expires_at
                facts[f"session {session.id} waits"] = (session.on_hold, session.opened_at)
            if session.status == Status.PAUSED:
                facts[f"session {session.id} paused from"] = session.paused_from
        for transfer in self.transfers.values():
            facts[f"transfer {transfer.id}"] = (transfer.session_id, transfer.kind, transfer.status, transfer.agent_id)
            if transfer.status == "PENDING":
                facts[f"transfer {transfer.id} clocks"] = (
                    transfer.deadline,
                    transfer.offered_to,
                    transfer.offer_expires_at,
                )
        for flow in self.flows.values():
            facts[f"flow {flow.id}"] = (flow.status, flow.lease_until, flow.expires_at if flow.blocks else None)
        facts |= {f"participant {id}": standing for id, standing in self.participants.items()}
        facts |= {f"message {id}": where for id, where in self.messages.items()}
        return facts

    # --- From operations ---

    def apply(self, operations: Iterable[OperationLike]) -> None:
        """Go on from where the thread stands. `operations` follow it without a gap, in the order of `seq`."""
        for at, group in groupby(operations, key=lambda operation: operation.at):
            self._verb(at, list(group))

    def _verb(self, at: datetime, operations: list[OperationLike]) -> None:
        if self.at and at < self.at:
            self._fault(11, f"operation {operations[0].seq} is older than the one before it")
        self.at = at
        due = list(self._due(at))
        self.is_override = any(operation.data.get("override") for operation in operations)
        for operation in operations:
            if operation.seq != self.seq + 1:
                self._fault(6, f"operation {operation.seq} follows {self.seq}")
            self.seq = operation.seq
            self._one(operation)
        for name, is_done in due:
            if not is_done():
                self._fault(11, f"{name} was due when operation {operations[0].seq} was made, and not applied")
        self._settle(at)

    def _one(self, operation: OperationLike) -> None:
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
            self.participants[data["participant_id"]] = (data["status"], data["notice"])
        elif kind in ("flow.opened", "flow.bound", "flow.moved"):
            self._flow(operation)
        elif kind in _MARKS:
            name, value = _MARKS[kind]
            self.marks[name] = value
        elif kind == "message.created":
            self._said(operation)
        elif kind == "transfer.changed":
            if self.transfers[data["transfer_id"]].status != "PENDING":
                self._fault(5, f"transfer {data['transfer_id']} had ended, and was added to by {operation.seq}")
        elif kind.startswith(("mail.", "sla.")):
            pass  # they move no turn; tests/actions has theirs
        else:
            self._fault(9, f"operation {operation.seq} is of a type that nobody can replay: {kind}")
        if sum(session.is_live for session in self.sessions.values()) > 1:
            self._fault(1, f"two sessions are live after operation {operation.seq}")

    def _session(self, operation: OperationLike) -> Session:
        assert operation.session_id is not None
        return self.sessions[operation.session_id]

    def _open(self, operation: OperationLike) -> None:
        data, id = operation.data, operation.session_id
        assert id is not None
        if id in self.sessions:
            self._fault(6, f"session {id} opens twice")
        self.sessions[id] = session = Session(
            id=id,
            kind=data["kind"],
            status=data["status"],
            rank=data["rank"],
            owner=(data["owner_kind"], data["owner_id"]),
            opened_at=datetime.fromisoformat(data["opened_at"]),
            expires_at=None,
        )
        session.expires_at = self._deadline(session, operation.at)
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
        session.status = after
        session.owner = (data["owner_kind"], data["owner_id"])
        session.expires_at = self._deadline(session, at)
        if operation.type == "session.resumed" and session.owner[0] == "":
            self._waits_again(session)
        self._count(operation, agent, session.agent)

    def _waits_again(self, session: Session) -> None:
        """Asked for again after a pause, with the original waiting clock."""
        asked = [t for t in self.transfers.values() if t.session_id == session.id]
        if asked:
            self.waiting_since = max(asked, key=lambda t: t.id).waiting_since

    def _change_owner(self, operation: OperationLike) -> None:
        session, data = self._session(operation), operation.data
        was, agent = session.owner, session.agent
        if was != (data["was_kind"], data["was_id"]):
            self._fault(9, f"session {session.id} had the owner {was} before operation {operation.seq}")
        session.owner = (data["owner_kind"], data["owner_id"])
        if not (was[0] == session.owner[0] == "agent"):
            session.expires_at = self._deadline(session, operation.at)
        self._count(operation, agent, session.agent)

    def _ask(self, operation: OperationLike) -> None:
        data, id = operation.data, operation.data["transfer_id"]
        assert operation.session_id is not None
        if self._pending(operation.session_id):
            self._fault(5, f"session {operation.session_id} has two unanswered transfers at operation {operation.seq}")
        opens_at = datetime.fromisoformat(data["opens_at"]) if data.get("opens_at") else None
        session = self.sessions[operation.session_id]
        if opens_at and session.expires_at and session.expires_at > operation.at and session.owner[0] == "":
            session.expires_at = opens_at + min(
                session.expires_at - operation.at, self._span("WAITING_SESSION_TIMEOUT")
            )
        deadline = (opens_at or operation.at) + self._span("TRANSFER_TIMEOUT")
        since = self.waiting_since or operation.at
        self.transfers[id] = Transfer(
            id, operation.session_id, data["kind"], "PENDING", deadline=deadline, waiting_since=since, opens_at=opens_at
        )

    def _end_transfer(self, operation: OperationLike, status: str) -> None:
        data, id = operation.data, operation.data["transfer_id"]
        assert operation.session_id is not None
        moved_at_once = Transfer(id, operation.session_id, data["kind"], "PENDING")
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
            self.flows[id] = Flow(id, status, datetime.fromisoformat(data["expires_at"]), lease)
            return
        flow = self.flows.setdefault(id, Flow(id, status, at))
        if operation.type == "flow.moved" and data["before"] != flow.status:
            self._fault(9, f"flow {id} was {flow.status}, not {data['before']}, at {operation.seq}")
        flow.status = status
        flow.lease_until = at + self._span("FLOW_LEASE") if status == "rerunning" else None
        if flow.blocks:
            flow.expires_at = at + self._span("FLOW_EXPIRY")

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
        if session and session.is_live and not data["is_note"] and session.owner[0] in ("bot", "shop"):
            session.expires_at = operation.at + self._span("DEFAULT_SESSION_TIMEOUT")

    # --- What follows ---

    def _settle(self, at: datetime) -> None:
        live = next((s for s in self.sessions.values() if s.is_live), None)
        waiting = self.waiting()
        if live is None and waiting and (waiting[0].is_robot or waiting[0].status == Status.PAUSED):
            self._fault(7, f"session {waiting[0].id} waits and nothing is live after operation {self.seq}")
        for session in self.sessions.values():
            asks = self._pending(session.id)
            if session.is_live and session.owner[0] == "" and len(asks) != 1:
                self._fault(5, f"session {session.id} is live, has no owner and {len(asks)} unanswered transfers")
            if session.status == Status.PENDING and not session.is_robot and len(asks) != 1:
                self._fault(5, f"session {session.id} waits for an agent with {len(asks)} unanswered transfers")
            if not session.is_live and session.status != Status.PENDING and asks:
                self._fault(5, f"session {session.id} is {session.status} and has an unanswered transfer")
        controller, holder = self._controller(live), ""
        if live:
            holder = f"{live.id}:{live.owner[0]}:{live.owner[1] or ''}"
        if (controller, holder) != (self.controller, self.holder):
            self.controller, self.holder = controller, holder
            self.epoch += 1
        if controller == "human" or not (controller == "queue" or self.marks["needs_human"]):
            self.waiting_since = None
        else:
            self.waiting_since = self.waiting_since or at

    def _controller(self, live: Session | None) -> str:
        """Who gets the customer's next message: the table of domain.md."""
        if live and live.owner[0] in ("agent", "shop"):
            return "human"
        manual_waits = any(s.status == Status.PENDING and not s.is_robot for s in self.sessions.values())
        if (live and live.owner[0] == "") or (live is None and manual_waits):
            return "queue"
        if any(flow.blocks for flow in self.flows.values()):
            return "flow"
        return "bot" if live else "none"

    def waiting(self) -> list[Session]:
        waiters = [s for s in self.sessions.values() if s.status in ("PENDING", "PAUSED") and not s.on_hold]
        return sorted(waiters, key=lambda s: (s.rank, s.opened_at, s.id))

    def _was_next(self, operation: OperationLike, session: Session) -> None:
        if not session.is_robot and operation.data.get("rule") == "C1":
            return  # a human who asks for the turn comes back over any robot
        waiting = self.waiting()
        if not waiting or waiting[0] is not session:
            first = waiting[0].id if waiting else None
            self._fault(7, f"session {session.id} became live by {operation.seq}; {first} was before it")

    def _pending(self, session_id: int) -> list[Transfer]:
        return [t for t in self.transfers.values() if t.session_id == session_id and t.status == "PENDING"]

    def _count(self, operation: OperationLike, before: int | None, after: int | None) -> None:
        if before == after:
            return
        pos = operation.pos or 0
        if before:
            self.loads.append(LoadChange(pos, before, -1, self.is_override, operation.seq))
        if after:
            self.loads.append(LoadChange(pos, after, 1, self.is_override, operation.seq))

    def _deadline(self, session: Session, at: datetime) -> datetime | None:
        if session.status in TERMINAL:
            return None
        if session.status not in LIVE:
            return at + self._span("WAITING_SESSION_TIMEOUT")
        if session.owner[0] == "":
            opens_at = next((t.opens_at for t in self._pending(session.id)), None)
            return (opens_at or at) + self._span("WAITING_SESSION_TIMEOUT")
        name = "HUMAN_SESSION_TIMEOUT" if session.owner[0] == "agent" else "DEFAULT_SESSION_TIMEOUT"
        return at + self._span(name)

    def _due(self, at: datetime) -> Iterator[tuple[str, Callable[[], bool]]]:
        """Whatever verb comes first after a deadline applies it, and does nothing else in that transaction."""
        for transfer in self.transfers.values():
            if transfer.status == "PENDING":
                if transfer.deadline and transfer.deadline <= at:
                    yield f"transfer {transfer.id}", lambda t=transfer: t.status == "TIMED_OUT"
                elif transfer.offer_expires_at and transfer.offer_expires_at <= at:
                    was = transfer.offer_expires_at
                    yield (
                        f"the offer of transfer {transfer.id}",
                        lambda t=transfer, was=was: t.offer_expires_at != was or t.status != "PENDING",
                    )
        for session in self.sessions.values():
            if session.expires_at and session.expires_at <= at:
                ends = session.expires_at
                yield (
                    f"session {session.id}",  # a transfer that comes back to its bot gives it its time anew
                    lambda s=session, ends=ends: s.status == Status.TIMEOUT or s.expires_at != ends,
                )
        for flow in self.flows.values():
            if flow.blocks and min(flow.expires_at, flow.lease_until or flow.expires_at) <= at:
                yield f"flow {flow.id}", lambda f=flow: not f.blocks

    def _fired(self, at: datetime, deadline: datetime | None, what: str) -> None:
        if deadline is None or at < deadline:
            self._fault(11, f"{what} fired at {at}, before its deadline {deadline}")
        else:
            self.lateness = max(self.lateness, at - deadline)

    def _span(self, name: str) -> timedelta:
        return timedelta(seconds=self.clocks[name])

    def _fault(self, invariant: int, text: str) -> None:
        self.faults.append(Fault(invariant, f"conversation {self.id}: {text}"))


PRESENCE = ("availability", "reason", "is_heard", "max_load")


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


def differences(expected: Thread, found: Thread) -> list[str]:
    """What the operations say and the rows do not, or the other way round."""
    told, stored = expected.facts(), found.facts()
    return [
        f"{name}: operations say {told.get(name)!r}, rows say {stored.get(name)!r}"
        for name in sorted(told.keys() | stored.keys())
        if told.get(name) != stored.get(name)
    ]
