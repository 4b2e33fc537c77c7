"""How long a queued customer is likely to wait for a human: an estimate from measured service times, None without any.

The model is one queue before `capacity` servers: the conversations that the agents have places for. When all are busy,
a server becomes free every `service / capacity` seconds on average, and a customer with `ahead` others in front is
served by the one that becomes free after theirs. With exponential service times this is the mean wait of an M/M/c
queue; with steadier ones the estimate is too long, because those being served have begun already
(tests/test_waiting.py simulates both).

Only those count as in front who wait for the same places. Before a customer who waits for a team that is whoever waits
for the team, for anybody, or for another team or agent that shares its places. A free place is no promise: somebody has
to take the conversation. So the estimate is never less than the longest time that this customer, or anybody in front,
has waited already.
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
"""Conversations that the mean service time is taken over: the newest ones…"""
MEASURED_WITHIN = timedelta(hours=24)
"""…that ended within this time."""
JUST_ASKED = timedelta(seconds=5)
"""A time waited up to this counts as 0, because somebody has to see the conversation before taking it."""


def expected_wait(*, ahead: int, free: int, capacity: int, service: float | None, untaken: float = 0.0) -> float | None:
    """Seconds until a customer is likely to be served; 0 for at once, None when that is not known.

    `ahead` others wait in front; the agents who could serve have `capacity` places, of which `free` are free; a
    conversation takes a place for `service` seconds on average, None where nothing was measured yet; whoever has
    waited longest of them has waited for `untaken` seconds already, the least that is returned. Pure.
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
    """A conversation's place in the queue; None if it is not queued. Two or three queries, and three for hours."""
    if conversation.controller != Controller.QUEUE:
        return None
    transfer = (
        Transfer.objects.filter(conversation=conversation, status=TransferStatus.PENDING)
        .select_related("to_team")
        .order_by("pk")
        .first()
    )
    now = clock.now()
    figures = aggregates.read(conversation.tenant_id, figures_wanted(conversation, transfer, now))
    return estimate(figures, conversation, transfer, now)


def figures_wanted(conversation: Conversation, transfer: Transfer | None, now: datetime) -> Wanted:
    """The figures for `estimate`. It reads those in front by itself, where a wait can be estimated at all."""
    newest = Transfer.objects.filter(tenant_id=conversation.tenant_id, served_until__gte=now - MEASURED_WITHIN)
    service: BaseExpression = _mean(newest)
    hours: BaseExpression = ExpressionWrapper(F("calendar_id"), BigIntegerField())  # the tenant's
    if transfer and transfer.to_team_id:
        service = Coalesce(_mean(newest.filter(to_team=transfer.to_team_id)), service)
        team = Team.objects.filter(pk=transfer.to_team_id).order_by()
        hours = Coalesce(Subquery(team.values("calendar_id")), hours, output_field=BigIntegerField())
    served = Q(chatsession__owner_kind=Owner.AGENT, chatsession__status__in=sorted(LIVE))
    agents = _agents_for(conversation, transfer, now)
    agents = agents.annotate(load=Count("chatsession", filter=served, distinct=True)).order_by()
    room = Case(When(load__lt=F("max_load"), then=F("max_load") - F("load")), default=0, output_field=IntegerField())
    wanted: dict[str, BaseExpression] = {
        "queue_before": Counted(Conversation.objects.filter(_before(conversation))),
        "queue_free": Summed(agents.values(figure=room)),
        "queue_capacity": Summed(agents.values(figure=F("max_load"))),
        "queue_service": service,
        "queue_hours": hours,
    }
    if transfer and _team_limit(transfer) is not None:
        sessions = ChatSession.objects.filter(team=transfer.to_team_id, owner_kind=Owner.AGENT, status__in=sorted(LIVE))
        wanted["queue_of_team"] = Counted(sessions)
    return wanted


def _team_limit(transfer: Transfer | None) -> int | None:
    """How many conversations the transfer's team serves at once, whatever its members' capacity; None for no limit."""
    return transfer.to_team.capacity if transfer and transfer.to_team else None


