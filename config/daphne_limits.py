"""The bounds of config/body_limit.py where daphne reads: Twisted writes a whole body to disk before daphne asks its application.

A channel ends a connection whose headers or body come too slowly; a request counts its body and asks `Rules` before more of it is
read. What the two refuse by themselves is a problem under /api/ and a page that says why elsewhere. Nothing here but what daphne and
Twisted call; with any other server it is not loaded.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from daphne.http_protocol import HTTPFactory, WebRequest
from rest_framework.exceptions import APIException
from twisted.web.http import HTTPChannel

from agents_app.api import cors
from config.body_limit import Head, HeadersTooLarge, Limit, Rules, TooLong, TooSlow, answer_to, seconds_for, too_large
from config.errors import DomainError
from config.failures import problem_for

log = logging.getLogger(__name__)

LINGER = 2.0
"""Seconds for which what a refused client still sends is thrown away, so that it reads the answer and no reset."""


# Their types do not know what daphne and Twisted put together at run time.
Channel: Any = HTTPChannel
Request: Any = WebRequest
Factory: Any = HTTPFactory


class BoundedChannel(Channel):  # type: ignore[misc]
    """Ends connections whose headers or body do not come in time, and those that were refused."""

    _due: Any = None
    _first = b""
    is_refused = False

    def dataReceived(self, data: bytes) -> None:  # noqa: N802 – Twisted's name, as all below
        if self.is_refused:
            return
        if self._due is None and not self._handlingRequest:
            self._wait(seconds_for(0))  # for the headers; `allHeadersReceived` gives the body its time
        super().dataReceived(data)

    def lineReceived(self, line: bytes) -> None:  # noqa: N802
        if self.is_refused:  # what came in the same piece as the line that was refused
            return
        if line and not self._receivedHeaderSize:
            self._first = line
        super().lineReceived(line)

    def rawDataReceived(self, data: bytes) -> None:  # noqa: N802
        if not self.is_refused:
            super().rawDataReceived(data)

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: N802
        """A line of 16 KiB: the first one holds the address. Twisted would close without a word."""
        is_first = not self._receivedHeaderSize
        if is_first:
            self._first = line
        self.refuse(TooLong() if is_first else HeadersTooLarge())

    def _respondToBadRequestAndDisconnect(self) -> None:  # noqa: N802 – Twisted calls it for whatever it cannot read
        if self._receivedHeaderSize > self.totalHeadersSize or self._receivedHeaderCount > self.maxHeaders:
            self.refuse(HeadersTooLarge())
        else:
            self.refuse(problem_for(400))

    def _target(self) -> str:
        """The path of the request that is being read, also where the rest of its first line cannot be."""
        _, _, rest = self._first.partition(b" ")
        return _path_of(rest.partition(b" ")[0])

    def allHeadersReceived(self) -> None:  # noqa: N802
        self._wait(seconds_for(0))
        super().allHeadersReceived()

    def allContentReceived(self) -> None:  # noqa: N802
        self._stop()
        super().allContentReceived()

    def connectionLost(self, reason: Any) -> None:  # noqa: N802
        self._stop()
        super().connectionLost(reason)

    def refuse(self, error: DomainError | APIException) -> None:
        """Answer, stop reading, close."""
        if self.is_refused:
            return
        self.is_refused = True
        self._stop()
        self.setTimeout(None)
        asyncio.ensure_future(self._answer(error))  # noqa: RUF006 – as `_decide`

    async def _answer(self, error: DomainError | APIException) -> None:
        path = self._target()
        status, media_type, body = answer_to(path, error)
        lines = {"Content-Type": media_type, "Content-Length": str(len(body)), "Cache-Control": "no-store"}
        lines |= await cors.unknown(path, self._read(b"origin"), self._read(b"authorization")) | {"Connection": "close"}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self.transport.write(f"HTTP/1.1 {status} Refused\r\n{head}\r\n".encode() + body)
        if hasattr(self.transport, "loseWriteConnection"):
            self.transport.loseWriteConnection()
        self._networkProducer.resumeProducing()  # only to throw it away
        self._due = self.callLater(LINGER, self.transport.abortConnection)

    def _read(self, name: bytes) -> str:
        """A header of the request that is being read; empty where it has not come."""
        return _value(self.requests[-1], name) if self.requests and self._receivedHeaderSize else ""

    def _wait(self, seconds: float) -> None:
        self._stop()
        self._due = self.callLater(seconds, self._look, seconds)

    def _stop(self) -> None:
        if self._due is not None and self._due.active():
            self._due.cancel()
        self._due = None

    def _look(self, waited: float) -> None:
        """The time is up that a body of the size it had could take; what came meanwhile earns it more."""
        self._due = None
        request = self.requests[-1] if self.requests else None
        size = getattr(request, "size", 0)
        if (more := seconds_for(size) - waited) > 0:
            self._due = self.callLater(more, self._look, waited + more)
        else:
            self.refuse(TooSlow())


class BoundedRequest(Request):  # type: ignore[misc]
    """Counts its body. `size` is what has come, `_most` what may."""

    rules: Rules
    size = 0
    head = Head("", "/")
    _most = 0
    _is_held = False
    _is_asking = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Twisted would read a form or file whole into memory, for itself, and refuse one of its own accord.
        super().__init__(*args, **kwargs, parsePOSTFormSubmission=False)

    def basic_error(self, status: int, status_text: bytes, body: str) -> None:
        """What daphne refuses: a header or address that is no text, an application that failed."""
        path = _path_of(self.uri)
        status, media_type, told = answer_to(path, problem_for(status))
        headers = [(b"Content-Type", media_type.encode()), (b"Cache-Control", b"no-store")]
        headers += [(b"Vary", b"Origin")] if path.startswith(cors.PATH) else []
        self.handle_reply({"type": "http.response.start", "status": status, "headers": headers})
        self.handle_reply({"type": "http.response.body", "body": told})

    def gotLength(self, length: int | None) -> None:  # noqa: N802
        self.head = self._head()
        self._most = self.rules.small(self.head)
        self._announced = length or 0
        super().gotLength(min(length, self._most) if length is not None else None)
        if self._announced > self._most:
            self._ask()

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802
        if self.channel is None or self.channel.is_refused:
            return
        self.size += len(data)
        if self.size > self._most and not self._is_asking:
            self._ask()
        if not self.channel.is_refused:
            super().handleContentChunk(data)

    def process(self) -> Any:
        """Once the whole body is there; and once it is known that it may be so long."""
        if self.channel is None or self.channel.is_refused:
            return None
        if self._is_asking:
            self._is_held = True
            return None
        return super().process()

    def _ask(self) -> None:
        """Read no more until the credential has been looked at."""
        self._is_asking = True
        self.channel._networkProducer.pauseProducing()
        asyncio.ensure_future(self._decide())  # noqa: RUF006 – the loop is Twisted's, the request holds what it needs

    async def _decide(self) -> None:
        try:
            limit = await self.rules.large(self.head)
        except Exception:
            log.exception("whether a long body may come could not be asked")
            limit = Limit(self._most, too_large(self._most))  # the database is away: nobody can be let in
        self._decided(limit)

    def _decided(self, limit: Limit) -> None:
        if self.channel is None or self.channel.is_refused:
            return
        if max(self._announced, self.size) > limit.most:
            self.channel.refuse(limit.refusal)
            return
        self._most, self._is_asking = limit.most, False
        self.channel._networkProducer.resumeProducing()
        if self._is_held:
            super().process()

    def _head(self) -> Head:
        method, path = self.channel._command.decode("latin-1"), _path_of(self.channel._path)
        return Head(method, path, _value(self, b"authorization"), _value(self, b"cookie"))


def _value(request: Any, name: bytes) -> str:
    return b"; ".join(request.requestHeaders.getRawHeaders(name) or []).decode("latin-1")


def _path_of(target: bytes) -> str:
    return target.split(b"?", 1)[0].decode("latin-1")


class BoundedFactory(Factory):  # type: ignore[misc]
    """Builds these two. HTTP/2, which Twisted speaks with packages that are not among ours, is not offered."""

    protocol = BoundedChannel
    noisy = False

    def buildProtocol(self, addr: Any) -> Any:  # noqa: N802
        made = super().buildProtocol(addr)
        made.requestFactory = BoundedRequest
        return made


def install(rules: Rules) -> None:
    """Let daphne build bounded connections. Its server takes its factory by this name, and offers no other way."""
    import daphne.server

    BoundedRequest.rules = rules
    daphne.server.HTTPFactory = BoundedFactory  # type: ignore[attr-defined]
