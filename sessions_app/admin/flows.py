"""Guided flows in the admin. Read-only."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from agents_app.admin.base import OwnRelatedFilter, ReadOnly, TandemAdmin, json_field, moment
from sessions_app.admin import agents, assignment, saved_views, service_levels  # noqa: F401 – register their models
from sessions_app.models import (
    GuidedFlow,
)


@admin.register(GuidedFlow)
class GuidedFlowAdmin(ReadOnly, TandemAdmin):
    tenant_path = "tenant"
    expires = moment("expires_at", _("expires"))
    changed = moment("updated_at", _("changed"))
    list_display = ("trigger_id", "tenant", "conversation", "client", "status_label", "expires", "changed")
    list_filter = (("tenant", OwnRelatedFilter), "status", ("client", OwnRelatedFilter))
    list_select_related = ("tenant", "conversation", "client")
    search_fields = ("trigger_id__exact", "conversation__id__exact", "conversation__account_id__exact")
    search_help_text = _("A whole trigger id, a conversation’s number, or a whole account.")
    ordering = ("-id",)
    missing = json_field("missing_info", _("missing information"))
    fieldsets = (
        (None, {"fields": (("trigger_id", "status", "version"), ("conversation", "client", "tenant"))}),
        (_("Question"), {"fields": ("pending_question", "missing", "answer", ("last_candidate", "last_notification"))}),
        (_("Times"), {"fields": (("lease_until", "expires_at"), ("created_at", "updated_at"), "failed_reason")}),
    )
    readonly_fields = ("missing",)

    @display(
        description=_("status"),
        ordering="status",
        label={
            "waiting_user_reply": "warning",
            "rerunning": "info",
            "ready_preview": "primary",
            "applied": "success",
            "ignored": "",
            "expired": "",
            "failed": "danger",
        },
    )
    def status_label(self, flow: GuidedFlow) -> tuple[str, str]:
        return flow.status, flow.get_status_display()
