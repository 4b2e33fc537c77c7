"""Reply deadlines: by when a bot must answer a customer who waits, and an agent must reply after taking over.

Derived at the end of every verb, so that no verb has to think of it. Both are off unless set: `turn_timeout` of the
bot, `first_reply_timeout` of the team. What happens when it passes is in `timers`.

A bot has no deadline while it may not speak: while a flow has the turn, while its session is paused or waits. When it
may speak again and the customer still waits, it has its whole time anew. But the same words ask for a human only once:
if nobody came and its bot has the turn back, the conversation is flagged, and the clock starts at the next words.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Subquery

from config import statements
from messaging_app.events import MESSAGE_CREATED
from messaging_app.models import Controller, Message, Operation
from sessions_app.core.locked_conversation import LockedConversation
from sessions_app.models import ChatSession
from sessions_app.states import Owner, TransferStatus

RETURNED = "session.returned"


def follow(locked: LockedConversation) -> None:
    """Set or clear `reply_due_at` of the sessions that this verb has moved, or in which something was said."""
    for session in locked.sessions:
        due = session.reply_due_at
        for operation in locked.operations:
            if operation.session_id == session.pk:
                due = _agent_deadline(locked, session, operation, due)
        if not session.is_live:
            due = None
        elif session.owner_kind == Owner.BOT:
            due = _bot_deadline(locked, session, due)
        if due != session.reply_due_at:
            session.reply_due_at = due
            statements.update(session, "reply_due_at")


def _agent_deadline(
    locked: LockedConversation, session: ChatSession, operation: Operation, due: datetime | None
) -> datetime | None:
    """An agent's deadline after one of the verb's operations; a new owner's begins anew."""
    if operation.type == MESSAGE_CREATED:
        is_answer = not operation.data["is_note"] and operation.data["sender_type"] != Message.Sender.CUSTOMER
        return None if is_answer else due
    if "owner_kind" not in operation.data or operation.type == "session.ending_soon":
        return due
    wait = session.team.first_reply_timeout if session.owner_kind == Owner.AGENT and session.team else 0
    return locked.now + timedelta(seconds=wait) if wait else None


def _bot_deadline(locked: LockedConversation, session: ChatSession, due: datetime | None) -> datetime | None:
    """A bot's deadline; it runs from the first of the customer's words that the bot has not answered."""
    conversation, bot = locked.conversation, session.bot
    is_awaited = conversation.controller == Controller.BOT and conversation.unanswered_since is not None
    if bot is None or not bot.turn_timeout or not is_awaited:
        return None
    if due is None and not _customer_spoke(locked) and _nobody_accepted(locked, session):
        return None
    return due or locked.now + timedelta(seconds=bot.turn_timeout)


def _customer_spoke(locked: LockedConversation) -> bool:
    """Whether the customer says something in this verb."""
    messages = (o.data for o in locked.operations if o.type == MESSAGE_CREATED)
    return any(data["sender_type"] == Message.Sender.CUSTOMER and not data.get("is_history") for data in messages)


def _nobody_accepted(locked: LockedConversation, session: ChatSession) -> bool:
    """Whether nobody accepted the session's last transfer, and the customer has been silent since it came back."""
    last = session.transfers.order_by("-pk").values_list("status", flat=True).first()
    if last not in (TransferStatus.TIMED_OUT, TransferStatus.DECLINED):
        return False
    if any(o.type == RETURNED and o.session_id == session.pk for o in locked.operations):
        return True  # it comes back in this verb, whose operations are not stored yet
    since = Operation.objects.filter(session_id=session.pk, type=RETURNED).order_by("-pk").values("seq")[:1]
    messages = Message.objects.filter(conversation=locked.conversation, sender_type=Message.Sender.CUSTOMER)
    return not messages.filter(seq__gt=Subquery(since)).exists()
