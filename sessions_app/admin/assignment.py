"""Assignment decisions in the admin: each with its reasons, and a past period played again under other rules."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from agents_app.admin.base import OwnRelatedFilter, ReadOnly, TandemAdmin, json_field, moment, own_rows
from agents_app.models import Team, Tenant
from sessions_app.models import AssignmentDecision
from sessions_app.whatif import Comparison, compare
from sessions_app.whatif.changes import MOST_ADDED, BadChange
from sessions_app.whatif.statistics import NAMES

_AT = "%Y-%m-%dT%H:%M"
LONGEST = timedelta(days=7)
"""The longest period that the form takes; the command takes longer ones."""


@admin.register(AssignmentDecision)
class AssignmentDecisionAdmin(ReadOnly, TandemAdmin):
    """Why a conversation was offered to whom, or to nobody."""

    tenant_path = "tenant"
    actions_list: Any = ("what_if",)
    made = moment("at", _("when"))
    list_display = ("made", "transfer", "tenant", "strategy", "chosen", "why")
    list_display_links = ("made",)
    list_filter = (("tenant", OwnRelatedFilter), "strategy", ("chosen", OwnRelatedFilter))
    list_select_related = ("tenant", "transfer", "chosen")
    search_fields = ("transfer__id__exact", "transfer__conversation__id__exact")
    search_help_text = _("The number of a transfer or conversation.")
    date_hierarchy = "at"
    ordering = ("-id",)
    show_full_result_count = False
    looked_at = json_field("candidates", _("candidates"))
    fieldsets = ((None, {"fields": (("transfer", "tenant"), ("at", "strategy"), ("chosen", "why"), "looked_at")}),)
    readonly_fields = ("transfer", "tenant", "at", "strategy", "chosen", "why", "looked_at")

    @action(description=_("What if"), url_path="what-if", icon="timeline", permissions=["view"])
    def what_if(self, request: HttpRequest) -> HttpResponse:
        """Compare a past period with the same one under other rules. It only reads, so the form is a GET."""
        tenants = own_rows(request, Tenant.objects.all(), "pk")
        form = WhatIfForm(request.GET or None, tenants=tenants)
        rows: list[tuple[str, str, str, str]] = []
        compared: Comparison | None = None
        if form.is_valid():
            try:
                compared = compare(form.tenant, *form.period, form.changes)
                rows = _rows(compared)
            except BadChange as error:
                form.add_error(None, str(error))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("What if"),
            "form": form,
            "compared": compared,
            "rows": rows,
        }
        return TemplateResponse(request, "admin/sessions_app/assignmentdecision/whatif.html", context)


class WhatIfForm(forms.Form):
    """What supervisors most often ask; `manage.py whatif` changes more."""

    tenant_row = forms.ModelChoiceField(Tenant.objects.none(), label=_("Tenant"), widget=UnfoldAdminSelectWidget)
    start = forms.DateTimeField(label=_("From"), input_formats=[_AT])
    end = forms.DateTimeField(label=_("To"), input_formats=[_AT])
    team = forms.ModelChoiceField(
        Team.objects.none(),
        label=_("Team"),
        required=False,
        widget=UnfoldAdminSelectWidget,
        help_text=_("Whose rules are changed, and who gets more agents."),
    )
    strategy = forms.ChoiceField(label=_("strategy"), required=False, widget=UnfoldAdminSelectWidget)
    assignment = forms.ChoiceField(label=_("assignment"), required=False, widget=UnfoldAdminSelectWidget)
    offer_timeout = forms.IntegerField(label=_("seconds to accept an offer"), required=False, min_value=1)
    overflow_after = forms.IntegerField(label=_("seconds to the overflow"), required=False, min_value=0)
    transfer_timeout = forms.IntegerField(label=_("seconds until a transfer times out"), required=False, min_value=1)
    more = forms.IntegerField(label=_("more agents"), required=False, min_value=0, max_value=MOST_ADDED)
    max_load = forms.IntegerField(label=_("capacity of each of them"), required=False, min_value=1, initial=3)

    def __init__(self, *args: Any, tenants: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["tenant_row"]
        field.queryset, field.initial = tenants, tenants.first()
        team: Any = self.fields["team"]
        team.queryset = Team.objects.filter(tenant__in=tenants).select_related("tenant")
        as_it_is = [("", _("as it is"))]
        for name, options in (("strategy", Team.Strategy.choices), ("assignment", Tenant.Assignment.choices)):
            choices: Any = self.fields[name]
            choices.choices = [*as_it_is, *options]
        today = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
        for name, at in (("start", today - timedelta(days=1)), ("end", today)):
            attrs = {"type": "datetime-local"}
            self.fields[name].widget = UnfoldAdminTextInputWidget(attrs=attrs)
            self.fields[name].initial = at.strftime(_AT)
        for form_field in self.fields.values():
            form_field.label = capfirst(form_field.label)
            if isinstance(form_field, forms.IntegerField):
                form_field.widget = UnfoldAdminIntegerFieldWidget()

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        start, end, team = given.get("start"), given.get("end"), given.get("team")
        if start and end and end <= start:
            raise ValidationError({"end": _("The period ends before it begins.")})
        if start and end and end - start > LONGEST:
            raise ValidationError({"end": _("At most seven days; the command takes longer periods.")})
        of_team = any(given.get(name) not in (None, "") for name in ("strategy", "assignment", "offer_timeout"))
        if team is None and (of_team or given.get("overflow_after") is not None):
            raise ValidationError({"team": _("Say whose rules are changed.")})
        if team and given.get("tenant_row") and team.tenant_id != given["tenant_row"].pk:
            raise ValidationError({"team": _("This belongs to another tenant.")})
        return given

    @property
    def tenant(self) -> Tenant:
        tenant: Tenant = self.cleaned_data["tenant_row"]
        return tenant

    @property
    def period(self) -> tuple[datetime, datetime]:
        return self.cleaned_data["start"], self.cleaned_data["end"]

    @property
    def changes(self) -> dict[str, Any]:
        """As `whatif.changes.changed` takes them."""
        given, team = self.cleaned_data, self.cleaned_data["team"]
        names = ("strategy", "assignment", "offer_timeout", "overflow_after")
        rules = {name: given[name] for name in names if given[name] not in (None, "")}
        changes: dict[str, Any] = {"teams": {team.name: rules}} if rules else {}
        if given["transfer_timeout"]:
            changes["tenant"] = {"transfer_timeout": given["transfer_timeout"]}
        if given["more"]:
            added = {"count": given["more"], "max_load": given["max_load"] or 1}
            changes["add"] = [added | ({"team": team.name, "skills": team.needs} if team else {})]
        return changes


def _rows(compared: Comparison) -> list[tuple[str, str, str, str]]:
    """A row for each figure: its name, what happened, what if, and the difference."""
    return [
        (str(name), _amount(then), _amount(changed), _difference(changed - then))
        for key, name in NAMES.items()
        for then, changed in [(getattr(compared.then, key), getattr(compared.changed, key))]
    ]


def _amount(value: int | timedelta) -> str:
    """A figure as text: a whole number, or a time in minutes and seconds."""
    if isinstance(value, timedelta):
        minutes, seconds = divmod(round(value.total_seconds()), 60)
        return gettext("%(minutes)s min %(seconds)s s") % {"minutes": number_format(minutes), "seconds": seconds}
    return number_format(value, force_grouping=True)


def _difference(value: int | timedelta) -> str:
    if not value:
        return "0"
    is_less = value < timedelta() if isinstance(value, timedelta) else value < 0
    return f"−{_amount(-value)}" if is_less else f"+{_amount(value)}"
