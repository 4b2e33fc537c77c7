"""Reading saved views: which ones an actor may see, and how many conversations fit each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache

from django.db.models import Q, QuerySet

from agents_app.actors import Actor, ActorKind
from agents_app.models import Agent
from agents_app.sharing import Sharing, seen_by
from config.compiled_query import CompiledQuery
from config.errors import NotFound
from messaging_app.models import Conversation
from messaging_app.models.agent_tools import SavedView
from sessions_app import queries
from sessions_app.queries import View, aggregates, view_filters
from sessions_app.queries.aggregates import Counted, Wanted
from sessions_app.queries.view_filters import Filter
from sessions_app.rights import visible

COUNTED = 10
"""Views that are counted; those beyond have no count, because each costs a subquery whenever the list is refetched."""


def views_of(actor: Actor) -> QuerySet[SavedView]:
    """The saved views the actor may look at. Raises `Forbidden`."""
    return seen_by(actor, SavedView.objects.all())


def saved_view(actor: Actor, view_id: int) -> SavedView:
    """The saved view with this id. Raises `NotFound`, also for a colleague's own, and `Forbidden`."""
    row = views_of(actor).filter(pk=view_id).first()
    if row is None:
        raise NotFound("There is no such saved view.")
    return row


def matching(actor: Actor, criteria: Filter, now: datetime | None = None) -> QuerySet[Conversation]:
    """The conversations that fit a filter and that this actor may see. For who is no agent, none are 'mine'.

    `now` is the database's time, if the caller has read it already.
    """
    rows = visible.conversations(actor)
    if criteria.view != View.ALL:
        rows = rows.filter(pk__in=queries.in_view(actor, View(criteria.view)).values("pk"))
    rows = view_filters.narrowed(rows, criteria, actor, now)
    if not criteria.search.strip():
        return rows
    by_text = queries.matching_text(actor, rows, criteria.search)
    return rows.filter(Q(pk__in=by_text.values("pk")) | Q(shop_id=criteria.search.strip()))


def within(actor: Actor, view_id: int) -> QuerySet[Conversation]:
    """The conversations of a saved view. Raises `NotFound`."""
    return matching(actor, view_filters.stored(saved_view(actor, view_id).filter))


def in_order(actor: Actor) -> list[SavedView]:
    """The agent's saved views, its own first."""
    rows = (
        _seen_by_agent(actor.is_supervisor).run(tenant_id=actor.tenant_id, id=actor.pk)
        if actor.is_agent
        else views_of(actor)
    )
    return sorted(rows, key=lambda view: (list(Sharing).index(view.scope), view.name, view.pk))


@cache
def _seen_by_agent(is_supervisor: bool) -> CompiledQuery[SavedView]:
    role = Agent.Role.SUPERVISOR if is_supervisor else Agent.Role.AGENT
    return CompiledQuery(lambda **ids: views_of(Actor(kind=ActorKind.AGENT, role=role, **ids)))


def counts_wanted(actor: Actor, views: Sequence[SavedView], now: datetime | None = None) -> Wanted:
    """The figures `saved_…`: how many fit each of the first `COUNTED` views; counting stops at `queries.COUNT_MOST`."""
    matching_rows = {view.pk: matching(actor, view_filters.stored(view.filter), now) for view in views[:COUNTED]}
    return {f"saved_{pk}": Counted(rows[: queries.COUNT_MOST]) for pk, rows in matching_rows.items()}


def counts_from(views: Iterable[SavedView], figures: Mapping[str, int]) -> list[tuple[SavedView, int | None]]:
    """The views with how many conversations fit; None for a view that was not counted."""
    return [(view, figures.get(f"saved_{view.pk}")) for view in views]


def counted(actor: Actor) -> list[tuple[SavedView, int | None]]:
    """The agent's saved views in order, with how many fit, in two queries."""
    views = in_order(actor)
    return counts_from(views, aggregates.read(actor.tenant_id, counts_wanted(actor, views)))
