"""Plans how the rows of a batch change the sessions of one conversation, and what the operation records of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from django.db.models import Q

from agents_app.policies import Policies
from config import clock
from messaging_app import stream
from messaging_app.batch import BatchRow, Span, Stretch, group
from messaging_app.models import Conversation, Message
from sessions_app.actions.batch_rows import Report
from sessions_app.core import oplog
from sessions_app.models import ChatSession
from sessions_app.states import OPEN, TERMINAL, Kind, Origin, Owner, Status

_CUSTOMER = Message.Sender.CUSTOMER.value


@dataclass(slots=True)
class Plan:
    """How one conversation's rows change its sessions. Sessions in `fixed` only count their rows."""

    created: list[tuple[ChatSession, list[BatchRow]]] = field(default_factory=list)
    extended: list[tuple[ChatSession, list[BatchRow]]] = field(default_factory=list)
    joined: list[tuple[ChatSession, ChatSession]] = field(default_factory=list)  # (deleted, into which)
    fixed: list[tuple[ChatSession, list[BatchRow]]] = field(default_factory=list)

    def add_to(self, report: Report) -> None:
        report.sessions_created += len(self.created) - sum(gone.pk > report.since for gone, _ in self.joined)
        report.sessions_extended += len(self.extended)
        report.sessions_joined += sum(gone.pk <= report.since for gone, _ in self.joined)

    def rows(self) -> list[tuple[ChatSession, BatchRow]]:
        """Session and row, in the order of `sent_at`. They are stored so: one operation records them all, and a
        participant who sees the last n messages sees its last n rows.
        """
        kept = (*self.created, *self.extended, *self.fixed)
        pairs = [(session, row) for session, rows in kept for row in rows]
        return sorted(pairs, key=lambda pair: pair[1].sent_at) if len(kept) > 1 else pairs


def plan(
    conversation: Conversation,
    near: list[ChatSession],
    rows: list[BatchRow],
    own: Policies,
    *,
    alive_since: datetime | None,
) -> Plan:
    """Decide what becomes of the rows; stores nothing. A new session is alive if its stretch ends after `alive_since`;
    None: no new one is.

    An ended session never lives again: a living stretch that touches one becomes a new session, which absorbs it. A
    living session absorbs those that it is bridged to, so that no plan has two living ones.
    """
    covered, stretches = group([_span(s) for s in near], rows, own.history_gap)
    plan = Plan(fixed=covered)
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
    for session, covered_rows in covered:
        session.message_count += len(covered_rows)
        session.first_message_at = min(session.first_message_at or covered_rows[0].sent_at, covered_rows[0].sent_at)
        session.last_message_at = max(session.last_message_at or covered_rows[-1].sent_at, covered_rows[-1].sent_at)
    return plan


def _figures(session: ChatSession, stretch: Stretch, joined: list[ChatSession], own: Policies) -> None:
    """Update a grouped session's figures. One row with the robot marker makes it a robot session; where a person of the
    shop steps in, the time of that person's first message is kept (`human_since`).

    The owner only rises, from nobody to a bot to the shop's people: so the order of the rows does not matter, and no
    row takes the session from a person who answers in the shop's app.
    """
    rows = stretch.rows
    session.message_count += len(rows) + sum(s.message_count for s in joined)
    session.first_message_at = session.opened_at = session.activated_at = stretch.start
    session.last_message_at = session.last_activity_at = stretch.end
    if True in [row.is_robot for row in rows] or session.is_robot or any(s.is_robot for s in joined):
        session.kind = Kind.AUTO_ASSISTANT
        session.set_priority()
    human = [row.sent_at for row in rows if row.sender_type != _CUSTOMER and row.is_human_side]
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


def sessions_near(
    conversation_ids: list[int], first: datetime, last: datetime, gap: timedelta, *, and_open: bool = False
) -> dict[int, list[ChatSession]]:
    """The sessions that rows between `first` and `last` may fall into, by conversation; and all that are open, if asked."""
    if not conversation_ids:
        return {}
    reached = Q(Q(ended_at__isnull=True) | Q(ended_at__gte=first - gap), opened_at__lte=last + gap)
    if and_open:
        reached |= Q(status__in=sorted(OPEN))
    near = ChatSession.objects.filter(reached, conversation_id__in=conversation_ids)
    by_conversation: dict[int, list[ChatSession]] = {}
    for session in near.order_by("opened_at", "pk"):
        by_conversation.setdefault(session.conversation_id, []).append(session)
    return by_conversation


def _is_found(session: ChatSession) -> bool:
    """Whether grouping alone made this session: it may grow, and be joined. At most one of these is alive.

    A session that somebody opened, moved or paused stays as it is.
    """
    return session.origin == Origin.GROUPED and session.status in (Status.ACTIVE, *TERMINAL)


def _span(session: ChatSession) -> Span:
    if not _is_found(session):
        return Span(session, session.opened_at, session.ended_at, fixed=True)
    return Span(session, session.first_message_at or session.opened_at, session.last_message_at or session.opened_at)


SESSION_FIGURES = [
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


def operation_data(plan: Plan, rows: list[tuple[ChatSession, BatchRow]]) -> dict[str, Any]:
    """The data of `messages.grouped`: how many messages, a digest of their ids, and what became of which session.

    `rows` are the plan's.
    """
    ids = sorted([row.message_id for _, row in rows])
    stored = [row for _, row in rows if row.pk is None]
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


def join(pairs: list[tuple[ChatSession, ChatSession]]) -> None:
    """Delete the first session of each pair; its messages go to the second. A late message bridged their stretches."""
    for gone, into in pairs:
        Message.objects.filter(session_id=gone.pk).update(session_id=into.pk)
        ChatSession.objects.filter(previous=gone).update(previous=into)
        gone.delete()
