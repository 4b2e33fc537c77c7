"""Reads a past period from the rows and the stream."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import chain

from django.conf import settings
from django.db.models import Max, OuterRef, Q, QuerySet, Subquery

from agents_app import row_policies
from agents_app.models import Agent, Membership, PresenceChange, Team, Tenant
from config import clock
from messaging_app.models import Operation
from sessions_app.assignment.facts import TODAY
from sessions_app.models import AssignmentDecision, ChatSession, Transfer
from sessions_app.states import Kind, Owner, TransferKind, TransferStatus
from sessions_app.whatif.past import Past, PastAgent, PresenceLogLine
from sessions_app.whatif.tape import TYPES, RecordedRequest, Tape

AFTER = timedelta(hours=12)
"""How much time after the period is read too, to know how long work that began in it lasted."""
CHUNK = 2000


def read(tenant: Tenant, start: datetime, end: datetime) -> Past:
    """A tenant's period: what waited and was worked on at its start, and all that happened in it.

    Skills, teams and rules are the present ones; their earlier values are not stored.
    """
    past = Past(
        start=start,
        end=end,
        tenant=tenant,
        teams=list(Team.objects.filter(tenant=tenant)),
        people=_people(tenant, start, end),
        policies=row_policies.of(tenant),
        known_until=min(clock.now(), end + AFTER),
        gone_after=timedelta(seconds=settings.TANDEM["AGENT_GONE_AFTER"] - settings.TANDEM["AGENT_AWAY_AFTER"]),
    )
    first = _first_position(tenant, start)
    open_then = ChatSession.objects.filter(tenant=tenant, opened_at__lt=start).filter(
        Q(ended_at=None) | Q(ended_at__gte=start)
    )
    tape = Tape(_requests(tenant, open_then, start, end))
    for operation in _operations(tenant).filter(session_id__in=open_then.values("pk"), pos__lt=first).order_by("pos"):
        tape.apply(operation)
    past.held, past.queued, past.gave_way = tape.begins(start)
    for operation in _during(tenant, first, end):
        tape.apply(operation)
    tape.close()
    past.waits, past.work, past.handovers, past.story = tape.waits, tape.work, tape.handovers, tape.story
    past.ranks = tape.ranks
    past.last_agents = _last_agents(tenant, {wait.conversation_id for wait in past.waits}, start)
    return past


def _operations(tenant: Tenant) -> QuerySet[Operation]:
    operations = Operation.objects.filter(tenant=tenant, type__in=TYPES, pos__isnull=False)
    return operations.only("pos", "type", "conversation_id", "session_id", "data", "at")


def _first_position(tenant: Tenant, moment: datetime) -> int:
    """The first position from `moment` on. Positions and times rise together: a binary search."""
    stamped = Operation.objects.filter(tenant=tenant, pos__isnull=False)
    low, high = 1, (stamped.aggregate(last=Max("pos"))["last"] or 0) + 1
    while low < high:
        middle = (low + high) // 2
        operation = stamped.filter(pos__gte=middle).order_by("pos").values_list("pos", "at").first()
        if operation is None or operation[1] >= moment:
            high = middle
        else:
            low = (operation[0] or 0) + 1
    return low


def _during(tenant: Tenant, first: int, end: datetime) -> Iterator[Operation]:
    """The operations of the period, then those within `AFTER` of the sessions that were open at its end."""
    beyond = _first_position(tenant, end)
    last = _first_position(tenant, end + AFTER)
    during = _operations(tenant).filter(pos__gte=first, pos__lt=beyond).order_by("pos")
    begun = ChatSession.objects.filter(tenant=tenant, opened_at__lt=end).filter(Q(ended_at=None) | Q(ended_at__gte=end))
    after = _operations(tenant).filter(pos__gte=beyond, pos__lt=last, session_id__in=begun.values("pk")).order_by("pos")
    return chain(during.iterator(chunk_size=CHUNK), after.iterator(chunk_size=CHUNK))


def _requests(
    tenant: Tenant, open_then: QuerySet[ChatSession], start: datetime, end: datetime
) -> dict[int, RecordedRequest]:
    in_reach = Q(requested_at__gte=start, requested_at__lt=end + AFTER) | Q(session__in=open_then.values("pk"))
    rows = Transfer.objects.filter(in_reach, tenant=tenant).exclude(
        kind__in=(TransferKind.TAKEOVER, TransferKind.GRAB, TransferKind.RETURN)
    )
    requests = {}
    for row in (
        rows.select_related("session").defer("context", "session__context", "session__said").iterator(chunk_size=CHUNK)
    ):
        by_agent = row.from_id if row.from_kind == Owner.AGENT and row.from_id else 0
        is_robot = Kind(row.session.kind).is_robot and row.session.bot_id is not None
        requests[row.pk] = RecordedRequest(
            kind=row.kind,
            team_id=row.to_team_id or 0,
            to_agent_id=row.to_agent_id or 0,
            needs=row.needs,
            refused_by=frozenset({by_agent} if row.trigger == "no_reply" else ()),
            waiting_since=row.waiting_since,
            deadline=row.deadline,
            left_by=by_agent,
            goes_back=is_robot and row.kind == TransferKind.ESCALATION and row.opens_at is None,
        )
    return requests


def _people(tenant: Tenant, start: datetime, end: datetime) -> dict[int, PastAgent]:
    people = {
        agent.pk: PastAgent(agent.pk, agent.name, agent.max_load, agent.skills)
        for agent in Agent.objects.filter(tenant=tenant, is_active=True).order_by("pk")
    }
    for agent, team, weight in Membership.objects.filter(agent__in=people).values_list("agent_id", "team_id", "weight"):
        people[agent].weights[team] = weight
    for row in _presence_log(tenant, start, end):
        if person := people.get(row.agent_id):
            person.presence_log.append(
                PresenceLogLine(row.at, row.availability, row.is_heard, row.max_load, row.is_drained)
            )
    made = AssignmentDecision.objects.filter(tenant=tenant, chosen__in=people, at__lt=start)
    for agent, at in made.filter(at__gte=start - TODAY).order_by("at").values_list("chosen_id", "at"):
        people[agent or 0].offers.append(at)
    for agent, at in made.values_list("chosen_id").annotate(last=Max("at")).values_list("chosen_id", "last"):
        people[agent or 0].last_offer_at = at
    for agent, at in _idle_since(tenant, start).items():
        if agent in people:
            people[agent].idle_since = at
    return people


def _presence_log(tenant: Tenant, start: datetime, end: datetime) -> Iterator[PresenceChange]:
    """Of each agent's presence log the line that was valid when the period began, and those in it."""
    rows = PresenceChange.objects.filter(tenant=tenant)
    before = rows.filter(agent=OuterRef("agent"), at__lte=start).order_by("-at", "-pk").values("pk")[:1]
    return chain(
        rows.filter(at__lte=start, pk=Subquery(before)),
        rows.filter(at__gt=start, at__lt=end).order_by("at", "pk").iterator(chunk_size=CHUNK),
    )


