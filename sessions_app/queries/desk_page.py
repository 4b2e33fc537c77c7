"""One look at the desk: what its page shows, the list, the tabs and the conversation that is open, read together.

What several parts need of their rows is asked for once for all of them, so that a page costs the same few queries
however much it shows (tests/workbench/test_query_budget.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from django.db.models import QuerySet

from agents_app.actors import Actor
from config import clock
from config.db import ids_in
from messaging_app.agent_tools import labels
from messaging_app.models.agent_tools import Label, SavedView
from sessions_app.queries import aggregates, listing, thread, view_counts, view_filters
from sessions_app.queries.alerts import alerts_told, alerts_wanted
from sessions_app.queries.listing import BY_WAIT, LIST_PAGE, ConversationRow, Cursor, ListPage, View
from sessions_app.queries.related import AGENTS_KEPT, offered_ids, related
from sessions_app.queries.thread import ThreadPage

OFFERS_MOST = 5
"""Cards that the desk shows at once; the view of what is offered has them all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskQuery:
    """Which part of the list. A saved view is asked for instead of a view."""

    view: View = View.ALL
    saved: int | None = None
    search: str = ""
    controller: str = ""
    after: Cursor | None = None
    limit: int = LIST_PAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskView:
    """`saved` are the agent's saved views with how many fit; `open_view` is the one that the list shows.

    `offers` wait for this agent's answer, the most pressing first; `now` is the database's time.
    """

    page: ListPage
    offers: list[ConversationRow]
    now: datetime
    counts: dict[View, int]
    saved: list[tuple[SavedView, int | None]]
    open_view: SavedView | None
    labels: list[Label]  # that may be put on
    calls: dict[str, str]  # the agent away from another window


def look(actor: Actor, asked: DeskQuery, opened: ThreadPage | None = None) -> DeskView:
    """The desk as an agent sees it, in six queries, or seven; `opened` is completed with it.

    A saved view that is no more, or a colleague's own, is not asked for.
    """
    views = view_counts.in_order(actor)
    open_view = next((view for view in views if view.pk == asked.saved), None)
    now = opened.now if opened else _now(views)
    if open_view:
        found = view_counts.fitting(actor, view_filters.stored(open_view.filter), now)
    else:
        found = listing.in_view(actor, asked.view)
    found = listing.narrowed(actor, found, asked.search, asked.controller)
    by_wait = open_view is None and asked.view in BY_WAIT
    shown, after = listing.page_of(found, asked.after, asked.limit, by_wait=by_wait)

    wanted = {**view_counts.counts_wanted(actor, views, now), **(thread.figures_wanted(opened) if opened else {})}
    told = aggregates.read(actor.tenant_id, wanted, beside=_always_wanted(actor))
    offered = ids_in(told["offered_ids"])
    its = related(actor, {*shown, *offered, opened.conversation.pk} if opened else {*shown, *offered})
    known = labels.of_tenant(actor)
    if opened:
        thread.complete(opened, its[opened.conversation.pk], known, told)
    return DeskView(
        page=ListPage(listing.rows(actor, shown, its, known), after),
        offers=_pressing([row for row in listing.rows(actor, offered, its, known) if row.is_offered]),
        now=told["now"] + clock.offset,
        counts=listing.counts_told(told),
        saved=view_counts.counts_told(views, told),
        open_view=open_view,
        labels=[label for label in known.values() if label.is_enabled],
        calls=alerts_told(told),
    )


@lru_cache(maxsize=AGENTS_KEPT)
def _always_wanted(actor: Actor) -> QuerySet[Any, Any]:
    """The figures of every page of this agent. They ask by the agent's and the tenant's ids alone, and so stay the same."""
    wanted = {"offered_ids": offered_ids(actor), "now": clock.DbNow(), **alerts_wanted(actor)}
    return aggregates.prepared(actor.tenant_id, {**listing.counts_wanted(actor), **wanted})


def _pressing(offers: list[ConversationRow]) -> list[ConversationRow]:
    """The few that one desk can show, what ends first before the others."""
    never = datetime.max.replace(tzinfo=UTC)
    return sorted(offers, key=lambda row: (row.offered_until or never, row.id))[:OFFERS_MOST]


def look_at(actor: Actor, opened: ThreadPage) -> ThreadPage:
    """A conversation without the list around it, completed in four queries at most."""
    its = related(actor, [opened.conversation.pk])[opened.conversation.pk]
    told = aggregates.read(actor.tenant_id, thread.figures_wanted(opened))
    thread.complete(opened, its, labels.of_tenant(actor), told)
    return opened


def _now(views: list[SavedView]) -> datetime | None:
    """The database's time, where one of the saved views asks how long somebody has waited."""
    return clock.now() if any("waiting_over" in view.filter for view in views) else None
