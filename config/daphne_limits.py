"""The limits of config/body_limit.py for daphne, which writes a whole body to disk before it calls the application.

The channel closes a connection whose headers or body come too slowly; the request counts its body and asks `Rules`
before it reads more than anybody may send. Their refusals are problem+json under /api/, else a page that says why.
daphne and Twisted call everything here; with another server the module is not loaded.
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
"""Seconds in which a refused client's further bytes are read and dropped, so that it gets the answer, not a reset."""


# Any, because their types lack the attributes that daphne and Twisted add at run time.
Channel: Any = HTTPChannel
Request: Any = WebRequest
Factory: Any = HTTPFactory


class BoundedChannel(Channel):  # type: ignore[misc]
    """Closes connections whose headers or body do not come in time, and those that were refused."""

    _timer: Any = None
    _request_line = b""
    is_refused = False

    def dataReceived(self, data: bytes) -> None:  # noqa: N802 – Twisted's name, as all below
        if self.is_refused:
            return
        if self._timer is None and not self._handlingRequest:
            self._wait(seconds_for(0))  # for the headers; `allHeadersReceived` gives the body its time
        super().dataReceived(data)

    def lineReceived(self, line: bytes) -> None:  # noqa: N802
        if self.is_refused:  # what came in the same piece as the line that was refused
            return
        if line and not self._receivedHeaderSize:
            self._request_line = line
        super().lineReceived(line)

    def rawDataReceived(self, data: bytes) -> None:  # noqa: N802
        if not self.is_refused:
            super().rawDataReceived(data)

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: N802
        """A line of 16 KiB; the first one holds the address. Twisted would close without an answer."""
        is_first = not self._receivedHeaderSize
        if is_first:
            self._request_line = line
        self.refuse(TooLong() if is_first else HeadersTooLarge())

    def _respondToBadRequestAndDisconnect(self) -> None:  # noqa: N802 – Twisted calls it for whatever it cannot read
        if self._receivedHeaderSize > self.totalHeadersSize or self._receivedHeaderCount > self.maxHeaders:
            self.refuse(HeadersTooLarge())
        else:
            self.refuse(problem_for(400))

    def _target(self) -> str:
        """The path of the request that is being read, even if the rest of its first line cannot be read."""
        _, _, rest = self._request_line.partition(b" ")
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
        asyncio.ensure_future(self._answer(error))  # noqa: RUF006 – as in `_check_length`

    async def _answer(self, error: DomainError | APIException) -> None:
        path = self._target()
        status, media_type, body = answer_to(path, error)
        lines = {"Content-Type": media_type, "Content-Length": str(len(body)), "Cache-Control": "no-store"}
        lines |= await cors.unknown(path, self._read(b"origin"), self._read(b"authorization")) | {"Connection": "close"}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self.transport.write(f"HTTP/1.1 {status} Refused\r\n{head}\r\n".encode() + body)
        if hasattr(self.transport, "loseWriteConnection"):
            self.transport.loseWriteConnection()
        self._networkProducer.resumeProducing()  # only to drop what comes
        self._timer = self.callLater(LINGER, self.transport.abortConnection)

    def _read(self, name: bytes) -> str:
        """A header of the request that is being read; empty where it has not come."""
        return _value(self.requests[-1], name) if self.requests and self._receivedHeaderSize else ""

    def _wait(self, seconds: float) -> None:
        self._stop()
        self._timer = self.callLater(seconds, self._on_timeout, seconds)

    def _stop(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _on_timeout(self, waited: float) -> None:
        """The time for the size that the body had is up: allow more for what has come since, or refuse the request."""
        self._timer = None
        request = self.requests[-1] if self.requests else None
        size = getattr(request, "size", 0)
        if (more := seconds_for(size) - waited) > 0:
            self._timer = self.callLater(more, self._on_timeout, waited + more)
        else:
            self.refuse(TooSlow())


class BoundedRequest(Request):  # type: ignore[misc]
    """Counts its body: `size` bytes have come, `_most` are allowed so far."""

    rules: Rules
    size = 0
    head = Head("", "/")
    _most = 0
    _is_held = False
    _is_checking = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Else Twisted parses a form or file in memory, which nobody reads, and refuses a malformed one by itself.
        super().__init__(*args, **kwargs, parsePOSTFormSubmission=False)

    def basic_error(self, status: int, status_text: bytes, body: str) -> None:
        """daphne's own refusals: a header or address that is not text, an application that failed."""
        path = _path_of(self.uri)
        status, media_type, content = answer_to(path, problem_for(status))
        headers = [(b"Content-Type", media_type.encode()), (b"Cache-Control", b"no-store")]
        headers += [(b"Vary", b"Origin")] if path.startswith(cors.PATH) else []
        self.handle_reply({"type": "http.response.start", "status": status, "headers": headers})
        self.handle_reply({"type": "http.response.body", "body": content})

    def gotLength(self, length: int | None) -> None:  # noqa: N802
        self.head = self._head()
        self._most = self.rules.small(self.head)
        self._announced = length or 0
        super().gotLength(min(length, self._most) if length is not None else None)
        if self._announced > self._most:
            self._check_length()

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802
        if self.channel is None or self.channel.is_refused:
            return
        self.size += len(data)
        if self.size > self._most and not self._is_checking:
            self._check_length()
        if not self.channel.is_refused:
            super().handleContentChunk(data)

    def process(self) -> Any:
        """Called when the whole body is there; waits, too, until the rules have allowed its length."""
        if self.channel is None or self.channel.is_refused:
            return None
        if self._is_checking:
            self._is_held = True
            return None
        return super().process()

    def _check_length(self) -> None:
        """Stop reading until the rules have said how much this credential may send."""
        self._is_checking = True
        self.channel._networkProducer.pauseProducing()
        asyncio.ensure_future(self._ask_rules())  # noqa: RUF006 – the loop is Twisted's, the request holds all it needs

    async def _ask_rules(self) -> None:
        try:
            limit = await self.rules.large(self.head)
        except Exception:
            log.exception("whether a long body may come could not be asked")
            limit = Limit(self._most, too_large(self._most))  # the database is away: nobody can be let in
        self._apply(limit)

    def _apply(self, limit: Limit) -> None:
        if self.channel is None or self.channel.is_refused:
            return
        if max(self._announced, self.size) > limit.most:
            self.channel.refuse(limit.refusal)
            return
        self._most, self._is_checking = limit.most, False
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
    """Builds bounded channels and requests. HTTP/2 is not offered: Twisted needs more packages for it."""

    protocol = BoundedChannel
    noisy = False

    def buildProtocol(self, addr: Any) -> Any:  # noqa: N802
        channel = super().buildProtocol(addr)
        channel.requestFactory = BoundedRequest
        return channel


def install(rules: Rules) -> None:
    """Let daphne build bounded connections, by replacing the factory in its server module: it has no setting for it."""
    import daphne.server

    BoundedRequest.rules = rules
    daphne.server.HTTPFactory = BoundedFactory  # type: ignore[attr-defined]
