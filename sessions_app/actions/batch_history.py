"""Stores the history of a batch in bulk: many conversations in one transaction, never examined for needs."""

from __future__ import annotations

from datetime import datetime

from agents_app import row_policies
from agents_app.actors import Actor
from config import bulk_rows
from messaging_app import stream
from messaging_app.batch import BatchRow, by_conversation
from messaging_app.models import Conversation, Message, Operation
from sessions_app.actions import batch_plan
from sessions_app.actions.batch_conversations import lock_conversations
from sessions_app.actions.batch_plan import SESSION_FIGURES, Plan, join, operation_data, sessions_near
from sessions_app.actions.batch_rows import Report, columns_of, not_known, on_time, remember
from sessions_app.models import ChatSession
from sessions_app.states import OPEN

_WHAT_CHANGES = ("seq", "chain", "last_text", "last_sender", "last_activity_at", "desk_order")
"""Of a conversation."""


def store_history(
    actor: Actor, rows: list[BatchRow], report: Report, *, looks_again: bool = False
) -> dict[int, list[BatchRow]]:
    """Store what is history in bulk. Returns those of living conversations, by id, to be stored one by one.

    An id that is stored between the look at what is known and the lock raises `IntegrityError`; not when the look is
    repeated under the lock (`looks_again`), unless it is stored in another conversation.
    """
    own, now = row_policies.and_now(actor.tenant_id)
    rows = not_known(actor.tenant_id, on_time(rows, now), report)  # first: a repeat creates no conversation
    if not rows:
        return {}
    said = by_conversation(rows)
    conversations = lock_conversations(actor.tenant_id, said)
    if looks_again:
        said = by_conversation(not_known(actor.tenant_id, rows, report))
    with_record = [c.pk for c in conversations.values() if c.seq]  # no session was ever made without an operation
    near = sessions_near(with_record, rows[0].sent_at, rows[-1].sent_at, own.history_gap, and_open=True)
    later: dict[int, list[BatchRow]] = {}
    work: list[tuple[Conversation, list[BatchRow], Plan]] = []
    for key, new in said.items():
        conversation = conversations[key]
        is_alive = any(s.status in OPEN for s in near.get(conversation.pk, ())) or conversation.unanswered_since
        if is_alive or new[-1].sent_at + own.history_gap > now:
            later[conversation.pk] = new
        else:
            plan = batch_plan.plan(conversation, near.get(conversation.pk, []), new, own, alive_since=None)
            work.append((conversation, new, plan))
    if work:
        _store(actor, work, now, report)
    return later


def _store(actor: Actor, work: list[tuple[Conversation, list[BatchRow], Plan]], now: datetime, report: Report) -> None:
    created = [session for _, _, plan in work for session, _ in plan.created]
    bulk_rows.insert_rows(ChatSession, created)
    report.made(created)
    stored: list[tuple[BatchRow, int, int, int]] = []
    operations: list[Operation] = []
    for conversation, rows, plan in work:
        planned = plan.rows()
        operation = _record(conversation, actor, plan, planned, now)
        stored += [(row, conversation.id, session.id, operation.seq) for session, row in planned]
        operations.append(operation)
        remember(conversation, rows)
        plan.add_to(report)
    bulk_rows.insert_columns(Message, columns_of(actor.tenant_id, stored), len(stored))
    join([pair for _, _, p in work for pair in p.joined])
    bulk_rows.update_rows(ChatSession, [s for _, _, p in work for s, _ in (*p.extended, *p.fixed)], SESSION_FIGURES)
    bulk_rows.update_rows(Conversation, [c for c, _, _ in work], _WHAT_CHANGES)
    stream.write(operations)
    report.accepted += len(stored)


def _record(
    conversation: Conversation, actor: Actor, plan: Plan, rows: list[tuple[ChatSession, BatchRow]], now: datetime
) -> Operation:
    data = operation_data(plan, rows)
    operation = stream.entry(conversation, actor=actor, type="messages.grouped", at=now, data=data)
    stream.seal(conversation, [operation])
    return operation
