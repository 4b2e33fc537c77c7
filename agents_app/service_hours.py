"""Whether a team or tenant is open, and what happens to customers when it is closed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from agents_app.models import Calendar, HasHours, SlaPolicy, Team, Tenant


@dataclass(frozen=True, slots=True)
class ServiceHours:
    """The hours of a team, or of the tenant's queue without one; what a team leaves empty is its tenant's."""

    name: str
    calendar: Calendar | None
    becomes_email: bool
    text: str
    email: str
    sla: SlaPolicy | None


@dataclass(frozen=True, slots=True)
class Closure:
    """A team or queue is closed: until `opens_at`, or for good (None)."""

    hours: ServiceHours
    opens_at: datetime | None
    becomes_email: bool


def service_hours_of(tenant: Tenant, team: Team | None = None) -> ServiceHours:
    levels: list[HasHours] = [team, tenant] if team else [tenant]
    after_hours = next((level.after_hours for level in levels if level.after_hours), HasHours.AfterHours.WAIT)
    return ServiceHours(
        name=team.name if team else tenant.name,
        calendar=next((level.calendar for level in levels if level.calendar_id), None),
        becomes_email=after_hours == HasHours.AfterHours.EMAIL,
        text=next((level.after_hours_text for level in levels if level.after_hours_text.strip()), ""),
        email=next((level.email for level in levels if level.email), ""),
        sla=next((level.sla for level in levels if level.sla_id), None),
    )


def closure(hours: ServiceHours, now: datetime) -> Closure | None:
    """The closure at this time; None while it is open.

    A conversation becomes an e-mail only if it can be sent: without an address, or where no e-mail is set up, it waits.
    It never waits for an opening that does not come: then it counts as open, and the transfer's own clock runs.
    """
    if hours.calendar is None or hours.calendar.hours.is_open(now):
        return None
    opens_at = hours.calendar.hours.next_opening(now)
    becomes_email = hours.becomes_email and bool(hours.email and settings.EMAIL_URL)
    return Closure(hours, opens_at, becomes_email) if becomes_email or opens_at else None


def is_closed(calendar_id: int | None, now: datetime) -> bool:
    """Whether a calendar is closed now, and will open. Three queries; without a calendar none, and False."""
    calendar = Calendar.objects.filter(pk=calendar_id).first() if calendar_id else None
    return calendar is not None and not calendar.hours.is_open(now) and calendar.hours.next_opening(now) is not None
