"""Cost as work grows: writers, open event streams and web processes; and the slope of each.

The slope is the exponent b of cost ~ size^b, over the sizes that were measured: 0 does not grow, 1 grows as the work does.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping
from typing import Any

from common import quantile
from rows import servers
from rows.filling import People
from rows.peers import Tandem
from rows.rivals import Load

WRITERS = (1, 2, 4, 8, 16, 32, 64)
SOCKETS = (1, 10, 100, 1_000)
WORKERS = (1, 2, 3, 4)
EVENTS = 5


def slope(costs: Mapping[str, float]) -> float | None:
    """Of a straight line through the logarithms, by least squares."""
    points = [(math.log(float(size)), math.log(cost)) for size, cost in costs.items() if cost > 0]
    if len(points) < 2:
        return None
    x, y = (sum(of) / len(points) for of in zip(*points, strict=True))
    spread = sum((one - x) ** 2 for one, _ in points)
    return round(sum((one - x) * (other - y) for one, other in points) / spread, 2) + 0.0 if spread else None  # no -0.0


def writers(port: int, people: People, seconds: float, sizes: tuple[int, ...] = WRITERS) -> dict[str, Any]:
    """Messages a second of so many connections, spread over the conversations, at one worker."""
    rates, middles = {}, {}
    for size in sizes:
        load = Load(port, people, size, people.ids)
        rates[str(size)] = round(load.run(seconds), 1)
        middles[str(size)] = round(quantile(load.taken, 0.5) * 1000, 2)
    return {"messages_a_second": rates, "p50_ms": middles}


def workers(url: str, redis: str, people: People, seconds: float, sizes: tuple[int, ...] = WORKERS) -> dict[str, Any]:
    """Messages a second of 16 connections at so many web processes."""
    rates, memory = {}, {}
    for size in sizes:
        with servers.running(*servers.by_wsgi(url, redis, size)) as server:
            Load(server.port, people, 16, people.ids).run(1.0)  # each process is warm
            rates[str(size)] = round(Load(server.port, people, 16, people.ids).run(seconds), 1)
            memory[str(size)] = round(server.private_mb, 1)
    return {"messages_a_second": rates, "private_mb": memory}


def sockets(server: servers.Process, people: People, sizes: tuple[int, ...] = SOCKETS) -> dict[str, Any]:
    """Event streams of the embedded server: from the acknowledgement of a message to the last of them, and its memory."""
    return asyncio.run(_sockets(server, people, sizes))


async def _sockets(server: servers.Process, people: People, sizes: tuple[int, ...]) -> dict[str, Any]:
    head = (
        f"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n"
        f"Authorization: Bearer {people.channel}\r\n\r\n"
    ).encode()
    post = Tandem("embedded", server.port, people).posting(lambda: people.ids[3])
    streams: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    last, memory = {}, {"0": round(server.private_mb, 1)}

    async def opened() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(head)
        await reader.readuntil(b"retry: 1000")
        streams.append((reader, writer))

    async def heard(reader: asyncio.StreamReader) -> float:
        while b"\ndata: " not in await reader.readuntil(b"\n\n"):
            pass
        return time.perf_counter()

    try:
        async with asyncio.timeout(180):
            for size in sizes:
                while len(streams) < size:
                    await asyncio.gather(*(opened() for _ in range(min(50, size - len(streams)))))
                await asyncio.sleep(1)
                memory[str(size)] = round(server.private_mb, 1)
                taken = []
                for _ in range(EVENTS):
                    tasks = [asyncio.ensure_future(heard(reader)) for reader, _ in streams]
                    await asyncio.to_thread(post)
                    acknowledged = time.perf_counter()
                    taken.append(max(0.0, max(await asyncio.gather(*tasks)) - acknowledged))
                last[str(size)] = round(quantile(taken, 0.5) * 1000, 2)
    finally:
        for _, writer in streams:
            writer.close()
    return {"last_arrival_ms": last, "private_mb": memory}


def slopes(grown: Mapping[str, Mapping[str, Mapping[str, float]]]) -> dict[str, dict[str, float | None]]:
    """Of each curve, without the measure of nothing at all."""
    return {
        what: {
            name: slope({size: cost for size, cost in curve.items() if size != "0"}) for name, curve in curves.items()
        }
        for what, curves in grown.items()
    }
