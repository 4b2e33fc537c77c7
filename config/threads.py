"""A thread pool for work that waits on another server, so that no request and no periodic task waits for it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

from django.db import connections

log = logging.getLogger(__name__)


class Threads:
    """A bounded pool: work has a key and does not run twice at once; above `room` pieces of work, more is refused.

    Work is lost when its process ends. Use it for work that may be lost, or that its rows show as still to be done.
    """

    def __init__(self, name: str, *, threads: int, room: int) -> None:
        self._name, self._threads, self._room = name, threads, room
        self._lock = Lock()
        self._under_way: set[Hashable] = set()
        self._pool: ThreadPoolExecutor | None = None  # made in the process that uses it, after any fork

    def take(self, key: Hashable, work: Callable[[], object]) -> bool:
        """Queue the work; False when there is no room, or when work with this key is under way already."""
        with self._lock:
            if key in self._under_way or len(self._under_way) >= self._room:
                return False
            self._under_way.add(key)
            self._pool = self._pool or ThreadPoolExecutor(self._threads, thread_name_prefix=self._name)
            self._pool.submit(self._run, key, work)
        return True

    def _run(self, key: Hashable, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception:
            log.exception("%s: work on %s failed", self._name, key)
        finally:
            connections.close_all()  # a thread may wait for hours until it is needed again
            with self._lock:
                self._under_way.discard(key)