def _idle_since(tenant: Tenant, start: datetime) -> dict[int, datetime]:
    """When each agent's last work ended, as in `assignment.facts`, at the start of the period."""
    newest: dict[int, datetime] = defaultdict(lambda: start - TODAY)
    ended = ChatSession.objects.filter(
        tenant=tenant, agent__isnull=False, ended_at__gte=start - TODAY, ended_at__lt=start
    )
    gone = Transfer.objects.filter(
        tenant=tenant,
        from_kind=Owner.AGENT,
        status=TransferStatus.ACCEPTED,
        ended_at__gte=start - TODAY,
        ended_at__lt=start,
    ).exclude(from_id=None)
    for agent, at in chain(ended.values_list("agent_id", "ended_at"), gone.values_list("from_id", "ended_at")):
        if agent and at:
            newest[agent] = max(newest[agent], at)
    return newest


def _last_agents(tenant: Tenant, conversations: set[int], start: datetime) -> dict[int, int]:
    """The agent who had served each of these conversations last."""
    last_agents: dict[int, int] = {}
    taken = Transfer.objects.filter(
        tenant=tenant, status=TransferStatus.ACCEPTED, accepted_by__isnull=False, ended_at__lt=start
    )
    ids = sorted(conversations)
    for begin in range(0, len(ids), CHUNK):
        rows = taken.filter(conversation__in=ids[begin : begin + CHUNK]).order_by("ended_at", "pk")
        last_agents |= {
            conversation: agent or 0 for conversation, agent in rows.values_list("conversation_id", "accepted_by_id")
        }
    return last_agents
