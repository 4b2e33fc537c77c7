"""Which conversation an agent goes on with after one is done: the next in the list that the agent looks at."""

from __future__ import annotations

from agents_app.actors import Actor
from messaging_app.models import Conversation, Tier
from sessions_app.queries import View, listing, view_counts, view_filters
from sessions_app.queries.desk_page import DeskQuery
from sessions_app.queries.listing import Cursor
from sessions_app.rights import visible


def place_of(actor: Actor, conversation_id: int) -> Cursor:
    """Where a conversation stands in the desk's order now. Raises `NotFound`."""
    conversation = visible.conversation(actor, conversation_id)
    return Cursor(conversation.tier, conversation.desk_order, conversation.pk)


def next_one(actor: Actor, query: DeskQuery, place: Cursor) -> Conversation | None:
    """The first conversation after `place` in the list that `query` shows, else the list's first; None without any.

    Resolved conversations are left out, except in the view `resolved`.
    """
    view = next((view for view in view_counts.in_order(actor) if view.pk == query.saved), None)
    rows = view_counts.matching(actor, view_filters.stored(view.filter)) if view else listing.in_view(actor, query.view)
    if query.view != View.RESOLVED or view:
        rows = rows.filter(tier__lt=Tier.RESOLVED)
    rows = listing.narrowed(actor, rows, query.search, query.controller).exclude(pk=place.id)
    for after in (place, None):
        shown, _last = listing.keyset_page(rows, after, 1)
        if shown:
            return shown[0]
    return None
