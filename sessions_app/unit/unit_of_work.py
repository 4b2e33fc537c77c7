"""The unit of work of every verb: lock, apply due timers, do the work, settle, write; all in one transaction, retried.

@verb
def pause_session(*, actor: Actor, session_id: int) -> Outcome:
    with locked_conversation(actor, session_id=session_id) as locked:
        ...check access, transition, record...
    return locked.outcome(...)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, wraps

from django.db import transaction
from django.db.models import Model

from agents_app.actors import Actor, ActorKind
from config import statements
from config.db import retried
from config.free_json import checked_text
from messaging_app import stream
from messaging_app.models import Conversation
from sessions_app import assignment
from sessions_app.core import wake
from sessions_app.core.locked_conversation import ConversationKey, LockedConversation, lock_by_key, lock_conversation
from sessions_app.errors import NotFound, StaleEpoch
from sessions_app.models import ChatSession, Transfer
from sessions_app.promises import reply_deadlines, sla
from sessions_app.rights import access
from sessions_app.rights.field_rights import by_role
from sessions_app.unit.settle import settle
from sessions_app.unit.timers import apply_due

__all__ = ["locked_conversation", "verb"]


def verb[**P, R](function: Callable[P, R]) -> Callable[P, R]:
    """Marks a public verb: `field_rights` says who may call it and set what (`Forbidden`), text that a database cannot
    hold is refused (`Malformed`), and it is run again from the start after a database error that a second try may mend.
    """
    return retried(by_role(_storable(function)))


def _storable[**P, R](function: Callable[P, R]) -> Callable[P, R]:
    """Refuse text that no database can hold. The API does so when it reads a body; the facade and Python come here."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        given: dict[str, object] = dict(kwargs)
        for name, value in given.items():
            if isinstance(value, str):
                checked_text(value, name)
        return function(*args, **kwargs)

    return run


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

MAX_TIMER_ROUNDS = 20
"""How often due timers are applied before a verb goes on all the same. Each round sets new deadlines in the future, so
two or three are usual; a deadline that is over as soon as it is set must not hold a request for ever."""

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
    "unanswered_since",
    "is_urgent",
    "pinned_at",
    "todo_at",
    "seq",
    "chain",
    "last_text",
    "last_sender",
    "last_activity_at",
]
"""The fields of the conversation that a verb may change."""


@contextmanager
def locked_conversation(
    actor: Actor,
    conversation_id: int | None = None,
    *,
    session_id: int | None = None,
    transfer_id: int | None = None,
    key: ConversationKey | None = None,
    expected_epoch: int | None = None,
    known_only: bool = True,
    makes: type[Model] | None = None,
) -> Iterator[LockedConversation]:
    """Hold the conversation, named by its own id or that of a session or transfer, for one verb.

    By its `key` it is found or made in the verb's own transaction, so that a refused verb makes none. `makes`: the model
    of which the verb will store a row, if it is sure to unless it is refused. Due
    timers are applied first, in a transaction of their own, so that they stay applied when the verb is refused. Raises
    `NotFound` for what does not exist, belongs to another tenant or is not the actor's to know of
    (`lock_conversation`), `StaleEpoch` when the conversation is not at `expected_epoch`.
    """
    if conversation_id is None and key is None:
        conversation_id = _conversation_id(actor, session_id=session_id, transfer_id=transfer_id)
    for rounds_left in range(MAX_TIMER_ROUNDS, -1, -1):
        with statements.transaction_of_a_verb():
            if key is not None:
                locked = lock_by_key(actor, key, makes=makes)
            else:
                locked = lock_conversation(actor, conversation_id or 0, known_only=known_only, makes=makes)
            before = _values(locked.conversation)
            if rounds_left and apply_due(locked):
                _finish(locked, before)
                continue
            if expected_epoch is not None and expected_epoch != locked.conversation.epoch:
                raise StaleEpoch(
                    epoch=locked.conversation.epoch,
                    controller=locked.conversation.controller,
                    owner_name=access.visible_owner_name(actor, locked.live) if locked.live else "nobody",
                )
            yield locked
            _finish(locked, before)
            return


def _finish(locked: LockedConversation, before: tuple[object, ...]) -> None:
    settle(locked)
    reply_deadlines.follow(locked)
    is_left = assignment.offer(locked)
    sla.follow(locked)
    stream.seal(locked.conversation, locked.operations)
    values = zip(_WRITTEN, before, _values(locked.conversation), strict=True)
    if changed := [name for name, was, value in values if was != value]:
        statements.update(locked.conversation, *changed)
    stream.write(locked.operations)
    if is_left or any(operation.type in FREES for operation in locked.operations):
        transaction.on_commit(partial(wake.wake, locked.conversation.tenant_id), robust=True)


def _values(conversation: Conversation) -> tuple[object, ...]:
    return tuple(getattr(conversation, name) for name in _WRITTEN)


def _conversation_id(actor: Actor, *, session_id: int | None, transfer_id: int | None) -> int:
    reading, name = (_OF_TRANSFER, "transfer") if session_id is None else (_OF_SESSION, "chat session")
    for conversation_id, bot_id in reading.rows(session_id or transfer_id or 0, actor.tenant_id):
        is_bound_here = actor.conversation_id in (None, conversation_id)
        if is_bound_here and (actor.kind != ActorKind.BOT or bot_id == actor.pk):
            return int(conversation_id)
    raise NotFound(f"There is no such {name}.")


_OF_SESSION = statements.Reading(
    lambda pk, tenant_id: ChatSession.objects.filter(pk=pk, tenant_id=tenant_id).values_list(
        "conversation_id", "bot_id"
    ),
    0,
    0,
)
_OF_TRANSFER = statements.Reading(
    lambda pk, tenant_id: Transfer.objects.filter(pk=pk, tenant_id=tenant_id).values_list(
        "conversation_id", "session__bot_id"
    ),
    0,
    0,
)
