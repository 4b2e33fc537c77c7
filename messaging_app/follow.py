"""Following the stream: page by page behind a cursor, and then as events come.

The cursor is a position in the tenant's stream. It also moves over events that the reader may not see or did not ask
for, so a gap between positions means nothing. A reader's cursor is all its state, and the reader keeps it: one that is
slow lags, and one that was away goes on from where it was.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Hashable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property, partial
from typing import Any

import orjson
from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, connection

from config import clock, limits
from config.errors import Busy, DomainError, Malformed
from messaging_app import live, relay
from messaging_app.models import Operation

log = logging.getLogger(__name__)

PAUSE = 0.05
"""Seconds, at most, that a feed waits when it was notified while it was reading, as long as the reading took: so it takes
several events at once."""
WINDOW = 20_000
"""Positions that one read covers at most, so that a reader who may see few of many events costs little."""
STAMPED_AT_ONCE = 10
"""Batches of operations that a reader stamps at most before it reads."""

reading = ThreadPoolExecutor(2, "events")
"""All followers of a process read in these few threads: an open stream holds no thread and no database connection."""
signing_on = ThreadPoolExecutor(2, "sign-on")
"""Clients are let in by these: when all connect at once, those who are in go on being told."""


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
    pos = 0
    if connection.vendor != "postgresql":  # there stamping itself looks first, in the same trip
        for found in relay.HEAD.rows(tenant_id):
            pos = found.pos
            if not found.is_behind:
                return pos, True
        if connection.vendor == "sqlite" or not Operation.objects.filter(tenant_id=tenant_id).exists():
            return pos, True
    for _ in range(STAMPED_AT_ONCE):
        count, pos = relay.stamped(tenant_id)
        if count < relay.BATCH:
            return pos, True
    return pos, False


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


# --- Reading -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Page:
    """The result of one read. `cursor` is the last position that was read, whether its event is in `events` or not."""

    events: list[dict[str, Any]]
    cursor: int
    has_more: bool
    _made: dict[Callable[[Page], Any], Any] = field(default_factory=dict, compare=False, repr=False)

    def shared[R](self, make: Callable[[Page], R]) -> R:
        """What `make` makes of this page: once for all readers that share it."""
        if make not in self._made:
            self._made[make] = make(self)
        made: R = self._made[make]
        return made

    @cached_property
    def lines(self) -> list[str]:
        """Each event as one line of JSON."""
        return [orjson.dumps(event).decode() for event in self.events]


type Read = Callable[[int], Page]
"""Reads the page after a cursor. Called in a thread."""


async def in_thread[R](work: Callable[[], R]) -> R:
    """Run work that queries the database, in one of the threads of `reading`, each of which keeps its connection."""
    return await asyncio.get_running_loop().run_in_executor(reading, _kept, work)


async def at_sign_on[R](work: Callable[[], R]) -> R:
    """The same by the threads of `signing_on`."""
    return await asyncio.get_running_loop().run_in_executor(signing_on, _kept, work)


def _kept[R](work: Callable[[], R]) -> R:
    """Run work on this thread's own connection; if that has died since it was last used, once more on a new one."""
    try:
        return work()
    except (OperationalError, InterfaceError):
        connection.close()
    try:
        return work()
    except (DatabaseError, InterfaceError):
        connection.close()
        raise


_looks: dict[Hashable, asyncio.Task[Any]] = {}


async def together[R](
    key: Hashable, work: Callable[[], R], by: Callable[[Callable[[], R]], Coroutine[Any, Any, R]]
) -> R:
    """One run of this work for all that wait for it, by `in_thread` or `at_sign_on`. A later caller gets another: one that
    has begun may have missed the news.
    """
    look: asyncio.Task[R] | None = _looks.get(key)
    if look is None:

        def begun() -> R:
            _looks.pop(key, None)
            return work()

        look = _looks[key] = asyncio.create_task(by(begun))
    return await asyncio.shield(look)


async def _shared(read: Read, cursor: int, audience: Hashable) -> Page:
    return await together((audience, cursor), partial(read, cursor), in_thread)


# --- Following ---------------------------------------------------------------------------------------------------


