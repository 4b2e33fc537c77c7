"""Which of two people may do more: nobody takes over, or ends, a login that is stronger than their own."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Permission
from django.db.models import Q

from agents_app.models import Agent

_RANKS = {Agent.Role.AGENT: 0, Agent.Role.SUPERVISOR: 1, Agent.Role.ADMIN: 2}


def outranks(user: Any, than: Any) -> bool:
    """Whether a login has a permission in the admin that `than` has not; `than` is None for somebody without a login.

    Its permissions are read from their rows, because Django says that a deactivated login has none; it may be activated
    again.
    """
    if than is not None and than.is_superuser:
        return False
    if user.is_superuser:
        return True
    granted = Permission.objects.filter(Q(user=user) | Q(group__user=user)).values_list(
        "content_type__app_label", "codename"
    )
    others = than.get_all_permissions() if than is not None else frozenset()
    return any(f"{app}.{codename}" not in others for app, codename in granted)


def is_stronger(agent: Agent, than: Agent) -> bool:
    """Whether an agent has a higher role than another, or a login that may do more."""
    if _RANKS.get(Agent.Role(agent.role), 0) > _RANKS.get(Agent.Role(than.role), 0):
        return not (than.user and than.user.is_superuser)
    return agent.user is not None and outranks(agent.user, than.user)
