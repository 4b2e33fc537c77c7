"""The facts of a decision, read from the rows: who could serve, and what waits to be offered.

A fixed number of queries, however many agents and conversations there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, F, Max, OuterRef, Q, QuerySet, Subquery
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce

from agents_app import presence
from agents_app.models import Agent, Membership, Team, Tenant
from agents_app.skills import together
from sessions_app.assignment.strategies import Candidate, Case
from sessions_app.assignment.teams import Teams
from sessions_app.models import AssignmentDecision, ChatSession, Transfer
from sessions_app.states import LIVE, Owner, TransferStatus

_DECIDED_BY = ("tenant_id", "conversation_id", "to_team_id", "needs", "refused_by", "waiting_since", "opens_at")
TODAY = timedelta(days=1)
"""How far back the strategies look."""


def waiting(now: datetime) -> QuerySet[Transfer]:
    """Transfers that may be offered now: addressed to no agent, not closed, of a team or tenant that wants offers."""
    push = Tenant.Assignment.PUSH
    pending = Transfer.objects.filter(status=TransferStatus.PENDING, to_agent=None, offered_to=None)
    pending = pending.filter(Q(opens_at=None) | Q(opens_at__lte=now))
    as_tenant = Q(to_team=None) | Q(to_team__assignment="")
    return pending.filter(Q(to_team__assignment=push) | (as_tenant & Q(tenant__assignment=push)))


def cases(transfers: Iterable[Transfer], teams: Teams, now: datetime) -> list[Case]:
    """Each transfer with what it needs and who may have it."""
    queue = list(transfers)
    return list(map(case_maker(queue, teams, now), queue))


def case_maker(queue: list[Transfer], teams: Teams, now: datetime) -> Callable[[Transfer], Case]:
    """The same one by one: all queries run here, at once, and an error in one transfer's case stops no other."""
    served = _last_agents([t for t in queue if teams.strategy(t.to_team_id) == Team.Strategy.STICKY])
    full = _full_teams({t.to_team_id for t in queue if t.to_team_id}, teams)

    def case(transfer: Transfer) -> Case:
        return Case(
            transfer_id=transfer.pk,
            conversation_id=transfer.conversation_id,
            strategy=teams.strategy(transfer.to_team_id),
            pool=teams.pool(transfer.to_team_id, waited(transfer, now)),
            needs=together(team.needs if (team := teams.get(transfer.to_team_id)) else {}, transfer.needs),
            refused_by=frozenset(transfer.refused_by),
            last_agent_id=served.get(transfer.conversation_id),
            obstacle="team full" if transfer.to_team_id in full else "",
        )

    return case


def waited(transfer: Transfer, now: datetime) -> timedelta:
    """How long somebody could have taken it: time while it was closed does not count."""
    return now - max(transfer.waiting_since, transfer.opens_at or transfer.waiting_since)


def _last_agents(transfers: list[Transfer]) -> dict[int, int]:
    """Who served each conversation last."""
    if not transfers:
        return {}
    taken = Transfer.objects.filter(
        conversation_id=OuterRef("conversation_id"), status=TransferStatus.ACCEPTED, accepted_by__isnull=False
    )
    newest = Subquery(taken.order_by("-ended_at", "-pk").values("accepted_by_id")[:1])
    rows = Transfer.objects.filter(pk__in=[t.pk for t in transfers]).annotate(last=newest)
    return {conversation: last for conversation, last in rows.values_list("conversation_id", "last") if last}


def _full_teams(ids: set[int | None], teams: Teams) -> set[int]:
    """Of these teams, those that serve as many conversations as they may."""
    limits = {team.pk: team.capacity for pk in ids if (team := teams.get(pk)) and team.capacity is not None}
    if not limits:
        return set()
    served = ChatSession.objects.filter(team__in=limits, owner_kind=Owner.AGENT, status__in=sorted(LIVE))
    counts = Counter(served.values_list("team_id", flat=True))
    offered = Transfer.objects.filter(
        to_team__in=limits, status=TransferStatus.PENDING, offered_to__isnull=False
    ).exclude(session__owner_kind=Owner.AGENT)
    counts += Counter(offered.values_list("to_team_id", flat=True))
    return {pk for pk, limit in limits.items() if counts[pk] >= limit}


