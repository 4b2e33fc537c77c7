"""Django's admin with Tandem's own site, and the registration of the checks of the settings.

`ready` runs in every process once the apps are loaded, so it ends the process if DIRECTORY names no usable class.
"""

from __future__ import annotations

from django.conf import settings
from django.contrib.admin import autodiscover
from django.contrib.admin.apps import SimpleAdminConfig

from config.consistency import directory_problem
from config.environment import refuse


class TandemAdminConfig(SimpleAdminConfig):
    default_site = "config.admin.Site"

    def ready(self) -> None:
        super().ready()
        if settings.PAGES:  # otherwise `config.urls` loads it, should somebody ask for a page
            autodiscover()
        from config import checks  # noqa: F401 – registers them

        if problem := directory_problem(settings.DIRECTORY):
            refuse([problem])
