"""The one shape of every verb: lock, apply due timers, do the work, settle, write; all in one transaction, retried.

@verb
def pause_session(*, actor: Actor, session_id: int) -> Outcome:
    with taking(actor, session_id=session_id) as turn:
        ...check access, transition, record...
    return turn.outcome(...)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from django.db import transaction

from agents_app.actors import Actor
from config.db import retried
from messaging_app import stream
from messaging_app.models import Conversation
from sessions_app import access, assignment, reply_times, sla
from sessions_app import turn as turns
from sessions_app.errors import NotFound, StaleEpoch
from sessions_app.models import ChatSession, Transfer
from sessions_app.settle import settle
from sessions_app.timers import apply_due
from sessions_app.turn import Turn

__all__ = ["taking", "verb"]

verb = retried
"""Marks a public verb: run again, from the start, when the database says that trying again may help."""

FREES = frozenset(
    {
        "session.completed",
        "session.cancelled",
        "session.timed_out",
        "session.paused",
        "session.returned",
        "ownership.changed",
        "transfer.accepted",
        "transfer.withdrawn",
        "transfer.offer_refused",
        "transfer.offer_withdrawn",
    }
)
"""The operations after which an agent may have room for something else that waits."""

_WRITTEN = [
    "customer_name",
    "is_vip",
    "controller",
    "holder",
    "epoch",
    "tier",
    "desk_order",
    "needs_human",
    "need",
    "waiting_since",
    "is_urgent",
    "pinned_at",
    "todo_at",
    "seq",
    "chain",
    "last_text",
    "last_sender",
    "last_activity_at",
]


@contextmanager
def taking(
    actor: Actor,
    conversation_id: int | None = None,
    *,
    session_id: int | None = None,
    transfer_id: int | None = None,
    expected_epoch: int | None = None,
) -> Iterator[Turn]:
    """Hold the conversation, named itself or by a session or transfer of it, for one verb.

    Due timers are applied first, in a transaction of their own, so that they stay applied when the verb is refused.
    Raises `NotFound` for what does not exist or belongs to another tenant, `StaleEpoch` when the conversation is not at
    `expected_epoch`.
    """
    if conversation_id is None:
        conversation_id = _conversation_id(actor, session_id=session_id, transfer_id=transfer_id)
    while True:
        with transaction.atomic():
            turn = turns.lock(actor, conversation_id)
            before = _values(turn.conversation)
            if apply_due(turn):
                _close(turn, before)
                continue
            if expected_epoch is not None and expected_epoch != turn.conversation.epoch:
                raise StaleEpoch(
                    epoch=turn.conversation.epoch,
                    controller=turn.conversation.controller,
                    owner_name=access.owner_name(turn.live) if turn.live else "nobody",
                )
            yield turn
            _close(turn, before)
            return


def _close(turn: Turn, before: tuple[object, ...]) -> None:
    settle(turn)
    reply_times.follow(turn)
    is_left = assignment.offer(turn)
    sla.follow(turn)
    stream.seal(turn.conversation, turn.operations)
    if _values(turn.conversation) != before:
        turn.conversation.save(update_fields=_WRITTEN)
    stream.write(turn.operations)
    if is_left or any(operation.type in FREES for operation in turn.operations):
        transaction.on_commit(partial(_drain, turn.conversation.tenant_id), robust=True)


def _drain(tenant_id: int) -> None:
    """Somebody may have room now for what waits elsewhere."""
    from sessions_app import sweep  # it takes conversations by verbs, which have this shape

    sweep.drain(tenant_id)


def _values(conversation: Conversation) -> tuple[object, ...]:
    return tuple(getattr(conversation, name) for name in _WRITTEN)


def _conversation_id(actor: Actor, *, session_id: int | None, transfer_id: int | None) -> int:
    model: type[ChatSession | Transfer] = Transfer if session_id is None else ChatSession
    found = model._default_manager.filter(pk=session_id or transfer_id or 0, tenant_id=actor.tenant_id)
    for conversation_id in found.values_list("conversation_id", flat=True):
        return int(conversation_id)
    raise NotFound(f"There is no such {model._meta.verbose_name}.")
