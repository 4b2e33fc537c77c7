"""Batches: what was said while nobody was looking becomes messages and sessions. One function for file, API and task.

prepare → group → associate → store → judge, per transaction of some rows. The result does not depend on how the rows
were cut or in which order they came, and doing it again changes nothing. History is stored in bulk; a conversation in
which something is open, or was said within the last gap, goes one by one through the shape of every verb.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import batched
from typing import Any

from django.conf import settings
from django.db import IntegrityError, InterfaceError, InternalError, OperationalError, connection, transaction
from django.db.models import Max, Q

from agents_app import loops, row_policies
from agents_app.actors import Actor, ActorKind, system_actor
from agents_app.models import Tenant
from agents_app.policies import Policies
from config import clock, limits
from config.db import TryAgain, lock_rows, retried
from config.errors import Busy, DomainError
from messaging_app import stream
from messaging_app.batch import (
    BatchRow,
    Rejected,
    Span,
    Stretch,
    by_conversation,
    distinct,
    group,
    id_taken,
    is_repeat,
    not_stored,
)
from messaging_app.detection import Detector, detector_for
from messaging_app.incoming import EARLIEST, not_later
from messaging_app.models import Controller, Conversation, Message, Operation
from sessions_app.actions.messages import act_on, speaks
from sessions_app.core import oplog
from sessions_app.core.locked_conversation import LockedConversation
from sessions_app.errors import Forbidden, StaleEpoch
from sessions_app.models import ChatSession
from sessions_app.rights import access
from sessions_app.states import LIVE, OPEN, TERMINAL, Kind, Origin, Owner, Status
from sessions_app.unit.settle import controller_of, desk_order, settle
from sessions_app.unit.unit_of_work import locked_conversation

log = logging.getLogger(__name__)

GROUPING = "grouping"
HELD = 1_000
"""Rows of living conversations that are kept back at most while a batch or file is read: as many as a batch has that is
answered at once, and as are stored in one transaction without making others wait."""


@dataclass(slots=True)
class Report:
    """What a batch did. Counts of rows, except the sessions and transfers.

    A session that one part of the batch made and another joined to its neighbour was not created: the counts do not
    depend on the cut either. `since` is the newest session before the batch.
    """

    since: int = 0

    lines: int = 0
    accepted: int = 0
    duplicate: int = 0
    rejected: int = 0
    sessions_created: int = 0
    sessions_extended: int = 0
    sessions_joined: int = 0
    transfers_raised: int = 0
    rejections: list[Rejected] = field(default_factory=list)

    def add(self, other: Report) -> None:
        for name, value in other.counts().items():
            setattr(self, name, getattr(self, name) + value)

    def include(self, part: Report) -> None:
        """What a part of this batch did, with what it did not store."""
        self.add(part)
        self.rejections += part.rejections

    def refuse(self, rows: Iterable[Rejected]) -> None:
        """Count and tell rows that are not stored."""
        before = len(self.rejections)
        self.rejections += rows
        self.rejected += len(self.rejections) - before

    def counts(self) -> dict[str, int]:
        return {name: value for name, value in asdict(self).items() if name not in ("rejections", "since")}


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
    """Store rows, `size` in a transaction, and report after each. What was reported is committed: stop whenever you like.

    Rejected rows are reported and stop nothing; None is a blank line. `since` is the newest session before the batch,
    for one that goes on. Each conversation is stored by itself where something unforeseen happens in one: its rows are
    reported, the others are stored. Raises `Forbidden` for who brings no messages at all.

    What belongs to a living conversation is kept back until all rows are read, `HELD` of them at most, and reported then:
    whether somebody needs a human depends on what was said after it, and not on where a transaction ended.
    """
    access.may_bring(actor)
    since, held = newest_session() if since is None else since, dict[int, list[BatchRow]]()
    for part in batched(rows, size or settings.TANDEM["BATCH_SIZE"]):
        report = Report(since=since, lines=sum(row is not None for row in part))
        report.refuse(row for row in part if isinstance(row, Rejected))
        for conversation_id, said in _store_history_of(actor, _allowed(actor, part, report), report).items():
            held.setdefault(conversation_id, []).extend(said)
        if sum(map(len, held.values())) > HELD:
            _store_living_of(actor, held, report)
            held = {}
        report.rejections.sort(key=lambda rejected: rejected.line)
        yield report
    if held:
        report = Report(since=since)
        _store_living_of(actor, held, report)
        yield report


def _allowed(actor: Actor, part: Iterable[BatchRow | Rejected | None], report: Report) -> list[BatchRow]:
    """The rows that this actor may bring; the others are reported. What a bot says is said as that bot."""
    good = []
    for row in part:
        if not isinstance(row, BatchRow):
            continue
        try:
            access.may_bring(actor, row.sender_type)
        except Forbidden as error:
            report.refuse([not_stored(row, f"{error.code}: {error}", error.code)])
            continue
        if actor.kind == ActorKind.BOT and row.sender_type == Message.Sender.BOT:
            row.sender_id, row.sender_name = str(actor.pk), actor.name
        good.append(row)
    return good


def fresh_since(actor: Actor) -> datetime:
    """What was said later is said now; whatever is older is history."""
    tenant = Tenant.objects.only("policies").get(pk=actor.tenant_id)
    return clock.now() - row_policies.of(tenant).history_gap


def must_be_allowed(actor: Actor, row: BatchRow, fresh_since: datetime) -> None:
    """Before a batch is taken: whether a program may bring this row, as things stand. Raises `Forbidden`."""
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
    """Store what is history; returns the rows of conversations that are alive."""
    kept, report.duplicate, taken = distinct(rows)
    report.rejections += taken
    try:
        part, later = _once_more(_store_history_rows, actor, kept, report.since)
        report.include(part)
    except _PASSING:
        raise
    except Exception:
        log.exception("tenant %s: rows of a batch are stored conversation by conversation", actor.tenant_id)
        later = _each_by_itself(actor, kept, report)
    return later


def _store_living_of(actor: Actor, held: dict[int, list[BatchRow]], report: Report) -> None:
    for conversation_id, rows in held.items():
        said, repeats, taken = distinct(rows)
        report.duplicate += repeats
        report.rejections += taken
        with _reporting(report, said, conversation_id):
            report.include(_once_more(_store_living_rows, actor, conversation_id, said, report.since))


def _each_by_itself(actor: Actor, rows: list[BatchRow], report: Report) -> dict[int, list[BatchRow]]:
    later: dict[int, list[BatchRow]] = {}
    for key, said in by_conversation(rows).items():
        with _reporting(report, said, key):
            part, more = _once_more(_store_history_rows, actor, said, report.since)
            report.include(part)
            later |= more
    return later


@contextmanager
def _reporting(report: Report, said: list[BatchRow], conversation: object) -> Iterator[None]:
    """What goes wrong in one conversation is told with the lines of its rows, and stops no other."""
    try:
        yield
    except _PASSING:
        raise
    except Exception as error:
        log.exception("conversation %s: %s rows of a batch were not stored", conversation, len(said))
        code = error.code if isinstance(error, DomainError) else "failed"
        why = str(error) if isinstance(error, DomainError) else type(error).__name__
        report.refuse(not_stored(row, f"{code}: the conversation could not be stored ({why})", code) for row in said)


def _once_more[**P, R](store: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Two writers may bring one id in two conversations at once; the constraint tells, and we look again."""
    try:
        return store(*args, **kwargs)
    except IntegrityError:
        return store(*args, **kwargs)


