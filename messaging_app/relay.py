"""The stamping relay: gives committed operations their position in the tenant's stream, 1..n without a gap.

Serial ids are handed out at insert and become visible at commit, so a reader that asks for `id > cursor` skips rows.
The relay locks the tenant's head in a statement of its own, so that the next statement sees all that was committed
before; then it numbers the unstamped operations in the order of their ids. Two relays at once are harmless.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connection, transaction
from django.db.models import Exists, QuerySet

from agents_app import loops
from config import statements
from config.db import lock_rows, retried
from messaging_app.models import Operation, StreamHead

LOOP = "relay"
BATCH = 1000
MOST_BATCHES = 100
"""Batches of one tenant in a round, so that a tenant with a million new rows does not hold up the others."""


def stamp(tenant_id: int) -> int:
    """Stamp one batch of a tenant's operations; returns how many."""
    return stamped(tenant_id)[0]


@retried
def stamped(tenant_id: int) -> tuple[int, int]:
    """Stamp one batch of a tenant's operations; returns how many, and the last position of its stream."""
    return _stamped_at_once(tenant_id) if connection.vendor == "postgresql" else _stamped(tenant_id)


def _stamped(tenant_id: int) -> tuple[int, int]:
    with transaction.atomic():
        StreamHead.objects.get_or_create(tenant_id=tenant_id)
        head = lock_rows(StreamHead.objects.filter(tenant_id=tenant_id)).get()
        unstamped = Operation.objects.filter(tenant_id=tenant_id, pos__isnull=True)
        ids = list(unstamped.order_by("id").values_list("id", flat=True)[:BATCH])
        if not ids:
            return 0, head.pos
        table = connection.ops.quote_name(Operation._meta.db_table)
        with connection.cursor() as cursor:
            cursor.executemany(
                f"UPDATE {table} SET pos = %s WHERE id = %s",  # noqa: S608 – the table's own name
                [(head.pos + place, pk) for place, pk in enumerate(ids, 1)],
            )
        head.pos += len(ids)
        head.save(update_fields=["pos"])
        return len(ids), head.pos


def _stamped_at_once(tenant_id: int) -> tuple[int, int]:
    """What `_stamped` does, by statements that PostgreSQL is sent together: a reader waits for this at each event.

    Outside of a transaction, statements that come together are one transaction; each sees what was committed before it
    began. The first one locks the head only if there is something to stamp, and notes for the second one that it did.
    """
    with connection.cursor() as cursor:
        for _ in range(2):
            cursor.execute(_AT_ONCE.format(tenant=tenant_id, batch=BATCH))
            cursor.nextset()
            done = cursor.fetchone()
            cursor.nextset()
            head = cursor.fetchone()
            if head is not None:
                return int(done[0]) if done else 0, int(head[0])
            if not Operation.objects.filter(tenant_id=tenant_id).exists():
                break
            StreamHead.objects.get_or_create(tenant_id=tenant_id)
    return 0, 0


_AT_ONCE = """
SELECT set_config('tandem.stamps', 'yes', true) FROM (
    SELECT pos FROM messaging_app_streamhead WHERE tenant_id = {tenant:d}
    AND EXISTS (SELECT 1 FROM messaging_app_operation WHERE tenant_id = {tenant:d} AND pos IS NULL)
    FOR NO KEY UPDATE
) AS locked;
WITH news AS (
    SELECT id, row_number() OVER (ORDER BY id) AS place
    FROM (
        SELECT id FROM messaging_app_operation
        WHERE tenant_id = {tenant:d} AND pos IS NULL AND current_setting('tandem.stamps', true) = 'yes'
        ORDER BY id LIMIT {batch:d}
    ) AS batch
), done AS (
    UPDATE messaging_app_operation AS operation SET pos = head.pos + news.place
    FROM news, messaging_app_streamhead AS head
    WHERE head.tenant_id = {tenant:d} AND operation.id = news.id
    RETURNING operation.id
)
UPDATE messaging_app_streamhead SET pos = pos + (SELECT count(*) FROM done)
WHERE tenant_id = {tenant:d} AND EXISTS (SELECT 1 FROM done)
RETURNING (SELECT count(*) FROM done);
SELECT pos FROM messaging_app_streamhead WHERE tenant_id = {tenant:d}
"""


