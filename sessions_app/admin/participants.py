"""Participants in the admin: read-only, but for sending an invitation again."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display

from agents_app.admin.base import OwnRelatedFilter, ReadOnly, TandemAdmin, moment
from config.errors import DomainError
from sessions_app.actions import participants
from sessions_app.admin import agents, assignment, saved_views, service_levels  # noqa: F401 – register their models
from sessions_app.admin.reasons import BySupervisors, acting
from sessions_app.models import (
    Participant,
)


@admin.register(Participant)
class ParticipantAdmin(BySupervisors, ReadOnly, TandemAdmin):
    tenant_path = "tenant"
    actions = ("send_again",)
    invited = moment("invited_at", _("invited"))
    ended = moment("ended_at", _("left"))
    list_display = (
        "name",
        "tenant",
        "conversation",
        "role",
        "status_label",
        "notice_label",
        "invited_by",
        "invited",
        "ended",
    )
    list_filter = (("tenant", OwnRelatedFilter), "status", "notice_status", "role", ("agent", OwnRelatedFilter))
    list_select_related = ("tenant", "conversation")
    search_fields = ("name__startswith", "conversation__id__exact", "conversation__account_id__exact")
    ordering = ("-id",)
    fieldsets = (
        (None, {"fields": (("name", "role", "status"), ("agent", "contact"), ("conversation", "tenant"))}),
        (
            _("Notice"),
            {"fields": (("notice_status", "notice_error"), ("notice_attempts", "notice_sent_at", "notice_due_at"))},
        ),
        (_("History shared"), {"fields": (("history", "history_count", "history_from_seq"),)}),
        (_("Times"), {"fields": (("invited_by", "invited_at"), ("joined_at", "ended_at"))}),
    )

    @display(
        description=_("status"),
        ordering="status",
        label={"invited": "info", "joined": "success", "left": "", "removed": "danger"},
    )
    def status_label(self, participant: Participant) -> tuple[str, str]:
        return participant.status, participant.get_status_display()

    @display(
        description=_("notice"),
        ordering="notice_status",
        label={"waiting": "info", "sent": "success", "failed": "danger", "": ""},
    )
    def notice_label(self, participant: Participant) -> tuple[str, str]:
        return participant.notice_status, participant.notice_status or "–"

    @action(description=_("Send the notice again, with a new link"), permissions=["supervise"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[Participant]) -> None:
        """A refusal for one participant stops no other. The new link is in the notice only."""
        done = 0
        for participant in queryset:
            try:
                participants.send_notice_again(
                    actor=acting(request), conversation_id=participant.conversation_id, participant_id=participant.pk
                )
            except DomainError as error:
                text = gettext("%(name)s: %(why)s") % {"name": participant.name, "why": error}
                self.message_user(request, text, messages.WARNING)
            else:
                done += 1
        if done:
            text = ngettext("%(count)s notice is on its way.", "%(count)s notices are on their way.", done)
            self.message_user(request, text % {"count": done}, messages.SUCCESS)
