"""The list of conversations: its views, its order, its pages and rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from django.db.models import Q, QuerySet

from agents_app.actors import Actor
from config import limits
from messaging_app import search
from messaging_app.agent_tools import labels
from messaging_app.models import Controller, Conversation, Tier
from messaging_app.models.agent_tools import Label, Mention
from sessions_app.errors import Malformed
from sessions_app.models import ChatSession, Participant, SlaClock
from sessions_app.promises import unanswered
from sessions_app.queries import aggregates
from sessions_app.queries.aggregates import Counted, Wanted
from sessions_app.queries.related import Move, Related, ends_soon_at, offered, owner_of, related, served
from sessions_app.rights import access, visible
from sessions_app.states import Kind, ParticipantStatus, Status

LIST_PAGE = limits.LIST_PAGE
LIST_MOST = 200
"""Rows that one request may ask for: what a page that follows along has loaded so far."""
COUNT_MOST = 100
"""Counting stops here: the desk shows '99+'."""


class View(StrEnum):
    """The named views of the list. Each is a question that an index answers (tests/workbench/test_views_column.py)."""

    OFFERED = "offered"
    MINE = "mine"
    UNASSIGNED = "unassigned"
    WAITING = "waiting"
    NEEDS_HUMAN = "needs_human"
    BOT_ACTIVE = "bot_active"
    PAUSED_BOTS = "paused_bots"
    COLLABORATING = "collaborating"
    MENTIONS = "mentions"
    TODO = "todo"
    ALL = "all"
    RESOLVED = "resolved"
    QUEUE = "queue"
    """Whatever waits for a human, in the desk's order: what is unassigned and what needs one."""


BY_WAIT = frozenset({View.WAITING})
"""The views whose order is the wait alone, whatever the tier."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page of the list ends. By wait, `desk_order` is the microsecond since when the last one waits."""

    tier: int
    desk_order: int
    id: int

    @classmethod
    def read(cls, text: str) -> Cursor | None:
        """The place a page was asked to go on from; None for the beginning. Raises `Malformed`."""
        if not text:
            return None
        try:
            tier, desk_order, pk = (int(part) for part in text.split("."))
        except ValueError:
            raise Malformed(f"{text!r} is no place in the list.") from None
        return cls(tier, desk_order, pk)

    def __str__(self) -> str:
        return f"{self.tier}.{self.desk_order}.{self.id}"


# --- A page ------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class ConversationRow:
    """A conversation as the list shows it, to one agent.

    It is `unread` when the customer has spoken since this agent last read it, and it is the agent's to read: the agent
    serves it, or it waits for somebody. What a bot or a colleague looks after is nobody else's unread.
    """

    conversation: Conversation
    live: ChatSession | None = None
    session: ChatSession | None = None  # the one to speak of
    asked: Move | None = None  # what waits for an answer
    is_mine: bool = False
    is_unread: bool = False
    is_taken_over: bool = False  # a human serves what a bot was doing
    is_offered: bool = False  # to this agent
    clock: SlaClock | None = None  # the most pressing one
    is_mentioned: bool = False  # in a note that the agent has not read
    is_collaborator: bool = False  # called in to help whoever serves
    can_grab: bool = False  # from whoever serves, with a reason
    labels: list[Label] = field(default_factory=list)

    @property
    def id(self) -> int:
        return self.conversation.pk

    @property
    def offered_until(self) -> datetime | None:
        return self.asked.until if self.asked and self.is_offered else None

    @property
    def owner(self) -> str:
        return owner_of(self.live)

    @property
    def ends_at(self) -> datetime | None:
        """When what the agent serves ends by itself, if that is soon."""
        return ends_soon_at(self.live) if self.is_mine else None


@dataclass(slots=True)
class ListPage:
    rows: list[ConversationRow]
    after: Cursor | None  # where the next page goes on; None at the end


def list_page(
    *,
    actor: Actor,
    view: View,
    search: str = "",
    controller: str = "",
    within: QuerySet[Conversation] | None = None,
    after: Cursor | None = None,
    limit: int = LIST_PAGE,
) -> ListPage:
    """A page of the list in its order (docs/rules.md, The order of the list), as this agent may see it.

    `within` is asked for instead of a view.
    """
    found = in_view(actor, view) if within is None else within
    by_wait = within is None and view in BY_WAIT
    shown, last = page_of(narrowed(actor, found, search, controller), after, limit, by_wait=by_wait)
    return ListPage(rows(actor, shown, related(actor, shown), labels.of_tenant(actor)), last)


