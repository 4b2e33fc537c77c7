"""Live events by SSE and by WebSocket: two ASGI applications that send the same pages.

They stand beside Django's handler, not behind it: that would hold a thread and a database connection for each stream as
long as it is open. Nothing more is sent to a client that does not read (see `config.backpressure`); it is disconnected
after EVENT_PATIENCE seconds.
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
from agents_app.api.viewsets import REFUSALS, refusals
from agents_app.connections import credential, registry
from agents_app.connections.credential import ConnectionCredential
from agents_app.connections.registry import Close, Connection, TooManyConnections
from agents_app.scopes import Scope
from config import backpressure
from config.api import PROBLEM, problem_of
from config.errors import DomainError, Forbidden
from messaging_app.follow import CursorGone, Page, at_sign_on, feeding, follow, start, together
from sessions_app.events import subscription
from sessions_app.events.subscription import Subscription

log = logging.getLogger(__name__)

type Message = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]

EVENT_STREAM = "text/event-stream"
NOBODYS = 0
"""The tenant id of a request that is refused before its tenant is known."""
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
    (b"connection", b"close"),  # so a client that has read to the end sees at once that nothing follows
]


class Slow(Exception):
    """The client does not read."""


def is_stream(scope: MutableMapping[str, Any]) -> bool:
    """Whether a request wants the events as a stream. If not, `events` answers the same address with JSON."""
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    return path == "/api/v1/events" and scope["method"] == "GET" and _prefers_stream(_header(scope, b"accept"))


def _prefers_stream(accept: str) -> bool:
    try:
        ranges = [MediaType(text) for text in accept.split(",") if text.strip()]
    except ValueError:  # longer than Django reads
        return False
    stream = _preference(ranges, EVENT_STREAM)
    return stream[0] > 0 and stream > _preference(ranges, "application/json")


def _preference(ranges: list[MediaType], media_type: str) -> tuple[float, int, int]:
    """How much `Accept` prefers a media type, to compare: quality, specificity and place of the most specific range.

    `HttpRequest.get_preferred_type` ignores ranges of quality 0, so that a wider one brings back what they exclude.
    """
    covering = (media_type, f"{media_type.partition('/')[0]}/*", "*/*")
    matches = (
        (media_range.specificity, -place, media_range.quality)
        for place, media_range in enumerate(ranges)
        if f"{media_range.main_type}/{media_range.sub_type}" in covering
    )
    specificity, place, quality = max(matches, default=(0, 0, 0.0))
    return quality, specificity, place


def has_ticket(scope: MutableMapping[str, Any]) -> bool:
    return "ticket" in _query(scope)


class Visit:
    """One client's connection: its credential, its subscription, and the cursor from which it is served."""

    def __init__(self, holder: ConnectionCredential, wanted: Subscription) -> None:
        self.holder, self.wanted = holder, wanted
        self.cursor = 0
        self.is_reset = False
        self.is_behind = wanted.after is not None

    @property
    def actor(self) -> Actor:
        return self.holder.actor

    async def begin(self) -> None:
        """Find the cursor; `is_reset` if the client's own is no longer kept. Raises `NotFound`, `Busy`.

        Those who connect at once and begin now share one look at where that is.
        """
        if self.wanted.after is None and self.wanted.conversation_id is None:
            tenant_id = self.actor.tenant_id
            self.cursor = await together(("now", tenant_id), partial(start, tenant_id, None), at_sign_on)
        else:
            await at_sign_on(self._find)

    def _find(self) -> None:
        subscription.checked(self.actor, self.wanted)
        try:
            self.cursor = start(self.actor.tenant_id, self.wanted.after)
        except CursorGone as gone:
            self.cursor, self.is_reset = int(gone.fields["cursor"]), True

    async def run(
        self,
        send: Callable[[AsyncGenerator[Page]], Awaitable[None]],
        gone: Callable[[Connection], Awaitable[None]],
        write: Callable[[Page], bool],
    ) -> bool:
        """Send pages until the client is gone (True), or its credential is revoked (False).

        `write` sends a page at once where it can; the others go by `send`. The feed is told of news before the cursor is
        read, so that no event between the two is missed. Raises `Slow`, `TooManyConnections`, and what `begin` raises.
        """
        with registry.registry.keeping(self.holder) as connection:
            async with feeding(
                partial(subscription.read, self.actor, self.wanted),
                self.actor.tenant_id,
                audience=subscription.audience(self.actor, self.wanted),
                conversation_id=subscription.conversation_of(self.actor, self.wanted),
            ) as feed:
                await self.begin()
                pages = follow(feed, after=self.cursor, is_behind=self.is_behind, write=write)
                return await self._follow(connection, pages, send, gone)

    async def _follow(
        self,
        connection: Connection,
        pages: AsyncGenerator[Page],
        send: Callable[[AsyncGenerator[Page]], Awaitable[None]],
        gone: Callable[[Connection], Awaitable[None]],
    ) -> bool:
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


