"""The authentication backends of the desk and the admin: who may log in, and who is locked out."""

from __future__ import annotations

from typing import Any

from axes.backends import AxesStandaloneBackend
from django.contrib.auth import get_user_model
from django.contrib.auth.backends import ModelBackend

from agents_app.logins.lockout import hashing
from config.compiled_query import CompiledQuery


class NotLocked(AxesStandaloneBackend):
    """The first backend: refuses accounts and addresses that are locked out, before a password is looked at."""

    def authenticate(self, request: Any, *args: Any, **kwargs: Any) -> None:
        """A call without a request comes from a program on this machine, which is never locked out."""
        if request is not None:
            super().authenticate(request, *args, **kwargs)


class WithAgent(ModelBackend):
    """Django's own, which reads the login's agent and tenant in the same query: every page needs them."""

    def authenticate(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Raises `lockout.TooManyLogins` where too many passwords wait to be hashed already."""
        with hashing():
            return super().authenticate(request, *args, **kwargs)

    def get_user(self, user_id: Any) -> Any:
        user = next(iter(_with_agent.run(user_id=int(user_id))), None)
        return user if user and self.user_can_authenticate(user) else None


_with_agent: CompiledQuery[Any] = CompiledQuery(
    lambda user_id: get_user_model()._default_manager.select_related("agent__tenant").filter(pk=user_id)
)
