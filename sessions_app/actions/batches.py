"""Batches: what was said while nobody was looking becomes messages and sessions. One function for file, API and task.

prepare → group → associate → store → judge, per transaction of some rows. The result does not depend on how the rows
were cut or in which order they came, and doing it again changes nothing. History is stored in bulk; a conversation in
which something is open, or was said within the last gap, goes one by one through the shape of every verb.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import batched
from typing import Any

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import Max, Q

from agents_app.actors import Actor, system_actor
from config import clock
from config.db import locked, retried
from messaging_app import stream
from messaging_app.batch import Rejected, Row, Span, Stretch, by_conversation, first_of_each, group
from messaging_app.detection import detector_for
from messaging_app.models import Controller, Conversation, Message, Operation
from sessions_app import access, oplog
from sessions_app.actions.talk import act_on
from sessions_app.models import ChatSession
from sessions_app.settle import controller_of, desk_order, settle
from sessions_app.shape import taking
from sessions_app.states import OPEN, TERMINAL, Kind, Origin, Owner, Status
from sessions_app.turn import Turn, seconds


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

    def counts(self) -> dict[str, int]:
        return {name: value for name, value in asdict(self).items() if name not in ("rejections", "since")}


def ingest_batch(
    *, actor: Actor, rows: Iterable[Row | Rejected | None], size: int | None = None, since: int | None = None
) -> Report:
    """Store rows in transactions of `size` (BATCH_SIZE by default) and return one report; see `ingest`."""
    total = Report()
    for part in ingest(actor=actor, rows=rows, size=size, since=since):
        total.add(part)
        total.rejections += part.rejections
    return total


def ingest(
    *, actor: Actor, rows: Iterable[Row | Rejected | None], size: int | None = None, since: int | None = None
) -> Iterator[Report]:
    """Store rows, `size` in a transaction, and report after each. What was reported is committed: stop whenever you like.

    Rejected rows are reported and stop nothing; None is a blank line. `since` is the newest session before the batch,
    for one that goes on.
    """
    access.may_deliver(actor)
    since = newest_session() if since is None else since
    for part in batched(rows, size or settings.TANDEM["BATCH_SIZE"]):
        good = [row for row in part if isinstance(row, Row)]
        bad = [row for row in part if isinstance(row, Rejected)]
        report = _store(actor, good, since)
        report.lines = len(good) + len(bad)
        report.rejected, report.rejections = len(bad), bad
        yield report


def newest_session() -> int:
    return ChatSession.objects.aggregate(newest=Max("pk"))["newest"] or 0


def _store(actor: Actor, rows: list[Row], since: int) -> Report:
    report, later = _once_more(_store_history_rows, actor, rows, since)
    for conversation_id, said in later.items():
        report.add(_once_more(_store_living_rows, actor, conversation_id, said, since))
    return report


def _once_more[**P, R](store: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Two writers may bring one id in two conversations at once; the constraint tells, and we look again."""
    try:
        return store(*args, **kwargs)
    except IntegrityError:
        return store(*args, **kwargs)


@retried
def _store_history_rows(actor: Actor, rows: list[Row], since: int) -> tuple[Report, dict[int, list[Row]]]:
    report = Report(since=since)
    with transaction.atomic():
        later = _history(actor, rows, report)
    return report, later


@retried
def _store_living_rows(actor: Actor, conversation_id: int, rows: list[Row], since: int) -> Report:
    """Store one living conversation's rows under its lock, and judge whether somebody needs a human."""
    report = Report(since=since)
    with taking(actor, conversation_id) as turn:
        known = _known_ids(actor.tenant_id, rows)
        new = [row for row in rows if (row.platform, row.message_id) not in known]
        report.duplicate += len(rows) - len(new)
        if new:
            _store_living(turn, new, report)
    return report


def _history(actor: Actor, rows: list[Row], report: Report) -> dict[int, list[Row]]:
    """Store what is history in bulk; returns the rows of conversations that are alive, to be stored one by one."""
    kept, report.duplicate = first_of_each(rows)
    said_by = by_conversation(kept)
    conversations = _lock_conversations(actor.tenant_id, said_by)
    known = _known_ids(actor.tenant_id, kept)
    now, gap = clock.now(), seconds("DEFAULT_SESSION_TIMEOUT")
    ids = [c.pk for c in conversations.values()]
    alive = set(
        ChatSession.objects.filter(conversation_id__in=ids, status__in=sorted(OPEN)).values_list(
            "conversation_id", flat=True
        )
    )
    later: dict[int, list[Row]] = {}
    work: list[tuple[Conversation, list[Row]]] = []
    for key, said in said_by.items():
        conversation = conversations[key]
        new = [row for row in said if (row.platform, row.message_id) not in known]
        report.duplicate += len(said) - len(new)
        if new and (conversation.pk in alive or new[-1].sent_at + gap >= now):
            later[conversation.pk] = new
        elif new:
            work.append((conversation, new))
    if work:
        _store_history(actor, work, gap, now, report)
    return later


