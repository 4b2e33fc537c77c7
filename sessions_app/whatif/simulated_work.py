"""What a played desk is made of: agents at their seats, places in the queue, work that goes on."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from agents_app.skills import Skills
from sessions_app.assignment.strategies import Candidate
from sessions_app.whatif.past import ZERO, PastAgent, Step, Wait


@dataclass(slots=True)
class Seat:
    """An agent at work. `is_loose`: has done something else than then, and takes what comes."""

    person: PastAgent
    seen: Candidate
    runs: set[int] = field(default_factory=set)
    offers: set[int] = field(default_factory=set)
    offered_at: list[datetime] = field(default_factory=list)
    idle_since: datetime | None = None
    is_loose: bool = False
    coming: int = 0  # what an agent is about to take by hand
    # What the agent was offered then that does not wait here yet: when, and when it comes. In the order of time.
    ahead: list[tuple[datetime, datetime]] = field(default_factory=list)

    def count(self) -> None:
        self.seen.busy = len(self.runs) + len(self.offers)

    @property
    def has_room(self) -> bool:
        return len(self.runs) < self.seen.max_load


@dataclass(slots=True)
class QueuePlace:
    """A session's place in the queue. `record` is the wait it had then, if it had one; without one `key` is negative."""

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
    offer: int = 0  # counts the offers, so that an answer to an old one is none
    round: int = 1
    rests: bool = False  # until everybody is asked anew
    looks: list[tuple[datetime, int, int]] = field(default_factory=list)  # when it was offered then, and to whom
    coming: int = 0
    asked_again: int = 0

    @property
    def order(self) -> tuple[int, int, int]:
        """As the desk shows it: urgent ones first, then who waits longest."""
        return (0 if self.is_urgent else 1, int(self.waiting_since.timestamp() * 1000), self.key)


@dataclass(slots=True)
class Run:
    """Work that goes on. `version` changes when it is interrupted, so that what was planned before does not happen."""

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
