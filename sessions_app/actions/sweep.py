"""Finds conversations on which something is due, without a lock; each is then taken, re-checked and settled. What is merely
silent ends many at a time (`silent_ends`).

Two kinds: a deadline has passed, or somebody has become free for what waits to be offered (`drain`). The drain looks
first whether anybody is free; while nobody is, it costs the same however many wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from agents_app import loops, presence, row_policies
from agents_app.actors import system_actor
from agents_app.models import Tenant
from config import clock
from messaging_app.models import Conversation
from sessions_app.actions import flows
from sessions_app.actions.lifecycle import expire_due
from sessions_app.actions.silent_ends import end_silent
from sessions_app.assignment import facts
from sessions_app.assignment.choice import choose, is_free
from sessions_app.assignment.facts import InLine
from sessions_app.assignment.strategies import Candidate, Case
from sessions_app.assignment.teams import Teams
from sessions_app.core import wake
from sessions_app.models import ChatSession, GuidedFlow, SlaClock, Transfer
from sessions_app.promises import unanswered
from sessions_app.states import FLOW_OPEN, LIVE, OPEN, Owner, TransferStatus

CHUNK = 1000
SILENT = 5000
"""Sessions of one look. Most of them have only been silent, and hundreds of those end in the time of a few others."""
LOOP, DRAINS, OFFERS = "sweep", "drain", "offers"


def due(limit: int = CHUNK, of_sessions: int = SILENT) -> set[tuple[int, int]]:
    """Tenant and conversation of what is due now and not put off, at most `limit` of each kind, and `of_sessions`."""
    now = clock.now()
    pending = Transfer.objects.filter(status=TransferStatus.PENDING)
    sessions = ChatSession.objects.filter(status__in=sorted(OPEN)).filter(
        Q(expires_at__lte=now) | Q(reply_due_at__lte=now) | Q(warns_at__lte=now)
    )
    others = (
        pending.filter(Q(deadline__lte=now) | Q(offer_expires_at__lte=now) | Q(next_round_at__lte=now)),
        GuidedFlow.objects.filter(status__in=sorted(FLOW_OPEN), conversation__isnull=False).filter(
            Q(expires_at__lte=now) | Q(lease_until__lte=now)
        ),
        SlaClock.objects.filter(wakes_at__lte=now),
        *_lapsed(now),
    )
    conversations: set[tuple[int, int]] = set()
    tried = loops.not_put_off(LOOP, "conversation_id")
    for candidates, most in ((sessions, of_sessions), *((rows, limit) for rows in others)):
        conversations |= set(
            candidates.filter(tried).annotate(of=F("conversation_id")).values_list("tenant_id", "of")[:most]
        )
    waiting = forgotten(now).filter(loops.not_put_off(LOOP, "pk"))
    return conversations | set(waiting.values_list("tenant_id", "pk")[:limit])


def forgotten(now: datetime) -> QuerySet[Conversation]:
    """Conversations without a flag whose customer has waited for `group_after`, and which nobody could answer."""
    flagging = Tenant.objects.filter(unanswered=Tenant.Unanswered.FLAG).values_list("pk", "policies")
    return Conversation.objects.filter(
        row_policies.overdue("unanswered_since", now, lambda own: own.group_after, flagging),
        unanswered.nobody_can_answer_q(),
        needs_human=False,
    )


def _lapsed(now: datetime) -> tuple[QuerySet[Transfer], ...]:
    """Open offers to agents who have gone, and to agents who are full. An index finds them, however many wait."""
    offered = Transfer.objects.filter(status=TransferStatus.PENDING, offer_expires_at__isnull=False)
    return (
        offered.exclude(offered_to__in=presence.takes_work(now)),
        offered.alias(served=_served()).filter(served__gte=F("offered_to__max_load")),
    )


def _served() -> Coalesce:
    """The number of live sessions of the agent to whom a transfer is offered."""
    live = ChatSession.objects.filter(agent=OuterRef("offered_to"), owner_kind=Owner.AGENT, status__in=sorted(LIVE))
    return Coalesce(Subquery(live.order_by().values("agent").annotate(n=Count("pk")).values("n")), 0)


def sweep_due() -> int:
    """Apply all that is due, and offer what waits. Returns how many conversations and unbound flows were looked at."""
    found = sorted(due())
    done = end_silent(found, loop=LOOP)
    looked = len(done) + _settle_each(item for item in found if item[1] not in done) + flows.end_overdue_unbound()
    tenants = ((tenant_id, tenant_id) for tenant_id in _to_drain(clock.now()))
    return looked + sum(loops.each(DRAINS, tenants, _drained))


def _to_drain(now: datetime) -> list[int]:
    """The tenants in which somebody is free, and something waits to be offered."""
    with_room = list(facts.with_room(now).order_by().values_list("tenant_id", flat=True).distinct())
    if not with_room:
        return []
    waits = Exists(facts.waiting(now).filter(tenant=OuterRef("pk")))
    return list(Tenant.objects.filter(waits, pk__in=with_room).order_by("pk").values_list("pk", flat=True))


def _settle_each(conversations: Iterable[tuple[int, int]]) -> int:
    """Settle these conversations, each by itself; returns how many."""
    return sum(loops.each(LOOP, conversations, _settled))


def _settled(tenant_id: int, conversation_id: int) -> bool:
    expire_due(actor=system_actor(tenant_id), conversation_id=conversation_id)
    return True


def _drained(tenant_id: int, _: int) -> int:
    return drain(tenant_id)


def settle_offers_and_drain(tenant_id: int) -> None:
    """After a change of presence: settle offers to agents who cannot take them any more, then drain the queue."""
    for offered in _lapsed(clock.now()):
        own_offers = offered.filter(loops.not_put_off(LOOP, "conversation_id"), tenant_id=tenant_id)
        _settle_each(list(own_offers.values_list("tenant_id", "conversation_id")[:CHUNK]))
    drain(tenant_id)


# --- The queue ---------------------------------------------------------------------------------------------------

PAGE = 100
"""Transfers of the queue that are read at once."""
PAGES = 10
"""Pages that one drain reads, when nobody who is free fits the head of the queue."""
_reached: dict[int, InLine] = {}
"""By tenant: where the last drain stopped after `PAGES`. The next one reads the head, and goes on from there."""


def drain(tenant_id: int) -> int:
    """Offer what waits in a tenant's queues, in the order of the desk, as long as somebody is free. Returns how many.

    Runs in every sweep, and whenever a verb may have made room (`wake`); never in a request. Free agents are read once,
    without a lock; each conversation is then locked and decided anew, by itself: one that fails is put off alone. A
    process runs one drain at a time for each tenant.
    """
    return wake.run_exclusively(tenant_id, partial(_drain, tenant_id))


def _drain(tenant_id: int) -> int:
    now = clock.now()
    with_room = set(facts.with_room(now).filter(tenant_id=tenant_id).values_list("pk", flat=True))
    if not with_room:
        return 0
    teams = Teams.of(tenant_id)
    free: list[Candidate] | None = None
    offered, after = 0, None
    for page in range(PAGES):
        tried = loops.not_put_off(OFFERS, "conversation_id")
        line = facts.in_line(tenant_id, now, after=after, limit=PAGE, tried=tried)
        if line and free is None:
            people = facts.candidates(tenant_id, now, strategies=teams.strategies, only=with_room)
            free = [candidate for candidate in people if is_free(candidate)]
        if free:
            offered += _offer(line, facts.case_maker(line, teams, now), free, now)
        if not free or len(line) < PAGE:
            _reached.pop(tenant_id, None)
            return offered
        after = facts.place_of(line[-1])
        if page == 0:
            after = max(after, _reached.get(tenant_id, after))
    if after is not None:
        _reached[tenant_id] = after
    return offered


def _offer(line: list[Transfer], case: Callable[[Transfer], Case], free: list[Candidate], now: datetime) -> int:
    """Offer what fits a free agent, and count it as the agent's load, until `free` is empty. Returns how many."""

    def offer(tenant_id: int, conversation_id: int, transfer: Transfer) -> bool:
        chosen = choose(case(transfer), free).chosen
        if chosen is None or not _settle_each([(tenant_id, conversation_id)]):
            return False
        chosen.busy += 1
        chosen.offers_today += 1
        chosen.last_offer_at = now
        if not is_free(chosen):
            free.remove(chosen)
        return True

    offered = 0
    for is_offered in loops.each(OFFERS, ((t.tenant_id, t.conversation_id, t) for t in line), offer):
        offered += is_offered
        if not free:
            break
    return offered
