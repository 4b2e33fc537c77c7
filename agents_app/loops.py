"""Loops over many items: each item has a transaction and an error handler of its own.

An item that fails stops no other. It is put off, for longer each time, in a row of its own (`Backoff`): a restart loses
nothing, and what is put off takes no place among the candidates of the next run. Once the cause is gone the next try succeeds,
and the row is removed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from itertools import batched
from typing import Any

from django.db import Error, connection, transaction
from django.db.models import Count, Exists, F, OuterRef, QuerySet
from django.db.models.expressions import Combinable

from agents_app.models import Backoff, LoopFailures
from config import clock
from config.db import lock_rows, retried
from config.errors import DomainError

log = logging.getLogger(__name__)

LONGEST = 3600
"""Seconds of the longest pause; the first is one second, and each is twice the one before."""
PAGE = 500
"""Items whose rows are looked for at once."""
FORGOTTEN = timedelta(hours=2)
"""A row that is overdue for so long is about something that has ended otherwise: every loop runs hourly at least."""
PIECE, PIECES = 1000, 100
"""Old rows that are deleted in one statement, and statements in one run."""

type Item = tuple[Any, ...]
"""The tenant (or None), the id that the item is known by, and whatever else the work takes."""

_unwritten: set[str] = set()
"""Loops whose failures could not be stored: logged once, until it works again."""


def each[R](loop: str, items: Iterable[Item], work: Callable[..., R], *, is_ordered: bool = False) -> Iterator[R]:
    """Call `work(*item)` for each item, and yield the results of those that succeed. Nothing runs until it is consumed.

    Whatever an item raises is logged with its ids (at first with its traceback, later in one line), counted, and puts
    off this item alone. An item that is put off is skipped; its query leaves it out by `not_put_off`, so that it fills
    no page. When a person has ordered the run (`is_ordered`) it is tried all the same; its pause stays if it fails
    again. When a failure cannot be stored the database is away: the run ends, and the next one tries again. Not for
    inside a transaction.
    """
    for page in batched(items, PAGE):
        rows = Backoff.objects.filter(loop=loop, key__in=[item[1] for item in page])
        retry_times = dict(rows.values_list("key", "retry_at"))
        now = clock.now() if retry_times else None
        for item in page:
            tenant_id, key = item[:2]
            if now and not is_ordered and retry_times.get(key, now) > now:
                continue
            try:
                with _savepoint():
                    result = work(*item)
                if key in retry_times:
                    _succeeded(loop, key)
            except Exception as error:
                if not _failed(loop, tenant_id, key, error):
                    return
            else:
                yield result


def one[R](loop: str, tenant_id: int | None, key: int, work: Callable[[], R]) -> R | None:
    """As `each`, for a single item in a thread of its own: its result, or None when it failed or is put off."""
    return next(each(loop, [(tenant_id, key)], lambda *_: work()), None)


def not_put_off(loop: str, column: str) -> Combinable:
    """A condition for a query of candidates: this column's id is not put off in the loop."""
    return ~Exists(Backoff.objects.filter(loop=loop, key=OuterRef(column), retry_at__gt=clock.now()))


def put_off() -> dict[str, int]:
    """How many items are put off, by loop."""
    return dict(Backoff.objects.order_by("loop").values_list("loop").annotate(Count("pk")))


def failures() -> dict[str, int]:
    """How often an item has failed, by loop, since the installation began."""
    return dict(LoopFailures.objects.order_by("loop").values_list("loop", "failures"))


def try_again(rows: QuerySet[Backoff]) -> int:
    """Let these be tried in the next run, whatever their pause; returns how many."""
    return rows.update(retry_at=clock.now())


def forget() -> int:
    """For the beat: remove the rows of items that no loop tries any more; returns how many."""
    return delete_in_pieces(Backoff.objects.filter(retry_at__lt=clock.now() - FORGOTTEN))


def delete_in_pieces(rows: QuerySet[Any]) -> int:
    """Delete old rows a piece at a time, so that no statement takes too long and no run is endless; returns how many rows.

    What is left is the next run's.
    """
    gone = 0
    for _ in range(PIECES):
        ids = list(rows.order_by("pk").values_list("pk", flat=True)[:PIECE])
        if not ids:
            break
        gone += rows.model._default_manager.filter(pk__in=ids).delete()[0]
    return gone


def pause(attempts: int) -> timedelta:
    """The pause after this many failures: 1, 2, 4 … seconds, LONGEST at most."""
    return timedelta(seconds=min(2 ** min(attempts - 1, 20), LONGEST))


# --- One failure -------------------------------------------------------------------------------------------------


def _savepoint() -> AbstractContextManager[Any]:
    """Inside the caller's transaction a savepoint, so that an item that fails undoes only its own part."""
    return transaction.atomic() if connection.in_atomic_block else nullcontext()


def _succeeded(loop: str, key: int) -> None:
    Backoff.objects.filter(loop=loop, key=key).delete()
    log.info("%s: %s works again", loop, key)


def _failed(loop: str, tenant_id: int | None, key: int, error: Exception) -> bool:
    """Put an item off. False when that cannot be stored."""
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()
    try:
        attempts = _put_off(loop, tenant_id, key, _reason(error))
    except (Error, DomainError, OSError) as away:
        if loop not in _unwritten:
            _unwritten.add(loop)
            text = "%s: %s of tenant %s failed, which could not be written down (%s); this run ends, and the next tries again"
            log.error(text, loop, key, tenant_id, away, exc_info=error)
        return False
    _unwritten.discard(loop)
    seconds = pause(attempts).total_seconds()
    if attempts == 1:
        log.error("%s: %s of tenant %s failed; tried again in %g s", loop, key, tenant_id, seconds, exc_info=error)
    else:
        text = "%s: %s of tenant %s failed %s times; tried again in %g s: %s"
        log.warning(text, loop, key, tenant_id, attempts, seconds, _reason(error))
    return True


@retried
def _put_off(loop: str, tenant_id: int | None, key: int, reason: str) -> int:
    """Store the failure; returns how often the item has failed. Of two runs that fail with it at once, one counts."""
    with transaction.atomic():
        now = clock.now()
        defaults = {"tenant_id": tenant_id, "first_failed_at": now, "retry_at": now}
        Backoff.objects.get_or_create(loop=loop, key=key, defaults=defaults)
        row = lock_rows(Backoff.objects.filter(loop=loop, key=key)).get()
        if row.retry_at <= now:
            row.attempts += 1
            row.retry_at = now + pause(row.attempts)
        row.error = reason
        row.save(update_fields=["attempts", "retry_at", "error"])
        LoopFailures.objects.get_or_create(loop=loop)
        LoopFailures.objects.filter(loop=loop).update(failures=F("failures") + 1)
    return row.attempts


def _reason(error: Exception) -> str:
    """The error and its cause, in one line that every database can store."""
    causes = [error, *([error.__cause__] if isinstance(error.__cause__, Exception) else [])]
    text = ", because of ".join(f"{type(cause).__name__}: {' '.join(str(cause).split())}" for cause in causes)
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")[: Backoff.MOST_ERROR]
