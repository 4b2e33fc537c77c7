"""Search by the index beside `icontains`, on the same messages in turns; and how fast the index is filled.

    python benchmarks/search.py [--on sqlite|postgresql|mariadb] [--messages 100000] [--questions 150]

The messages are real conversations in several languages, which are not in this repository, repeated with new ids. A
question is a word, two words or two to four letters of an unspaced script out of one of them; one in five occurs nowhere. Each asks
for the newest 50 hits, as a page of a list does.
"""

from __future__ import annotations

import argparse
import gzip
import os
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import batched, count, islice
from typing import Any
from urllib.parse import unquote, urlsplit

from common import ROOT, noise, postgres_of_our_own, quantile, set_up, spread

MARIADB = os.environ.get("TEST_MARIADB_URL", "mysql://root@127.0.0.1:3306/test")
DATA = ROOT.parent / "shared" / "data"
SETS = ("jddc", "jddc2019", "twcs", "craigslist", "craigslist_bot", "uss_sgd", "uss_mwoz", "betold", "multidogo")
PAGE = 50


@contextmanager
def mariadb_of_our_own(name: str) -> Iterator[None]:
    import pymysql

    parts = urlsplit(MARIADB)
    name = f"{name}_{os.getpid()}"
    server = pymysql.connect(
        host=parts.hostname, port=parts.port or 3306, user=unquote(parts.username or ""), password=parts.password or ""
    )
    with server, server.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        try:
            set_up(parts._replace(path=f"/{name}").geturl())
            yield
        finally:
            cursor.execute(f"DROP DATABASE {name}")


@contextmanager
def database(on: str) -> Iterator[None]:
    """A fresh database of this kind, migrated; gone afterwards."""
    if on == "postgresql":
        with postgres_of_our_own("bench_search"):
            yield
    elif on == "mariadb":
        with mariadb_of_our_own("bench_search"):
            yield
    else:
        with tempfile.TemporaryDirectory() as folder:
            set_up(f"sqlite:///{folder}/bench.sqlite3")
            yield


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--on", choices=("sqlite", "postgresql", "mariadb"), default="sqlite")
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--questions", type=int, default=150)
    options = parser.parse_args()
    with database(options.on):
        run(options)


def rows() -> Iterator[Any]:
    """The real conversations again and again, each time of other accounts; several shops at once, as in life."""
    from messaging_app.batch import BatchRow, read_line

    def lines(name: str) -> Iterator[bytes]:
        with gzip.open(DATA / f"{name}.jsonl.gz") as file:
            yield from file

    for tile in count():
        under_way = [lines(name) for name in SETS]
        while under_way:
            for shop in tuple(under_way):
                row = read_line(1, next(shop, b""))
                if isinstance(row, BatchRow):
                    message_id, account_id = f"{tile}-{row.message_id}", f"{tile}-{row.account_id}"
                    yield replace(row, message_id=message_id, account_id=account_id)
                elif row is None:
                    under_way.remove(shop)


def questions(contents: list[str], how_many: int) -> list[tuple[str, str]]:
    """(kind, text), the same ones at each run."""
    from messaging_app.search import _runs

    chance, made = random.Random(7), list[tuple[str, str]]()
    while len(made) < how_many:
        runs = [(run, unspaced) for run, unspaced in _runs(chance.choice(contents)) if len(run) > 1]
        if not runs:
            continue
        place = chance.randrange(len(runs))
        run, unspaced = runs[place]
        if len(made) % 5 == 4:
            made.append(("nowhere", chance.choice(("qxv", "鑫垚")) + run))
        elif unspaced:
            start = chance.randrange(max(1, len(run) - 1))
            made.append(("letters", run[start : start + chance.choice((2, 3, 4))]))
        elif place and not runs[place - 1][1] and chance.random() < 0.5:
            made.append(("two words", f"{runs[place - 1][0]} {run}"))
        else:
            made.append(("one word", run))
    return made


