"""The thread of a conversation: putting words into it, reading them, and how far each agent has read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from django.db import IntegrityError
from django.db.models import QuerySet

from agents_app.actors import Actor
from config.db import TryAgain
from config.errors import Conflict, Malformed, NotFound
from messaging_app.attachments import rows as attachments
from messaging_app.attachments.models import Attachment
from messaging_app.models import Conversation, Message, ReadCursor

MAX_CONTENT = 20_000
"""Characters. Longer than any chat platform sends; bounds what one row can cost."""
MAX_ID = 191


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What somebody says, as a door received it. `attachments` are the ids of what the same sender has uploaded."""

    content: str
    message_id: str = ""
    sender_name: str = ""
    sent_at: datetime | None = None
    attachments: tuple[int, ...] = ()

    @property
    def is_blank(self) -> bool:
        """Nothing is said, and nothing shown."""
        return not self.content.strip() and not self.attachments


def checked(words: Words) -> Words:
    """Raises `Malformed` when there is nothing to say, or too much."""
    if words.is_blank:
        raise Malformed("A message needs text.")
    if len(words.attachments) > attachments.MOST:
        raise Malformed(f"A message holds at most {attachments.MOST} attachments.")
    if len(set(words.attachments)) < len(words.attachments):
        raise Malformed("A message holds an attachment once.")
    if len(words.content) > MAX_CONTENT:
        raise Malformed(f"A message holds at most {MAX_CONTENT} characters; this one has {len(words.content)}.")
    if "\x00" in words.content:
        raise Malformed("A message cannot hold the character NUL.")
    _checked_id(words.message_id)
    return words


def _checked_id(message_id: str) -> None:
    if len(message_id) > MAX_ID:
        raise Malformed(f"message_id holds at most {MAX_ID} characters.")
    if "\x00" in message_id:
        raise Malformed("message_id cannot hold the character NUL.")


def find(conversation: Conversation, message_id: str) -> Message | None:
    """The message stored under this id. Raises `Conflict` when another conversation has it, `Malformed` for no id."""
    if not message_id:
        return None
    _checked_id(message_id)
    known = Message.objects.filter(
        tenant_id=conversation.tenant_id, platform=conversation.platform, message_id=message_id
    ).first()
    if known is not None and known.conversation_id != conversation.pk:
        raise Conflict(f"message_id {message_id!r} belongs to another conversation.", reason="message_id_taken")
    return known


def append(
    conversation: Conversation,
    words: Words,
    *,
    sender_type: str,
    actor: Actor,
    seq: int,
    now: datetime,
    session_id: int | None,
    is_note: bool = False,
    attached: Sequence[Attachment] = (),
) -> Message:
    """Store one thing said, under the conversation's lock. The caller has looked for a repeat with `find`.

    `attached` goes with it. Raises `TryAgain` when another conversation stored this id meanwhile: the next attempt will
    find it.
    """
    message = Message(
        tenant_id=conversation.tenant_id,
        conversation=conversation,
        session_id=session_id,
        platform=conversation.platform,
        message_id=words.message_id or uuid4().hex,
        sender_type=sender_type,
        sender_id=str(actor.id or ""),
        sender_name=(words.sender_name or actor.name)[:200],
        is_note=is_note,
        content=words.content,
        sent_at=min(words.sent_at or now, now),  # a sender's clock ahead of ours must not put words into the future
        seq=seq,
    )
    try:
        message.save(force_insert=True)
    except IntegrityError as error:
        raise TryAgain(f"message_id {message.message_id!r} was stored just now") from error
    attachments.bind(attached, message)
    if not is_note and sender_type != Message.Sender.SYSTEM:  # the list shows what people say
        conversation.last_text = in_short(words.content, attached)
        conversation.last_sender = sender_type
    conversation.last_activity_at = now
    return message


def in_short(content: str, attached: Sequence[Attachment]) -> str:
    """What a list shows of a message: its words, or the names of what came without any."""
    return (content if content.strip() else attachments.names(attached))[:200]


def messages(conversation_id: int, *, notes: bool) -> QuerySet[Message]:
    """A conversation's messages in the order they were said, with their attachments. `notes` only for agents."""
    said = Message.objects.filter(conversation_id=conversation_id).order_by("sent_at", "id")
    said = said.prefetch_related("attachments")
    return said if notes else said.filter(is_note=False)


def mark_read(*, actor: Actor, conversation_id: int, seq: int) -> None:
    """Move an agent's read cursor forward, never back. Raises `NotFound`, also for another tenant's conversation."""
    if not Conversation.objects.filter(pk=conversation_id, tenant_id=actor.tenant_id).exists():
        raise NotFound("There is no such conversation.")
    cursor, _ = ReadCursor.objects.get_or_create(agent_id=actor.pk, conversation_id=conversation_id)
    ReadCursor.objects.filter(pk=cursor.pk, seq__lt=seq).update(seq=seq)
