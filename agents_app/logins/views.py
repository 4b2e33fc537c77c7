"""Logging in: Django's own views, with the demo's logins where the try-it page is switched on."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model, views

DEMO_USERS = ("maya", "jun", "sam")
# It stands in the README too; only `loadsample` makes logins that have it.
DEMO_PASSWORD = "demo"  # noqa: S105  # nosec B105


def demo_logins() -> list[dict[str, str]]:
    """The demo's logins that exist, with their roles; none outside development and demonstration."""
    if not settings.TRY_IT:
        return []
    users = get_user_model().objects.filter(username__in=DEMO_USERS, is_active=True).select_related("agent")
    logins = {
        user.get_username(): {
            "username": user.get_username(),
            "name": agent.name if (agent := getattr(user, "agent", None)) else user.get_username(),
            "role": str(agent.get_role_display()) if agent else "",
        }
        for user in users
    }
    return [logins[name] for name in DEMO_USERS if name in logins]


class LoginView(views.LoginView):
    redirect_authenticated_user = True

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        more = {"demo_logins": demo_logins(), "demo_password": DEMO_PASSWORD, "try_it": settings.TRY_IT}
        return super().get_context_data(**kwargs) | more
