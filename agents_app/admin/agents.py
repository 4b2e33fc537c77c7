"""Agents and their presence log in the admin."""

from __future__ import annotations

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from agents_app.admin.base import Levels, OwnRelatedFilter, ReadOnly, TandemAdmin, agent_of, moment
from agents_app.admin.login_rights import may_dismiss, roles_are_fixed
from agents_app.models import (
    Agent,
    PresenceChange,
)


class AgentForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    skills = Levels(label=_("Skills"))

    class Meta:
        model = Agent
        fields = "__all__"  # noqa: DJ007 – the admin class names them


class AgentAdmin(TandemAdmin):
    """Registered by sessions_app, whose verb ends an employment.

    Only agents declare their availability; logins are made on the login's page.

    A confined user can neither detach an agent from its login nor delete one: a login that no tenant confines would be
    left. An agent who leaves is marked as not employed, which ends the login, so a user with fewer rights may not do
    it.
    """

    tenant_path = "tenant"
    form = AgentForm
    last_seen = moment("last_seen_at", _("last heard of"))
    list_display = (
        "name",
        "tenant",
        "role_label",
        "availability_label",
        "last_seen_at",
        "max_load",
        "is_drained",
        "user",
        "is_active",
    )
    list_filter = (
        ("tenant", OwnRelatedFilter),
        ("teams", OwnRelatedFilter),
        "role",
        "availability",
        "is_drained",
        "is_active",
    )
    list_select_related = ("tenant", "user")
    search_fields = ("name", "user__username")
    fieldsets = (
        (None, {"fields": ("tenant", "name", "user", "role", "is_active")}),
        (_("Work"), {"fields": ("max_load", "skills")}),
        (
            _("Presence"),
            {
                "fields": (
                    "availability",
                    "availability_reason",
                    "availability_since",
                    "last_seen_at",
                    "is_drained",
                    "created_at",
                )
            },
        ),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Agent | None = None) -> list[str]:
        fixed = [
            "availability",
            "availability_reason",
            "availability_since",
            "last_seen_at",
            "created_at",
            "is_drained",
        ]
        if agent_of(request):
            fixed.append("user")
        if roles_are_fixed(request):
            fixed.append("role")
        if obj and not may_dismiss(request, obj):
            fixed.append("is_active")
        return fixed

    def has_delete_permission(self, request: HttpRequest, obj: Agent | None = None) -> bool:
        return agent_of(request) is None and bool(super().has_delete_permission(request, obj))

    @display(description=_("role"), ordering="role", label={"agent": "", "supervisor": "info", "admin": "primary"})
    def role_label(self, agent: Agent) -> tuple[str, str]:
        return agent.role, agent.get_role_display()

    @display(
        description=_("availability"),
        ordering="availability",
        label={
            "available": "success",
            "busy": "warning",
            "break": "warning",
            "training": "warning",
            "away": "warning",
            "not_responding": "danger",
            "offline": "",
        },
    )
    def availability_label(self, agent: Agent) -> tuple[str, str]:
        return agent.availability, agent.get_availability_display()


@admin.register(PresenceChange)
class PresenceChangeAdmin(ReadOnly, TandemAdmin):
    """The agents' presence logs."""

    tenant_path = "tenant"
    changed = moment("at", _("from"))
    list_display = ("changed", "agent", "tenant", "availability", "reason", "is_heard", "max_load", "is_drained", "by")
    list_filter = (("tenant", OwnRelatedFilter), ("agent", OwnRelatedFilter), "availability", "is_heard")
    list_select_related = ("tenant", "agent")
    search_fields = ("agent__name", "reason")
    date_hierarchy = "at"
    ordering = ("-at", "-pk")