def _lock_conversations(
    tenant_id: int, keys: Iterable[tuple[str, str, str]]
) -> dict[tuple[str, str, str], Conversation]:
    """Find or make the conversations, and lock them in the order of their ids."""
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
    held = locked(Conversation.objects.filter(pk__in=known.values()))
    return {(c.platform, c.shop_id, c.account_id): c for c in held}


def _known_ids(tenant_id: int, rows: Sequence[Row]) -> set[tuple[str, str]]:
    known: set[tuple[str, str]] = set()
    for platform in {row.platform for row in rows}:
        ids = [row.message_id for row in rows if row.platform == platform]
        stored = Message.objects.filter(tenant_id=tenant_id, platform=platform, message_id__in=ids)
        known |= {(platform, message_id) for message_id in stored.values_list("message_id", flat=True)}
    return known


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


def _span(session: ChatSession) -> Span:
    if session.origin == Origin.OPENED:
        return Span(session, session.opened_at, session.ended_at, fixed=True)
    return Span(session, session.first_message_at or session.opened_at, session.last_message_at or session.opened_at)


@dataclass(slots=True)
class _Plan:
    """What one conversation's rows do to its sessions."""

    created: list[tuple[ChatSession, list[Row]]] = field(default_factory=list)
    extended: list[tuple[ChatSession, list[Row]]] = field(default_factory=list)
    joined: list[tuple[ChatSession, ChatSession]] = field(default_factory=list)  # what went into what
    fixed: list[tuple[ChatSession, list[Row]]] = field(default_factory=list)

    def add_to(self, report: Report) -> None:
        report.sessions_created += len(self.created) - sum(gone.pk > report.since for gone, _ in self.joined)
        report.sessions_extended += len(self.extended)
        report.sessions_joined += sum(gone.pk <= report.since for gone, _ in self.joined)

    def rows(self) -> Iterator[tuple[ChatSession, Row]]:
        for session, rows in (*self.created, *self.extended, *self.fixed):
            for row in rows:
                yield session, row


def _plan(
    conversation: Conversation,
    near: list[ChatSession],
    rows: list[Row],
    gap: timedelta,
    *,
    fresh_since: datetime | None = None,
) -> _Plan:
    """Decide; nothing is stored. `fresh_since`: a stretch that ends after it is alive, if nothing else is.

    An ended session never lives again: a fresh stretch that an ended one belongs to is a new session that takes it in.
    """
    covered, stretches = group([_span(s) for s in near], rows, gap)
    plan = _Plan(fixed=covered)
    busy = any(s.status in OPEN and s.origin == Origin.OPENED for s in near)
    for stretch in stretches:
        fresh = bool(fresh_since and stretch.end >= fresh_since and stretch is stretches[-1] and not busy)
        living = [s for s in stretch.keys if s.status in OPEN]
        if living or (stretch.keys and not fresh):
            session = living[0] if living else stretch.keys[0]
            plan.extended.append((session, stretch.rows))
        else:
            status = Status.ACTIVE if fresh else Status.COMPLETED
            session = oplog.grouped_row(
                conversation, status=status, is_robot=False, owner=Owner.NOBODY, first=stretch.start, last=stretch.end
            )
            plan.created.append((session, stretch.rows))
        joined = [s for s in stretch.keys if s is not session]
        plan.joined += [(s, session) for s in joined]
        _figures(session, stretch, joined)
    for session, said in covered:
        session.message_count += len(said)
        session.first_message_at = min(session.first_message_at or said[0].sent_at, said[0].sent_at)
        session.last_message_at = max(session.last_message_at or said[-1].sent_at, said[-1].sent_at)
    return plan


def _figures(session: ChatSession, stretch: Stretch, joined: list[ChatSession]) -> None:
    """Bring a grouped session's figures up to date. The robot marker decides its kind; a person of the shop who steps
    into a robot's stretch is a takeover inside it, kept as the moment of the first such word."""
    rows = stretch.rows
    session.message_count += len(rows) + sum(s.message_count for s in joined)
    session.first_message_at = session.opened_at = session.activated_at = stretch.start
    session.last_message_at = session.last_activity_at = stretch.end
    if session.is_robot or any(s.is_robot for s in joined) or any(row.is_robot for row in rows):
        session.kind = Kind.AUTO_ASSISTANT
        session.set_priority()
    human = [row.sent_at.isoformat() for row in rows if row.is_human_side]
    human += [s.context["human_since"] for s in (session, *joined) if "human_since" in s.context]
    if human:
        session.context = {"human_since": min(human)}
    if session.status in TERMINAL:
        session.ended_at = stretch.end
    else:
        session.owner_kind = Owner.SHOP if human else (Owner.BOT if session.is_robot else Owner.NOBODY)
        session.expires_at = oplog.deadline(session, stretch.end)


