"""What reaches a live door long after it was said (`LATE_MESSAGE`): stored at its time, and nobody is asked to answer it."""

from __future__ import annotations

from messaging_app.thread import Words
from sessions_app.actions import batches
from sessions_app.actions.talk import keep_answer, say
from sessions_app.turn import Outcome, Turn


def is_late(turn: Turn, words: Words) -> bool:
    return words.sent_at is not None and words.sent_at < turn.now - turn.policies.late_message


def as_history(turn: Turn, words: Words, sender_type: str) -> Outcome:
    """Stored among the sessions like a row of a batch; it raises nothing, and moves no turn."""
    message, said = say(turn, words, sender_type, session=None, is_late=True)
    batches.group_late(turn, message)
    message.refresh_from_db(fields=["session_id"])
    keep_answer(turn, said, None)
    said.data["answer"]["session_id"] = message.session_id
    return Outcome(
        conversation_id=turn.conversation.pk,
        seq=message.seq,
        **said.data["answer"],
        message_id=message.message_id,
        detail={"is_history": True},
    )