def narrowed(actor: Actor, found: QuerySet[Conversation], text: str, controller: str) -> QuerySet[Conversation]:
    """By what stands in the list's search, and by whose turn it is."""
    if text:
        everybody = Conversation.objects.filter(tenant_id=actor.tenant_id)
        by_index = search.find_conversations(everybody, text, tenant_id=actor.tenant_id)
        found = found.filter(named(text) | Q(pk__in=by_index.values("pk")))
    return found.filter(controller=controller) if controller else found


def named(text: str) -> Q:
    """A part of a name, account or shop as it stands: a conversation is found before the index has heard of it."""
    return Q(customer_name__icontains=text) | Q(account_id__icontains=text) | Q(shop_id__icontains=text)


def placed(
    found: QuerySet[Conversation], after: Cursor | None, limit: int = LIST_PAGE, *, by_wait: bool = False
) -> tuple[list[Conversation], Cursor | None]:
    """A page of conversations in the desk's order, or by how long they wait; and where the next one goes on."""
    if after:
        found = found.filter(_longer_waited(after) if by_wait else _further_down(after))
    limit = max(1, min(limit, LIST_MOST))
    order = ("waiting_since", "id") if by_wait else ("tier", "desk_order", "id")
    page = list(found.order_by(*order)[: limit + 1])
    last = page[limit - 1] if len(page) > limit else None
    return page[:limit], _place(last, by_wait) if last else None


def _further_down(after: Cursor) -> Q:
    return Q(tier__gte=after.tier) & (
        Q(tier__gt=after.tier)
        | Q(tier=after.tier, desk_order__gt=after.desk_order)
        | Q(tier=after.tier, desk_order=after.desk_order, pk__gt=after.id)
    )


def _longer_waited(after: Cursor) -> Q:
    try:
        since = _EPOCH + timedelta(microseconds=after.desk_order)
    except OverflowError:
        raise Malformed(f"{str(after)!r} is no place in the list.") from None
    return Q(waiting_since__gte=since) & (Q(waiting_since__gt=since) | Q(pk__gt=after.id))


