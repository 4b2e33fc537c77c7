"""What calls an agent away from another window: offers, conversations that are theirs, unread words, near deadlines.

Read with the other figures of the page, in its one query, whatever view the list shows. Each is a text of pairs,
conversation:mark, of which a new one is something new; the browser compares (static/js/desk/alerts.js).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import CharField, F, OuterRef, Q, QuerySet, StringAgg, Subquery, TextField, Value
from django.db.models.functions import Cast, Coalesce, Concat

from agents_app.actors import Actor
from messaging_app.models import Conversation, Message, ReadCursor
from sessions_app.models import SlaClock, Transfer
from sessions_app.queries.aggregates import Wanted
from sessions_app.queries.related import served
from sessions_app.states import TransferStatus

ALERTS = ("offered", "mine", "unread", "near")


def alerts_wanted(actor: Actor) -> Wanted:
    """`offered` is also what a colleague hands over; `unread` what customers said to this agent since it last read, and
    its mark the last of it.
    """
    mine = served(actor.pk).values("conversation_id")
    here = Q(conversation=OuterRef("pk"))
    spoke = Message.objects.filter(here, sender_type=Message.Sender.CUSTOMER).order_by("-seq", "-id")
    read = ReadCursor.objects.filter(here, agent_id=actor.pk)
    heard = Conversation.objects.filter(tenant_id=actor.tenant_id, pk__in=mine).annotate(
        heard=Subquery(spoke.values("seq")[:1]), read=Coalesce(Subquery(read.values("seq")), 0)
    )
    asked = Transfer.objects.filter(Q(offered_to=actor.pk) | Q(to_agent=actor.pk), status=TransferStatus.PENDING)
    near = SlaClock.objects.filter(session__in=served(actor.pk).values("pk"), ended_at=None, warned_at__isnull=False)
    return {
        "call_offered": _pairs(asked, "conversation_id", "pk"),
        "call_mine": _pairs(served(actor.pk), "conversation_id", "pk"),
        "call_unread": _pairs(heard.filter(heard__gt=F("read")), "pk", "heard"),
        "call_near": _pairs(near, "conversation_id", "pk"),
    }


def alerts_told(told: Mapping[str, Any]) -> dict[str, str]:
    return {name: told[f"call_{name}"] or "" for name in ALERTS}


def _pairs(rows: QuerySet[Any], conversation: str, mark: str) -> Subquery:
    """The rows as one text: 3:17,8:20. Nothing of no rows. All of them are of one tenant."""
    pair = Concat(Cast(conversation, CharField()), Value(":"), Cast(mark, CharField()))
    joined = rows.order_by().values("tenant_id").annotate(pairs=StringAgg(pair, Value(",")))
    return Subquery(joined.values("pairs"), output_field=TextField())
