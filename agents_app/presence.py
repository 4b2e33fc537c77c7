"""Presence: what an agent declared, and when the last heartbeat came. Capacity is the third fact: see `Agent`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F, OuterRef, Q, QuerySet, Subquery

from agents_app.actors import Actor, ActorKind
from agents_app.models import Agent, ApiClient, PresenceChange
from config import clock, limits
from config.errors import Forbidden


def record_heartbeat(*, actor: Actor) -> bool:
    """Record that an agent or an API client is there. It says nothing of availability: a background tab sends it too.

    True for an agent who counts as away: then nothing is written here, because the return is a change of presence. Call
    `sessions_app.actions.presence.heartbeat`, which does both. Raises `Forbidden` for any other actor.
    """
    if actor.kind not in (ActorKind.AGENT, ActorKind.BOT, ActorKind.INTEGRATOR):
        raise Forbidden("Only agents and programs are waited for.")
    now = clock.now()
    if not actor.is_agent:
        ApiClient.objects.filter(pk=actor.pk, tenant_id=actor.tenant_id).update(last_seen_at=now)
        return False
    agents = Agent.objects.filter(pk=actor.pk, tenant_id=actor.tenant_id, is_active=True)
    return not agents.filter(is_heard=True).update(last_seen_at=now) and agents.exists()


# --- The presence log ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Change:
    """A new line of an agent's presence log, and the one before it, None for the first."""

    line: PresenceChange
    before: PresenceChange | None


def note(agent: Agent, at: datetime, *, by: str) -> Change | None:
    """Write a line if a fact has changed since the last one, else return None. The caller holds the agent's lock.

    Whether the agent is online is decided here, by `last_seen_at`, whatever the call was for.
    """
    if agent.is_heard != (is_heard := _is_online(agent, at)):
        agent.is_heard = is_heard
        agent.save(update_fields=["is_heard"])
    last = agent.presence_changes.order_by("-at", "-pk").first()
    if last is not None and _facts(last) == _facts(agent):
        return None
    line = PresenceChange.objects.create(
        tenant_id=agent.tenant_id,
        agent=agent,
        at=at,
        availability=agent.availability,
        reason=agent.availability_reason,
        is_heard=agent.is_heard,
        max_load=agent.max_load,
        is_drained=agent.is_drained,
        by=by[: limits.MAX_NAME],
    )
    return Change(line, last)


def _facts(row: Agent | PresenceChange) -> tuple[str, str, bool, int, bool]:
    reason = row.availability_reason if isinstance(row, Agent) else row.reason
    return row.availability, reason, row.is_heard, row.max_load, row.is_drained


def unnoted(now: datetime) -> QuerySet[Agent]:
    """Agents whose presence log lacks a line: they went or came online, or a fact was changed without a verb."""
    newest = PresenceChange.objects.filter(agent=OuterRef("pk")).order_by("-at", "-pk")
    last_facts = {
        name: Subquery(newest.values(name)[:1])
        for name in ("availability", "reason", "is_heard", "max_load", "is_drained")
    }
    noted = Agent.objects.annotate(**{f"noted_{name}": value for name, value in last_facts.items()})
    same = Q(
        availability=F("noted_availability"),
        availability_reason=F("noted_reason"),
        is_heard=F("noted_is_heard"),
        max_load=F("noted_max_load"),
        is_drained=F("noted_is_drained"),
    )
    seen = Q(last_seen_at__gte=_online_since(now))
    silent = Q(last_seen_at=None) | Q(last_seen_at__lt=_online_since(now))
    return noted.filter(Q(noted_availability=None) | ~same | Q(silent, is_heard=True) | Q(seen, is_heard=False))


# --- Who is there ------------------------------------------------------------------------------------------------


def _online_since(now: datetime) -> datetime:
    return now - timedelta(seconds=settings.TANDEM["AGENT_AWAY_AFTER"])


def _is_online(agent: Agent, now: datetime) -> bool:
    return agent.last_seen_at is not None and agent.last_seen_at >= _online_since(now)


def is_alive(client: ApiClient, now: datetime | None = None) -> bool:
    """Whether a program can be given work: it is active and, if it promises heartbeats, its last one is recent."""
    if not client.is_active:
        return False
    if not client.heartbeat_timeout:
        return True
    since = (now or clock.now()) - timedelta(seconds=client.heartbeat_timeout)
    return client.last_seen_at is not None and client.last_seen_at >= since


def dead(now: datetime) -> list[int]:
    """The ids of the programs that `is_alive` refuses: it alone decides, of those that can be dead at all."""
    mortal = ApiClient.objects.filter(Q(is_active=False) | Q(heartbeat_timeout__gt=0))
    return [client.pk for client in mortal if not is_alive(client, now)]


def reachable(now: datetime) -> QuerySet[Agent]:
    """Agents who declared themselves available and sent a heartbeat within AGENT_AWAY_AFTER."""
    return Agent.objects.filter(
        is_active=True, availability=Agent.Availability.AVAILABLE, last_seen_at__gte=_online_since(now)
    )


def takes_work(now: datetime) -> QuerySet[Agent]:
    """The reachable agents who may be offered something new: those who are not drained."""
    return reachable(now).filter(is_drained=False)


def is_reachable(agent: Agent, now: datetime) -> bool:
    """As `reachable`, for one agent whose row is at hand."""
    return agent.is_active and agent.availability == Agent.Availability.AVAILABLE and _is_online(agent, now)


def gone_since(now: datetime) -> datetime:
    """Agents without a heartbeat since then are gone: their sessions must go to somebody else (rule C5)."""
    return now - timedelta(seconds=settings.TANDEM["AGENT_GONE_AFTER"])


def is_stale(agent: Agent, now: datetime) -> bool:
    """Whether the last heartbeat is older than `gone_since`; False for an agent who never sent one.

    Since when such an agent counts as gone, their sessions know (`sessions_app.actions.silence`).
    """
    return agent.last_seen_at is not None and agent.last_seen_at < gone_since(now)
