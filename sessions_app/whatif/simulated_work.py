"""The parts of a simulated desk: agents at their seats, places in the queue, work in progress."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from agents_app.skills import Skills
from sessions_app.assignment.strategies import Candidate
from sessions_app.whatif.past import ZERO, PastAgent, Step, Wait


@dataclass(slots=True)
class Seat:
    """An agent at work. `is_loose`: the agent has acted otherwise than in the period, and takes what comes."""

    person: PastAgent
    seen: Candidate
    runs: set[int] = field(default_factory=set)
    offers: set[int] = field(default_factory=set)
    offered_at: list[datetime] = field(default_factory=list)
    idle_since: datetime | None = None
    is_loose: bool = False
    coming: int = 0  # key of the place that the agent is about to take by hand
    # What the agent is going to be offered as it comes: when it was offered, when it comes. In the order of time.
    ahead: list[tuple[datetime, datetime]] = field(default_factory=list)

    def count(self) -> None:
        self.seen.busy = len(self.runs) + len(self.offers)

    @property
    def has_room(self) -> bool:
        return len(self.runs) < self.seen.max_load


@dataclass(slots=True)
class QueuePlace:
    """A session's place in the queue. `record` is its wait in the period, if any; without one, `key` is negative."""

    key: int
    record: Wait | None
    session_id: int
    conversation_id: int
    asked_at: datetime
    waiting_since: datetime
    team_id: int
    to_agent_id: int
    needs: Skills
    kind: str
    goes_back: bool
    opens_at: datetime | None
    refused: set[int]
    left_by: int = 0
    preempts: bool = False
    is_live: bool = True
    is_urgent: bool = False
    is_loose: bool = False
    is_over: bool = False
    offered_to: int = 0
    offer: int = 0  # counts the offers, so that an answer to an old one has no effect
    round: int = 1
    rests: bool = False  # until everybody is asked anew
    looks: list[tuple[datetime, int, int]] = field(default_factory=list)  # when it was offered, position, agent
    coming: int = 0
    asked_again: int = 0

    @property
    def order(self) -> tuple[int, int, int]:
        """As the desk shows it: urgent ones first, then who waits longest."""
        return (0 if self.is_urgent else 1, int(self.waiting_since.timestamp() * 1000), self.key)


@dataclass(slots=True)
class Run:
    """Work in progress. `version` changes when it is interrupted, which cancels what was scheduled before."""

    session_id: int
    conversation_id: int
    team_id: int
    agent_id: int | None
    steps: list[Step]
    after: timedelta | None
    end: str
    end_pos: int
    worked: timedelta = ZERO
    since: datetime | None = None  # None: preempted
    version: int = 0
    is_as_then: bool = False  # the same agent had it
    absent_at: datetime | None = None  # when its agent had gone, and it was put back in the queue
