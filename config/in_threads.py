"""Django behind ASGI, in threads that stay.

Django's own ASGI handler makes a thread for each request, with a database connection of its own, and hops between it and
the event loop for each signal. Here a request hops once: its body is read by the loop, then Django's WSGI handler answers
it whole in one of REQUEST_THREADS threads, which keeps its connection for the next. What comes in parts (a file) is
read part by part, and holds no thread while its client is slow.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from io import SEEK_END
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler

from config.failures import LIVENESS

type Message = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]


@dataclass(slots=True)
class _Answer:
    status: int
    headers: list[tuple[bytes, bytes]]
    response: Any
    body: bytes | None  # None: it comes in parts


class InThreads:
    """An ASGI application for requests (not for sockets), which answers with Django's WSGI handler."""

    def __init__(self, handler: WSGIHandler) -> None:
        self._handler = handler
        self._threads: Executor = ThreadPoolExecutor(settings.REQUEST_THREADS, "request")
        # Whatever supervises the process ends it when this is silent, however busy the others are.
        self._apart: Executor = ThreadPoolExecutor(1, "health")

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if not _is_text(scope.get("query_string", b"")):
            await send({"type": "http.response.start", "status": HTTPStatus.BAD_REQUEST.value, "headers": _PLAIN})
            await send({"type": "http.response.body", "body": b"The query is no text in UTF-8."})
            return
        with SpooledTemporaryFile(max_size=settings.FILE_UPLOAD_MAX_MEMORY_SIZE) as body:
            if not await _read(receive, body):
                return  # the client has gone
            environ = environ_of(scope, body)
            threads = self._apart if scope["path"] == LIVENESS else self._threads
            context, loop = copy_context(), asyncio.get_running_loop()

            def in_thread(function: Callable[..., Any], *given: Any) -> asyncio.Future[Any]:
                return loop.run_in_executor(threads, context.run, function, *given)

            answer: _Answer = await in_thread(self._answer, environ)
            await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
            if answer.body is not None:
                await send({"type": "http.response.body", "body": answer.body})
                return
            try:
                parts = iter(answer.response)
                while (part := await in_thread(next, parts, None)) is not None:
                    await send({"type": "http.response.body", "body": part, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
            finally:
                await in_thread(answer.response.close)

    def _answer(self, environ: dict[str, Any]) -> _Answer:
        begun: list[Any] = []
        response: Any = self._handler(environ, partial(_begin, begun))
        [(status, headers)] = begun
        answer = _Answer(
            status=HTTPStatus(int(status[:3])).value,
            headers=[(name.lower().encode("ascii"), value.encode("latin-1")) for name, value in headers],
            response=response,
            body=None,
        )
        if not response.streaming:
            try:
                answer.body = b"".join(response)
            finally:
                response.close()
        return answer


_PLAIN = [(b"content-type", b"text/plain; charset=utf-8")]


def _is_text(query: bytes) -> bool:
    try:
        query.decode()
    except UnicodeDecodeError:
        return False
    return True


def _begin(begun: list[Any], status: str, headers: Any, *_: Any) -> Callable[[bytes], object]:
    """PEP 3333's `start_response`. What it returns, to write without an answer, Django does not use."""
    begun.append((status, headers))
    return begun.append


async def _read(receive: Receive, body: IO[bytes]) -> bool:
    """Take the body in; False if the client goes before its end."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return False
        if piece := message.get("body"):
            body.write(piece)
        if not message.get("more_body", False):
            return True


def environ_of(scope: Any, body: IO[bytes]) -> dict[str, Any]:
    """The request as PEP 3333 has it, with the length of a body that came in chunks and so without one (RFC 9112, 7.1):
    the parsers of forms, files and JSON take a body without a length for empty.

    A header with an underscore in its name is left out, because it could not be told from one with a hyphen.
    """
    size = body.seek(0, SEEK_END)
    body.seek(0)
    server, client = scope.get("server") or ("unknown", 0), scope.get("client") or ("", 0)
    root = scope.get("root_path", "")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": _as_latin1(root),
        "PATH_INFO": _as_latin1(scope["path"].removeprefix(root)),
        "QUERY_STRING": scope.get("query_string", b"").decode("latin-1"),
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1]),
        "SERVER_PROTOCOL": f"HTTP/{scope.get('http_version', '1.1')}",
        "REMOTE_ADDR": client[0],
        "REMOTE_HOST": client[0],
        "REMOTE_PORT": str(client[1]),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme") or "http",
        "wsgi.input": body,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    headers: defaultdict[str, list[str]] = defaultdict(list)
    for name, value in scope["headers"]:
        if b"_" not in name:
            headers[name.decode("latin-1").upper().replace("-", "_")].append(value.decode("latin-1"))
    for name, values in headers.items():
        key = name if name in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{name}"
        environ[key] = "; ".join(value.rstrip("; ") for value in values) if name == "COOKIE" else ",".join(values)
    if size and not environ.get("CONTENT_LENGTH"):
        environ["CONTENT_LENGTH"] = str(size)
    return environ


def _as_latin1(path: str) -> str:
    """A text as PEP 3333 wants it: its bytes, each as one letter."""
    return path.encode("utf-8", "surrogateescape").decode("latin-1")
