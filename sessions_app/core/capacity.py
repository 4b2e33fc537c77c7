"""An agent's load: counted from the rows, never stored."""

from __future__ import annotations

from agents_app.models import Agent
from sessions_app.models import ChatSession
from sessions_app.states import LIVE, Owner


def load(agent: Agent) -> int:
    """How many live sessions the agent owns. Lock the agent's row first, or the count may change before it is used."""
    return ChatSession.objects.filter(agent=agent, owner_kind=Owner.AGENT, status__in=sorted(LIVE)).count()
