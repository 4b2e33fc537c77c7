"""The stream: one operation per change, numbered without a gap in its conversation, replayable from a cursor.

The caller holds the conversation's lock. `entry` numbers an operation in memory, `seal` chains what a verb made, and
`write` stores a transaction's operations and registers the one hint that goes out after commit. A rollback gives the
numbers back. `record` stores an operation that belongs to the tenant and to no conversation: it is a chain of its own.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64encode
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from django.db import connection, transaction

from agents_app.actors import Actor
from config import audit_keys, bulk_rows, statements
from messaging_app import live, record_marks, relay
from messaging_app.models import Conversation, Operation

_CANONICAL = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"))
_PURPOSE = "operation"
_UNKEYED_LENGTH = 64
_LEAST, _MOST = -(2**63), 2**63 - 1
_NEVER_OTHERWISE = frozenset({str, bool, type(None)})
_SIMPLE = _NEVER_OTHERWISE | {int}


def content_digest(content: str) -> str:
    """What an operation keeps of a text: 32 hex digits of its SHA-256, which prove the text and do not show it."""
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def message_proof(message: Any) -> str:
    """32 hex digits of a hash over the id, sender, time and text of a message as stored. A `Message` or `BatchRow`."""
    fields = [
        message.platform,
        message.message_id,
        message.sender_type,
        message.sender_id,
        message.sender_name,
        getattr(message, "is_note", False),
        (at if (at := message.sent_at).tzinfo is UTC else at.astimezone(UTC)).isoformat(timespec="microseconds"),
        message.content,
    ]
    return hashlib.sha256(orjson.dumps(fields)).hexdigest()[:32]  # the bytes that `_CANONICAL` makes


def proof_of_all(messages: Iterable[Any]) -> str:
    """One `message_proof` for many messages, in any order."""
    proofs = "".join(sorted([message_proof(message) for message in messages]))
    return hashlib.sha256(proofs.encode()).hexdigest()[:32]


def link(previous: str, operation: Operation, *, number: int, key: bytes) -> str:
    """The operation's link in its conversation's chain: the number of the key, a colon, and an HMAC-SHA256 in base64.

    It covers the link before, and all that is ever shown of an operation except its position, which is not known yet.
    """
    fields = [
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
    begun = f"{_PURPOSE}\n{previous}".encode()
    return f"{number}:{_short(hmac.digest(key, begun + _canonical(fields), 'sha256'))}"


def _canonical(fields: list[Any]) -> bytes:
    """The bytes that `_CANONICAL` makes; where there is a fraction, by itself, because orjson writes some otherwise."""
    if not _has_fraction(fields):
        try:
            return orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)
        except (TypeError, ValueError, RecursionError):  # half of a surrogate pair, too deep, a number beyond 64 bits
            pass
    return _CANONICAL.encode(fields).encode()


def _has_fraction(value: Any) -> bool:
    """Whether a float stands in plain JSON, or anything that is not certain."""
    kind = type(value)
    if kind is not list and kind is not dict:
        return kind not in _SIMPLE and not isinstance(value, str)
    for item in value if kind is list else value.values():
        if type(item) not in _SIMPLE and _has_fraction(item):
            return True
    return False


def beginning(conversation: Conversation) -> str:
    """The link before a conversation's first operation: a hash of platform, shop and account.

    So the chain fits no other conversation. Chains that an older release began have an empty text there.
    """
    fields = [conversation.platform, conversation.shop_id, conversation.account_id]
    return hashlib.sha256(_canonical(fields)).hexdigest()


def _before(previous: str, operation: Operation) -> list[str]:
    """The links that may come before an operation: the one given, or for the first one those that may begin a chain."""
    if previous or operation.conversation_id is None:
        return [previous]
    try:
        conversation = operation.conversation
    except Conversation.DoesNotExist:
        return [""]
    return [beginning(conversation), ""] if conversation else [""]


def unkeyed_link(previous: str, operation: Operation) -> str:
    """The link as it was made before there was a key: a SHA-256 in 64 hex digits, without the actor's name."""
    fields = [
        operation.conversation_id or {"tenant": operation.tenant_id},
        operation.seq,
        operation.type,
        operation.session_id,
        operation.actor_kind,
        operation.actor_id,
        operation.at.isoformat(timespec="microseconds"),
        operation.data,
    ]
    text = _CANONICAL.encode(fields)
    return hashlib.sha256((previous + text).encode()).hexdigest()


