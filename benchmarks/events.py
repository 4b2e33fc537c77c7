"""From a commit to a client of the events, by SSE and by WebSocket, beside a bare channel-layer round trip, in one run.

    python benchmarks/events.py [--messages 600] [--mode embedded|redis]

`embedded` is one server process on SQLite; the layer beside it is Channels' own, in memory. `redis` is a server that
takes the message and another that the clients follow, on one PostgreSQL; the layer is channels_redis' pub/sub layer.
A message is posted, the server says on which tick of the machine's clock its transaction was committed, and the clients
when they had the whole event in hand: the time between has the hint, the look at the database, the rendering, the socket
and the client's parsing in it. The round trip has a group send and a receive in it. They take turns in blocks.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from common import ROOT, noise, postgres_of_our_own, quantile, set_up, spread

REDIS = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/0")
BLOCK = 20
WARM = 20
TEXT = "您好，请问这个订单什么时候发货？"

type Seen = dict[tuple[str, int], float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=600)
    parser.add_argument("--mode", choices=["embedded", "redis", "server"], help="both, one after the other, without it")
    options = parser.parse_args()
    if options.mode == "server":
        serve()
    elif options.mode == "embedded":
        with tempfile.TemporaryDirectory() as folder:
            url = f"sqlite:///{Path(folder) / 'bench.sqlite3'}"
            set_up(url)
            compare("embedded", {"DATABASE_URL": url, "REDIS_URL": ""}, options.messages)
    elif options.mode == "redis":
        with postgres_of_our_own("bench_events") as url:
            compare("with Redis", {"DATABASE_URL": url, "REDIS_URL": REDIS}, options.messages)
    else:
        for mode in ("embedded", "redis"):  # each in a process of its own: Django's settings are read once
            again = [sys.executable, __file__, "--mode", mode, "--messages", str(options.messages)]
            subprocess.run(again, check=True)


def serve() -> None:
    """`manage.py serve`, which also says when it committed what."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    sys.path.insert(0, str(ROOT))
    import django
    from django.core.management import call_command

    django.setup()
    from messaging_app import live

    announce = live.announce

    def telling(hints: Any) -> None:
        committed, hints = time.monotonic(), list(hints)
        announce(hints)
        for hint in hints:
            print("committed", hint.conversation_id, hint.seq, committed, flush=True)

    live.announce = telling
    call_command("serve", port=0)


class Server:
    """A server process; `commits` fills as it tells."""

    def __init__(self, env: dict[str, str]) -> None:
        self.commits: Seen = {}
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--mode", "server"], env=os.environ | env, stdout=subprocess.PIPE, text=True
        )
        self.url = next(found.group(1) for line in self._lines() if (found := re.search(r"(http://\S+)/desk/", line)))
        threading.Thread(target=self._listen, daemon=True).start()

    def _lines(self) -> Iterator[str]:
        assert self._process.stdout
        for line in self._process.stdout:  # noqa: UP028 – `yield from` would close the pipe with the generator
            yield line

    def _listen(self) -> None:
        for line in self._lines():
            if line.startswith("committed "):
                _, conversation, seq, committed = line.split()
                self.commits[conversation, int(seq)] = float(committed)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


@contextmanager
def servers(env: dict[str, str], count: int) -> Iterator[list[Server]]:
    started = [Server(env) for _ in range(count)]
    try:
        yield started
    finally:
        for server in started:
            server.stop()


def compare(name: str, env: dict[str, str], messages: int) -> None:
    key, conversation_id = people()
    with servers(env, 2 if env["REDIS_URL"] else 1) as started:
        asyncio.run(measure(name, started, env["REDIS_URL"], key, conversation_id, messages))


def people() -> tuple[str, int]:
    from agents_app.actors import client_actor
    from agents_app.credentials.secrets import issue_key
    from agents_app.models import ApiClient, Tenant
    from messaging_app import relay
    from messaging_app.thread import NewMessage
    from sessions_app.actions import inbound

    tenant = Tenant.objects.create(slug="bench", name="Bench")
    channel = ApiClient.objects.create(tenant=tenant, name="channel", kind="integrator")
    said = inbound.receive_message(
        actor=client_actor(channel), words=NewMessage(content=TEXT), shop_id="shop", account_id="customer"
    )
    relay.stamp_all()
    return issue_key(channel), said.conversation_id


