"""Decisions as people read them: who was looked at, and what was said of each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from agents_app.actors import Actor, ActorKind
from agents_app.models import Agent
from sessions_app.assignment.choice import FITS
from sessions_app.errors import Forbidden
from sessions_app.models import AssignmentDecision, Transfer

MOST = 100


@dataclass(frozen=True, slots=True)
class Looked:
    agent_id: int
    name: str
    verdict: str
    busy: int
    max_load: int


@dataclass(frozen=True, slots=True)
class Explanation:
    id: int
    at: datetime
    strategy: str
    chosen_id: int | None
    why: str
    candidates: list[Looked]


def decisions(actor: Actor, transfer: Transfer) -> list[Explanation]:
    """A transfer's decisions, the newest first, at most `MOST`. Agents and integrators only: it tells of people's work."""
    if actor.kind not in (ActorKind.AGENT, ActorKind.INTEGRATOR, ActorKind.SYSTEM):
        raise Forbidden("Only agents and integrators read why a conversation was offered to whom.")
    rows = list(transfer.decisions.order_by("-pk")[:MOST])
    ids = {told[0] for row in rows for some in row.candidates.values() for told in some}
    names = dict(Agent.objects.filter(pk__in=ids).values_list("pk", "name"))
    return [Explanation(row.pk, row.at, row.strategy, row.chosen_id, row.why, looked_at(row, names)) for row in rows]


def looked_at(row: AssignmentDecision, names: dict[int, str]) -> list[Looked]:
    """Those who fit first, in the strategy's order; a decision stores them by verdict."""
    by_verdict = sorted(row.candidates.items(), key=lambda item: (item[0] != FITS, item[0]))
    return [
        Looked(agent, names.get(agent, ""), verdict, busy, room)
        for verdict, some in by_verdict
        for agent, busy, room in some
    ]
