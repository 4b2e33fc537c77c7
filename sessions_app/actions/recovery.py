"""After an outage (C5): the state of a session for the bot or agent that comes back."""

from __future__ import annotations

from dataclasses import dataclass

from agents_app.actors import Actor, ActorKind
from messaging_app.events import message_ids
from messaging_app.models import Controller, Message, Operation
from sessions_app.errors import Forbidden, Malformed
from sessions_app.models import ChatSession
from sessions_app.promises import unanswered
from sessions_app.rights import access, visible
from sessions_app.states import TERMINAL, Status
from sessions_app.unit.unit_of_work import locked_conversation, verb

MOST = 500
"""Operations of one page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryState:
    """`state` is yours, paused, waiting, moved or ended; `owner_name` says to whom it moved.

    `missed` is a page of operations, `messages` are those that these operations recorded. Where `has_more`, the next
    page begins after `next_after_seq`; otherwise the next recovery does. `unanswered` are the customer's messages that
    nobody has answered, if the caller has the turn. All of them are in the order of `seq`.
    """

    state: str
    session_id: int
    conversation_id: int
    status: str
    controller: str
    epoch: int
    seq: int
    owner_name: str
    missed: list[Operation]
    messages: list[Message]
    unanswered: list[Message]
    has_more: bool
    next_after_seq: int


@verb
def recover(*, actor: Actor, session_id: int, after_seq: int = 0, limit: int = MOST) -> RecoveryState:
    """What became of a session while the caller was away, and what the caller may read of it since `after_seq`.

    A page of at most `limit` operations, 1 to `MOST`, none newer than the returned state. Raises `Malformed`,
    `Forbidden`.
    """
    if not 1 <= limit <= MOST:
        raise Malformed(f"limit is a number from 1 to {MOST}.")
    with locked_conversation(actor, session_id=session_id) as locked:
        session = locked.session(session_id)
        _may_ask(actor, session)
        locked.rule = "C5"
        state = _state(actor, session)
        owed = unanswered.unanswered_messages(locked) if _has_the_turn(state, locked.conversation.controller) else []
    conversation = locked.conversation
    missed = visible.operations(actor).filter(
        conversation_id=conversation.pk, seq__gt=after_seq, seq__lte=conversation.seq
    )
    page = list(missed.order_by("seq")[: limit + 1])
    has_more, page = len(page) > limit, page[:limit]
    readable = visible.messages(actor).filter(conversation_id=conversation.pk).prefetch_related("attachments")
    return RecoveryState(
        state=state,
        session_id=session.pk,
        conversation_id=conversation.pk,
        status=session.status,
        controller=conversation.controller,
        epoch=conversation.epoch,
        seq=conversation.seq,
        owner_name=access.visible_owner_name(actor, session),
        missed=page,
        messages=list(readable.filter(pk__in=message_ids(page)).order_by("seq", "pk")),
        unanswered=list(readable.filter(pk__in=[message.pk for message in owed]).order_by("seq", "pk")),
        has_more=has_more,
        next_after_seq=page[-1].seq if has_more else max(after_seq, conversation.seq),
    )


def _may_ask(actor: Actor, session: ChatSession) -> None:
    if actor.kind == ActorKind.BOT and session.bot_id != actor.id:
        raise Forbidden("This session belongs to another bot.")
    if actor.kind in (ActorKind.CUSTOMER, ActorKind.PARTICIPANT):
        raise Forbidden


def _state(actor: Actor, session: ChatSession) -> str:
    if session.status in TERMINAL:
        return "ended"
    if session.status == Status.PAUSED:
        return "paused"
    if session.status == Status.PENDING:
        return "waiting"
    is_own = session.owner_id == actor.id and session.owner_kind == actor.kind
    return "yours" if is_own else "moved"


def _has_the_turn(state: str, controller: str) -> bool:
    """Whether the caller may answer: the session is the caller's (so it is live), and no flow has the turn."""
    return state == "yours" and controller != Controller.FLOW
