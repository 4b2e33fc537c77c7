"""Batches that programs send: small ones are stored at once, large ones are kept in a file and stored after the answer.

Each part of the file is stored in one transaction with the position where it ended, so an interrupted batch resumes at
that position, and counts no row twice. A lease on the batch's row keeps two workers apart; that of a worker that died
ends by itself.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import IO, Any
from uuid import uuid4

from django.conf import settings
from django.core.files import File
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import F, Q

from agents_app import loops
from agents_app.actors import Actor, ActorKind, client_actor
from agents_app.scopes import Scope
from config import clock, limits
from config.db import retried
from config.errors import Busy, Forbidden
from config.threads import Threads
from messaging_app.batch import BatchRow, Rejected
from messaging_app.row_reader import rows_of_lines
from sessions_app.actions.batch_rows import Report
from sessions_app.actions.batches import fresh_since, ingest_batch, must_be_allowed, newest_session
from sessions_app.models import Batch

log = logging.getLogger(__name__)

LOOP, FORGETTING = "batches", "forget-batches"
ENDED_AT_ONCE = 1000
"""Ended batches that one call tidies up."""
SMALL = 1000
"""Lines. A batch of no more is stored while its sender waits."""
PART = 100
"""Lines of a large batch that are stored in one transaction, at most. What is said now is stored in it too, a conversation
at a time, and all of these are held until its end.
"""
SHOWN = 100
"""Rejections that a batch's result lists at most."""
LEASE = timedelta(seconds=15)
"""Renewed with each part. Should one take longer, its worker still holds the row: nobody else can claim it."""
AGAIN = timedelta(seconds=5)
"""The pause before a batch that stopped is tried again."""
MOST_FAILURES = 20
"""Failures in a row before a batch is given up; its file stays as long as its row."""
KEPT = timedelta(days=30)
"""How long the row of an ended batch is kept."""

State = Batch.State

_threads = Threads("batches", threads=2, room=20)


def may_bring(actor: Actor) -> None:
    """Check that the actor is a program. Raises `Forbidden`."""
    if actor.kind not in (ActorKind.BOT, ActorKind.INTEGRATOR):
        raise Forbidden("Only programs bring batches.")


def _must_be_its_own(actor: Actor, rows: Iterable[BatchRow | Rejected | None]) -> None:
    """Refuse a whole batch in which a bot brings other than its own answers, or in which a program that is not the
    channel brings what customers said.

    Under the lock, the turn is checked once more for recent answers, row by row. Raises `Forbidden` naming the line.
    """
    if actor.kind != ActorKind.BOT and actor.may(Scope.INBOUND):
        return
    since = fresh_since(actor)
    for row in rows:
        if isinstance(row, BatchRow):
            try:
                must_be_allowed(actor, row, since)
            except Forbidden as error:
                raise Forbidden(f"Line {row.line}: {error}", line=row.line) from None


def store_at_once(*, actor: Actor, rows: Sequence[BatchRow | Rejected | None]) -> Batch:
    """Store the rows of a small batch. Returns a batch that is done and has no row. Raises `Forbidden`, `Busy`."""
    may_bring(actor)
    now, begun = clock.now(), time.monotonic()
    batch = Batch(tenant_id=actor.tenant_id, client_id=actor.pk, started_at=now, created_at=now)
    _must_be_its_own(actor, rows)
    _add(batch, ingest_batch(actor=actor, rows=rows))
    batch.state, batch.ended_at = State.DONE, now + timedelta(seconds=time.monotonic() - begun)
    return batch


def keep(*, actor: Actor, file: IO[bytes], size: int) -> Batch:
    """Keep a large batch of `size` bytes until a worker has stored it. Raises `Forbidden`."""
    may_bring(actor)
    _must_be_its_own(actor, rows_of_lines(file))
    file.seek(0)
    name = default_storage.save(f"batches/{actor.tenant_id}/{uuid4().hex}.ndjson", File(file))
    return Batch.objects.create(tenant_id=actor.tenant_id, client_id=actor.pk, size=size, file=name)


def wake() -> int:
    """Hand the batches that wait for a worker to this process's threads; returns how many were taken."""
    tried = _due().filter(loops.not_put_off(LOOP, "pk")).values_list("tenant_id", "pk")[:100]
    return sum(
        _threads.take(pk, partial(loops.one, LOOP, tenant_id, pk, partial(work_off, pk))) for tenant_id, pk in tried
    )


