"""Whose turn it is, in the admin. Nothing is written here but by two verbs, for supervisors and in their name."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display

from agents_app.actors import Actor
from agents_app.admin import OwnRelatedFilter, ReadOnly, TandemAdmin, json_field, moment
from config.errors import DomainError
from messaging_app.admin import ConversationAdmin, MessageInline, NewestInline, OperationInline
from messaging_app.models import Conversation
from sessions_app import agents_admin, assignment_admin, desk_admin, hours_admin  # noqa: F401 – register their models
from sessions_app.actions import lifecycle, people, transfers
from sessions_app.errors import NotServing
from sessions_app.models import (
    Batch,
    ChatSession,
    GuidedFlow,
    Mail,
    Participant,
    SlaClock,
    Transfer,
)
from sessions_app.reasons_admin import BySupervisors, WithReason, acting
from sessions_app.states import Derived

STATUS_COLOURS = {
    "ACTIVE": "success",
    "TRANSFERRED": "warning",
    "PENDING": "info",
    "PAUSED": "info",
    "ACCEPTED": "success",
    "DECLINED": "danger",
    "TIMED_OUT": "danger",
    "TIMEOUT": "danger",
    "COMPLETED": "",
    "CANCELLED": "",
    "WITHDRAWN": "",
}
STATES = {
    Derived.AI_HANDLING: _("bot is speaking"),
    Derived.QUEUED: _("waiting for a human"),
    Derived.SERVING: _("a human is serving"),
    Derived.WAITING: _("paused or not begun"),
    Derived.RESOLVED: _("ended"),
}
STATE_COLOURS = {"ai_handling": "primary", "queued": "danger", "serving": "success", "waiting": "info", "resolved": ""}


class StatusLabel:
    @display(description=_("status"), ordering="status", label=STATUS_COLOURS)
    def status_label(self, row: Any) -> tuple[str, str]:
        return row.status, row.get_status_display()


# --- Sessions ----------------------------------------------------------------------------------------------------


@admin.register(ChatSession)
class ChatSessionAdmin(StatusLabel, WithReason, BySupervisors, ReadOnly, TandemAdmin):
    tenant_path = "tenant"
    opened = moment("opened_at", _("opened"))
    list_display = (
        "id",
        "tenant",
        "conversation",
        "kind",
        "state_label",
        "status_label",
        "owner",
        "priority",
        "opened",
    )
    list_display_links = ("id", "conversation")
    list_filter = (("tenant", OwnRelatedFilter), "status", "kind", "owner_kind", ("agent", OwnRelatedFilter), "origin")
    list_select_related = ("tenant", "conversation", "agent", "bot")
    list_fullwidth = True
    search_fields = ("id__exact", "conversation__id__exact", "conversation__account_id__exact")
    search_help_text = _("The number of a session or conversation, or a whole account.")
    date_hierarchy = "opened_at"
    ordering = ("-id",)
    show_full_result_count = False
    actions = ("cancel", "put_back")
    task_state = json_field("context", _("task state"))
    told = json_field("said", _("said about the work"))
    fieldsets = (
        (None, {"fields": (("conversation", "tenant", "previous"), ("kind", "task", "origin"), ("priority", "rank"))}),
        (
            _("Whose turn"),
            {
                "fields": (
                    ("status", "state", "paused_from", "on_hold"),
                    ("owner_kind", "agent", "bot"),
                    "failed_answers",
                )
            },
        ),
        (
            _("Times"),
            {
                "fields": (
                    ("opened_at", "activated_at", "last_activity_at"),
                    ("expires_at", "human_until", "ended_at"),
                    ("message_count", "first_message_at", "last_message_at"),
                )
            },
        ),
        (_("How it went"), {"fields": (("outcome", "reason"), "task_state", "told")}),
    )
    readonly_fields = ("rank", "state", "task_state", "told")

    @display(description=_("state"), label=STATE_COLOURS)
    def state_label(self, session: ChatSession) -> tuple[str, Any]:
        return session.derived.value, STATES[session.derived]

    @display(description=_("state"))
    def state(self, session: ChatSession) -> Any:
        return STATES[session.derived]

    @display(description=_("owner"))
    def owner(self, session: ChatSession) -> str:
        named = {"agent": session.agent, "bot": session.bot}.get(session.owner_kind)
        return str(named or session.owner_kind or "–")

    @action(description=_("Cancel"), permissions=["supervise"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[ChatSession]) -> HttpResponse | None:
        def verb(actor: Actor, session: ChatSession, reason: str) -> None:
            lifecycle.cancel_session(actor=actor, session_id=session.pk, reason=reason)

        return self.with_reason(request, queryset, verb, "cancel", _("Cancel these sessions"))

    @action(description=_("Put back in the queue"), permissions=["supervise"])
    def put_back(self, request: HttpRequest, queryset: QuerySet[ChatSession]) -> HttpResponse | None:
        def verb(actor: Actor, session: ChatSession, reason: str) -> None:
            if not session.is_live:
                raise NotServing
            # The agent of the page looked at: if another serves it by now, it stays where it is.
            transfers.reassign(
                actor=actor,
                conversation_id=session.conversation_id,
                reason=reason,
                from_agent_id=session.agent_id or 0,
            )

        return self.with_reason(request, queryset, verb, "put_back", _("Put these sessions back in the queue"))


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
        """Each participant stands for itself. The new link is in the notice only."""
        done = 0
        for participant in queryset:
            try:
                people.send_notice_again(
                    actor=acting(request), conversation_id=participant.conversation_id, participant_id=participant.pk
                )
            except DomainError as error:
                said = gettext("%(name)s: %(why)s") % {"name": participant.name, "why": error}
                self.message_user(request, said, messages.WARNING)
            else:
                done += 1
        if done:
            said = ngettext("%(count)s notice is on its way.", "%(count)s notices are on their way.", done)
            self.message_user(request, said % {"count": done}, messages.SUCCESS)


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


# --- Conversations, with whose turn it was -----------------------------------------------------------------------


class SessionInline(NewestInline):
    model = ChatSession
    verbose_name_plural = _("newest sessions")
    select_related = ("agent", "bot")
    opened = moment("opened_at", _("opened"))
    ended = moment("ended_at", _("ended"))
    fields = ("page", "kind", "status", "owner_kind", "agent", "bot", "opened", "ended", "outcome")
    ordering = ("-id",)


class TransferInline(NewestInline):
    model = Transfer
    verbose_name_plural = _("newest transfers")
    select_related = ("to_team", "to_agent", "accepted_by")
    requested = moment("requested_at", _("requested"))
    ended = moment("ended_at", _("ended"))
    fields = ("page", "kind", "status", "from_name", "to_team", "to_agent", "accepted_by", "requested", "ended")
    ordering = ("-id",)


@admin.register(Conversation)
class TurnConversationAdmin(ConversationAdmin):
    inlines = (MessageInline, SessionInline, TransferInline, OperationInline)

    def related(self, conversation: Conversation) -> list[tuple[Any, dict[str, Any]]]:
        of_it = {"conversation__id": conversation.pk}
        more = [(model, of_it) for model in (ChatSession, Transfer, Participant, GuidedFlow, SlaClock, Mail)]
        return super().related(conversation) + more


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
