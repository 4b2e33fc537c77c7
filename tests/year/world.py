"""Two shops that live through a year: their hours and holidays, who works there, and the bots that they trust too much.

One gives back what nobody accepts and lets its agents pull; the other asks again and offers. Both close at night, one of
their teams turns what comes then into e-mails.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any

from agents_app.actors import Actor
from agents_app.models import Agent, ApiClient, Calendar, Holiday, OpeningHours, Team, Tenant
from messaging_app.detection.defaults import install
from tests.cast import Cast, Chat

ZONE = "Europe/Berlin"
OPENS, CLOSES = time(9), time(17)


@dataclass
class Shop:
    cast: Cast
    random: random.Random
    calendar: Calendar
    teams: list[Team]
    present: set[str] = field(default_factory=set)  # agents at their desks
    deaf: set[str] = field(default_factory=set)  # bots that send no heartbeat any more
    heard: set[tuple[int, datetime | None]] = field(default_factory=set)  # offers that an agent has seen come
    hired: int = 0
    chats: list[Chat] = field(default_factory=list)

    def staff(self) -> list[str]:
        """Who works here now."""
        rows = Agent.objects.filter(tenant=self.cast.tenant, is_active=True).exclude(role=Agent.Role.SUPERVISOR)
        return [row.name.lower() for row in rows.order_by("pk")]

    def actor(self, name: str) -> Actor:
        actor: Actor = getattr(self.cast, name)
        return actor

    def hire(self) -> str:
        self.hired += 1
        name = f"new{self.hired}"
        setattr(self.cast, name, self.cast.hire(name, last_seen_at=None, is_heard=False))
        self.teams[0].members.add(self.cast.agent(name))
        return name


BOTS = ("bargain", "faq", "follow_up")


def make_shop(slug: str, seed: int, first_day: date, **policy: Any) -> Shop:
    cast = Cast(slug, **policy)
    install(cast.tenant)
    calendar = Calendar.objects.create(tenant=cast.tenant, name="office", time_zone=ZONE)
    for weekday in range(5):
        OpeningHours.objects.create(calendar=calendar, weekday=weekday, opens=OPENS, closes=CLOSES)
    dice = random.Random(f"{slug}/{seed}")
    for day in sorted(dice.sample(range(365), 12)):
        Holiday.objects.create(calendar=calendar, date=first_day + timedelta(days=day), name=f"holiday {day}")
    cast.policy(calendar=calendar)
    service = cast.team("service", "ann", "ben", "cat")
    returns = cast.team("returns", "ben", "cat")
    Team.objects.filter(pk=service.pk).update(first_reply_timeout=900)
    Team.objects.filter(pk=returns.pk).update(after_hours=Tenant.AfterHours.EMAIL, email="returns@example.org")
    # One promises heartbeats, one an answer, one nothing at all.
    ApiClient.objects.filter(pk=cast.pk("bargain")).update(heartbeat_timeout=90)
    ApiClient.objects.filter(pk=cast.pk("faq")).update(turn_timeout=60)
    return Shop(cast, dice, calendar, [service, returns])
