"""Clients of SSE and WebSocket are killed and come back, again and again, while messages pour in: each ends with every
event once, in order. In one process on SQLite, and in several on this run's database with Redis.
"""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path

import httpx
import pytest

from tests.events.clients import Client, SocketClient, SseClient
from tests.events.served import Installation, embedded, with_redis
from tests.patience import PATIENCE, comes_true

pytestmark = pytest.mark.xdist_group("redis")

BY_POST, BY_VERB, BY_STREAM = 5, 15, 220
"""Messages in a second: by a server's own API, by the verb beside it, and several at a time past the verb."""
RATE = BY_POST + BY_VERB + BY_STREAM


@pytest.mark.services
@pytest.mark.first_database
async def test_ten_kills_embedded(tmp_path: Path) -> None:
    with embedded(tmp_path) as installation:
        await under_load(installation, kills=10, messages=1200)


@pytest.mark.services
@pytest.mark.first_database
async def test_ten_kills_with_redis() -> None:
    with with_redis() as installation:
        await under_load(installation, kills=10, messages=1200, servers=2)


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_a_hundred_kills_embedded(tmp_path: Path) -> None:
    with embedded(tmp_path) as installation:
        await under_load(installation, kills=100, messages=9600)


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_a_hundred_kills_with_redis() -> None:
    with with_redis() as installation:
        await under_load(installation, kills=100, messages=9600, servers=2)


async def under_load(installation: Installation, *, kills: int, messages: int, servers: int = 1) -> None:
    """Clients follow the last server; what is posted goes to the first."""
    urls = [installation.serve() for _ in range(servers)]
    seconds = messages // RATE
    writers = [installation.writer("writes", BY_VERB * seconds, BY_VERB)]
    writers += [installation.writer("pours", BY_STREAM * seconds, BY_STREAM)]
    people, chance = installation.people, random.Random(kills)
    clients = [kind(urls[-1], people["key"], chance) for kind in (SseClient, SocketClient)]
    own = [kind(urls[-1], people["token"], chance) for kind in (SseClient, SocketClient)]
    everybody: list[Client] = [*clients, *own]
    longest = 2 * 0.6 * seconds / kills  # so that the last kill comes before the last message, if the machine keeps up
    following = [asyncio.create_task(client.follow(kills, longest)) for client in everybody]
    rates = await asyncio.gather(
        *(asyncio.to_thread(writer.write) for writer in writers), post(urls[0], people["key"], BY_POST * seconds)
    )
    await comes_true(lambda: min(client.kills for client in everybody) >= kills)
    expected = await asyncio.to_thread(installation.positions)
    shared = await asyncio.to_thread(installation.positions, people["conversation_id"])
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*(client.has(expected[-1]) for client in clients), *(one.has(shared[-1]) for one in own))
    for task in following:
        task.cancel()
    await asyncio.gather(*following, return_exceptions=True)

    print(
        f"\n{installation.env['DATABASE_URL'].split(':')[0]}: {messages} messages, {sum(rates):.0f} a second; "
        f"{sum(client.kills for client in everybody)} kills; {len(expected)} events for each of {len(clients)} clients, "
        f"{len(shared)} for each of {len(own)}"
    )
    assert expected == list(range(1, len(expected) + 1))
    said = [event for event in clients[0].events if event["type"] == "message.created"]
    assert len(said) == messages + 1  # one was there before
    for client in everybody:
        # What a clock did after the last look is nobody's loss.
        told = [event["pos"] for event in client.events if event["pos"] <= expected[-1]]
        assert told == (expected if client in clients else shared)


async def post(url: str, key: str, count: int) -> float:
    """Answers how many a second it was."""
    began = time.monotonic()
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=PATIENCE) as http:
        for number in range(count):
            body = {"shop_id": "shop", "account_id": str(number % 20), "content": f"posted {number}"}
            answer = await http.post("/api/v1/inbound", json=body)
            assert answer.status_code == 201, answer.text
            await asyncio.sleep(max(0, began + (number + 1) / BY_POST - time.monotonic()))
    return count / (time.monotonic() - began)