async def _patiently(sending: Awaitable[None]) -> None:
    """Raises `Slow` if it takes longer than EVENT_PATIENCE."""
    try:
        async with asyncio.timeout(settings.EVENT_PATIENCE):
            await sending
    except TimeoutError:
        raise Slow from None


# --- Server-sent events ------------------------------------------------------------------------------------------


async def event_stream(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    """GET /api/v1/events with `Accept: text/event-stream`. Ends when the credential is revoked; a retry is refused."""

    async def sent(body: bytes) -> None:
        await _patiently(send({"type": "http.response.body", "body": body, "more_body": True}))

    def at_once(page: Page) -> bool:
        return backpressure.write_at_once(scope, page.shared(_as_chunk))

    async def pages(following: AsyncGenerator[Page]) -> None:
        backpressure.as_stream(scope, settings.EVENT_PATIENCE)
        headers = [*_HEADERS, *_encoded(await _cors_headers(scope, tenant_id))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        # An id without data moves the client's Last-Event-ID, and is no event.
        reset = f'event: reset\ndata: {{"cursor":"{visit.cursor}"}}\n' if visit.is_reset else ""
        await sent(f"retry: 1000\nid: {visit.cursor}\n{reset}\n".encode())
        async for page in following:
            for block in page.shared(_blocks):
                await sent(block)
            if not page.events:
                await sent(f": heartbeat\nid: {page.cursor}\n\n".encode())

    tenant_id = NOBODYS
    try:
        visit = await _visit_by_header(scope)
        tenant_id = visit.actor.tenant_id
        await visit.run(pages, partial(_disconnected, receive), at_once)
    except (DomainError, NotAuthenticated) as error:
        status, body, headers = _problem_of(error, scope)
        cors_headers = await _cors_headers(scope, None if status == 401 else tenant_id)
        await _refuse(send, status, body, headers | cors_headers)
        return
    except Slow:
        log.info("a stream of events was cut: its client does not read")
        if backpressure.abort(scope):
            return
    with suppress(Slow):
        await _patiently(send({"type": "http.response.body", "body": b""}))


def _blocks(page: Page) -> list[bytes]:
    """Each event of a page, as server-sent events write it."""
    events = zip(page.events, page.lines, strict=True)
    return [f"id: {event['pos']}\nevent: {event['type']}\ndata: {line}\n\n".encode() for event, line in events]


def _as_chunk(page: Page) -> bytes:
    return backpressure.as_chunk(b"".join(page.shared(_blocks)))


async def _visit_by_header(scope: MutableMapping[str, Any]) -> Visit:
    """Streams of one credential that connect at once are let in by one look at it."""
    authorization, session_key = _header(scope, b"authorization"), _session_key(scope)
    let_in = partial(credential.authenticate, authorization=authorization, session_key=session_key)
    holder = await together(("who", authorization, session_key), let_in, at_sign_on)
    return _visit(holder, subscription.subscription(_query(scope), _header(scope, b"last-event-id")))


def _visit(holder: ConnectionCredential | None, wanted: Subscription) -> Visit:
    if holder is None:
        raise NotAuthenticated("Send an API key or a token as `Authorization: Bearer …`, or log in.")
    if not holder.principal.may(Scope.EVENTS):
        raise Forbidden(f"This key lacks the scope {Scope.EVENTS}.", scope=str(Scope.EVENTS))
    return Visit(holder, wanted)


async def _cors_headers(scope: MutableMapping[str, Any], tenant_id: int | None) -> dict[str, str]:
    """The headers that `agents_app.api.cors` adds to every other response; a stream does not pass through it."""
    origin, authorization = _header(scope, b"origin"), _header(scope, b"authorization")
    headers = cors.headers(await cors.read(), origin, authorization, tenant_id) if origin else {}
    return {"Vary": "Origin"} | headers


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

    The handshake is accepted even for a request to be refused, because a browser cannot see why a handshake failed.
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
    """Send events until the connection is over. Returns the code to close with, None when the client has closed."""

    def at_once(page: Page) -> bool:
        return backpressure.write_at_once(scope, page.shared(_as_frames))

    async def pages(following: AsyncGenerator[Page]) -> None:
        await frame(f'{{"type":"hello","cursor":"{visit.cursor}"}}')
        if visit.is_reset:
            await frame(f'{{"type":"reset","cursor":"{visit.cursor}"}}')
        async for page in following:
            for text in page.shared(_frames):
                await frame(text)
            if not page.events:
                await frame(f'{{"type":"heartbeat","cursor":"{page.cursor}"}}')

    async def gone(connection: Connection) -> None:
        while (message := await receive())["type"] != "websocket.disconnect":
            is_ping = "ping" in (message.get("text") or "")[:40]
            if is_ping and await registry.registry.verified(connection):
                await frame('{"type":"pong"}')

    try:
        visit = await at_sign_on(partial(_visit_by_ticket_or_login, scope))
        return None if await visit.run(pages, gone, at_once) else Close.NOT_AUTHENTICATED
    except (DomainError, NotAuthenticated) as error:
        return _CLOSING.get(_problem_of(error, scope)[0], Close.TRY_AGAIN)
    except Slow:
        return Close.NOT_READING


def _frames(page: Page) -> list[str]:
    events = zip(page.events, page.lines, strict=True)
    return [f'{{"type":"event","cursor":"{event["pos"]}","event":{line}}}' for event, line in events]


def _as_frames(page: Page) -> bytes:
    return b"".join(backpressure.as_frame(text.encode()) for text in page.shared(_frames))


def _visit_by_ticket_or_login(scope: MutableMapping[str, Any]) -> Visit:
    query = _query(scope)
    if "ticket" in query:
        holder = credential.use_ticket(query["ticket"])
    else:
        holder = credential.authenticate(session_key=_session_key(scope))
    return _visit(
        holder if holder and not credential.which_are_revoked({holder}) else None, subscription.subscription(query)
    )


def _problem_of(error: Exception, scope: MutableMapping[str, Any]) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Status, body and headers of the refusal; the statuses in `REFUSALS` are logged as at any other address."""
    refusal = problem_of(error)
    assert refusal
    if isinstance(error, TooManyConnections):
        refusal[2]["Retry-After"] = str(ceil(settings.EVENT_PATIENCE))  # by then a client that is gone holds no place
    if refusal[0] in REFUSALS:
        address = (scope.get("client") or ["?"])[0]
        refusals.warning("%s %s by=%s %s %r", refusal[0], refusal[1]["code"], address, scope["type"], scope["path"])
    return refusal


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
    cookie = cookies.get(settings.SESSION_COOKIE_NAME)
    return cookie.value if cookie else None
