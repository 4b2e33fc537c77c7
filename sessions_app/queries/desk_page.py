"""The desk's page, read as a whole: the list, the counts of its tabs, the offers and the open conversation.

Rows that several parts need are read once for all of them, so that a page costs the same few queries
however much it shows (tests/workbench/test_query_budget.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any

from django.db.models import QuerySet

from agents_app.actors import Actor, ActorKind
from config import clock
from config.compiled_query import CompiledQuery
from config.db import ids_in
from messaging_app.agent_tools import labels
from messaging_app.models.agent_tools import Label, SavedView
from sessions_app.queries import aggregates, listing, thread, view_counts, view_filters
from sessions_app.queries.alerts import alerts_from, alerts_wanted
from sessions_app.queries.listing import BY_WAIT, LIST_PAGE, ConversationRow, Cursor, ListPage, View
from sessions_app.queries.related import offered_ids, related
from sessions_app.queries.thread import ThreadPage

AGENTS_KEPT = 128
"""Agents whose query for the figures a process keeps: building it takes longer than running it."""
OFFERS_MOST = 5
"""Offers that the desk shows as cards at once; the view `offered` lists all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskQuery:
    """Which part of the list is shown. `saved` is the id of a saved view, which is then shown instead of `view`."""

    view: View = View.ALL
    saved: int | None = None
    search: str = ""
    controller: str = ""
    after: Cursor | None = None
    limit: int = LIST_PAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskView:
    """`saved` are the agent's saved views with how many conversations fit; `open_view` is the one that the list shows.

    `offers` wait for this agent's answer, the most pressing first; `now` is the database's time.
    """

    page: ListPage
    offers: list[ConversationRow]
    now: datetime
    counts: dict[View, int]
    saved: list[tuple[SavedView, int | None]]
    open_view: SavedView | None
    labels: list[Label]  # that may be put on
    alerts: dict[str, str]  # by kind


def look(actor: Actor, query: DeskQuery, opened: ThreadPage | None = None) -> DeskView:
    """The desk as an agent sees it, in six or seven queries; the same queries complete `opened`.

    A saved view that is gone, or a colleague's own, is ignored: the list then shows `query.view`.
    """
    views = view_counts.in_order(actor)
    open_view = next((view for view in views if view.pk == query.saved), None)
    now = opened.now if opened else _now(views)
    is_whole_view = actor.is_agent and not (open_view or query.search or query.controller or query.after)
    if open_view:
        rows = view_counts.matching(actor, view_filters.stored(open_view.filter), now)
    else:
        rows = listing.in_view(actor, query.view)
    if is_whole_view:
        shown, after = listing.first_page(actor, query.view, query.limit)
    else:
        rows = listing.narrowed(actor, rows, query.search, query.controller)
        by_wait = open_view is None and query.view in BY_WAIT
        shown, after = listing.page_of(rows, query.after, query.limit, by_wait=by_wait)

    figures = _figures(actor, views, now, opened)
    offered = ids_in(figures["offered_ids"])
    here = [opened.conversation.pk] if opened else []
    by_id = related(actor, {*shown, *offered, *here}, for_list=opened is None)
    tenant_labels = labels.of_tenant(actor)
    if opened:
        thread.complete(opened, by_id[opened.conversation.pk], tenant_labels, figures)
    return DeskView(
        page=ListPage(listing.rows(actor, shown, by_id, tenant_labels), after),
        offers=_pressing([row for row in listing.rows(actor, offered, by_id, tenant_labels) if row.is_offered]),
        now=figures["now"] + clock.offset,
        counts=listing.counts_from(figures),
        saved=view_counts.counts_from(views, figures),
        open_view=open_view,
        labels=[label for label in tenant_labels.values() if label.is_enabled],
        alerts=alerts_from(figures),
    )


def _figures(actor: Actor, views: list[SavedView], now: datetime | None, opened: ThreadPage | None) -> dict[str, Any]:
    """The figures of a page, in one statement. It is built once where the page has none but those of every page."""
    own = {**view_counts.counts_wanted(actor, views, now), **(thread.figures_wanted(opened) if opened else {})}
    if own:
        return aggregates.read(actor.tenant_id, own, beside=_always_wanted(actor))
    return _always(actor.kind).run(tenant_id=actor.tenant_id, id=actor.pk)[0]


@lru_cache(maxsize=AGENTS_KEPT)
def _always_wanted(actor: Actor) -> QuerySet[Any, dict[str, Any]]:
    """The query for the figures of all pages of an agent; kept, as it depends on the agent's and tenant's ids only."""
    wanted = {"offered_ids": offered_ids(actor), "now": clock.DbNow(), **alerts_wanted(actor)}
    return aggregates.prepared(actor.tenant_id, {**listing.counts_wanted(actor), **wanted})


@cache
def _always(kind: ActorKind) -> CompiledQuery[dict[str, Any]]:
    return CompiledQuery(lambda **ids: _always_wanted(Actor(kind=kind, **ids)))


def _pressing(offers: list[ConversationRow]) -> list[ConversationRow]:
    """The offers that the desk shows as cards: at most `OFFERS_MOST`, those that end first."""
    never = datetime.max.replace(tzinfo=UTC)
    return sorted(offers, key=lambda row: (row.offered_until or never, row.id))[:OFFERS_MOST]


def look_at(actor: Actor, opened: ThreadPage) -> ThreadPage:
    """A conversation without the list around it, completed in four queries at most."""
    entry = related(actor, [opened.conversation.pk])[opened.conversation.pk]
    figures = aggregates.read(actor.tenant_id, thread.figures_wanted(opened))
    thread.complete(opened, entry, labels.of_tenant(actor), figures)
    return opened


def _now(views: list[SavedView]) -> datetime | None:
    """The database's time, where a saved view filters by how long somebody has waited; None otherwise."""
    return clock.now() if any("waiting_over" in view.filter for view in views) else None
