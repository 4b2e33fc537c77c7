"""A client that does not read costs the server next to nothing, is closed, and goes on from its cursor when it is back."""

from __future__ import annotations

import asyncio
import random
import socket
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from tests.events.clients import SocketClient, SseClient
from tests.events.served import embedded
from tests.patience import PATIENCE

MESSAGES, SIZE = 3000, 6000
MEGABYTE = 1024 * 1024
CUT_AFTER = 3
"""Seconds that the server gives a client that does not read."""


class StandsStill:
    """Asks for everything and reads nothing."""

    def __init__(self, url: str, request: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.port
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        self._socket.connect((parts.hostname, parts.port))
        self._socket.sendall(request.replace("\n", "\r\n").format(host=parts.netloc).encode())
        self._socket.settimeout(PATIENCE)

    def is_closed(self) -> bool:
        """Whether the server has let go of the connection: found in the table of the kernel, without reading."""
        here = self._socket.getsockname()[1]
        states = [c.status for c in psutil.net_connections("tcp4") if c.raddr and c.raddr.port == here]
        return psutil.CONN_ESTABLISHED not in states

    def received(self) -> bytes:
        """All that was on its way when the server let go, to the last chunk or the end of the connection."""
        text = b""
        with suppress(ConnectionError), self._socket:
            while not text.endswith(b"\r\n0\r\n\r\n") and (part := self._socket.recv(65536)):
                text += part
        return text


SSE = "GET /api/v1/events?after=0 HTTP/1.1\nHost: {{host}}\nAccept: text/event-stream\nAuthorization: Bearer {key}\n\n"
SOCKET = (
    "GET /ws/events/?after=0&ticket={ticket} HTTP/1.1\nHost: {{host}}\nUpgrade: websocket\nConnection: Upgrade\n"
    "Sec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\n"
)


@pytest.mark.services
@pytest.mark.first_database
async def test_clients_that_stand_still_fill_no_memory_are_closed_and_come_back(tmp_path: Path) -> None:
    with embedded(tmp_path, EVENT_PATIENCE=CUT_AFTER) as installation:
        url, key = installation.serve(), installation.people["key"]
        installation.writer("pours", MESSAGES, 1e9, SIZE).write()
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=PATIENCE) as http:
            tickets = [(await http.post("/api/v1/events/tickets", json={})).json()["ticket"] for _ in range(3)]
        process = psutil.Process(installation.server_pid())
        before = process.memory_info().rss
        still = [StandsStill(url, SSE.format(key=key)) for _ in range(3)]
        still += [StandsStill(url, SOCKET.format(ticket=ticket)) for ticket in tickets]
        most, ends = 0, time.monotonic() + PATIENCE
        while not all(client.is_closed() for client in still) and time.monotonic() < ends:
            most = max(most, process.memory_info().rss - before)
            await asyncio.sleep(0.1)
        told = [await asyncio.to_thread(client.received) for client in still]
        whole = MESSAGES * SIZE
        print(
            f"\n{6 * whole / MEGABYTE:.0f} MB to send; memory grew by {most / MEGABYTE:.0f} MB; until they were closed "
            f"they were sent {', '.join(f'{len(text) / MEGABYTE:.1f}' for text in told)} MB"
        )
        assert most < 6 * whole / 3  # what one chunk for each takes, and the allocator's own
        assert all(0 < len(text) < whole / 2 for text in told)
        expected = await asyncio.to_thread(installation.positions)
        for kind in (SseClient, SocketClient):
            client = kind(url, key, random.Random(1))
            following = asyncio.create_task(client.follow(0, 1))
            async with asyncio.timeout(PATIENCE):
                await client.has(expected[-1])
            following.cancel()
            assert [event["pos"] for event in client.events][: len(expected)] == expected
