"""Which of the agents who fit is offered a conversation first: a small class for each strategy. Pure.

A new strategy is a class here and a value of `Team.Strategy`. Its `key` puts candidates in order, the smallest first;
ties go to whoever was offered something longest ago, then to the lowest id, so that every order is the same when asked
again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from agents_app.models import Team
from agents_app.skills import Skills
from config import limits

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


def pause(first: timedelta, number: int) -> timedelta:
    """The pause after round `number` (from 1) in which nobody accepted: twice as long each time, an hour at most."""
    doubled: int = 2 ** min(number - 1, 12)
    return min(first * doubled, limits.LONGEST_PAUSE)


@dataclass(slots=True)
class Candidate:
    """An agent as the strategies see one. `busy` is the live sessions owned and the offers that wait for an answer."""

    agent_id: int
    availability: str
    is_heard: bool
    busy: int
    max_load: int
    skills: Skills = field(default_factory=dict)
    weights: Mapping[int, int] = field(default_factory=dict)  # by team
    last_offer_at: datetime | None = None
    idle_since: datetime | None = None
    offers_today: int = 0
    is_drained: bool = False

    @property
    def fullness(self) -> float:
        return self.busy / self.max_load if self.max_load else 1.0


@dataclass(frozen=True, slots=True)
class Case:
    """A conversation that waits. `pool` are the teams it may go to, its own first; empty stands for everybody."""

    transfer_id: int
    conversation_id: int
    strategy: str
    pool: tuple[int, ...] = ()
    needs: Skills = field(default_factory=dict)
    refused_by: frozenset[int] = frozenset()
    last_agent_id: int | None = None
    obstacle: str = ""  # why nobody at all can have it now


class Strategy:
    def key(self, case: Case, candidate: Candidate) -> tuple[object, ...]:
        raise NotImplementedError


class RoundRobin(Strategy):
    """In turn."""

    def key(self, case: Case, candidate: Candidate) -> tuple[object, ...]:
        return ()


class LeastLoaded(Strategy):
    """By the share of the capacity that is used: two of ten is less than one of two."""

    def key(self, case: Case, candidate: Candidate) -> tuple[object, ...]:
        return (candidate.fullness,)


class LongestIdle(Strategy):
    """Agents with less to do first, then those whose last work ended longest ago."""

    def key(self, case: Case, candidate: Candidate) -> tuple[object, ...]:
        return (candidate.busy, candidate.idle_since or LONG_AGO)


class BestSkilled(Strategy):
    """By the sum of the levels in the skills that are needed; equals by load."""

    def key(self, case: Case, candidate: Candidate) -> tuple[object, ...]:
        return (-sum(candidate.skills.get(name, 0) for name in case.needs), candidate.fullness)


class Sticky(Strategy):
    """The agent whom the customer knows from last time, if there is room; else by load."""

    def key(self, case: Case, candidate: Candidate) -> tuple[object, ...]:
        return (candidate.agent_id != case.last_agent_id, candidate.fullness)


class Weighted(Strategy):
    """Keeps the offers of the last day in proportion to the weights. An agent in several teams has the highest."""

    def key(self, case: Case, candidate: Candidate) -> tuple[object, ...]:
        weight = max((w for team, w in candidate.weights.items() if team in case.pool), default=1)
        return ((candidate.offers_today + 1) / weight,)


STRATEGIES: dict[str, Strategy] = {
    Team.Strategy.ROUND_ROBIN: RoundRobin(),
    Team.Strategy.LEAST_LOADED: LeastLoaded(),
    Team.Strategy.LONGEST_IDLE: LongestIdle(),
    Team.Strategy.BEST_SKILLED: BestSkilled(),
    Team.Strategy.STICKY: Sticky(),
    Team.Strategy.WEIGHTED: Weighted(),
}


def in_order(case: Case, candidates: list[Candidate]) -> list[Candidate]:
    """The candidates, sorted: the first is asked first."""
    strategy = STRATEGIES[case.strategy]
    return sorted(candidates, key=lambda c: (*strategy.key(case, c), c.last_offer_at or LONG_AGO, c.agent_id))
