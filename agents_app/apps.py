from __future__ import annotations

from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in
from django.utils.translation import gettext_lazy as _


class AgentsConfig(AppConfig):
    name = "agents_app"
    verbose_name = _("People and programs")

    def ready(self) -> None:
        from agents_app.logins import lifetime

        user_logged_in.connect(lifetime.begin, dispatch_uid="login_sessions")
