"""Tenants in the admin."""

from __future__ import annotations

from typing import Any

from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from agents_app.admin.base import TandemAdmin, agent_of, moment
from agents_app.admin.policy_form import POLICY_FIELDS, TenantForm
from agents_app.models import (
    Tenant,
)


class TenantAdmin(TandemAdmin):
    """Registered by messaging_app, which gives a new tenant its rules of need."""

    tenant_path = "pk"
    form = TenantForm
    created = moment("created_at", _("created"))
    list_display = ("name", "slug", "transfer_policy", "assignment", "created")
    list_filter = ("transfer_policy", "assignment")
    search_fields = ("name", "slug")
    readonly_fields = ("created_at",)

    def get_fieldsets(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """The policies stand together, below what every tenant has."""
        [(title, options)] = super().get_fieldsets(request, obj)
        fields = [name for name in options["fields"] if name not in POLICY_FIELDS]
        return [(title, {"fields": fields}), (_("Times and limits"), {"fields": POLICY_FIELDS})]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return agent_of(request) is None and bool(super().has_add_permission(request))

    def has_delete_permission(self, request: HttpRequest, obj: Tenant | None = None) -> bool:
        return agent_of(request) is None and bool(super().has_delete_permission(request, obj))
