"""Events as they come, by SSE and by WebSocket: two ASGI applications over the same pages.

They stand beside Django's handler, not behind it: that would hold a thread and a database connection for each stream as
long as it is open. A client that does not read is not sent to (see `config.pace`), and closed after EVENT_PATIENCE.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from contextlib import aclosing
from functools import partial
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl

import orjson
from django.conf import settings
from rest_framework.exceptions import NotAuthenticated

from agents_app import passes
from agents_app.actors import Actor
from agents_app.passes import Pass
from agents_app.rest import REFUSALS, refusals
from agents_app.scopes import Scope
from config.api import PROBLEM, problem_of
from config.errors import DomainError, Forbidden
from messaging_app import live
from messaging_app.follow import CursorGone, Page, follow, in_thread, start
from sessions_app import following
from sessions_app.following import Asked

log = logging.getLogger(__name__)

type Message = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]

EVENT_STREAM = "text/event-stream"
MALFORMED, NOT_ADMITTED, NOT_ALLOWED, NOT_THERE = 4400, 4401, 4403, 4404
NOT_KEPT_UP, TRY_AGAIN = 4008, 1013
_CLOSING = {400: MALFORMED, 401: NOT_ADMITTED, 403: NOT_ALLOWED, 404: NOT_THERE}
_HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would keep events until it has a bufferful
    (b"x-content-type-options", b"nosniff"),
]


class Slow(Exception):
    """The client does not read."""


def is_stream(scope: MutableMapping[str, Any]) -> bool:
    """Whether a request wants the events as a stream; asked for JSON, the same address is answered by `events`."""
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    return path == "/api/v1/events" and scope["method"] == "GET" and EVENT_STREAM in _header(scope, b"accept")


def has_ticket(scope: MutableMapping[str, Any]) -> bool:
    return "ticket" in _query(scope)


class Visit:
    """One client's stay: who it is, what it asked for, and where it begins."""

    def __init__(self, holder: Pass, asked: Asked) -> None:
        self.holder, self.asked = holder, asked
        self.cursor = 0
        self.is_reset = False

    @property
    def actor(self) -> Actor:
        return self.holder.actor

    def begin(self) -> None:
        """Raises `NotFound`, `Busy`."""
        following.checked(self.actor, self.asked)
        try:
            self.cursor = start(self.actor.tenant_id, self.asked.after)
        except CursorGone as gone:
            self.cursor, self.is_reset = int(gone.fields["cursor"]), True

    async def run(
        self, send: Callable[[AsyncGenerator[Page]], Awaitable[None]], gone: Callable[[], Awaitable[None]]
    ) -> bool:
        """Send pages until the client is gone or the pass has lapsed; False for the latter. Raises `Slow`.

        It listens before it begins, so that nothing falls between the cursor and the first hint.
        """
        async with live.hub.following(
            self.actor.tenant_id,
            holder=self.holder,
            lapsed=following.lapsed,
            conversation_id=following.conversation_of(self.actor, self.asked),
        ) as bell:
            await in_thread(self.begin)
            pages = follow(
                partial(following.read, self.actor, self.asked),
                after=self.cursor,
                bell=bell,
                audience=following.audience(self.actor, self.asked),
            )
            async with aclosing(pages):
                sending, leaving = asyncio.ensure_future(send(pages)), asyncio.ensure_future(gone())
                bell.when_lapsed = sending.cancel
                try:
                    await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
                    if sending.cancelled():
                        return False
                    await (leaving if leaving.done() else sending)
                    return True
                finally:
                    sending.cancel()
                    leaving.cancel()
                    await asyncio.wait({sending, leaving})


async def _patiently(sent: Awaitable[None]) -> None:
    try:
        async with asyncio.timeout(settings.EVENT_PATIENCE):
            await sent
    except TimeoutError:
        raise Slow from None


# --- Server-sent events ------------------------------------------------------------------------------------------


