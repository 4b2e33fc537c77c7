"""How long whoever waits for a human is likely to wait: measured, and said to be unknown where nothing was measured.

The queue is taken for one line before as many servers as its agents have room for conversations. When all are busy, one
of `capacity` servers becomes free every `service / capacity` seconds on average, and whoever has `ahead` others in front
goes in with the one after those. With exponential service times this is the mean wait of an M/M/c queue; with steadier
ones it errs on the long side, because those at work have begun already (tests/test_waiting.py simulates both).

In front are those whom the same places serve: of a team's, whoever waits for the team, for anybody, or for another team
or agent that shares them. Free places are no promise: somebody has to take what waits. So nobody is told less than the
longest that anybody in front of them, or they themselves, have waited already without being taken.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import (
    BigIntegerField,
    Case,
    Count,
    DurationField,
    ExpressionWrapper,
    F,
    IntegerField,
    Min,
    Q,
    QuerySet,
    Subquery,
    When,
)
from django.db.models.expressions import BaseExpression
from django.db.models.fields.json import KeyTransform
from django.db.models.functions import Coalesce

from agents_app import presence, service_hours
from agents_app.models import Agent, Membership, Team
from agents_app.skills import together
from config import clock
from messaging_app.models import Controller, Conversation
from sessions_app.models import ChatSession, Transfer
from sessions_app.queries import aggregates
from sessions_app.queries.aggregates import Counted, MeanTime, Summed, Wanted
from sessions_app.states import LIVE, Owner, TransferStatus

MEASURED = 50
"""Services that the mean is of: the newest ones…"""
MEASURED_WITHIN = timedelta(hours=24)
"""…that ended so lately."""
JUST_ASKED = timedelta(seconds=5)
"""So long a free place is told as one at once: somebody has to see it first."""


def expected_wait(*, ahead: int, free: int, capacity: int, service: float | None, untaken: float = 0.0) -> float | None:
    """Seconds until somebody is likely to be served; 0 for at once, None when that is not known.

    `ahead` wait in front; the agents who could serve have `capacity` places of which `free` are free; a conversation
    takes a place for `service` seconds on average, None where nothing was measured yet; the head of the queue has
    waited for `untaken` seconds already. Pure.
    """
    if capacity <= 0:
        return None
    if free > ahead:
        return untaken
    if service is None:
        return None
    return max((ahead - free + 1) * service / capacity, untaken)


@dataclass(frozen=True, slots=True)
class Waiting:
    """`position` is 1 for the next in the tenant's queue; `seconds` is None when not known."""

    position: int
    seconds: int | None


def waiting(conversation: Conversation) -> Waiting | None:
    """Where a conversation stands in the queue; None when it is not in it. Two queries, or three; and three for hours."""
    if conversation.controller != Controller.QUEUE:
        return None
    asked = (
        Transfer.objects.filter(conversation=conversation, status=TransferStatus.PENDING)
        .select_related("to_team")
        .order_by("pk")
        .first()
    )
    now = clock.now()
    read = aggregates.read(conversation.tenant_id, figures_wanted(conversation, asked, now))
    return told(read, conversation, asked, now)


def figures_wanted(conversation: Conversation, asked: Transfer | None, now: datetime) -> Wanted:
    """What `told` makes a place in the queue of, but for the line, which it reads where a wait can be told at all."""
    newest = Transfer.objects.filter(tenant_id=conversation.tenant_id, served_until__gte=now - MEASURED_WITHIN)
    service: BaseExpression = _mean(newest)
    hours: BaseExpression = ExpressionWrapper(F("calendar_id"), BigIntegerField())  # the tenant's
    if asked and asked.to_team_id:
        service = Coalesce(_mean(newest.filter(to_team=asked.to_team_id)), service)
        its = Team.objects.filter(pk=asked.to_team_id).order_by()
        hours = Coalesce(Subquery(its.values("calendar_id")), hours, output_field=BigIntegerField())
    served = Q(chatsession__owner_kind=Owner.AGENT, chatsession__status__in=sorted(LIVE))
    agents = _who_could(conversation, asked, now)
    agents = agents.annotate(load=Count("chatsession", filter=served, distinct=True)).order_by()
    room = Case(When(load__lt=F("max_load"), then=F("max_load") - F("load")), default=0, output_field=IntegerField())
    wanted: dict[str, BaseExpression] = {
        "queue_before": Counted(Conversation.objects.filter(_before(conversation))),
        "queue_free": Summed(agents.values(figure=room)),
        "queue_capacity": Summed(agents.values(figure=F("max_load"))),
        "queue_service": service,
        "queue_hours": hours,
    }
    if asked and _team_limit(asked) is not None:
        its_work = ChatSession.objects.filter(team=asked.to_team_id, owner_kind=Owner.AGENT, status__in=sorted(LIVE))
        wanted["queue_of_team"] = Counted(its_work)
    return wanted


