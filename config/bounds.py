"""No body is longer than the longest that any address takes: ASGI's handler would write all of it to disk first.

Each address has a bound of its own, which is less; this one is asked before Django sees the request.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from config.api import PROBLEM, TooLarge, problem_of

type Message = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]
type Application = Callable[..., Awaitable[None]]


def bounded(application: Application, most: int) -> Application:
    """The application, with 413 for a longer body: at once where the request says how long it is, else while it comes."""

    async def run(scope: Any, receive: Receive, send: Send) -> None:
        if _told(scope) > most:
            await _refuse(send, most)
            return
        size, has_begun = 0, False

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            return {"type": "http.disconnect"} if size > most else message

        async def sent(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        await application(scope, counted, sent)
        if size > most and not has_begun:
            await _refuse(send, most)

    return run


def _told(scope: Any) -> int:
    lengths = [value for name, value in scope["headers"] if name == b"content-length" and value.isdigit()]
    return int(lengths[0]) if lengths else 0


async def _refuse(send: Send, most: int) -> None:
    told = problem_of(TooLarge(f"A body has at most {most:,} bytes."))
    assert told
    status, body, _ = told
    headers = [(b"content-type", PROBLEM.encode()), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})
