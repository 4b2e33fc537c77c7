"""Calendars: opening hours and holidays."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from functools import cached_property
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q
from django.utils.dates import WEEKDAYS
from django.utils.translation import gettext_lazy as _

from agents_app.hours import MIDNIGHT, Hours, Span
from agents_app.models.tenants import Tenant, log
from config import limits
from config.db import ExactCharField


class Calendar(models.Model):
    """The hours of a place: a week in its local time, and the days that differ from it."""

    tenant = models.ForeignKey(Tenant, models.PROTECT, related_name="calendars", verbose_name=_("tenant"))
    name = ExactCharField(_("name"), max_length=limits.MAX_GROUP_NAME)
    time_zone = models.CharField(
        _("time zone"), max_length=64, default="UTC", help_text=_("By its IANA name: Europe/Berlin.")
    )

    class Meta:
        verbose_name = _("calendar")
        verbose_name_plural = _("calendars")
        ordering = ("name",)
        constraints = (models.UniqueConstraint(fields=["tenant", "name"], name="calendar_name_once"),)

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if self.time_zone not in available_timezones():
            raise ValidationError({"time_zone": _("There is no such time zone.")})

    @property
    def zone(self) -> ZoneInfo:
        """UTC where the stored name is not known any more: wrong hours are better than customers whom nobody serves."""
        try:
            return ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError):
            log.error("calendar %s: there is no time zone %r; UTC is taken", self.pk, self.time_zone)
            return ZoneInfo("UTC")

    @cached_property
    def hours(self) -> Hours:
        """As they are stored now, in two queries."""
        week: dict[int, list[Span]] = defaultdict(list)
        for row in self.opening_hours.all():
            week[row.weekday].append((row.opens, row.closes))
        special: dict[date, tuple[Span, ...]] = {}
        for holiday in self.holidays.all():
            span = (holiday.opens, holiday.closes)
            special[holiday.date] = () if span[0] is None or span[1] is None else ((span[0], span[1]),)
        return Hours(self.zone, tuple(tuple(week[day]) for day in range(7)), special)


class OpeningHours(models.Model):
    """One span of one day of every week. What goes on past midnight is two rows: until 00:00, and from 00:00 on."""

    calendar = models.ForeignKey(
        Calendar, models.CASCADE, related_name="opening_hours", db_index=False, verbose_name=_("calendar")
    )
    weekday = models.PositiveSmallIntegerField(_("day"), choices=list(WEEKDAYS.items()))
    opens = models.TimeField(_("opens"))
    closes = models.TimeField(_("closes"), help_text=_("00:00 is midnight, the end of the day."))

    class Meta:
        verbose_name = _("opening hours")
        verbose_name_plural = _("opening hours")
        ordering = ("weekday", "opens")
        constraints = (
            models.UniqueConstraint(fields=["calendar", "weekday", "opens"], name="opening_once"),
            models.CheckConstraint(
                name="opening_before_closing",
                condition=Q(closes__gt=F("opens")) | Q(closes=MIDNIGHT),
                violation_error_message=_("It closes after it opens; 00:00 is midnight, the end of the day."),
            ),
            models.CheckConstraint(name="opening_weekday_known", condition=Q(weekday__lte=6)),
        )

    def __str__(self) -> str:
        return f"{WEEKDAYS[self.weekday]} {self.opens:%H:%M}–{self.closes:%H:%M}"


class Holiday(models.Model):
    """A day that differs from its weekday: closed, or with hours of its own."""

    calendar = models.ForeignKey(
        Calendar, models.CASCADE, related_name="holidays", db_index=False, verbose_name=_("calendar")
    )
    date = models.DateField(_("date"))
    name = models.CharField(_("name"), max_length=limits.MAX_GROUP_NAME)
    opens = models.TimeField(_("opens"), null=True, blank=True, help_text=_("Empty: closed all day."))
    closes = models.TimeField(_("closes"), null=True, blank=True)

    class Meta:
        verbose_name = _("holiday")
        verbose_name_plural = _("holidays")
        ordering = ("date",)
        constraints = (
            models.UniqueConstraint(fields=["calendar", "date"], name="holiday_once"),
            models.CheckConstraint(
                name="holiday_opening_before_closing",
                condition=Q(opens=None, closes=None)
                | (
                    Q(opens__isnull=False, closes__isnull=False)  # a comparison with NULL would pass
                    & (Q(closes__gt=F("opens")) | Q(closes=MIDNIGHT))
                ),
                violation_error_message=_("Name both times, the opening before the closing, or neither."),
            ),
        )

    def __str__(self) -> str:
        return f"{self.date} {self.name}"
