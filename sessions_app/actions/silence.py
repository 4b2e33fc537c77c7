"""What silence does (C5, C6): agents who are not heard of lose their sessions, and dead bots theirs."""

from __future__ import annotations

from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from agents_app import loops, presence
from agents_app.actors import system_actor
from agents_app.models import Agent
from config import clock
from config.db import retried
from sessions_app.actions.takeovers import reassign
from sessions_app.actions.transfers import raise_need
from sessions_app.errors import Conflict
from sessions_app.models import ChatSession, Transfer
from sessions_app.states import LIVE, Owner, Status
from sessions_app.unit.unit_of_work import locked_conversation

SILENT_AGENTS, DEAD_BOTS = "silent-agents", "dead-bots"

AT_ONCE = 1000
"""Conversations that one round looks at."""


def move_on_from_silent_agents() -> int:
    """Put the live sessions of agents not heard of for the grace time back in the queue. Returns how many."""
    owned = ChatSession.objects.filter(agent__in=_silent(), owner_kind=Owner.AGENT, status__in=sorted(LIVE))
    tried = owned.filter(loops.not_put_off(SILENT_AGENTS, "conversation_id"))
    rows = tried.values_list("tenant_id", "conversation_id", "agent_id")[:AT_ONCE]
    return sum(loops.each(SILENT_AGENTS, rows, _move_on))


def _silent() -> QuerySet[Agent]:
    """Agents not heard of for the grace time; for one never heard of, it runs from when the first session came."""
    gone = presence.gone_since(clock.now())
    owned = ChatSession.objects.filter(agent=OuterRef("pk"), owner_kind=Owner.AGENT, status__in=sorted(LIVE))
    brought = Transfer.objects.filter(session=OuterRef("pk"), accepted_by=OuterRef("agent")).order_by("-pk")
    since = Coalesce(Subquery(brought.values("ended_at")[:1]), F("activated_at"), F("opened_at"))
    has_owned = owned.alias(since=since).filter(since__lte=gone)
    return Agent.objects.filter(Q(last_seen_at__lt=gone) | Q(Exists(has_owned), last_seen_at=None))


def _move_on(tenant_id: int, conversation_id: int, agent_id: int | None) -> bool:
    """Put the session back in the queue, unless the agent was heard of meanwhile."""
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
    """Ask for a human where a bot is dead for any reason (`presence.is_alive`) and a customer waits. Returns how many.

    Where nobody waits it is left until the customer writes again: a bot's short outage must not fill the queue.
    """
    waiting = ChatSession.objects.filter(
        bot__in=presence.dead(clock.now()),
        owner_kind=Owner.BOT,
        status=Status.ACTIVE,
        conversation__unanswered_since__isnull=False,
    )
    tried = waiting.filter(loops.not_put_off(DEAD_BOTS, "conversation_id"))
    rows = tried.values_list("tenant_id", "conversation_id", "bot_id")[:AT_ONCE]
    return sum(loops.each(DEAD_BOTS, rows, _relieve))


@retried
def _relieve(tenant_id: int, conversation_id: int, bot_id: int) -> bool:
    with locked_conversation(system_actor(tenant_id), conversation_id) as locked:
        live = locked.live
        if live is None or live.owner_kind != Owner.BOT or live.bot_id != bot_id or live.bot is None:
            return False
        if presence.is_alive(live.bot, locked.now) or locked.conversation.unanswered_since is None:
            return False
        raise_need(locked, reason="the bot has not been heard of", trigger="bot_dead")
    return True
