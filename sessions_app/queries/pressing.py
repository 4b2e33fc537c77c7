"""How long customers wait, for the list and the API: until somebody is there, and against what was promised them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db.models import QuerySet

from agents_app.actors import Actor, ActorKind
from config import clock
from messaging_app.models import Controller, Conversation
from sessions_app.models import SlaClock, Transfer
from sessions_app.states import TransferStatus

_OUTSIDERS = (ActorKind.CUSTOMER, ActorKind.PARTICIPANT)


def openings(conversations: Iterable[Conversation]) -> dict[int, datetime]:
    """When somebody is there for whom a queued customer waits, where nobody is now; in one query, or none."""
    queued = [c.pk for c in conversations if c.controller == Controller.QUEUE]
    if not queued:
        return {}
    asked = Transfer.objects.filter(conversation__in=queued, status=TransferStatus.PENDING, opens_at__gt=clock.now())
    return {transfer.conversation_id: transfer.opens_at for transfer in asked.defer("context") if transfer.opens_at}


def pressing(ids: Iterable[int]) -> dict[int, SlaClock]:
    """Of each conversation the clock that is due first, or has been due for longest; in one query."""
    running = SlaClock.objects.filter(conversation__in=list(ids), ended_at=None, due_at__isnull=False)
    found: dict[int, SlaClock] = {}
    for one in running.order_by("due_at", "pk"):
        found.setdefault(one.conversation_id, one)
    return found


def with_service_level(actor: Actor, rows: QuerySet[Conversation], state: str) -> QuerySet[Conversation]:
    """Those in which a customer still waits, and longer than was promised (`breached`) or nearly so (`warned`).

    The desk's own judgement: customers and participants find nothing by it.
    """
    if actor.kind in _OUTSIDERS:
        return rows.none()
    waiting = SlaClock.objects.filter(tenant_id=actor.tenant_id, ended_at=None)
    late = waiting.filter(breached_at__isnull=state != "breached")
    late = late if state == "breached" else late.filter(warned_at__isnull=False)
    return rows.filter(pk__in=late.values("conversation_id"))
