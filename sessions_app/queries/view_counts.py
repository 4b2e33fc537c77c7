"""Saved views as they are read: whose they are, and how many conversations fit each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from django.db.models import Q, QuerySet

from agents_app.actors import Actor
from agents_app.sharing import Sharing, seen_by
from config.errors import NotFound
from messaging_app.models import Conversation
from messaging_app.models.agent_tools import SavedView
from sessions_app import queries
from sessions_app.queries import View, aggregates, view_filters
from sessions_app.queries.aggregates import Counted, Wanted
from sessions_app.queries.view_filters import Filter
from sessions_app.rights import visible

COUNTED = 10
"""Views beyond these are shown without a count: each costs a look whenever the list is refetched."""


def views_of(actor: Actor) -> QuerySet[SavedView]:
    """The saved views the actor may look at. Raises `Forbidden`."""
    return seen_by(actor, SavedView.objects.all())


def saved_view(actor: Actor, view_id: int) -> SavedView:
    """Raises `NotFound`, also for what is a colleague's own."""
    row = views_of(actor).filter(pk=view_id).first()
    if row is None:
        raise NotFound("There is no such saved view.")
    return row


def fitting(actor: Actor, wanted: Filter, now: datetime | None = None) -> QuerySet[Conversation]:
    """The conversations that fit a filter, as this actor may see them. Whoever is no agent has none that are 'mine'.

    `now` is the database's time, for whoever has it already.
    """
    found = visible.conversations(actor)
    if wanted.view != View.ALL:
        found = found.filter(pk__in=queries.in_view(actor, View(wanted.view)).values("pk"))
    found = view_filters.narrowed(found, wanted, actor, now)
    if not wanted.search.strip():
        return found
    said = queries.that_say(actor, found, wanted.search)
    return found.filter(Q(pk__in=said.values("pk")) | Q(shop_id=wanted.search.strip()))


def within(actor: Actor, view_id: int) -> QuerySet[Conversation]:
    """The conversations of a saved view. Raises `NotFound`."""
    return fitting(actor, view_filters.stored(saved_view(actor, view_id).filter))


def in_order(actor: Actor) -> list[SavedView]:
    """The agent's saved views, its own first."""
    return sorted(views_of(actor), key=lambda view: (list(Sharing).index(view.scope), view.name, view.pk))


def counts_wanted(actor: Actor, views: Sequence[SavedView], now: datetime | None = None) -> Wanted:
    """How many fit each of the first `COUNTED`, by name; counting stops at `queries.COUNT_MOST`."""
    found = {view.pk: fitting(actor, view_filters.stored(view.filter), now) for view in views[:COUNTED]}
    return {f"saved_{pk}": Counted(rows[: queries.COUNT_MOST]) for pk, rows in found.items()}


def counts_told(views: Iterable[SavedView], told: Mapping[str, int]) -> list[tuple[SavedView, int | None]]:
    """The views with how many fit; of those that were not counted None."""
    return [(view, told.get(f"saved_{view.pk}")) for view in views]


def counted(actor: Actor) -> list[tuple[SavedView, int | None]]:
    """The agent's saved views in order, with how many fit, in two queries."""
    views = in_order(actor)
    return counts_told(views, aggregates.read(actor.tenant_id, counts_wanted(actor, views)))
