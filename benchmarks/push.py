"""Push beside its raw peers, in turns: one event to one client, to many streams at once, and what idle streams hold.

    python benchmarks/push.py [--rounds 3] [--events 200] [--streams 1000 4000] [--json FILE]

The database is PostgreSQL, with Redis beside it; streams are served by daphne, as docs/operations.md has it, and a third
process writes by the verb and says when its transaction was committed.

- Latency: from the commit to the client that holds the event, by SSE and by WebSocket, divided by the sum of a Redis
  publish/subscribe round trip and the echo of a raw socket.
- Fan-out: from the sender's acknowledgement to the last of N streams, divided by the same bytes from a raw ASGI
  application on uvicorn (`push_peer.py`).
- Memory: the private memory of the process that holds N idle streams, and of the raw peer.
- Sign-on: N streams that all connect at once, until the last has its cursor, divided by the raw peer's.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import re
import select
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from common import ROOT, noise, postgres_of_our_own, quantile

HERE = Path(__file__).resolve().parent
REDIS = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/0")
WARM = 20
PATIENCE = 120.0
TEXT = "您好，请问这个订单什么时候发货？"
MOST_LATENCY, MOST_FAN_OUT, MOST_MEMORY = 8.0, 2.0, {1000: 130.0, 4000: 211.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--events", type=int, default=200, help="for the latency, in each round")
    parser.add_argument("--streams", type=int, nargs="*", default=[1000, 4000])
    parser.add_argument("--fans", type=int, default=10, help="events told to all streams, in each round")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--write", type=int, help=argparse.SUPPRESS)  # the process that writes; its conversation
    options = parser.parse_args()
    if options.write is not None:
        write()
        return
    os.environ["BENCH_REDIS_URL"] = REDIS
    os.environ["REDIS_PREFIX"] = f"bench_push_{os.getpid()}"
    os.environ |= {"STREAMS_PER_CREDENTIAL": "10000", "PAGES": "false", "DEBUG": "false", "SECRET_KEY": "benchmark" * 8}
    os.environ["ALLOWED_HOSTS"] = "127.0.0.1"
    with postgres_of_our_own("bench_push"):
        key = people()
        records = [noise_record()]
        with writer() as told:
            records += latency(key, told, options.rounds, options.events)
            for count in options.streams:
                records += many(key, told, count, options.rounds, options.fans)
    for record in records:
        print(json.dumps(record, ensure_ascii=False))
    if options.json:
        options.json.write_text(json.dumps(records, ensure_ascii=False, indent=1))


def noise_record() -> dict[str, Any]:
    return {"row": 0, "name": "noise", "is": noise()}


def record(row: int, name: str, ratios: list[float], values: list[float], target: float, **more: Any) -> dict[str, Any]:
    """One row of the table: the median of the rounds' ratios with its spread, and our own figures beside it."""
    return {
        "row": row,
        "name": name,
        "ratio": round(statistics.median(ratios), 2),
        "p10": round(quantile(values, 0.1), 3),
        "p50": round(quantile(values, 0.5), 3),
        "target": target,
        "spread": [round(min(ratios), 2), round(max(ratios), 2)],
        **more,
    }


# --- Who writes --------------------------------------------------------------------------------------------------


def people() -> str:
    from agents_app.credentials.secrets import issue_key
    from agents_app.models import ApiClient, Tenant

    tenant = Tenant.objects.create(slug="bench", name="Bench")
    return issue_key(ApiClient.objects.create(tenant=tenant, name="channel", kind="integrator"))


