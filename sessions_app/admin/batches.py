"""Batches of messages in the admin. Read-only."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from agents_app.admin.base import OwnRelatedFilter, ReadOnly, TandemAdmin, json_field, moment
from sessions_app.admin import agents, assignment, saved_views, service_levels  # noqa: F401 – register their models
from sessions_app.models import (
    Batch,
)


@admin.register(Batch)
class BatchAdmin(ReadOnly, TandemAdmin):
    tenant_path = "tenant"
    created = moment("created_at", _("created"))
    list_display = ("id", "tenant", "client", "state", "size", "line", "created")
    list_filter = (("tenant", OwnRelatedFilter), "state", ("client", OwnRelatedFilter))
    list_select_related = ("tenant", "client")
    search_fields = ("id__exact",)
    search_help_text = _("A batch’s number.")
    ordering = ("-id",)
    result = json_field("counts", _("counts"))
    rejected = json_field("rejections", _("rejected rows"))
    fieldsets = (
        (None, {"fields": (("state", "client", "tenant"), ("size", "position", "line"), ("failures", "error"))}),
        (_("Result"), {"fields": ("result", "rejected")}),
        (_("Times"), {"fields": (("created_at", "started_at", "ended_at"),)}),
    )
    readonly_fields = ("result", "rejected")
