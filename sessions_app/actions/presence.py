"""Presence: an agent's declared availability, heartbeats of agents and programs, and an agent's capacity.

Three facts that are never mixed (`agents_app.presence`). Each change is a line in the agent's presence log and an event
of the tenant's stream, both in the transaction of the change, under the agent's lock. Afterwards the queue is examined
anew: somebody may be free now, or an offer may be open to somebody who has gone.
"""

from __future__ import annotations

from django.db import transaction

from agents_app import loops, presence
from agents_app.actors import Actor, system_actor
from agents_app.models import DECLARABLE, MAX_LOAD, Agent
from config import clock, limits
from config.db import lock_rows, retried
from config.errors import Malformed, NotFound
from sessions_app.core import presence_log
from sessions_app.rights import access
from sessions_app.unit.unit_of_work import verb

LOOP = "presence"
AT_ONCE = 1000
"""Agents whose presence logs one round of the clock looks at."""


@verb
def declare_availability(*, actor: Actor, availability: str, reason: str = "", agent_id: int | None = None) -> Agent:
    """Set whether an agent takes work, with a reason on record. Supervisors set it for others too (`agent_id`).

    An agent who stops being available keeps what they serve; what was only offered goes to somebody else at once.
    Raises `Malformed` for a value that is none of `DECLARABLE`, `Forbidden`, `NotFound`.
    """
    values = [value for value, _ in DECLARABLE]
    if availability not in values:
        raise Malformed(f"Unknown availability {availability!r}; use one of {', '.join(values)}.")
    if agent_id is None and not actor.is_agent:
        raise NotFound("Only agents have an availability.")
    is_own = actor.is_agent and agent_id in (None, actor.id)
    if not is_own:
        access.must_be_supervisor(actor)
    with transaction.atomic():
        agent = _locked(actor, actor.pk if agent_id is None else agent_id)
        now = clock.now()
        if (agent.availability, agent.availability_reason) != (
            availability,
            reason.strip()[: limits.MAX_AVAILABILITY_REASON],
        ):
            agent.availability, agent.availability_reason = (
                availability,
                reason.strip()[: limits.MAX_AVAILABILITY_REASON],
            )
            agent.availability_since = now
        agent.offers_ignored = 0
        if is_own:
            agent.last_seen_at, agent.is_heard = now, True
        agent.save(
            update_fields=[
                "availability",
                "availability_reason",
                "availability_since",
                "last_seen_at",
                "is_heard",
                "offers_ignored",
            ]
        )
        presence_log.note(agent, now, actor)
        presence_log.wake_drain_after_commit(agent)
    return agent


@verb
def change_capacity(*, actor: Actor, agent_id: int, max_load: int) -> Agent:
    """Set how many live sessions an agent takes on at once; supervisors only. A lower number ends none.

    Raises `Malformed`, `Forbidden`, `NotFound`.
    """
    access.must_be_supervisor(actor)
    if not 0 <= max_load <= MAX_LOAD:
        raise Malformed(f"max_load must be a whole number from 0 to {MAX_LOAD}.")
    with transaction.atomic():
        agent = _locked(actor, agent_id)
        agent.max_load = max_load
        agent.save(update_fields=["max_load"])
        presence_log.note(agent, clock.now(), actor)
        presence_log.wake_drain_after_commit(agent)
    return agent


@retried
def heartbeat(*, actor: Actor) -> None:
    """Record a heartbeat of an agent or program. An agent who was away may get offers again. Raises `Forbidden`."""
    if presence.record_heartbeat(actor=actor):
        _came_back(actor)


@retried
def _came_back(actor: Actor) -> None:
    """Does nothing for an agent dismissed meanwhile; of two heartbeats at once only the first is noted."""
    with transaction.atomic():
        active = Agent.objects.filter(pk=actor.pk, tenant_id=actor.tenant_id, is_active=True)
        agent: Agent | None = lock_rows(active).first()
        if agent is None:
            return
        now = clock.now()
        agent.last_seen_at, agent.is_heard = now, True
        agent.save(update_fields=["last_seen_at", "is_heard"])
        presence_log.note(agent, now, actor, by="heartbeat")
        presence_log.wake_drain_after_commit(agent)


def note_changes() -> int:
    """For the clock: note agents who fell silent, and changes made without a verb. Returns how many changes."""
    tried = presence.unnoted(clock.now()).filter(loops.not_put_off(LOOP, "pk"))
    return sum(loops.each(LOOP, tried.order_by("pk").values_list("tenant_id", "pk")[:AT_ONCE], _noted))


@retried
def _noted(tenant_id: int, agent_id: int) -> bool:
    with transaction.atomic():
        agent: Agent | None = lock_rows(Agent.objects.filter(pk=agent_id)).first()
        return agent is not None and presence_log.note(agent, clock.now(), system_actor(tenant_id), by="clock")


def _locked(actor: Actor, agent_id: int) -> Agent:
    agent: Agent | None = lock_rows(
        Agent.objects.filter(pk=agent_id, tenant_id=actor.tenant_id, is_active=True)
    ).first()
    if agent is None:
        raise NotFound("There is no such agent.")
    return agent
