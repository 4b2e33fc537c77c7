"""Messages that reach a live endpoint long after they were sent (`LATE_MESSAGE`): stored at their time, unanswered."""

from __future__ import annotations

from messaging_app.thread import NewMessage
from sessions_app.actions import batches
from sessions_app.actions.messages import append_message, keep_answer
from sessions_app.core.locked_conversation import LockedConversation, Outcome


def is_late(locked: LockedConversation, words: NewMessage) -> bool:
    return words.sent_at is not None and words.sent_at < locked.now - locked.policies.late_message


def as_history(locked: LockedConversation, words: NewMessage, sender_type: str) -> Outcome:
    """Store the message among the sessions, like a row of a batch; it raises no need, and moves no turn."""
    message, operation = append_message(locked, words, sender_type, session=None, is_late=True)
    batches.group_late(locked, message)
    message.refresh_from_db(fields=["session_id"])
    keep_answer(locked, operation, None)
    operation.data["answer"]["session_id"] = message.session_id
    return Outcome(
        conversation_id=locked.conversation.pk,
        seq=message.seq,
        **operation.data["answer"],
        message_id=message.message_id,
        detail={"is_history": True},
    )
