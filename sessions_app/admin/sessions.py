"""Sessions and conversations in the admin. Read-only, but for two verbs that supervisors call in their own name."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display

from agents_app.actors import Actor
from agents_app.admin.base import OwnRelatedFilter, ReadOnly, TandemAdmin, json_field, moment
from messaging_app.admin.conversations import ConversationAdmin, MessageInline, NewestInline, OperationInline
from messaging_app.models import Conversation
from sessions_app.actions import lifecycle, takeovers
from sessions_app.admin import agents, assignment, saved_views, service_levels  # noqa: F401 – register their models
from sessions_app.admin.reasons import BySupervisors, WithReason
from sessions_app.admin.status_labels import StatusLabel
from sessions_app.admin.transfers import TransferInline
from sessions_app.errors import NotServing
from sessions_app.models import (
    ChatSession,
    GuidedFlow,
    Mail,
    Participant,
    SlaClock,
    Transfer,
)
from sessions_app.states import Derived

STATES = {
    Derived.AI_HANDLING: _("bot is speaking"),
    Derived.QUEUED: _("waiting for a human"),
    Derived.SERVING: _("a human is serving"),
    Derived.WAITING: _("paused or not begun"),
    Derived.RESOLVED: _("ended"),
}
STATE_COLOURS = {"ai_handling": "primary", "queued": "danger", "serving": "success", "waiting": "info", "resolved": ""}


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
        owner = {"agent": session.agent, "bot": session.bot}.get(session.owner_kind)
        return str(owner or session.owner_kind or "–")

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
            # The agent whom the page showed: if another one serves it by now, it is not moved.
            takeovers.reassign(
                actor=actor,
                conversation_id=session.conversation_id,
                reason=reason,
                from_agent_id=session.agent_id or 0,
            )

        return self.with_reason(request, queryset, verb, "put_back", _("Put these sessions back in the queue"))


# --- Conversations, with their sessions --------------------------------------------------------------------------


class SessionInline(NewestInline):
    model = ChatSession
    verbose_name_plural = _("newest sessions")
    select_related = ("agent", "bot")
    opened = moment("opened_at", _("opened"))
    ended = moment("ended_at", _("ended"))
    fields = ("page", "kind", "status", "owner_kind", "agent", "bot", "opened", "ended", "outcome")
    ordering = ("-id",)


@admin.register(Conversation)
class TurnConversationAdmin(ConversationAdmin):
    inlines = (MessageInline, SessionInline, TransferInline, OperationInline)

    def related(self, conversation: Conversation) -> list[tuple[Any, dict[str, Any]]]:
        lookup = {"conversation__id": conversation.pk}
        more = [(model, lookup) for model in (ChatSession, Transfer, Participant, GuidedFlow, SlaClock, Mail)]
        return super().related(conversation) + more
