"""The files of attachments, in a Django storage, local or S3. Never used inside a transaction.

A file is written before its row and removed after it, so a crash between the two leaves a file that no row names, and
never a row without its file; `manage.py sweep_files` finds those.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import IO, Any
from uuid import uuid4

from django.conf import settings
from django.core.files.base import ContentFile, File
from django.core.files.storage import Storage, storages
from django.utils import timezone
from django.utils.http import content_disposition_header

from config.errors import StorageFailed
from config.http import never_in_a_transaction
from messaging_app.attachments.content import Content
from messaging_app.models.attachments import Attachment

log = logging.getLogger(__name__)

PREVIEW = ".preview"
LINK_SECONDS = 60
"""Seconds that a presigned address of the S3 store opens a file, for anybody who has it."""


def store() -> Storage:
    return storages["attachments"]


def keep(file: IO[bytes], content: Content, *, tenant_id: int) -> str:
    """Write a file and its preview; returns the key. Raises `StorageFailed`, and leaves nothing then."""
    never_in_a_transaction()
    key = f"{tenant_id}/{uuid4().hex}{uuid4().hex}"
    try:
        file.seek(0)
        store().save(key, File(file))
        if content.preview:
            store().save(key + PREVIEW, ContentFile(content.preview))
    except Exception as error:  # each store fails in its own way
        drop(key)
        log.warning("an attachment could not be stored: %s: %s", type(error).__name__, error)
        raise StorageFailed("The store of files does not answer. Try again.") from error
    return key


def opened(attachment: Attachment, *, preview: bool = False) -> IO[bytes]:
    """The file, to be read in pieces and closed. Raises `StorageFailed`."""
    never_in_a_transaction()
    try:
        file: File[bytes] = store().open(attachment.storage_key + (PREVIEW if preview else ""), "rb")
        file.size  # noqa: B018 – a store may look only now whether there is such a file
    except Exception as error:
        log.warning("attachment %s could not be read: %s: %s", attachment.pk, type(error).__name__, error)
        raise StorageFailed("The file cannot be read now.") from error
    return file


def link(attachment: Attachment, *, as_download: bool) -> str:
    """A presigned address that opens this file for `LINK_SECONDS`; empty for a local store."""
    if not settings.ATTACHMENT_S3_BUCKET:
        return ""
    parameters = {
        "ResponseContentType": attachment.media_type,
        "ResponseContentDisposition": content_disposition_header(as_download, attachment.name),
        "ResponseCacheControl": "private, no-store",
    }
    s3: Any = store()
    return str(s3.url(attachment.storage_key, parameters=parameters, expire=LINK_SECONDS))


def drop(key: str) -> None:
    """Remove a file and its preview. Never raises: `orphans` finds what stays."""
    for name in (key, key + PREVIEW):
        try:
            store().delete(name)
        except Exception as error:
            log.warning("file %s could not be removed: %s: %s", name, type(error).__name__, error)


def orphans(older_than: timedelta) -> Iterator[str]:
    """The keys of files that no row names and that are older than this: an upload under way has no row yet either."""
    before = timezone.now() - older_than
    tenants, _ = _listed("")
    for tenant in tenants:
        _, names = _listed(tenant)
        keys = sorted({f"{tenant}/{name.removesuffix(PREVIEW)}" for name in names})
        for place in range(0, len(keys), 500):
            part = keys[place : place + 500]
            known = set(Attachment.objects.filter(storage_key__in=part).values_list("storage_key", flat=True))
            yield from (key for key in part if key not in known and _written(key) < before)


def _listed(path: str) -> tuple[list[str], list[str]]:
    try:
        return store().listdir(path)
    except FileNotFoundError:
        return [], []


def _written(key: str) -> datetime:
    """When a file was written; for a preview that has lost its file, when the preview was."""
    return store().get_modified_time(key if store().exists(key) else key + PREVIEW)
