"""Backpressure: an application that sends waits while its client does not read.

ASGI lets `send` wait; uvicorn's waits while the connection's buffer is full. daphne's returns at once and Twisted
buffers whatever is sent, so one client that does not read could fill the memory. Twisted pauses and resumes a
registered producer, so `Backpressure` registers one, and `send` waits while it is paused.

Between the application and a client lie three buffers: Twisted's (64 KiB), our kernel's and the client's own. The
kernel's grows to megabytes by itself, so that a client could stop reading for long before the application noticed: for
a stream it is limited to STREAM_BUFFER.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from functools import partial
from typing import Any

type Message = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]
type Application = Callable[[Any, Receive, Send], Awaitable[None]]

BACKPRESSURE = "tandem.pace"
"""The scope's key for the connection's `Backpressure`, where an application finds it even if its `send` is wrapped."""

STREAM_BUFFER = 128 * 1024
"""Bytes that the kernel keeps of a stream for its client; Linux reserves twice as much, for its own book-keeping."""


class _Producer:
    """Twisted calls these, in its own spelling, when the buffer is full (64 KiB) and when there is room again."""

    __slots__ = ("_room",)

    def __init__(self) -> None:
        self._room: asyncio.Event | None = None  # made when somebody is behind: an idle stream holds none

    async def wait(self) -> None:
        """Until there is room."""
        if self._room is not None:
            await self._room.wait()

    def pauseProducing(self) -> None:  # noqa: N802
        if self._room is None:
            self._room = asyncio.Event()

    def resumeProducing(self) -> None:  # noqa: N802
        if self._room is not None:
            self._room.set()
            self._room = None

    def stopProducing(self) -> None:  # noqa: N802
        """The connection is gone: nothing to wait for."""
        self.resumeProducing()


class Backpressure:
    """daphne's `send`, which waits for a client that is behind."""

    def __init__(self, send: Send, connection: Any) -> None:
        self._send, self._connection = send, connection
        self._producer = _Producer()
        self._is_registered = False

    async def __call__(self, message: Message) -> None:
        is_last = message["type"] == "websocket.close" or not message.get("more_body", True)
        if self._is_registered and is_last:
            self._unregister()
        await (self._close(message) if message.get("reason") else self._send(message))
        if is_last:
            return  # Twisted sends the rest by itself, and never says when it is done
        if not self._is_registered and message["type"] in ("http.response.body", "websocket.send"):
            self._register()
        await self._producer.wait()

    def as_stream(self, patience: float) -> None:
        """Prepare for a response without an end: a small kernel buffer, and a connection that closes with the response.

        A client that has vanished acknowledges nothing: its connection is cut after `patience` seconds (Linux).
        """
        if self._transport is None:
            return
        if getattr(self._connection, "channel", None) is not None:
            self._connection.channel.persistent = False
        handle = self._transport.getHandle() if hasattr(self._transport, "getHandle") else None
        if isinstance(handle, socket.socket):
            with suppress(OSError):  # a socket of another kind has no such option
                handle.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, STREAM_BUFFER)
                handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(patience * 1000))

    def write_at_once(self, data: bytes) -> bool:
        """Write bytes of the wire (`as_chunk`, `as_frame`) now; False, and nothing is written, where `send` has to do it.

        It does only while the client has taken all that came before: it never fills a buffer. Twisted alone would
        write in the loop's next turn, and tell the kernel twice for each connection that it wants to.
        """
        transport = self._transport
        if not (self._is_registered and hasattr(transport, "writeSomeData") and self._is_open()):
            return False
        if transport.dataBuffer or transport._tempDataBuffer or len(data) > transport.bufferSize:
            return False
        if not transport.connected or transport.disconnecting:
            return False
        sent = transport.writeSomeData(data)
        rest = data[sent:] if isinstance(sent, int) else data  # what is not a number is a lost connection
        if rest:
            transport.write(rest)
        return True

    def _is_open(self) -> bool:
        """Whether the response is in chunks and has begun, or the socket is open."""
        if hasattr(self._connection, "channel"):
            return bool(self._connection.startedWriting and self._connection.chunked and not self._connection.finished)
        return bool(self._connection.state == self._connection.STATE_OPEN and not self._connection.send_queue)

    def abort(self) -> None:
        """Cut the connection, with what its client has not taken."""
        if self._transport is not None:
            self._transport.abortConnection()

    @property
    def _transport(self) -> Any:
        """The connection's Twisted transport; None when the client has gone. A request has it on its channel."""
        return getattr(getattr(self._connection, "channel", self._connection), "transport", None)

    async def _close(self, message: Message) -> None:
        """Close the socket with its reason, which daphne's own `send` leaves out."""
        if self._connection.state == self._connection.STATE_OPEN:
            self._connection.sendClose(code=message["code"], reason=message["reason"])

    def _register(self) -> None:
        if self._transport is None:
            return
        if hasattr(self._connection, "registerProducer") and hasattr(self._connection, "channel"):
            self._connection.registerProducer(self._producer, True)  # a request
        else:
            # The HTTP channel that the socket grew out of is still registered.
            self._transport.unregisterProducer()
            self._transport.registerProducer(self._producer, True)
        self._is_registered = True

    def _unregister(self) -> None:
        self._is_registered = False
        if self._transport is None:
            return
        if hasattr(self._connection, "channel"):
            self._connection.unregisterProducer()
        else:
            self._transport.unregisterProducer()


def as_chunk(body: bytes) -> bytes:
    """A part of a response's body, as HTTP/1.1 sends it."""
    return b"%x\r\n%b\r\n" % (len(body), body)


def as_frame(text: bytes) -> bytes:
    """A text message, as a server's WebSocket sends it: unmasked, and the same for every client."""
    size = len(text)
    if size < 126:
        return b"\x81%c%b" % (size, text)
    if size < 2**16:
        return b"\x81\x7e" + size.to_bytes(2) + text
    return b"\x81\x7f" + size.to_bytes(8) + text


def with_backpressure(application: Application) -> Application:
    """Wrap an application so that its `send` waits for a client that is behind.

    Must be the outermost layer, because it recognizes daphne's own `send`; another server's is passed on unchanged.
    """

    async def run(scope: Any, receive: Receive, send: Send) -> None:
        if isinstance(send, partial) and send.args and hasattr(send.args[0], "transport"):
            send = Backpressure(send, send.args[0])
            scope = {**scope, BACKPRESSURE: send}
        await application(scope, receive, send)

    return run


def as_stream(scope: Any, patience: float) -> None:
    """Prepare the connection for a response without an end; see `Backpressure.as_stream`. Only daphne needs it."""
    if backpressure := scope.get(BACKPRESSURE):
        backpressure.as_stream(patience)


def write_at_once(scope: Any, data: bytes) -> bool:
    """See `Backpressure.write_at_once`; False for every server but daphne."""
    backpressure: Backpressure | None = scope.get(BACKPRESSURE)
    return backpressure is not None and backpressure.write_at_once(data)


def abort(scope: Any) -> bool:
    """Cut the connection of a client that does not read; False where the server does that itself."""
    if backpressure := scope.get(BACKPRESSURE):
        backpressure.abort()
    return bool(backpressure)
