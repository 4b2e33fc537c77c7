"""What reaches a live door long after it was said (`LATE_MESSAGE`): stored at its time, and nobody is asked to answer it."""

from __future__ import annotations

from messaging_app.thread import NewMessage
from sessions_app.actions import batches
from sessions_app.actions.messages import append_message, keep_answer
from sessions_app.core.locked_conversation import LockedConversation, Outcome


def is_late(locked: LockedConversation, words: NewMessage) -> bool:
    return words.sent_at is not None and words.sent_at < locked.now - locked.policies.late_message


def as_history(locked: LockedConversation, words: NewMessage, sender_type: str) -> Outcome:
    """Stored among the sessions like a row of a batch; it raises nothing, and moves no turn."""
    message, said = append_message(locked, words, sender_type, session=None, is_late=True)
    batches.group_late(locked, message)
    message.refresh_from_db(fields=["session_id"])
    keep_answer(locked, said, None)
    said.data["answer"]["session_id"] = message.session_id
    return Outcome(
        conversation_id=locked.conversation.pk,
        seq=message.seq,
        **said.data["answer"],
        message_id=message.message_id,
        detail={"is_history": True},
    )
