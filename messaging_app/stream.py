"""The stream: one operation per change, numbered without a gap in its conversation, replayable from a cursor.

The caller holds the conversation's lock. `entry` numbers an operation in memory, `seal` chains what a verb made, `write`
stores a transaction's operations and registers the one hint that goes out after commit. A rollback gives the numbers back.
What belongs to a tenant and to no conversation is stored by `record`: such an operation is numbered and chained alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from agents_app.actors import Actor
from messaging_app import live, relay
from messaging_app.models import Conversation, Operation


def content_digest(content: str) -> str:
    """What an operation keeps of the words: enough to prove them, not to read them."""
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def link(previous: str, operation: Operation) -> str:
    """The operation's place in its conversation's hash chain. Without a conversation the hash names the tenant."""
    told = [
        operation.conversation_id or {"tenant": operation.tenant_id},
        operation.seq,
        operation.type,
        operation.session_id,
        operation.actor_kind,
        operation.actor_id,
        operation.at.isoformat(timespec="microseconds"),
        operation.data,
    ]
    text = json.dumps(told, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256((previous + text).encode()).hexdigest()


def entry(
    conversation: Conversation,
    *,
    actor: Actor,
    type: str,
    at: datetime,
    session_id: int | None = None,
    data: dict[str, Any] | None = None,
) -> Operation:
    """The next operation of a locked conversation. Raises its `seq`; `seal` closes it."""
    conversation.seq += 1
    return Operation(
        tenant_id=conversation.tenant_id,
        conversation=conversation,
        seq=conversation.seq,
        type=type,
        session_id=session_id,
        actor_kind=actor.kind.value,
        actor_id=actor.id,
        actor_name=actor.name,
        data=data or {},
        at=at,
    )


def seal(conversation: Conversation, operations: Iterable[Operation]) -> None:
    """Chain a conversation's new operations. Raises the conversation's `chain`, which the caller saves."""
    for operation in operations:
        conversation.chain = operation.chain = link(conversation.chain, operation)


def record(tenant_id: int, *, actor: Actor, type: str, at: datetime, data: dict[str, Any]) -> Operation:
    """Store a change that is the tenant's and no conversation's, in the caller's transaction.

    It needs no lock of its own. Changes of one row stand in the stream as they happened, because the caller holds that
    row's lock until the commit.
    """
    operation = Operation(
        tenant_id=tenant_id,
        seq=1,
        type=type,
        actor_kind=actor.kind.value,
        actor_id=actor.id,
        actor_name=actor.name,
        data=data,
        at=at,
    )
    operation.chain = link("", operation)
    write([operation])
    return operation


def write(operations: Sequence[Operation]) -> None:
    """Store a transaction's operations, and tell whoever listens once they are committed."""
    if not operations:
        return
    Operation.objects.bulk_create(operations, batch_size=2000)
    newest = {(o.tenant_id, o.conversation_id): live.Hint(o.tenant_id, o.conversation_id, o.seq) for o in operations}
    if connection.vendor == "sqlite":
        # Writers are serial there, so the position can be given at once and no relay is needed.
        for tenant_id in {o.tenant_id for o in operations}:
            relay.stamp(tenant_id)
    transaction.on_commit(lambda: live.announce(newest.values()), robust=True)


def replay(tenant_id: int, *, after: int, limit: int = 500) -> list[Operation]:
    """A tenant's operations behind the cursor `after` (a position), in order."""
    return list(Operation.objects.filter(tenant_id=tenant_id, pos__gt=after).order_by("pos")[:limit])


def first_broken_link(operations: Iterable[Operation]) -> Operation | None:
    """The first of a conversation's operations (all of them, by seq) that does not fit the one before it, or None."""
    previous, expected = "", 1
    for operation in operations:
        if operation.seq != expected or operation.chain != link(previous, operation):
            return operation
        previous, expected = operation.chain, expected + 1
    return None
