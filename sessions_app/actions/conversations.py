"""What agents do to a conversation without moving it: resolve, pins, to-dos, urgency, flags. No toggles."""

from __future__ import annotations

from agents_app.actors import Actor
from config.db import retried
from messaging_app import thread
from messaging_app.agent_tools import mentions
from sessions_app.actions import lifecycle
from sessions_app.core import oplog
from sessions_app.core.locked_conversation import Outcome
from sessions_app.models import ChatSession
from sessions_app.promises import unanswered
from sessions_app.rights import access
from sessions_app.rights.field_rights import by_role
from sessions_app.states import Status
from sessions_app.unit.unit_of_work import locked_conversation, verb


@verb
def resolve(*, actor: Actor, conversation_id: int, reason: str = "", expected_epoch: int | None = None) -> Outcome:
    """End the session that the actor serves. A repeat answers the same. Raises `NotServing`, `Forbidden`, `StaleEpoch`.

    The customer's unanswered messages are set aside, if the actor has read the newest one; otherwise they wait.
    """
    access.must_be_agent(actor)
    with locked_conversation(actor, conversation_id, expected_epoch=expected_epoch) as locked:
        live = locked.live
        if live is None or not live.is_human_served:
            ended = ChatSession.objects.filter(conversation=locked.conversation, ended_at__isnull=False)
            last = ended.order_by("-ended_at", "-pk").first()
            is_own = last is not None and last.agent_id == actor.id  # a bot may have the turn again since
            if last and last.status == Status.COMPLETED and (is_own or not locked.sessions):
                return locked.outcome(last, is_repeat=True)
        access.must_own(actor, live)
        assert live is not None
        if locked.conversation.is_urgent:
            locked.conversation.is_urgent = False
            locked.record("conversation.urgent_cleared", live)
        lifecycle.complete(locked, live, outcome="success", reason=reason, set_aside=unanswered.is_read(locked))
    return locked.outcome(live)


def _mark(actor: Actor, conversation_id: int, column: str, is_set: bool, operation: str) -> Outcome:
    """Set or clear a mark. Where it is set or clear already nothing is recorded, so that a repeat is harmless."""
    access.must_be_agent(actor)
    with locked_conversation(actor, conversation_id) as locked:
        conversation = locked.conversation
        if bool(getattr(conversation, column)) != is_set:
            value = is_set if column == "is_urgent" else (locked.now if is_set else None)
            setattr(conversation, column, value)
            locked.record(operation, locked.live)
    return locked.outcome(locked.live)


@verb
def pin(*, actor: Actor, conversation_id: int) -> Outcome:
    return _mark(actor, conversation_id, "pinned_at", True, "conversation.pinned")


@verb
def unpin(*, actor: Actor, conversation_id: int) -> Outcome:
    return _mark(actor, conversation_id, "pinned_at", False, "conversation.unpinned")


@verb
def todo(*, actor: Actor, conversation_id: int) -> Outcome:
    return _mark(actor, conversation_id, "todo_at", True, "conversation.todo_set")


@verb
def untodo(*, actor: Actor, conversation_id: int) -> Outcome:
    return _mark(actor, conversation_id, "todo_at", False, "conversation.todo_cleared")


@verb
def mark_urgent(*, actor: Actor, conversation_id: int) -> Outcome:
    return _mark(actor, conversation_id, "is_urgent", True, "conversation.urgent_set")


@verb
def unmark_urgent(*, actor: Actor, conversation_id: int) -> Outcome:
    return _mark(actor, conversation_id, "is_urgent", False, "conversation.urgent_cleared")


@verb
def raise_flag(*, actor: Actor, conversation_id: int, reason: str = "") -> Outcome:
    """Flag a conversation as needing a human, without moving it."""
    with locked_conversation(actor, conversation_id) as locked:
        access.may_escalate(actor, locked.live)
        oplog.flag(
            locked, {"effect": "flag", "kind": "raised", "reason": reason, "by": actor.name, "by_kind": str(actor.kind)}
        )
    return locked.outcome(locked.live)


@verb
def acknowledge(*, actor: Actor, conversation_id: int) -> Outcome:
    """Clear the flag of a conversation: a human has looked at it.

    Where nobody could answer, the customer's messages are set aside too: they need no answer. A bot whose turn it is
    still owes one.
    """
    access.must_be_agent(actor)
    with locked_conversation(actor, conversation_id) as locked:
        clear = oplog.set_aside if unanswered.nobody_can_answer(locked.conversation) else oplog.unflag
        clear(locked, f"{actor.name} looked at it")
    return locked.outcome(locked.live)


@retried
@by_role
def mark_read(*, actor: Actor, conversation_id: int, seq: int) -> None:
    """Record how far an agent has read: operation `seq`, or the last one there is. It only moves forward.

    Mentions of the agent up to there are read too. It is no operation, because nothing about the turn changes.
    """
    access.must_be_agent(actor)
    read = thread.mark_read(actor=actor, conversation_id=conversation_id, seq=seq)
    mentions.read_up_to(actor=actor, conversation_id=conversation_id, seq=read)
