"""Whether somebody is there to serve, and what becomes of customers when nobody is: a team's own word, else its tenant's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from agents_app.models import Calendar, HasHours, SlaPolicy, Team, Tenant


@dataclass(frozen=True, slots=True)
class ServiceHours:
    """A team, or the tenant's queue without one, with what it leaves empty filled in."""

    name: str
    calendar: Calendar | None
    becomes_email: bool
    text: str
    email: str
    sla: SlaPolicy | None


@dataclass(frozen=True, slots=True)
class Closure:
    """That an office is closed: until `opens_at`, or for good (None)."""

    office: ServiceHours
    opens_at: datetime | None
    becomes_email: bool


def service_hours_of(tenant: Tenant, team: Team | None = None) -> ServiceHours:
    own: list[HasHours] = [team, tenant] if team else [tenant]
    after_hours = next((says.after_hours for says in own if says.after_hours), HasHours.AfterHours.WAIT)
    return ServiceHours(
        name=team.name if team else tenant.name,
        calendar=next((says.calendar for says in own if says.calendar_id), None),
        becomes_email=after_hours == HasHours.AfterHours.EMAIL,
        text=next((says.after_hours_text for says in own if says.after_hours_text.strip()), ""),
        email=next((says.email for says in own if says.email), ""),
        sla=next((says.sla for says in own if says.sla_id), None),
    )


def closure(office: ServiceHours, now: datetime) -> Closure | None:
    """None while the office is open.

    Nothing becomes an e-mail that could not be sent: without an address, or where no e-mail is set up, the conversation
    waits. Nobody waits for an opening that never comes: then it counts as open, and the transfer's own clock runs.
    """
    if office.calendar is None or office.calendar.hours.is_open(now):
        return None
    opens_at = office.calendar.hours.next_opening(now)
    becomes_email = office.becomes_email and bool(office.email and settings.EMAIL_URL)
    return Closure(office, opens_at, becomes_email) if becomes_email or opens_at else None


def is_closed(calendar_id: int | None, now: datetime) -> bool:
    """Whether a place with these hours is closed, and will open. In three queries, in none without a calendar."""
    calendar = Calendar.objects.filter(pk=calendar_id).first() if calendar_id else None
    return calendar is not None and not calendar.hours.is_open(now) and calendar.hours.next_opening(now) is not None