@retried
def _store_history_rows(actor: Actor, rows: list[BatchRow], since: int) -> tuple[Report, dict[int, list[BatchRow]]]:
    report = Report(since=since)
    with transaction.atomic():
        later = _history(actor, rows, report)
    return report, later


@retried
def _store_living_rows(actor: Actor, conversation_id: int, rows: list[BatchRow], since: int) -> Report:
    """Store one living conversation's rows under its lock, and judge whether somebody needs a human."""
    report = Report(since=since)
    detector = detector_for(actor.tenant_id)
    with locked_conversation(
        actor, conversation_id, known_only=False
    ) as locked:  # a bot brings its history wherever it was said
        new = _on_time(_unknown(actor.tenant_id, rows, report), locked.now)
        new = _in_turn(locked, new, report)
        if new:
            _store_living(locked, new, report, detector)
    return report


def _in_turn(locked: LockedConversation, rows: list[BatchRow], report: Report) -> list[BatchRow]:
    """A bot's answers of now are under the rules of a bot that speaks now: its turn, and the epoch it was given."""
    if locked.actor.kind != ActorKind.BOT:
        return rows
    fresh_since, good = locked.now - locked.policies.history_gap, []
    for row in rows:
        if row.sender_type != Message.Sender.BOT or row.sent_at <= fresh_since or speaks(locked, row.epoch):
            good.append(row)
        else:
            told = "stale_epoch: it is not this bot's turn, or not in this epoch; an answer of now needs both"
            report.refuse([not_stored(row, told, StaleEpoch.code)])
    return good


