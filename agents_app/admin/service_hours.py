"""Calendars and service levels, in the admin. A calendar is one page with its hours, its holidays and what follows."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from itertools import groupby, islice
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.formats import date_format
from django.utils.html import format_html_join
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.decorators import display
from unfold.forms import PaginationInlineFormSet
from unfold.widgets import UnfoldAdminSelectWidget

from agents_app.admin.base import Isolated, OwnRelatedFilter, TandemAdmin
from agents_app.hours import MIDNIGHT, joined
from agents_app.models import Calendar, Holiday, OpeningHours, SlaPolicy
from config import clock

NEXT_DAYS = 5
"""Days with openings that a calendar's page shows ahead."""
LOOK_AHEAD = timedelta(days=400)
DATE = "D j F Y"


class HoursFormSet(PaginationInlineFormSet):
    """Refuses two spans of a day that overlap: they would count once, so one of them is a mistake."""

    def clean(self) -> None:
        super().clean()
        taken: list[OpeningHours] = []
        for form in self.forms:
            row: OpeningHours = form.instance
            if form.errors or not form.cleaned_data or form.cleaned_data.get("DELETE"):
                continue
            if any(_overlap(row, other) for other in taken if other.weekday == row.weekday):
                raise ValidationError(_("Two spans of the same day overlap."))
            taken.append(row)


def _overlap(one: OpeningHours, other: OpeningHours) -> bool:
    return one.opens < _end(other) and other.opens < _end(one)


def _end(row: OpeningHours) -> time:
    return time.max if row.closes == MIDNIGHT else row.closes


def _from_to(opens: datetime, closes: datetime) -> str:
    """Both in local time; the closing with its date if that is more than a day after the opening's."""
    far = closes.date() - opens.date() > timedelta(days=1)
    return f"{opens:%H:%M}–{date_format(closes, DATE) + ' ' if far else ''}{closes:%H:%M}"


class OpeningHoursInline(Isolated, TabularInline):  # type: ignore[misc]
    tenant_path = "calendar__tenant"
    model = OpeningHours
    formset = HoursFormSet
    extra = 0
    show_title = False


class HolidayInline(Isolated, TabularInline):  # type: ignore[misc]
    tenant_path = "calendar__tenant"
    model = Holiday
    extra = 0
    show_title = False


class CalendarForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    time_zone = forms.ChoiceField(
        label=_("Time zone"),
        choices=lambda: [(name, name) for name in sorted(available_timezones())],
        initial="UTC",
        widget=UnfoldAdminSelectWidget,
    )

    class Meta:
        model = Calendar
        fields = "__all__"  # noqa: DJ007 – the admin class names them


@admin.register(Calendar)
class CalendarAdmin(TandemAdmin):
    tenant_path = "tenant"
    form = CalendarForm
    fields = ("tenant", "name", "time_zone", "next_openings")
    readonly_fields = ("next_openings",)
    inlines = (OpeningHoursInline, HolidayInline)
    list_display = ("name", "tenant", "time_zone", "open_now")
    list_filter = (("tenant", OwnRelatedFilter),)
    list_select_related = ("tenant",)
    search_fields = ("name", "time_zone")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Calendar]:
        rows: QuerySet[Calendar] = super().get_queryset(request).annotate(db_now=clock.DbNow())
        return rows.prefetch_related("opening_hours", "holidays")

    @display(description=_("open now"), boolean=True)
    def open_now(self, calendar: Any) -> bool:
        return bool(calendar.hours.is_open(calendar.db_now + clock.offset))

    @display(description=_("next openings"))
    def next_openings(self, calendar: Calendar) -> str:
        """In local time, so that a mistake in hours or holidays is seen at once."""
        if calendar._state.adding:
            return "–"
        now = clock.now()
        spans = (
            (opens.astimezone(calendar.zone), closes.astimezone(calendar.zone))
            for opens, closes in joined(calendar.hours.openings(now, now + LOOK_AHEAD))
        )
        days = islice(groupby(spans, key=lambda span: span[0].date()), NEXT_DAYS)
        lines = [(date_format(day, DATE), ", ".join(_from_to(*span) for span in of_day)) for day, of_day in days]
        return format_html_join("", "<div>{}: {}</div>", lines) or gettext("It does not open any more.")


@admin.register(SlaPolicy)
class SlaPolicyAdmin(TandemAdmin):
    tenant_path = "tenant"
    fields = ("tenant", "name", "first_response", "next_response", "resolution", "warn_at", "counts")
    list_display = ("name", "tenant", "first_response", "next_response", "resolution", "warn_at", "counts")
    list_filter = (("tenant", OwnRelatedFilter), "counts")
    list_select_related = ("tenant",)
    search_fields = ("name",)
