"""What a client of the events subscribes to, and what it receives: page by page, by the rights of `visible`."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial
from typing import Any

from django.db import DEFAULT_DB_ALIAS
from django.db.models import BigIntegerField, Exists, OuterRef, Q, QuerySet, Value

from agents_app.actors import Actor, ActorKind
from agents_app.models import Tenant
from agents_app.scopes import Scope
from config import limits
from config.errors import Malformed
from config.statements import Reading, together
from messaging_app.events import MESSAGE_CREATED, Texts, rendered, texts_of
from messaging_app.follow import WINDOW, Page, cursor_of, head
from messaging_app.models import Message, Operation, StreamHead
from messaging_app.models.attachments import Attachment
from sessions_app.events.catalogue import EVENT_TYPES, for_outsiders
from sessions_app.rights import visible

LIMIT = 100
"""Events of a page, at most."""
_OUTSIDERS = (ActorKind.CUSTOMER, ActorKind.PARTICIPANT)
_ALIKE = (ActorKind.AGENT, ActorKind.INTEGRATOR)
"""Who reads the whole tenant: what they may read hangs on nothing but their kind and their scopes."""
_PREPARED = 256
"""Statements that are kept, at most: one for each set of types and conversation that is followed."""


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
    who = (actor.kind, actor.tenant_id, actor.may(Scope.READ)) if actor.kind in _ALIKE else actor
    return who, subscription.types, subscription.conversation_id


def read(actor: Actor, subscription: Subscription, after: int, limit: int = LIMIT) -> Page:
    """The next page behind the cursor: what the actor subscribed to and may read."""
    if limit == LIMIT and actor.kind in _ALIKE:
        now, is_all, operations = _found_alike(actor, subscription, after)
        texts: Texts = partial(texts_alike, actor)
    else:
        now, is_all = head(actor.tenant_id)
        operations = _found(actor, subscription, after, now, limit + 1) if now > after else []
        texts = partial(texts_of, visible.messages(actor))
    end = max(after, min(now, after + WINDOW))
    if len(operations) > limit:
        del operations[limit:]
        end = operations[-1].pos or end
    events = rendered(operations, reads=actor.may(Scope.READ), texts=texts) if operations else []
    if actor.kind in _OUTSIDERS:
        # Whoever may not read a message does not learn that there is one.
        events = [for_outsiders(e) for e in events if e["type"] != MESSAGE_CREATED or e["message"]]
    return Page(events, cursor=end, has_more=end < now or not is_all)


# --- What a page is read by --------------------------------------------------------------------------------------


def _found(actor: Actor, subscription: Subscription, after: int, now: int, most: int) -> list[Operation]:
    rows = visible.operations(actor).filter(subscription.where(), pos__gt=after, pos__lte=min(now, after + WINDOW))
    return list(rows.select_related("tenant").order_by("pos")[:most])


def _found_alike(actor: Actor, subscription: Subscription, after: int) -> tuple[int, bool, list[Operation]]:
    """`head` and `_found` for those of `_ALIKE`, of one moment where nothing has to be stamped, by statements built once."""
    readings = (_HEAD, _operations_of(actor.kind, replace(subscription, after=None)))
    given = (actor.tenant_id, after, after + WINDOW)
    heads, rows = together(readings, *given)
    is_all = True
    if not heads or heads[0][1]:
        _, is_all = head(actor.tenant_id)
        heads, rows = together(readings, *given)
    now = heads[0][0] if heads else 0
    operations = []
    for *values, slug in rows:
        operation = Operation.from_db(DEFAULT_DB_ALIAS, _OPERATION, values)
        operation.tenant = Tenant(pk=operation.tenant_id, slug=slug)
        operations.append(operation)
    if operations:
        now = max(now, operations[-1].pos or 0)  # on SQLite and MariaDB the second statement is of a later moment
    return now, is_all, operations


_NO_ATTACHMENTS = Attachment.objects.none()
_OPERATION = [field.attname for field in Operation._meta.concrete_fields]
_SHOWN = frozenset({"id", "message_id", "sender_type", "sender_name", "content", "sent_at", "is_note"})
_MESSAGE = [field.attname for field in Message._meta.concrete_fields if field.attname in _SHOWN]


def _heads(tenant_id: int, after: int, end: int) -> QuerySet[Any, Any]:
    unstamped = Operation.objects.filter(tenant_id=tenant_id, pos__isnull=True)
    return StreamHead.objects.filter(tenant_id=tenant_id).values_list("pos", Exists(unstamped))


_HEAD = Reading(_heads, 1, 1, 1)


@lru_cache(_PREPARED)
def _operations_of(kind: ActorKind, subscription: Subscription) -> Reading:
    def build(tenant_id: int, after: int, end: int) -> QuerySet[Any, Any]:
        # As expressions: of a number below zero, which stands for a parameter, the ORM would say that all are above it.
        behind = {"pos__gt": Value(after, BigIntegerField()), "pos__lte": Value(end, BigIntegerField())}
        rows = visible.operations(Actor(kind=kind, tenant_id=tenant_id))
        rows = rows.filter(subscription.where(), **behind).order_by("pos")
        return rows.values_list(*_OPERATION, "tenant__slug")[: LIMIT + 1]

    return Reading(build, 1, 1, 1)


def texts_alike(actor: Actor, ids: Sequence[int]) -> Iterable[Message]:
    """`texts_of` the messages that one of `_ALIKE` may read: by a statement that was built once, where it is a single one."""
    if len(ids) > 1:
        return texts_of(visible.messages(actor), ids)
    found = []
    for *values, has_attachments in _message_of(actor.kind).rows(actor.tenant_id, ids[0]):
        if has_attachments:
            return texts_of(visible.messages(actor), ids)
        message: Any = Message.from_db(DEFAULT_DB_ALIAS, _MESSAGE, values)
        message._prefetched_objects_cache = {"attachments": _NO_ATTACHMENTS}
        found.append(message)
    return found


@cache
def _message_of(kind: ActorKind) -> Reading:
    def build(tenant_id: int, pk: int) -> QuerySet[Any, Any]:
        attached = Exists(Attachment.objects.filter(message=OuterRef("pk")))
        rows = visible.messages(Actor(kind=kind, tenant_id=tenant_id)).filter(pk=pk)
        return rows.values_list(*_MESSAGE, attached)

    return Reading(build, 1, 1)
