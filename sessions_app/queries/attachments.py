"""The download of an attachment, the same by every door: its file, or its preview."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect

from config import downloads
from messaging_app.attachments import files
from messaging_app.attachments.content import PREVIEW_TYPE
from messaging_app.models.attachments import Attachment
from sessions_app.errors import NotFound


def content(request: HttpRequest, attachment: Attachment) -> HttpResponseBase:
    """The file; from an S3 store a redirect to the store's own address, valid for a minute. Raises `StorageFailed`."""
    if not_modified := downloads.unchanged(request, attachment.sha256):
        return not_modified
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
    """The small copy of a picture, always sent from here, because pages show pictures of their own origin only.

    Raises `NotFound` where there is none, `StorageFailed`.
    """
    if not attachment.has_preview:
        raise NotFound("There is no preview of this.")
    digest = f"{attachment.sha256}-preview"
    if not_modified := downloads.unchanged(request, digest):
        return not_modified
    return downloads.answer(
        request,
        files.opened(attachment, preview=True),
        name=f"{attachment.name}.webp",
        media_type=PREVIEW_TYPE,
        digest=digest,
    )
