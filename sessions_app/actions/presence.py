"""Presence: what an agent declares, that an agent or program is heard of, how much an agent takes on.

Three facts that are never mixed (`agents_app.presence`). Each change is a line in the agent's time sheet and an event of
the tenant's stream, both in the transaction of the change, under the agent's lock. After it the queue is looked at anew:
somebody may be free now, or an offer may be to somebody who has gone.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from django.db import transaction

from agents_app import presence
from agents_app.actors import Actor, system_actor
from agents_app.models import MAX_LOAD, Agent, PresenceChange
from config import clock
from config.db import locked, retried
from config.errors import DomainError, Malformed, NotFound
from messaging_app import stream
from sessions_app import access
from sessions_app.shape import verb

log = logging.getLogger(__name__)


@verb
def declare_availability(*, actor: Actor, availability: str, reason: str = "", agent_id: int | None = None) -> Agent:
    """Say whether one takes work, with a reason for the record. Supervisors say it of others too (`agent_id`).

    Whoever stops being available keeps what they serve; what was only offered goes to somebody else at once.
    Raises `Malformed` for a word that is none of `Agent.Availability`, `Forbidden`, `NotFound`.
    """
    if availability not in Agent.Availability.values:
        raise Malformed(f"Unknown availability {availability!r}; use one of {', '.join(Agent.Availability.values)}.")
    if agent_id is None and not actor.is_agent:
        raise NotFound("Only agents have an availability.")
    is_own = actor.is_agent and agent_id in (None, actor.id)
    if not is_own:
        access.must_be_supervisor(actor)
    with transaction.atomic():
        agent = _locked(actor, actor.pk if agent_id is None else agent_id)
        now = clock.now()
        if (agent.availability, agent.availability_reason) != (availability, reason.strip()[:200]):
            agent.availability, agent.availability_reason = availability, reason.strip()[:200]
            agent.availability_since = now
        if is_own:
            agent.last_seen_at, agent.is_heard = now, True
        agent.save(
            update_fields=["availability", "availability_reason", "availability_since", "last_seen_at", "is_heard"]
        )
        _note(agent, now, actor)
        _look_at_the_queue(agent)
    return agent


@verb
def change_capacity(*, actor: Actor, agent_id: int, max_load: int) -> Agent:
    """How many live sessions an agent takes on at once; supervisors only. Less than what is served ends nothing.

    Raises `Malformed`, `Forbidden`, `NotFound`.
    """
    access.must_be_supervisor(actor)
    if not 0 <= max_load <= MAX_LOAD:
        raise Malformed(f"max_load must be a whole number from 0 to {MAX_LOAD}.")
    with transaction.atomic():
        agent = _locked(actor, agent_id)
        agent.max_load = max_load
        agent.save(update_fields=["max_load"])
        _note(agent, clock.now(), actor)
        _look_at_the_queue(agent)
    return agent


@retried
def heartbeat(*, actor: Actor) -> None:
    """Note that an agent or a program is there; who was thought away is looked at as free again. Raises `Forbidden`."""
    if presence.hear(actor=actor):
        _came_back(actor)


@retried
def _came_back(actor: Actor) -> None:
    """Nothing for somebody who was dismissed meanwhile; of two heartbeats at once the first has noted it."""
    with transaction.atomic():
        mine = Agent.objects.filter(pk=actor.pk, tenant_id=actor.tenant_id, is_active=True)
        agent: Agent | None = locked(mine).first()
        if agent is None:
            return
        now = clock.now()
        agent.last_seen_at, agent.is_heard = now, True
        agent.save(update_fields=["last_seen_at", "is_heard"])
        _note(agent, now, actor, by="heartbeat")
        _look_at_the_queue(agent)


def note_changes() -> int:
    """For the clock: note who has fallen silent, and what was changed past the verbs. Returns how many changes."""
    found = presence.unnoted(clock.now()).order_by("pk").values_list("tenant_id", "pk")
    return sum(_noted(tenant_id, agent_id) for tenant_id, agent_id in list(found))


def _noted(tenant_id: int, agent_id: int) -> bool:
    """One failure stops no other."""
    try:
        return _looked_at(tenant_id, agent_id)
    except DomainError as error:
        log.warning("the presence of agent %s could not be noted: %s; the next round tries again", agent_id, error)
        return False


@retried
def _looked_at(tenant_id: int, agent_id: int) -> bool:
    with transaction.atomic():
        agent: Agent | None = locked(Agent.objects.filter(pk=agent_id)).first()
        return agent is not None and _note(agent, clock.now(), system_actor(tenant_id), by="clock")


def _note(agent: Agent, now: datetime, actor: Actor, *, by: str = "") -> bool:
    """A line of the time sheet and its event, or neither where nothing has changed. The agent's row is locked."""
    change = presence.note(agent, now, by=by or actor.name)
    if change is None:
        return False
    stream.record(
        agent.tenant_id,
        actor=actor,
        type="agent.presence",
        at=now,
        data={
            "agent_id": agent.pk,
            "name": agent.name,
            **_told(change.line),
            "is_reachable": presence.is_reachable(agent, now),
            "before": _told(change.before) if change.before else None,
        },
    )
    return True


def _told(line: PresenceChange) -> dict[str, Any]:
    return {
        "availability": line.availability,
        "reason": line.reason,
        "is_heard": line.is_heard,
        "max_load": line.max_load,
    }


def _locked(actor: Actor, agent_id: int) -> Agent:
    agent: Agent | None = locked(Agent.objects.filter(pk=agent_id, tenant_id=actor.tenant_id, is_active=True)).first()
    if agent is None:
        raise NotFound("There is no such agent.")
    return agent


def _look_at_the_queue(agent: Agent) -> None:
    from sessions_app import sweep  # it takes conversations by verbs

    transaction.on_commit(lambda: sweep.agent_changed(agent.tenant_id, agent.pk), robust=True)
