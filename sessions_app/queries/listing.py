"""The list of conversations: its views, its order, its pages and rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any

from django.db.models import Q, QuerySet

from agents_app.actors import Actor, ActorKind
from config import limits
from config.compiled_query import CompiledQuery
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
"""The most rows of one request: a page that refreshes itself asks for all it has loaded so far."""
COUNT_MOST = 100
"""Counting stops here: the desk shows '99+'."""


class View(StrEnum):
    """The named views of the list. Each is a query that an index answers (tests/workbench/test_views_column.py)."""

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
    """All that waits for a human, in the desk's order: what is queued, and what is flagged as needing one."""


BY_WAIT = frozenset({View.WAITING})
"""The views whose order is the wait alone, whatever the tier."""
_OF_AGENT = frozenset({View.MINE, View.COLLABORATING, View.MENTIONS})
"""The views that are an agent's own, whatever the tenant; `OFFERED` asks for both."""
PAGES_KEPT = 64
"""Statements that a process keeps, one for each view and size of a page."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page of the list ends: the sort key of its last row.

    In order of wait, `tier` is 0 and `desk_order` is the row's `waiting_since` in microseconds since 1970.
    """

    tier: int
    desk_order: int
    id: int

    @classmethod
    def read(cls, text: str) -> Cursor | None:
        """The cursor from its text, `tier.desk_order.id`; None for an empty text: the beginning. Raises `Malformed`."""
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

    It is unread when the customer has written since this agent last read it, and the agent serves it or it waits for
    somebody. What a bot or a colleague serves is unread for nobody else.
    """

    conversation: Conversation
    live: ChatSession | None = None
    session: ChatSession | None = None  # the live one, or the first in line
    pending: Move | None = None  # the transfer that waits for an answer
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
        return self.pending.until if self.pending and self.is_offered else None

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

    `within`, if given, is listed instead of a view.
    """
    conversations = in_view(actor, view) if within is None else within
    by_wait = within is None and view in BY_WAIT
    shown, last = page_of(narrowed(actor, conversations, search, controller), after, limit, by_wait=by_wait)
    return ListPage(rows(actor, shown, related(actor, shown), labels.of_tenant(actor)), last)


def narrowed(actor: Actor, rows: QuerySet[Conversation], text: str, controller: str) -> QuerySet[Conversation]:
    """The rows that match the text of the list's search and have this controller; an empty one narrows nothing."""
    if text:
        conversations = Conversation.objects.filter(tenant_id=actor.tenant_id)
        by_index = search.find_conversations(conversations, text, tenant_id=actor.tenant_id)
        rows = rows.filter(named(text) | Q(pk__in=by_index.values("pk")))
    return rows.filter(controller=controller) if controller else rows


def named(text: str) -> Q:
    """The condition that name, account or shop contains the text as typed. It matches before the index does."""
    return Q(customer_name__icontains=text) | Q(account_id__icontains=text) | Q(shop_id__icontains=text)


def keyset_page(
    rows: QuerySet[Conversation], after: Cursor | None, limit: int = LIST_PAGE, *, by_wait: bool = False
) -> tuple[list[Conversation], Cursor | None]:
    """A page of conversations in the desk's order, or in order of wait, and where the next one begins; None at the end.

    It has at most `LIST_MOST` rows. Raises `Malformed` for a cursor that is no time.
    """
    if after:
        rows = rows.filter(_longer_waited(after) if by_wait else _further_down(after))
    limit = _most(limit)
    return _cut(list(rows.order_by(*_order(by_wait))[: limit + 1]), limit, by_wait)


def _cut(read: list[Conversation], limit: int, by_wait: bool) -> tuple[list[Conversation], Cursor | None]:
    """A page, and where the next one begins, from the rows of a page and one more."""
    last = read[limit - 1] if len(read) > limit else None
    return read[:limit], _place(last, by_wait) if last else None


def _most(limit: int) -> int:
    return max(1, min(limit, LIST_MOST))


def _order(by_wait: bool) -> tuple[str, ...]:
    return ("waiting_since", "id") if by_wait else ("tier", "desk_order", "id")


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
    rows: QuerySet[Conversation], after: Cursor | None, limit: int = LIST_PAGE, *, by_wait: bool = False
) -> tuple[list[int], Cursor | None]:
    """Like `keyset_page`, but the ids alone: `related` reads the rows with all that belongs to them."""
    shown, last = keyset_page(rows.only("tier", "desk_order", "waiting_since"), after, limit, by_wait=by_wait)
    return [conversation.pk for conversation in shown], last


def first_page(actor: Actor, view: View, limit: int = LIST_PAGE) -> tuple[list[int], Cursor | None]:
    """The first page of a whole view of an agent, as `page_of` gives it; its statement is built once."""
    limit, by_wait = _most(limit), view in BY_WAIT
    tenant = {} if view in _OF_AGENT else {"tenant_id": actor.tenant_id}
    agent = {"id": actor.pk} if view in _OF_AGENT or view == View.OFFERED else {}
    shown, last = _cut(_first_page(view, limit).run(**tenant, **agent), limit, by_wait)
    return [conversation.pk for conversation in shown], last


