"""Batches: messages that are brought afterwards are stored and put into sessions. One function for file, API and task.

prepare → group → associate → store → judge, per transaction of some rows. The result does not depend on how the rows
were cut or in which order they came, and doing it again changes nothing. History is stored in bulk; a conversation in
which something is open, or was said within the last gap, is stored by itself, as a unit of work.

`batch_rows` makes messages of rows, `batch_plan` decides on the sessions, `batch_history` and `batch_living` store.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import batched

from django.conf import settings
from django.db import IntegrityError, InterfaceError, InternalError, OperationalError
from django.db.models import Max

from agents_app import loops, row_policies
from agents_app.actors import Actor, ActorKind, system_actor
from agents_app.models import Tenant
from config import clock, statements
from config.db import retried
from config.errors import Busy, DomainError, TryAgain
from messaging_app.batch import BatchRow, Rejected, by_conversation, distinct, not_stored
from messaging_app.detection import detector_for
from messaging_app.incoming import EARLIEST
from messaging_app.models import Controller, Message, Operation
from sessions_app.actions.batch_history import store_history
from sessions_app.actions.batch_living import in_turn, store_living
from sessions_app.actions.batch_rows import Report, not_known, on_time, row_of
from sessions_app.core.locked_conversation import LockedConversation
from sessions_app.errors import Forbidden
from sessions_app.models import ChatSession
from sessions_app.rights import access
from sessions_app.states import LIVE, Owner
from sessions_app.unit.unit_of_work import locked_conversation

log = logging.getLogger(__name__)

GROUPING = "grouping"
HELD = 1_000
"""The most rows of living conversations that are kept back while a batch or file is read: as many as in a batch that is
stored while its sender waits, and as one transaction stores without making others wait."""


def ingest_batch(
    *, actor: Actor, rows: Iterable[BatchRow | Rejected | None], size: int | None = None, since: int | None = None
) -> Report:
    """Store rows in transactions of `size` (BATCH_SIZE by default) and return one report; see `ingest`."""
    total = Report()
    for part in ingest(actor=actor, rows=rows, size=size, since=since):
        total.include(part)
    total.rejections.sort(key=lambda rejected: rejected.line)
    return total


def ingest(
    *, actor: Actor, rows: Iterable[BatchRow | Rejected | None], size: int | None = None, since: int | None = None
) -> Iterator[Report]:
    """Store rows, `size` in a transaction, and report after each. What was reported is committed: stop at any time.

    Rejected rows are reported and stop nothing; None is a blank line. `since` is the id of the newest session before
    the batch, for one that is resumed. After an unforeseen error each conversation is stored by itself: the rows of the
    one that fails are reported, the others are stored. Raises `Forbidden` for an actor who may bring no messages.

    What belongs to a living conversation is kept back until all rows are read, `HELD` of them at most, and reported
    then: whether somebody needs a human depends on what was said after it, and not on where a transaction ended.
    """
    access.may_bring(actor)
    since, held = Report().since if since is None else since, dict[int, list[BatchRow]]()
    for part in batched(rows, size or settings.TANDEM["BATCH_SIZE"]):
        report = Report(since=since, lines=len([row for row in part if row is not None]))
        report.refuse([row for row in part if type(row) is Rejected])
        for conversation_id, living in _store_history_of(actor, _allowed(actor, part, report), report).items():
            held.setdefault(conversation_id, []).extend(living)
        if sum(map(len, held.values())) > HELD:
            _store_living_of(actor, held, report)
            held = {}
        since = report.since
        report.rejections.sort(key=lambda rejected: rejected.line)
        yield report
    if held:
        report = Report(since=since)
        _store_living_of(actor, held, report)
        yield report


def _allowed(actor: Actor, part: Iterable[BatchRow | Rejected | None], report: Report) -> list[BatchRow]:
    """The rows that this actor may bring; the others are reported. A bot's own messages get its id and name."""
    good = []
    refusals: dict[str, Forbidden | None] = {}
    for row in part:
        if type(row) is not BatchRow:
            continue
        if row.sender_type not in refusals:
            refusals[row.sender_type] = _refusal(actor, row.sender_type)
        if error := refusals[row.sender_type]:
            report.refuse([not_stored(row, f"{error.code}: {error}", error.code)])
            continue
        if actor.kind == ActorKind.BOT and row.sender_type == Message.Sender.BOT:
            row.sender_id, row.sender_name = str(actor.pk), actor.name
        good.append(row)
    return good


