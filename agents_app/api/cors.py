"""CORS: a page of another origin may call the API with a customer's token where the tenant allows that origin.

The rules, and why no library does it: docs/decisions/0017-other-origins.md. Credentials that a browser adds by itself are
of no use: no answer has `Access-Control-Allow-Credentials`, and only the answer to a request with a bearer may be read.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from inspect import iscoroutinefunction, markcoroutinefunction
from typing import Any

from channels.db import database_sync_to_async
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

from agents_app import origins
from agents_app.api import allowed_origins
from agents_app.api.authentication import Principal
from agents_app.origins import Origins

log = logging.getLogger(__name__)

type Message = MutableMapping[str, Any]
type Send = Callable[[Message], Awaitable[None]]
type Application = Callable[..., Awaitable[None]]

PATH = "/api/v1/"
METHODS = "GET, POST, PATCH, DELETE"
REQUEST_HEADERS = "authorization, content-type, idempotency-key, last-event-id, if-none-match"
"""Request headers that the API reads, beyond those that a page may always send."""
RESPONSE_HEADERS = (
    "Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Idempotent-Replayed, Location, "
    "WWW-Authenticate, Content-Disposition, ETag"
)
"""Response headers that a page may read, beyond those that it always may."""
PREFLIGHT_SECONDS = 600
"""Seconds for which a browser caches a preflight. The answers refuse an origin that is no longer allowed at once."""


def headers(known: Origins, origin: str, authorization: str, tenant_id: int | None) -> dict[str, str]:
    """The CORS headers of an answer: none for an origin that is not allowed, or without a bearer.

    An invalid bearer has no tenant (None): its 401 may be read by any tenant's page, so that it can fetch a new token.
    """
    if not authorization.lower().startswith("bearer ") or not allowed_origins.is_allowed(known, origin, tenant_id):
        return {}
    return {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": RESPONSE_HEADERS}


def is_preflight(request: HttpRequest) -> bool:
    return request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers


class Cors:
    """Middleware before all others: a preflight carries no credential, and is answered before one is required."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self._is_asynchronous = iscoroutinefunction(get_response)
        if self._is_asynchronous:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self._is_asynchronous:
            return self._asynchronous(request)
        if not _concerns(request):
            return _marked(request, self.get_response(request))
        if is_preflight(request):
            return _preflight(request, allowed_origins.read())
        response = self.get_response(request)
        return _answer(request, response, allowed_origins.read())

    async def _asynchronous(self, request: HttpRequest) -> HttpResponseBase:
        if not _concerns(request):
            return _marked(request, await self.get_response(request))
        if is_preflight(request):
            return _preflight(request, await read())
        response = await self.get_response(request)
        return _answer(request, response, await read())


async def read() -> Origins:
    """`allowed_origins.read` for the event loop."""
    known = origins.known()
    return await database_sync_to_async(allowed_origins.read)() if known is None else known


# --- Outside of the middleware -----------------------------------------------------------------------------------


async def unknown(path: str, origin: str, authorization: str) -> dict[str, str]:
    """The CORS headers of an answer that was given before the caller is known, like the refusal of a long body.

    It holds no tenant's data, so any tenant's page may read it. While the list of origins cannot be read no page may;
    the refusal is sent all the same.
    """
    if not path.startswith(PATH):
        return {}
    try:
        known = await read() if origin else {}
    except Exception:
        log.exception("which origins may read could not be asked")
        known = {}
    return {"Vary": "Origin"} | headers(known, origin, authorization, None)


def opened(application: Application) -> Application:
    """Wrap an application: every answer under /api/v1/ gets its CORS headers, whichever layer gave it.

    An answer with `Vary: Origin` has them already, from the middleware or the event stream.
    """

    async def run(scope: Any, receive: Any, send: Send) -> None:
        async def marked_send(message: Message) -> None:
            if message["type"] == "http.response.start" and not _varies(message):
                path = scope["path"].removeprefix(scope.get("root_path", ""))
                headers = await unknown(path, _header(scope, b"origin"), _header(scope, b"authorization"))
                added = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
                message = {**message, "headers": [*message.get("headers", ()), *added]}
            await send(message)

        await application(scope, receive, marked_send)

    return run


def _varies(message: Message) -> bool:
    vary = b",".join(value for name, value in message.get("headers", ()) if name.lower() == b"vary")
    return b"origin" in vary.lower()


def _header(scope: Any, name: bytes) -> str:
    return ",".join(value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name)


# --- The middleware's answers ------------------------------------------------------------------------------------


def _concerns(request: HttpRequest) -> bool:
    return request.path_info.startswith(PATH) and "HTTP_ORIGIN" in request.META


def _marked(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """Adds `Vary: Origin`: no cache may give a page the answer to a request without an origin, or the reverse."""
    if request.path_info.startswith(PATH):
        patch_vary_headers(response, ["Origin"])
    return response


def _preflight(request: HttpRequest, known: Origins) -> HttpResponseBase:
    """Allowed if any tenant allows the origin: which tenant's token the page will send is not known yet."""
    response = HttpResponse(status=204)
    origin = request.headers["Origin"]
    if allowed_origins.is_allowed(known, origin, None):
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Allow-Methods"] = METHODS
        response.headers["Access-Control-Allow-Headers"] = REQUEST_HEADERS
        response.headers["Access-Control-Max-Age"] = str(PREFLIGHT_SECONDS)
    patch_vary_headers(response, ["Origin"])
    return response


def _answer(request: HttpRequest, response: HttpResponseBase, known: Origins) -> HttpResponseBase:
    caller = getattr(request, "user", None)
    tenant_id = caller.actor.tenant_id if isinstance(caller, Principal) else None
    authorization = request.headers.get("Authorization", "")
    for name, value in headers(known, request.headers["Origin"], authorization, tenant_id).items():
        response.headers[name] = value
    return _marked(request, response)
