"""What the rows of a batch do to the sessions of one conversation, and what the operation tells of it."""

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
from sessions_app.states import TERMINAL, Kind, Origin, Owner, Status


@dataclass(slots=True)
class Plan:
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


def plan(
    conversation: Conversation,
    near: list[ChatSession],
    rows: list[BatchRow],
    own: Policies,
    *,
    alive_since: datetime | None,
) -> Plan:
    """Decide; nothing is stored. A new session is alive if its stretch goes on until `alive_since`; None: none may be.

    An ended session never lives again: a stretch that is alive and to which an ended one belongs is a new session that
    takes it in. What is alive already takes in what it is bridged to, so that no plan has two of them.
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


def sessions_near(
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


def told_of(plan: Plan) -> dict[str, Any]:
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


def join(pairs: list[tuple[ChatSession, ChatSession]]) -> None:
    """A late message bridged two stretches: the messages of one become the other's, and its row goes, on record."""
    for gone, into in pairs:
        Message.objects.filter(session_id=gone.pk).update(session_id=into.pk)
        ChatSession.objects.filter(previous=gone).update(previous=into)
        gone.delete()
