"""The rows of attachments: which wait to be sent, go with a message or are deleted, and what events say of one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Q, QuerySet, Sum

from agents_app import loops
from agents_app.actors import Actor
from config import clock
from config.errors import TryAgain
from messaging_app.attachments import files
from messaging_app.attachments.errors import AttachmentNotFound, AttachmentSent, TooManyFiles
from messaging_app.models import Conversation, Message
from messaging_app.models.attachments import Attachment

LOOP = "forget-attachments"
MOST = 10
"""Attachments of one message."""
MOST_UNSENT = 50
"""Files that one uploader may have waiting in one conversation."""


def by(actor: Actor) -> QuerySet[Attachment]:
    """What this actor has uploaded."""
    return Attachment.objects.filter(tenant_id=actor.tenant_id, uploader_kind=actor.kind, uploader_id=actor.pk)


def check_room(conversation: Conversation, size: int) -> None:
    """Raises `TooManyFiles` if a file of `size` bytes has no room along with all others, sent or not.

    Called under the conversation's lock. The tenant's sum is under no lock, so uploads at the same moment in several of
    its conversations may exceed the bound by their own size.
    """
    in_conversation = Attachment.objects.filter(conversation=conversation).aggregate(
        files=Count("pk"), bytes=Sum("size")
    )
    in_tenant = Attachment.objects.filter(tenant_id=conversation.tenant_id).aggregate(bytes=Sum("size"))
    for bound, most, would_be in (
        ("ATTACHMENT_CONVERSATION_FILES", settings.ATTACHMENT_CONVERSATION_FILES, in_conversation["files"] + 1),
        (
            "ATTACHMENT_CONVERSATION_BYTES",
            settings.ATTACHMENT_CONVERSATION_BYTES,
            (in_conversation["bytes"] or 0) + size,
        ),
        ("ATTACHMENT_TENANT_BYTES", settings.ATTACHMENT_TENANT_BYTES, (in_tenant["bytes"] or 0) + size),
    ):
        if would_be > most:
            raise TooManyFiles(f"{bound} is {most:,}, and this file would be over it.", bound=bound, most=most)


def waiting(conversation: Conversation, ids: Sequence[int], *, actor: Actor) -> list[Attachment]:
    """These attachments, in the order they are named, each the actor's own and not sent yet.

    Raises `AttachmentNotFound`, `AttachmentSent`.
    """
    if not ids:
        return []
    own = {row.pk: row for row in by(actor).filter(conversation=conversation, pk__in=ids)}
    for pk in ids:
        if pk not in own:
            raise AttachmentNotFound(attachment_id=str(pk))
        if own[pk].message_id is not None:
            raise AttachmentSent(attachment_id=str(pk))
    return [own[pk] for pk in ids]


def bind(attached: Iterable[Attachment], message: Message) -> None:
    """Send these with a message, under the conversation's lock. Raises `TryAgain` if one was just sent or deleted."""
    for place, row in enumerate(attached):
        if not Attachment.objects.filter(pk=row.pk, message=None).update(message=message, place=place):
            raise TryAgain(f"attachment {row.pk} was sent or forgotten just now")  # the next attempt says which
        row.message, row.place = message, place


def names(attached: Iterable[Attachment]) -> str:
    """Their names in one line, for places that cannot show a file."""
    return ", ".join(row.name for row in attached)


def as_data(row: Attachment) -> dict[str, Any]:
    """What events and transfers say of an attachment. The addresses need a credential like all others."""
    content = f"/api/v1/attachments/{row.pk}"
    return {
        "id": str(row.pk),
        "name": row.name,
        "media_type": row.media_type,
        "size": row.size,
        "sha256": row.sha256,
        "width": row.width,
        "height": row.height,
        "url": f"{content}/content",
        "preview_url": f"{content}/preview" if row.has_preview else None,
    }


# --- Removing ----------------------------------------------------------------------------------------------------


def discard(row: Attachment) -> None:
    """Delete an attachment that was never sent; the file goes after the commit. Raises `AttachmentSent`."""
    if not Attachment.objects.filter(pk=row.pk, message=None).delete()[0]:
        raise AttachmentSent(attachment_id=str(row.pk))
    transaction.on_commit(partial(files.drop, row.storage_key), robust=True)


def forget(most: int = 1000) -> int:
    """Delete attachments that were not sent in ATTACHMENT_UNSENT seconds, each row before its file; returns how many.

    Two at once are harmless, and so is a message that takes one in the same moment: one of the two wins the row.
    """
    before = clock.now() - timedelta(seconds=settings.TANDEM["ATTACHMENT_UNSENT"])
    old = Attachment.objects.filter(message=None, created_at__lt=before).order_by("created_at")
    ready = old.filter(loops.not_put_off(LOOP, "pk"))
    return sum(loops.each(LOOP, ready.values_list("tenant_id", "pk", "storage_key")[:most], _forget_one))


def _forget_one(tenant_id: int, pk: int, key: str) -> bool:
    if not Attachment.objects.filter(pk=pk, message=None).delete()[0]:
        return False
    files.drop(key)
    return True


def erase(*, tenant_id: int, messages: Iterable[int] = (), conversations: Iterable[int] = ()) -> int:
    """Remove the attachments of these messages, and all of these conversations', in the transaction that erases them.

    The files go after its commit. Operations keep their digests, so the record stays whole. Returns how many.
    """
    of_them = Q(message__in=list(messages)) | Q(conversation__in=list(conversations))
    rows = list(Attachment.objects.filter(of_them, tenant_id=tenant_id).values_list("pk", "storage_key"))
    Attachment.objects.filter(pk__in=[pk for pk, _ in rows]).delete()
    for _, key in rows:
        transaction.on_commit(partial(files.drop, key), robust=True)
    return len(rows)