async def event_stream(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    """GET /api/v1/events with `Accept: text/event-stream`. Ends when the pass lapses: the client's next try is refused."""

    async def sent(text: str) -> None:
        await _patiently(send({"type": "http.response.body", "body": text.encode(), "more_body": True}))

    async def pages(found: AsyncGenerator[Page]) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        # An id without data moves the client's Last-Event-ID, and is no event.
        reset = f'event: reset\ndata: {{"cursor":"{visit.cursor}"}}\n' if visit.is_reset else ""
        await sent(f"retry: 1000\nid: {visit.cursor}\n{reset}\n")
        async for page in found:
            for event, line in zip(page.events, page.lines, strict=True):
                await sent(f"id: {event['pos']}\nevent: {event['type']}\ndata: {line}\n\n")
            if not page.events:
                await sent(f": heartbeat\nid: {page.cursor}\n\n")

    try:
        visit = await in_thread(partial(_visit_by_header, scope))
        await visit.run(pages, partial(_disconnected, receive))
    except (DomainError, NotAuthenticated) as error:
        await _refuse(send, *_told(error, scope))
        return
    except Slow:
        log.info("a stream of events was closed: its client does not read")
    await send({"type": "http.response.body", "body": b""})


def _visit_by_header(scope: MutableMapping[str, Any]) -> Visit:
    holder = passes.admit(authorization=_header(scope, b"authorization"), session_key=_session_key(scope))
    return _visit(holder, following.asked(_query(scope), _header(scope, b"last-event-id")))


def _visit(holder: Pass | None, asked: Asked) -> Visit:
    if holder is None:
        raise NotAuthenticated("Send an API key or a token as `Authorization: Bearer …`, or log in.")
    if not holder.principal.may(Scope.EVENTS):
        raise Forbidden(f"This key lacks the scope {Scope.EVENTS}.", scope=str(Scope.EVENTS))
    return Visit(holder, asked)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _refuse(send: Send, status: int, body: dict[str, Any], headers: dict[str, str]) -> None:
    if status == 401:
        headers |= {"WWW-Authenticate": 'Bearer realm="tandem"'}
    headers |= {"Content-Type": PROBLEM}
    named = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": named})
    await send({"type": "http.response.body", "body": orjson.dumps(body)})


# --- WebSocket ---------------------------------------------------------------------------------------------------


async def event_socket(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    """/ws/events/ with a one-use ticket, or with an agent's login; `config.asgi` has checked a login's origin.

    Accepted before it is refused, because a browser is not told why a handshake failed.
    """
    if (await receive())["type"] != "websocket.connect":
        return
    await send({"type": "websocket.accept"})
    if code := await _serve(scope, receive, partial(_frame, send)):
        await send({"type": "websocket.close", "code": code})


async def _frame(send: Send, text: str) -> None:
    await _patiently(send({"type": "websocket.send", "text": text}))


async def _serve(
    scope: MutableMapping[str, Any], receive: Receive, frame: Callable[[str], Awaitable[None]]
) -> int | None:
    """Until it is over; answers the code to close with, None when the client has closed."""

    async def pages(found: AsyncGenerator[Page]) -> None:
        await frame(f'{{"type":"hello","cursor":"{visit.cursor}"}}')
        if visit.is_reset:
            await frame(f'{{"type":"reset","cursor":"{visit.cursor}"}}')
        async for page in found:
            for event, line in zip(page.events, page.lines, strict=True):
                await frame(f'{{"type":"event","cursor":"{event["pos"]}","event":{line}}}')
            if not page.events:
                await frame(f'{{"type":"heartbeat","cursor":"{page.cursor}"}}')

    async def gone() -> None:
        while (message := await receive())["type"] != "websocket.disconnect":
            if "ping" in (message.get("text") or "")[:40]:
                await frame('{"type":"pong"}')

    try:
        visit = await in_thread(partial(_visit_by_ticket_or_login, scope))
        return None if await visit.run(pages, gone) else NOT_ADMITTED
    except (DomainError, NotAuthenticated) as error:
        return _CLOSING.get(_told(error, scope)[0], TRY_AGAIN)
    except Slow:
        return NOT_KEPT_UP


def _visit_by_ticket_or_login(scope: MutableMapping[str, Any]) -> Visit:
    query = _query(scope)
    if "ticket" in query:
        holder = passes.use_ticket(query["ticket"])
    else:
        holder = passes.admit(session_key=_session_key(scope))
    return _visit(holder if holder and not following.lapsed({holder}) else None, following.asked(query))


def _told(error: Exception, scope: MutableMapping[str, Any]) -> tuple[int, dict[str, Any], dict[str, str]]:
    """What is answered; attempts at what is not one's own are logged as those at any other address."""
    told = problem_of(error)
    assert told
    if told[0] in REFUSALS:
        address = (scope.get("client") or ["?"])[0]
        refusals.warning("%s %s by=%s %s %r", told[0], told[1]["code"], address, scope["type"], scope["path"])
    return told


# --- Reading a request -------------------------------------------------------------------------------------------


def _header(scope: MutableMapping[str, Any], name: bytes, between: str = ",") -> str:
    return between.join(value.decode("latin1") for key, value in scope["headers"] if key.lower() == name)


def _query(scope: MutableMapping[str, Any]) -> dict[str, str]:
    return dict(parse_qsl(scope["query_string"].decode("latin1")))


def _session_key(scope: MutableMapping[str, Any]) -> str | None:
    try:
        cookies = SimpleCookie(_header(scope, b"cookie", "; "))
    except CookieError:
        return None
    found = cookies.get(settings.SESSION_COOKIE_NAME)
    return found.value if found else None
