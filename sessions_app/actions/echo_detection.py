"""Our own words coming back: some channels tell as an echo not only what people type in the shop's own app, but also
what they were given to send. Such an echo is the message that it echoes, and nobody of the shop has spoken."""

from __future__ import annotations

import unicodedata
from datetime import timedelta

from messaging_app.models import Message, Operation
from messaging_app.thread import MessageIdTaken, NewMessage
from sessions_app.core.locked_conversation import LockedConversation

ECHO_WITHIN = timedelta(minutes=10)
"""How long after something was said here an echo of it may come: channels tell within seconds, a queue may be behind."""
ECHO_LOOKS = 50
"""Of the newest messages, how many are looked at."""

_OURS = (Message.Sender.BOT, Message.Sender.AGENT)


def recognized(locked: LockedConversation, words: NewMessage) -> Message | None:
    """The message that this echo is of, on record as `message.echoed`; None when somebody of the shop has spoken.

    It is one that a bot or an agent said by us within `ECHO_WITHIN` in the same words (composed alike, white space
    aside), that has not come back before; of several the oldest. The id under which it came back stays with the record:
    the same id again is the same message, for ever, and with other words `MessageIdTaken`.
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
    said = Operation.objects.filter(conversation=locked.conversation, type="message.created").order_by("-seq")
    ours = [
        o.message_pk
        for o in said.filter(at__gte=since)[:ECHO_LOOKS]
        if o.message_pk is not None and o.data.get("sender_type") in _OURS and not o.data.get("is_note")
    ]
    if not ours:
        return None
    came_back = set(echoes.filter(at__gte=since).values_list("data__message", flat=True))
    for message in Message.objects.filter(pk__in=ours).order_by("seq"):
        if message.pk not in came_back and _compared(message.content) == content:
            told = {"message": message.pk, "message_id": message.message_id, "echo_id": words.message_id}
            locked.record("message.echoed", locked.live, **told)
            return message
    return None


def _compared(content: str) -> str:
    return " ".join(unicodedata.normalize("NFC", content).split())
