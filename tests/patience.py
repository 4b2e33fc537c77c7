"""How tests deal with time. None of them races the clock of the machine, which may be slow, busy, or stopped for a while:

- Deadlines and time-outs of the domain come by the fixture `later`, which moves time.
- What another thread or process brings about is waited for with `PATIENCE`, which runs out only if it never comes.
- That something does *not* happen is shown by something that would come after it, and did.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

PATIENCE = 300.0
"""Seconds that a test waits for what must come. Never how long something may take."""
PAUSE = 0.05
DAY = str(24 * 3600)
STILL = dict.fromkeys(
    ("GROUP_AFTER", "OFFER_TIMEOUT", "TRANSFER_TIMEOUT", "AGENT_AWAY_AFTER", "AGENT_GONE_AFTER", "FLOW_LEASE"), DAY
)
"""Settings of a real server with which nothing runs out and nobody falls silent while a test is at work."""


def until(what: Callable[[], Any], why: str = "it did not come to that", pause: float = PAUSE) -> Any:
    """Ask again until there is something to answer; that is returned."""
    ends = time.monotonic() + PATIENCE
    while not (found := what()):
        assert time.monotonic() < ends, why
        time.sleep(pause)
    return found


async def comes_true(what: Callable[[], Any], why: str = "it did not come to that", pause: float = PAUSE) -> Any:
    """`until`, beside the other tasks of the test's loop."""
    ends = time.monotonic() + PATIENCE
    while not (found := what()):
        assert time.monotonic() < ends, why
        await asyncio.sleep(pause)
    return found


async def heard_at_last[T](tell: Callable[[], Awaitable[object]], hear: Callable[[], Awaitable[T]]) -> T:
    """Tell again and again until something is heard: whoever listens may only just be coming. It may be heard twice."""
    ends = time.monotonic() + PATIENCE
    hearing = asyncio.ensure_future(hear())
    try:
        while not hearing.done():
            assert time.monotonic() < ends, "it was told, and nobody heard it"
            await tell()
            await asyncio.wait({hearing}, timeout=4 * PAUSE)
        return hearing.result()
    finally:
        hearing.cancel()
