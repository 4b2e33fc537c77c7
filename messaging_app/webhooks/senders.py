"""The threads of a process that send webhooks.

The clock only wakes them and goes on. Endpoints that fail or are slow have threads of their own: a receiver that hangs
blocks one of the quick threads once, for one request, and after that only slow ones.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event, Lock
from time import monotonic

from django.db import connections

from agents_app import loops
from messaging_app.webhooks import delivery

log = logging.getLogger(__name__)

THREADS = 8
SLOW_THREADS = 4
SLOW = 2.0
"""Seconds: an endpoint whose slice took longer is slow. A quick one's longest slice takes about `SLICE_SECONDS`."""


class Senders:
    """Each endpoint is served by one thread at a time; the lease sees to that between processes."""

    def __init__(self, threads: int = THREADS, slow_threads: int = SLOW_THREADS) -> None:
        # The pools start their threads with the first work.
        self._quick = ThreadPoolExecutor(threads, "webhooks")
        self._slow = ThreadPoolExecutor(slow_threads, "webhooks-slow")
        self._stopped = Event()
        self._lock = Lock()
        self._under_way: set[int] = set()
        self._known_slow: set[int] = set()

    def wake(self, endpoint_id: int | None = None) -> int:
        """Start to send all that is due (or this endpoint's); returns at once, with the number of endpoints concerned."""
        endpoints = delivery.due(endpoint_id)
        for pk, is_failing in endpoints:
            with self._lock:
                if pk in self._under_way or self._stopped.is_set():
                    continue
                self._under_way.add(pk)
                lane = self._slow if is_failing or pk in self._known_slow else self._quick
            lane.submit(self._serve, pk)
        return len(endpoints)

    def close(self) -> None:
        """Begin nothing new, and wait for the requests that are under way."""
        self._stopped.set()
        for lane in (self._quick, self._slow):
            lane.shutdown(wait=True, cancel_futures=True)

    def _serve(self, endpoint_id: int) -> None:
        """Serve one slice; the rest goes to the end of the queue."""
        start = monotonic()
        try:
            made = loops.one(delivery.SENDERS, None, endpoint_id, partial(self._slice, endpoint_id)) or 0
        except Exception:
            made = 0
            log.exception("webhook %s could not be served; it is tried again at the next wake", endpoint_id)
        try:
            with self._lock:
                self._under_way.discard(endpoint_id)
                (self._known_slow.add if monotonic() - start > SLOW else self._known_slow.discard)(endpoint_id)
            if made:
                self.wake(endpoint_id)
        except Exception:
            log.exception("webhook %s waits for the next wake", endpoint_id)
        finally:
            # A thread may wait for hours until it is needed again.
            connections.close_all()

    def _slice(self, endpoint_id: int) -> int:
        return delivery.serve(endpoint_id, is_stopped=self._stopped.is_set)


senders = Senders()
