"""The presence log and its event: each change of an agent's presence is recorded once, by whoever makes it."""

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
    """Record a change of presence in the log and as an event; False, and neither, if nothing has changed.

    The caller has locked the agent's row.
    """
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
            **_event_data(change.line),
            "is_reachable": presence.is_reachable(agent, now),
            "before": _event_data(change.before) if change.before else None,
        },
    )
    return True


def wake_drain_after_commit(agent: Agent) -> None:
    """Wake the drain after the commit: it checks what was offered to the agent, then what waits."""
    transaction.on_commit(partial(wake.wake, agent.tenant_id), robust=True)


def _event_data(line: PresenceChange) -> dict[str, Any]:
    return {
        "availability": line.availability,
        "reason": line.reason,
        "is_heard": line.is_heard,
        "max_load": line.max_load,
        "is_drained": line.is_drained,
    }
