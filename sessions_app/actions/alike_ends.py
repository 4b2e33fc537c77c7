"""Ends silent sessions that are alike, hundreds in a handful of statements, by the example of two of them.

Sessions are alike where all that the functions of a verb may read is equal, but for their ids and counts, and since when the
customer waits. Of those that are alike, the one whose customer waits longest and the one whose customer waits least are
ended by these functions (`ended_in_memory`). If both end the same way but for these values, so do all between them. If not,
each half is looked at by itself. So no rule of a verb stands here. One that reads another column makes this slower, and not
wrong: what was not read is asked of the database, which `ended_in_memory` refuses, and the sessions are left to others.

Every conversation is locked before it is read, by one moment of the database's clock, which is read when all locks are held.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import batched
from typing import Any, NamedTuple

from django.db import connection, models, transaction
from django.db.models import BooleanField, Exists, ExpressionWrapper, OuterRef, Q, QuerySet

from agents_app import row_policies
from agents_app.actors import system_actor
from agents_app.models import Backoff, Tenant
from config import bulk_readings, bulk_rows, clock, statements
from config.bulk_rows import Same
from config.db import lock_free_rows, retried
from messaging_app import alike_operations
from messaging_app.models import Conversation, Operation
from sessions_app.actions.ended_in_memory import is_ended
from sessions_app.core import wake
from sessions_app.core.locked_conversation import LockedConversation
from sessions_app.models import ChatSession, GuidedFlow, Participant, SlaClock, Transfer
from sessions_app.states import FLOW_OPEN, OPEN, Owner, TransferStatus
from sessions_app.unit.settle import desk_order

log = logging.getLogger(__name__)

AT_ONCE = 500
"""Conversations of one transaction: who writes to one of them meanwhile waits until it ends, a tenth of a second."""
AT_ONCE_ELSEWHERE = 100
"""The same where each changed row is a statement, or all who write wait: on MariaDB and SQLite."""
FEW = 8
"""So many that are alike are left to others, which cost no more."""

_SESSION = ("status", "owner_kind", "bot_id", "agent_id", "origin")
_CONVERSATION = ("tenant_id", "controller", "is_urgent")
"""What the functions of a verb may read, and what is the same in all that are alike. Of the holder that is its owner."""

_VARIES = ("id", "seq", "epoch", "chain", "unanswered_since", "last_activity_at", "holder")
"""Of the conversation, what may be another's in each of those that are alike."""


class _Row(NamedTuple):
    """A session, and its conversation, by which it differs from others that are alike."""

    id: int  # of the conversation, as what follows
    seq: int
    epoch: int
    chain: str
    unanswered_since: datetime | None
    last_activity_at: datetime | None
    holder: str
    session_id: int
    tenant_id: int
    alike: tuple[Any, ...]


def end_alike(conversation_ids: Sequence[int], *, loop: str) -> set[int]:
    """Of these conversations, end what is silent and like others. Returns the conversations that are done.

    What was put off in `loop` is left alone. So is a transaction's part in which something goes wrong.
    """
    size = AT_ONCE if connection.vendor == "postgresql" else min(AT_ONCE, AT_ONCE_ELSEWHERE)
    done: dict[int, int] = {}
    for part in batched(conversation_ids, size):
        done |= _ended(part, loop)
    for tenant_id in set(done.values()):
        transaction.on_commit(partial(wake.wake, tenant_id), robust=True)
    return set(done)


def _ended(conversation_ids: Sequence[int], loop: str) -> dict[int, int]:
    """As `_end_part`; nothing where something goes wrong."""
    try:
        return _end_part(conversation_ids, loop)
    except Exception:
        log.exception("%s silent conversations are looked at by others", len(conversation_ids))
        return {}


@retried
def _end_part(conversation_ids: Sequence[int], loop: str) -> dict[int, int]:
    """The conversations that are done, each with its tenant."""
    done: dict[int, int] = {}
    with transaction.atomic():
        locked = {row[0]: row for row in _LOCKED.rows(conversation_ids, loop)}
        now = clock.now()
        for tenant, rows in list(_alike(locked, now)):
            for part, end in list(_ends(rows, tenant, now)):
                _store(_prepared(part, end, now))
                done.update((row.id, tenant.pk) for row in part)
    return done


# --- What is alike -----------------------------------------------------------------------------------------------


def _lockable(conversation_ids: Sequence[int], loop: str) -> QuerySet[Any, Any]:
    """The conversations, locked, of these that nobody holds, and that are neither flagged nor put off."""
    put_off = Backoff.objects.filter(loop=loop, key=OuterRef("pk"))
    rows = Conversation.objects.filter(~Exists(put_off), pk__among=conversation_ids, needs_human=False)
    return lock_free_rows(rows.filter(waiting_since=None).exclude(chain="")).values_list(*_VARIES, *_CONVERSATION)


