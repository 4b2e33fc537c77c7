"""How large a request may be, and how slowly it may come: checked before anything of it is stored.

A body whose Content-Length is too large is refused unread; one in chunks with the first byte too many, and one that
comes too slowly when its time is up. This is an ASGI layer, so that it works with any server; what daphne writes to
disk before it calls the application is bounded by config/daphne_limits.py, by the same rules.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Protocol

from django.conf import settings
from rest_framework.exceptions import APIException

from config.api import PROBLEM, TooLarge, problem_of
from config.consistency import is_stranger
from config.errors import DomainError

type Message = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]
type Application = Callable[..., Awaitable[None]]

MAX_TARGET = 8_000
"""Bytes of path and query together."""
MAX_HEADERS = 16_000
"""Bytes of all header lines; daphne reads 16,384, the first line included."""


@dataclass(frozen=True, slots=True)
class Head:
    """What the limits read of a request before its body."""

    method: str
    path: str
    authorization: str = ""
    cookie: str = ""


@dataclass(frozen=True, slots=True)
class Limit:
    """How many bytes a body may have, and the refusal of one that has more."""

    most: int
    refusal: DomainError | APIException


class Rules(Protocol):
    """How many bytes a body may have: `small` for anybody, `large` for its credential, which takes a query."""

    def small(self, head: Head) -> int: ...

    async def large(self, head: Head) -> Limit: ...


class NoLength(APIException):
    status_code = 411
    default_code = "length_required"
    default_detail = "This server takes no body in chunks: say its length (Content-Length)."


class Stranger(APIException):
    status_code = 403
    default_code = "forbidden"
    default_detail = "This installation has no SECRET_KEY of its own yet, so it serves its own machine only."


class TooSlow(APIException):
    status_code = 408
    default_code = "too_slow"
    default_detail = "The request came too slowly."


class TooLong(APIException):
    status_code = 414
    default_code = "address_too_long"
    default_detail = f"An address has at most {MAX_TARGET:,} bytes."


class HeadersTooLarge(APIException):
    status_code = 431
    default_code = "headers_too_large"
    default_detail = f"The headers of a request have at most {MAX_HEADERS:,} bytes."


def too_large(most: int, more: str = "") -> TooLarge:
    """The refusal of a body of more than `most` bytes; `more` says who may send more here."""
    return TooLarge(f"A body has at most {most:,} bytes here{more and f'; {more}'}.")


def seconds_for(size: int) -> float:
    """Seconds that a body may take of which `size` bytes have come: the header's time, plus `size` at the least rate.

    Never more than REQUEST_BODY_TIMEOUT.
    """
    return min(settings.REQUEST_BODY_TIMEOUT, settings.REQUEST_HEADER_TIMEOUT + size / settings.REQUEST_MIN_RATE)


def bounded(application: Application, rules: Rules) -> Application:
    """Wrap an application: refuses with 403, 408, 413, 414 or 431, and closes the connection with the rest unread."""

    async def run(scope: Any, receive: Receive, send: Send) -> None:
        body = _Body(scope, receive, rules)
        refusal = _head_refusal(scope) or await body.announced_refusal()
        if refusal is None:
            has_begun = False

            async def noted_send(message: Message) -> None:
                nonlocal has_begun
                has_begun = True
                await send(message)

            await application(scope, body.receive, noted_send)
            refusal = None if has_begun else body.refusal
        if refusal is not None:
            await _refuse(send, scope["path"], refusal)

    return run


class _Body:
    """A body while it arrives. Once there is a `refusal`, the application sees a client that has gone."""

    def __init__(self, scope: Any, receive: Receive, rules: Rules) -> None:
        self.refusal: DomainError | APIException | None = None
        self._receive, self._rules, self._head = receive, rules, head_of(scope)
        self._most = rules.small(self._head)
        lengths = [value for name, value in scope["headers"] if name == b"content-length" and value.isdigit()]
        self._announced = int(lengths[0]) if lengths else 0
        self._began, self._size, self._is_whole = time.monotonic(), 0, False

    async def announced_refusal(self) -> DomainError | APIException | None:
        """The refusal of the length that the request announces; None if it may have it."""
        return await self._size_refusal(self._announced)

    async def receive(self) -> Message:
        if self._is_whole:
            return await self._receive()
        if self.refusal is None:
            try:
                async with asyncio.timeout(max(0.0, self._began + seconds_for(self._size) - time.monotonic())):
                    message = await self._receive()
            except TimeoutError:
                self.refusal = TooSlow()
            else:
                self._size += len(message.get("body", b""))
                self._is_whole = not message.get("more_body", False)
                self.refusal = await self._size_refusal(self._size)
        return {"type": "http.disconnect"} if self.refusal else message

    async def _size_refusal(self, size: int) -> DomainError | APIException | None:
        if size <= self._most:
            return None
        limit = await self._rules.large(self._head)
        self._most = max(self._most, limit.most)
        return limit.refusal if size > self._most else None


def head_of(scope: Any) -> Head:
    headers: dict[bytes, str] = {}
    for name, value in scope["headers"]:
        if name in (b"authorization", b"cookie"):
            headers[name] = headers.get(name, "") + value.decode("latin-1")
    return Head(scope["method"], scope["path"], headers.get(b"authorization", ""), headers.get(b"cookie", ""))


def _head_refusal(scope: Any) -> APIException | None:
    if is_stranger((scope.get("client") or [""])[0], settings.SECRET_KEY):
        return Stranger()
    if len(scope.get("raw_path") or scope["path"].encode()) + len(scope.get("query_string", b"")) > MAX_TARGET:
        return TooLong()
    if sum(len(name) + len(value) + 4 for name, value in scope["headers"]) > MAX_HEADERS:
        return HeadersTooLarge()
    return None


async def _refuse(send: Send, path: str, error: DomainError | APIException) -> None:
    status, media_type, body = answer_to(path, error)
    headers = [(b"content-type", media_type.encode()), (b"connection", b"close"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def answer_to(path: str, error: DomainError | APIException) -> tuple[int, str, bytes]:
    """Status, media type and body of a refusal: problem+json under /api/, else a plain page."""
    refusal = problem_of(error)
    assert refusal
    status, problem, _ = refusal
    if path.startswith("/api/"):
        return status, PROBLEM, json.dumps(problem).encode()
    page = f"<!doctype html><title>{status}</title><h1>{status}</h1><p>{problem['detail']}</p>"
    return status, "text/html; charset=utf-8", page.encode()
