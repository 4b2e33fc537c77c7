"""The state of one conversation as it is replayed, and the part of it with which rows must agree. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Self

from sessions_app.core.record.replay.replayed import (
    Fault,
    LoadChange,
    OperationLike,
    ReplayedFlow,
    ReplayedSession,
    ReplayedTransfer,
)
from sessions_app.states import TERMINAL, Status


@dataclass(slots=True)
class ReplayedConversation:
    """`clocks` are the settings of time spans, in seconds; `faults` say what could not have happened."""

    clocks: Mapping[str, int]
    id: int = 0
    seq: int = 0
    at: datetime | None = None
    sessions: dict[int, ReplayedSession] = field(default_factory=dict)
    transfers: dict[int, ReplayedTransfer] = field(default_factory=dict)
    flows: dict[int, ReplayedFlow] = field(default_factory=dict)
    participants: dict[int, tuple[str, str, str]] = field(default_factory=dict)  # status, notice status, role
    details: dict[str, Any] = field(default_factory=dict)  # fields that operations and rows hold word for word, by name
    messages: dict[str, tuple[int, int | None]] = field(default_factory=dict)  # message_id → seq, session
    marks: dict[str, bool] = field(
        default_factory=lambda: {"pinned": False, "todo": False, "urgent": False, "needs_human": False}
    )
    waiting_since: datetime | None = None
    unanswered_since: datetime | None = None
    need: str = ""  # the kind of need that the conversation is flagged for
    controller: str = "none"
    holder: str = ""
    epoch: int = 0
    epoch_most: int = 0  # the epoch if each operation had been a verb of its own
    keeps_time: bool = True
    faults: list[Fault] = field(default_factory=list)
    loads: list[LoadChange] = field(default_factory=list)
    awaits_by: int = 0  # seq of the last operation that says whether the customer awaits an answer
    awaits_from: int = 0  # seq of the operation since which the customer does
    epoch_at: dict[int, int] = field(default_factory=dict)  # seq of a message → the epoch it was said in
    ends: dict[int, int] = field(default_factory=dict)  # transfer → how often it ended
    lateness: timedelta = timedelta(0)
    is_override: bool = False
    turn_counted: tuple[str, str] = ("none", "")

    @classmethod
    def of_rows(cls, rows: Mapping[str, Any], clocks: Mapping[str, int]) -> Self:
        """The state that rows show. Keys: conversation, sessions, transfers, flows, participants, messages."""
        conversation = rows["conversation"]
        replay = cls(
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
        replay.marks = {
            "pinned": conversation["pinned_at"] is not None,
            "todo": conversation["todo_at"] is not None,
            "urgent": conversation["is_urgent"],
            "needs_human": conversation["needs_human"],
        }
        for row in rows["sessions"]:
            owner_id = {"agent": row["agent_id"], "bot": row["bot_id"]}.get(row["owner_kind"])
            replay.sessions[row["id"]] = ReplayedSession(
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
            replay.tell("session", row, "opened_at", "ended_at", "outcome", "reason")
        for row in rows["transfers"]:
            replay.transfers[row["id"]] = ReplayedTransfer(
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
            replay.tell("transfer", row, "reason", "end_reason", "is_override", "from_kind", "from_id")
        for row in rows["flows"]:
            replay.flows[row["id"]] = ReplayedFlow(row["id"], row["status"], row["expires_at"], row["lease_until"])
        replay.participants = {
            row["id"]: (row["status"], row["notice_status"], row["role"]) for row in rows["participants"]
        }
        replay.messages = {row["message_id"]: (row["seq"], row["session_id"]) for row in rows["messages"]}
        return replay

    def tell(self, what: str, row: Mapping[str, Any], *names: str) -> None:
        """Keep these fields of a row as details."""
        self.details |= {f"{what} {row['id']}, {name}": row[name] for name in names}

    def untell(self, what: str, id: int) -> None:
        """Drop the details of a row that is gone."""
        prefix = f"{what} {id}, "
        self.details = {name: value for name, value in self.details.items() if not name.startswith(prefix)}

    def facts(self) -> dict[str, Any]:
        """Everything on which rows and operations must agree: flat, so that each difference has a name."""
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
        """The part of `facts` that depends on no clock or setting, so that rows of any age can be compared with it."""
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

    def session(self, operation: OperationLike) -> ReplayedSession:
        assert operation.session_id is not None
        return self.sessions[operation.session_id]

    def waiting(self) -> list[ReplayedSession]:
        waiters = [s for s in self.sessions.values() if s.status in ("PENDING", "PAUSED") and not s.on_hold]
        return sorted(waiters, key=lambda s: (s.rank, s.opened_at, s.id))

    def pending(self, session_id: int) -> list[ReplayedTransfer]:
        return [t for t in self.transfers.values() if t.session_id == session_id and t.status == "PENDING"]

    def count_load(self, operation: OperationLike, before: int | None, after: int | None) -> None:
        """Note that a live session went from one agent to another; None is no agent."""
        if before == after:
            return
        pos = operation.pos or 0
        if before:
            self.loads.append(LoadChange(pos, before, -1, self.is_override, operation.seq))
        if after:
            self.loads.append(LoadChange(pos, after, 1, self.is_override, operation.seq))

    def span(self, name: str) -> timedelta:
        return timedelta(seconds=self.clocks[name])

    def fault(self, invariant: int, text: str) -> None:
        self.faults.append(Fault(invariant, f"conversation {self.id}: {text}"))


def differences(expected: ReplayedConversation, actual: ReplayedConversation) -> list[str]:
    """Each difference between what the operations say (`expected`) and the rows (`actual`), as text."""
    recorded, stored = expected.facts(), actual.facts()
    return [
        f"{name}: operations say {recorded.get(name)!r}, rows say {stored.get(name)!r}"
        for name in sorted(recorded.keys() | stored.keys())
        if recorded.get(name) != stored.get(name)
    ] + [
        f"{name}: operations say {value!r}, rows say {actual.details.get(name)!r}"
        for name, value in expected.details.items()
        if actual.details.get(name) != value
    ]