def _on_time(rows: list[BatchRow], now: datetime) -> list[BatchRow]:
    """The rows in the order they were said, none of them later than now."""
    for row in rows:
        row.sent_at = not_later(row.sent_at, now)
    return sorted(rows, key=lambda row: row.sent_at)


def _history(actor: Actor, rows: list[BatchRow], report: Report) -> dict[int, list[BatchRow]]:
    """Store what is history in bulk; returns the rows of conversations that are alive, to be stored one by one."""
    now = clock.now()
    rows = _unknown(actor.tenant_id, _on_time(rows, now), report)  # what is known makes no conversation
    conversations = _lock_conversations(actor.tenant_id, by_conversation(rows))
    unknown = by_conversation(_unknown(actor.tenant_id, rows, report))
    ids = [c.pk for c in conversations.values()]
    alive = set(
        ChatSession.objects.filter(conversation_id__in=ids, status__in=sorted(OPEN)).values_list(
            "conversation_id", flat=True
        )
    )
    own = next((row_policies.on(conversation) for conversation in conversations.values()), Policies())
    later: dict[int, list[BatchRow]] = {}
    work: list[tuple[Conversation, list[BatchRow]]] = []
    for key, new in unknown.items():
        conversation = conversations[key]
        if conversation.pk in alive or conversation.unanswered_since or new[-1].sent_at + own.history_gap > now:
            later[conversation.pk] = new
        else:
            work.append((conversation, new))
    if work:
        _store_history(actor, work, own, now, report)
    return later


def _lock_conversations(
    tenant_id: int, keys: Iterable[tuple[str, str, str]]
) -> dict[tuple[str, str, str], Conversation]:
    """Find or make the conversations, and lock them in the order of their ids; each has its tenant's policies."""
    wanted = set(keys)
    if not wanted:
        return {}
    rows = Conversation.objects.filter(
        tenant_id=tenant_id,
        platform__in={k[0] for k in wanted},
        shop_id__in={k[1] for k in wanted},
        account_id__in={k[2] for k in wanted},
    )

    def found() -> dict[tuple[str, str, str], int]:
        values = rows.values_list("platform", "shop_id", "account_id", "pk")
        return {(p, s, a): pk for p, s, a, pk in values if (p, s, a) in wanted}

    known = found()
    if missing := sorted(wanted - known.keys()):
        made = (Conversation(tenant_id=tenant_id, platform=p, shop_id=s, account_id=a) for p, s, a in missing)
        Conversation.objects.bulk_create(made, ignore_conflicts=True, batch_size=1000)
        known = found()
    held = lock_rows(row_policies.beside(Conversation.objects.filter(pk__in=known.values())))
    return {(c.platform, c.shop_id, c.account_id): c for c in held}


