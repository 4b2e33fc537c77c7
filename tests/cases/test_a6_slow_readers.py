"""A6: whoever does not read is closed as documented, by server-sent events and WebSocket alike, and costs nothing afterwards."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from agents_app.connections.registry import Close
from config.backpressure import with_backpressure
from tests.events.served import Installation, embedded
from tests.patience import PATIENCE, comes_true

real_server = [pytest.mark.services, pytest.mark.first_database]

CUT_AFTER = 2
"""Seconds that the impatient server gives a client that does not read."""
KEPT_ALIVE = 60
"""Seconds that daphne keeps a connection after a response, and that a client of the past waited for nothing."""
MESSAGES, SIZE = 1500, 6000

SSE = "GET /api/v1/events?after=0 HTTP/1.1\nHost: {host}\nAccept: text/event-stream\nAuthorization: Bearer {key}\n\n"
SOCKET = (
    "GET /ws/events/?after=0&ticket={ticket} HTTP/1.1\nHost: {host}\nUpgrade: websocket\nConnection: Upgrade\n"
    "Sec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\n"
)


class Reader:
    """A client on a bare socket with a small buffer, which reads when it is told to."""

    def __init__(self, url: str, request: str, **fields: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.port
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        self._socket.connect((parts.hostname, parts.port))
        self._socket.sendall(request.replace("\n", "\r\n").format(host=parts.netloc, **fields).encode())
        self._socket.settimeout(KEPT_ALIVE / 2)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def is_closed(self) -> bool:
        """Whether the server has let go: found in the kernel's table, without reading."""
        here = self._socket.getsockname()[1]
        states = [c.status for c in psutil.net_connections("tcp4") if c.raddr and c.raddr.port == here]
        return psutil.CONN_ESTABLISHED not in states

    def is_full(self) -> bool:
        """Whether as much waits to be read as there is room for, or nearly so: the server cannot but wait."""
        return len(self._socket.recv(SIZE * 4, socket.MSG_PEEK)) == SIZE * 4

    def reads(self, until: bytes = b"") -> bytes:
        """What comes, until these bytes or the end of the connection. Fails if neither comes in half a keep-alive."""
        text = b""
        with suppress(ConnectionError):
            while not (until and until in text) and (part := self._socket.recv(65536)):
                text += part
        return text


class Served:
    """A server on a database that holds more than all buffers together."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        installation.writer("pours", MESSAGES, 1e9, SIZE).write()
        self.url, self.key = installation.serve(), str(installation.people["key"])
        self.positions = installation.positions()

    async def reader(self, kind: str) -> Reader:
        if kind == "stream":
            return Reader(self.url, SSE, key=self.key)
        async with httpx.AsyncClient(
            base_url=self.url, headers={"Authorization": f"Bearer {self.key}"}, timeout=PATIENCE
        ) as http:
            answer = await http.post("/api/v1/events/tickets", json={})
        return Reader(self.url, SOCKET, ticket=answer.json()["ticket"])

    def revoke(self) -> None:
        self._installation.run("from agents_app.models import ApiClient; ApiClient.objects.update(is_active=False)")


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[Served]:
    with embedded(tmp_path, EVENT_PATIENCE=PATIENCE) as installation:
        yield Served(installation)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with embedded(tmp_path_factory.mktemp("slow"), EVENT_PATIENCE=CUT_AFTER) as installation:
        yield Served(installation)


class TestARealServer:
    pytestmark = real_server

    @pytest.mark.parametrize("kind", ["stream", "socket"])
    async def test_a6_who_reads_nothing_is_cut_after_the_patience_and_not_kept_waiting(
        self, served: Served, kind: str
    ) -> None:
        """It came: a stream was ended after 20 s, its connection kept for another 60 s, the server's task for 30 s."""
        with await served.reader(kind) as client:
            async with asyncio.timeout(KEPT_ALIVE / 2):
                while not client.is_closed():  # noqa: ASYNC110 – the kernel tells nobody
                    await asyncio.sleep(0.1)
            text = await asyncio.to_thread(client.reads)
        assert 0 < len(text) < MESSAGES * SIZE / 4  # what the three buffers hold, of all that there is

    async def test_a6_who_pauses_for_less_goes_on_where_it_stopped(self, patient: Served) -> None:
        served = patient
        with await served.reader("stream") as client:
            await comes_true(client.is_full)
            text = await asyncio.to_thread(client.reads, b"id: %d\n" % served.positions[-1])
        ids = [int(line[4:]) for line in text.split(b"\n") if line.startswith(b"id: ")]
        assert ids[1:] == served.positions

    async def test_a6_a_stream_that_has_ended_ends_its_connection(self, served: Served) -> None:
        """By a revocation, for one: who waits for the end of the connection sees it at once, and not after a minute."""
        with await served.reader("stream") as client:
            await asyncio.to_thread(client.reads, b"id: %d\n" % served.positions[-1])
            served.revoke()
            assert (await asyncio.to_thread(client.reads)).endswith(b"0\r\n\r\n")


# --- In the quick suite: that the application waits at all -------------------------------------------------------


class Connection:
    """What daphne hands to an application as the first argument of its `send`: as much of a socket's as is used."""

    STATE_OPEN = state = 3

    def __init__(self) -> None:
        self.transport = self
        self.producer: Any = None
        self.closed: dict[str, Any] = {}
        self.sent: list[Any] = []

    def registerProducer(self, producer: Any, streaming: bool) -> None:  # noqa: N802
        self.producer = producer

    def unregisterProducer(self) -> None:  # noqa: N802
        self.producer = None

    def sendClose(self, **how: Any) -> None:  # noqa: N802
        self.closed = how

    async def handle_reply(self, message: Any) -> None:
        self.sent.append(message)


async def test_a6_the_pace_is_the_outermost_layer_and_a_close_has_its_reason(db: None) -> None:
    """A layer around it took daphne's own `send` from its sight once, and nobody waited for slow clients any more."""
    from config.asgi import application

    connection = Connection()
    scope = {"type": "websocket", "path": "/ws/nowhere/", "headers": [], "query_string": b"ticket=x"}
    incoming: asyncio.Queue[Any] = asyncio.Queue()
    for type in ("websocket.connect", "websocket.disconnect"):
        incoming.put_nowait({"type": type, "code": 1000})
    await application(scope, incoming.get, partial(Connection.handle_reply, connection))
    assert connection.closed == {"code": Close.NOT_FOUND, "reason": Close.NOT_FOUND.reason}


async def test_a6_a_send_waits_while_the_client_is_behind_and_the_last_one_does_not() -> None:
    connection, done = Connection(), []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        for text in ("first", "second"):
            await send({"type": "websocket.send", "text": text})
            done.append(text)
        connection.producer.pauseProducing()
        waiting = asyncio.create_task(send({"type": "websocket.send", "text": "third"}))
        await asyncio.sleep(0)
        assert not waiting.done()
        connection.producer.resumeProducing()
        await waiting
        connection.producer.pauseProducing()
        await send({"type": "websocket.close", "code": 4008, "reason": "slow"})  # nobody would ever wake it

    async with asyncio.timeout(PATIENCE):
        await with_backpressure(application)({}, connection, partial(Connection.handle_reply, connection))
    assert done == ["first", "second"]
    assert [message["text"] for message in connection.sent] == ["first", "second", "third"]
    assert connection.closed == {"code": 4008, "reason": "slow"}
    assert connection.producer is None
