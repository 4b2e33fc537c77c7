from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class SessionsConfig(AppConfig):
    name = "sessions_app"
    verbose_name = _("Turns")

    def ready(self) -> None:
        """Let participants' tokens and sockets end with the participation, and the drain run what the sweep does."""
        from agents_app.credentials import tokens
        from sessions_app.actions import sweep
        from sessions_app.core import wake
        from sessions_app.queries import guest

        tokens.revokes(guest.ended)
        wake.set_work(sweep.settle_offers_and_drain)
