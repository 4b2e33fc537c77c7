"""Ingest of many messages on PostgreSQL beside a bare multi-row INSERT … ON CONFLICT of the same rows.

    python benchmarks/ingest.py FILE [--rows 1000000] [--chunk 5000]

Both write the same rows in transactions of the same size, taking turns chunk by chunk. The bare table has the columns,
indexes and constraints of ours. Ours also reads and checks each line, drops repeats, groups sessions, writes sessions,
conversations and chained operations. FILE is plain NDJSON (docs/ingest.md).
"""

from __future__ import annotations

import argparse
import time
from itertools import batched, islice
from typing import Any

from common import noise, peak_memory_mb, postgres_of_our_own, quantile, spread

COLUMNS = (
    "tenant_id, conversation_id, session_id, platform, message_id, sender_type, sender_id, sender_name, is_note,"
    " content, sent_at, seq"
)
ONE = "(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"


def bare_insert(connection: Any, rows: list[tuple[Any, ...]]) -> None:
    statement = f"INSERT INTO bare ({COLUMNS}) VALUES {', '.join([ONE] * len(rows))} ON CONFLICT DO NOTHING"
    connection.execute(statement, [value for row in rows for value in row])
    connection.commit()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--chunk", type=int, default=5000)
    options = parser.parse_args()
    with postgres_of_our_own("bench_ingest") as url:
        run(url, options)


def run(url: str, options: argparse.Namespace) -> None:
    import psycopg

    from agents_app.actors import system_actor
    from agents_app.models import Tenant
    from messaging_app.batch import BatchRow, read_line
    from messaging_app.models import Message, Operation
    from sessions_app.actions.batch_rows import Report
    from sessions_app.actions.batches import ingest_batch
    from sessions_app.models import ChatSession

    tenant = Tenant.objects.create(slug="bench", name="Bench")
    actor = system_actor(tenant.pk)
    total, ours, bare, ratios, memory = Report(), [], [], [], []
    print(noise())
    with psycopg.connect(url) as connection, open(options.file, "rb") as file:
        connection.execute(f"CREATE TABLE bare (LIKE {Message._meta.db_table} INCLUDING ALL)")
        connection.commit()
        numbered = enumerate(islice(file, options.rows), 1)
        for lines in batched(numbered, options.chunk):
            # The bare peer gets its rows ready made: only the statement is timed.
            read = [row for number, line in lines if isinstance(row := read_line(number, line), BatchRow)]
            places: dict[tuple[str, str, str], int] = {}
            plain = [
                (tenant.pk, places.setdefault(r.conversation, len(places)), 1, r.platform, r.message_id, r.sender_type,
                 r.sender_id, r.sender_name, False, r.content, r.sent_at, 1)
                for r in read
            ]  # fmt: skip
            start = time.perf_counter()
            bare_insert(connection, plain)
            bare.append(time.perf_counter() - start)
            start = time.perf_counter()
            total.add(ingest_batch(actor=actor, rows=(read_line(n, line) for n, line in lines), size=options.chunk))
            ours.append(time.perf_counter() - start)
            ratios.append(bare[-1] / ours[-1])
            memory.append(peak_memory_mb())
            if len(ours) % 20 == 0:
                print(f"{total.lines:>10,} rows · ratio so far {spread(ratios)} · peak {memory[-1]:.0f} MB", flush=True)
    print(noise())
    print(f"rows {total.lines:,}: {total.counts()}")
    print(
        f"stored: messages {Message.objects.count():,}, sessions {ChatSession.objects.count():,}, operations {Operation.objects.count():,}"
    )
    print(f"bare INSERT: {total.lines / sum(bare):,.0f} rows/s; Tandem: {total.lines / sum(ours):,.0f} rows/s")
    print(f"ratio of rows per second, whole run: {sum(bare) / sum(ours):.2f}; chunk by chunk: {spread(ratios)}")
    early = memory[min(len(memory) - 1, max(1, len(memory) // 10))]
    print(
        f"peak memory: {early:.0f} MB after a tenth, {memory[-1]:.0f} MB at the end (p50 chunk {quantile(ours, 0.5):.2f} s)"
    )


if __name__ == "__main__":
    main()