def stamp_all() -> int:
    """Stamp what is unstamped, tenant by tenant; returns how many. Nothing to do on SQLite: see `stream.write`."""
    if connection.vendor == "sqlite":
        return 0
    unstamped = Operation.objects.filter(loops.not_put_off(LOOP, "tenant_id"), pos__isnull=True)
    tenants = unstamped.values_list("tenant_id", flat=True).distinct()
    return sum(loops.each(LOOP, ((tenant_id, tenant_id) for tenant_id in tenants), _stamp_tenant))


def _stamp_tenant(tenant_id: int, _: int) -> int:
    total = 0
    for _batch in range(MOST_BATCHES):
        total += (done := stamp(tenant_id))
        if done < BATCH:
            break
    return total


def stamp_new(operations: Sequence[Operation]) -> None:
    """Give a transaction's operations their positions before they are stored; only where writers are serial (SQLite).

    The caller stores them in this order, in the same transaction.
    """
    for tenant_id in {operation.tenant_id for operation in operations}:
        own = [operation for operation in operations if operation.tenant_id == tenant_id]
        head = _head_of(tenant_id)
        for operation in own:
            head.pos += 1
            operation.pos = head.pos
        statements.update(head, "pos")


def positions_if_free(operations: Sequence[Operation]) -> list[str]:
    """The positions of a transaction's operations, as PostgreSQL will know them; NULL if somebody else gives any now.

    The head stays locked until the commit, so that what comes later has later positions. Nobody waits for it: whoever
    finds it locked, or something unstamped before it, leaves its operations to the relay and the readers. The caller
    stores them in this order, in the same transaction, as its last work. What came earlier in its conversation was
    committed before the conversation was locked, so it is seen here if it is unstamped.
    """
    count, tenant_id = len(operations), operations[0].tenant_id
    if not connection.in_atomic_block or any(operation.tenant_id != tenant_id for operation in operations):
        return ["NULL"] * count
    statements.run_later(_IF_FREE, tenant_id, count)
    return [f"NULLIF(current_setting('tandem.pos'), '')::bigint - {back}" for back in reversed(range(count))]


_IF_FREE = """
WITH given AS (
    UPDATE messaging_app_streamhead SET pos = pos + $2::bigint WHERE tenant_id = (
        SELECT tenant_id FROM messaging_app_streamhead WHERE tenant_id = $1::bigint
        AND NOT EXISTS (SELECT 1 FROM messaging_app_operation WHERE tenant_id = $1::bigint AND pos IS NULL)
        FOR NO KEY UPDATE SKIP LOCKED
    ) RETURNING pos
)
SELECT set_config('tandem.pos', coalesce((SELECT pos::text FROM given), ''), true)
"""
"""Notes for the statements behind it, until the transaction ends, the last position that it has given; an empty text for none."""


def _head_of(tenant_id: int) -> StreamHead:
    """The tenant's head, beyond all that is stored. Something may stand there unstamped: copied from another database."""
    for head in HEAD.rows(tenant_id):
        if not head.is_behind:
            return head  # type: ignore[no-any-return]
    stamp_whole(tenant_id)
    return StreamHead.objects.get(tenant_id=tenant_id)


def _heads(tenant_id: int) -> QuerySet[StreamHead]:
    unstamped = Operation.objects.filter(tenant_id=tenant_id, pos__isnull=True)
    return StreamHead.objects.filter(tenant_id=tenant_id).annotate(is_behind=Exists(unstamped))


HEAD = statements.Reading(_heads, 0)


def stamp_whole(tenant_id: int) -> int:
    """Stamp all of a tenant's operations, in the caller's transaction, while nobody else writes; returns how many."""
    total = done = stamp(tenant_id)
    while done == BATCH:
        total += (done := stamp(tenant_id))
    return total