def _unknown(tenant_id: int, rows: list[BatchRow], report: Report) -> list[BatchRow]:
    """The rows that are not stored yet. A repeat is counted; where an id names something else, that is told too."""
    stored = Message.objects.filter(tenant_id=tenant_id)
    known: dict[tuple[str, str], tuple[tuple[str, str, str], str, str]] = {}
    for platform in {row.platform for row in rows}:
        ids = [row.message_id for row in rows if row.platform == platform]
        same = stored.filter(platform=platform, message_id__in=ids)
        for message_id, shop_id, account_id, sender, content in same.values_list(
            "message_id", "conversation__shop_id", "conversation__account_id", "sender_type", "content"
        ):
            known[platform, message_id] = ((platform, shop_id, account_id), sender, content)
    new = []
    for row in rows:
        first = known.get((row.platform, row.message_id))
        if first is None:
            new.append(row)
            continue
        report.duplicate += 1
        if not is_repeat(row, *first):
            report.rejections.append(id_taken(row))
    return new


def _sessions_near(
    conversation_ids: list[int], first: datetime, last: datetime, gap: timedelta
) -> dict[int, list[ChatSession]]:
    """The sessions that rows between `first` and `last` may fall into, by conversation."""
    near = ChatSession.objects.filter(
        Q(ended_at__isnull=True) | Q(ended_at__gte=first - gap),
        conversation_id__in=conversation_ids,
        opened_at__lte=last + gap,
    )
    found: dict[int, list[ChatSession]] = {}
    for session in near.order_by("opened_at", "pk"):
        found.setdefault(session.conversation_id, []).append(session)
    return found


def _is_found(session: ChatSession) -> bool:
    """Nothing but grouping has made of it what it is: it may grow, and be joined. One of these at most is alive.

    What somebody opened, moved or paused is theirs, as it is.
    """
    return session.origin == Origin.GROUPED and session.status in (Status.ACTIVE, *TERMINAL)


def _span(session: ChatSession) -> Span:
    if not _is_found(session):
        return Span(session, session.opened_at, session.ended_at, fixed=True)
    return Span(session, session.first_message_at or session.opened_at, session.last_message_at or session.opened_at)


@dataclass(slots=True)
class _Plan:
    """What one conversation's rows do to its sessions."""

    created: list[tuple[ChatSession, list[BatchRow]]] = field(default_factory=list)
    extended: list[tuple[ChatSession, list[BatchRow]]] = field(default_factory=list)
    joined: list[tuple[ChatSession, ChatSession]] = field(default_factory=list)  # what went into what
    fixed: list[tuple[ChatSession, list[BatchRow]]] = field(default_factory=list)

    def add_to(self, report: Report) -> None:
        report.sessions_created += len(self.created) - sum(gone.pk > report.since for gone, _ in self.joined)
        report.sessions_extended += len(self.extended)
        report.sessions_joined += sum(gone.pk <= report.since for gone, _ in self.joined)

    def rows(self) -> list[tuple[ChatSession, BatchRow]]:
        """In the order of their times, in which they are stored: one operation records them all, and whoever sees the last
        n messages sees the last n rows of it.
        """
        kept = (*self.created, *self.extended, *self.fixed)
        return sorted(((session, row) for session, rows in kept for row in rows), key=lambda pair: pair[1].sent_at)