def write() -> None:
    """For each line that comes: a customer's message by the verb. Says when it was committed, and when acknowledged."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    sys.path.insert(0, str(ROOT))
    import django

    django.setup()
    from agents_app.actors import client_actor
    from agents_app.models import ApiClient
    from messaging_app import live
    from messaging_app.thread import NewMessage
    from sessions_app.actions import inbound

    committed, announce = 0.0, live.announce

    def telling(hints: Any, *more: Any) -> None:
        nonlocal committed
        committed = time.monotonic()
        announce(hints, *more)

    live.announce = telling
    channel = client_actor(ApiClient.objects.select_related("tenant").get(name="channel"))
    for line in sys.stdin:
        words = NewMessage(content=f"{TEXT} {line.strip()}")
        inbound.receive_message(actor=channel, words=words, shop_id="shop", account_id="customer")
        print(committed, time.monotonic(), flush=True)


type Tell = Callable[[str], tuple[float, float]]
"""Writes a message with this mark in it; when it was committed, and when its sender had the acknowledgement."""


@contextmanager
def writer() -> Iterator[Tell]:
    process = subprocess.Popen(
        [sys.executable, __file__, "--write", "1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def tell(mark: str) -> tuple[float, float]:
        assert process.stdin
        assert process.stdout
        process.stdin.write(mark + "\n")
        process.stdin.flush()
        committed, acknowledged = process.stdout.readline().split()
        return float(committed), float(acknowledged)

    try:
        yield tell
    finally:
        process.kill()
        process.wait()


# --- Servers -----------------------------------------------------------------------------------------------------


class Server:
    """A process that serves streams at `port`."""

    def __init__(self, *command: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        folder = Path(sys.executable).parent
        self._process = subprocess.Popen(
            [str(folder / command[0]), *(part.format(port=self.port) for part in command[1:])],
            cwd=HERE if command[0] == "uvicorn" else ROOT,
            stdout=subprocess.DEVNULL,
            stderr=None if os.environ.get("BENCH_LOG") else subprocess.DEVNULL,
        )
        ends = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.2).close()
            except OSError:
                assert time.monotonic() < ends, "the server did not start"
                time.sleep(0.1)
            else:
                break

    def memory(self) -> float:
        """Megabytes that this process alone uses."""
        import psutil

        process: Any = psutil
        return float(process.Process(self._process.pid).memory_full_info().uss / 1e6)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


@contextmanager
def serving(*command: str) -> Iterator[Server]:
    server = Server(*command)
    try:
        yield server
    finally:
        server.stop()


ENDPOINT = "tcp:port={port}:interface=127.0.0.1:backlog=4096"
OURS = ("daphne", "-e", ENDPOINT, "--verbosity", "0", "config.asgi:application")
RAW = (
    *("uvicorn", "push_peer:application", "--port", "{port}", "--no-access-log", "--log-level", "warning"),
    *("--lifespan", "off", "--ws", "websockets-sansio", "--ws-per-message-deflate", "false", "--backlog", "8192"),
)


# --- Clients -----------------------------------------------------------------------------------------------------


class Streams:
    """N streams of one server, read by one loop."""

    def __init__(self, server: Server, request: str, begins: bytes, count: int) -> None:
        self._poll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        head = request.format(host=f"127.0.0.1:{server.port}").replace("\n", "\r\n").encode()
        began = time.monotonic()
        for _ in range(count):
            one = socket.create_connection(("127.0.0.1", server.port))
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            one.sendall(head)
            one.setblocking(False)
            self._sockets[one.fileno()] = one
            self._poll.register(one, select.EPOLLIN)
        self.read(begins)
        self.signed_on = time.monotonic() - began

    def read(self, mark: bytes, meanwhile: Callable[[], object] = lambda: None) -> list[float]:
        """When each stream had the mark, in order; what is done `meanwhile` is done before the first look."""
        waiting = dict.fromkeys(self._sockets, b"")
        arrivals: list[float] = []
        ends = time.monotonic() + PATIENCE
        meanwhile()
        while waiting:
            assert time.monotonic() < ends, f"{len(waiting)} streams never had {mark!r}"
            for number, _ in self._poll.poll(1):
                part = self._sockets[number].recv(65536)
                assert part, "a stream was closed"
                if number in waiting:
                    waiting[number] += part
                    if mark in waiting[number]:
                        del waiting[number]
                        arrivals.append(time.monotonic())
        return arrivals

    def block(self, mark: bytes) -> bytes:
        """The next bytes of one stream with this mark in them, chunk and all."""
        (one,) = self._sockets.values()
        text = b""
        while mark not in text or not text.endswith(b"\n\n\r\n"):
            if self._poll.poll(1):
                text += one.recv(65536)
        return text

    def close(self) -> None:
        for one in self._sockets.values():
            one.close()
        self._poll.close()


SSE = "GET /api/v1/events HTTP/1.1\nHost: {{host}}\nAccept: text/event-stream\nAuthorization: Bearer {key}\n\n"
SOCKET = (
    "GET /ws/events/?ticket={ticket} HTTP/1.1\nHost: {{host}}\nUpgrade: websocket\nConnection: Upgrade\n"
    "Sec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\n"
)


@contextmanager
def streams(server: Server, key: str, count: int) -> Iterator[Streams]:
    yield from _closing(Streams(server, SSE.format(key=key), b"retry: 1000", count))


@contextmanager
def one_socket(server: Server) -> Iterator[Streams]:
    yield from _closing(Streams(server, SOCKET.format(ticket=ticket()), b'"hello"', 1))


def _closing(made: Streams) -> Iterator[Streams]:
    try:
        yield made
    finally:
        made.close()


# --- One event to one client -------------------------------------------------------------------------------------


def latency(key: str, tell: Tell, rounds: int, events: int) -> list[dict[str, Any]]:
    found: dict[str, list[float]] = {"SSE": [], "WebSocket": []}
    ratios: dict[str, list[float]] = {"SSE": [], "WebSocket": []}
    floor: list[float] = []
    with (
        serving(*OURS) as ours,
        serving(*RAW) as raw,
        streams(ours, key, 1) as stream,
        one_socket(ours) as frames,
    ):

        def told(number: int, first: Streams, then: Streams) -> float:
            """Seconds to the first one; the machine's clock is one for all processes."""
            mark = f"mark-{number}-"
            committed, _ = tell(mark)
            took = first.read(mark.encode())[0] - committed
            then.read(mark.encode())
            return took

        for number in range(WARM):
            told(number, stream, frames)
        number = WARM
        for _ in range(rounds):
            times: dict[str, list[float]] = {"SSE": [], "WebSocket": []}
            bare = asyncio.run(floor_of(raw, events))
            for _ in range(events):
                number += 1
                times["SSE"].append(told(number, stream, frames))
                times["WebSocket"].append(told(-number, frames, stream))
            bare += asyncio.run(floor_of(raw, events))
            floor += bare
            for way, values in times.items():
                found[way] += values
                ratios[way].append(quantile(values, 0.5) / quantile(bare, 0.5))
    floor_ms = [value * 1000 for value in floor]
    return [
        record(
            6,
            f"commit to client by {way}, ms",
            ratios[way],
            [value * 1000 for value in found[way]],
            MOST_LATENCY,
            floor_p10=round(quantile(floor_ms, 0.1), 3),
            floor_p50=round(quantile(floor_ms, 0.5), 3),
        )
        for way in ("SSE", "WebSocket")
    ]


