"""Where an agent goes on when one conversation is done: the next of the list as the agent looks at it."""

from __future__ import annotations

from agents_app.actors import Actor
from messaging_app.models import Conversation, Tier
from sessions_app.queries import View, listing, view_counts, view_filters
from sessions_app.queries.desk_page import DeskQuery
from sessions_app.queries.listing import Cursor
from sessions_app.rights import visible


def place_of(actor: Actor, conversation_id: int) -> Cursor:
    """Where a conversation stands in the desk's order now. Raises `NotFound`."""
    it = visible.conversation(actor, conversation_id)
    return Cursor(it.tier, it.desk_order, it.pk)


def next_one(actor: Actor, asked: DeskQuery, place: Cursor) -> Conversation | None:
    """What follows a place in the part of the list that is asked for, else what heads it; None when nothing is left.

    What has come to an end is nothing to go on with, whatever the view.
    """
    view = next((view for view in view_counts.in_order(actor) if view.pk == asked.saved), None)
    found = view_counts.fitting(actor, view_filters.stored(view.filter)) if view else listing.in_view(actor, asked.view)
    if asked.view != View.RESOLVED or view:
        found = found.filter(tier__lt=Tier.RESOLVED)
    found = listing.narrowed(actor, found, asked.search, asked.controller).exclude(pk=place.id)
    for after in (place, None):
        shown, _last = listing.placed(found, after, 1)
        if shown:
            return shown[0]
    return None
