"""Django's admin, with Tandem's own site in place of the default one; the checks of the settings come along."""

from __future__ import annotations

from django.contrib.admin.apps import AdminConfig


class TandemAdminConfig(AdminConfig):
    default_site = "config.admin.Site"

    def ready(self) -> None:
        super().ready()
        from config import checks  # noqa: F401 – registers them