@lru_cache(maxsize=PAGES_KEPT)
def _first_page(view: View, limit: int) -> CompiledQuery[Conversation]:
    def build(tenant_id: int = 0, id: int = 0) -> QuerySet[Conversation]:
        actor = Actor(kind=ActorKind.AGENT, tenant_id=tenant_id, id=id)
        rows = in_view(actor, view).only("tier", "desk_order", "waiting_since")
        return rows.order_by(*_order(view in BY_WAIT))[: limit + 1]

    return CompiledQuery(build)


def rows(
    actor: Actor, shown: Iterable[int], by_id: Mapping[int, Related], tenant_labels: Mapping[int, Label]
) -> list[ConversationRow]:
    """The rows of a list, in the order of the ids `shown`. The labels are by id, in the order of their names."""
    return [_row(actor, by_id[pk], tenant_labels) for pk in shown if pk in by_id]


def _row(actor: Actor, entry: Related, tenant_labels: Mapping[int, Label]) -> ConversationRow:
    conversation, live = entry.conversation, entry.live
    is_mine = access.owns(actor, live)
    waits = conversation.controller == Controller.QUEUE or conversation.needs_human
    return ConversationRow(
        conversation,
        live=live,
        session=entry.session,
        pending=entry.pending,
        is_mine=is_mine,
        is_unread=(is_mine or waits) and entry.heard > entry.read,
        is_taken_over=bool(live and live.is_human_served) and any(session.is_robot for session in entry.sessions),
        is_offered=entry.is_offered,
        clock=entry.clock,
        is_mentioned=entry.is_mentioned,
        is_collaborator=entry.is_helped,
        can_grab=bool(actor.is_agent and live and live.is_human_served and not is_mine and entry.has_room),
        labels=labels.chosen(tenant_labels, entry.label_ids),
    )


# --- Views and counts --------------------------------------------------------------------------------------------


def in_view(actor: Actor, view: View) -> QuerySet[Conversation]:
    """The tenant's conversations in a view of this agent, in no order. An agent's own views are empty for others."""
    rows = Conversation.objects.filter(tenant_id=actor.tenant_id)
    match view:
        case View.QUEUE:
            waits = Q(controller=Controller.QUEUE) | Q(needs_human=True)
            return rows.filter(waits, tier__lte=Tier.NEEDS_HUMAN)
        case View.UNASSIGNED:  # queued, or only flagged while the turn is nobody's
            queued, flagged = Q(controller=Controller.QUEUE), Q(unanswered.nobody_can_answer_q(), needs_human=True)
            return rows.filter(queued | flagged, tier__lte=Tier.NEEDS_HUMAN)
        case View.WAITING:
            return rows.filter(waiting_since__isnull=False)
        case View.NEEDS_HUMAN:
            return rows.filter(needs_human=True, tier__lte=Tier.NEEDS_HUMAN)
        case View.BOT_ACTIVE:
            return rows.filter(controller=Controller.BOT)
        case View.RESOLVED:
            return rows.filter(tier=Tier.RESOLVED)
        case View.ALL:
            return rows
    # The rest hold few of many, whose ids are read where they are kept. These are of the agent's tenant already: with a
    # filter by tenant, SQLite would walk all of the tenant's conversations instead.
    return Conversation.objects.filter(pk__in=_few(actor, view))


def _few(actor: Actor, view: View) -> QuerySet[Any, Any]:
    """The ids of the conversations in one of the views that hold few of the tenant's."""
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
    """The figures `in_…`: how many conversations each view has; counting stops at `COUNT_MOST`."""
    return {f"in_{view}": Counted(in_view(actor, view)[:COUNT_MOST]) for view in View}


def counts_from(figures: Mapping[str, int]) -> dict[View, int]:
    """The counts by view, from the figures of `counts_wanted`."""
    return {view: figures[f"in_{view}"] for view in View}


def counts(actor: Actor) -> dict[View, int]:
    """How many conversations each view has, at most `COUNT_MOST`, in a query of its own."""
    return counts_from(aggregates.read(actor.tenant_id, counts_wanted(actor)))


def matching_text(actor: Actor, rows: QuerySet[Conversation], text: str) -> QuerySet[Conversation]:
    """The conversations whose customer, or a message that this actor may read, has all words of a text; all for ''."""
    if not text.strip():
        return rows
    by_customer = search.find_conversations(rows, text, tenant_id=actor.tenant_id)
    by_message = search.conversations_that_say(visible.messages(actor), text, tenant_id=actor.tenant_id)
    return rows.filter(Q(pk__in=by_customer.values("pk")) | Q(pk__in=by_message))
