"""How many bytes a request's body may have, by its address and its credential.

| | |
|---|---|
| a page, without a login | FORM_MAX_BYTES |
| a page, with one; any address of the API | MAX_BODY_BYTES |
| an upload, with a credential that may send messages | ATTACHMENT_MAX_BYTES, and `uploads.AROUND` |
| a batch, likewise | BATCH_MAX_BYTES |
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from channels.db import database_sync_to_async
from django.conf import settings
from django.http import parse_cookie
from django.urls import Resolver404, resolve

from agents_app.connections import credential
from agents_app.scopes import Scope
from config import uploads
from config.body_limit import Head, Limit, too_large
from config.uploads import AROUND

type Check = Callable[[Head], bool]


def small(head: Head) -> int:
    """Bytes that anybody may send to this address."""
    return settings.MAX_BODY_BYTES if head.path.startswith("/api/") else settings.FORM_MAX_BYTES


def large(head: Head) -> Limit:
    """Bytes that this credential may send to this address, and the refusal of more. Queries the database."""
    most = small(head)
    try:
        name = resolve(head.path).view_name
    except Resolver404:
        return Limit(most, too_large(most))
    if name in _UPLOADS:
        if _UPLOADS[name](head):
            return Limit(settings.ATTACHMENT_MAX_BYTES + AROUND, uploads.too_large(settings.ATTACHMENT_MAX_BYTES))
        return Limit(most, too_large(most, "with a credential that may send files, more"))
    if name == "api:batch-list":
        if _may_send(head):
            return Limit(settings.BATCH_MAX_BYTES, too_large(settings.BATCH_MAX_BYTES))
        return Limit(most, too_large(most, "with a credential that may send batches, more"))
    if not head.path.startswith("/api/"):
        if not _has_session(head):
            return Limit(most, too_large(most, "with a login, more"))
        most = settings.MAX_BODY_BYTES
    return Limit(most, too_large(most))


class BodyRules:
    """`config.body_limit.Rules`, for the event loop."""

    def small(self, head: Head) -> int:
        return small(head)

    async def large(self, head: Head) -> Limit:
        limit: Limit = await database_sync_to_async(large)(head)
        return limit


def _may_send(head: Head) -> bool:
    holder = credential.authenticate(authorization=head.authorization, session_key=_session_key(head))
    return holder is not None and holder.principal.may(Scope.MESSAGES)


def _has_login(head: Head) -> bool:
    return credential.authenticate(session_key=_session_key(head)) is not None


def _has_session(head: Head) -> bool:
    """Whether the session is stored, a login's or a guest's: a key that a browser made up is in no row."""
    key = _session_key(head)
    if not key:
        return False
    store: Any = import_module(settings.SESSION_ENGINE).SessionStore(key)
    return bool(store.load())


def _plays_the_customer(head: Head) -> bool:
    return bool(settings.TRY_IT)


def _session_key(head: Head) -> str | None:
    return parse_cookie(head.cookie).get(settings.SESSION_COOKIE_NAME)


_UPLOADS: dict[str, Check] = {
    "api:conversation-attachments": _may_send,
    "conversation-attach": _has_login,
    "joined-attach": _has_session,
    "try-it-attach": _plays_the_customer,
}
