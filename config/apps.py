"""Django's admin, with Tandem's own site in place of the default one."""

from __future__ import annotations

from django.contrib.admin.apps import AdminConfig


class TandemAdminConfig(AdminConfig):
    default_site = "config.admin.Site"
