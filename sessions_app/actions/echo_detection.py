"""Recognises our own messages in a channel's echoes. Some channels echo not only what people type in the shop's own
app, but also what we gave them to send: such an echo is that message again, and nobody of the shop has spoken."""

from __future__ import annotations

import unicodedata
from datetime import timedelta

from messaging_app.models import Message, Operation
from messaging_app.thread import MessageIdTaken, NewMessage
from sessions_app.core.locked_conversation import LockedConversation

ECHO_WITHIN = timedelta(minutes=10)
"""How long after a message its echo may come: channels echo within seconds, but a queue may be behind."""
ECHO_LOOKS = 50
"""The number of newest messages that an echo is compared with."""

_OURS = (Message.Sender.BOT, Message.Sender.AGENT)


def recognized(locked: LockedConversation, words: NewMessage) -> Message | None:
    """The message that this echo repeats, on record as `message.echoed`; None when somebody of the shop has spoken.

    A bot or an agent sent it from here within `ECHO_WITHIN`, with the same text (in NFC, white space aside), and it was
    not echoed before; of several, the oldest. The echo's own id is recorded: the same id again is the same message for
    ever. Raises `MessageIdTaken` for that id with another text.
    """
    echoes = Operation.objects.filter(conversation=locked.conversation, type="message.echoed")
    if words.message_id:
        for pk in echoes.filter(data__echo_id=words.message_id).values_list("data__message", flat=True)[:1]:
            message = Message.objects.get(pk=pk)
            if words.attachments or _compared(words.content) != _compared(message.content):
                raise MessageIdTaken
            return message
    content, since = _compared(words.content), locked.now - ECHO_WITHIN
    if not content or words.attachments:
        return None
    operations = Operation.objects.filter(conversation=locked.conversation, type="message.created").order_by("-seq")
    ours = [
        operation.message_pk
        for operation in operations.filter(at__gte=since)[:ECHO_LOOKS]
        if operation.message_pk is not None
        and operation.data.get("sender_type") in _OURS
        and not operation.data.get("is_note")
    ]
    if not ours:
        return None
    came_back = set(echoes.filter(at__gte=since).values_list("data__message", flat=True))
    for message in Message.objects.filter(pk__in=ours).order_by("seq"):
        if message.pk not in came_back and _compared(message.content) == content:
            data = {"message": message.pk, "message_id": message.message_id, "echo_id": words.message_id}
            locked.record("message.echoed", locked.live, **data)
            return message
    return None


def _compared(content: str) -> str:
    return " ".join(unicodedata.normalize("NFC", content).split())
