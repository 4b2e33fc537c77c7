"""Stores rows of a living conversation: one conversation at a time, under its lock, and examined for needs."""

from __future__ import annotations

from datetime import datetime

from agents_app.actors import ActorKind
from messaging_app.batch import BatchRow, not_stored
from messaging_app.detection import Detector
from messaging_app.models import Controller, Message
from sessions_app.actions import batch_plan
from sessions_app.actions.batch_plan import SESSION_FIGURES, join, operation_data, sessions_near
from sessions_app.actions.batch_rows import Report, message_of, remember
from sessions_app.actions.messages import act_on, speaks
from sessions_app.core.locked_conversation import LockedConversation
from sessions_app.errors import StaleEpoch
from sessions_app.states import OPEN
from sessions_app.unit.settle import controller_of, settle


def in_turn(locked: LockedConversation, rows: list[BatchRow], report: Report) -> list[BatchRow]:
    """The rows that may be stored: a bot's recent answers need its turn and its epoch, as in `post_message`."""
    if locked.actor.kind != ActorKind.BOT:
        return rows
    fresh_since, good = locked.now - locked.policies.history_gap, []
    for row in rows:
        if row.sender_type != Message.Sender.BOT or row.sent_at <= fresh_since or speaks(locked, row.epoch):
            good.append(row)
        else:
            reason = "stale_epoch: it is not this bot's turn, or not in this epoch; an answer of now needs both"
            report.refuse([not_stored(row, reason, StaleEpoch.code)])
    return good


def store_living(
    locked: LockedConversation, rows: list[BatchRow], report: Report, detector: Detector | None = None
) -> None:
    """Put rows of one conversation into sessions, under its lock; `locked.sessions` holds all that are open.

    `rows` are in the order of `sent_at`, and not empty. Without a detector no message is examined.
    """
    conversation, gap = locked.conversation, locked.policies.history_gap
    near = sessions_near([conversation.pk], rows[0].sent_at, rows[-1].sent_at, gap).get(conversation.pk, [])
    held = {s.pk: s for s in locked.sessions}
    near = [held.get(s.pk, s) for s in near]
    # The constraint `one_live_session` must hold: no new session is live while another is open.
    plan = batch_plan.plan(
        conversation, near, rows, locked.policies, alive_since=None if locked.sessions else locked.now - gap
    )
    for session, _ in plan.created:
        session.save(force_insert=True)
        if session.status in OPEN:
            locked.sessions.append(session)
    report.made(session for session, _ in plan.created)
    planned = plan.rows()
    operation = locked.record("messages.grouped", **operation_data(plan, planned))
    stored = [(session, row) for session, row in planned if row.pk is None]
    Message.objects.bulk_create(
        [message_of(conversation, row, s.pk, operation.seq) for s, row in stored], batch_size=5000
    )
    for session, row in planned:
        if row.pk is not None:
            Message.objects.filter(pk=row.pk).update(session_id=session.pk)
    plan.add_to(report)  # before `join` deletes sessions, which clears their ids
    join(plan.joined)
    for session, _ in (*plan.extended, *plan.fixed):
        session.save(update_fields=SESSION_FIGURES)
    remember(conversation, rows)
    report.accepted += len(stored)
    report.transfers_raised += _judge(locked, rows, locked.now - gap, detector)


def _judge(locked: LockedConversation, rows: list[BatchRow], fresh_since: datetime, detector: Detector | None) -> int:
    """Examine what customers said just now; never history. Returns the transfers raised (0 or 1)."""
    pending_before = len(locked.transfers)
    for row in rows:
        if detector is None or row.sender_type != "customer" or row.sent_at <= fresh_since or row.pk is not None:
            continue
        if controller_of(locked) in (Controller.HUMAN, Controller.QUEUE):
            break
        if need := detector.customer_said(row.content, is_vip=locked.conversation.is_vip):
            act_on(locked, need.as_dict())
    settle(locked)
    return max(0, len(locked.transfers) - pending_before)
