"""Followers of events inside the test's own process: the streams as ASGI calls them, with a hub of the test's loop."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.db import connections as databases

from agents_app.connections import registry as connections
from agents_app.credentials.secrets import issue_key
from messaging_app import follow, live, relay
from messaging_app.models import Operation
from tests.cast import Cast
from tests.patience import PATIENCE


@pytest.fixture
def key(cast: Cast) -> Callable[[str], str]:
    """A key of one of the cast's programs."""
    return lambda name: issue_key(cast.bot_row(name))


@pytest.fixture
def stamped() -> Callable[[], None]:
    """Give every operation its position, as the relay does; on SQLite each has it already."""

    def stamp() -> None:
        for tenant_id in Operation.objects.values_list("tenant_id", flat=True).distinct():
            relay.stamp(tenant_id)

    return stamp


@pytest_asyncio.fixture
async def hub(transactional_db: None, monkeypatch: pytest.MonkeyPatch, settings: Any) -> AsyncIterator[live.Hub]:
    """A hub of the test's own event loop, which hears what this process says."""
    settings.REDIS_URL = ""
    made, registry, reading = live.Hub(), connections.Connections(), ThreadPoolExecutor(1)
    monkeypatch.setattr(live, "hub", made)
    monkeypatch.setattr(connections, "registry", registry)
    for threads in ("reading", "signing_on"):
        monkeypatch.setattr(follow, threads, reading)
    monkeypatch.setattr(connections, "checking", reading)
    yield made
    assert not len(registry), "a connection that is over is still in the registry"
    tasks = [task for task in (*made._tasks, registry._clock, registry._next) if task]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    # The threads' connections too: the test's database is dropped later.
    await sync_to_async(databases.close_all)()
    await asyncio.get_running_loop().run_in_executor(reading, databases.close_all)
    reading.shutdown()


class Stream:
    """A client of the SSE stream."""

    def __init__(self, talk: ApplicationCommunicator) -> None:
        self._talk = talk
        self._text = ""
        self.status = 0
        self.headers: dict[str, str] = {}

    async def begins(self) -> None:
        start = await self._talk.receive_output(PATIENCE)
        self.status = start["status"]
        self.headers = {name.decode(): value.decode() for name, value in start["headers"]}

    async def block(self) -> dict[str, str]:
        """The next event, heartbeat or end (empty), field by field; a comment's field has no name."""
        while "\n\n" not in self._text:
            message = await self._talk.receive_output(PATIENCE)
            self._text += message["body"].decode()
            if not message.get("more_body"):
                return {}
        block, self._text = self._text.split("\n\n", 1)
        return dict(line.split(": ", 1) if ": " in line else ("", line) for line in block.split("\n"))

    async def event(self) -> Any:
        """The next event that is one."""
        while True:
            block = await self.block()
            if "data" in block or not block:
                return json.loads(block["data"]) if block else None

    async def problem(self) -> Any:
        return json.loads((await self._talk.receive_output(PATIENCE))["body"])


@asynccontextmanager
async def stream(
    secret: str = "", cookie: str = "", last_event_id: str = "", origin: str = "", **query: Any
) -> AsyncIterator[Stream]:
    from config.asgi import application

    headers = {"accept": "text/event-stream", "last-event-id": last_event_id, "cookie": cookie, "origin": origin}
    headers |= {"authorization": f"Bearer {secret}"} if secret else {}
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/api/v1/events",
        "query_string": urlencode(query).encode(),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items() if value],
    }
    talk = ApplicationCommunicator(application, scope)
    await talk.send_input({"type": "http.request", "body": b"", "more_body": False})
    client = Stream(talk)
    await client.begins()
    try:
        yield client
    finally:
        await talk.send_input({"type": "http.disconnect"})
        await talk.wait(PATIENCE)


class Socket:
    """A client of /ws/events/, or of another socket."""

    def __init__(self, talk: ApplicationCommunicator) -> None:
        self._talk = talk

    async def frame(self) -> dict[str, Any]:
        """The next frame; `{"closed": code}` when that is what comes."""
        message = await self._talk.receive_output(PATIENCE)
        return {"closed": message.get("code")} if message["type"] == "websocket.close" else json.loads(message["text"])

    async def say(self, text: str) -> None:
        await self._talk.send_input({"type": "websocket.receive", "text": text})


@asynccontextmanager
async def socket(cookie: str = "", origin: str = "", path: str = "/ws/events/", **query: Any) -> AsyncIterator[Socket]:
    from config.asgi import application

    headers = {"cookie": cookie, "origin": origin}
    scope = {
        "type": "websocket",
        "path": path,
        "query_string": urlencode(query).encode(),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items() if value],
    }
    talk = ApplicationCommunicator(application, scope)
    await talk.send_input({"type": "websocket.connect"})
    first = await talk.receive_output(PATIENCE)
    assert first["type"] == "websocket.accept", first
    try:
        yield Socket(talk)
    finally:
        await talk.send_input({"type": "websocket.disconnect", "code": 1000})
        await talk.wait(PATIENCE)
