"""How long whoever waits for a human is likely to wait: measured, and said to be unknown where nothing was measured.

The queue is taken for one line before as many servers as its agents have room for conversations. When all are busy, one
of `capacity` servers becomes free every `service / capacity` seconds on average, and whoever has `ahead` others in front
goes in with the one after those. With exponential service times this is the mean wait of an M/M/c queue; with steadier
ones it errs on the long side, because those at work have begun already (tests/test_waiting.py simulates both).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import (
    Case,
    Count,
    DurationField,
    ExpressionWrapper,
    F,
    IntegerField,
    Q,
    QuerySet,
    When,
)
from django.db.models.expressions import BaseExpression
from django.db.models.functions import Coalesce

from agents_app import presence
from config import clock
from messaging_app.models import Controller, Conversation
from sessions_app import figures
from sessions_app.figures import Counted, MeanTime, Summed, Wanted
from sessions_app.models import Transfer
from sessions_app.states import LIVE, Owner, TransferStatus

MEASURED = 50
"""Services that the mean is of: the newest ones…"""
MEASURED_WITHIN = timedelta(hours=24)
"""…that ended so lately."""


def expected_wait(*, ahead: int, free: int, capacity: int, service: float | None) -> float | None:
    """Seconds until somebody is likely to be served; 0 for at once, None when that is not known.

    `ahead` wait in front; the agents who could serve have `capacity` places of which `free` are free; a conversation
    takes a place for `service` seconds on average, None where nothing was measured yet. Pure.
    """
    if free > ahead:
        return 0.0
    if capacity <= 0 or service is None:
        return None
    return (ahead - free + 1) * service / capacity


@dataclass(frozen=True, slots=True)
class Waiting:
    """`position` is 1 for the next in the tenant's queue; `seconds` is None when not known."""

    position: int
    seconds: int | None


def waiting(conversation: Conversation) -> Waiting | None:
    """Where a conversation stands in the queue; None when it is not in it. Three queries at most."""
    if conversation.controller != Controller.QUEUE:
        return None
    asked = Transfer.objects.filter(conversation=conversation, status=TransferStatus.PENDING).order_by("pk").first()
    return told(figures.read(conversation.tenant_id, figures_wanted(conversation, asked, clock.now())))


def figures_wanted(conversation: Conversation, asked: Transfer | None, now: datetime) -> Wanted:
    """What `told` makes a place in the queue of. A transfer to a team or an agent waits for their places alone."""
    ahead = queue = _before(conversation)
    agents = presence.reachable(now).filter(tenant_id=conversation.tenant_id)
    newest = Transfer.objects.filter(tenant_id=conversation.tenant_id, served_until__gte=now - MEASURED_WITHIN)
    service: BaseExpression = _mean(newest)
    if asked and asked.to_agent_id:
        ahead = _asked_of(queue, to_agent=asked.to_agent_id)
        agents = agents.filter(pk=asked.to_agent_id)
    elif asked and asked.to_team_id:
        ahead = _asked_of(queue, to_team=asked.to_team_id)
        agents = agents.filter(teams=asked.to_team_id)
        service = Coalesce(_mean(newest.filter(to_team=asked.to_team_id)), service)
    served = Q(chatsession__owner_kind=Owner.AGENT, chatsession__status__in=sorted(LIVE))
    agents = agents.annotate(load=Count("chatsession", filter=served, distinct=True)).order_by()
    room = Case(When(load__lt=F("max_load"), then=F("max_load") - F("load")), default=0, output_field=IntegerField())
    return {
        "queue_before": Counted(queue),
        "queue_ahead": Counted(ahead),
        "queue_free": Summed(agents.values(figure=room)),
        "queue_capacity": Summed(agents.values(figure=F("max_load"))),
        "queue_service": service,
    }


def told(figures: Mapping[str, Any]) -> Waiting:
    """A place in the queue, from the figures of `figures_wanted`."""
    service: timedelta | None = figures["queue_service"]
    wait = expected_wait(
        ahead=figures["queue_ahead"],
        free=int(figures["queue_free"]),
        capacity=int(figures["queue_capacity"]),
        service=service.total_seconds() if service is not None else None,
    )
    return Waiting(figures["queue_before"] + 1, None if wait is None else math.ceil(wait))


def queue_position(conversation: Conversation) -> int:
    """1 for the next in the tenant's queue."""
    return _before(conversation).count() + 1


def _before(conversation: Conversation) -> QuerySet[Conversation]:
    queue = Conversation.objects.filter(tenant_id=conversation.tenant_id, controller=Controller.QUEUE)
    return queue.filter(
        Q(tier__lt=conversation.tier) | Q(tier=conversation.tier, desk_order__lt=conversation.desk_order)
    )


def _asked_of(queue: QuerySet[Conversation], **whom: int) -> QuerySet[Conversation]:
    asked = Transfer.objects.filter(status=TransferStatus.PENDING, **whom)
    return queue.filter(pk__in=asked.values("conversation_id"))


def _mean(rows: QuerySet[Transfer]) -> MeanTime:
    """The mean time that agents needed for the newest of these conversations."""
    took = ExpressionWrapper(F("served_until") - F("ended_at"), DurationField())
    return MeanTime(rows.order_by("-served_until").values(figure=took)[:MEASURED])
