"""The presence log and its event: each change of an agent's presence is told once, by whoever makes it."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

from django.db import transaction

from agents_app import presence
from agents_app.actors import Actor
from agents_app.models import Agent, PresenceChange
from messaging_app import stream
from sessions_app.core import wake


def note(agent: Agent, now: datetime, actor: Actor, *, by: str = "") -> bool:
    """A line of the presence log and its event, or neither where nothing has changed. The agent's row is locked."""
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


def look_at_the_queue(agent: Agent) -> None:
    """Once it is committed: what was offered to the agent is looked at again, then what waits."""
    transaction.on_commit(partial(wake.wake, agent.tenant_id), robust=True)


def _told(line: PresenceChange) -> dict[str, Any]:
    return {
        "availability": line.availability,
        "reason": line.reason,
        "is_heard": line.is_heard,
        "max_load": line.max_load,
        "is_drained": line.is_drained,
    }
