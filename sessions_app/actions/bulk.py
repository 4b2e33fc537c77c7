"""One action on many conversations: each by its own verb, in its own transaction. One refusal stops no other."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from uuid import uuid4

from django.db.models import Q

from agents_app.actors import Actor, ActorKind
from config.errors import DomainError, InternalError
from sessions_app.actions import conversations, labels, takeovers, transfers
from sessions_app.core.locked_conversation import Outcome
from sessions_app.errors import Malformed, NotQueued
from sessions_app.models import Transfer
from sessions_app.rights import access, visible
from sessions_app.rights.field_rights import by_role
from sessions_app.states import LIVE, TransferKind, TransferStatus

log = logging.getLogger(__name__)

MOST = 100
"""Conversations in one call."""


class BulkAction(StrEnum):
    ACCEPT = "accept"
    TAKE_OVER = "take_over"
    RELEASE = "release"
    RESOLVE = "resolve"
    ACKNOWLEDGE = "acknowledge"
    LABEL = "label"
    UNLABEL = "unlabel"
    PIN = "pin"
    UNPIN = "unpin"
    TODO = "todo"
    UNTODO = "untodo"
    MARK_URGENT = "mark_urgent"
    UNMARK_URGENT = "unmark_urgent"


@dataclass(frozen=True, slots=True)
class BulkResult:
    """The result for one conversation: an outcome, or the problem that prevented it."""

    conversation_id: int
    outcome: Outcome | None = None
    problem: DomainError | None = None


@by_role
def act_on_many(
    *,
    actor: Actor,
    conversation_ids: Iterable[int],
    action: str,
    label_id: int | None = None,
    reason: str = "",
) -> list[BulkResult]:
    """Apply one action to each conversation, in the given order; an id that is given twice counts once.

    Raises `Malformed` for an unknown action, for fewer than 1 or more than `MOST` conversations, and for a label that
    is missing or not needed; `Forbidden` for an actor who may act on none. Any other refusal is a `problem` of its
    conversation.
    """
    verb = _verb(actor, action, label_id, reason)
    ids = list(dict.fromkeys(conversation_ids))
    if not 1 <= len(ids) <= MOST:
        raise Malformed(f"Name 1 to {MOST} conversations.")
    return [_do(verb, conversation_id) for conversation_id in ids]


def _do(verb: Callable[..., Outcome], conversation_id: int) -> BulkResult:
    try:
        return BulkResult(conversation_id, outcome=verb(conversation_id=conversation_id))
    except DomainError as error:
        return BulkResult(conversation_id, problem=error)
    except Exception as error:  # the conversations before and after this one must still be done and reported
        error_id = uuid4().hex[:12]
        log.error("error %s in conversation %s of many", error_id, conversation_id, exc_info=error)
        return BulkResult(conversation_id, problem=InternalError(error_id=error_id))


def _verb(actor: Actor, action: str, label_id: int | None, reason: str) -> Callable[..., Outcome]:
    if action not in set(BulkAction):
        raise Malformed(f"Unknown action {action!r}; use one of {', '.join(BulkAction)}.")
    bulk_action = BulkAction(action)
    verb = _VERBS[bulk_action]
    if (label_id is not None) != (bulk_action in _WITH_LABEL):
        raise Malformed("Name the label to put on or take off, and for nothing else.")
    if label_id is not None:
        access.may_label(actor)
        return partial(verb, actor=actor, label_id=label_id)
    access.must_be_agent(actor)
    return partial(verb, actor=actor, **({_WITH_REASON[bulk_action]: reason} if bulk_action in _WITH_REASON else {}))


def _accept(*, actor: Actor, conversation_id: int) -> Outcome:
    """Accept the pending transfer; where none is pending, the one by which the actor serves already (a repeat)."""
    moves = Transfer.objects.filter(conversation_id=conversation_id, tenant_id=actor.tenant_id)
    own_offer = Q(kind=TransferKind.HANDOVER, from_kind=ActorKind.AGENT, from_id=actor.pk)
    waiting = moves.filter(~own_offer, status=TransferStatus.PENDING).order_by("pk").first()
    served = moves.filter(accepted_by=actor.pk, session__agent=actor.pk, session__status__in=sorted(LIVE))
    transfer = waiting or served.order_by("pk").last()
    if transfer is None:
        visible.conversation(actor, conversation_id)
        raise NotQueued
    return transfers.accept_transfer(actor=actor, transfer_id=transfer.pk)


_VERBS: dict[BulkAction, Callable[..., Outcome]] = {
    BulkAction.ACCEPT: _accept,
    BulkAction.TAKE_OVER: takeovers.take_over,
    BulkAction.RELEASE: takeovers.release_to_bot,
    BulkAction.RESOLVE: conversations.resolve,
    BulkAction.ACKNOWLEDGE: conversations.acknowledge,
    BulkAction.LABEL: labels.label,
    BulkAction.UNLABEL: labels.unlabel,
    BulkAction.PIN: conversations.pin,
    BulkAction.UNPIN: conversations.unpin,
    BulkAction.TODO: conversations.todo,
    BulkAction.UNTODO: conversations.untodo,
    BulkAction.MARK_URGENT: conversations.mark_urgent,
    BulkAction.UNMARK_URGENT: conversations.unmark_urgent,
}
_WITH_LABEL = (BulkAction.LABEL, BulkAction.UNLABEL)
_WITH_REASON = {BulkAction.RESOLVE: "reason", BulkAction.RELEASE: "summary", BulkAction.TAKE_OVER: "reason"}
