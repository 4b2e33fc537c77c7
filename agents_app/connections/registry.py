"""Every socket and stream of this process; each ends within a second after its credential is revoked.

Whatever keeps a connection open adds it here with its credential (`agents_app.connections.credential`). Twice a second,
and at once after an operation that belongs to no conversation (like a dismissal), all credentials are checked together,
by a fixed number of queries. What answers a client in between, like a ping, calls `verified` first.

While the database is away nothing is ended: its restart is no revocation, and without it no data can be read.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from enum import IntEnum
from time import monotonic

from channels.db import database_sync_to_async
from django.conf import settings

from agents_app.connections.credential import ConnectionCredential, which_are_revoked
from config.errors import DomainError

log = logging.getLogger(__name__)

CHECK_SECONDS = 0.5
"""Seconds between two checks. A connection ends within a second: this, the time of a check, and the closing."""
PAUSE = 0.05
"""Seconds between two checks at least, however many are requested."""

checking = ThreadPoolExecutor(1, "connections")
"""A thread of its own: no request, however slow, delays a revocation."""


class Close(IntEnum):
    """Codes that sockets are closed with: 4000 and the HTTP status, and two for what has none."""

    TRY_AGAIN = 1013
    NOT_READING = 4008
    MALFORMED = 4400
    NOT_AUTHENTICATED = 4401
    FORBIDDEN = 4403
    NOT_FOUND = 4404
    TOO_MANY = 4429

    @property
    def reason(self) -> str:
        return _REASONS[self]


_REASONS = {
    Close.TRY_AGAIN: "try again",
    Close.NOT_READING: "you do not read what is sent",
    Close.MALFORMED: "a parameter is malformed",
    Close.NOT_AUTHENTICATED: "no valid credential, or not any more",
    Close.FORBIDDEN: "not allowed",
    Close.NOT_FOUND: "there is no such thing here",
    Close.TOO_MANY: "too many connections by this credential",
}


class TooManyConnections(DomainError):
    """`fields`: most."""

    code, status = "too_many_connections", 429
    message = "Too many streams and sockets are open by this credential. Close one first; the open ones stay."


class Connection:
    """One socket or stream. `end` is called when its credential is revoked, and at each check until it is closed."""

    def __init__(self, holder: ConnectionCredential, end: Callable[[], object], is_allowed: Callable[[], bool]) -> None:
        self.holder, self.end, self.is_allowed = holder, end, is_allowed
        self.is_revoked = False


class Connections:
    """The connections of one process. Belongs to one event loop; only `check_soon` may be called from any thread."""

    def __init__(self) -> None:
        self._held: set[Connection] = set()
        self._by_caller: Counter[str] = Counter()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turn = asyncio.Lock()
        self._next: asyncio.Task[None] | None = None  # the check that has not begun yet
        self._clock: asyncio.Task[None] | None = None
        self._checked_at = 0.0

    def __len__(self) -> int:
        return len(self._held)

    def open(
        self,
        holder: ConnectionCredential,
        *,
        end: Callable[[], object] = lambda: None,
        is_allowed: Callable[[], bool] = lambda: True,
    ) -> Connection:
        """Add a connection; `close` it when it is over. `is_allowed` is called at each check, too, and must not query.

        Raises `TooManyConnections` for more than STREAMS_PER_CREDENTIAL; those that are open stay.
        """
        caller, most = holder.principal.key, settings.STREAMS_PER_CREDENTIAL
        if self._by_caller[caller] >= most:
            raise TooManyConnections(most=most)
        connection = Connection(holder, end, is_allowed)
        self._held.add(connection)
        self._by_caller[caller] += 1
        self._start()
        return connection

    def close(self, connection: Connection) -> None:
        """Remove a connection; a second call does nothing."""
        if connection not in self._held:
            return
        self._held.remove(connection)
        caller = connection.holder.principal.key
        self._by_caller[caller] -= 1
        if not self._by_caller[caller]:
            del self._by_caller[caller]

    @contextmanager
    def keeping(self, holder: ConnectionCredential) -> Iterator[Connection]:
        """A connection for as long as the block runs. Raises `TooManyConnections`."""
        connection = self.open(holder)
        try:
            yield connection
        finally:
            self.close(connection)

    async def verified(self, connection: Connection) -> bool:
        """Whether a credential still counts, by a check that begins after this call; concurrent calls share one."""
        await asyncio.shield(self._soon())
        return not connection.is_revoked

    def check_soon(self) -> None:
        """Check now, not at the next tick, because something may have been revoked. For any thread."""
        if self._held and self._loop is not None and self._loop.is_running():
            self._loop.call_soon_threadsafe(self._soon)

    async def check(self) -> None:
        """End all whose credential is revoked, or that are not allowed any more. Raises what the database raises."""
        held = tuple(self._held)
        if not held:
            return
        gone = await database_sync_to_async(which_are_revoked, thread_sensitive=False, executor=checking)(
            {c.holder for c in held}
        )
        for connection in held:
            if connection not in self._held:
                continue
            try:
                if connection.holder in gone or not connection.is_allowed():
                    connection.is_revoked = True
                    connection.end()
            except Exception:  # the others are looked at all the same
                log.exception("a connection could not be ended; trying again")

    def _start(self) -> None:
        """Begin to check at the first connection: the loop is known only then."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._turn, self._next = loop, asyncio.Lock(), None
            self._clock = loop.create_task(self._tick())

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            if self._held:
                await asyncio.shield(self._soon())

    def _soon(self) -> asyncio.Task[None]:
        """The next check, which has not begun yet: one that has begun may have missed a revocation."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_task(self._checked())
        return self._next

    async def _checked(self) -> None:
        async with self._turn:
            await asyncio.sleep(self._checked_at + PAUSE - monotonic())
            self._next = None
            while True:
                try:
                    await self.check()
                except Exception:
                    log.exception("connections could not be checked; trying again")
                    await asyncio.sleep(CHECK_SECONDS)
                else:
                    break
            self._checked_at = monotonic()


registry = Connections()
