"""Stores the history of a batch in bulk: many conversations in one transaction, never examined for needs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from agents_app import row_policies
from agents_app.actors import Actor
from agents_app.policies import Policies
from config import clock
from config.db import lock_rows
from messaging_app import stream
from messaging_app.batch import BatchRow, by_conversation
from messaging_app.models import Conversation, Message, Operation
from sessions_app.actions import batch_plan
from sessions_app.actions.batch_plan import SESSION_FIGURES, Plan, join, operation_data, sessions_near
from sessions_app.actions.batch_rows import Report, message_of, not_known, on_time, remember
from sessions_app.models import ChatSession
from sessions_app.states import OPEN


def store_history(actor: Actor, rows: list[BatchRow], report: Report) -> dict[int, list[BatchRow]]:
    """Store what is history in bulk. Returns those of living conversations, by id, to be stored one by one."""
    now = clock.now()
    rows = not_known(actor.tenant_id, on_time(rows, now), report)  # first: a repeat creates no conversation
    conversations = _lock_conversations(actor.tenant_id, by_conversation(rows))
    unknown = by_conversation(not_known(actor.tenant_id, rows, report))
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
        _store(actor, work, own, now, report)
    return later


def _lock_conversations(
    tenant_id: int, keys: Iterable[tuple[str, str, str]]
) -> dict[tuple[str, str, str], Conversation]:
    """Find or make the conversations, and lock them in the order of their ids; each has its tenant's policies."""
    unique = set(keys)
    if not unique:
        return {}
    rows = Conversation.objects.filter(
        tenant_id=tenant_id,
        platform__in={k[0] for k in unique},
        shop_id__in={k[1] for k in unique},
        account_id__in={k[2] for k in unique},
    )

    def ids_by_key() -> dict[tuple[str, str, str], int]:
        values = rows.values_list("platform", "shop_id", "account_id", "pk")
        return {(p, s, a): pk for p, s, a, pk in values if (p, s, a) in unique}

    known = ids_by_key()
    if missing := sorted(unique - known.keys()):
        made = (Conversation(tenant_id=tenant_id, platform=p, shop_id=s, account_id=a) for p, s, a in missing)
        Conversation.objects.bulk_create(made, ignore_conflicts=True, batch_size=1000)
        known = ids_by_key()
    held = lock_rows(row_policies.with_policies(Conversation.objects.filter(pk__in=known.values())))
    return {(c.platform, c.shop_id, c.account_id): c for c in held}


def _store(
    actor: Actor, work: list[tuple[Conversation, list[BatchRow]]], own: Policies, now: datetime, report: Report
) -> None:
    first = min(rows[0].sent_at for _, rows in work)
    last = max(rows[-1].sent_at for _, rows in work)
    near = sessions_near([c.pk for c, _ in work], first, last, own.history_gap)
    plans = [(c, rows, batch_plan.plan(c, near.get(c.pk, []), rows, own, alive_since=None)) for c, rows in work]
    ChatSession.objects.bulk_create([s for _, _, p in plans for s, _ in p.created], batch_size=1000)
    messages: list[Message] = []
    operations: list[Operation] = []
    for conversation, rows, plan in plans:
        operation = _record(conversation, actor, plan, now)
        messages += (message_of(conversation, row, session.pk, operation.seq) for session, row in plan.rows())
        operations.append(operation)
        remember(conversation, rows)
        plan.add_to(report)
    Message.objects.bulk_create(messages, batch_size=5000)
    join([pair for _, _, p in plans for pair in p.joined])
    _save_all(ChatSession, [s for _, _, p in plans for s, _ in (*p.extended, *p.fixed)], SESSION_FIGURES)
    _save_all(
        Conversation,
        [c for c, _, _ in plans],
        ("seq", "chain", "last_text", "last_sender", "last_activity_at", "desk_order"),
    )
    stream.write(operations)
    report.accepted += len(messages)


def _save_all(model: Any, rows: list[Any], fields: Sequence[str]) -> None:
    """Update many rows at once: an insert in which every row conflicts is several times faster than bulk_update."""
    unique = list({row.pk: row for row in rows}.values())
    if unique:
        model.objects.bulk_create(
            unique, update_conflicts=True, unique_fields=_conflict_target(), update_fields=list(fields), batch_size=1000
        )


def _conflict_target() -> list[str] | None:
    """MariaDB and MySQL take no conflict target."""
    return ["id"] if connection.features.supports_update_conflicts_with_target else None


def _record(conversation: Conversation, actor: Actor, plan: Plan, now: datetime) -> Operation:
    operation = stream.entry(conversation, actor=actor, type="messages.grouped", at=now, data=operation_data(plan))
    stream.seal(conversation, [operation])
    return operation