def _refusal(actor: Actor, sender_type: str) -> Forbidden | None:
    """Why the actor may not bring what such senders said; None if it may."""
    try:
        access.may_bring(actor, sender_type)
    except Forbidden as error:
        return error
    return None


def fresh_since(actor: Actor) -> datetime:
    """Where history ends: a message that was sent later counts as said now."""
    own, now = row_policies.and_now(actor.tenant_id)
    return now - own.history_gap


def must_be_allowed(actor: Actor, row: BatchRow, fresh_since: datetime) -> None:
    """Check, before a batch is accepted, that a program may bring this row as things stand. Raises `Forbidden`."""
    access.may_bring(actor, row.sender_type)
    if actor.kind != ActorKind.BOT or row.sender_type != Message.Sender.BOT or row.sent_at <= fresh_since:
        return
    refusal = Forbidden(
        "It is not this bot's turn, or not in this epoch. What it says now needs both; history does not."
    )
    platform, shop_id, account_id = row.conversation
    if Message.objects.filter(tenant_id=actor.tenant_id, platform=platform, message_id=row.message_id).exists():
        return  # sent again
    if row.epoch is None:
        raise refusal
    held = ChatSession.objects.filter(
        tenant_id=actor.tenant_id,
        status__in=sorted(LIVE),
        owner_kind=Owner.BOT,
        bot_id=actor.pk,
        conversation__platform=platform,
        conversation__shop_id=shop_id,
        conversation__account_id=account_id,
        conversation__controller=Controller.BOT,
        conversation__epoch=row.epoch,
    )
    if not held.exists():
        raise refusal


def newest_session() -> int:
    return ChatSession.objects.aggregate(newest=Max("pk"))["newest"] or 0


_PASSING = (Busy, TryAgain, OperationalError, InterfaceError, InternalError)
"""The database is busy or away: the batch is tried again as a whole, and no row is to blame."""


def _store_history_of(actor: Actor, rows: list[BatchRow], report: Report) -> dict[int, list[BatchRow]]:
    """Store what is history; returns the rows of living conversations, by conversation id."""
    kept, report.duplicate, taken = distinct(rows)
    report.rejections += taken
    try:
        part, later = _store_history_once(actor, kept, report.since)
        report.include(part)
    except _PASSING:
        raise
    except Exception:
        log.exception("tenant %s: rows of a batch are stored conversation by conversation", actor.tenant_id)
        later = _each_by_itself(actor, kept, report)
    return later


def _store_living_of(actor: Actor, held: dict[int, list[BatchRow]], report: Report) -> None:
    for conversation_id, rows in held.items():
        unique, repeats, taken = distinct(rows)
        report.duplicate += repeats
        report.rejections += taken
        with _reporting(report, unique, conversation_id):
            report.include(_once_more(_store_living_rows, actor, conversation_id, unique, report.since))


def _each_by_itself(actor: Actor, rows: list[BatchRow], report: Report) -> dict[int, list[BatchRow]]:
    later: dict[int, list[BatchRow]] = {}
    for key, conversation_rows in by_conversation(rows).items():
        with _reporting(report, conversation_rows, key):
            part, more = _store_history_once(actor, conversation_rows, report.since)
            report.include(part)
            later |= more
    return later


