"""Following the stream: page by page behind a cursor, and then as events come.

The cursor is a position in the tenant's stream. A reader goes on to the head it has read, also over what it may not see
or did not ask for, so positions have holes for it and a gap means nothing. Nothing is kept for a reader but its cursor:
one that is slow lags, and one that was away asks from where it was.
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
"""Seconds that a follower waits when there was news again before it had looked: then it takes several events at once."""
WINDOW = 20_000
"""Positions that one look goes through at most, so that somebody who sees little of much is no burden."""
STAMPED_AT_ONCE = 10

reading = ThreadPoolExecutor(4, "events")
"""All followers of a process read in these few threads, so that a stream that is open holds no thread and no connection."""


class CursorGone(DomainError):
    """`fields`: cursor, where the stream is now."""

    code, status = "cursor_gone", 410
    message = "Events are not kept as far back as this cursor. Read the present state, then go on from `cursor`."


# --- Where the stream is -----------------------------------------------------------------------------------------


def head(tenant_id: int) -> tuple[int, bool]:
    """The last position of a tenant's stream; True when all that is committed has its position.

    On PostgreSQL and MariaDB positions are given after commit. Whoever is told of news gives them here rather than wait
    for the relay: two at once are harmless. Raises `Busy`.
    """
    is_all = True
    if connection.vendor != "sqlite" and Operation.objects.filter(tenant_id=tenant_id, pos__isnull=True).exists():
        is_all = any(relay.stamp(tenant_id) < relay.BATCH for _ in range(STAMPED_AT_ONCE))
    found = StreamHead.objects.filter(tenant_id=tenant_id).values_list("pos", flat=True).first()
    return found or 0, is_all


def start(tenant_id: int, after: int | None) -> int:
    """The cursor to begin with: now, unless one is named. Raises `CursorGone` for one too old, or ahead of the stream."""
    now, _ = head(tenant_id)
    if after is None or after == now:
        return now
    missed = Operation.objects.filter(tenant_id=tenant_id, pos__gt=after).order_by("pos").values_list("at", flat=True)
    oldest = missed.first()
    if oldest is None or oldest < clock.now() - timedelta(seconds=settings.EVENT_RETENTION):
        raise CursorGone(cursor=str(now))
    return after


def cursor_of(text: str) -> int:
    """Raises `Malformed` for what no cursor of ours can be."""
    if not (text.isascii() and text.isdigit() and len(text) <= limits.MAX_DIGITS):
        raise Malformed(f"{text[:40]!r} is no cursor. Send back one that you were given, or none.")
    return int(text)


# --- Following ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Page:
    """What one look found. `cursor` is behind all that was gone through, seen or not."""

    events: list[dict[str, Any]]
    cursor: int
    has_more: bool

    @cached_property
    def lines(self) -> list[str]:
        """Each event as one line of JSON: made once for all who are given this page."""
        return [orjson.dumps(event).decode() for event in self.events]


type Read = Callable[[int], Page]
"""What is behind a cursor. Called in a thread."""


async def in_thread[R](work: Callable[[], R]) -> R:
    """Work that asks the database."""
    done: R = await database_sync_to_async(work, thread_sensitive=False, executor=reading)()
    return done


async def follow(read: Read, *, after: int, bell: Waiter, audience: Hashable) -> AsyncGenerator[Page]:
    """The pages behind the cursor as they come; an empty one when nothing has come for EVENT_HEARTBEAT seconds.

    `audience` names those who are given the same: who looks at the same moment from the same cursor is given one page.
    """
    cursor, told = after, time.monotonic()
    while True:
        bell.still()
        try:
            page = await _shared(read, cursor, audience)
        except (Busy, DatabaseError, InterfaceError) as error:
            log.warning("events could not be read (%s); trying again", error)
            await asyncio.sleep(1)
            continue
        cursor = page.cursor
        if page.events or time.monotonic() - told >= settings.EVENT_HEARTBEAT:
            yield page
            told = time.monotonic()
        if bell.has_rung:
            await asyncio.sleep(PAUSE)
        elif not page.has_more:
            await bell.rings(told + settings.EVENT_HEARTBEAT - time.monotonic())


_looks: dict[Hashable, asyncio.Task[Page]] = {}


async def _shared(read: Read, cursor: int, audience: Hashable) -> Page:
    """One look for all who want it now. Who comes after it has begun has another: the first may have missed the news."""
    key = (audience, cursor)
    look = _looks.get(key)
    if look is None:
        look = _looks[key] = asyncio.create_task(_begun(key, partial(read, cursor)))
    return await asyncio.shield(look)


async def _begun(key: Hashable, look: Callable[[], Page]) -> Page:
    del _looks[key]
    return await in_thread(look)
