"""The thread of a conversation: storing messages, reading them, and how far each agent has read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import uuid4

from django.db.models import QuerySet

from agents_app.actors import Actor, ActorKind
from config import bulk_rows, limits, statements
from config.errors import Conflict, Malformed, NotFound
from messaging_app import incoming
from messaging_app.attachments import rows as attachments
from messaging_app.events import MESSAGE_CREATED
from messaging_app.models import Conversation, Message, Operation, ReadCursor
from messaging_app.models.attachments import Attachment


class MessageIdTaken(Conflict):
    code, message = "message_id_taken", "This message_id names another message; nothing was stored."


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMessage:
    """A message as a door received it. `attachments` are the ids of files that the same sender has uploaded."""

    content: str
    message_id: str = ""
    sender_name: str = ""
    sent_at: datetime | None = None
    attachments: tuple[int, ...] = ()

    @property
    def is_blank(self) -> bool:
        """True without text and without attachments."""
        return not self.content.strip() and not self.attachments


def normalized(words: NewMessage) -> NewMessage:
    """The message as it is stored or looked up, by the rules of `incoming`. Raises `Malformed` for what they refuse."""
    return replace(
        words,
        content=incoming.content(words.content),
        message_id=incoming.identifier(words.message_id, "message_id") if words.message_id else "",
        sender_name=incoming.person_name(words.sender_name),
        sent_at=incoming.sent_time(words.sent_at) if words.sent_at else None,
    )


def checked(words: NewMessage) -> NewMessage:
    """The message as it is stored. Raises `Malformed` for a blank one, and for too many or repeated attachments."""
    words = normalized(words)
    if words.is_blank:
        raise Malformed("A message needs text.")
    if len(words.attachments) > attachments.MOST:
        raise Malformed(f"A message holds at most {attachments.MOST} attachments.")
    if len(set(words.attachments)) < len(words.attachments):
        raise Malformed("A message holds an attachment once.")
    return words


def find(conversation: Conversation, words: NewMessage, *, sender_type: str, actor: Actor) -> Message | None:
    """The stored message that is sent here once more; None when it is new. `words` are normalised.

    An id names one message: raises `MessageIdTaken` when the stored one differs in conversation, sender, text or
    attachments. A note that is repeated as a reply stays a note, so that a retry at the wrong verb publishes nothing.
    """
    if not words.message_id:
        return None
    known = Message.objects.filter(
        tenant_id=conversation.tenant_id, platform=conversation.platform, message_id=words.message_id
    ).first()
    if known is None:
        return None
    if (known.conversation_id, known.content) != (conversation.pk, words.content):
        raise MessageIdTaken
    if sender_type == Message.Sender.SHOP and known.sender_type in (Message.Sender.BOT, Message.Sender.AGENT):
        return known  # the channel's echo of our own message, under the id that we gave it
    if known.sender_type != sender_type:
        raise MessageIdTaken
    if sender_type in _SPEAK_AS_THEMSELVES and not _said_by(known, actor):
        raise MessageIdTaken
    attached = (
        set(known.attachments.values_list("pk", flat=True)) if words.attachments or not words.content.strip() else set()
    )
    if set(words.attachments) != attached:
        raise MessageIdTaken
    return known


_SPEAK_AS_THEMSELVES = (Message.Sender.BOT, Message.Sender.AGENT, Message.Sender.PARTICIPANT)
"""Senders with a credential of their own. Messages of customers and the shop come with the channel's credential."""


def _said_by(known: Message, actor: Actor) -> bool:
    """Whether the actor sent a message. A batch has the channel's ids of senders: there only the type is compared."""
    creation = Operation.objects.filter(conversation_id=known.conversation_id, seq=known.seq)
    who = creation.values_list("type", "actor_kind", "actor_id").first()
    return who is None or who[0] != MESSAGE_CREATED or who[1:] == (actor.kind.value, actor.id)


def _sender_name(words: NewMessage, sender_type: str, conversation: Conversation, actor: Actor) -> str:
    """The sender's name to store. A customer or person of the shop never gets the name of the key that was used."""
    if sender_type in (Message.Sender.AGENT, Message.Sender.PARTICIPANT, Message.Sender.SYSTEM):
        return actor.name
    if sender_type == Message.Sender.BOT:
        return words.sender_name or actor.name
    if sender_type == Message.Sender.CUSTOMER:
        own = actor.name if actor.kind == ActorKind.CUSTOMER else ""
        return words.sender_name or conversation.customer_name or own
    return words.sender_name


def append(
    conversation: Conversation,
    words: NewMessage,
    *,
    sender_type: str,
    actor: Actor,
    seq: int,
    now: datetime,
    session_id: int | None,
    is_note: bool = False,
    is_late: bool = False,
    attached: Sequence[Attachment] = (),
) -> Message:
    """Store a message, under the conversation's lock. The caller has looked for a repeat with `find`.

    `attached` is sent with it. A late message is history: the desk's list shows it only if nothing newer was said.
    Raises `TryAgain` when another conversation stored this id meanwhile: the next attempt will find it.
    """
    message = bulk_rows.fresh(
        Message,
        {"conversation": conversation},
        tenant_id=conversation.tenant_id,
        session_id=session_id,
        platform=conversation.platform,
        message_id=words.message_id or uuid4().hex,
        sender_type=sender_type,
        sender_id=str(actor.id or ""),
        sender_name=_sender_name(words, sender_type, conversation, actor)[: limits.MAX_NAME],
        is_note=is_note,
        content=words.content,
        sent_at=incoming.not_later(words.sent_at or now, now),
        seq=seq,
    )
    statements.insert(message, unless_there=f"message_id {message.message_id!r} was stored just now")
    attachments.bind(attached, message)
    newest = conversation.last_activity_at
    if is_late and newest is not None and newest > message.sent_at:
        return message
    if not is_note and sender_type != Message.Sender.SYSTEM:  # the list shows what people say
        conversation.last_text = in_short(words.content, attached)
        conversation.last_sender = sender_type
    conversation.last_activity_at = message.sent_at if is_late else now
    return message


def in_short(content: str, attached: Sequence[Attachment]) -> str:
    """What a list shows of a message: its text, or the names of its attachments if it has none."""
    return (content if content.strip() else attachments.names(attached))[: limits.MAX_PREVIEW]


def messages(conversation_id: int, *, notes: bool) -> QuerySet[Message]:
    """A conversation's messages in the order they were said, with their attachments. `notes` only for agents."""
    rows = Message.objects.filter(conversation_id=conversation_id).order_by("sent_at", "id")
    rows = rows.prefetch_related("attachments")
    return rows if notes else rows.filter(is_note=False)


def mark_read(*, actor: Actor, conversation_id: int, seq: int) -> int:
    """Move an agent's read cursor forward: never back, and never beyond the conversation's last operation.

    Returns `seq`, or the last operation's if smaller. Raises `NotFound`, also for another tenant's conversation.
    """
    here = Conversation.objects.filter(pk=conversation_id, tenant_id=actor.tenant_id)
    newest = here.values_list("seq", flat=True).first()
    if newest is None:
        raise NotFound("There is no such conversation.")
    read = min(seq, newest)
    cursor, _ = ReadCursor.objects.get_or_create(agent_id=actor.pk, conversation_id=conversation_id)
    ReadCursor.objects.filter(pk=cursor.pk, seq__lt=read).update(seq=read)
    return read