def _open_sessions(locked: Sequence[int], now: datetime) -> QuerySet[Any, Any]:
    """The open sessions of these conversations, each with whether its time is over, and nothing else is open or due there,
    nor has anybody joined.
    """
    here = {"conversation": OuterRef("conversation")}
    is_silent = Q(
        ~Exists(GuidedFlow.objects.filter(**here, status__in=sorted(FLOW_OPEN))),
        ~Exists(Transfer.objects.filter(pending_key=OuterRef("pk"), status=TransferStatus.PENDING)),
        ~Exists(SlaClock.objects.filter(open_key=OuterRef("pk"))),
        ~Exists(Participant.objects.filter(**here)),
        Q(reply_due_at=None) | Q(reply_due_at__gt=now),
        ~Q(owner_kind__in=(Owner.AGENT, Owner.NOBODY)),  # an agent's service is noted, and nobody's has a request
        expires_at__lte=now,
        warns_at=None,
    )
    rows = ChatSession.objects.filter(conversation__among=locked, status__in=sorted(OPEN))
    return rows.annotate(is_silent=ExpressionWrapper(is_silent, BooleanField())).values_list(
        "conversation_id", "is_silent", "pk", *_SESSION
    )


_LOCKED = bulk_readings.BulkReading(_lockable, [0], "")
_OPEN_SESSIONS = bulk_readings.BulkReading(_open_sessions, [0], bulk_readings.A_MOMENT)
_TENANT = statements.Reading(lambda pk: Tenant.objects.filter(pk=pk), 0)


def _alike(locked: Mapping[int, Sequence[Any]], now: datetime) -> Iterator[tuple[Tenant, list[_Row]]]:
    """The silent sessions that are alone on these conversations, with their tenant, and together with those that are
    alike: longest waiting first.
    """
    found: dict[int, Sequence[Any]] = {}
    for pk, is_silent, *session in _OPEN_SESSIONS.rows(list(locked), now):
        found[pk] = () if pk in found or not is_silent else session
    alike: dict[tuple[Any, ...], list[_Row]] = defaultdict(list)
    for pk, own in found.items():
        if own:
            row = _row(own, locked[pk])
            alike[row.alike].append(row)
    for rows in alike.values():
        [tenant] = _TENANT.rows(rows[0].tenant_id)
        yield tenant, sorted(rows, key=lambda row: (row.unanswered_since or now, row.id))


def _row(session: Sequence[Any], conversation: Sequence[Any]) -> _Row:
    session_id, *of_session = session
    pk, seq, epoch, chain, unanswered_since, last_activity_at, holder, *shared = conversation
    owner = holder.partition(":")[2]
    key = (owner, unanswered_since is None, last_activity_at is None, *shared, *of_session)
    return _Row(pk, seq, epoch, chain, unanswered_since, last_activity_at, holder, session_id, shared[0], key)


# --- How they end ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _End:
    """How a session ends: what changes in its row and its conversation's, by the names of attributes, and what is recorded."""

    session: dict[str, Any]
    conversation: dict[str, Any]
    operations: list[Operation]


def _ends(rows: list[_Row], tenant: Tenant, now: datetime) -> Iterator[tuple[list[_Row], _End]]:
    """The rows in parts, each with the end of its first, after which all of the part end. Without those that are too few,
    and those that a verb has to end.
    """
    if len(rows) <= FEW:
        return
    first, last = (_end_of(row, tenant, now) for row in (rows[0], rows[-1]))
    if first is None or last is None:
        return
    if _is_like(rows[-1], last, rows[0], first):
        yield rows, first
        return
    half = len(rows) // 2
    yield from _ends(rows[:half], tenant, now)
    yield from _ends(rows[half:], tenant, now)


def _end_of(row: _Row, tenant: Tenant, now: datetime) -> _End | None:
    """How the functions of a verb end it; None if they do not, or if they read more than is the same in all alike."""
    conversation, session = _instances(row, now)
    locked = LockedConversation(
        conversation=conversation,
        actor=system_actor(tenant.pk),
        now=now,
        sessions=[session],
        policies=row_policies.of(tenant),
        _tenant=tenant,
    )
    before = [dict(vars(instance)) for instance in (session, conversation)]
    if not is_ended(locked):
        return None
    of_session, of_conversation = (
        {name: value for name, value in vars(instance).items() if name[0] != "_" and was.get(name, _UNREAD) != value}
        for instance, was in zip((session, conversation), before, strict=True)
    )
    return _End(of_session, of_conversation, locked.operations)


_UNREAD = object()


