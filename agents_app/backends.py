"""Who logs in at the desk and the admin."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.backends import ModelBackend


class WithAgent(ModelBackend):
    """Django's own, which reads the agent behind a login and the agent's tenant along with it: every page asks for them."""

    def get_user(self, user_id: Any) -> Any:
        user = get_user_model()._default_manager.select_related("agent__tenant").filter(pk=user_id).first()
        return user if user and self.user_can_authenticate(user) else None