def is_keyed(chain: str) -> bool:
    return ":" in chain


def wrong_link(previous: str, operation: Operation) -> str:
    """Why an operation does not fit the link before it (`previous`, empty for the first); empty if it does.

    An operation from before there was a key is checked without one. A chain never goes back: no unsigned link follows a
    signed one, and no older key a newer one, because the older may have been replaced after somebody stole it. An
    unsigned operation is taken as it is where the link before it is not known any more (`record_marks.UNKNOWN`).
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
    links = (link(start, operation, number=number, key=key) for start in _before(previous, operation) for key in keys)
    if operation.chain in links:
        return ""
    if previous or operation.conversation_id is None:
        return "does not fit the one before it"
    return "does not fit what begins here: the platform, shop and account of its conversation"


def _plain(value: Any) -> Any:
    """JSON as each of the databases gives it back: whole numbers without a fraction or an exponent, keys as text.

    PostgreSQL makes 1e22 a whole number. One of more than 64 bits is read as None everywhere (config/free_json.py).
    """
    if isinstance(value, dict):
        if _is_plain(value):  # nearly always, and in the path of every verb
            return value
        return {name if isinstance(name, str) else json.dumps(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [item if type(item) in _NEVER_OTHERWISE else _plain(item) for item in value]
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
        if kind not in _SIMPLE and not _is_plain_within(kind, value):
            return False
    return True


def _is_plain_within(kind: type, value: Any) -> bool:
    if kind is list:
        return not [item for item in value if type(item) not in _NEVER_OTHERWISE and _plain(item) is not item]
    return _is_plain(value) if kind is dict else isinstance(value, str)


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
    """The next operation of a locked conversation, not stored yet. Adds 1 to the conversation's `seq`."""
    conversation.seq += 1
    return bulk_rows.fresh(
        Operation,
        {"conversation": conversation},
        tenant_id=conversation.tenant_id,
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
    """Give a conversation's new operations their links, and the conversation the last one, which the caller saves."""
    keys = audit_keys.ring()
    for operation in operations:
        previous = conversation.chain or beginning(conversation)
        made = link(previous, operation, number=keys.newest, key=keys.signing)
        conversation.chain = operation.chain = made


def record(tenant_id: int, *, actor: Actor, type: str, at: datetime, data: dict[str, Any]) -> Operation:
    """Store an operation that belongs to the tenant and to no conversation, in the caller's transaction.

    It takes no lock of its own: the caller holds the lock of the changed row until the commit, so that row's changes
    are in the stream in the order in which they happened.
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


FEW = 8
"""Operations up to which each is stored by itself: what a verb makes, as a rule."""


def write(operations: Sequence[Operation]) -> None:
    """Store a transaction's operations, and notify all listeners once they are committed."""
    if not operations:
        return
    if connection.vendor == "sqlite":
        # Writers are serial there, so the position can be given at once and no relay is needed.
        relay.stamp_new(operations)
    if connection.vendor == "postgresql" and len(operations) <= FEW:
        # A position with the commit: a reader waits for no second one.
        for operation, pos in zip(operations, relay.positions_if_free(operations), strict=True):
            statements.insert_later(operation, pos=pos)
    elif len(operations) <= FEW:
        for operation in operations:
            statements.insert(operation)
    else:
        bulk_rows.insert_rows_later(Operation, operations)
    newest = {
        (o.tenant_id, o.conversation_id): live.ChangeNotification(o.tenant_id, o.conversation_id, o.seq)
        for o in operations
    }
    transaction.on_commit(lambda: live.announce(newest.values()), robust=True)


def replay(tenant_id: int, *, after: int, limit: int = 500) -> list[Operation]:
    """A tenant's operations after the position `after`, in order, at most `limit`."""
    return list(Operation.objects.filter(tenant_id=tenant_id, pos__gt=after).order_by("pos")[:limit])


def first_broken_link(operations: Iterable[Operation]) -> Operation | None:
    """The first of a conversation's operations (all of them, by seq) that does not fit the one before it, or None."""
    previous, expected = "", 1
    for operation in operations:
        if operation.seq != expected or wrong_link(previous, operation):
            return operation
        previous, expected = operation.chain, expected + 1
    return None
