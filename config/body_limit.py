"""How much a request may send, and how slowly, decided before anything of it is kept.

A body that says that it is too long is refused unread; one that does not say is refused with the byte that is too many, and one that
comes too slowly when its time is up. In ASGI, so that any server has it; what daphne has written to disk before it asks its
application is bounded by config/daphne_limits.py, by the same rules.
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
    """What a request says before its body."""

    method: str
    path: str
    authorization: str = ""
    cookie: str = ""


@dataclass(frozen=True, slots=True)
class Limit:
    """How many bytes a body may have, and what is answered to one that has more."""

    most: int
    refusal: DomainError | APIException


class Rules(Protocol):
    """How many bytes a request may have: without a look at its credential, and with one (which asks the database)."""

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
    """`more` names who may send more here."""
    return TooLarge(f"A body has at most {most:,} bytes here{more and f'; {more}'}.")


def seconds_for(size: int) -> float:
    """How long a body may take of which so many bytes are there: a start, then REQUEST_MIN_RATE, and an end in any case."""
    return min(settings.REQUEST_BODY_TIMEOUT, settings.REQUEST_HEADER_TIMEOUT + size / settings.REQUEST_MIN_RATE)


def bounded(application: Application, rules: Rules) -> Application:
    """The application, behind 403, 408, 413, 414 and 431. The connection is closed: what else was sent on it is not read."""

    async def run(scope: Any, receive: Receive, send: Send) -> None:
        body = _Body(scope, receive, rules)
        wrong = _wrong_head(scope) or await body.announced()
        if wrong is None:
            has_begun = False

            async def sent(message: Message) -> None:
                nonlocal has_begun
                has_begun = True
                await send(message)

            await application(scope, body.receive, sent)
            wrong = None if has_begun else body.wrong
        if wrong is not None:
            await _refuse(send, scope["path"], wrong)

    return run


class _Body:
    """A body while it comes. What is `wrong` with it ends it, as if the client had gone."""

    def __init__(self, scope: Any, receive: Receive, rules: Rules) -> None:
        self.wrong: DomainError | APIException | None = None
        self._receive, self._rules, self._head = receive, rules, head_of(scope)
        self._most = rules.small(self._head)
        lengths = [value for name, value in scope["headers"] if name == b"content-length" and value.isdigit()]
        self._announced = int(lengths[0]) if lengths else 0
        self._began, self._size, self._is_whole = time.monotonic(), 0, False

    async def announced(self) -> DomainError | APIException | None:
        """What is wrong with the length that the request says it has."""
        return await self._longer_than_may_be(self._announced)

    async def receive(self) -> Message:
        if self._is_whole:
            return await self._receive()
        if self.wrong is None:
            try:
                async with asyncio.timeout(max(0.0, self._began + seconds_for(self._size) - time.monotonic())):
                    message = await self._receive()
            except TimeoutError:
                self.wrong = TooSlow()
            else:
                self._size += len(message.get("body", b""))
                self._is_whole = not message.get("more_body", False)
                self.wrong = await self._longer_than_may_be(self._size)
        return {"type": "http.disconnect"} if self.wrong else message

    async def _longer_than_may_be(self, size: int) -> DomainError | APIException | None:
        if size <= self._most:
            return None
        limit = await self._rules.large(self._head)
        self._most = max(self._most, limit.most)
        return limit.refusal if size > self._most else None


def head_of(scope: Any) -> Head:
    found: dict[bytes, str] = {}
    for name, value in scope["headers"]:
        if name in (b"authorization", b"cookie"):
            found[name] = found.get(name, "") + value.decode("latin-1")
    return Head(scope["method"], scope["path"], found.get(b"authorization", ""), found.get(b"cookie", ""))


def _wrong_head(scope: Any) -> APIException | None:
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
    """Status, media type and body: a problem for programs, a plain page for browsers."""
    told = problem_of(error)
    assert told
    status, problem, _ = told
    if path.startswith("/api/"):
        return status, PROBLEM, json.dumps(problem).encode()
    page = f"<!doctype html><title>{status}</title><h1>{status}</h1><p>{problem['detail']}</p>"
    return status, "text/html; charset=utf-8", page.encode()
