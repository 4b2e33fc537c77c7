"""Finds conversations on which something is due, without a lock; each is then taken, re-checked and settled.

Two kinds: a deadline has passed, and somebody has become free for what waits to be offered (`drain`).
"""

from __future__ import annotations

import logging
import threading

from django.db.models import Count, F, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce

from agents_app import presence
from agents_app.actors import system_actor
from config import clock
from config.errors import DomainError
from sessions_app.actions.lifecycle import expire_due
from sessions_app.assignment import facts
from sessions_app.assignment.choice import choose, is_free
from sessions_app.assignment.teams import Teams
from sessions_app.models import ChatSession, GuidedFlow, SlaClock, Transfer
from sessions_app.states import FLOW_BLOCKING, LIVE, OPEN, Owner, TransferStatus

log = logging.getLogger(__name__)

CHUNK = 1000


def due(limit: int = CHUNK) -> set[tuple[int, int]]:
    """Tenant and conversation of what is due now, at most `limit` of each kind."""
    now = clock.now()
    pending = Transfer.objects.filter(status=TransferStatus.PENDING)
    offered = pending.filter(offered_to__isnull=False)
    rows = (
        ChatSession.objects.filter(status__in=sorted(OPEN)).filter(Q(expires_at__lte=now) | Q(reply_due_at__lte=now)),
        pending.filter(Q(deadline__lte=now) | Q(offer_expires_at__lte=now)),
        GuidedFlow.objects.filter(status__in=sorted(FLOW_BLOCKING), conversation__isnull=False).filter(
            Q(expires_at__lte=now) | Q(lease_until__lte=now)
        ),
        SlaClock.objects.filter(wakes_at__lte=now),
        offered.exclude(offered_to__in=presence.reachable(now)),
        offered.alias(served=_served()).filter(served__gte=F("offered_to__max_load")),
    )
    found: set[tuple[int, int]] = set()
    for candidates in rows:
        found |= set(candidates.annotate(of=F("conversation_id")).values_list("tenant_id", "of")[:limit])
    return found


def _served() -> Coalesce:
    """How many live sessions the agent has to whom a transfer is offered."""
    live = ChatSession.objects.filter(agent=OuterRef("offered_to"), owner_kind=Owner.AGENT, status__in=sorted(LIVE))
    return Coalesce(Subquery(live.order_by().values("agent").annotate(n=Count("pk")).values("n")), 0)


def sweep_due() -> int:
    """Apply everything that is due, and offer what waits; returns how many conversations were looked at."""
    looked = sum(_take(tenant_id, conversation_id) for tenant_id, conversation_id in sorted(due()))
    for tenant_id in facts.waiting(clock.now()).values_list("tenant_id", flat=True).distinct():
        looked += drain(tenant_id)
    return looked


def _take(tenant_id: int, conversation_id: int) -> bool:
    """One failure stops no other."""
    try:
        expire_due(actor=system_actor(tenant_id), conversation_id=conversation_id)
    except DomainError as error:
        log.warning("conversation %s could not be swept: %s; the next sweep tries again", conversation_id, error)
        return False
    return True


def agent_changed(tenant_id: int, agent_id: int) -> None:
    """An agent's presence or capacity has changed: what was offered to the agent is looked at again, then the queue."""
    offered = Transfer.objects.filter(tenant_id=tenant_id, offered_to=agent_id, status=TransferStatus.PENDING)
    for conversation_id in list(offered.values_list("conversation_id", flat=True)):
        _take(tenant_id, conversation_id)
    drain(tenant_id)


# --- The queue ---------------------------------------------------------------------------------------------------

_draining = threading.local()


def drain(tenant_id: int) -> int:
    """Offer what waits in a tenant's queues, in the order of the desk, as long as somebody is free. Returns how many.

    Called whenever a verb may have made room, and by every sweep. Who is free is looked at once, without a lock; each
    conversation is then taken and decided anew.
    """
    if getattr(_draining, "now", False):
        return 0
    now, offered = clock.now(), 0
    line = facts.in_line(tenant_id, now)
    if not line:
        return 0
    cases = facts.cases(line, Teams.of(tenant_id), now)
    people = facts.candidates(tenant_id, now, strategies={case.strategy for case in cases})
    free = [candidate for candidate in people if is_free(candidate)]
    _draining.now = True  # what is offered on the way frees nobody that this round need not see
    try:
        for case in cases:
            if not free:
                break
            if chosen := choose(case, free).chosen:
                offered += _take(tenant_id, case.conversation_id)
                chosen.busy += 1
                chosen.offers_today += 1
                chosen.last_offer_at = now
                free = [candidate for candidate in free if is_free(candidate)]
    finally:
        _draining.now = False
    return offered
