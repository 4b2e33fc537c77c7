"""What happened at a desk in a period, as data that can be simulated again under other rules. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from agents_app.models import Team, Tenant
from agents_app.policies import Policies
from agents_app.skills import Skills

ZERO = timedelta()


class EventKind(StrEnum):
    """The kinds of event in a story."""

    ASKED = "asked"
    OFFERED = "offered"
    REFUSED = "refused"
    RAN_OUT = "ran out"
    TAKEN_BACK = "taken back"
    TAKEN = "taken"
    TIMED_OUT = "timed out"
    ASKED_AGAIN = "asked again"
    GIVEN_UP = "given up"
    """Declined, withdrawn, or ended with its session."""
    PREEMPTED = "preempted"
    DONE = "done"


@dataclass(frozen=True, slots=True, order=True)
class StoryEvent:
    """One line of a story. `wait_id` is the transfer's id, negative for a simulated one; 0 where nobody waited."""

    at: datetime
    what: EventKind
    session_id: int
    wait_id: int = 0
    agent_id: int = 0
    team_id: int = 0
    waited: timedelta = ZERO


@dataclass(slots=True)
class Offer:
    agent_id: int
    at: datetime
    pos: int
    answer: EventKind | None = None
    after: timedelta | None = None
    answer_pos: int = 0


@dataclass(frozen=True, slots=True)
class Again:
    """Nobody answered a wait in time, or its addressee declined: from then on it waited for everybody."""

    at: datetime
    pos: int
    declined_by: int
    opens_at: datetime | None


@dataclass(slots=True)
class Step:
    """A session goes to another agent, or on hold (`agent_id` None), `after` so much time worked."""

    after: timedelta
    agent_id: int | None
    pos: int


@dataclass(slots=True)
class Work:
    """A session in agents' hands, from the moment one takes it until it leaves them all.

    `after` counts the time worked: a pause that a more urgent session forced does not count.
    """

    session_id: int
    conversation_id: int
    agent_id: int
    began_at: datetime
    pos: int
    wait_id: int = 0
    team_id: int = 0
    preempts: bool = False
    steps: list[Step] = field(default_factory=list)
    end: str = ""  # done, absence, no_reply; empty: it goes on
    after: timedelta | None = None
    ended_at: datetime | None = None
    end_pos: int = 0


@dataclass(slots=True)
class Wait:
    """A time in the queue: one transfer that waited for somebody to take a session nobody served.

    `follows`: the rules requested it (after a time-out or an absence), not a person. `patience` is how long it waits
    for an answer at first.
    """

    id: int
    session_id: int
    conversation_id: int
    pos: int
    asked_at: datetime
    waiting_since: datetime
    patience: timedelta | None
    kind: str
    team_id: int = 0
    to_agent_id: int = 0
    needs: Skills = field(default_factory=dict)
    opens_at: datetime | None = None
    refused_by: frozenset[int] = frozenset()
    left_by: int = 0  # the agent whose session it was
    goes_back: bool = False  # to a bot, when nobody answers and the tenant wants that
    follows: bool = False
    preempts: bool = False
    is_live: bool = True  # its session had begun: it had the turn while it waited
    is_beside: bool = False  # another session of the conversation waited, or was served
    offers: list[Offer] = field(default_factory=list)
    again: list[Again] = field(default_factory=list)
    urgency: list[tuple[datetime, int, bool]] = field(default_factory=list)
    renewals: list[tuple[datetime, int]] = field(default_factory=list)  # when everybody was asked anew
    end: EventKind | None = None
    end_pos: int = 0
    ended_at: datetime | None = None
    taken_by: int = 0
    is_override: bool = False
    by_urgent: bool = False  # it ended because a more urgent session came
    work: Work | None = None

    @property
    def taken_unoffered(self) -> bool:
        """Whether it was taken by hand."""
        return self.end == EventKind.TAKEN and not any(offer.answer == EventKind.TAKEN for offer in self.offers)


@dataclass(frozen=True, slots=True)
class HandoverOffer:
    """The offer of a handover between agents, repeated as it was: it counts as an open offer for a while."""

    agent_id: int
    at: datetime
    pos: int
    until: datetime | None
    until_pos: int


@dataclass(slots=True)
class PresenceLogLine:
    """A line of an agent's presence log."""

    at: datetime
    availability: str
    is_heard: bool
    max_load: int
    is_drained: bool = False


@dataclass(slots=True)
class PastAgent:
    """An agent. `offers` are the times of the offers in the day before the period."""

    id: int
    name: str
    max_load: int
    skills: Skills = field(default_factory=dict)
    weights: dict[int, int] = field(default_factory=dict)
    presence_log: list[PresenceLogLine] = field(default_factory=list)
    last_offer_at: datetime | None = None
    idle_since: datetime | None = None
    offers: list[datetime] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Held:
    """Work as it stood when the period began."""

    work: Work
    agent_id: int | None
    worked: timedelta
    is_preempted: bool


@dataclass(frozen=True, slots=True)
class Queued:
    """A wait as it stood when the period began."""

    wait: Wait
    refused_by: frozenset[int]
    offer: Offer | None


@dataclass(slots=True)
class Past:
    """All that is known of a period. `work` is what began without a wait: taken over, or opened by an agent."""

    start: datetime
    end: datetime
    tenant: Tenant
    teams: list[Team]
    people: dict[int, PastAgent]
    policies: Policies
    known_until: datetime
    gone_after: timedelta  # without a heartbeat, beyond the time after which an agent counts as away
    waits: list[Wait] = field(default_factory=list)
    work: list[Work] = field(default_factory=list)
    handovers: list[HandoverOffer] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    queued: list[Queued] = field(default_factory=list)
    gave_way: list[Wait] = field(default_factory=list)
    ranks: dict[int, int] = field(default_factory=dict)  # of sessions: the smaller comes first
    last_agents: dict[int, int] = field(default_factory=dict)
    story: list[StoryEvent] = field(default_factory=list)


def between(story: Iterable[StoryEvent], start: datetime, end: datetime) -> list[StoryEvent]:
    return sorted(line for line in story if start <= line.at < end)
