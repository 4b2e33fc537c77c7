"""Departure: an agent leaves, and nothing of theirs waits for somebody who does not come back (C5).

A dismissal counts at once and in one short transaction; from its commit on the agent is let in nowhere and gets nothing.
What they had goes on conversation by conversation, each in a transaction of its own: one that fails stops no other, and
what a kill left is found by the clock (`finish_departures`), as is whoever was marked as gone past the verb.
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
    """What a dismissal answers. `moved` conversations went on at once; `left` could not, and the clock tries again."""

    agent: Agent
    moved: int
    left: int
    is_repeat: bool = False


@verb
def dismiss_agent(*, actor: Actor, agent_id: int, reason: str = "") -> Departure:
    """An agent does not work here any more: at once, on record, with what becomes of everything that was theirs.

    Live sessions are asked for again (C5), paused ones are nobody's from now on, what was asked of them is asked of the
    team, offers are withdrawn, collaborations end; sockets and logins end within a second. Their messages, labels and
    the rest of what they did stay. Again, it finishes what was left.
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
    mine = Agent.objects.filter(tenant_id=actor.tenant_id)
    admins = mine.filter(role=Agent.Role.ADMIN, is_active=True)
    found: dict[int, Agent] = {row.pk: row for row in lock_rows(mine.filter(pk=agent_id) | admins)}
    agent = found.get(agent_id)
    if agent is None:
        raise NotFound("There is no such agent.")
    if not agent.is_active:
        return agent
    may_dismiss(actor, agent)
    if agent.role == Agent.Role.ADMIN and len(found) == 1:
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
    told = {"agent_id": agent.pk, "name": agent.name, "reason": reason}
    stream.record(agent.tenant_id, actor=actor, type="agent.dismissed", at=now, data=told)
    presence_log.note(agent, now, actor)


def finish_departures() -> int:
    """For the clock: what whoever does not work here any more still has, and what was asked of whoever gets nothing new.

    Returns how many conversations went on.
    """
    tried = loops.not_put_off(LOOP, "conversation_id")
    drained = Agent.objects.filter(is_active=True, is_drained=True)
    return _clear_all(
        None, holdings(Agent.objects.filter(is_active=False), tried=tried) | _requests(drained, tried=tried)
    )


# --- Drained: nothing new, and what they have stays -----------------------------------------------------------------


@verb
def drain_agent(*, actor: Actor, agent_id: int, reason: str = "") -> Agent:
    """An agent gets nothing new: no offers, nothing by their own hand, no handover. What they serve stays theirs.

    What waits for their answer alone waits for the team's. A repeat is no change. Raises `Forbidden`, `NotFound`.
    """
    agent = _set_drained(actor, agent_id, True, reason)
    _clear_all(actor, _requests(Agent.objects.filter(pk=agent.pk)))
    return agent


@verb
def undrain_agent(*, actor: Actor, agent_id: int, reason: str = "") -> Agent:
    """An agent gets new work again. A repeat is no change. Raises `Forbidden`, `NotFound`."""
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
            told = {"agent_id": agent.pk, "name": agent.name, "reason": reason.strip()[: limits.MAX_REASON]}
            if is_drained:
                stream.record(agent.tenant_id, actor=actor, type="agent.drained", at=now, data=told)
            else:
                stream.record(agent.tenant_id, actor=actor, type="agent.undrained", at=now, data=told)
            presence_log.note(agent, now, actor)
            presence_log.look_at_the_queue(agent)
    return agent


# --- What somebody who leaves has ----------------------------------------------------------------------------------


type Holdings = set[tuple[int, int, int]]
"""Of each its tenant, conversation and agent."""


def holdings(agents: QuerySet[Agent], *, tried: Combinable | None = None) -> Holdings:
    """Everything that these agents own, are asked, are offered or take part in; where `tried` says so, if it is named."""
    inside = (ParticipantStatus.INVITED, ParticipantStatus.JOINED)
    return _requests(agents, tried=tried) | _held(
        agents,
        tried,
        (ChatSession.objects.filter(owner_kind=Owner.AGENT, status__in=sorted(OPEN)), "agent"),
        (Participant.objects.filter(status__in=inside), "agent"),
    )


def _requests(agents: QuerySet[Agent], *, tried: Combinable | None = None) -> Holdings:
    """What waits for an answer of theirs."""
    pending = Transfer.objects.filter(status=TransferStatus.PENDING)
    return _held(agents, tried, (pending, "to_agent"), (pending, "offered_to"))


def _held(agents: QuerySet[Agent], tried: Combinable | None, *held: tuple[QuerySet[Any], str]) -> Holdings:
    found: Holdings = set()
    for rows, whose in held:
        theirs = rows.filter(*[tried] if tried else [], **{f"{whose}__in": agents}).order_by("pk")
        found |= set(theirs.values_list("tenant_id", "conversation_id", f"{whose}_id")[:AT_ONCE])
    return found


def _clear_all(actor: Actor | None, held: Holdings) -> int:
    """In the name of `actor`, or of the system. What fails is tried again by the clock.

    What somebody orders is tried though it be put off: it failed for another agent, or for a cause that may be gone.
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
    """A paused session is nobody's, and waits for its turn: whoever would have resumed it does not come back."""
    oplog.change_owner(locked, session, Owner.NOBODY)
    if session.on_hold:
        lifecycle.hold(locked, session, False)


def release_requests(locked: LockedConversation, agent_id: int, *, reason: str) -> bool:
    """What waits for this one agent's answer waits for the team's, and what was offered to them is offered on."""
    theirs = [t for t in locked.transfers if agent_id in (t.to_agent_id, t.offered_to_id)]
    for transfer in theirs:
        if transfer.to_agent_id == agent_id:
            oplog.readdress(locked, transfer, reason=reason)
        if transfer.offered_to_id == agent_id:
            assignment.withdraw_offer(locked, transfer, reason=reason)
    return bool(theirs)
