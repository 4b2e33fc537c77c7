"""The admin's site: its content security policy, who may enter, and the sidebar."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.apps import apps
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.csp import CSP
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from django.views.decorators.csp import csp_override
from unfold.sites import UnfoldAdminSite

# The theme's scripts (Alpine) evaluate expressions in attributes, and its pages carry inline styles. No inline script,
# and nothing from elsewhere, runs here either; every page outside the admin keeps the strict policy of the settings.
ADMIN_CSP: dict[str, Any] = settings.SECURE_CSP | {
    "script-src": [CSP.SELF, CSP.UNSAFE_EVAL],
    "style-src": [CSP.SELF, CSP.UNSAFE_INLINE],
}

NAVIGATION: tuple[tuple[Any, dict[str, str]], ...] = (
    (
        _("Conversations"),
        {
            "messaging_app.Conversation": "forum",
            "messaging_app.Message": "chat_bubble",
            "messaging_app.Attachment": "attach_file",
            "messaging_app.NeedRule": "front_hand",
            "messaging_app.Operation": "history",
            "messaging_app.ReadCursor": "done_all",
            "messaging_app.StreamHead": "stream",
            "messaging_app.WebhookEndpoint": "webhook",
            "messaging_app.WebhookDelivery": "outbox",
        },
    ),
    (
        _("Turns"),
        {
            "sessions_app.ChatSession": "headset_mic",
            "sessions_app.Transfer": "swap_horiz",
            "sessions_app.AssignmentDecision": "how_to_reg",
            "sessions_app.Participant": "group_add",
            "sessions_app.GuidedFlow": "alt_route",
            "sessions_app.SlaClock": "timer",
            "sessions_app.Mail": "mail",
            "sessions_app.Batch": "upload_file",
        },
    ),
    (
        _("The desk"),
        {
            "messaging_app.CannedReply": "quickreply",
            "messaging_app.Label": "label",
            "messaging_app.ConversationLabel": "new_label",
            "messaging_app.SavedView": "filter_alt",
            "messaging_app.Mention": "alternate_email",
        },
    ),
    (
        _("People"),
        {
            "agents_app.Agent": "support_agent",
            "agents_app.Team": "groups",
            "agents_app.PresenceChange": "schedule",
            "agents_app.Calendar": "calendar_month",
            "agents_app.SlaPolicy": "speed",
            "agents_app.Department": "corporate_fare",
            "agents_app.DepartmentMember": "badge",
            "agents_app.ApiClient": "smart_toy",
            "agents_app.Tenant": "storefront",
            "agents_app.Backoff": "restart_alt",
            "auth.User": "person",
            "auth.Group": "shield_person",
        },
    ),
)
"""The sidebar: models and their icons. A model that is missing here is still on the first page."""


class Site(UnfoldAdminSite):
    def has_permission(self, request: HttpRequest) -> bool:
        """Staff only, and no agent who has left."""
        agent = getattr(request.user, "agent", None)
        return super().has_permission(request) and (agent is None or agent.is_active)

    def admin_view(self, view: Callable[..., Any], cacheable: bool = False) -> Any:
        return csp_override(ADMIN_CSP)(super().admin_view(view, cacheable))

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        response: HttpResponse = csp_override(ADMIN_CSP)(super().login)(request, extra_context)
        return response

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """The old password is a password too: whoever guesses it is locked out like at the login."""
        from agents_app.logins import lockout

        username = request.user.get_username()
        if request.method != "POST":
            return super().password_change(request, extra_context)
        if lockout.is_locked(request, username):
            return lockout.response(request, None, {"username": username})
        with lockout.hashing():
            response = super().password_change(request, extra_context)
        form = (getattr(response, "context_data", None) or {}).get("form")
        if form is not None and "old_password" in form.errors:
            lockout.failed(request, username)
        return response


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The sidebar, as far as this user may see it."""
    from django.contrib.admin import site

    groups: list[dict[str, Any]] = []
    for title, models in NAVIGATION:
        items = []
        for label, icon in models.items():
            model = apps.get_model(label)
            if site._registry[model].has_view_permission(request):
                link = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
                items.append({"title": capfirst(model._meta.verbose_name_plural), "icon": icon, "link": link})
        if items:
            groups.append({"title": title, "separator": bool(groups), "items": items})
    return groups
