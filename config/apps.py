"""Django's admin, with Tandem's own site in place of the default one; the checks of the settings come along.

Here, where every process comes by once the apps are there, it ends if what a setting names is not what it has to be.
"""

from __future__ import annotations

from django.conf import settings
from django.contrib.admin.apps import AdminConfig

from config.consistency import directory_problem
from config.environment import refuse


class TandemAdminConfig(AdminConfig):
    default_site = "config.admin.Site"

    def ready(self) -> None:
        super().ready()
        from config import checks  # noqa: F401 – registers them

        if problem := directory_problem(settings.DIRECTORY):
            refuse([problem])
