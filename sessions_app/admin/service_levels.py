"""Service level clocks and e-mails after hours, in the admin. Read-only, but for sending an e-mail again."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display

from agents_app.actors import agent_actor
from agents_app.admin.base import OwnRelatedFilter, ReadOnly, TandemAdmin, agent_of, is_supervisor, moment
from config.errors import DomainError
from sessions_app.actions import mails
from sessions_app.models import Mail, SlaClock


@admin.register(SlaClock)
class SlaClockAdmin(ReadOnly, TandemAdmin):
    tenant_path = "tenant"
    started = moment("started_at", _("started"))
    due = moment("due_at", _("due"))
    ended = moment("ended_at", _("ended"))
    list_display = ("id", "tenant", "conversation", "kind", "state_label", "target", "spent", "started", "due", "ended")
    list_display_links = ("id", "conversation")
    list_filter = (("tenant", OwnRelatedFilter), "kind", "state", ("policy", OwnRelatedFilter))
    list_select_related = ("tenant", "conversation")
    list_fullwidth = True
    search_fields = ("session__id__exact", "conversation__id__exact", "conversation__account_id__exact")
    search_help_text = _("The number of a session or conversation, or a whole account.")
    ordering = ("-id",)
    show_full_result_count = False
    fieldsets = (
        (None, {"fields": (("conversation", "session", "tenant"), ("kind", "state", "awaits_customer"))}),
        (_("Promise"), {"fields": (("policy", "calendar"), ("target", "warn_after", "spent"))}),
        (
            _("Times"),
            {
                "fields": (
                    ("started_at", "running_since", "paused_at"),
                    ("due_at", "warned_at", "breached_at", "ended_at"),
                )
            },
        ),
    )

    @display(
        description=_("state"),
        ordering="state",
        label={"running": "info", "paused": "", "met": "success", "breached": "danger", "stopped": ""},
    )
    def state_label(self, clock: SlaClock) -> tuple[str, str]:
        return clock.state, clock.get_state_display()


@admin.register(Mail)
class MailAdmin(ReadOnly, TandemAdmin):
    tenant_path = "tenant"
    actions = ("send_again",)
    created = moment("created_at", _("created"))
    sent = moment("sent_at", _("sent"))
    list_display = ("id", "tenant", "conversation", "to", "status_label", "attempts", "error", "created", "sent")
    list_display_links = ("id", "conversation")
    list_filter = (("tenant", OwnRelatedFilter), "status")
    list_select_related = ("tenant", "conversation")
    search_fields = ("to__startswith", "conversation__id__exact", "conversation__account_id__exact")
    search_help_text = _("The beginning of an address, a conversation’s number, or a whole account.")
    ordering = ("-id",)
    fieldsets = (
        (None, {"fields": (("conversation", "session", "transfer", "tenant"), ("to", "status"))}),
        (_("Sending"), {"fields": (("attempts", "due_at", "error"), ("created_at", "sent_at"))}),
    )

    def has_supervise_permission(self, request: HttpRequest) -> bool:
        return is_supervisor(request)

    @display(
        description=_("status"),
        ordering="status",
        label={"waiting": "info", "sent": "success", "failed": "danger"},
    )
    def status_label(self, mail: Mail) -> tuple[str, str]:
        return mail.status, mail.get_status_display()

    @action(description=_("Send again"), permissions=["supervise"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[Mail]) -> None:
        """A refusal for one e-mail stops no other."""
        agent = agent_of(request)
        assert agent is not None
        done = 0
        for mail in queryset:
            try:
                mails.send_mail_again(actor=agent_actor(agent), conversation_id=mail.conversation_id, mail_id=mail.pk)
            except DomainError as error:
                text = gettext("E-mail %(number)s: %(why)s") % {"number": mail.pk, "why": error}
                self.message_user(request, text, messages.WARNING)
            else:
                done += 1
        if done:
            text = ngettext("%(count)s e-mail is on its way.", "%(count)s e-mails are on their way.", done)
            self.message_user(request, text % {"count": done}, messages.SUCCESS)
