"""The outermost error handler: problem+json under /api/, and 503 for a fault below everywhere.

Without it an ASGI server answers with an HTML page when the application raises, and with nothing if it cannot read a
request. Django's middleware does the same for whatever reaches it; this is for what does not: a body that could not be
written to disk, a query string that is not text, an event stream that could not begin.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import orjson

from config.api import PROBLEM, problem_of
from config.errors import InternalError
from config.failures import API, problem_for
from config.faults import answer_of

log = logging.getLogger(__name__)

TRY_AGAIN_LATER, INTERNAL_ERROR = 1013, 1011
"""Codes of RFC 6455's registry: https://www.iana.org/assignments/websocket/websocket.xhtml"""

type Message = MutableMapping[str, Any]
type Send = Callable[[Message], Awaitable[None]]
type Application = Callable[..., Awaitable[None]]


def caught(application: Application) -> Application:
    """Wrap an application: it always answers, and never answers a client of the API with an HTML page."""

    async def run(scope: Any, receive: Any, send: Send) -> None:
        is_api = scope["path"].removeprefix(scope.get("root_path", "")).startswith(API)
        has_begun = is_replaced = False

        async def checked_send(message: Message) -> None:
            nonlocal has_begun, is_replaced
            if is_replaced:
                return
            if message["type"] == "http.response.start":
                has_begun = True
                if is_api and message["status"] >= 400 and _is_page(message):
                    is_replaced = True
                    await _send_problem(send, problem_for(message["status"]))
                    return
            await send(message)

        try:
            await application(scope, receive, checked_send)
        except Exception as error:
            if has_begun:
                raise
            fault = answer_of(error)
            log.log(logging.WARNING if fault else logging.ERROR, "%s failed", scope["path"], exc_info=True)
            if is_api:
                await _send_problem(send, fault or InternalError())
            else:
                await _send_text(send, fault.status if fault else 500)

    return run


def caught_socket(application: Application) -> Application:
    """Wrap a WebSocket application: an error closes it with 1013 (try again later), or for a mistake of ours 1011."""

    async def run(scope: Any, receive: Any, send: Send) -> None:
        is_open = is_over = False

        async def checked_send(message: Message) -> None:
            nonlocal is_open, is_over
            is_open = is_open or message["type"] == "websocket.accept"
            is_over = is_over or message["type"] == "websocket.close"
            await send(message)

        try:
            await application(scope, receive, checked_send)
        except Exception as error:
            if is_over:
                raise
            fault = answer_of(error)
            log.log(logging.WARNING if fault else logging.ERROR, "%s failed", scope["path"], exc_info=True)
            if not is_open:  # a browser is not told why a handshake failed
                await send({"type": "websocket.accept"})
            await send({"type": "websocket.close", "code": TRY_AGAIN_LATER if fault else INTERNAL_ERROR})

    return run


def _is_page(message: Message) -> bool:
    types = [value.partition(b";")[0] for name, value in message["headers"] if name.lower() == b"content-type"]
    return (types or [b""])[0] in (b"", b"text/html", b"text/plain")


async def _send_problem(send: Send, error: Exception) -> None:
    answer = problem_of(error)
    assert answer
    status, body, added = answer
    headers = [(name.lower().encode(), value.encode()) for name, value in (added | {"Content-Type": PROBLEM}).items()]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": orjson.dumps(body)})


async def _send_text(send: Send, status: int) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"retry-after", b"1")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"Something is wrong on our side. Please try again in a moment."})
