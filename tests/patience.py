"""How tests deal with time. None of them races the clock of the machine, which may be slow, busy, or stopped for a while:

- Deadlines and time-outs of the domain come by the fixture `later`, which moves time; meanwhile it all but stands still.
- What another thread or process brings about is waited for with `PATIENCE`, which runs out only if it never comes.
- That something does *not* happen is shown by something that would come after it, and did.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db.models import DateTimeField

from config import clock

PATIENCE = 300.0
"""Seconds that a test waits for what must come. Never how long something may take."""
PAUSE = 0.05
SLOWER = 1000
"""How much slower than the machine's a test's time passes: what takes a minute moves it by less than a tenth of a second."""
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


class SlowMotion:
    """The database's clock as the code reads it, in this process: it goes on, in order, but `SLOWER`."""

    def __init__(self) -> None:
        self._began: datetime | None = None
        self._lock = threading.Lock()

    def of(self, moment: datetime) -> datetime:
        """A time that the database told, without the offset."""
        with self._lock:
            self._began = self._began or moment
        return moment if moment <= self._began else self._began + (moment - self._began) / SLOWER


@contextmanager
def slow_motion() -> Iterator[None]:
    """Every question to the database stays the real one; only what it tells of the time is slowed down."""
    motion, told = SlowMotion(), clock.now

    class Slowed(DateTimeField):  # type: ignore[type-arg]
        def from_db_value(self, value: datetime | None, *_: object) -> datetime | None:
            return value and motion.of(value)

    def now() -> datetime:
        return motion.of(told() - clock.offset) + clock.offset

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "now", now)
        patch.setattr(clock.DbNow, "output_field", Slowed())
        yield
    clock.offset = timedelta(0)
