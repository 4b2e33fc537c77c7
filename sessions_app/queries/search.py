"""What somebody looks for in the command bar: a few conversations, by whose they are and by what was said in them."""

from __future__ import annotations

from django.db.models import Case, IntegerField, Q, When

from agents_app.actors import Actor
from messaging_app import search
from messaging_app.models import Conversation
from sessions_app.queries.listing import named, that_say
from sessions_app.rights import visible

SEARCH_MOST = 8


def search_for(actor: Actor, text: str) -> list[Conversation]:
    """The conversations that hold the text, as far as this actor may see them; in one query.

    Those that hold it with the very marks that were typed come first, and among equals the desk's order counts. The index
    finds words in what was said and in customers, without their marks; a part of a name, account or shop is looked at as
    it stands.
    """
    text = text.strip()
    if not text:
        return []
    everything = visible.conversations(actor)
    said = that_say(actor, everything, text).order_by().values("pk")
    exactly = named(text) | search.as_typed(text, tenant_id=actor.tenant_id)
    rank = Case(When(exactly, then=0), default=1, output_field=IntegerField())
    found = everything.filter(named(text) | Q(pk__in=said)).order_by(rank, "tier", "desk_order", "id")
    return list(found[:SEARCH_MOST])
