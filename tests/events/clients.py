"""Clients of events that are killed in the middle of whatever they read, and go on from the last event they have."""

from __future__ import annotations

import asyncio
import json
import random
import ssl
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from tests.patience import PATIENCE

PLAIN = ssl.create_default_context()
"""Nothing here is encrypted; making one for each connection takes longer than all the rest."""


class Client(ABC):
    """Keeps every event it was told, and the cursor of the last. A kill cuts the connection without a goodbye."""

    def __init__(self, url: str, secret: str, chance: random.Random, **query: str) -> None:
        self.url, self.secret, self.query = url, secret, query
        self.events: list[dict[str, Any]] = []
        self.cursor = "0"
        self.kills = 0
        self._chance = chance

    async def follow(self, kills: int, longest: float) -> None:
        """Be killed so many times, each time within `longest` seconds of having been let in; then stay."""
        while True:
            stay = self._chance.uniform(0.01, longest) if self.kills < kills else None
            with suppress(OSError, WebSocketException, httpx.HTTPError, asyncio.IncompleteReadError):
                await self._connection(stay)
            self.kills += 1

    async def has(self, pos: int) -> None:
        while int(self.cursor) < pos:  # noqa: ASYNC110 – several things may move it
            await asyncio.sleep(0.05)

    def told(self, cursor: str, event: dict[str, Any]) -> None:
        self.events.append(event)
        self.cursor = cursor

    @abstractmethod
    async def _connection(self, stay: float | None) -> None:
        """One connection from the cursor on, cut after `stay` seconds; None for until it ends."""


class SseClient(Client):
    async def _connection(self, stay: float | None) -> None:
        parts = urlsplit(self.url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        query = "&".join(f"{name}={value}" for name, value in self.query.items())
        writer.write(
            f"GET /api/v1/events?{query} HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: text/event-stream\r\n"
            f"Authorization: Bearer {self.secret}\r\nLast-Event-ID: {self.cursor}\r\n\r\n".encode()
        )
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            assert b" 200 " in head.split(b"\r\n", 1)[0], head
            async with asyncio.timeout(stay):
                await self._read(reader)
        except TimeoutError:
            pass
        finally:
            writer.transport.abort()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        """Chunk by chunk; an event counts once its blank line has come."""
        text = ""
        while size := int(await reader.readuntil(b"\r\n"), 16):
            text += (await reader.readexactly(size + 2))[:-2].decode()
            while "\n\n" in text:
                block, text = text.split("\n\n", 1)
                self._block(dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":")))

    def _block(self, fields: dict[str, str]) -> None:
        assert fields.get("event") != "reset"
        if "data" in fields:
            self.told(fields["id"], json.loads(fields["data"]))
        else:
            self.cursor = fields.get("id", self.cursor)


class SocketClient(Client):
    async def _connection(self, stay: float | None) -> None:
        headers = {"Authorization": f"Bearer {self.secret}"}
        async with httpx.AsyncClient(verify=PLAIN, timeout=PATIENCE) as http:
            answer = await http.post(f"{self.url}/api/v1/events/tickets", headers=headers, json={})
        query = {"ticket": answer.json()["ticket"], "after": self.cursor, **self.query}
        address = self.url.replace("http", "ws") + "/ws/events/?" + "&".join(f"{n}={v}" for n, v in query.items())
        async with connect(address, compression=None) as socket:
            try:
                async with asyncio.timeout(stay):
                    async for text in socket:
                        self._frame(json.loads(text))
            except TimeoutError:
                pass
            finally:
                socket.transport.abort()

    def _frame(self, frame: dict[str, Any]) -> None:
        assert frame["type"] != "reset"
        if frame["type"] == "event":
            self.told(frame["cursor"], frame["event"])
        else:
            self.cursor = frame["cursor"]
