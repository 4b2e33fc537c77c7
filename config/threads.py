"""A few threads for work that waits on another server, so that no answer and no clock waits for it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

from django.db import connections

log = logging.getLogger(__name__)


class Threads:
    """Work is known by a key and not taken twice; what finds no room is refused.

    Work ends with its process. Whoever hands it over can do without it, or finds it again in the rows.
    """

    def __init__(self, name: str, *, threads: int, room: int) -> None:
        self._name, self._threads, self._room = name, threads, room
        self._lock = Lock()
        self._under_way: set[Hashable] = set()
        self._pool: ThreadPoolExecutor | None = None  # made in the process that uses it, after any fork

    def take(self, key: Hashable, work: Callable[[], object]) -> bool:
        """Do it soon; False when there is no room, or when it is under way."""
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
