"""Following the stream: page by page behind a cursor, and then as events come.

The cursor is a position in the tenant's stream. It also moves over events that the reader may not see or did not ask
for, so a gap between positions means nothing. A reader's cursor is all its state, and the reader keeps it: one that is
slow lags, and one that was away goes on from where it was.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property, partial
from typing import Any

import orjson
from channels.db import database_sync_to_async
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection

from config import clock, limits
from config.errors import Busy, DomainError, Malformed
from messaging_app import relay
from messaging_app.live import Waiter
from messaging_app.models import Operation, StreamHead

log = logging.getLogger(__name__)

PAUSE = 0.05
"""Seconds that a follower waits when it was notified while it was reading: so it takes several events at once."""
WINDOW = 20_000
"""Positions that one read covers at most, so that a reader who may see few of many events costs little."""
STAMPED_AT_ONCE = 10
"""Batches of operations that a reader stamps at most before it reads."""

reading = ThreadPoolExecutor(4, "events")
"""All followers of a process read in these few threads: an open stream holds no thread and no database connection."""


class CursorGone(DomainError):
    """`fields`: cursor, where the stream is now."""

    code, status = "cursor_gone", 410
    message = "Events are not kept as far back as this cursor. Read the present state, then go on from `cursor`."


# --- Where the stream is -----------------------------------------------------------------------------------------


def head(tenant_id: int) -> tuple[int, bool]:
    """The last position of a tenant's stream, and whether every committed operation has a position.

    On PostgreSQL and MariaDB positions are given after commit. A reader gives them here itself rather than wait for the
    relay: two at once are harmless. Raises `Busy`.
    """
    is_all = True
    if connection.vendor != "sqlite" and Operation.objects.filter(tenant_id=tenant_id, pos__isnull=True).exists():
        is_all = any(relay.stamp(tenant_id) < relay.BATCH for _ in range(STAMPED_AT_ONCE))
    pos = StreamHead.objects.filter(tenant_id=tenant_id).values_list("pos", flat=True).first()
    return pos or 0, is_all


def start(tenant_id: int, after: int | None) -> int:
    """The cursor to begin with: `after`, or the head. Raises `CursorGone` for one too old, or ahead of the stream."""
    newest, _ = head(tenant_id)
    if after is None or after == newest:
        return newest
    missed = Operation.objects.filter(tenant_id=tenant_id, pos__gt=after).order_by("pos").values_list("at", flat=True)
    oldest = missed.first()
    if oldest is None or oldest < clock.now() - timedelta(seconds=settings.EVENT_RETENTION):
        raise CursorGone(cursor=str(newest))
    return after


def cursor_of(text: str) -> int:
    """A cursor as a number. Raises `Malformed` for what cannot be a cursor of ours."""
    if not (text.isascii() and text.isdigit() and len(text) <= limits.MAX_DIGITS):
        raise Malformed(f"{text[:40]!r} is no cursor. Send back one that you were given, or none.")
    return int(text)


# --- Following ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Page:
    """The result of one read. `cursor` is the last position that was read, whether its event is in `events` or not."""

    events: list[dict[str, Any]]
    cursor: int
    has_more: bool

    @cached_property
    def lines(self) -> list[str]:
        """Each event as one line of JSON: made once for all readers that share this page."""
        return [orjson.dumps(event).decode() for event in self.events]


type Read = Callable[[int], Page]
"""Reads the page after a cursor. Called in a thread."""


async def in_thread[R](work: Callable[[], R]) -> R:
    """Run work that queries the database, in one of the threads of `reading`."""
    result: R = await database_sync_to_async(work, thread_sensitive=False, executor=reading)()
    return result


async def follow(read: Read, *, after: int, waiter: Waiter, audience: Hashable) -> AsyncGenerator[Page]:
    """The pages after the cursor, as events come; an empty one after EVENT_HEARTBEAT seconds without events.

    Readers of the same `audience` may see the same events: those that read from the same cursor at once share one page.
    """
    cursor, last_sent = after, time.monotonic()
    while True:
        waiter.clear()
        try:
            page = await _shared(read, cursor, audience)
        except (Busy, DatabaseError, InterfaceError) as error:
            log.warning("events could not be read (%s); trying again", error)
            await asyncio.sleep(1)
            continue
        cursor = page.cursor
        if page.events or time.monotonic() - last_sent >= settings.EVENT_HEARTBEAT:
            yield page
            last_sent = time.monotonic()
        if waiter.is_notified:
            await asyncio.sleep(PAUSE)
        elif not page.has_more:
            await waiter.wait(last_sent + settings.EVENT_HEARTBEAT - time.monotonic())


_looks: dict[Hashable, asyncio.Task[Page]] = {}


async def _shared(read: Read, cursor: int, audience: Hashable) -> Page:
    """One read for all that wait for it. A later reader gets another: one that has begun may have missed the news."""
    key = (audience, cursor)
    look = _looks.get(key)
    if look is None:
        look = _looks[key] = asyncio.create_task(_begun(key, partial(read, cursor)))
    return await asyncio.shield(look)


async def _begun(key: Hashable, look: Callable[[], Page]) -> Page:
    del _looks[key]
    return await in_thread(look)
