from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class SessionsConfig(AppConfig):
    name = "sessions_app"
    verbose_name = _("Turns")

    def ready(self) -> None:
        """Participants' tokens and sockets end with the participation; whoever makes room wakes the drain."""
        from agents_app import tokens
        from sessions_app import guests, sweep, wake

        tokens.revokes(guests.ended)
        wake.calls(sweep.look)
