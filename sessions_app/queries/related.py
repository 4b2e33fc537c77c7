"""What stands beside conversations, for the list and for the one that is open alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.db.models import Case, Count, Exists, F, FilteredRelation, OuterRef, Q, QuerySet, Subquery, When

from agents_app.actors import Actor
from agents_app.models import Agent
from agents_app.policies import Policies
from config.db import ids_beside, ids_in
from messaging_app.agent_tools import labels
from messaging_app.models import Conversation, Message, ReadCursor
from messaging_app.models.agent_tools import Mention
from sessions_app.models import ChatSession, PackageField, Participant, SlaClock, Transfer
from sessions_app.states import LIVE, OPEN, Owner, ParticipantStatus, TransferStatus

AGENTS_KEPT = 128
"""Agents for whom a process keeps the queries that each of their pages asks: to make them takes longer than to run them."""


@dataclass(slots=True, kw_only=True)
class Move:
    """A transfer that waits for an answer, without the words that travel with it, but where it is offered to the agent."""

    id: int
    reason: str
    trigger: str
    from_name: str
    requested_at: datetime
    deadline: datetime | None
    offered_to_id: int | None
    to_agent_id: int | None
    offer_expires_at: datetime | None
    patience: int  # seconds to accept an offer: the team's, or the tenant's
    context: dict[str, Any] = field(default_factory=dict)

    @property
    def until(self) -> datetime | None:
        """When it must have been answered: an offer of the assignment, or what one agent was asked for."""
        return self.offer_expires_at or self.deadline


_OF_A_MOVE = tuple(column.name for column in fields(Move) if column.name not in {"patience", "context"})


@dataclass(slots=True)
class Related:
    """One conversation and who works it, what was promised, and what one agent has to do with it."""

    conversation: Conversation
    sessions: list[ChatSession] = field(default_factory=list)  # open ones, oldest first
    clock: SlaClock | None = None  # the most pressing one
    label_ids: Sequence[int] = ()
    heard: int = 0  # the operation with which the customer last spoke…
    read: int = 0  # …and the last one that the agent has read
    asked: Move | None = None  # what waits for an answer
    is_offered: bool = False  # to the agent
    is_mentioned: bool = False  # in a note that the agent has not read
    is_helped: bool = False  # by the agent, who was called in
    has_room: bool = False  # the agent, for one conversation more: not who is drained; a full supervisor, on record

    @property
    def live(self) -> ChatSession | None:
        return next((session for session in self.sessions if session.is_live), None)

    @property
    def session(self) -> ChatSession | None:
        """The session to speak of: the live one, or the one that heads the line."""
        return self.live or min(self.sessions, key=lambda s: (s.rank, s.opened_at, s.pk), default=None)


def related(actor: Actor, ids: Iterable[int]) -> dict[int, Related]:
    """These conversations and what stands beside each, in one query, which answers with a line for each open session."""
    found: dict[int, Related] = {}
    for line in _lines(actor.pk).filter(pk__in=list(ids)):
        it = found.get(line.pk)
        if it is None:
            it = found[line.pk] = Related(
                line,
                label_ids=ids_in(line.label_ids),
                heard=line.heard or 0,
                read=line.read or 0,
                is_mentioned=line.is_mentioned,
                is_helped=actor.is_agent and line.is_helped,
                has_room=_has_room(actor, line),
            )
        # Where there is none to join, the line has no such attribute.
        if session := getattr(line, "open_session", None):
            it.sessions.append(session)
        it.clock = it.clock or getattr(line, "pressing", None)
        _asked(it, line, actor)
    for it in found.values():
        it.sessions.sort(key=lambda session: (session.opened_at, session.pk))
    return found


def _has_room(actor: Actor, line: Any) -> bool:
    """As `access.room` has it; a supervisor's capacity is no bound, because the desk offers the override with the button."""
    if line.viewer_most is None:
        return False
    return actor.is_supervisor or (line.viewer_load or 0) < line.viewer_most


def _asked(it: Related, line: Any, actor: Actor) -> None:
    """Of several moves that wait, the one that is offered to the agent."""
    if line.asked_id is None or it.is_offered:
        return
    its = {name: getattr(line, f"asked_{name}") for name in _OF_A_MOVE}
    patience = line.asked_patience
    if patience is None:
        patience = Policies.offer_timeout.value_in(line.tenant_policies)
    move = Move(**its, patience=patience, context=line.asked_context or {})
    it.is_offered = actor.is_agent and actor.pk in (move.offered_to_id, move.to_agent_id)
    if it.is_offered or it.asked is None:
        it.asked = move


