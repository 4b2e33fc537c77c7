"""Departure: an agent leaves, and none of the agent's work waits for somebody who does not come back (C5).

A dismissal takes effect at once, in one short transaction: from its commit on the agent is let in nowhere and gets
nothing. The agent's work is moved on conversation by conversation, each in a transaction of its own: one that fails
stops no other. The clock (`finish_departures`) finds what a killed process left, and agents who were deactivated
without the verb.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.expressions import Combinable

from agents_app import loops
from agents_app.actors import Actor, system_actor
from agents_app.logins import ranks
from agents_app.models import Agent
from config import clock, limits
from config.db import lock_rows, retried
from config.errors import Conflict, Forbidden, NotFound
from messaging_app import stream
from sessions_app import assignment
from sessions_app.actions import lifecycle
from sessions_app.actions.takeovers import move_on
from sessions_app.core import oplog, presence_log
from sessions_app.core.locked_conversation import LockedConversation
from sessions_app.models import ChatSession, Participant, Transfer
from sessions_app.rights import access
from sessions_app.states import OPEN, Owner, ParticipantStatus, TransferStatus
from sessions_app.unit.unit_of_work import locked_conversation, verb

LOOP = "departures"
AT_ONCE = 1000
"""Conversations of each kind that one round of the clock looks at."""
HAS_LEFT = "the agent has left"
GETS_NOTHING = "the agent gets nothing new"


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """The result of a dismissal: conversations `moved` on at once, and those `left`, which the clock tries again."""

    agent: Agent
    moved: int
    left: int
    is_repeat: bool = False


@verb
def dismiss_agent(*, actor: Actor, agent_id: int, reason: str = "") -> Departure:
    """End an agent's employment at once, on record, and move on all work that the agent has.

    Live sessions go back to the queue (C5), paused ones lose their owner, transfers addressed to the agent are
    addressed to the team, offers are withdrawn, collaborations end; sockets and logins end within a second. The agent's
    messages, labels and other records stay. A repeat finishes what was left.
    Raises `Forbidden` for oneself and for somebody who may do more, `Conflict` for the last administrator, `NotFound`.
    """
    access.must_be_supervisor(actor)
    with transaction.atomic():
        agent = _to_dismiss(actor, agent_id)
        is_repeat = not agent.is_active
        if not is_repeat:
            _end_employment(actor, agent, reason.strip()[: limits.MAX_REASON])
    moved = _clear_all(actor, holdings(Agent.objects.filter(pk=agent.pk)))
    left = len({conversation for _, conversation, _ in holdings(Agent.objects.filter(pk=agent.pk))})
    return Departure(agent=agent, moved=moved, left=left, is_repeat=is_repeat)


def _to_dismiss(actor: Actor, agent_id: int) -> Agent:
    """The agent, locked together with the tenant's administrators: two who dismiss each other meet here."""
    agents = Agent.objects.filter(tenant_id=actor.tenant_id)
    admins = agents.filter(role=Agent.Role.ADMIN, is_active=True)
    rows: dict[int, Agent] = {row.pk: row for row in lock_rows(agents.filter(pk=agent_id) | admins)}
    agent = rows.get(agent_id)
    if agent is None:
        raise NotFound("There is no such agent.")
    if not agent.is_active:
        return agent
    may_dismiss(actor, agent)
    if agent.role == Agent.Role.ADMIN and len(rows) == 1:
        raise Conflict("The last administrator stays: make somebody else one first.")
    return agent


def may_dismiss(actor: Actor, agent: Agent) -> None:
    """Nobody dismisses themselves, or somebody who may do more. Raises `Forbidden`."""
    if not actor.is_agent:
        return
    if actor.id == agent.pk:
        raise Forbidden("Nobody dismisses themselves; ask a colleague.")
    own = Agent.objects.select_related("user").filter(pk=actor.pk, is_active=True).first()
    if own is None or ranks.is_stronger(agent, own):
        raise Forbidden(f"{agent.name} may do more than you; only somebody who may as much dismisses them.")


def _end_employment(actor: Actor, agent: Agent, reason: str) -> None:
    now = clock.now()
    agent.is_active = False
    agent.availability, agent.availability_reason, agent.availability_since = Agent.Availability.OFFLINE, "", now
    agent.save(update_fields=["is_active", "availability", "availability_reason", "availability_since"])
    data = {"agent_id": agent.pk, "name": agent.name, "reason": reason}
    stream.record(agent.tenant_id, actor=actor, type="agent.dismissed", at=now, data=data)
    presence_log.note(agent, now, actor)


def finish_departures() -> int:
    """For the clock: move on the work of dismissed agents, and what waits for the answer of drained ones.

    Returns how many conversations were moved on.
    """
    tried = loops.not_put_off(LOOP, "conversation_id")
    drained = Agent.objects.filter(is_active=True, is_drained=True)
    return _clear_all(
        None, holdings(Agent.objects.filter(is_active=False), tried=tried) | _requests(drained, tried=tried)
    )


# --- Drained: nothing new, and what they have stays -----------------------------------------------------------------


