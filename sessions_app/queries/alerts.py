"""Alerts for an agent whose desk is out of sight: offers, own conversations, unread messages, near deadlines.

They are read in the page's one query of figures, whatever view the list shows. Each kind is one text of pairs,
`conversation id:mark`, such as `3:17,8:20`. A pair that was not there before is a new alert: the browser compares
(static/js/desk/alerts.js).
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
    """The figures `call_…`, one for each of `ALERTS`. `offered` includes what a colleague hands over.

    `unread` are the agent's conversations whose customer has written since the agent last read; the mark is the
    operation (`seq`) of the customer's newest message. All other marks are row ids: of the transfer, session or clock.
    """
    mine = served(actor.pk).values("conversation_id")
    here = Q(conversation=OuterRef("pk"))
    newest = Message.objects.filter(here, sender_type=Message.Sender.CUSTOMER).order_by("-seq", "-id")
    read = ReadCursor.objects.filter(here, agent_id=actor.pk)
    conversations = Conversation.objects.filter(tenant_id=actor.tenant_id, pk__in=mine).annotate(
        newest_seq=Subquery(newest.values("seq")[:1]), read_seq=Coalesce(Subquery(read.values("seq")), 0)
    )
    offers = Transfer.objects.filter(Q(offered_to=actor.pk) | Q(to_agent=actor.pk), status=TransferStatus.PENDING)
    near = SlaClock.objects.filter(session__in=served(actor.pk).values("pk"), ended_at=None, warned_at__isnull=False)
    return {
        "call_offered": _pairs(offers, "conversation_id", "pk"),
        "call_mine": _pairs(served(actor.pk), "conversation_id", "pk"),
        "call_unread": _pairs(conversations.filter(newest_seq__gt=F("read_seq")), "pk", "newest_seq"),
        "call_near": _pairs(near, "conversation_id", "pk"),
    }


def alerts_from(figures: Mapping[str, Any]) -> dict[str, str]:
    """The alerts by kind, from the figures of `alerts_wanted`; an empty text where there are none."""
    return {name: figures[f"call_{name}"] or "" for name in ALERTS}


def _pairs(rows: QuerySet[Any], conversation: str, mark: str) -> Subquery:
    """The rows as one text, `3:17,8:20`; None for no rows. They must be of one tenant, by which they are grouped."""
    pair = Concat(Cast(conversation, CharField()), Value(":"), Cast(mark, CharField()))
    joined = rows.order_by().values("tenant_id").annotate(pairs=StringAgg(pair, Value(",")))
    return Subquery(joined.values("pairs"), output_field=TextField())