def work_off(batch_id: int) -> None:
    """Store a batch to its end, part by part, unless another worker has it."""
    lease = _claim(batch_id)
    if lease is None:
        return
    batch = Batch.objects.select_related("client").get(pk=batch_id)
    try:
        with default_storage.open(batch.file, "rb") as file:
            file.seek(batch.position)
            following = iter(file.readline, b"")
            while lines := list(islice(following, min(PART, settings.TANDEM["BATCH_SIZE"]))):
                renewed = _store_part(batch.pk, lease, lines)
                if renewed is None:
                    return
                lease = renewed
        _end(batch_id, State.DONE)
    except Exception as error:
        log.exception("batch %s stopped; it goes on where it was", batch_id)
        _put_off(batch_id, "" if isinstance(error, Busy) else f"{type(error).__name__}: {error}"[: limits.MAX_ERROR])


def forget() -> int:
    """Drop batches that ended long ago, and files that a worker had no time to drop; returns how many batches."""
    ended = Batch.objects.filter(loops.not_put_off(FORGETTING, "pk"), ended_at__isnull=False)
    left = ended.filter(state=State.DONE).exclude(file="").values_list("tenant_id", "pk")[:ENDED_AT_ONCE]
    deque(loops.each(FORGETTING, left, _forget_file), maxlen=0)
    old = ended.filter(ended_at__lt=clock.now() - KEPT).values_list("tenant_id", "pk")[:ENDED_AT_ONCE]
    return sum(loops.each(FORGETTING, old, _forget_batch))


def _forget_file(tenant_id: int, batch_id: int) -> None:
    _drop_file(Batch.objects.get(pk=batch_id))


def _forget_batch(tenant_id: int, batch_id: int) -> bool:
    _forget_file(tenant_id, batch_id)
    return bool(Batch.objects.filter(pk=batch_id).delete()[0])


# --- The parts ---------------------------------------------------------------------------------------------------


def _due() -> Any:
    open_ones = Batch.objects.filter(state__in=[State.WAITING, State.WORKING])
    return open_ones.filter(Q(lease_until=None) | Q(lease_until__lte=clock.now())).order_by("pk")


def _claim(batch_id: int) -> datetime | None:
    """One conditional UPDATE, which is atomic on every database. The time in the column is the token."""
    now = clock.now()
    taken = _due().order_by().filter(pk=batch_id).update(lease_until=now + LEASE, state=State.WORKING)
    return now + LEASE if taken else None


@retried
def _store_part(batch_id: int, lease: datetime, lines: list[bytes]) -> datetime | None:
    """Store some lines and the new position in one transaction. Returns the new lease; None when it was lost."""
    with transaction.atomic():
        now = clock.now()
        if not Batch.objects.filter(pk=batch_id, lease_until=lease).update(lease_until=now + LEASE):
            return None
        batch = Batch.objects.select_related("client").get(pk=batch_id)
        if batch.since is None:
            batch.since, batch.started_at = newest_session(), now
        actor = client_actor(batch.client)
        rows = rows_of_lines(lines, batch.line + 1)
        report = ingest_batch(actor=actor, rows=rows, size=len(lines), since=batch.since)
        _add(batch, report)
        batch.position += sum(map(len, lines))
        batch.line += len(lines)
        batch.failures, batch.error = 0, ""
        batch.save()
    return now + LEASE


def _add(batch: Batch, report: Report) -> None:
    batch.counts = {name: batch.counts.get(name, 0) + count for name, count in report.counts().items()}
    rejections = [
        {"line": rejected.line, "code": rejected.code, "reason": rejected.reason} for rejected in report.rejections
    ]
    batch.rejections = [*batch.rejections, *rejections][:SHOWN]


def _end(batch_id: int, state: str) -> None:
    Batch.objects.filter(pk=batch_id).update(state=state, ended_at=clock.now(), lease_until=None)
    if state == State.DONE:
        _drop_file(Batch.objects.get(pk=batch_id))


def _put_off(batch_id: int, error: str) -> None:
    """Try again after `AGAIN`; after `MOST_FAILURES` with an `error` the batch has failed."""
    row = Batch.objects.filter(pk=batch_id)
    row.update(lease_until=clock.now() + AGAIN, error=error, failures=F("failures") + int(bool(error)))
    if row.filter(failures__gte=MOST_FAILURES).exists():
        _end(batch_id, State.FAILED)


def _drop_file(batch: Batch) -> None:
    if batch.file:
        default_storage.delete(batch.file)
        Batch.objects.filter(pk=batch.pk).update(file="")
