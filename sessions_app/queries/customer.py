"""What a customer sees of their own conversation, on the try-it page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from agents_app.actors import Actor, ActorKind
from config.db import ids_in
from messaging_app.models import Controller, Conversation
from sessions_app.models import ChatSession, GuidedFlow
from sessions_app.queries.news import NEWS_MOST, News, named_after, news
from sessions_app.queries.pressing import openings
from sessions_app.queries.related import live_sessions, owner_of
from sessions_app.queries.thread import Item, merged
from sessions_app.rights import visible
from sessions_app.states import FlowStatus

TRY_IT = "try_it"
"""The key in a visitor's Django session under which the try-it page keeps the account it plays."""


def played(session: Mapping[str, Any]) -> int | None:
    """The id of the conversation whose customer a visitor of the try-it page plays; None before the first message."""
    return (session.get(TRY_IT) or {}).get("conversation_id")


@dataclass(slots=True)
class CustomerPage:
    """A conversation as its customer sees it: no notes, no names of rules, only who is speaking."""

    conversation: Conversation | None = None
    live: ChatSession | None = None
    items: list[Item] = field(default_factory=list)
    opens_at: datetime | None = None  # when an agent is there again for the waiting customer
    question: str = ""  # of the guided flow that waits for an answer

    @property
    def seq(self) -> int:
        return self.conversation.seq if self.conversation else 0

    @property
    def owner(self) -> str:
        return owner_of(self.live)


def customer_page(
    *, tenant_id: int, conversation_id: int | None, after: int = 0, limit: int = NEWS_MOST
) -> CustomerPage:
    """What the customer sees of a conversation, after operation `after`; an empty page before the first message."""
    rows: QuerySet[Any] = Conversation.objects.filter(pk=conversation_id or 0, tenant_id=tenant_id)
    conversation = rows.annotate(named=named_after(after)).first() if after else rows.first()
    if conversation is None:
        return CustomerPage()
    customer = Actor(kind=ActorKind.CUSTOMER, tenant_id=tenant_id, conversation_id=conversation.pk)
    readable = visible.messages(customer).prefetch_related("attachments")
    if after:
        new = news(readable, after=after, named=ids_in(conversation.named), limit=limit)
    else:
        new = News(list(readable.order_by("-sent_at", "-id")[:limit]), frozenset(), is_behind=False)
    return CustomerPage(
        conversation,
        live_sessions([conversation.pk]).get(conversation.pk),
        merged(new.said, (), again=new.again),
        opens_at=openings([conversation]).get(conversation.pk),
        question=_question(conversation),
    )


def _question(conversation: Conversation) -> str:
    if conversation.controller != Controller.FLOW:
        return ""
    flows = GuidedFlow.objects.filter(conversation=conversation, status=FlowStatus.WAITING).order_by("pk")
    return flows.values_list("pending_question", flat=True).first() or ""
