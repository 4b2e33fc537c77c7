"""Departments and their members in the admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.decorators import display

from agents_app.admin.base import Isolated, OwnRelatedFilter, TandemAdmin
from agents_app.models import (
    Department,
    DepartmentMember,
)


class DepartmentMemberInline(Isolated, TabularInline):  # type: ignore[misc]
    tenant_path = "department__tenant"
    model = DepartmentMember
    fields = ("name", "contact")
    extra = 0


@admin.register(Department)
class DepartmentAdmin(TandemAdmin):
    """Used only where DIRECTORY is agents_app.directory.Rows."""

    tenant_path = "tenant"
    fields = ("tenant", "name")
    inlines = (DepartmentMemberInline,)
    list_display = ("name", "tenant", "people")
    list_filter = (("tenant", OwnRelatedFilter),)
    list_select_related = ("tenant",)
    search_fields = ("name",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Department]:
        rows: QuerySet[Department] = super().get_queryset(request).annotate(people=Count("members"))
        return rows

    @display(description=_("members"), ordering="people")
    def people(self, department: Any) -> int:
        return int(department.people)


@admin.register(DepartmentMember)
class DepartmentMemberAdmin(TandemAdmin):
    """All members in one list, to find somebody's department."""

    tenant_path = "department__tenant"
    fields = ("department", "name", "contact")
    list_display = ("name", "contact", "department")
    list_filter = (("department", OwnRelatedFilter),)
    list_select_related = ("department",)
    search_fields = ("name", "contact")

    def get_readonly_fields(self, request: HttpRequest, obj: DepartmentMember | None = None) -> list[str]:
        return ["department"] if obj else []
