"""Saved views: a part of the desk's list under a name. Whose they are, and the verbs on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from agents_app.actors import Actor
from agents_app.shared import Sharing, held_by, must_keep, of_one_holder, seen_by
from config import limits
from config.db import TryAgain, locked, retried
from config.errors import Conflict, Malformed, NameTaken, NotFound
from messaging_app.desk_models import SavedView
from messaging_app.models import Conversation
from sessions_app import figures, filters, queries, visible
from sessions_app.field_rights import by_role
from sessions_app.figures import Counted, Wanted
from sessions_app.filters import Filter
from sessions_app.queries import View

MOST_VIEWS = 30
"""Of one holder: an agent, a team or the tenant."""
COUNTED = 10
"""Views beyond these are shown without a count: each costs a look whenever the list is refetched."""


# --- Reading -----------------------------------------------------------------------------------------------------


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
    found = filters.narrowed(found, wanted, actor, now)
    if not wanted.search.strip():
        return found
    said = queries.that_say(actor, found, wanted.search)
    return found.filter(Q(pk__in=said.values("pk")) | Q(shop_id=wanted.search.strip()))


def within(actor: Actor, view_id: int) -> QuerySet[Conversation]:
    """The conversations of a saved view. Raises `NotFound`."""
    return fitting(actor, filters.stored(saved_view(actor, view_id).filter))


def in_order(actor: Actor) -> list[SavedView]:
    """The agent's saved views, its own first."""
    return sorted(views_of(actor), key=lambda view: (list(Sharing).index(view.scope), view.name, view.pk))


def counts_wanted(actor: Actor, views: Sequence[SavedView], now: datetime | None = None) -> Wanted:
    """How many fit each of the first `COUNTED`, by name; counting stops at `queries.COUNT_MOST`."""
    found = {view.pk: fitting(actor, filters.stored(view.filter), now) for view in views[:COUNTED]}
    return {f"saved_{pk}": Counted(rows[: queries.COUNT_MOST]) for pk, rows in found.items()}


def counts_told(views: Iterable[SavedView], told: Mapping[str, int]) -> list[tuple[SavedView, int | None]]:
    """The views with how many fit; of those that were not counted None."""
    return [(view, told.get(f"saved_{view.pk}")) for view in views]


def counted(actor: Actor) -> list[tuple[SavedView, int | None]]:
    """The agent's saved views in order, with how many fit, in two queries."""
    views = in_order(actor)
    return counts_told(views, figures.read(actor.tenant_id, counts_wanted(actor, views)))


# --- Verbs -------------------------------------------------------------------------------------------------------


@retried
@by_role
def create_view(
    *, actor: Actor, name: str, filter: Any, scope: str = Sharing.PERSONAL, team_id: int | None = None
) -> SavedView:
    """A new view of the actor's own, or for a supervisor a team's or everybody's.

    Raises `Malformed` with what is wrong with the filter, `NameTaken`, `Conflict` when there are too many, `Forbidden`.
    """
    with transaction.atomic():
        view = SavedView(**held_by(actor, scope, team_id))
        if of_one_holder(SavedView.objects.all(), view).count() >= MOST_VIEWS:
            raise Conflict(f"There are {MOST_VIEWS} saved views already; delete one first.")
        return _write(actor, view, name=name, filter=filter)


@retried
@by_role
def change_view(*, actor: Actor, view_id: int, **changes: Any) -> SavedView:
    """Change name or filter, each as a whole. Raises `NotFound`, and what `create_view` does."""
    with transaction.atomic():
        view = _kept(actor, view_id)
        return _write(actor, view, **({"name": view.name, "filter": view.filter} | changes))


@retried
@by_role
def delete_view(*, actor: Actor, view_id: int) -> None:
    """Raises `NotFound`, `Forbidden`."""
    with transaction.atomic():
        _kept(actor, view_id).delete()


def checked_name(name: str) -> str:
    """Raises `Malformed`."""
    if not name.strip() or len(name.strip()) > limits.MAX_VIEW_NAME or not name.strip().isprintable():
        raise Malformed(f"A saved view’s name has 1 to {limits.MAX_VIEW_NAME} visible characters.")
    return name.strip()


def _kept(actor: Actor, view_id: int) -> SavedView:
    """A view the actor may change, locked."""
    must_keep(actor, Sharing.PERSONAL)
    view = locked(views_of(actor).filter(pk=view_id)).first()
    if view is None:
        raise NotFound("There is no such saved view.")
    must_keep(actor, view.scope)
    return view


def _write(actor: Actor, view: SavedView, *, name: str, filter: Any) -> SavedView:
    view.name = checked_name(name)
    view.filter = filters.checked(filter, tenant_id=view.tenant_id).as_dict()
    if of_one_holder(SavedView.objects.all(), view).filter(name=view.name).exclude(pk=view.pk).exists():
        raise NameTaken(f"There is a saved view {view.name!r} already.")
    view.changed_by = actor.name
    try:
        with transaction.atomic():
            view.save()
    except IntegrityError as error:
        raise TryAgain(f"{view.name!r} was taken just now") from error
    return view
