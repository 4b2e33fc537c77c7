"""After an outage (C5): the truth for whoever comes back, and the sessions of agents who do not."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from agents_app import loops, presence
from agents_app.actors import Actor, ActorKind, system_actor
from agents_app.models import Agent, ApiClient
from config import clock
from config.db import retried
from messaging_app.events import message_ids
from messaging_app.models import Controller, Message, Operation
from sessions_app import access, unanswered, visible
from sessions_app.actions.transfers import raise_need, reassign
from sessions_app.errors import Conflict, Forbidden, Malformed
from sessions_app.models import ChatSession, Transfer
from sessions_app.shape import taking, verb
from sessions_app.states import LIVE, TERMINAL, Owner, Status

MOST = 500
"""Operations of one page."""

SILENT_AGENTS, DEAD_BOTS = "silent-agents", "dead-bots"
AT_ONCE = 1000
"""Conversations that one round looks at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """`state` is yours, paused, waiting, moved or ended; `owner_name` says to whom it moved.

    `missed` is a page of operations, `messages` are the words of those among them that recorded some. Where `has_more`,
    the next page begins behind `next_after_seq`; else that is where the next absence begins. `unanswered` are what the
    customer said and nobody has answered, if the turn is the caller's. All of them in the order of `seq`.
    """

    state: str
    session_id: int
    conversation_id: int
    status: str
    controller: str
    epoch: int
    seq: int
    owner_name: str
    missed: list[Operation]
    messages: list[Message]
    unanswered: list[Message]
    has_more: bool
    next_after_seq: int


@verb
def recover(*, actor: Actor, session_id: int, after_seq: int = 0, limit: int = MOST) -> Truth:
    """What has become of a session while the caller was away, and what the caller may hear and read of since `after_seq`.

    A page of at most `limit` operations, 1 to `MOST`, up to the state that is told. Raises `Malformed`, `Forbidden`.
    """
    if not 1 <= limit <= MOST:
        raise Malformed(f"limit is a number from 1 to {MOST}.")
    with taking(actor, session_id=session_id) as turn:
        session = turn.session(session_id)
        _may_ask(actor, session)
        turn.rule = "C5"
        state = _state(actor, session)
        owed = unanswered.owed(turn) if _has_the_turn(state, turn.conversation.controller) else []
    here = turn.conversation
    missed = visible.operations(actor).filter(conversation_id=here.pk, seq__gt=after_seq, seq__lte=here.seq)
    page = list(missed.order_by("seq")[: limit + 1])
    has_more, page = len(page) > limit, page[:limit]
    readable = visible.messages(actor).filter(conversation_id=here.pk).prefetch_related("attachments")
    return Truth(
        state=state,
        session_id=session.pk,
        conversation_id=here.pk,
        status=session.status,
        controller=here.controller,
        epoch=here.epoch,
        seq=here.seq,
        owner_name=access.told_owner(actor, session),
        missed=page,
        messages=list(readable.filter(pk__in=message_ids(page)).order_by("seq", "pk")),
        unanswered=list(readable.filter(pk__in=[message.pk for message in owed]).order_by("seq", "pk")),
        has_more=has_more,
        next_after_seq=page[-1].seq if has_more else max(after_seq, here.seq),
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


def _has_the_turn(state: str, controller: str) -> bool:
    """A session that is the caller's is live; while a flow has the right to the answer, it may not be given."""
    return state == "yours" and controller != Controller.FLOW


def move_on_from_silent_agents() -> int:
    """Put the live sessions of agents not heard of for the grace time back in the queue. Returns how many."""
    owned = ChatSession.objects.filter(agent__in=_silent(), owner_kind=Owner.AGENT, status__in=sorted(LIVE))
    tried = owned.filter(loops.not_put_off(SILENT_AGENTS, "conversation_id"))
    found = tried.values_list("tenant_id", "conversation_id", "agent_id")[:AT_ONCE]
    return sum(loops.each(SILENT_AGENTS, found, _move_on))


def _silent() -> QuerySet[Agent]:
    """Agents not heard of for the grace time; who never was, since the first of their sessions came to them."""
    gone = presence.gone_since(clock.now())
    owned = ChatSession.objects.filter(agent=OuterRef("pk"), owner_kind=Owner.AGENT, status__in=sorted(LIVE))
    brought = Transfer.objects.filter(session=OuterRef("pk"), accepted_by=OuterRef("agent")).order_by("-pk")
    since = Coalesce(Subquery(brought.values("ended_at")[:1]), F("activated_at"), F("opened_at"))
    has_owned = owned.alias(since=since).filter(since__lte=gone)
    return Agent.objects.filter(Q(last_seen_at__lt=gone) | Q(Exists(has_owned), last_seen_at=None))


def _move_on(tenant_id: int, conversation_id: int, agent_id: int | None) -> bool:
    """Unless the agent was heard of meanwhile."""
    heard = Agent.objects.filter(pk=agent_id or 0, last_seen_at__gte=presence.gone_since(clock.now()))
    if heard.exists():
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
    """Ask for a human where a bot is dead, whatever it died of (`presence.is_alive`), and a customer waits. Returns how many.

    Where nobody waits it is left until the customer writes again: a bot's short outage must not fill the queue.
    """
    now = clock.now()
    mortal = ApiClient.objects.filter(Q(is_active=False) | Q(heartbeat_timeout__gt=0))
    dead = [client.pk for client in mortal if not presence.is_alive(client, now)]
    waiting = ChatSession.objects.filter(
        bot__in=dead, owner_kind=Owner.BOT, status=Status.ACTIVE, conversation__unanswered_since__isnull=False
    )
    tried = waiting.filter(loops.not_put_off(DEAD_BOTS, "conversation_id"))
    found = tried.values_list("tenant_id", "conversation_id", "bot_id")[:AT_ONCE]
    return sum(loops.each(DEAD_BOTS, found, _relieve))


@retried
def _relieve(tenant_id: int, conversation_id: int, bot_id: int) -> bool:
    with taking(system_actor(tenant_id), conversation_id) as turn:
        live = turn.live
        if live is None or live.owner_kind != Owner.BOT or live.bot_id != bot_id or live.bot is None:
            return False
        if presence.is_alive(live.bot, turn.now) or turn.conversation.unanswered_since is None:
            return False
        raise_need(turn, reason="the bot has not been heard of", trigger="bot_dead")
    return True
