"""What somebody looks for in the command bar: a few conversations, by whose they are and by what was said in them."""

from __future__ import annotations

from django.db.models import Q

from agents_app.actors import Actor
from messaging_app.models import Conversation
from sessions_app import visible
from sessions_app.queries.listing import placed, that_say

SOUGHT_MOST = 8


def sought(actor: Actor, text: str) -> list[Conversation]:
    """In the desk's order, the conversations that hold the text, as far as this actor may see them; in one query.

    The index finds words in what was said and in customers; a part of a name, account or shop is looked at as it stands,
    so that a conversation is found before the index has heard of it.
    """
    text = text.strip()
    if not text:
        return []
    everything = visible.conversations(actor)
    said = that_say(actor, everything, text).order_by().values("pk")
    named = Q(customer_name__icontains=text) | Q(account_id__icontains=text) | Q(shop_id__icontains=text)
    found, _ = placed(everything.filter(named | Q(pk__in=said)), None, SOUGHT_MOST)
    return found
