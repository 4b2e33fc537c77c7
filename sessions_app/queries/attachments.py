"""An attachment as it is handed out, alike by every door: its file, or the small picture of it."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect

from config import downloads
from messaging_app.attachments import files
from messaging_app.attachments.content import PREVIEW_TYPE
from messaging_app.models.attachments import Attachment
from sessions_app.errors import NotFound


def content(request: HttpRequest, attachment: Attachment) -> HttpResponseBase:
    """The file itself; from an S3 store by an address of the store's own, which lasts a minute. Raises `StorageFailed`."""
    if kept := downloads.unchanged(request, attachment.sha256):
        return kept
    if link := files.link(attachment, as_download=attachment.media_type not in downloads.SHOWN):
        redirect = HttpResponseRedirect(link)
        redirect["Cache-Control"] = "private, no-store"
        return redirect
    return downloads.answer(
        request,
        files.opened(attachment),
        name=attachment.name,
        media_type=attachment.media_type,
        digest=attachment.sha256,
    )


def preview(request: HttpRequest, attachment: Attachment) -> HttpResponseBase:
    """A small picture of a picture, always from here: pages show pictures of their own origin only."""
    if not attachment.has_preview:
        raise NotFound("There is no preview of this.")
    digest = f"{attachment.sha256}-preview"
    if kept := downloads.unchanged(request, digest):
        return kept
    return downloads.answer(
        request,
        files.opened(attachment, preview=True),
        name=f"{attachment.name}.webp",
        media_type=PREVIEW_TYPE,
        digest=digest,
    )
