"""Files of a conversation: uploaded before a message sends them, or discarded. `messages` and `inbound` send them.

An upload changes nothing that anybody else sees, so it is no operation; the message that sends it is, with its digest.
The file is examined and stored between two short locks of the conversation, never under one.
"""

from __future__ import annotations

from typing import IO
from uuid import uuid4

from django.db import IntegrityError

from agents_app.actors import Actor
from config import limits
from config.errors import DomainError, TryAgain
from messaging_app import incoming
from messaging_app.attachments import content, files, names, rows
from messaging_app.attachments.content import Content
from messaging_app.attachments.errors import AttachmentNotFound, TooManyUnsent, UploadIdTaken
from messaging_app.models.attachments import Attachment
from sessions_app.core.locked_conversation import LockedConversation
from sessions_app.rights import access
from sessions_app.rights.field_rights import by_role
from sessions_app.unit.unit_of_work import locked_conversation, verb


@by_role
def upload(
    *, actor: Actor, conversation_id: int, file: IO[bytes], size: int, sha256: str, name: str, client_id: str = ""
) -> Attachment:
    """Upload a file, to be sent with a message later. Anybody who may speak there may; see `access.may_attach`.

    `size` is in bytes. The same `client_id` again returns the same attachment. Raises what `content.examined` and the
    two verbs below raise, and `StorageFailed`.
    """
    client_id = incoming.identifier(client_id, "client_id") if client_id else ""
    known = admit_upload(actor=actor, conversation_id=conversation_id, sha256=sha256, size=size, client_id=client_id)
    if known is not None:
        return known
    examined = content.examined(file, size)
    key = files.keep(file, examined, tenant_id=actor.tenant_id)
    try:
        entered = enter_upload(
            actor=actor,
            conversation_id=conversation_id,
            examined=examined,
            key=key,
            size=size,
            sha256=sha256,
            name=name,
            client_id=client_id,
        )
    except DomainError:  # another error may come after the commit: then the file stays; at worst no row names it
        files.drop(key)
        raise
    if entered.storage_key != key:  # the same upload from two sides at once: the other was first
        files.drop(key)
    return entered


@verb
def admit_upload(
    *, actor: Actor, conversation_id: int, sha256: str, size: int, client_id: str = ""
) -> Attachment | None:
    """Check that an upload may begin. Returns the earlier attachment for a repeat, None for a new one.

    Raises `NotFound`, `NotServing`, `Forbidden`, `TooManyFiles`, `TooManyUnsent`, `UploadIdTaken`.
    """
    with locked_conversation(actor, conversation_id) as locked:
        return _known(locked, sha256, size, client_id)


@verb
def enter_upload(
    *,
    actor: Actor,
    conversation_id: int,
    examined: Content,
    key: str,
    size: int,
    sha256: str,
    name: str,
    client_id: str = "",
) -> Attachment:
    """Create the row of the file stored under `key`, after the same checks. Returns the earlier one for a repeat."""
    with locked_conversation(actor, conversation_id) as locked:
        known = _known(locked, sha256, size, client_id)
        if known is not None:
            return known
        row = Attachment(
            tenant_id=actor.tenant_id,
            conversation=locked.conversation,
            name=names.safe(name, examined.media_type),
            media_type=examined.media_type,
            size=size,
            sha256=sha256,
            width=examined.width,
            height=examined.height,
            has_preview=bool(examined.preview),
            storage_key=key,
            uploader_kind=actor.kind.value,
            uploader_id=actor.pk,
            uploader_name=actor.name[: limits.MAX_NAME],
            client_id=client_id or uuid4().hex,
            created_at=locked.now,
        )
        try:
            row.save(force_insert=True)
        except IntegrityError as error:
            raise TryAgain("this upload was entered just now") from error
    return row


def _known(locked: LockedConversation, sha256: str, size: int, client_id: str) -> Attachment | None:
    """Under the lock: check right and room. Returns what was uploaded with this `client_id` before, if anything."""
    access.may_attach(locked)
    own = rows.by(locked.actor).filter(conversation=locked.conversation)
    known = own.filter(client_id=client_id).first() if client_id else None
    if known is not None and known.sha256 != sha256:
        raise UploadIdTaken
    if known is None and own.filter(message=None).count() >= rows.MOST_UNSENT:
        raise TooManyUnsent(f"Send or remove some of your {rows.MOST_UNSENT} files first.", most=rows.MOST_UNSENT)
    if known is None:
        rows.check_room(locked.conversation, size)
    return known


@verb
def discard(*, actor: Actor, attachment_id: int) -> None:
    """Delete a file that the actor has uploaded and not sent. Raises `AttachmentNotFound`, `AttachmentSent`."""
    attachment = rows.by(actor).filter(pk=attachment_id).first()
    if attachment is None:
        raise AttachmentNotFound
    with locked_conversation(actor, attachment.conversation_id):
        rows.discard(attachment)