def _team_limit(asked: Transfer | None) -> int | None:
    """How many conversations the team that is asked serves at once, whatever its members have room for; None for no bound."""
    return asked.to_team.capacity if asked and asked.to_team else None


def _who_could(conversation: Conversation, asked: Transfer | None, now: datetime) -> QuerySet[Agent]:
    """Those who have places for it. A transfer to a team or an agent waits for their places alone.

    Whoever lacks a skill that is needed, gets nothing new, or has just refused it, has no place for it.
    """
    agents = presence.takes_work(now).filter(tenant_id=conversation.tenant_id)
    if not asked:
        return agents
    agents = _skilled(agents, asked).exclude(pk__in=asked.refused_by)
    if asked.to_agent_id:
        return agents.filter(pk=asked.to_agent_id)
    return agents.filter(teams=asked.to_team_id) if asked.to_team_id else agents


def _skilled(agents: QuerySet[Agent], asked: Transfer) -> QuerySet[Agent]:
    """Those who have what the conversation and its team need, as `skills.lacking` has it."""
    needs = together(asked.to_team.needs if asked.to_team else {}, asked.needs)
    for number, (name, level) in enumerate(needs.items()):
        its = f"skill_{number}"
        agents = agents.alias(**{its: KeyTransform(name, "skills")}).filter(**{f"{its}__gte": level})
    return agents


def told(figures: Mapping[str, Any], conversation: Conversation, asked: Transfer | None, now: datetime) -> Waiting:
    """A place in the queue, from the figures of `figures_wanted`. While it is closed nobody knows how long it takes.

    That is so for whoever asked while it was open, too. The hours and the line are looked at only where all else is
    known: a line of ten thousand is read for nobody whose wait nobody can tell. One query for the line.
    """
    before, service = int(figures["queue_before"]), figures["queue_service"]
    free, capacity = int(figures["queue_free"]), int(figures["queue_capacity"])
    if (limit := _team_limit(asked)) is not None:
        free, capacity = min(free, max(0, limit - figures["queue_of_team"])), min(capacity, limit)
    wait = None
    can_be_told = capacity > 0 and (free > 0 or service is not None) and (asked is None or asked.is_open_at(now))
    if can_be_told and not service_hours.is_closed(figures["queue_hours"], now):
        ahead, since = _in_front(before, conversation, asked, now)
        own = (asked.opens_at if asked else None) or conversation.waiting_since
        untaken = now - min((at for at in (own, since) if at), default=now)
        wait = expected_wait(
            ahead=ahead,
            free=free,
            capacity=capacity,
            service=service.total_seconds() if service is not None else None,
            untaken=untaken.total_seconds() if untaken > JUST_ASKED else 0.0,
        )
    return Waiting(before + 1, None if wait is None else math.ceil(wait))


def _in_front(
    before: int, conversation: Conversation, asked: Transfer | None, now: datetime
) -> tuple[int, datetime | None]:
    """How many of those before it wait for the same places, and since when the first of them could have been taken."""
    if not before:
        return 0, None
    pending = Transfer.objects.filter(_before(conversation, "conversation__"), status=TransferStatus.PENDING)
    has_address = asked is not None and (asked.to_agent_id or asked.to_team_id)
    if has_address:
        pending = pending.filter(_served_by(_who_could(conversation, asked, now)))
    since = Coalesce(F("opens_at"), F("conversation__waiting_since"), F("requested_at"))
    found = pending.aggregate(number=Count("conversation", distinct=True), since=Min(since))
    return found["number"] if has_address else before, found["since"]  # with those for whom no transfer asks


def _before(conversation: Conversation, path: str = "") -> Q:
    """Who is in the queue in front of a conversation; `path` leads to theirs from what is asked for."""

    def where(**values: object) -> Q:
        return Q(**{path + name: value for name, value in values.items()})

    nearer = where(tier__lt=conversation.tier)
    longer = where(tier=conversation.tier, desk_order__lt=conversation.desk_order)
    earlier = where(tier=conversation.tier, desk_order=conversation.desk_order, pk__lt=conversation.pk)
    return where(tenant_id=conversation.tenant_id, controller=Controller.QUEUE) & (nearer | longer | earlier)


def _served_by(agents: QuerySet[Agent]) -> Q:
    """The transfers that these agents may be given: asked of anybody, of one of them, or of a team of theirs."""
    ids = agents.order_by().values("pk")
    teams = Membership.objects.filter(agent__in=ids).values("team_id")
    return Q(to_agent=None, to_team=None) | Q(to_agent__in=ids) | Q(to_agent=None, to_team__in=teams)


def _mean(rows: QuerySet[Transfer]) -> MeanTime:
    """The mean time that agents needed for the newest of these conversations."""
    took = ExpressionWrapper(F("served_until") - F("ended_at"), DurationField())
    return MeanTime(rows.order_by("-served_until").values(figure=took)[:MEASURED])
