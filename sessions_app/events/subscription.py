"""What a client of the events subscribes to, and what it receives: page by page, by the rights of `visible`."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from agents_app.actors import Actor, ActorKind
from agents_app.scopes import Scope
from config import limits
from config.errors import Malformed
from messaging_app.events import MESSAGE_CREATED, rendered
from messaging_app.follow import WINDOW, Page, cursor_of, head
from sessions_app.events.catalogue import EVENT_TYPES, for_outsiders
from sessions_app.rights import visible

LIMIT = 100
"""Events of a page, at most."""
_OUTSIDERS = (ActorKind.CUSTOMER, ActorKind.PARTICIPANT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """`after` is the cursor, None for 'from now on'. `types` may end in `.*`; no types are all types."""

    after: int | None = None
    types: frozenset[str] = frozenset()
    conversation_id: int | None = None

    def where(self) -> Q:
        condition = Q()
        for type in self.types:
            condition |= Q(type__startswith=type[:-1]) if type.endswith(".*") else Q(type=type)
        return condition & Q(conversation_id=self.conversation_id) if self.conversation_id is not None else condition


def subscription(query: Mapping[str, Any], last_event_id: str = "") -> Subscription:
    """Read a subscription from a query string; `Last-Event-ID` wins over `after`. Raises `Malformed`."""
    cursor = last_event_id or query.get("after") or ""
    types = frozenset(type.strip() for type in (query.get("types") or "").split(",") if type.strip())
    for type in types:
        if type not in EVENT_TYPES and not (type.endswith(".*") and any(t.startswith(type[:-1]) for t in EVENT_TYPES)):
            raise Malformed(f"There are no events of type {type[:60]!r}.")
    conversation = query.get("conversation") or ""
    if conversation and not (
        conversation.isascii() and conversation.isdigit() and len(conversation) <= limits.MAX_DIGITS
    ):
        raise Malformed("conversation is no id.")
    return Subscription(
        after=cursor_of(cursor) if cursor else None,
        types=types,
        conversation_id=int(conversation) if conversation else None,
    )


def checked(actor: Actor, subscription: Subscription) -> None:
    """Raises `NotFound` for a conversation that the actor may not read."""
    if subscription.conversation_id is not None:
        visible.conversation(actor, subscription.conversation_id)


def conversation_of(actor: Actor, subscription: Subscription) -> int | None:
    """The id of the conversation that is followed, if it is a single one."""
    return actor.conversation_id or subscription.conversation_id


def audience(actor: Actor, subscription: Subscription) -> Hashable:
    """A key that is equal for all who receive the same pages: agents, and integrators with the same right to read."""
    alike = actor.kind in (ActorKind.AGENT, ActorKind.INTEGRATOR)
    who = (actor.kind, actor.tenant_id, actor.may(Scope.READ)) if alike else actor
    return who, subscription.types, subscription.conversation_id


def read(actor: Actor, subscription: Subscription, after: int, limit: int = LIMIT) -> Page:
    """The next page behind the cursor: what the actor subscribed to and may read."""
    now, is_all = head(actor.tenant_id)
    end = max(after, min(now, after + WINDOW))
    if end == after:
        return Page([], cursor=after, has_more=not is_all)
    rows = visible.operations(actor).filter(subscription.where(), pos__gt=after, pos__lte=end)
    operations = list(rows.select_related("tenant").order_by("pos")[: limit + 1])
    if len(operations) > limit:
        del operations[limit:]
        end = operations[-1].pos or end
    events = rendered(operations, visible.messages(actor), reads=actor.may(Scope.READ))
    if actor.kind in _OUTSIDERS:
        # Whoever may not read a message does not learn that there is one.
        events = [for_outsiders(e) for e in events if e["type"] != MESSAGE_CREATED or e["message"]]
    return Page(events, cursor=end, has_more=end < now or not is_all)
