"""Transfers in the admin. Read-only."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from agents_app.admin.base import OwnRelatedFilter, ReadOnly, TandemAdmin, json_field, moment
from messaging_app.admin.conversations import NewestInline
from sessions_app.admin import agents, assignment, saved_views, service_levels  # noqa: F401 – register their models
from sessions_app.admin.status_labels import StatusLabel
from sessions_app.models import (
    Transfer,
)


@admin.register(Transfer)
class TransferAdmin(StatusLabel, ReadOnly, TandemAdmin):
    tenant_path = "tenant"
    requested = moment("requested_at", _("requested"))
    ended = moment("ended_at", _("ended"))
    list_display = (
        "id",
        "tenant",
        "conversation",
        "kind",
        "status_label",
        "sender",
        "recipient",
        "accepted_by",
        "requested",
        "ended",
    )
    list_display_links = ("id", "conversation")
    list_filter = (("tenant", OwnRelatedFilter), "status", "kind", ("to_team", OwnRelatedFilter), "is_override")
    list_select_related = ("tenant", "conversation", "to_team", "to_agent", "accepted_by")
    list_fullwidth = True
    search_fields = ("id__exact", "session__id__exact", "conversation__id__exact", "conversation__account_id__exact")
    search_help_text = _("The number of a transfer, session or conversation, or a whole account.")
    date_hierarchy = "requested_at"
    ordering = ("-id",)
    show_full_result_count = False
    package = json_field("context", _("context package"))
    refusals = json_field("refused_by", _("refused by"))
    fieldsets = (
        (None, {"fields": (("conversation", "session", "tenant"), ("kind", "status", "is_override"))}),
        (
            _("From and to"),
            {
                "fields": (
                    ("from_kind", "from_name", "from_id"),
                    ("to_team", "to_agent", "accepted_by"),
                    ("offered_to", "offer_expires_at"),
                    ("offer_round", "next_round_at"),
                    "refusals",
                )
            },
        ),
        (_("Why"), {"fields": (("trigger", "reason"), "end_reason", "package")}),
        (
            _("Times"),
            {"fields": (("requested_at", "waiting_since", "asked_again"), ("opens_at", "deadline", "ended_at"))},
        ),
    )
    readonly_fields = ("package", "refusals")

    @display(description=_("from"))
    def sender(self, transfer: Transfer) -> str:
        return transfer.from_name or transfer.from_kind or "–"

    @display(description=_("to"))
    def recipient(self, transfer: Transfer) -> str:
        return str(transfer.to_agent or transfer.to_team or "–")


class TransferInline(NewestInline):
    model = Transfer
    verbose_name_plural = _("newest transfers")
    select_related = ("to_team", "to_agent", "accepted_by")
    requested = moment("requested_at", _("requested"))
    ended = moment("ended_at", _("ended"))
    fields = ("page", "kind", "status", "from_name", "to_team", "to_agent", "accepted_by", "requested", "ended")
    ordering = ("-id",)
