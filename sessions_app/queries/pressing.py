"""How long customers wait, for the list and the API: when somebody is there, and which promise is due first."""

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
    """When an agent is there again, by the id of each queued conversation for which none is now. One query, or none."""
    queued = [c.pk for c in conversations if c.controller == Controller.QUEUE]
    if not queued:
        return {}
    transfers = Transfer.objects.filter(
        conversation__in=queued, status=TransferStatus.PENDING, opens_at__gt=clock.now()
    )
    return {transfer.conversation_id: transfer.opens_at for transfer in transfers.defer("context") if transfer.opens_at}


def pressing(ids: Iterable[int]) -> dict[int, SlaClock]:
    """The clock of each conversation, by its id, that is due first, or has been due for longest. One query."""
    running = SlaClock.objects.filter(conversation__in=list(ids), ended_at=None, due_at__isnull=False)
    by_conversation: dict[int, SlaClock] = {}
    for sla_clock in running.order_by("due_at", "pk"):
        by_conversation.setdefault(sla_clock.conversation_id, sla_clock)
    return by_conversation


def with_service_level(actor: Actor, rows: QuerySet[Conversation], state: str) -> QuerySet[Conversation]:
    """The conversations whose customer still waits, longer than was promised (`breached`) or nearly so (`warned`).

    Service levels are the desk's own: customers and participants get none.
    """
    if actor.kind in _OUTSIDERS:
        return rows.none()
    waiting = SlaClock.objects.filter(tenant_id=actor.tenant_id, ended_at=None)
    late = waiting.filter(breached_at__isnull=state != "breached")
    late = late if state == "breached" else late.filter(warned_at__isnull=False)
    return rows.filter(pk__in=late.values("conversation_id"))
