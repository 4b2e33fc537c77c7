"""The sessions, transfers and flows of a replay: plain objects in place of rows, which nothing stores."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sessions_app.states import FLOW_BLOCKING, FLOW_OPEN, LIVE, Kind


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
    is_found: bool = False  # grouped from messages, and nobody has moved it yet
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
