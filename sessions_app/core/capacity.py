"""How much an agent serves now: counted from the rows, never kept."""

from __future__ import annotations

from agents_app.models import Agent
from sessions_app.models import ChatSession
from sessions_app.states import LIVE, Owner


def load(agent: Agent) -> int:
    """An agent's load: live sessions owned, counted, never a counter that drifts. Lock the agent's row first."""
    return ChatSession.objects.filter(agent=agent, owner_kind=Owner.AGENT, status__in=sorted(LIVE)).count()