async def floor_of(raw: Server, count: int) -> list[float]:
    """A Redis publish/subscribe round trip and the echo of a raw socket, one after the other, in seconds."""
    from redis.asyncio import from_url
    from websockets.asyncio.client import connect

    found = []
    async with (
        from_url(REDIS) as publisher,
        from_url(REDIS) as subscriber,
        subscriber.pubsub() as subscription,
        connect(f"ws://127.0.0.1:{raw.port}/", compression=None) as echo,
    ):
        await subscription.subscribe("bench")
        await subscription.get_message(timeout=2)
        for _ in range(count):
            began = time.perf_counter()
            await publisher.publish("bench", b"x" * 120)
            while not await subscription.get_message(ignore_subscribe_messages=True, timeout=5):
                pass
            await echo.send('{"type":"message","content":"hello"}')
            await echo.recv()
            found.append(time.perf_counter() - began)
    return found


def ticket() -> str:
    from agents_app.connections import credential
    from agents_app.credentials.secrets import issue_key
    from agents_app.models import ApiClient

    row, _ = ApiClient.objects.get_or_create(tenant_id=1, name="sockets", kind="integrator")
    holder = credential.authenticate(authorization=f"Bearer {issue_key(row)}")
    assert holder
    return credential.issue_ticket(holder)


