"""Events as they come, by SSE and by WebSocket: two ASGI applications over the same pages.

They stand beside Django's handler, not behind it: that would hold a thread and a database connection for each stream as
long as it is open. A client that does not read is not sent to (see `config.backpressure`), and closed after EVENT_PATIENCE.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import aclosing, suppress
from functools import partial
from http.cookies import CookieError, SimpleCookie
from math import ceil
from typing import Any
from urllib.parse import parse_qsl

import orjson
from django.conf import settings
from django.http.request import MediaType
from rest_framework.exceptions import NotAuthenticated

from agents_app.actors import Actor
from agents_app.api import cors
from agents_app.api.endpoints import REFUSALS, refusals
from agents_app.connections import credential, registry
from agents_app.connections.credential import ConnectionCredential
from agents_app.connections.registry import Close, Connection, TooManyConnections
from agents_app.scopes import Scope
from config import backpressure
from config.api import PROBLEM, problem_of
from config.errors import DomainError, Forbidden
from messaging_app import live
from messaging_app.follow import CursorGone, Page, follow, in_thread, start
from messaging_app.live import Waiter
from sessions_app.events import subscription
from sessions_app.events.subscription import Subscription

log = logging.getLogger(__name__)

type Message = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]

EVENT_STREAM = "text/event-stream"
NOBODYS = 0
"""No tenant: of a request that was refused before it was known whose it is."""
_CLOSING = {
    400: Close.MALFORMED,
    401: Close.NOT_AUTHENTICATED,
    403: Close.FORBIDDEN,
    404: Close.NOT_FOUND,
    429: Close.TOO_MANY,
}
_HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would keep events until it has a bufferful
    (b"x-content-type-options", b"nosniff"),
    (b"connection", b"close"),  # nothing comes after it, and whoever reads it to the end need not wait to see that
]


class Slow(Exception):
    """The client does not read."""


def is_stream(scope: MutableMapping[str, Any]) -> bool:
    """Whether a request wants the events as a stream, rather than as JSON, which the same address answers by `events`."""
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    return path == "/api/v1/events" and scope["method"] == "GET" and _prefers_stream(_header(scope, b"accept"))


def _prefers_stream(accept: str) -> bool:
    try:
        ranges = [MediaType(text) for text in accept.split(",") if text.strip()]
    except ValueError:  # longer than Django reads
        return False
    stream = _wanted(ranges, EVENT_STREAM)
    return stream[0] > 0 and stream > _wanted(ranges, "application/json")


def _wanted(ranges: list[MediaType], media_type: str) -> tuple[float, int, int]:
    """How much `Accept` wants it, to compare: the quality of the most specific range that covers it; how specific that is; how
    early it stands.

    `HttpRequest.get_preferred_type` passes over ranges of quality 0, so that a wider one brings back what they exclude.
    """
    covering = (media_type, f"{media_type.partition('/')[0]}/*", "*/*")
    found = (
        (one.specificity, -place, one.quality)
        for place, one in enumerate(ranges)
        if f"{one.main_type}/{one.sub_type}" in covering
    )
    specificity, place, quality = max(found, default=(0, 0, 0.0))
    return quality, specificity, place


def has_ticket(scope: MutableMapping[str, Any]) -> bool:
    return "ticket" in _query(scope)


class Visit:
    """One client's stay: who it is, what it asked for, and where it begins."""

    def __init__(self, holder: ConnectionCredential, asked: Subscription) -> None:
        self.holder, self.asked = holder, asked
        self.cursor = 0
        self.is_reset = False

    @property
    def actor(self) -> Actor:
        return self.holder.actor

    def begin(self) -> None:
        """Raises `NotFound`, `Busy`."""
        subscription.checked(self.actor, self.asked)
        try:
            self.cursor = start(self.actor.tenant_id, self.asked.after)
        except CursorGone as gone:
            self.cursor, self.is_reset = int(gone.fields["cursor"]), True

    async def run(
        self,
        send: Callable[[AsyncGenerator[Page]], Awaitable[None]],
        gone: Callable[[Connection], Awaitable[None]],
    ) -> bool:
        """Send pages until the client is gone or the pass is revoked; False for the latter.

        It listens before it begins, so that nothing falls between the cursor and the first hint. Raises `Slow`,
        `TooManyConnections`.
        """
        conversation_id = subscription.conversation_of(self.actor, self.asked)
        with registry.registry.keeping(self.holder) as connection:
            async with live.hub.following(self.actor.tenant_id, conversation_id=conversation_id) as bell:
                return await self._follow(connection, bell, send, gone)

    async def _follow(
        self,
        connection: Connection,
        bell: Waiter,
        send: Callable[[AsyncGenerator[Page]], Awaitable[None]],
        gone: Callable[[Connection], Awaitable[None]],
    ) -> bool:
        await in_thread(self.begin)
        pages = follow(
            partial(subscription.read, self.actor, self.asked),
            after=self.cursor,
            bell=bell,
            audience=subscription.audience(self.actor, self.asked),
        )
        async with aclosing(pages):
            sending, leaving = asyncio.ensure_future(send(pages)), asyncio.ensure_future(gone(connection))
            connection.end = sending.cancel
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
    """GET /api/v1/events with `Accept: text/event-stream`. Ends when the pass is revoked: the client's next try is refused."""

    async def sent(text: str) -> None:
        await _patiently(send({"type": "http.response.body", "body": text.encode(), "more_body": True}))

    async def pages(found: AsyncGenerator[Page]) -> None:
        backpressure.as_stream(scope, settings.EVENT_PATIENCE)
        headers = [*_HEADERS, *_encoded(await _for_other_origins(scope, tenant_id))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        # An id without data moves the client's Last-Event-ID, and is no event.
        reset = f'event: reset\ndata: {{"cursor":"{visit.cursor}"}}\n' if visit.is_reset else ""
        await sent(f"retry: 1000\nid: {visit.cursor}\n{reset}\n")
        async for page in found:
            for event, line in zip(page.events, page.lines, strict=True):
                await sent(f"id: {event['pos']}\nevent: {event['type']}\ndata: {line}\n\n")
            if not page.events:
                await sent(f": heartbeat\nid: {page.cursor}\n\n")

    tenant_id = NOBODYS
    try:
        visit = await in_thread(partial(_visit_by_header, scope))
        tenant_id = visit.actor.tenant_id
        await visit.run(pages, partial(_disconnected, receive))
    except (DomainError, NotAuthenticated) as error:
        status, body, headers = _told(error, scope)
        opened = await _for_other_origins(scope, None if status == 401 else tenant_id)
        await _refuse(send, status, body, headers | opened)
        return
    except Slow:
        log.info("a stream of events was cut: its client does not read")
        if backpressure.abort(scope):
            return
    with suppress(Slow):
        await _patiently(send({"type": "http.response.body", "body": b""}))


def _visit_by_header(scope: MutableMapping[str, Any]) -> Visit:
    holder = credential.authenticate(authorization=_header(scope, b"authorization"), session_key=_session_key(scope))
    return _visit(holder, subscription.subscription(_query(scope), _header(scope, b"last-event-id")))


def _visit(holder: ConnectionCredential | None, asked: Subscription) -> Visit:
    if holder is None:
        raise NotAuthenticated("Send an API key or a token as `Authorization: Bearer …`, or log in.")
    if not holder.principal.may(Scope.EVENTS):
        raise Forbidden(f"This key lacks the scope {Scope.EVENTS}.", scope=str(Scope.EVENTS))
    return Visit(holder, asked)


async def _for_other_origins(scope: MutableMapping[str, Any], tenant_id: int | None) -> dict[str, str]:
    """What `agents_app.api.cors` adds to every other answer; this one does not come through it."""
    origin, authorization = _header(scope, b"origin"), _header(scope, b"authorization")
    opened = cors.headers(await cors.read(), origin, authorization, tenant_id) if origin else {}
    return {"Vary": "Origin"} | opened


def _encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


async def _disconnected(receive: Receive, _: Connection) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _refuse(send: Send, status: int, body: dict[str, Any], headers: dict[str, str]) -> None:
    if status == 401:
        headers |= {"WWW-Authenticate": 'Bearer realm="tandem"'}
    headers |= {"Content-Type": PROBLEM, "Cache-Control": "no-store"}
    await send({"type": "http.response.start", "status": status, "headers": _encoded(headers)})
    await send({"type": "http.response.body", "body": orjson.dumps(body)})


# --- WebSocket ---------------------------------------------------------------------------------------------------


async def event_socket(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    """/ws/events/ with a one-use ticket, or with an agent's login; `config.asgi` has checked a login's origin.

    Accepted before it is refused, because a browser is not told why a handshake failed.
    """
    if (await receive())["type"] != "websocket.connect":
        return
    backpressure.as_stream(scope, settings.EVENT_PATIENCE)
    await send({"type": "websocket.accept"})
    if code := await _serve(scope, receive, partial(_frame, send)):
        await send({"type": "websocket.close", "code": int(code), "reason": code.reason})


async def _frame(send: Send, text: str) -> None:
    await _patiently(send({"type": "websocket.send", "text": text}))


async def _serve(
    scope: MutableMapping[str, Any], receive: Receive, frame: Callable[[str], Awaitable[None]]
) -> Close | None:
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

    async def gone(connection: Connection) -> None:
        while (message := await receive())["type"] != "websocket.disconnect":
            is_ping = "ping" in (message.get("text") or "")[:40]
            if is_ping and await registry.registry.verified(connection):
                await frame('{"type":"pong"}')

    try:
        visit = await in_thread(partial(_visit_by_ticket_or_login, scope))
        return None if await visit.run(pages, gone) else Close.NOT_AUTHENTICATED
    except (DomainError, NotAuthenticated) as error:
        return _CLOSING.get(_told(error, scope)[0], Close.TRY_AGAIN)
    except Slow:
        return Close.NOT_READING


def _visit_by_ticket_or_login(scope: MutableMapping[str, Any]) -> Visit:
    query = _query(scope)
    if "ticket" in query:
        holder = credential.use_ticket(query["ticket"])
    else:
        holder = credential.authenticate(session_key=_session_key(scope))
    return _visit(
        holder if holder and not credential.which_are_revoked({holder}) else None, subscription.subscription(query)
    )


def _told(error: Exception, scope: MutableMapping[str, Any]) -> tuple[int, dict[str, Any], dict[str, str]]:
    """What is answered; attempts at what is not one's own are logged as those at any other address."""
    told = problem_of(error)
    assert told
    if isinstance(error, TooManyConnections):
        told[2]["Retry-After"] = str(ceil(settings.EVENT_PATIENCE))  # by then a client that is gone holds no place
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