def _instances(row: _Row, now: datetime) -> tuple[Conversation, ChatSession]:
    """Its rows with what is read of them, and nothing else: their other attributes would be asked of the database."""
    shared = dict(zip((*_CONVERSATION, *_SESSION), row.alike[-len(_CONVERSATION) - len(_SESSION) :], strict=True))
    conversation = _instance(
        Conversation,
        row._asdict() | {"needs_human": False, "waiting_since": None} | {name: shared[name] for name in _CONVERSATION},
    )
    due = {"expires_at": now, "reply_due_at": None, "warns_at": None}  # for whatever is due, or is not
    keys = {"id": row.session_id, "tenant_id": shared["tenant_id"], "conversation_id": row.id}
    session = _instance(ChatSession, keys | due | {name: shared[name] for name in _SESSION})
    session.conversation = conversation
    nobody = Participant.objects.none()
    nobody._result_cache = []
    conversation._prefetched_objects_cache = {"participants": nobody}  # type: ignore[attr-defined]
    return conversation, session


def _instance[M: models.Model](model: type[M], values: dict[str, Any]) -> M:
    names = [field.attname for field in model._meta.concrete_fields if field.attname in values]
    return model.from_db(connection.alias, names, [values[name] for name in names])


# --- The others, by the example ----------------------------------------------------------------------------------


def _is_like(row: _Row, end: _End, example: _Row, example_end: _End) -> bool:
    """Whether this row's end is the one that it is given by the example."""
    columns = _columns([row], example, example_end)
    given = {name: own.value if isinstance(own, Same) else own[0] for name, own in columns.items()}
    is_same = end.session == example_end.session and {**given, "chain": end.conversation["chain"]} == end.conversation
    operations = [operation.of(0) for operation in _operations([row], example, example_end)]
    return is_same and operations == [(o.type, o.session_id, o.data) for o in end.operations]


@dataclass(frozen=True, slots=True)
class _Prepared:
    """What is to be stored: the operations, and the columns that change in the sessions and the conversations."""

    operations: alike_operations.Made
    session_ids: list[int]
    session: dict[str, Sequence[Any] | Same]
    conversation: dict[str, Sequence[Any] | Same]


def _prepared(rows: list[_Row], end: _End, now: datetime) -> _Prepared:
    """The end of the first of these rows, for all of them."""
    tenant_id = end.operations[0].tenant_id
    before = alike_operations.Before(
        tenant_id, [row.id for row in rows], [row.seq for row in rows], [row.chain for row in rows]
    )
    made = alike_operations.make(before, _operations(rows, rows[0], end), actor=system_actor(tenant_id), at=now)
    of_session: dict[str, Sequence[Any] | Same] = {name: Same(value) for name, value in end.session.items()}
    of_conversation = _columns(rows, rows[0], end) | {"chain": made.chains}
    return _Prepared(made, [row.session_id for row in rows], of_session, of_conversation)


def _store(prepared: _Prepared) -> None:
    alike_operations.write(prepared.operations)
    bulk_rows.update_columns(ChatSession, prepared.session_ids, prepared.session)
    bulk_rows.update_columns(Conversation, prepared.operations.before.ids, prepared.conversation)


def _columns(rows: list[_Row], example: _Row, end: _End) -> dict[str, Sequence[Any] | Same]:
    """What changes in the conversations, without their links, which their operations make."""
    columns: dict[str, Sequence[Any] | Same] = {name: Same(value) for name, value in end.conversation.items()}
    columns["seq"] = [row.seq + len(end.operations) for row in rows]
    if "epoch" in columns:
        raised = end.conversation["epoch"] - example.epoch
        columns["epoch"] = [row.epoch + raised for row in rows]
    waiting_since = end.conversation.get("waiting_since")
    waiting: list[datetime | None] = [waiting_since] * len(rows)
    if waiting_since and waiting_since == example.unanswered_since:
        waiting = columns["waiting_since"] = [row.unanswered_since for row in rows]
    columns["desk_order"] = [desk_order(since, row.last_activity_at) for since, row in zip(waiting, rows, strict=True)]
    del columns["chain"]
    return columns


def _operations(rows: list[_Row], example: _Row, end: _End) -> list[alike_operations.Alike]:
    session_ids = [row.session_id for row in rows]
    return [
        alike_operations.Alike(
            operation.type,
            session_ids if operation.session_id == example.session_id else None,
            _data(rows, example, operation.data),
        )
        for operation in end.operations
    ]


def _data(rows: list[_Row], example: _Row, data: dict[str, Any]) -> dict[str, Any] | list[dict[str, Any]]:
    """The data of an operation, in which a row's time stands where the example's does."""
    since = _iso(example.unanswered_since)
    names = [name for name, value in data.items() if since and value == since]
    if not names:
        return data
    return [data | dict.fromkeys(names, _iso(row.unanswered_since)) for row in rows]


def _iso(since: datetime | None) -> str | None:
    return since.isoformat(timespec="microseconds") if since else None