# --- To many at once ---------------------------------------------------------------------------------------------


def many(key: str, tell: Tell, count: int, rounds: int, fans: int) -> list[dict[str, Any]]:
    """In each round both servers begin anew, hold N streams, and tell all of them the same bytes."""
    last: dict[str, list[float]] = {"ours": [], "raw": []}
    memory: dict[str, list[float]] = {"ours": [], "raw": []}
    alone: dict[str, list[float]] = {"ours": [], "raw": []}
    signed_on: dict[str, list[float]] = {"ours": [], "raw": []}
    ratios: list[float] = []
    said = bytes_of_an_event(key, tell)
    for _ in range(rounds):
        best = {}
        for name, command in (("raw", RAW), ("ours", OURS)):
            with serving(*command) as server:
                with streams(server, key, 1) as first:  # what the first one loads is not the others'
                    if name == "ours":
                        first.read(b"mark-w-", lambda: tell("mark-w-"))
                alone[name].append(server.memory())
                with streams(server, key, count) as held:
                    signed_on[name].append(held.signed_on)
                    time.sleep(1)
                    memory[name].append(server.memory())
                    times = [
                        told_to_all(held, said, number, tell if name == "ours" else None, server.port)
                        for number in range(fans)
                    ]
            best[name] = min(times)
            last[name] += times
        ratios.append(best["ours"] / best["raw"])
    held_mb = memory["ours"]
    on = [ours / raw for ours, raw in zip(signed_on["ours"], signed_on["raw"], strict=True)]
    by_raw = [ours / raw for ours, raw in zip(held_mb, memory["raw"], strict=True)]
    return [
        record(
            7,
            f"fan-out to {count} streams, last, ms",
            ratios,
            [value * 1000 for value in last["ours"]],
            MOST_FAN_OUT,
            best=round(min(last["ours"]) * 1000, 1),
            raw_best=round(min(last["raw"]) * 1000, 1),
            raw_p50=round(quantile(last["raw"], 0.5) * 1000, 1),
        ),
        record(
            8,
            f"memory with {count} idle streams, MB",
            by_raw,
            held_mb,
            MOST_MEMORY.get(count, 0.0),
            alone=round(statistics.median(alone["ours"]), 1),
            raw=round(statistics.median(memory["raw"]), 1),
            kb_each=round((statistics.median(held_mb) - statistics.median(alone["ours"])) * 1000 / count, 1),
            raw_kb_each=round((statistics.median(memory["raw"]) - statistics.median(alone["raw"])) * 1000 / count, 1),
        ),
        record(8, f"sign-on of {count} streams at once, s", on, signed_on["ours"], 0.0),
    ]


def bytes_of_an_event(key: str, tell: Tell) -> bytes:
    """What a client is sent for one event, so that the raw peer sends as much."""
    with serving(*OURS) as server, streams(server, key, 1) as one:
        tell("mark-0-")
        text = one.block(b"mark-0-")
    return re.sub(rb"^[0-9a-f]+\r\n|\r\n$", b"", text)


def told_to_all(held: Streams, said: bytes, number: int, tell: Tell | None, port: int) -> float:
    """Seconds from the acknowledgement (of the raw peer: from the request) to the last arrival."""
    mark, began = f"mark-{number}x", 0.0

    def by_verb() -> None:
        nonlocal began
        assert tell
        _, began = tell(mark)

    def by_peer() -> None:
        nonlocal began
        body = said.replace(b"mark-0-", mark.encode())
        peer = http.client.HTTPConnection("127.0.0.1", port)
        peer.connect()
        began = time.monotonic()
        peer.putrequest("POST", "/")
        peer.putheader("Content-Length", str(len(body)))
        peer.endheaders(body)

    return max(held.read(mark.encode(), by_verb if tell else by_peer)) - began


if __name__ == "__main__":
    main()