@lru_cache(maxsize=AGENTS_KEPT)
def _lines(agent_id: int) -> QuerySet[Any]:
    here = Q(conversation=OuterRef("pk"))
    running = SlaClock.objects.filter(here, ended_at=None, due_at__isnull=False).order_by("due_at", "pk")
    spoke = Message.objects.filter(here, sender_type=Message.Sender.CUSTOMER).order_by("-seq", "-id")
    unread = Mention.objects.filter(here, agent_id=agent_id, read_at=None)
    helps = Participant.objects.filter(here, agent_id=agent_id, status=ParticipantStatus.JOINED)
    takes = Agent.objects.filter(pk=agent_id, is_drained=False)
    load = served(agent_id).order_by().values("agent_id").annotate(load=Count("pk")).values("load")
    rows: QuerySet[Any] = Conversation.objects.annotate(
        open_session=FilteredRelation("sessions", condition=Q(sessions__status__in=sorted(OPEN))),
        # No clock runs for a session that has ended.
        pressing=FilteredRelation(
            "open_session__clocks", condition=Q(open_session__clocks__pk=Subquery(running.values("pk")[:1]))
        ),
        asked=FilteredRelation(
            "open_session__transfers", condition=Q(open_session__transfers__status=TransferStatus.PENDING)
        ),
        label_ids=labels.ids_on(),
        heard=Subquery(spoke.values("seq")[:1]),
        read=Subquery(ReadCursor.objects.filter(here, agent_id=agent_id).values("seq")),
        is_mentioned=Exists(unread),
        is_helped=Exists(helps),
        # The same for each line, and so asked once.
        viewer_load=Subquery(load),
        viewer_most=Subquery(takes.order_by().values("max_load")),
    )
    # A package holds what was said: it is read only where the agent has to decide by it.
    decides = When(Q(asked__offered_to=agent_id) | Q(asked__to_agent=agent_id), then=F("asked__context"))
    rows = rows.annotate(
        **{f"asked_{name}": F(f"asked__{name}") for name in _OF_A_MOVE},
        asked_patience=F("asked__to_team__offer_timeout"),
        tenant_policies=F("tenant__policies"),
        asked_context=Case(decides, output_field=PackageField(null=True)),
    )
    return rows.select_related("open_session__agent", "open_session__bot", "pressing")


def offered(actor: Actor) -> QuerySet[Transfer]:
    """What was offered to the agent, or asked of this one agent, who has not answered yet."""
    agent_id = actor.pk if actor.is_agent else 0
    here = Transfer.objects.filter(tenant_id=actor.tenant_id, status=TransferStatus.PENDING)
    return here.filter(Q(offered_to=agent_id) | Q(to_agent=agent_id))


def offered_ids(actor: Actor) -> Subquery:
    """For a query of the tenant: the conversations that are offered to the agent, as `ids_in` reads them."""
    return ids_beside(offered(actor), "conversation_id", of="tenant")


def served(agent_id: int) -> QuerySet[ChatSession]:
    """What an agent serves now."""
    return ChatSession.objects.filter(agent_id=agent_id, owner_kind=Owner.AGENT, status__in=sorted(LIVE))


def live_sessions(ids: Iterable[int]) -> dict[int, ChatSession]:
    """The live session of each conversation that has one, in one query."""
    found = ChatSession.objects.filter(live_key__in=list(ids)).select_related("agent", "bot")
    return {session.conversation_id: session for session in found}


def ends_soon_at(live: ChatSession | None) -> datetime | None:
    """When an agent's session ends by itself, once its owner has been told that it does soon."""
    served = live is not None and live.owner_kind == Owner.AGENT and live.human_until is not None
    return live.expires_at if live and served and live.warns_at is None else None


def owner_of(live: ChatSession | None) -> str:
    """The name of whoever works the session; empty where nobody does, or somebody at the shop whom we cannot name."""
    if live is None:
        return ""
    if live.owner_kind == Owner.AGENT and live.agent:
        return live.agent.name
    return live.bot.name if live.owner_kind == Owner.BOT and live.bot else ""