@contextmanager
def _reporting(report: Report, rows: list[BatchRow], conversation: object) -> Iterator[None]:
    """Report an error in one conversation on each of its rows; it stops no other conversation."""
    try:
        yield
    except _PASSING:
        raise
    except Exception as error:
        log.exception("conversation %s: %s rows of a batch were not stored", conversation, len(rows))
        code = error.code if isinstance(error, DomainError) else "failed"
        why = str(error) if isinstance(error, DomainError) else type(error).__name__
        report.refuse(not_stored(row, f"{code}: the conversation could not be stored ({why})", code) for row in rows)


def _once_more[**P, R](store: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Once again after an `IntegrityError`: two writers may store one message id in two conversations at once."""
    try:
        return store(*args, **kwargs)
    except IntegrityError:
        return store(*args, **kwargs)


def _store_history_once(actor: Actor, rows: list[BatchRow], since: int) -> tuple[Report, dict[int, list[BatchRow]]]:
    """Store history. Where another writer stored one of these ids meanwhile, the constraint says so, and what is known is
    looked up once more, under the locks.
    """
    try:
        return _store_history_rows(actor, rows, since)
    except IntegrityError:
        return _store_history_rows(actor, rows, since, looks_again=True)


@retried
def _store_history_rows(
    actor: Actor, rows: list[BatchRow], since: int, *, looks_again: bool = False
) -> tuple[Report, dict[int, list[BatchRow]]]:
    report = Report(since=since)
    with statements.transaction_of_a_verb():
        later = store_history(actor, rows, report, looks_again=looks_again)
    return report, later


@retried
def _store_living_rows(actor: Actor, conversation_id: int, rows: list[BatchRow], since: int) -> Report:
    """Store one living conversation's rows under its lock, and examine them for needs."""
    report = Report(since=since)
    detector = detector_for(actor.tenant_id)
    # Not `known_only`: a bot brings its history to conversations in which it has had no session.
    with locked_conversation(actor, conversation_id, known_only=False) as locked:
        new = on_time(not_known(actor.tenant_id, rows, report), locked.now)
        new = in_turn(locked, new, report)
        if new:
            store_living(locked, new, report, detector)
    return report


def group_unsessioned(*, limit: int = 1000) -> Report:
    """For the clock: put messages that were stored without a session into sessions.

    By the same pure function as batches, one conversation at a time, under its lock. A program that receives a message
    has the tenant's `group_after` to open a session for it: until then the message begins no session of its own.
    """
    report = Report()
    tenants = Tenant.objects.values_list("pk", "policies")
    due = row_policies.overdue("sent_at", clock.now(), lambda own: own.group_after, tenants)
    lost = Message.objects.filter(due, session_id__isnull=True, is_note=False)
    tried = lost.filter(loops.not_put_off(GROUPING, "conversation_id"))
    conversations = tried.values_list("tenant_id", "conversation_id").distinct()[:limit]
    for part in loops.each(GROUPING, conversations, _group_conversation):
        report.add(part)
    return report


@retried
def _group_conversation(tenant_id: int, conversation_id: int) -> Report:
    report = Report()
    with locked_conversation(system_actor(tenant_id), conversation_id) as locked:
        lost = Message.objects.filter(conversation_id=conversation_id, session_id__isnull=True, is_note=False)
        messages = list(lost.order_by("sent_at", "pk"))
        if messages and _arrived(messages) <= locked.now - locked.policies.group_after:
            store_living(locked, [row_of(message, locked.now) for message in messages], report)
    return report


def _arrived(messages: list[Message]) -> datetime:
    """When the last of them came in, which may be long after it was said."""
    last = max(messages, key=lambda message: message.seq)
    times = Operation.objects.filter(conversation_id=last.conversation_id, seq=last.seq).values_list("at", flat=True)
    return times.first() or EARLIEST


def group_late(locked: LockedConversation, message: Message) -> None:
    """Put a late message into its place among the sessions, like a row of a batch; it is never examined for needs."""
    store_living(locked, [row_of(message, locked.now)], Report())
