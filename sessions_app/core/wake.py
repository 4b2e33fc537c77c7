"""Wakes the drain of a tenant's queue outside the request: a verb that may have made room only wakes it, and returns.

One thread in each process works through the woken tenants one after the other, over a connection of its own. It begins
with the first wake-up, also in a process that was forked, and ends after `IDLE` seconds without one. A tenant that
waits already is not added twice. What finds no room, or is not done when a process dies, the next sweep does.

What the thread does is set when the app is ready (`set_work`): it consists of verbs, and verbs import this module.
"""

from __future__ import annotations

import atexit
import logging
import os
from collections.abc import Callable
from threading import Condition, Thread

from django.db import close_old_connections, connections

log = logging.getLogger(__name__)

type Work = Callable[[int], object]

ROOM = 1000
"""Woken tenants that wait for the thread, at most."""
IDLE = 5.0
"""Seconds without a wake-up after which the thread ends and closes its connection."""
ROUNDS = 10
"""Runs for one tenant in a row, at most, while it is woken again and again; then others have their turn."""


class Waker:
    def __init__(self) -> None:
        self._work: Work = lambda tenant_id: None
        self.begin_anew()

    def begin_anew(self) -> None:
        """Reset to the state of a new process: a forked one has the parent's waker and none of its threads."""
        self._changed = Condition()
        self._woken: dict[int, None] = {}  # in the order of their wake-ups
        self._under_way: dict[int, bool] = {}  # by tenant: whether it was woken meanwhile
        self._thread: Thread | None = None
        self._is_stopping = False

    def set_work(self, work: Work) -> None:
        """Set the work for one tenant. It must be harmless where there is nothing to do."""
        self._work = work

    def wake(self, tenant_id: int) -> bool:
        """Have a tenant's queue drained soon; False when there is no room, and it is left to the sweep."""
        with self._changed:
            if self._is_stopping or (len(self._woken) >= ROOM and tenant_id not in self._woken):
                return False
            self._woken[tenant_id] = None
            if self._thread is None:
                thread = Thread(target=self._run, name="drain", daemon=True)
                thread.start()
                self._thread = thread
            self._changed.notify()
        return True

    def stop(self, timeout: float = 2.0) -> None:
        """End the thread after the work under way, waiting `timeout` seconds for it; the rest is left to the sweep."""
        with self._changed:
            self._is_stopping = True
            thread = self._thread
            self._changed.notify()
        if thread is not None:
            thread.join(timeout)

    def run_exclusively(self, tenant_id: int, work: Callable[[], int]) -> int:
        """Run `work` for a tenant, once at a time in this process. Returns the sum of what its runs return.

        While it runs already, a call returns 0 and the run under way is repeated. So the sweep and the thread never
        drain the same queue at once, and a drain whose own commits wake its tenant begins no second one within itself.
        """
        with self._changed:
            if tenant_id in self._under_way:
                self._under_way[tenant_id] = True
                return 0
            self._under_way[tenant_id] = False
        done = 0
        try:
            for _ in range(ROUNDS):
                done += work()
                with self._changed:
                    if not self._under_way[tenant_id]:
                        break
                    self._under_way[tenant_id] = False
        finally:
            with self._changed:
                del self._under_way[tenant_id]
        return done

    def _run(self) -> None:
        try:
            while (tenant_id := self._next()) is not None:
                self._look(tenant_id)
        finally:
            connections.close_all()

    def _next(self) -> int | None:
        """The tenant that was woken first; None ends the thread, noted under the same lock: no wake-up is lost."""
        with self._changed:
            if not self._woken and not self._is_stopping:
                self._changed.wait(IDLE)
            if not self._woken or self._is_stopping:
                self._thread = None
                return None
            tenant_id = next(iter(self._woken))
            del self._woken[tenant_id]
        return tenant_id

    def _look(self, tenant_id: int) -> None:
        """Do the work for one tenant. A failure stops no other tenant; the next sweep tries again."""
        close_old_connections()
        try:
            self._work(tenant_id)
        except Exception:
            log.exception("the queue of tenant %s could not be looked at; the next sweep does", tenant_id)
            connections.close_all()


_waker = Waker()
run_exclusively, set_work, stop, begin_anew = _waker.run_exclusively, _waker.set_work, _waker.stop, _waker.begin_anew

os.register_at_fork(after_in_child=begin_anew)
atexit.register(stop)


def wake(tenant_id: int) -> None:
    """Wake the drain of a tenant, after a commit that may have made room or left an offer without its agent."""
    _waker.wake(tenant_id)