def _plan(
    conversation: Conversation,
    near: list[ChatSession],
    rows: list[BatchRow],
    own: Policies,
    *,
    alive_since: datetime | None,
) -> _Plan:
    """Decide; nothing is stored. A new session is alive if its stretch goes on until `alive_since`; None: none may be.

    An ended session never lives again: a stretch that is alive and to which an ended one belongs is a new session that
    takes it in. What is alive already takes in what it is bridged to, so that no plan has two of them.
    """
    covered, stretches = group([_span(s) for s in near], rows, own.history_gap)
    plan = _Plan(fixed=covered)
    for stretch in stretches:
        living = next((s for s in stretch.keys if s.status not in TERMINAL), None)
        is_alive = alive_since is not None and stretch.end > alive_since
        session = living or (None if is_alive else next(iter(stretch.keys), None))
        if session is not None:
            plan.extended.append((session, stretch.rows))
        else:
            status = Status.ACTIVE if is_alive else Status.COMPLETED
            session = oplog.create_grouped_session(
                conversation,
                status=status,
                is_robot=False,
                owner=Owner.NOBODY,
                first=stretch.start,
                last=stretch.end,
                policies=own,
            )
            plan.created.append((session, stretch.rows))
        joined = [s for s in stretch.keys if s is not session]
        plan.joined += [(s, session) for s in joined]
        _figures(session, stretch, joined, own)
    for session, said in covered:
        session.message_count += len(said)
        session.first_message_at = min(session.first_message_at or said[0].sent_at, said[0].sent_at)
        session.last_message_at = max(session.last_message_at or said[-1].sent_at, said[-1].sent_at)
    return plan


def _figures(session: ChatSession, stretch: Stretch, joined: list[ChatSession], own: Policies) -> None:
    """Bring a grouped session's figures up to date. The robot marker decides its kind; a person of the shop who steps
    into a robot's stretch is a takeover inside it, kept as the moment of the first such word.

    Whoever owns it only rises, from nobody by a bot to the shop's people: so the order of the rows does not matter, and
    a person who answers from the shop's app does not lose it to a row.
    """
    rows = stretch.rows
    session.message_count += len(rows) + sum(s.message_count for s in joined)
    session.first_message_at = session.opened_at = session.activated_at = stretch.start
    session.last_message_at = session.last_activity_at = stretch.end
    if session.is_robot or any(s.is_robot for s in joined) or any(row.is_robot for row in rows):
        session.kind = Kind.AUTO_ASSISTANT
        session.set_priority()
    human = [row.sent_at for row in rows if row.is_human_side]
    human += [
        datetime.fromisoformat(s.context["human_since"]) for s in (session, *joined) if "human_since" in s.context
    ]
    if human:
        session.context = {"human_since": clock.utc(min(human))}
    if session.status in TERMINAL:
        session.ended_at = stretch.end
        return
    if human or session.owner_kind == Owner.SHOP:
        session.owner_kind = Owner.SHOP
    elif session.is_robot:
        session.owner_kind = Owner.BOT
    session.expires_at = oplog.deadline(session, stretch.end, own)


def _store_history(
    actor: Actor, work: list[tuple[Conversation, list[BatchRow]]], own: Policies, now: datetime, report: Report
) -> None:
    first = min(rows[0].sent_at for _, rows in work)
    last = max(rows[-1].sent_at for _, rows in work)
    near = _sessions_near([c.pk for c, _ in work], first, last, own.history_gap)
    plans = [(c, rows, _plan(c, near.get(c.pk, []), rows, own, alive_since=None)) for c, rows in work]
    ChatSession.objects.bulk_create([s for _, _, p in plans for s, _ in p.created], batch_size=1000)
    messages: list[Message] = []
    operations: list[Operation] = []
    for conversation, rows, plan in plans:
        operation = _record(conversation, actor, plan, now)
        messages += (_message(conversation, row, session.pk, operation.seq) for session, row in plan.rows())
        operations.append(operation)
        _remember(conversation, rows)
        plan.add_to(report)
    Message.objects.bulk_create(messages, batch_size=5000)
    _join([pair for _, _, p in plans for pair in p.joined])
    _save_all(ChatSession, [s for _, _, p in plans for s, _ in (*p.extended, *p.fixed)], _SESSION_FIGURES)
    _save_all(
        Conversation,
        [c for c, _, _ in plans],
        ("seq", "chain", "last_text", "last_sender", "last_activity_at", "desk_order"),
    )
    stream.write(operations)
    report.accepted += len(messages)


_SESSION_FIGURES = [
    "kind",
    "priority",
    "rank",
    "owner_kind",
    "opened_at",
    "activated_at",
    "last_activity_at",
    "ended_at",
    "expires_at",
    "first_message_at",
    "last_message_at",
    "message_count",
    "context",
]


