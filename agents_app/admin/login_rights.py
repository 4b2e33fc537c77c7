"""Who may change whose login in the admin."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.http import HttpRequest

from agents_app.actors import agent_actor
from agents_app.admin.base import agent_of, is_supervisor
from agents_app.logins import ranks
from agents_app.models import (
    Agent,
)


def roles_are_fixed(request: HttpRequest) -> bool:
    """Whether this user may not change roles: only superusers and supervisors may."""
    return not (request.user.is_superuser or is_supervisor(request))


def outranks(user: User, request: HttpRequest) -> bool:
    """Whether a login has rights that this user has not, and would get by setting its password."""
    if request.user.is_superuser:
        return False
    return leads(getattr(user, "agent", None), request) or ranks.outranks(user, request.user)


def leads(agent: Agent | None, request: HttpRequest) -> bool:
    """Whether an agent is a supervisor, also one who has left, and this user may not change roles."""
    return agent is not None and agent_actor(agent).is_supervisor and roles_are_fixed(request)


def may_dismiss(request: HttpRequest, agent: Agent) -> bool:
    """Supervisors and superusers may; nobody may dismiss themselves, nor somebody with more rights."""
    own = agent_of(request)
    if own == agent or roles_are_fixed(request):
        return False
    if agent.user is not None and outranks(agent.user, request):
        return False
    return bool(own is None or request.user.is_superuser or not ranks.is_stronger(agent, own))
