"""The search of the command bar: a few conversations, by their customer and by what was said in them."""

from __future__ import annotations

from django.db.models import Case, IntegerField, Q, When

from agents_app.actors import Actor
from messaging_app import search
from messaging_app.models import Conversation
from sessions_app.queries.listing import matching_text, named
from sessions_app.rights import visible

SEARCH_MOST = 8


def search_for(actor: Actor, text: str) -> list[Conversation]:
    """At most `SEARCH_MOST` conversations that contain the text and that this actor may see. One query.

    Those with the same diacritics as typed come first, then the desk's order counts. The index matches words of
    messages and customers, whatever their diacritics; a part of a name, account or shop is compared as typed.
    """
    text = text.strip()
    if not text:
        return []
    everything = visible.conversations(actor)
    by_index = matching_text(actor, everything, text).order_by().values("pk")
    exactly = named(text) | search.as_typed(text, tenant_id=actor.tenant_id)
    rank = Case(When(exactly, then=0), default=1, output_field=IntegerField())
    rows = everything.filter(named(text) | Q(pk__in=by_index)).order_by(rank, "tier", "desk_order", "id")
    return list(rows[:SEARCH_MOST])