def _save_all(model: Any, rows: list[Any], fields: Sequence[str]) -> None:
    """Update many rows at once: an insert that always conflicts with itself is several times faster than bulk_update."""
    unique = list({row.pk: row for row in rows}.values())
    if unique:
        model.objects.bulk_create(
            unique, update_conflicts=True, unique_fields=_conflict_target(), update_fields=list(fields), batch_size=1000
        )


def _conflict_target() -> list[str] | None:
    """MariaDB and MySQL take no conflict target."""
    return ["id"] if connection.features.supports_update_conflicts_with_target else None


def _message(conversation: Conversation, row: BatchRow, session_id: int | None, seq: int) -> Message:
    return Message(
        tenant_id=conversation.tenant_id,
        conversation_id=conversation.pk,
        session_id=session_id,
        platform=row.platform,
        message_id=row.message_id,
        sender_type=row.sender_type,
        sender_id=row.sender_id,
        sender_name=row.sender_name,
        content=row.content,
        sent_at=row.sent_at,
        seq=seq,
    )


def _told(plan: _Plan) -> dict[str, Any]:
    """What the operation says of a batch: how many messages, a digest of which, and what became of which session."""
    ids = sorted(row.message_id for _, row in plan.rows())
    stored = [row for _, row in plan.rows() if row.pk is None]
    return {
        "stored": len(stored),
        "proof": stream.proof_of_all(stored),
        "messages": len(ids),
        "digest": sha256("\n".join(ids).encode()).hexdigest()[:32],
        "created": [_figure(s) for s, _ in plan.created],
        "extended": [_figure(s) for s, _ in (*plan.extended, *plan.fixed)],
        "joined": [[gone.pk, into.pk] for gone, into in plan.joined],
    }


def _figure(session: ChatSession) -> dict[str, Any]:
    return {
        "session_id": session.pk,
        "kind": session.kind,
        "status": session.status,
        "owner_kind": session.owner_kind,
        "messages": session.message_count,
    }


def _record(conversation: Conversation, actor: Actor, plan: _Plan, now: datetime) -> Operation:
    operation = stream.entry(conversation, actor=actor, type="messages.grouped", at=now, data=_told(plan))
    stream.seal(conversation, [operation])
    return operation


def _remember(conversation: Conversation, rows: list[BatchRow]) -> None:
    """The list shows the latest words, whichever batch brought them. What was stored before has been shown already."""
    newest = next((row for row in reversed(rows) if row.pk is None), None)
    if newest is None:
        return
    if conversation.last_activity_at is None or newest.sent_at >= conversation.last_activity_at:
        conversation.last_text = newest.content[: limits.MAX_PREVIEW]
        conversation.last_sender = newest.sender_type
        conversation.last_activity_at = newest.sent_at
        conversation.desk_order = desk_order(conversation.waiting_since, newest.sent_at)


def _join(pairs: list[tuple[ChatSession, ChatSession]]) -> None:
    """A late message bridged two stretches: the messages of one become the other's, and its row goes, on record."""
    for gone, into in pairs:
        Message.objects.filter(session_id=gone.pk).update(session_id=into.pk)
        ChatSession.objects.filter(previous=gone).update(previous=into)
        gone.delete()


