"""After an outage (C5): the truth for whoever comes back, and the sessions of agents who do not."""

from __future__ import annotations

from dataclasses import dataclass

from agents_app import presence
from agents_app.actors import Actor, ActorKind, system_actor
from agents_app.models import ApiClient
from config import clock
from config.db import retried
from messaging_app.models import Message, Operation
from sessions_app import access, visible
from sessions_app.actions.transfers import raise_need, reassign
from sessions_app.errors import Conflict, Forbidden
from sessions_app.models import ChatSession
from sessions_app.shape import taking, verb
from sessions_app.states import LIVE, TERMINAL, Owner, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """`state` is yours, paused, waiting, moved or ended; `owner_name` says to whom it moved."""

    state: str
    session_id: int
    status: str
    epoch: int
    seq: int
    owner_name: str
    missed: list[Operation]


@verb
def recover(*, actor: Actor, session_id: int, after_seq: int = 0) -> Truth:
    """What has become of a session while the caller was away, and what the caller may hear of since `after_seq`.

    At most 500 operations.
    """
    with taking(actor, session_id=session_id) as turn:
        session = turn.session(session_id)
        _may_ask(actor, session)
        turn.rule = "C5"
    missed = visible.operations(actor).filter(conversation_id=turn.conversation.pk, seq__gt=after_seq)
    return Truth(
        state=_state(actor, session),
        session_id=session.pk,
        status=session.status,
        epoch=turn.conversation.epoch,
        seq=turn.conversation.seq,
        owner_name=access.owner_name(session),
        missed=list(missed.order_by("seq")[:500]),
    )


def _may_ask(actor: Actor, session: ChatSession) -> None:
    if actor.kind == ActorKind.BOT and session.bot_id != actor.id:
        raise Forbidden("This session belongs to another bot.")
    if actor.kind in (ActorKind.CUSTOMER, ActorKind.PARTICIPANT):
        raise Forbidden


def _state(actor: Actor, session: ChatSession) -> str:
    if session.status in TERMINAL:
        return "ended"
    if session.status == Status.PAUSED:
        return "paused"
    if session.status == Status.PENDING:
        return "waiting"
    mine = session.owner_id == actor.id and session.owner_kind == actor.kind
    return "yours" if mine else "moved"


def move_on_from_silent_agents() -> int:
    """Put the live sessions of agents not heard of for the grace time back in the queue. Returns how many."""
    moved = 0
    silent = presence.silent(clock.now())
    owned = ChatSession.objects.filter(agent__in=silent, owner_kind=Owner.AGENT, status__in=sorted(LIVE))
    for tenant_id, conversation_id, agent_id in owned.values_list("tenant_id", "conversation_id", "agent_id"):
        moved += _move_on(tenant_id, conversation_id, agent_id)
    return moved


def _move_on(tenant_id: int, conversation_id: int, agent_id: int | None) -> bool:
    still_silent = presence.silent(clock.now()).filter(pk=agent_id or 0)
    if not still_silent.exists():
        return False
    try:
        reassign(
            actor=system_actor(tenant_id),
            conversation_id=conversation_id,
            reason="the agent has not been heard of",
            from_agent_id=agent_id,
        )
    except Conflict:
        return False  # somebody else was faster
    return True


def escalate_from_dead_bots() -> int:
    """Ask for a human where a bot that promised heartbeats has stopped, and a customer waits. Returns how many.

    Where nobody waits it is left until the customer writes again: a bot's short outage must not fill the queue.
    """
    now = clock.now()
    promised = ApiClient.objects.filter(heartbeat_timeout__gt=0)
    dead = [client.pk for client in promised if not presence.is_alive(client, now)]
    waiting = ChatSession.objects.filter(
        bot__in=dead, owner_kind=Owner.BOT, status=Status.ACTIVE, conversation__last_sender=Message.Sender.CUSTOMER
    )
    return sum(_relieve(*found) for found in waiting.values_list("tenant_id", "conversation_id", "bot_id"))


@retried
def _relieve(tenant_id: int, conversation_id: int, bot_id: int) -> bool:
    with taking(system_actor(tenant_id), conversation_id) as turn:
        live = turn.live
        if live is None or live.owner_kind != Owner.BOT or live.bot_id != bot_id or live.bot is None:
            return False
        if presence.is_alive(live.bot, turn.now):
            return False
        raise_need(turn, reason="the bot has not been heard of", trigger="bot_dead")
    return True
