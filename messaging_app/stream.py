"""The stream: one operation per change, numbered without a gap in its conversation, replayable from a cursor.

The caller holds the conversation's lock. `entry` numbers an operation in memory, `seal` chains what a verb made, `write`
stores a transaction's operations and registers the one hint that goes out after commit. A rollback gives the numbers back.
What belongs to a tenant and to no conversation is stored by `record`: such an operation is numbered and chained alone.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64encode
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from django.db import connection, transaction

from agents_app.actors import Actor
from config import audit_keys
from messaging_app import live, record_marks, relay
from messaging_app.models import Conversation, Operation

_CANONICAL = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"))
_PURPOSE = "operation"
_UNKEYED_LENGTH = 64
_LEAST, _MOST = -(2**63), 2**63 - 1
_SIMPLE = frozenset({str, int, bool, type(None)})


def content_digest(content: str) -> str:
    """What an operation keeps of the words: enough to prove them, not to read them."""
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def message_proof(message: Any) -> str:
    """What an operation keeps of a message as it was stored: where, who, when and the words. A `Message`, or a row of a batch."""
    told = [
        message.platform,
        message.message_id,
        message.sender_type,
        message.sender_id,
        message.sender_name,
        getattr(message, "is_note", False),
        message.sent_at.astimezone(UTC).isoformat(timespec="microseconds"),
        message.content,
    ]
    return hashlib.sha256(_CANONICAL.encode(told).encode()).hexdigest()[:32]


def proof_of_all(messages: Iterable[Any]) -> str:
    """The same of many messages, in any order."""
    proofs = "".join(sorted(message_proof(message) for message in messages))
    return hashlib.sha256(proofs.encode()).hexdigest()[:32]


def link(previous: str, operation: Operation, *, number: int, key: bytes) -> str:
    """The operation's place in its conversation's chain: the number of the key, a colon, and an HMAC-SHA256.

    It covers all that is ever shown of an operation but its position, which is not known yet.
    """
    told = [
        number,
        operation.tenant_id,
        operation.conversation_id,
        operation.seq,
        operation.type,
        operation.session_id,
        operation.actor_kind,
        operation.actor_id,
        operation.actor_name,
        operation.at.astimezone(UTC).isoformat(timespec="microseconds"),
        _plain(operation.data),
    ]
    text = _CANONICAL.encode(told)
    return f"{number}:{_short(hmac.digest(key, f'{_PURPOSE}\n{previous}{text}'.encode(), 'sha256'))}"


def beginning(conversation: Conversation) -> str:
    """What stands before the first operation of a conversation: whose it is, so that the chain holds for no other.

    Chains that were begun by an older release have nothing there.
    """
    told = [conversation.platform, conversation.shop_id, conversation.account_id]
    return hashlib.sha256(_CANONICAL.encode(told).encode()).hexdigest()


def _before(previous: str, operation: Operation) -> list[str]:
    """What may stand before an operation: the link of the one before, or whose conversation the first one begins."""
    if previous or operation.conversation_id is None:
        return [previous]
    try:
        conversation = operation.conversation
    except Conversation.DoesNotExist:
        return [""]
    return [beginning(conversation), ""] if conversation else [""]


def unkeyed_link(previous: str, operation: Operation) -> str:
    """How operations were chained before there was a key: 64 hex digits, and no word of the actor's name."""
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
    text = _CANONICAL.encode(told)
    return hashlib.sha256((previous + text).encode()).hexdigest()


def is_keyed(chain: str) -> bool:
    return ":" in chain


def wrong_link(previous: str, operation: Operation) -> str:
    """Why an operation does not fit the link before it (its `chain`, empty for the first); empty if it does.

    What was written before there was a key is checked without one. Nothing goes back to that: not after a keyed link; and
    not to an older key, which may have been replaced because somebody has it. What an unsigned one stands behind may not be
    known any more (`marks.UNKNOWN`): then it is what the next one fits.
    """
    if not is_keyed(operation.chain):
        if previous == record_marks.UNKNOWN and len(operation.chain) == _UNKEYED_LENGTH:
            return ""
        if is_keyed(previous):
            return "is not signed, and the one before it is"
        return "" if operation.chain == unkeyed_link(previous, operation) else "does not fit the one before it"
    number = audit_keys.number_of(operation.chain)
    keys = audit_keys.ring().keys.get(number)
    if keys is None:
        return f"is signed with key {number}, which AUDIT_KEYS does not have"
    if is_keyed(previous) and number < (before := audit_keys.number_of(previous)):
        return f"is signed with key {number}, and the one before it with key {before}"
    links = (link(one, operation, number=number, key=key) for one in _before(previous, operation) for key in keys)
    if operation.chain in links:
        return ""
    if previous or operation.conversation_id is None:
        return "does not fit the one before it"
    return "does not fit what begins here: the platform, shop and account of its conversation"


def _plain(value: Any) -> Any:
    """JSON as each of the databases gives it back: whole numbers without a fraction or an exponent, keys as text.

    PostgreSQL makes a whole number of 1e22, which is more than 64 bits and so read as none (config/free_json.py).
    """
    if isinstance(value, dict):
        if _is_plain(value):  # nearly always, and in the path of every verb
            return value
        return {name if isinstance(name, str) else json.dumps(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return None if isinstance(value, int) and not _LEAST <= value <= _MOST else value


def _is_plain(data: dict[Any, Any]) -> bool:
    for name, value in data.items():
        if type(name) is not str:
            return False
        kind = type(value)
        if kind is int and not _LEAST <= value <= _MOST:
            return False
        if kind not in _SIMPLE and not (kind is dict and _is_plain(value)) and not isinstance(value, str):
            return False
    return True


def _short(digest: bytes) -> str:
    return b64encode(digest).decode().rstrip("=")


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
    keys = audit_keys.ring()
    for operation in operations:
        previous = conversation.chain or beginning(conversation)
        made = link(previous, operation, number=keys.newest, key=keys.signing)
        conversation.chain = operation.chain = made


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
    keys = audit_keys.ring()
    operation.chain = link("", operation, number=keys.newest, key=keys.signing)
    write([operation])
    return operation


def write(operations: Sequence[Operation]) -> None:
    """Store a transaction's operations, and tell whoever listens once they are committed."""
    if not operations:
        return
    Operation.objects.bulk_create(operations, batch_size=2000)
    newest = {
        (o.tenant_id, o.conversation_id): live.ChangeNotification(o.tenant_id, o.conversation_id, o.seq)
        for o in operations
    }
    if connection.vendor == "sqlite":
        # Writers are serial there, so the position can be given at once and no relay is needed.
        for tenant_id in {o.tenant_id for o in operations}:
            relay.stamp_whole(tenant_id)
    transaction.on_commit(lambda: live.announce(newest.values()), robust=True)


def replay(tenant_id: int, *, after: int, limit: int = 500) -> list[Operation]:
    """A tenant's operations behind the cursor `after` (a position), in order."""
    return list(Operation.objects.filter(tenant_id=tenant_id, pos__gt=after).order_by("pos")[:limit])


def first_broken_link(operations: Iterable[Operation]) -> Operation | None:
    """The first of a conversation's operations (all of them, by seq) that does not fit the one before it, or None."""
    previous, expected = "", 1
    for operation in operations:
        if operation.seq != expected or wrong_link(previous, operation):
            return operation
        previous, expected = operation.chain, expected + 1
    return None
