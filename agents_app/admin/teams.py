"""Teams and their members in the admin."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.decorators import display
from unfold.forms import (
    PaginationInlineFormSet,
)

from agents_app.admin.base import Isolated, Levels, OwnRelatedFilter, TandemAdmin
from agents_app.models import (
    Membership,
    Team,
)

HOURS_FIELDS = ("calendar", "after_hours", "after_hours_text", "email", "sla")


class TeamForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    needs = Levels(label=_("Skills needed"))

    class Meta:
        model = Team
        fields = "__all__"  # noqa: DJ007 – the admin class names them

    def clean(self) -> dict[str, Any]:
        """The overflow must be another team of the tenant; a superuser can choose from every tenant's."""
        cleaned: dict[str, Any] = super().clean() or {}
        tenant, other = cleaned.get("tenant"), cleaned.get("overflow_to")
        if other and (other == self.instance or (tenant and other.tenant_id != tenant.pk)):
            raise ValidationError({"overflow_to": _("A team overflows to another team of its own tenant.")})
        return cleaned


class MembershipForms(PaginationInlineFormSet):
    def clean(self) -> None:
        """Members must be the tenant's own agents; a superuser can choose from every tenant's.

        Checked here and not in each line, because the line of a new team does not know its team yet.
        """
        super().clean()
        tenant_id = self.instance.tenant_id
        for form in self.forms:
            agent = getattr(form, "cleaned_data", {}).get("agent")
            if agent and tenant_id and agent.tenant_id != tenant_id:
                form.add_error("agent", _("A team’s members belong to the team’s own tenant."))


class MembershipInline(Isolated, TabularInline):  # type: ignore[misc]
    tenant_path = "team__tenant"
    model = Membership
    formset = MembershipForms
    fields = ("agent", "weight")
    extra = 0


@admin.register(Team)
class TeamAdmin(TandemAdmin):
    tenant_path = "tenant"
    form = TeamForm
    fieldsets = (
        (None, {"fields": ("tenant", "name")}),
        (
            _("How conversations find an agent"),
            {"fields": ("assignment", "strategy", "needs", "capacity", "offer_timeout", "first_reply_timeout")},
        ),
        (_("Overflow"), {"fields": ("overflow_to", "overflow_after")}),
        (_("Hours and service levels"), {"fields": HOURS_FIELDS}),
    )
    inlines = (MembershipInline,)
    list_display = ("name", "tenant", "assignment", "strategy", "people", "calendar", "sla")
    list_filter = (("tenant", OwnRelatedFilter), "assignment", "strategy")
    list_select_related = ("tenant", "calendar", "sla")
    search_fields = ("name",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Team]:
        return super().get_queryset(request).prefetch_related("members")

    @display(description=_("members"))
    def people(self, team: Team) -> str:
        return ", ".join(agent.name for agent in team.members.all()) or "–"