def _store_living(
    locked: LockedConversation, rows: list[BatchRow], report: Report, detector: Detector | None = None
) -> None:
    """Put rows of one conversation into sessions, under its lock. What is alive is known whole: `turn.sessions`.

    Without a detector nothing is judged.
    """
    conversation, gap = locked.conversation, locked.policies.history_gap
    near = _sessions_near([conversation.pk], rows[0].sent_at, rows[-1].sent_at, gap).get(conversation.pk, [])
    held = {s.pk: s for s in locked.sessions}
    near = [held.get(s.pk, s) for s in near]
    # A plan must be what `one_live_session` can hold: nothing new is alive beside what is open.
    plan = _plan(conversation, near, rows, locked.policies, alive_since=None if locked.sessions else locked.now - gap)
    for session, _ in plan.created:
        session.save(force_insert=True)
        if session.status in OPEN:
            locked.sessions.append(session)
    operation = locked.record("messages.grouped", **_told(plan))
    stored = [(session, row) for session, row in plan.rows() if row.pk is None]
    Message.objects.bulk_create(
        [_message(conversation, row, s.pk, operation.seq) for s, row in stored], batch_size=5000
    )
    for session, row in plan.rows():
        if row.pk is not None:
            Message.objects.filter(pk=row.pk).update(session_id=session.pk)
    plan.add_to(report)  # before the rows that are joined lose their ids
    _join(plan.joined)
    for session, _ in (*plan.extended, *plan.fixed):
        session.save(update_fields=_SESSION_FIGURES)
    _remember(conversation, rows)
    report.accepted += len(stored)
    report.transfers_raised += _judge(locked, rows, locked.now - gap, detector)


def _judge(locked: LockedConversation, rows: list[BatchRow], fresh_since: datetime, detector: Detector | None) -> int:
    """Examine what customers said just now; never history. Returns the transfers raised (0 or 1)."""
    asked_before = len(locked.transfers)
    for row in rows:
        if detector is None or row.sender_type != "customer" or row.sent_at <= fresh_since or row.pk is not None:
            continue
        if controller_of(locked) in (Controller.HUMAN, Controller.QUEUE):
            break
        if need := detector.customer_said(row.content, is_vip=locked.conversation.is_vip):
            act_on(locked, need.as_dict())
    settle(locked)
    return max(0, len(locked.transfers) - asked_before)


def group_unsessioned(*, limit: int = 1000) -> Report:
    """The beat's grouping job: messages that were stored while nobody had a session are put into sessions.

    The same pure function as for batches; a conversation at a time, under its lock. Whoever was told of a message has
    `group_after` seconds to open a session for it: until then it is nobody's, and does not begin a session of its own.
    """
    report = Report()
    tenants = Tenant.objects.values_list("pk", "policies")
    due = row_policies.overdue("sent_at", clock.now(), lambda own: own.group_after, tenants)
    lost = Message.objects.filter(due, session_id__isnull=True, is_note=False)
    tried = lost.filter(loops.not_put_off(GROUPING, "conversation_id"))
    found = tried.values_list("tenant_id", "conversation_id").distinct()[:limit]
    for part in loops.each(GROUPING, found, _group_conversation):
        report.add(part)
    return report


@retried
def _group_conversation(tenant_id: int, conversation_id: int) -> Report:
    report = Report(since=newest_session())
    with locked_conversation(system_actor(tenant_id), conversation_id) as locked:
        lost = Message.objects.filter(conversation_id=conversation_id, session_id__isnull=True, is_note=False)
        messages = list(lost.order_by("sent_at", "pk"))
        if messages and _arrived(messages) <= locked.now - locked.policies.group_after:
            _store_living(locked, [_row_of(message, locked.now) for message in messages], report)
    return report


def _arrived(messages: list[Message]) -> datetime:
    """When the last of them came in, which may be long after it was said."""
    last = max(messages, key=lambda message: message.seq)
    told = Operation.objects.filter(conversation_id=last.conversation_id, seq=last.seq).values_list("at", flat=True)
    return told.first() or EARLIEST


def group_late(locked: LockedConversation, message: Message) -> None:
    """Put what reached a live door as history into its place among the sessions: like a row, and judged never."""
    _store_living(locked, [_row_of(message, locked.now)], Report(since=newest_session()))


def _row_of(message: Message, now: datetime) -> BatchRow:
    """Its time is bounded here too: older versions stored what senders claimed."""
    return BatchRow(
        line=0,
        platform=message.platform,
        shop_id="",
        account_id="",
        message_id=message.message_id,
        sender_type=message.sender_type,
        content=message.content,
        sent_at=max(EARLIEST, not_later(message.sent_at, now)),
        is_robot=message.sender_type == Message.Sender.BOT,
        pk=message.pk,
    )
