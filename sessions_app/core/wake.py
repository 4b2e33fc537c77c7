"""Wakes the drain of a tenant's queue, off the request: a verb that may have made room only says so, and answers.

One thread in each process looks at the woken tenants one after the other, over a connection of its own. It begins with the
first wake-up, also in a process that was forked, and ends when nothing has woken it for a while. Wake-ups of a tenant that
waits to be looked at are one. What finds no room, and what a process that dies has not come to, the next sweep finds.

What is called is told when the app is ready (`calls`): the work takes conversations by verbs, which wake it.
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
"""Tenants that wait to be looked at, at most."""
IDLE = 5.0
"""Seconds without a wake-up after which thread and connection are given back."""
ROUNDS = 10
"""How often the work on one tenant begins anew because somebody woke it meanwhile; then others have their turn."""


class Waker:
    def __init__(self) -> None:
        self._work: Work = lambda tenant_id: None
        self.begin_anew()

    def begin_anew(self) -> None:
        """As in a process that has just begun: a forked one has the parent's waker and none of its threads."""
        self._changed = Condition()
        self._woken: dict[int, None] = {}  # in their order
        self._under_way: dict[int, bool] = {}  # by tenant: whether it was woken meanwhile
        self._thread: Thread | None = None
        self._is_stopping = False

    def calls(self, work: Work) -> None:
        """What is to be done for a tenant. It must bear to be done for nothing."""
        self._work = work

    def wake(self, tenant_id: int) -> bool:
        """Have a tenant looked at soon; False when there is no room, and the sweep will."""
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
        """End after the work under way, for which it waits so many seconds; what was woken is left to the sweep."""
        with self._changed:
            self._is_stopping = True
            thread = self._thread
            self._changed.notify()
        if thread is not None:
            thread.join(timeout)

    def alone(self, tenant_id: int, work: Callable[[], int]) -> int:
        """Do it unless it is under way for this tenant in this process: then it is done once more after that. Returns the sum.

        So the sweep and the thread do not look at the same line beside each other, and what a drain does itself, at whose
        commit somebody may be free, begins none within it.
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
        """The tenant that was woken first; None when the thread is to end, and it is said under the lock that it has."""
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
        """One failure stops no other; the next sweep tries again."""
        close_old_connections()
        try:
            self._work(tenant_id)
        except Exception:
            log.exception("the queue of tenant %s could not be looked at; the next sweep does", tenant_id)
            connections.close_all()


_waker = Waker()
alone, calls, stop, begin_anew = _waker.alone, _waker.calls, _waker.stop, _waker.begin_anew

os.register_at_fork(after_in_child=begin_anew)
atexit.register(stop)


def wake(tenant_id: int) -> None:
    """At a commit after which somebody may be free for what waits, or what was offered waits for nobody any more."""
    _waker.wake(tenant_id)