def _place(last: Conversation, by_wait: bool) -> Cursor:
    if by_wait and last.waiting_since:
        return Cursor(0, (last.waiting_since - _EPOCH) // timedelta(microseconds=1), last.pk)
    return Cursor(last.tier, last.desk_order, last.pk)


def page_of(
    found: QuerySet[Conversation], after: Cursor | None, limit: int = LIST_PAGE, *, by_wait: bool = False
) -> tuple[list[int], Cursor | None]:
    """The same, of their ids alone: the rows come from `beside`, with all that belongs to them."""
    shown, last = placed(found.only("tier", "desk_order", "waiting_since"), after, limit, by_wait=by_wait)
    return [one.pk for one in shown], last


def standing(actor: Actor, ids: Iterable[int]) -> dict[int, ConversationRow]:
    """What an agent has to do with each of these conversations, as the list shows it, in one query; nothing for others."""
    shown = list(ids) if actor.is_agent else []
    return {row.id: row for row in rows(actor, shown, related(actor, shown), {})} if shown else {}


def rows(
    actor: Actor, shown: Iterable[int], its: Mapping[int, Related], known: Mapping[int, Label]
) -> list[ConversationRow]:
    """The lines of a list, in the order of `shown`; `known` are the tenant's labels by id, in their order."""
    return [_row(actor, its[pk], known) for pk in shown if pk in its]


def _row(actor: Actor, its: Related, known: Mapping[int, Label]) -> ConversationRow:
    conversation, live = its.conversation, its.live
    is_mine = access.owns(actor, live)
    waits = conversation.controller == Controller.QUEUE or conversation.needs_human
    return ConversationRow(
        conversation,
        live=live,
        session=its.session,
        asked=its.asked,
        is_mine=is_mine,
        is_unread=(is_mine or waits) and its.heard > its.read,
        is_taken_over=bool(live and live.is_human_served) and any(session.is_robot for session in its.sessions),
        is_offered=its.is_offered,
        clock=its.clock,
        is_mentioned=its.is_mentioned,
        is_collaborator=its.is_helped,
        can_grab=bool(actor.is_agent and live and live.is_human_served and not is_mine and its.has_room),
        labels=labels.chosen(known, its.label_ids),
    )


# --- Views and counts --------------------------------------------------------------------------------------------


def in_view(actor: Actor, view: View) -> QuerySet[Conversation]:
    """The tenant's conversations that a view shows an agent, in no order. Whoever is no agent has none of its own."""
    found = Conversation.objects.filter(tenant_id=actor.tenant_id)
    match view:
        case View.QUEUE:
            waits = Q(controller=Controller.QUEUE) | Q(needs_human=True)
            return found.filter(waits, tier__lte=Tier.NEEDS_HUMAN)
        case View.UNASSIGNED:  # whoever waits while nobody works there, asked for or only flagged
            asked_for, flagged = Q(controller=Controller.QUEUE), Q(unanswered.nobodys(), needs_human=True)
            free = (Controller.QUEUE, Controller.NONE, Controller.BOT)
            return found.filter(asked_for | flagged, controller__in=free, tier__lte=Tier.NEEDS_HUMAN)
        case View.WAITING:
            return found.filter(waiting_since__isnull=False)
        case View.NEEDS_HUMAN:
            return found.filter(needs_human=True, tier__lte=Tier.NEEDS_HUMAN)
        case View.BOT_ACTIVE:
            return found.filter(controller=Controller.BOT)
        case View.RESOLVED:
            return found.filter(tier=Tier.RESOLVED)
        case View.ALL:
            return found
    # Few of many: found where they are kept. The tenant is not asked for again (they are the agent's, who is of one):
    # SQLite would rather look through all that the tenant has.
    return Conversation.objects.filter(pk__in=_few(actor, view))


def _few(actor: Actor, view: View) -> QuerySet[Any, Any]:
    """The ids of what is in one of the views that hold few of the tenant's conversations."""
    agent_id = actor.pk if actor.is_agent else 0
    match view:
        case View.OFFERED:
            return offered(actor).values("conversation_id")
        case View.MINE:
            return served(agent_id).values("conversation_id")
        case View.COLLABORATING:
            helped = Participant.objects.filter(agent_id=agent_id, status=ParticipantStatus.JOINED)
            return helped.values("conversation_id")
        case View.MENTIONS:
            return Mention.objects.filter(agent_id=agent_id, read_at=None).values("conversation_id")
        case View.TODO:
            marked = Conversation.objects.filter(tenant_id=actor.tenant_id, todo_at__isnull=False)
            return marked.values("pk")
        case View.PAUSED_BOTS:
            robots = sorted(kind for kind in Kind if kind.is_robot)
            paused = ChatSession.objects.filter(tenant_id=actor.tenant_id, status=Status.PAUSED, kind__in=robots)
            return paused.values("conversation_id")
    raise AssertionError(f"{view} is no view of a few")


def counts_wanted(actor: Actor) -> Wanted:
    """How many are in each view; counting stops at `COUNT_MOST`."""
    return {f"in_{view}": Counted(in_view(actor, view)[:COUNT_MOST]) for view in View}


def counts_told(told: Mapping[str, int]) -> dict[View, int]:
    return {view: told[f"in_{view}"] for view in View}


def counts(actor: Actor) -> dict[View, int]:
    """The same, by themselves."""
    return counts_told(aggregates.read(actor.tenant_id, counts_wanted(actor)))


def that_say(actor: Actor, rows: QuerySet[Conversation], text: str) -> QuerySet[Conversation]:
    """Those of the conversations whose customer, or messages that this actor may read, hold all words of the text."""
    if not text.strip():
        return rows
    named = search.find_conversations(rows, text, tenant_id=actor.tenant_id)
    said = search.conversations_that_say(visible.messages(actor), text, tenant_id=actor.tenant_id)
    return rows.filter(Q(pk__in=named.values("pk")) | Q(pk__in=said))
