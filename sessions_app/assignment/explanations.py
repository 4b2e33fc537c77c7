"""Decisions as people read them: which agents were considered, and the verdict on each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from agents_app.actors import Actor, ActorKind
from agents_app.models import Agent
from sessions_app.assignment.choice import FITS
from sessions_app.errors import Forbidden
from sessions_app.models import AssignmentDecision, Transfer

MOST = 100
"""Decisions of a transfer that are listed."""


@dataclass(frozen=True, slots=True)
class ConsideredAgent:
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
    candidates: list[ConsideredAgent]


def decisions(actor: Actor, transfer: Transfer) -> list[Explanation]:
    """A transfer's last `MOST` decisions, the newest first. `Forbidden` to all but agents and integrators."""
    if actor.kind not in (ActorKind.AGENT, ActorKind.INTEGRATOR, ActorKind.SYSTEM):
        raise Forbidden("Only agents and integrators read why a conversation was offered to whom.")
    rows = list(transfer.decisions.order_by("-pk")[:MOST])
    ids = {verdict[0] for row in rows for group in row.candidates.values() for verdict in group}
    names = dict(Agent.objects.filter(pk__in=ids).values_list("pk", "name"))
    return [Explanation(row.pk, row.at, row.strategy, row.chosen_id, row.why, looked_at(row, names)) for row in rows]


def looked_at(row: AssignmentDecision, names: dict[int, str]) -> list[ConsideredAgent]:
    """Those who fit first, in the strategy's order; a decision stores them by verdict."""
    by_verdict = sorted(row.candidates.items(), key=lambda item: (item[0] != FITS, item[0]))
    return [
        ConsideredAgent(agent, names.get(agent, ""), verdict, busy, room)
        for verdict, group in by_verdict
        for agent, busy, room in group
    ]