def candidates(
    tenant_id: int, now: datetime, *, strategies: Iterable[str], only: Iterable[int] | None = None
) -> list[Candidate]:
    """The tenant's active agents, or those of `only`. `strategies` are the ones in use: they decide what is read."""
    heard = now - timedelta(seconds=settings.TANDEM["AGENT_AWAY_AFTER"])
    agents = Agent.objects.filter(tenant_id=tenant_id, is_active=True).order_by("pk")
    if only is not None:
        agents = agents.filter(pk__in=only)
    busy = _busy(tenant_id)
    weights: dict[int, dict[int, int]] = {}
    for agent, team, weight in Membership.objects.filter(team__tenant_id=tenant_id).values_list(
        "agent_id", "team_id", "weight"
    ):
        weights.setdefault(agent, {})[team] = weight
    in_use = set(strategies)
    today = _offers_since(tenant_id, now - TODAY) if Team.Strategy.WEIGHTED in in_use else {}
    idle = _idle_since(tenant_id, now - TODAY) if Team.Strategy.LONGEST_IDLE in in_use else {}
    return [
        Candidate(
            agent_id=agent.pk,
            availability=agent.availability,
            is_heard=bool(agent.last_seen_at and agent.last_seen_at >= heard),
            busy=busy[agent.pk],
            max_load=agent.max_load,
            skills=agent.skills,
            weights=weights.get(agent.pk, {}),
            last_offer_at=agent.last_offer_at,
            idle_since=idle.get(agent.pk),
            offers_today=today.get(agent.pk, 0),
            is_drained=agent.is_drained,
        )
        for agent in agents
    ]


def _busy(tenant_id: int) -> Counter[int]:
    """Live sessions owned and offers that wait for an answer, by agent."""
    served = ChatSession.objects.filter(tenant_id=tenant_id, owner_kind=Owner.AGENT, status__in=sorted(LIVE))
    offered = Transfer.objects.filter(tenant_id=tenant_id, status=TransferStatus.PENDING, offered_to__isnull=False)
    counts = Counter(dict(served.values_list("agent_id").annotate(n=Count("pk")).values_list("agent_id", "n")))
    counts += Counter(
        dict(offered.values_list("offered_to_id").annotate(n=Count("pk")).values_list("offered_to_id", "n"))
    )
    return counts


def _offers_since(tenant_id: int, since: datetime) -> dict[int, int]:
    made = AssignmentDecision.objects.filter(tenant_id=tenant_id, chosen__isnull=False, at__gte=since)
    return dict(made.values_list("chosen_id").annotate(n=Count("pk")).values_list("chosen_id", "n"))


def _idle_since(tenant_id: int, since: datetime) -> dict[int, datetime]:
    """When each agent's last work of the day ended, or went to somebody else."""
    ended = ChatSession.objects.filter(tenant_id=tenant_id, agent__isnull=False, ended_at__gte=since)
    gone = Transfer.objects.filter(
        tenant_id=tenant_id, from_kind=Owner.AGENT, status=TransferStatus.ACCEPTED, ended_at__gte=since
    ).exclude(from_id=None)
    newest: dict[int, datetime] = {}
    for agent, at in (
        *ended.values_list("agent_id").annotate(at=Max("ended_at")).values_list("agent_id", "at"),
        *gone.values_list("from_id").annotate(at=Max("ended_at")).values_list("from_id", "at"),
    ):
        newest[agent or 0] = max(at, newest.get(agent or 0, at))
    return newest


type InLine = tuple[int, int, int]
"""A place in the queue: tier, order of the desk, id of the transfer."""


def in_line(
    tenant_id: int, now: datetime, *, after: InLine | None = None, limit: int, tried: Combinable | None = None
) -> list[Transfer]:
    """What waits to be offered, in the order of the desk, after a place; only the columns of a decision, no package.

    `tried` is a condition that leaves out what is put off: it takes no place of `limit`.
    """
    rows = waiting(now).filter(*[tried] if tried else [], tenant_id=tenant_id)
    if after is not None:
        tier, order, pk = after
        later = Q(conversation__desk_order__gt=order) | Q(conversation__desk_order=order, pk__gt=pk)
        rows = rows.filter(Q(conversation__tier__gt=tier) | (Q(conversation__tier=tier) & later))
    rows = rows.annotate(tier=F("conversation__tier"), desk_order=F("conversation__desk_order"))
    return list(rows.only(*_DECIDED_BY).order_by("tier", "desk_order", "pk")[:limit])


def place_of(transfer: Any) -> InLine:
    """The place of a transfer that `in_line` has read."""
    return transfer.tier, transfer.desk_order, transfer.pk


def with_room(now: datetime) -> QuerySet[Agent]:
    """Agents who could be offered anything now: there, and with fewer live sessions and open offers than `max_load`.

    One query on the agents who are there; what waits is not read.
    """
    served = ChatSession.objects.filter(agent=OuterRef("pk"), owner_kind=Owner.AGENT, status__in=sorted(LIVE))
    offered = Transfer.objects.filter(offered_to=OuterRef("pk"), status=TransferStatus.PENDING)
    busy = _counted(served, "agent") + _counted(offered, "offered_to")
    return presence.takes_work(now).alias(busy=busy).filter(busy__lt=F("max_load"))


def _counted(rows: QuerySet[Any], of: str) -> Coalesce:
    return Coalesce(Subquery(rows.order_by().values(of).annotate(n=Count("pk")).values("n")), 0)
