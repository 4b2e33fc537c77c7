"""The pool of database connections in Celery's workers: kept as long as the process.

Celery's own support for Django closes it before and after every task: each task would connect anew, and the threads of
the process that send and store meanwhile would find it closed under them.
"""

from __future__ import annotations

from typing import Any

from celery import Celery
from celery.fixups.django import DjangoFixup, DjangoWorkerFixup  # type: ignore[attr-defined]  # its types lack one


class Worker(DjangoWorkerFixup):  # type: ignore[misc]
    """Gives connections back around each task. Only a pool that a process has inherited is closed: it works in its parent alone."""

    _is_begun = False

    def on_worker_process_init(self, **kwargs: Any) -> None:
        super().on_worker_process_init(**kwargs)
        self._is_begun = True

    def _is_prefork(self) -> bool:
        """Whether to close the pool."""
        return not self._is_begun and bool(super()._is_prefork())


class Fixup(DjangoFixup):
    _own: Worker | None = None

    @property
    def worker_fixup(self) -> Worker:
        if self._own is None:
            self._own = Worker(self.app)
        return self._own


def fixup(app: Celery) -> Fixup:
    """As Celery names it: called with the application when that is made."""
    made = Fixup(app)
    made.install()
    return made