@verb
def drain_agent(*, actor: Actor, agent_id: int, reason: str = "") -> Agent:
    """Give an agent nothing new: no offers, nothing taken by hand, no handovers. What they serve stays theirs.

    A transfer addressed to the agent alone is addressed to the team. A repeat changes nothing. Raises `Forbidden`,
    `NotFound`.
    """
    agent = _set_drained(actor, agent_id, True, reason)
    _clear_all(actor, _requests(Agent.objects.filter(pk=agent.pk)))
    return agent


@verb
def undrain_agent(*, actor: Actor, agent_id: int, reason: str = "") -> Agent:
    """Let an agent get new work again. A repeat changes nothing. Raises `Forbidden`, `NotFound`."""
    return _set_drained(actor, agent_id, False, reason)


def _set_drained(actor: Actor, agent_id: int, is_drained: bool, reason: str) -> Agent:
    access.must_be_supervisor(actor)
    with transaction.atomic():
        agent: Agent | None = lock_rows(
            Agent.objects.filter(pk=agent_id, tenant_id=actor.tenant_id, is_active=True)
        ).first()
        if agent is None:
            raise NotFound("There is no such agent.")
        if agent.is_drained != is_drained:
            now = clock.now()
            agent.is_drained = is_drained
            agent.save(update_fields=["is_drained"])
            data = {"agent_id": agent.pk, "name": agent.name, "reason": reason.strip()[: limits.MAX_REASON]}
            if is_drained:
                stream.record(agent.tenant_id, actor=actor, type="agent.drained", at=now, data=data)
            else:
                stream.record(agent.tenant_id, actor=actor, type="agent.undrained", at=now, data=data)
            presence_log.note(agent, now, actor)
            presence_log.wake_drain_after_commit(agent)
    return agent


# --- The work of an agent who leaves -------------------------------------------------------------------------------


type Holdings = set[tuple[int, int, int]]
"""Ids of tenant, conversation and agent."""


def holdings(agents: QuerySet[Agent], *, tried: Combinable | None = None) -> Holdings:
    """What these agents own, are asked or offered, or take part in, filtered by `tried`: `AT_ONCE` rows a kind."""
    inside = (ParticipantStatus.INVITED, ParticipantStatus.JOINED)
    return _requests(agents, tried=tried) | _held(
        agents,
        tried,
        (ChatSession.objects.filter(owner_kind=Owner.AGENT, status__in=sorted(OPEN)), "agent"),
        (Participant.objects.filter(status__in=inside), "agent"),
    )


def _requests(agents: QuerySet[Agent], *, tried: Combinable | None = None) -> Holdings:
    """Pending transfers that are addressed or offered to these agents."""
    pending = Transfer.objects.filter(status=TransferStatus.PENDING)
    return _held(agents, tried, (pending, "to_agent"), (pending, "offered_to"))


def _held(agents: QuerySet[Agent], tried: Combinable | None, *held: tuple[QuerySet[Any], str]) -> Holdings:
    holdings: Holdings = set()
    for rows, whose in held:
        theirs = rows.filter(*[tried] if tried else [], **{f"{whose}__in": agents}).order_by("pk")
        holdings |= set(theirs.values_list("tenant_id", "conversation_id", f"{whose}_id")[:AT_ONCE])
    return holdings


def _clear_all(actor: Actor | None, held: Holdings) -> int:
    """Move on what is held, as `actor` or as the system; returns how many. The clock tries again what fails.

    What an actor orders is tried even if put off: it may have failed for another agent, or for a cause that is gone.
    """

    def clear(tenant_id: int, conversation_id: int, agent_id: int) -> bool:
        return _clear(actor or system_actor(tenant_id), conversation_id, agent_id)

    return sum(loops.each(LOOP, sorted(held), clear, is_ordered=actor is not None))


@retried
def _clear(actor: Actor, conversation_id: int, agent_id: int) -> bool:
    """Take everything in one conversation from an agent who has left; False for one who works here again."""
    with locked_conversation(actor, conversation_id) as locked:
        agent = Agent.objects.get(pk=agent_id)
        if agent.is_active and agent.is_drained:
            return release_requests(locked, agent_id, reason=GETS_NOTHING)
        if agent.is_active:
            return False
        locked.rule = "C5"
        for session in [s for s in locked.sessions if s.owner_kind == Owner.AGENT and s.agent_id == agent_id]:
            if session.is_live:
                move_on(locked, session, reason=HAS_LEFT, trigger="departure")
            else:
                _free(locked, session)
        release_requests(locked, agent_id, reason=HAS_LEFT)
        oplog.end_collaboration(locked, agent_id, reason=HAS_LEFT)
    return True


def _free(locked: LockedConversation, session: ChatSession) -> None:
    """Leave a paused session without an owner, waiting for its turn: the agent will not come back to resume it."""
    oplog.change_owner(locked, session, Owner.NOBODY)
    if session.on_hold:
        lifecycle.hold(locked, session, False)


def release_requests(locked: LockedConversation, agent_id: int, *, reason: str) -> bool:
    """Address this agent's pending transfers to the team, and withdraw offers to the agent. True if there were any."""
    theirs = [t for t in locked.transfers if agent_id in (t.to_agent_id, t.offered_to_id)]
    for transfer in theirs:
        if transfer.to_agent_id == agent_id:
            oplog.readdress(locked, transfer, reason=reason)
        if transfer.offered_to_id == agent_id:
            assignment.withdraw_offer(locked, transfer, reason=reason)
    return bool(theirs)
