"""Conversations with their related rows, such as sessions, transfer and clock: for the list, and for the open one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from django.db.models import Case, Count, Exists, F, FilteredRelation, OuterRef, Q, QuerySet, Subquery, When

from agents_app.actors import Actor
from agents_app.models import Agent, ApiClient
from agents_app.policies import Policies
from config.compiled_query import CompiledForIds
from config.db import ids_in, related_ids
from messaging_app.agent_tools import labels
from messaging_app.models import Conversation, Message, ReadCursor
from messaging_app.models.agent_tools import Mention
from sessions_app.models import ChatSession, PackageField, Participant, SlaClock, Transfer
from sessions_app.states import LIVE, OPEN, Owner, ParticipantStatus, TransferStatus


@dataclass(slots=True, kw_only=True)
class Move:
    """A transfer that waits for an answer; its context package is read only where it is offered to the agent."""

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
        """When it must be answered: the end of the assignment's offer, or the transfer's own deadline."""
        return self.offer_expires_at or self.deadline


_NAMED = frozenset({"id", "name"})
"""All that a list shows of who works a session."""
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
    pending: Move | None = None  # the transfer that waits for an answer
    is_offered: bool = False  # to the agent
    is_mentioned: bool = False  # in a note that the agent has not read
    is_helped: bool = False  # by the agent, who was called in
    has_room: bool = False  # for one conversation more: not for a drained agent; for a full supervisor, on record

    @property
    def live(self) -> ChatSession | None:
        return next((session for session in self.sessions if session.is_live), None)

    @property
    def session(self) -> ChatSession | None:
        """The session that stands for the conversation: the live one, or the first in line."""
        return self.live or min(self.sessions, key=lambda s: (s.rank, s.opened_at, s.pk), default=None)


def related(actor: Actor, ids: Iterable[int], *, for_list: bool = False) -> dict[int, Related]:
    """These conversations by id, each with its related rows, in one query that returns a line for each open session.

    `for_list` leaves out what a list does not show (`_NOT_LISTED`).
    """
    by_conversation: dict[int, Related] = {}
    for line in (_listed_lines if for_list else _compiled_lines).run(list(ids), agent_id=actor.pk):
        entry = by_conversation.get(line.pk)
        if entry is None:
            entry = by_conversation[line.pk] = Related(
                line,
                label_ids=ids_in(line.label_ids),
                heard=line.heard or 0,
                read=line.read or 0,
                is_mentioned=line.is_mentioned,
                is_helped=actor.is_agent and line.is_helped,
                has_room=has_room(actor, line),
            )
        # Where there is none to join, the line has no such attribute.
        if session := getattr(line, "open_session", None):
            entry.sessions.append(session)
        entry.clock = entry.clock or getattr(line, "pressing", None)
        _add_transfer(entry, line, actor)
    for entry in by_conversation.values():
        entry.sessions.sort(key=lambda session: (session.opened_at, session.pk))
    return by_conversation


def has_room(actor: Actor, line: Any) -> bool:
    """The rule of `access.must_have_room`, but a supervisor's capacity is no limit: the desk's button offers the override."""
    if line.viewer_most is None:
        return False
    return actor.is_supervisor or (line.viewer_load or 0) < line.viewer_most


def _add_transfer(entry: Related, line: Any, actor: Actor) -> None:
    """Keep the line's pending transfer; of several the one that is offered to the agent."""
    if line.pending_id is None or entry.is_offered:
        return
    values = {name: getattr(line, f"pending_{name}") for name in _OF_A_MOVE}
    patience = Policies.offer_timeout.value_in(line.tenant_policies, line.pending_patience)
    move = Move(**values, patience=patience, context=line.pending_context or {})
    entry.is_offered = actor.is_agent and actor.pk in (move.offered_to_id, move.to_agent_id)
    if entry.is_offered or entry.pending is None:
        entry.pending = move


def of_viewer(agent_id: int) -> dict[str, Any]:
    """To annotate conversations: what one agent has to do with each, and has heard and read of it."""
    here = Q(conversation=OuterRef("pk"))
    from_customer = Message.objects.filter(here, sender_type=Message.Sender.CUSTOMER).order_by("-seq", "-id")
    helps = Participant.objects.filter(here, agent_id=agent_id, status=ParticipantStatus.JOINED)
    viewer = Agent.objects.filter(pk=agent_id, is_drained=False)
    load = served(agent_id).order_by().values("agent_id").annotate(load=Count("pk")).values("load")
    return {
        "heard": Subquery(from_customer.values("seq")[:1]),
        "read": Subquery(ReadCursor.objects.filter(here, agent_id=agent_id).values("seq")),
        "is_helped": Exists(helps),
        # The same for each line, so the database computes it once.
        "viewer_load": Subquery(load),
        "viewer_most": Subquery(viewer.order_by().values("max_load")),
    }