class Reader:
    """One client of a feed: where it is, and how a page is written to it at once (False where that is not possible)."""

    __slots__ = ("_arrival", "_timer", "cursor", "last_sent", "write")

    def __init__(self, cursor: int, write: Callable[[Page], bool]) -> None:
        self.cursor, self.write = cursor, write
        self.last_sent = time.monotonic()
        self._arrival: asyncio.Future[Page | None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def wait(self) -> Page | None:
        """The next page that this reader has to send itself, an empty one when a heartbeat is due; None: it has to read."""
        self._arrival = asyncio.get_running_loop().create_future()
        self._beat()
        try:
            return await self._arrival
        finally:
            self._arrival = None
            if self._timer:
                self._timer.cancel()

    def _beat(self) -> None:
        left = self.last_sent + settings.EVENT_HEARTBEAT - time.monotonic()
        if left > 0:
            self._timer = asyncio.get_running_loop().call_later(left, self._beat)
        else:
            self.take(Page([], self.cursor, has_more=False))

    def take(self, page: Page | None) -> bool:
        """Hand over what `wait` answers."""
        if self._arrival is not None and not self._arrival.done():  # else it is being ended, and is told nothing more
            self._arrival.set_result(page)
        return False

    def pass_on(self, page: Page) -> bool:
        """Take the page behind the cursor; False when the reader is not waiting any more."""
        if self._arrival is None or self._arrival.done():
            return False
        if page.events:
            if not self.write(page):
                return self.take(page)
            self.last_sent = time.monotonic()
        self.cursor = page.cursor
        return True

    def fail(self, error: Exception) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_exception(error)


class Feed(live.Follower):
    """All who receive the same pages, and have the stream up to here: what comes is read once and passed on to each.

    It reads only while somebody waits and only when it was told that there is news. Who is behind, because it begins at
    an old cursor or does not take what it is sent, reads for itself until it has caught up, and joins.
    """

    def __init__(self, read: Read, audience: Hashable, conversation_id: int | None) -> None:
        super().__init__(conversation_id)
        self.readers = 0
        self._read, self._audience = read, audience
        self._cursor = 0
        self._waiting: set[Reader] = set()
        self._is_told = False
        self._task: asyncio.Task[None] | None = None

    def notify(self) -> None:
        self._is_told = True
        self._begin()

    def join(self, reader: Reader) -> bool:
        """Have the reader wait for the next page; False if it has to read for itself first, because the feed is farther."""
        if not self._waiting and self._task is None:
            self._cursor, self._is_told = reader.cursor, True  # while nobody waited, nothing was read
        elif reader.cursor < self._cursor:
            return False
        elif reader.cursor > self._cursor:
            self._is_told = True
        self._waiting.add(reader)
        self._begin()
        return True

    def leave(self, reader: Reader) -> None:
        self._waiting.discard(reader)

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def look(self, cursor: int) -> Page:
        """What comes behind a cursor that is not the feed's."""
        return await _shared(self._read, cursor, self._audience)

    def _begin(self) -> None:
        if self._is_told and self._waiting and self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        try:
            while self._is_told and self._waiting:
                self._is_told = False
                began = time.monotonic()
                try:
                    page = await in_thread(partial(self._read, self._cursor))
                except (Busy, DatabaseError, InterfaceError) as error:
                    self._is_told = True
                    await _after_a_failure(error)
                    continue
                self._pass_on(page)
                if self._is_told:
                    await asyncio.sleep(min(PAUSE, time.monotonic() - began))
                self._is_told |= page.has_more
        except Exception as error:
            for reader in self._waiting:
                reader.fail(error)
            self._waiting.clear()
        finally:
            self._task = None

    def _pass_on(self, page: Page) -> None:
        """To those who are where the page begins. Who is behind its end has it already; any other has to read for itself."""
        here, self._cursor = self._cursor, page.cursor
        for reader in tuple(self._waiting):
            if reader.cursor == here:
                stays = reader.pass_on(page)
            else:
                stays = reader.cursor >= page.cursor or reader.take(None)
            if not stays:
                self._waiting.discard(reader)


async def _after_a_failure(error: Exception) -> None:
    log.warning("events could not be read (%s); trying again", error)
    await asyncio.sleep(1)


_feeds: dict[Hashable, Feed] = {}


@asynccontextmanager
async def feeding(
    read: Read, tenant_id: int, *, audience: Hashable, conversation_id: int | None
) -> AsyncIterator[Feed]:
    """The feed of an audience, while the block runs: readers of the same `audience` may see the same events."""
    hub, feed = live.hub, _feeds.get(audience)
    if feed is None:
        feed = _feeds[audience] = Feed(read, audience, conversation_id)
        hub.add(tenant_id, feed)
    feed.readers += 1
    try:
        yield feed
    finally:
        feed.readers -= 1
        if not feed.readers:
            del _feeds[audience]
            hub.remove(tenant_id, feed)
            feed.close()


def _never(page: Page) -> bool:
    return False


async def follow(
    feed: Feed, *, after: int, is_behind: bool = True, write: Callable[[Page], bool] = _never
) -> AsyncGenerator[Page]:
    """The pages after the cursor, as events come; an empty one after EVENT_HEARTBEAT seconds without events.

    What `write` could send at once, in the turn of the loop in which it was read, is not among them.
    """
    reader = Reader(after, write)
    while True:
        if is_behind:
            try:
                page = await feed.look(reader.cursor)
            except (Busy, DatabaseError, InterfaceError) as error:
                await _after_a_failure(error)
                continue
            is_behind = page.has_more
        elif not feed.join(reader):
            is_behind = True
            continue
        else:
            try:
                arrived = await reader.wait()
            finally:
                feed.leave(reader)
            if arrived is None:
                is_behind = True
                continue
            page = arrived
        reader.cursor = page.cursor
        if page.events or time.monotonic() - reader.last_sent >= settings.EVENT_HEARTBEAT:
            yield page
            reader.last_sent = time.monotonic()
