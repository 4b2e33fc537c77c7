"""Backpressure: an application that sends waits while its client does not read.

ASGI says that `send` may wait; uvicorn's does while the connection's buffer is full. daphne's returns at once and Twisted
keeps whatever is sent, so one client that stands still could fill the memory. Twisted does tell a producer when to
stop, so here a producer is what `send` waits for.

Between the application and a client lie three buffers: Twisted's (64 KiB), our kernel's and the client's own. The second
grows to megabytes by itself, so that a client could stand still for long before anybody here noticed: that of a stream is
held small.
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
"""The key in the scope under which an application finds its `Paced`, whatever lies around `send` meanwhile."""

STREAM_BUFFER = 128 * 1024
"""Bytes that the kernel keeps of a stream for its client; Linux reserves twice as much, for its own book-keeping."""


class _Brake:
    """Twisted calls these, in its own spelling, when the buffer is full (64 KiB) and when there is room again."""

    def __init__(self) -> None:
        self.free = asyncio.Event()
        self.free.set()

    def pauseProducing(self) -> None:  # noqa: N802
        self.free.clear()

    def resumeProducing(self) -> None:  # noqa: N802
        self.free.set()

    def stopProducing(self) -> None:  # noqa: N802
        """The connection is gone: nothing to wait for."""
        self.free.set()


class Backpressure:
    """daphne's `send`, which waits for a client that is behind."""

    def __init__(self, send: Send, connection: Any) -> None:
        self._send, self._connection = send, connection
        self._brake = _Brake()
        self._is_held = False

    async def __call__(self, message: Message) -> None:
        is_last = message["type"] == "websocket.close" or not message.get("more_body", True)
        if self._is_held and is_last:
            self._let_go()
        await (self._close(message) if message.get("reason") else self._send(message))
        if is_last:
            return  # Twisted sends on what it has; nobody would say when it is done
        if not self._is_held and message["type"] in ("http.response.body", "websocket.send"):
            self._hold()
        await self._brake.free.wait()

    def as_stream(self, patience: float) -> None:
        """For a response without an end: little is kept for the client, and the connection ends with it.

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

    def abort(self) -> None:
        """Cut the connection, with what its client has not taken."""
        if self._transport is not None:
            self._transport.abortConnection()

    @property
    def _transport(self) -> Any:
        """None when the client has gone. A request finds it at the channel that it came over."""
        return getattr(getattr(self._connection, "channel", self._connection), "transport", None)

    async def _close(self, message: Message) -> None:
        """With its reason, which daphne would leave out."""
        if self._connection.state == self._connection.STATE_OPEN:
            self._connection.sendClose(code=message["code"], reason=message["reason"])

    def _hold(self) -> None:
        if self._transport is None:
            return
        if hasattr(self._connection, "registerProducer") and hasattr(self._connection, "channel"):
            self._connection.registerProducer(self._brake, True)  # a request
        else:
            # The HTTP channel that the socket grew out of is still registered.
            self._transport.unregisterProducer()
            self._transport.registerProducer(self._brake, True)
        self._is_held = True

    def _let_go(self) -> None:
        self._is_held = False
        if self._transport is None:
            return
        if hasattr(self._connection, "channel"):
            self._connection.unregisterProducer()
        else:
            self._transport.unregisterProducer()


def with_backpressure(application: Application) -> Application:
    """The application, whose `send` waits for a client that is behind. The outermost layer: it has to know daphne's own `send`.

    Another server's is passed on as it is.
    """

    async def run(scope: Any, receive: Receive, send: Send) -> None:
        if isinstance(send, partial) and send.args and hasattr(send.args[0], "transport"):
            send = Backpressure(send, send.args[0])
            scope = {**scope, BACKPRESSURE: send}
        await application(scope, receive, send)

    return run


def as_stream(scope: Any, patience: float) -> None:
    """Make ready for a response without an end, where the server lets us."""
    if pace := scope.get(BACKPRESSURE):
        pace.as_stream(patience)


def abort(scope: Any) -> bool:
    """Cut the connection of a client that does not read; False where the server does that itself."""
    if pace := scope.get(BACKPRESSURE):
        pace.abort()
    return bool(pace)