def _agents_for(conversation: Conversation, transfer: Transfer | None, now: datetime) -> QuerySet[Agent]:
    """The agents who may take the conversation; for a transfer to a team or an agent only these.

    Agents who lack a needed skill, get nothing new, or have refused this transfer are left out.
    """
    agents = presence.takes_work(now).filter(tenant_id=conversation.tenant_id)
    if not transfer:
        return agents
    agents = _skilled(agents, transfer).exclude(pk__in=transfer.refused_by)
    if transfer.to_agent_id:
        return agents.filter(pk=transfer.to_agent_id)
    return agents.filter(teams=transfer.to_team_id) if transfer.to_team_id else agents


def _skilled(agents: QuerySet[Agent], transfer: Transfer) -> QuerySet[Agent]:
    """The agents with all skills that the conversation and its team need, by the rule of `skills.lacking`."""
    needs = together(transfer.to_team.needs if transfer.to_team else {}, transfer.needs)
    for number, (name, level) in enumerate(needs.items()):
        alias = f"skill_{number}"
        agents = agents.alias(**{alias: KeyTransform(name, "skills")}).filter(**{f"{alias}__gte": level})
    return agents


def estimate(
    figures: Mapping[str, Any], conversation: Conversation, transfer: Transfer | None, now: datetime
) -> Waiting:
    """The place in the queue and the expected wait, from the figures of `figures_wanted`.

    Outside service hours the wait is not known, also for customers who asked within them. The hours, and those in front
    (one query), are read only where everything else is known, because a queue may hold ten thousand.
    """
    before, service = int(figures["queue_before"]), figures["queue_service"]
    free, capacity = int(figures["queue_free"]), int(figures["queue_capacity"])
    if (limit := _team_limit(transfer)) is not None:
        free, capacity = min(free, max(0, limit - figures["queue_of_team"])), min(capacity, limit)
    wait = None
    can_be_known = capacity > 0 and (free > 0 or service is not None) and (transfer is None or transfer.is_open_at(now))
    if can_be_known and not service_hours.is_closed(figures["queue_hours"], now):
        ahead, since = _in_front(before, conversation, transfer, now)
        own = (transfer.opens_at if transfer else None) or conversation.waiting_since
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
    before: int, conversation: Conversation, transfer: Transfer | None, now: datetime
) -> tuple[int, datetime | None]:
    """How many of those in front wait for the same places, and since when the first of them could have been taken."""
    if not before:
        return 0, None
    pending = Transfer.objects.filter(_before(conversation, "conversation__"), status=TransferStatus.PENDING)
    has_address = transfer is not None and (transfer.to_agent_id or transfer.to_team_id)
    if has_address:
        pending = pending.filter(_served_by(_agents_for(conversation, transfer, now)))
    since = Coalesce(F("opens_at"), F("conversation__waiting_since"), F("requested_at"))
    figures = pending.aggregate(number=Count("conversation", distinct=True), since=Min(since))
    return figures["number"] if has_address else before, figures[
        "since"
    ]  # `before` counts those without a transfer too


def _before(conversation: Conversation, path: str = "") -> Q:
    """The condition for conversations in front of this one; `path` leads to them from the queried model."""

    def where(**values: object) -> Q:
        return Q(**{path + name: value for name, value in values.items()})

    nearer = where(tier__lt=conversation.tier)
    longer = where(tier=conversation.tier, desk_order__lt=conversation.desk_order)
    earlier = where(tier=conversation.tier, desk_order=conversation.desk_order, pk__lt=conversation.pk)
    return where(tenant_id=conversation.tenant_id, controller=Controller.QUEUE) & (nearer | longer | earlier)


def _served_by(agents: QuerySet[Agent]) -> Q:
    """The condition for transfers that these agents may take: to nobody in particular, one of them, or their teams."""
    ids = agents.order_by().values("pk")
    teams = Membership.objects.filter(agent__in=ids).values("team_id")
    return Q(to_agent=None, to_team=None) | Q(to_agent__in=ids) | Q(to_agent=None, to_team__in=teams)


def _mean(rows: QuerySet[Transfer]) -> MeanTime:
    """The mean time that agents needed for the newest of these conversations."""
    took = ExpressionWrapper(F("served_until") - F("ended_at"), DurationField())
    return MeanTime(rows.order_by("-served_until").values(figure=took)[:MEASURED])
