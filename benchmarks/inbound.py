"""Inbound routing (store, decide, record, commit) beside the FastAPI baseline's post, on one PostgreSQL, in one run.

    python benchmarks/inbound.py [--operations 2000] [--conversations 500]

Both are called in process, one at a time, taking turns in blocks, so that what is compared is the work and not two web
servers. The baseline, which is not in this repository, locks its session, stores a message and an operation, commits
and publishes to Redis. Ours locks the conversation, applies due timers, looks for a repeat, stores, decides the route,
examines the words by the tenant's rules, settles, chains and writes the operation, commits and hints.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from common import ROOT, noise, postgres_of_our_own, quantile, spread

TEXT = "您好，请问这个订单什么时候发货？"
BLOCK = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--operations", type=int, default=2000)
    parser.add_argument("--conversations", type=int, default=500)
    options = parser.parse_args()
    folder = Path(os.environ.get("TANDEM_BASELINE", ROOT.parent / "shared" / "bench"))
    if not folder.exists():
        sys.exit("The baseline, which is not in this repository, is not here either.")
    redis_url = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/0")
    os.environ["BENCH_REDIS_URL"] = redis_url  # both sides tell their readers over the same Redis
    with postgres_of_our_own("bench_inbound") as url:
        os.environ["PERF_PG_URL"] = url.replace("postgres://", "postgresql+asyncpg://")
        os.environ["PERF_REDIS"] = redis_url
        sys.path.insert(0, str(folder))
        with asyncio.Runner() as runner:
            compare(runner, options)


def compare(runner: asyncio.Runner, options: argparse.Namespace) -> None:
    theirs_once, theirs_end = baseline(runner, options.conversations)
    ours_once = tandem(options.conversations)
    ours: list[float] = []
    theirs: list[float] = []
    ratios: list[float] = []
    for _ in range(BLOCK):  # warm both up
        ours_once()
        theirs_once()
    print(noise())
    for _ in range(0, options.operations, BLOCK):
        ours += (mine := [timed(ours_once) for _ in range(BLOCK)])
        theirs += (other := [timed(theirs_once) for _ in range(BLOCK)])
        ratios.append(quantile(mine, 0.5) / quantile(other, 0.5))
    print(noise())
    theirs_end()
    for name, taken in (("Tandem receive_message", ours), ("FastAPI baseline post", theirs)):
        p10, p50, p99 = (quantile(taken, share) * 1000 for share in (0.10, 0.50, 0.99))
        print(
            f"{name:<24} {len(taken) / sum(taken):7.0f} requests/s   p10 {p10:6.2f}  p50 {p50:6.2f}  p99 {p99:6.2f} ms"
        )
    print(f"time per request, Tandem to baseline, block by block: {spread(ratios)}")
    print(f"ratio of p10: {quantile(ours, 0.10) / quantile(theirs, 0.10):.2f}")


def timed(call: Callable[[], None]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def tandem(conversations: int) -> Callable[[], None]:
    """One message of a customer to a conversation in which a bot is live."""
    from agents_app.actors import client_actor, customer_actor
    from agents_app.models import ApiClient, Tenant
    from messaging_app.detection.defaults import install
    from messaging_app.thread import NewMessage
    from sessions_app.actions import inbound, lifecycle

    tenant = Tenant.objects.create(slug="bench", name="Bench")
    install(tenant)
    bot = client_actor(ApiClient.objects.create(tenant=tenant, name="bot"))
    customer = customer_actor(tenant)
    ids = []
    for number in range(conversations):
        made = lifecycle.conversation_for(actor=bot, shop_id="shop", account_id=str(number))
        lifecycle.open_session(actor=bot, conversation_id=made.pk, robot=True)
        ids.append(made.pk)
    chosen = random.Random(1)

    def once() -> None:
        said = inbound.receive_message(
            actor=customer, conversation_id=chosen.choice(ids), words=NewMessage(content=TEXT)
        )
        assert said.controller == "bot"

    return once


def baseline(runner: asyncio.Runner, conversations: int) -> tuple[Callable[[], None], Callable[[], None]]:
    """One message to a session of the baseline."""
    import baseline_fastapi as base  # type: ignore[import-not-found]  # of the folder that was named

    async def prepare() -> list[Any]:
        async with base.engine.begin() as connection:
            await connection.run_sync(base.Base.metadata.create_all)
        ids = []
        async with base.Maker() as session:
            for number in range(conversations):
                made = await base.create(base.NewSession(shop_id=1, user_id=str(number)), session)
                ids.append(made["id"])
        return ids

    async def post(session_id: Any) -> None:
        async with base.Maker() as session:
            await base.post(session_id, base.NewMessage(sender="user", content=TEXT), session)

    def run(work: Awaitable[Any]) -> Any:
        return runner.run(work)  # type: ignore[arg-type]

    ids = run(prepare())
    chosen = random.Random(1)
    return (lambda: run(post(chosen.choice(ids)))), (lambda: run(base.engine.dispose()))


if __name__ == "__main__":
    main()
