"""How an application learns that its client does not read.

ASGI says that `send` may wait; uvicorn's does while the connection's buffer is full. daphne's returns at once and Twisted
keeps whatever is sent, so one client that stands still could fill the memory. Twisted does tell a producer when to
stop, so here a producer is what `send` waits for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import Any

type Message = MutableMapping[str, Any]
type Send = Callable[[Message], Awaitable[None]]


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


def paced(send: Send) -> Send:
    """`send`, which waits for a client that is behind; any other server's is returned as it is."""
    if not (isinstance(send, partial) and send.args and hasattr(send.args[0], "transport")):
        return send
    connection, brake = send.args[0], _Brake()
    is_held = False

    async def waiting(message: Message) -> None:
        nonlocal is_held
        is_last = message["type"] == "websocket.close" or not message.get("more_body", True)
        if is_held and is_last:
            _let_go(connection)
            is_held = False
        await send(message)
        if not is_held and not is_last and message["type"] in ("http.response.body", "websocket.send"):
            is_held = _hold(connection, brake)
        await brake.free.wait()

    return waiting


def _hold(connection: Any, brake: _Brake) -> bool:
    """False when the client has gone meanwhile."""
    if connection.transport is None or getattr(connection, "channel", connection) is None:
        return False
    if hasattr(connection, "registerProducer") and hasattr(connection, "channel"):
        connection.registerProducer(brake, True)  # a request
    else:
        # The HTTP channel that the socket grew out of is still registered.
        connection.transport.unregisterProducer()
        connection.transport.registerProducer(brake, True)
    return True


def _let_go(connection: Any) -> None:
    if hasattr(connection, "channel"):
        if connection.channel is not None:
            connection.unregisterProducer()
    elif connection.transport is not None:
        connection.transport.unregisterProducer()