def _store_history(
    actor: Actor, work: list[tuple[Conversation, list[Row]]], gap: timedelta, now: datetime, report: Report
) -> None:
    first = min(rows[0].sent_at for _, rows in work)
    last = max(rows[-1].sent_at for _, rows in work)
    near = _sessions_near([c.pk for c, _ in work], first, last, gap)
    plans = [(c, rows, _plan(c, near.get(c.pk, []), rows, gap)) for c, rows in work]
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


def _message(conversation: Conversation, row: Row, session_id: int | None, seq: int) -> Message:
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
    return {
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


def _remember(conversation: Conversation, rows: list[Row]) -> None:
    """The list shows the latest words, whichever batch brought them."""
    newest = rows[-1]
    if conversation.last_activity_at is None or newest.sent_at >= conversation.last_activity_at:
        conversation.last_text = newest.content[:200]
        conversation.last_sender = newest.sender_type
        conversation.last_activity_at = newest.sent_at
        conversation.desk_order = desk_order(conversation.waiting_since, newest.sent_at)


def _join(pairs: list[tuple[ChatSession, ChatSession]]) -> None:
    """A late message bridged two stretches: the messages of one become the other's, and its row goes, on record."""
    for gone, into in pairs:
        Message.objects.filter(session_id=gone.pk).update(session_id=into.pk)
        ChatSession.objects.filter(previous=gone).update(previous=None)
        gone.delete()


def _store_living(turn: Turn, rows: list[Row], report: Report) -> None:
    conversation, gap = turn.conversation, seconds("DEFAULT_SESSION_TIMEOUT")
    near = _sessions_near([conversation.pk], rows[0].sent_at, rows[-1].sent_at, gap).get(conversation.pk, [])
    held = {s.pk: s for s in turn.sessions}
    near = [held.get(s.pk, s) for s in near]
    plan = _plan(conversation, near, rows, gap, fresh_since=turn.now - gap)
    for gone, _ in plan.joined:
        if gone in turn.sessions:
            turn.sessions.remove(gone)
    for session, _ in plan.created:
        session.save(force_insert=True)
        if session.status in OPEN:
            turn.sessions.append(session)
    operation = turn.record("messages.grouped", **_told(plan))
    stored = [(session, row) for session, row in plan.rows() if row.pk is None]
    Message.objects.bulk_create(
        [_message(conversation, row, s.pk, operation.seq) for s, row in stored], batch_size=5000
    )
    for session, row in plan.rows():
        if row.pk is not None:
            Message.objects.filter(pk=row.pk).update(session_id=session.pk)
    _join(plan.joined)
    for session, _ in (*plan.extended, *plan.fixed):
        session.save(update_fields=_SESSION_FIGURES)
    _remember(conversation, rows)
    plan.add_to(report)
    report.accepted += len(stored)
    report.transfers_raised += _judge(turn, rows, turn.now - gap)


def _judge(turn: Turn, rows: list[Row], fresh_since: datetime) -> int:
    """Examine what customers said just now; never history. Returns the transfers raised (0 or 1)."""
    asked_before = len(turn.transfers)
    detector = detector_for(turn.conversation.tenant_id)
    for row in rows:
        if row.sender_type != "customer" or row.sent_at < fresh_since or row.pk is not None:
            continue
        if controller_of(turn) in (Controller.HUMAN, Controller.QUEUE):
            break
        if need := detector.customer_said(row.content, is_vip=turn.conversation.is_vip):
            act_on(turn, need.as_dict())
    settle(turn)
    return max(0, len(turn.transfers) - asked_before)


def group_unsessioned(*, limit: int = 1000) -> Report:
    """The beat's grouping job: messages that were stored while nobody had a session are put into sessions.

    The same pure function as for batches; a conversation at a time, under its lock. Whoever was told of a message has
    `GROUP_AFTER` seconds to open a session for it: until then it is nobody's, and does not begin a session of its own.
    """
    report = Report()
    due = clock.now() - timedelta(seconds=settings.TANDEM["GROUP_AFTER"])
    lost = Message.objects.filter(session_id__isnull=True, is_note=False, sent_at__lte=due)
    for tenant_id, conversation_id in lost.values_list("tenant_id", "conversation_id").distinct()[:limit]:
        report.add(_group_conversation(system_actor(tenant_id), conversation_id, due))
    return report


@retried
def _group_conversation(actor: Actor, conversation_id: int, due: datetime) -> Report:
    report = Report()
    with taking(actor, conversation_id) as turn:
        lost = Message.objects.filter(conversation_id=conversation_id, session_id__isnull=True, is_note=False)
        rows = [_row_of(message) for message in lost.order_by("sent_at", "pk")]
        if rows and rows[-1].sent_at <= due:
            _store_living(turn, rows, report)
    return report


def _row_of(message: Message) -> Row:
    return Row(
        line=0,
        platform=message.platform,
        shop_id="",
        account_id="",
        message_id=message.message_id,
        sender_type=message.sender_type,
        content=message.content,
        sent_at=message.sent_at,
        is_robot=message.sender_type == Message.Sender.BOT,
        pk=message.pk,
    )