def run(options: argparse.Namespace) -> None:
    from django.db import connection

    from agents_app.actors import system_actor
    from agents_app.models import Tenant
    from messaging_app import relay, search
    from messaging_app.models import Message
    from sessions_app.actions.batches import ingest_batch
    from sessions_app.rights import visible

    tenant = Tenant.objects.create(slug="bench", name="Bench")
    actor = system_actor(tenant.pk)
    print(noise())
    start = time.perf_counter()
    for part in batched(islice(rows(), options.messages), 5000):
        ingest_batch(actor=actor, rows=part, size=5000)
    took = time.perf_counter() - start
    print(f"ingested {Message.objects.count():,} messages: {options.messages / took:,.0f} a second")

    relay.stamp_all()
    ticks = []
    while True:
        start = time.perf_counter()
        if not search.index_some():
            break
        ticks.append(time.perf_counter() - start)
    print(
        f"indexed: {options.messages / sum(ticks):,.0f} a second; a tick p50 {quantile(ticks, 0.5):.2f} s,"
        f" p95 {quantile(ticks, 0.95):.2f} s, worst {max(ticks):.2f} s"
    )
    with connection.cursor() as cursor:
        cursor.execute({"postgresql": "ANALYZE", "mysql": "SELECT 1", "sqlite": "ANALYZE"}[connection.vendor])
    print(size())

    readable = visible.messages(actor)
    ask_for(readable, tenant.pk, questions(list(Message.objects.values_list("content", flat=True)), options.questions))
    print(noise())


def ask_for(readable: Any, tenant_id: int, asked: list[tuple[str, str]]) -> None:
    from messaging_app.search import find_messages

    ours: dict[str, list[float]] = {}
    scans: dict[str, list[float]] = {}
    ratios: dict[str, list[float]] = {}
    for kind, text in asked:
        start = time.perf_counter()
        list(find_messages(readable, text, tenant_id=tenant_id).order_by("-id")[:PAGE])
        middle = time.perf_counter()
        list(readable.filter(content__icontains=text).order_by("-id")[:PAGE])
        end = time.perf_counter()
        for group in (kind, "all"):
            ours.setdefault(group, []).append(middle - start)
            scans.setdefault(group, []).append(end - middle)
            ratios.setdefault(group, []).append((end - middle) / (middle - start))
    for group in sorted(ours):
        print(
            f"{group:<10} {len(ours[group]):>4} questions · index p50 {quantile(ours[group], 0.5) * 1000:.1f} ms, p95"
            f" {quantile(ours[group], 0.95) * 1000:.1f} ms · icontains p50 {quantile(scans[group], 0.5) * 1000:.1f} ms,"
            f" p95 {quantile(scans[group], 0.95) * 1000:.1f} ms · faster {spread(ratios[group])} times"
        )


def size() -> str:
    """What the index takes on disk, beside the messages."""
    from django.db import connection

    sql = {
        "postgresql": "SELECT pg_total_relation_size('messaging_app_messageterms'), pg_table_size('messaging_app_message')",
        "sqlite": "SELECT (SELECT SUM(pgsize) FROM dbstat WHERE name LIKE '%messageterms%'),"
        " (SELECT SUM(pgsize) FROM dbstat WHERE name = 'messaging_app_message')",
        "mysql": "SELECT (SELECT SUM(file_size) FROM information_schema.innodb_sys_tablespaces WHERE name LIKE"
        " CONCAT(DATABASE(), '/messaging_app_messageterms') OR name LIKE CONCAT(DATABASE(), '/FTS\\_%'))",
    }[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(sql)
        index, *messages = cursor.fetchone()
    beside = f", the messages {messages[0] / 1e6:.0f} MB" if messages else ""
    return f"size: the index {float(index) / 1e6:.0f} MB{beside}"


if __name__ == "__main__":
    main()
