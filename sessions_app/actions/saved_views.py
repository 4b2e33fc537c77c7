"""Saved views: named filters of the desk's list. Whose they are, and the verbs on them."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction

from agents_app.actors import Actor
from agents_app.sharing import Sharing, held_by, must_keep, of_one_holder
from config import limits
from config.db import lock_rows, retried
from config.errors import Conflict, Malformed, NameTaken, NotFound, TryAgain
from messaging_app.models.agent_tools import SavedView
from sessions_app.queries import view_filters
from sessions_app.queries.view_counts import views_of
from sessions_app.rights.field_rights import by_role

MOST_VIEWS = 30
"""Saved views of one holder: an agent, a team or the tenant."""


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
    """Delete a view. Raises `NotFound`, `Forbidden`."""
    with transaction.atomic():
        _kept(actor, view_id).delete()


def checked_name(name: str) -> str:
    """The name without white space around it. Raises `Malformed`."""
    if not name.strip() or len(name.strip()) > limits.MAX_VIEW_NAME or not name.strip().isprintable():
        raise Malformed(f"A saved view’s name has 1 to {limits.MAX_VIEW_NAME} visible characters.")
    return name.strip()


def _kept(actor: Actor, view_id: int) -> SavedView:
    """A view the actor may change, locked."""
    must_keep(actor, Sharing.PERSONAL)
    view = lock_rows(views_of(actor).filter(pk=view_id)).first()
    if view is None:
        raise NotFound("There is no such saved view.")
    must_keep(actor, view.scope)
    return view


def _write(actor: Actor, view: SavedView, *, name: str, filter: Any) -> SavedView:
    view.name = checked_name(name)
    view.filter = view_filters.checked(filter, tenant_id=view.tenant_id).as_dict()
    if of_one_holder(SavedView.objects.all(), view).filter(name=view.name).exclude(pk=view.pk).exists():
        raise NameTaken(f"There is a saved view {view.name!r} already.")
    view.changed_by = actor.name
    try:
        with transaction.atomic():
            view.save()
    except IntegrityError as error:
        raise TryAgain(f"{view.name!r} was taken just now") from error
    return view
