"""The decision itself: of these candidates, who is offered this conversation, and why not the others. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from agents_app.models import Agent
from agents_app.skills import lacking
from sessions_app.assignment.strategies import Candidate, Case, in_order

FITS = "fits"
UNHEARD = "unheard"
FULL = "full"
REFUSED = "refused"
LACKS = "lacks"
DRAINED = "drained"
VERDICTS = (FITS, UNHEARD, FULL, REFUSED, LACKS, DRAINED)
"""The verdicts on a candidate; an availability that takes no work is one too: busy, break, training, away, offline."""


@dataclass(frozen=True, slots=True)
class Choice:
    """`order` has those who fit, the first is chosen. `verdicts`: by verdict, (agent id, load, capacity) of each."""

    case: Case
    order: list[Candidate] = field(default_factory=list)
    verdicts: dict[str, list[tuple[int, int, int]]] = field(default_factory=dict)

    @property
    def chosen(self) -> Candidate | None:
        return self.order[0] if self.order else None


def is_free(candidate: Candidate) -> bool:
    """Whether the agent could be offered anything at all."""
    return not _own_verdict(candidate)


def verdict(case: Case, candidate: Candidate) -> str:
    """The first reason why an agent is not offered this conversation; FITS when nothing is in the way."""
    if own := _own_verdict(candidate):
        return own
    if candidate.agent_id in case.refused_by:
        return REFUSED
    return LACKS if lacking(candidate.skills, case.needs) else FITS


def _own_verdict(candidate: Candidate) -> str:
    if candidate.availability != Agent.Availability.AVAILABLE:
        return candidate.availability
    if not candidate.is_heard:
        return UNHEARD
    if candidate.is_drained:
        return DRAINED
    return FULL if candidate.busy >= candidate.max_load else ""


def in_pool(case: Case, candidates: Iterable[Candidate]) -> list[Candidate]:
    if not case.pool:
        return list(candidates)
    return [c for c in candidates if any(team in c.weights for team in case.pool)]


def choose(case: Case, candidates: Iterable[Candidate]) -> Choice:
    """Judge every candidate of the case's teams, and put those who fit in the strategy's order."""
    by_verdict: dict[str, list[Candidate]] = {}
    for candidate in in_pool(case, candidates):
        by_verdict.setdefault(verdict(case, candidate), []).append(candidate)
    order = in_order(case, by_verdict.pop(FITS, []))
    judged = {FITS: order, **by_verdict} if order else by_verdict
    verdicts = {name: [(c.agent_id, c.busy, c.max_load) for c in group] for name, group in judged.items()}
    return Choice(case, [] if case.obstacle else order, verdicts)
