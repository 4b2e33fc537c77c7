"""Ends many sessions that have been silent for too long, in one transaction: the usual work of a sweep.

Each is ended by the same functions as by its verb (`lifecycle.expire_due`), under its conversation's lock, by the same clock. What
they need is read for all of them before, and what they change is stored for all of them afterwards. So this is only for
conversations on which nothing else is open. One whose functions ask the database in between is left to its verb, as is one that
somebody holds just now: nobody is kept waiting, and a sweep waits for nobody.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from itertools import batched
from typing import Any

from django.db import models, transaction
from django.db.models import prefetch_related_objects

from agents_app import row_policies
from agents_app.actors import system_actor
from agents_app.models import Backoff, Tenant
from config import bulk_rows, clock
from config.db import lock_free_rows, retried
from messaging_app import stream
from messaging_app.models import Conversation
from sessions_app.actions.alike_ends import end_alike
from sessions_app.actions.ended_in_memory import is_ended
from sessions_app.core import wake
from sessions_app.core.locked_conversation import LockedConversation
from sessions_app.models import ChatSession, GuidedFlow, SlaClock, Transfer
from sessions_app.states import FLOW_OPEN, OPEN, Owner, TransferStatus

log = logging.getLogger(__name__)

AT_ONCE = 100
"""Conversations of one transaction: who writes to one of them meanwhile waits until it ends, some hundredths of a second."""
FEW = 3
"""So many are left to their verbs, which costs no more."""


def end_silent(conversations: Sequence[tuple[int, int]], *, loop: str) -> set[int]:
    """Of these (tenant and conversation), end what is silent and nothing else. Returns the conversations that are done.

    What was put off in `loop` is left to it. So is a transaction's part in which something goes wrong.
    """
    if len(conversations) <= FEW:
        return set()
    done = end_alike([conversation_id for _, conversation_id in conversations], loop=loop)
    for part in batched([own for own in conversations if own[1] not in done], AT_ONCE):
        try:
            done |= _end_part([conversation_id for _, conversation_id in part], loop)
        except Exception:
            log.exception("%s silent conversations are looked at one by one", len(part))
    return done


@retried
def _end_part(conversation_ids: list[int], loop: str) -> set[int]:
    with transaction.atomic():
        held = [(locked, locked.sessions[0]) for locked in _held(conversation_ids, loop)]
        ended = [(locked, session) for locked, session in held if is_ended(locked)]
        _store(ended)
    return {locked.conversation.pk for locked, _ in ended}


def _held(conversation_ids: list[int], loop: str) -> list[LockedConversation]:
    """Lock the conversations of these that nobody holds. Returns those on which one session is open and nothing else."""
    put_off = Backoff.objects.filter(loop=loop, key__in=conversation_ids).values_list("key", flat=True)
    rows = Conversation.objects.filter(pk__in=set(conversation_ids) - set(put_off)).annotate(db_now=clock.DbNow())
    held = {row.pk: row for row in lock_free_rows(row_policies.with_policies(rows))}
    found: dict[int, list[ChatSession]] = {pk: [] for pk in held}
    for session in ChatSession.objects.filter(conversation_id__in=held, status__in=sorted(OPEN)).annotate(
        db_now=clock.DbNow()
    ):
        found[session.conversation_id].append(session)
    alone = {own[0].pk: own[0] for own in found.values() if len(own) == 1 and own[0].owner_kind != Owner.AGENT}
    ids = [session.conversation_id for session in alone.values()]
    flows = GuidedFlow.objects.filter(conversation_id__in=ids, status__in=sorted(FLOW_OPEN))
    pending = Transfer.objects.filter(pending_key__in=alone, status=TransferStatus.PENDING)
    clocks = SlaClock.objects.filter(open_key__in=alone)
    with_flow = set(flows.values_list("conversation_id", flat=True))
    with_more = {*pending.values_list("pending_key", flat=True), *clocks.values_list("open_key", flat=True)}
    quiet = [s for s in alone.values() if s.conversation_id not in with_flow and s.pk not in with_more]
    prefetch_related_objects([held[session.conversation_id] for session in quiet], "participants")
    tenants = Tenant.objects.in_bulk({session.tenant_id for session in quiet})
    return [_locked(held[session.conversation_id], session, tenants) for session in quiet]


def _locked(conversation: Any, session: Any, tenants: dict[int, Tenant]) -> LockedConversation:
    """As `lock_conversation` makes it."""
    session.conversation = conversation
    return LockedConversation(
        conversation=conversation,
        actor=system_actor(conversation.tenant_id),
        now=max(conversation.db_now, session.db_now) + clock.offset,
        sessions=[session],
        transfers=[],
        flows=[],
        previews=[],
        policies=row_policies.on(conversation),
        _tenant=tenants[conversation.tenant_id],
    )


def _store(ended: list[tuple[LockedConversation, ChatSession]]) -> None:
    bulk_rows.update_rows(ChatSession, [session for _, session in ended], _all_columns(ChatSession))
    bulk_rows.update_rows(Conversation, [locked.conversation for locked, _ in ended], _all_columns(Conversation))
    stream.write([operation for locked, _ in ended for operation in locked.operations])
    for tenant_id in {locked.conversation.tenant_id for locked, _ in ended}:
        transaction.on_commit(partial(wake.wake, tenant_id), robust=True)


def _all_columns(model: type[models.Model]) -> list[str]:
    return [field.attname for field in model._meta.concrete_fields if not (field.primary_key or field.generated)]
