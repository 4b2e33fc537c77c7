"""Signs of presence between two processes: our own channel of Redis beside the layer of channels-redis.

    make bench BENCH=signs ARGS="--redis redis://127.0.0.1:6379/0"

A sign is told in one process and shown by another. Both ways take turns in one run: how long one takes (p50, p95), the
processor's time of teller and hearer for each, and what a hearer costs while nobody tells anything. Figures of
docs/decisions/0019-signs-by-the-layer.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

ROUNDS, SIGNS, IDLE = 5, 1_000, 3.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--redis", default=os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/0"))
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--signs", type=int, default=SIGNS)
    options = parser.parse_args()
    found: dict[str, list[dict[str, float]]] = {"our channel": [], "the layer": []}
    for number in range(options.rounds):
        ways = [("our channel", _ours), ("the layer", _layer)]
        for name, way in ways if number % 2 else reversed(ways):
            found[name].append(_round(way, options.redis, options.signs))
    for figure in found["our channel"][0]:
        row = {name: [one[figure] for one in rounds] for name, rounds in found.items()}
        ratios = [layer / ours for ours, layer in zip(row["our channel"], row["the layer"], strict=True) if ours]
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}" if ratios else "-"
        middle = {name: statistics.median(values) for name, values in row.items()}
        ratio = f"{statistics.median(ratios):.2f}" if ratios else "-"
        print(f"{figure:>28}  " + "  ".join(f"{n} {v:9.3f}" for n, v in middle.items()) + f"  ratio {ratio} ({spread})")


def _round(way: Callable[[str, Connection, int], Any], redis: str, signs: int) -> dict[str, float]:
    here, there = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    hearer = context.Process(target=_hear, args=(way, redis, there))
    hearer.start()
    assert here.recv() == "ready"
    time.sleep(IDLE)
    here.send("idle?")
    idle = here.recv()
    began = time.process_time()
    asyncio.run(way(redis, here, signs))
    spent = time.process_time() - began
    here.send("done")
    told = here.recv()
    hearer.join(10)
    took = sorted(told["took"])
    return {
        "p50, ms": took[len(took) // 2] * 1000,
        "p95, ms": took[int(len(took) * 0.95)] * 1000,
        "teller, ms of CPU each": spent / signs * 1000,
        "hearer, ms of CPU each": told["cpu"] / signs * 1000,
        "idle hearer, ms of CPU a s": idle / IDLE * 1000,
    }


def _hear(way: Callable[[str, Connection, int], Any], redis: str, pipe: Connection) -> None:
    asyncio.run(way(redis, pipe, 0))


async def _answers(pipe: Connection, took: list[float]) -> None:
    began = time.process_time()
    pipe.send("ready")
    while True:
        if await asyncio.to_thread(pipe.recv) == "idle?":
            now = time.process_time()
            pipe.send(now - began)
            began = time.process_time()
        else:
            await asyncio.sleep(0.2)
            pipe.send({"took": took, "cpu": time.process_time() - began})
            return


def _sign() -> list[Any]:
    return [1, 7, "agent:3", "Ann", "replies", time.monotonic()]


async def _ours(redis: str, pipe: Connection, signs: int) -> None:
    """As `messaging_app.live` did it: published from a thread by the shared client, heard by one subscription."""
    import redis as sync
    import redis.asyncio as client

    if signs:
        teller = sync.Redis.from_url(redis)
        for _ in range(signs):
            await asyncio.to_thread(teller.publish, "bench:signs", json.dumps(_sign()))
            await asyncio.sleep(0.001)
        return
    took: list[float] = []
    async with client.Redis.from_url(redis) as hears, hears.pubsub() as subscription:
        await subscription.subscribe("bench:signs")

        async def listen() -> None:
            while True:
                message = await subscription.get_message(timeout=5)
                if message and message["type"] == "message":
                    took.append(time.monotonic() - json.loads(message["data"])[-1])

        task = asyncio.create_task(listen())
        await asyncio.sleep(0.2)
        await _answers(pipe, took)
        task.cancel()


async def _layer(redis: str, pipe: Connection, signs: int) -> None:
    """By a group of the layer, which each process is in with one channel."""
    from channels_redis.pubsub import RedisPubSubChannelLayer

    layer: Any = RedisPubSubChannelLayer(hosts=[redis], prefix="bench")
    if signs:
        for _ in range(signs):
            await layer.group_send("signs", {"type": "sign", "sign": _sign()})
            await asyncio.sleep(0.001)
        await layer.flush()
        return
    took: list[float] = []
    channel = await layer.new_channel()
    await layer.group_add("signs", channel)

    async def listen() -> None:
        while True:
            message = await layer.receive(channel)
            took.append(time.monotonic() - message["sign"][-1])

    task = asyncio.create_task(listen())
    await asyncio.sleep(0.2)
    await _answers(pipe, took)
    task.cancel()


if __name__ == "__main__":
    main()
