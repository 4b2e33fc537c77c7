"""An office with hours for the tests: weekdays 09:00–17:00 in Berlin, around the nights in which clocks are changed.

The dates lie in the past, where no parliament changes a time zone any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from agents_app.models import Calendar, OpeningHours, SlaPolicy, Team, Tenant
from tests.cast import Cast

BERLIN = ZoneInfo("Europe/Berlin")
FRIDAYS = {"spring": "2026-03-27", "autumn": "2026-10-23"}
MONDAYS = {"spring": "2026-03-30", "autumn": "2026-10-26"}
"""The days around the Sunday on which the clock is put forward or back."""
MINUTE, HOUR = 60, 3600


def berlin(day: str, at: str = "00:00", fold: int = 0) -> datetime:
    """By the clock on the wall."""
    return datetime.fromisoformat(f"{day}T{at}").replace(tzinfo=BERLIN, fold=fold).astimezone(UTC)


def calendar(
    cast: Cast,
    name: str = "office",
    *,
    days: Iterable[int] = range(5),
    opens: time = time(9),
    closes: time = time(17),
    zone: str = "Europe/Berlin",
) -> Calendar:
    made = Calendar.objects.create(tenant=cast.tenant, name=name, time_zone=zone)
    for day in days:
        OpeningHours.objects.create(calendar=made, weekday=day, opens=opens, closes=closes)
    return made


def office(cast: Cast, **policy: Any) -> Calendar:
    """The tenant keeps office hours."""
    made = calendar(cast)
    cast.policy(calendar=made, **policy)
    return made


def by_email(cast: Cast) -> Calendar:
    return office(cast, after_hours=Tenant.AfterHours.EMAIL, email="desk@example.org")


def levels(cast: Cast, *, team: Team | None = None, **targets: Any) -> SlaPolicy:
    """Service levels of the tenant, or of a team."""
    policy = SlaPolicy.objects.create(tenant=cast.tenant, name=f"levels of {team or 'all'}", **targets)
    owner = Team.objects.filter(pk=team.pk) if team else Tenant.objects.filter(pk=cast.tenant.pk)
    owner.update(sla=policy)
    return policy