async def measure(name: str, started: list[Server], redis: str, key: str, conversation_id: int, messages: int) -> None:
    import httpx

    headers = {"Authorization": f"Bearer {key}"}
    taker, followed = started[0], started[-1]
    sse: Seen = {}
    socket: Seen = {}
    trips: list[float] = []
    taken: dict[str, list[float]] = {"SSE": [], "WebSocket": []}
    ratios: dict[str, list[float]] = {"SSE": [], "WebSocket": []}
    async with (
        httpx.AsyncClient(base_url=taker.url, headers=headers) as http,
        follows_sse(followed.url, key, sse),
        follows_socket(followed.url, headers, socket),
        layer_of(redis) as trip,
    ):

        async def message() -> tuple[float, float]:
            body = {"shop_id": "shop", "account_id": "customer", "content": TEXT}
            answer = (await http.post("/api/v1/inbound", json=body)).json()
            known = (str(conversation_id), answer["seq"])
            while not (known in sse and known in socket and known in taker.commits):  # noqa: ASYNC110 – by a thread
                await asyncio.sleep(0.002)
            return sse[known] - taker.commits[known], socket[known] - taker.commits[known]

        for _ in range(WARM):
            await message()
            await trip()
        print(f"{name}: {noise()}")
        for _ in range(0, messages, BLOCK):
            mine = [await message() for _ in range(BLOCK)]
            other = [await trip() for _ in range(BLOCK)]
            trips += other
            for place, way in enumerate(taken):
                block = [times[place] for times in mine]
                taken[way] += block
                ratios[way].append(quantile(block, 0.5) / quantile(other, 0.5))
        print(f"{name}: {noise()}")
    for what, times in {
        **{f"commit to {way} client": times for way, times in taken.items()},
        "layer alone": trips,
    }.items():
        p10, p50, p99 = (quantile(times, share) * 1000 for share in (0.10, 0.50, 0.99))
        print(f"  {what:<26} p10 {p10:7.2f}  p50 {p50:7.2f}  p99 {p99:7.2f} ms")
    for way, found in ratios.items():
        print(f"  {way} to the layer, p50 block by block: {spread(found)}")


@asynccontextmanager
async def follows_sse(url: str, key: str, seen: Seen) -> AsyncIterator[None]:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(
        f"GET /api/v1/events HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: text/event-stream\r\n"
        f"Authorization: Bearer {key}\r\n\r\n".encode()
    )
    await reader.readuntil(b"retry: 1000")

    async def follow() -> None:
        while True:
            block = await reader.readuntil(b"\n\n")
            if b"\ndata: " in block:
                note(json.loads(block.split(b"\ndata: ", 1)[1]), seen)

    task = asyncio.create_task(follow())
    yield
    task.cancel()
    writer.close()


@asynccontextmanager
async def follows_socket(url: str, headers: dict[str, str], seen: Seen) -> AsyncIterator[None]:
    import httpx
    from websockets.asyncio.client import connect

    async with httpx.AsyncClient() as http:
        ticket = (await http.post(f"{url}/api/v1/events/tickets", headers=headers, json={})).json()["ticket"]
    async with connect(f"{url.replace('http', 'ws')}/ws/events/?ticket={ticket}", compression=None) as socket:
        assert json.loads(await socket.recv())["type"] == "hello"

        async def follow() -> None:
            async for text in socket:
                frame = json.loads(text)
                if frame["type"] == "event":
                    note(frame["event"], seen)

        task = asyncio.create_task(follow())
        yield
        task.cancel()


def note(event: dict[str, Any], seen: Seen) -> None:
    seen[event["conversation_id"], event["seq"]] = time.monotonic()


@asynccontextmanager
async def layer_of(redis: str) -> AsyncIterator[Callable[[], Awaitable[float]]]:
    """One group send and its receive, over the layer that Channels would use here."""
    if redis:
        from channels_redis.pubsub import RedisPubSubChannelLayer

        layer: Any = RedisPubSubChannelLayer(hosts=[redis])
    else:
        from channels.layers import InMemoryChannelLayer

        layer = InMemoryChannelLayer()
    channel = await layer.new_channel()
    await layer.group_add("bench", channel)

    async def trip() -> float:
        start = time.perf_counter()
        await layer.group_send("bench", {"type": "hint", "ids": [1, 7, 3]})
        await layer.receive(channel)
        return time.perf_counter() - start

    yield trip
    await layer.group_discard("bench", channel)


if __name__ == "__main__":
    main()
