"""Webhooks in the admin: how they fare, and what was sent. Read-only, but for sending again."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import F, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display
from unfold.paginator import InfinitePaginator

from agents_app.actors import agent_actor
from agents_app.admin.base import OwnRelatedFilter, ReadOnly, TandemAdmin, agent_of, json_field, moment
from agents_app.models import Agent
from config.errors import DomainError
from messaging_app.models import WebhookDelivery, WebhookEndpoint
from messaging_app.webhooks import endpoints


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(ReadOnly, TandemAdmin):
    """Made and changed by the API. The secrets are on no page."""

    tenant_path = "tenant"
    succeeded = moment("last_success_at", _("last success"))
    since = moment("failing_since", _("failing since"))
    list_display = ("__str__", "tenant", "owner", "state_label", "succeeded", "since", "behind")
    list_filter = (("tenant", OwnRelatedFilter), ("owner", OwnRelatedFilter), "is_enabled")
    list_select_related = ("tenant", "owner", "tenant__streamhead")
    list_fullwidth = True
    search_fields = ("url__contains", "description__contains", "owner__name__startswith")
    search_help_text = _("A part of the address or description, or the beginning of a program’s name.")
    wanted = json_field("types", _("types of events"))
    history = json_field("changes", _("changes"))
    fieldsets = (
        (None, {"fields": ("url", ("description", "owner", "tenant"), "wanted")}),
        (
            _("State"),
            {
                "fields": (
                    ("is_enabled", "disabled_reason"),
                    ("last_success_at", "failing_since", "not_before"),
                    ("pos", "old_secret_until"),
                )
            },
        ),
        (_("Record"), {"fields": (("created_at", "deleted_at"), "history")}),
    )
    readonly_fields = ("wanted", "history", "old_secret_until")

    @display(
        description=_("state"),
        ordering="is_enabled",
        label={"working": "success", "failing": "warning", "disabled": "danger", "deleted": ""},
    )
    def state_label(self, endpoint: WebhookEndpoint) -> tuple[str, Any]:
        if endpoint.deleted_at:
            return "deleted", _("deleted")
        if not endpoint.is_enabled:
            return "disabled", _("not in use")
        return ("failing", _("failing")) if endpoint.failing_since else ("working", _("working"))

    @display(description=_("events behind"), ordering=F("tenant__streamhead__pos") - F("pos"))
    def behind(self, endpoint: WebhookEndpoint) -> int:
        """How far its cursor is from the end of the stream. If it stays large, no process sends webhooks."""
        head = getattr(endpoint.tenant, "streamhead", None)
        return max(0, head.pos - endpoint.pos) if head else 0


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnly, TandemAdmin):
    tenant_path = "tenant"
    created = moment("created_at", _("created"))
    following = moment("next_attempt_at", _("next attempt"))
    list_display = (
        "event_id",
        "tenant",
        "endpoint",
        "type",
        "status_label",
        "attempts",
        "following",
        "last_code",
        "last_error",
        "created",
    )
    list_filter = (("tenant", OwnRelatedFilter), "status", ("endpoint", OwnRelatedFilter))
    list_select_related = ("tenant", "endpoint")
    list_fullwidth = True
    search_fields = ("event_id__exact", "endpoint__id__exact", "endpoint__url__exact")
    search_help_text = _("An event’s id, the number of a webhook, or its whole address.")
    ordering = ("-id",)
    show_full_result_count = False
    paginator = InfinitePaginator
    actions = ("send_again",)
    attempted = json_field("log", _("attempts"))
    fieldsets = (
        (None, {"fields": (("event_id", "type", "pos"), ("endpoint", "tenant"))}),
        (_("State"), {"fields": (("status", "attempts", "next_attempt_at"), ("last_code", "last_error"))}),
        (_("Record"), {"fields": ("created_at", "attempted")}),
    )
    readonly_fields = ("attempted",)

    @display(
        description=_("status"),
        ordering="status",
        label={"pending": "info", "delivered": "success", "failed": "danger"},
    )
    def status_label(self, delivery: WebhookDelivery) -> tuple[str, str]:
        return delivery.status, delivery.get_status_display()

    def has_administer_permission(self, request: HttpRequest) -> bool:
        """Administrators act in their own name; a superuser without an agent has none to act in."""
        agent = agent_of(request)
        return agent is not None and agent.is_active and agent.role == Agent.Role.ADMIN

    @action(description=_("Send again"), permissions=["administer"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[WebhookDelivery]) -> None:
        agent = agent_of(request)
        assert agent is not None
        done = 0
        for delivery in queryset:
            try:
                endpoints.replay(actor=agent_actor(agent), delivery_id=delivery.pk)
            except DomainError as error:
                text = gettext("%(event)s: %(why)s") % {"event": delivery.event_id, "why": error}
                self.message_user(request, text, messages.WARNING)
            else:
                done += 1
        if done:
            text = ngettext("%(count)s delivery is sent again.", "%(count)s deliveries are sent again.", done)
            self.message_user(request, text % {"count": done}, messages.SUCCESS)
