"""By when whoever has the turn must have said something: a bot to a customer who waits, an agent after taking over.

Derived at the end of every verb from what the verb recorded, so that no verb has to think of it. Both are off unless
set: `turn_timeout` of the bot, `first_reply_timeout` of the team. What happens when it passes is in `timers`.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from messaging_app.events import MESSAGE_CREATED
from messaging_app.models import Message, Operation
from sessions_app.models import ChatSession
from sessions_app.states import Owner
from sessions_app.turn import Turn


def follow(turn: Turn) -> None:
    """Set or clear `reply_due_at` of the sessions that this verb has moved, or in which it has spoken."""
    for session in turn.sessions:
        due = session.reply_due_at
        for operation in turn.operations:
            if operation.session_id == session.pk:
                due = _after(turn, session, operation, due)
        if not session.is_live:
            due = None
        if due != session.reply_due_at:
            session.reply_due_at = due
            session.save(update_fields=["reply_due_at"])


def _after(turn: Turn, session: ChatSession, operation: Operation, due: datetime | None) -> datetime | None:
    if operation.type == MESSAGE_CREATED:
        if operation.data["is_note"]:
            return due
        if operation.data["sender_type"] == Message.Sender.CUSTOMER:
            return due or _patience_with_bot(turn, session)
        return None
    if "owner_kind" not in operation.data:
        return due
    if session.owner_kind == Owner.AGENT:
        wait = session.team.first_reply_timeout if session.team else 0
        return turn.now + timedelta(seconds=wait) if wait else None
    asked = turn.conversation.last_sender == Message.Sender.CUSTOMER
    return _patience_with_bot(turn, session) if asked else None


def _patience_with_bot(turn: Turn, session: ChatSession) -> datetime | None:
    if session.owner_kind != Owner.BOT or session.bot is None or not session.bot.turn_timeout:
        return None
    return turn.now + timedelta(seconds=session.bot.turn_timeout)