def _lines(agent_id: int) -> QuerySet[Any]:
    here = Q(conversation=OuterRef("pk"))
    running = SlaClock.objects.filter(here, ended_at=None, due_at__isnull=False).order_by("due_at", "pk")
    unread = Mention.objects.filter(here, agent_id=agent_id, read_at=None)
    rows: QuerySet[Any] = Conversation.objects.annotate(
        open_session=FilteredRelation("sessions", condition=Q(sessions__status__in=sorted(OPEN))),
        # No clock runs for a session that has ended.
        pressing=FilteredRelation(
            "open_session__clocks", condition=Q(open_session__clocks__pk=Subquery(running.values("pk")[:1]))
        ),
        pending=FilteredRelation(
            "open_session__transfers", condition=Q(open_session__transfers__status=TransferStatus.PENDING)
        ),
        label_ids=labels.ids_on(),
        is_mentioned=Exists(unread),
        **of_viewer(agent_id),
    )
    # A context package holds messages: it is read only where the agent has to decide by it.
    decides = When(Q(pending__offered_to=agent_id) | Q(pending__to_agent=agent_id), then=F("pending__context"))
    rows = rows.annotate(
        **{f"pending_{name}": F(f"pending__{name}") for name in _OF_A_MOVE},
        pending_patience=F("pending__to_team__offer_timeout"),
        tenant_policies=F("tenant__policies"),
        pending_context=Case(decides, output_field=PackageField(null=True)),
    )
    return rows.select_related("open_session__agent", "open_session__bot", "pressing")


_compiled_lines: CompiledForIds[Any] = CompiledForIds(
    lambda wanted, agent_id: _lines(agent_id=agent_id).filter(pk__in=wanted)
)

_NOT_LISTED = (
    *("need", "chain", "created_at", "unanswered_since", "open_session__context", "open_session__said"),
    *(f"open_session__agent__{column.name}" for column in Agent._meta.concrete_fields if column.name not in _NAMED),
    *(f"open_session__bot__{column.name}" for column in ApiClient._meta.concrete_fields if column.name not in _NAMED),
)
"""Columns that a list does not show: half of a line's. Whoever asks for one nonetheless reads it by itself."""
_listed_lines: CompiledForIds[Any] = CompiledForIds(
    lambda wanted, agent_id: _lines(agent_id=agent_id).filter(pk__in=wanted).defer(*_NOT_LISTED)
)


def offered(actor: Actor) -> QuerySet[Transfer]:
    """The transfers that wait for this agent's answer: offered to the agent, or addressed to this agent alone."""
    agent_id = actor.pk if actor.is_agent else 0
    here = Transfer.objects.filter(tenant_id=actor.tenant_id, status=TransferStatus.PENDING)
    return here.filter(Q(offered_to=agent_id) | Q(to_agent=agent_id))


def offered_ids(actor: Actor) -> Subquery:
    """To annotate the tenant: the ids of the conversations that are offered to the agent, as a text for `ids_in`."""
    return related_ids(offered(actor), "conversation_id", of="tenant")


def served(agent_id: int) -> QuerySet[ChatSession]:
    """The live sessions that an agent serves."""
    return ChatSession.objects.filter(agent_id=agent_id, owner_kind=Owner.AGENT, status__in=sorted(LIVE))


def live_sessions(ids: Iterable[int]) -> dict[int, ChatSession]:
    """The live session of each conversation that has one, in one query."""
    sessions = ChatSession.objects.filter(live_key__in=list(ids)).select_related("agent", "bot")
    return {session.conversation_id: session for session in sessions}


def ends_soon_at(live: ChatSession | None) -> datetime | None:
    """When an agent's session ends by itself; None until its owner has been warned of that."""
    served = live is not None and live.owner_kind == Owner.AGENT and live.human_until is not None
    return live.expires_at if live and served and live.warns_at is None else None


def owner_of(live: ChatSession | None) -> str:
    """The name of whoever works the session; empty where nobody does, or somebody at the shop whom we cannot name."""
    if live is None:
        return ""
    if live.owner_kind == Owner.AGENT and live.agent:
        return live.agent.name
    return live.bot.name if live.owner_kind == Owner.BOT and live.bot else ""
