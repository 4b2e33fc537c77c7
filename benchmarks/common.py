"""What the benchmarks share: a database of their own, quantiles, and how noisy the machine is right now.

Compare only figures of one run: machines are noisy. Peers take turns within a run, and what is printed is a ratio with
its spread, with the share of a core that a busy loop got beside it.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[1]
POSTGRES = os.environ.get("TEST_POSTGRES_URL", "postgres://postgres@127.0.0.1:5432/postgres")


@contextmanager
def postgres_of_our_own(name: str) -> Iterator[str]:
    """A fresh PostgreSQL database, migrated, with Django set up on it; dropped afterwards. Yields its URL."""
    import psycopg

    name = f"{name}_{os.getpid()}"
    with psycopg.connect(POSTGRES, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"')
    parts = urlsplit(POSTGRES)
    url = parts._replace(path=f"/{name}").geturl()
    try:
        set_up(url)
        yield url
    finally:
        from django.db import connections

        connections.close_all()
        with psycopg.connect(POSTGRES, autocommit=True) as server:
            server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def set_up(url: str) -> None:
    """Django on this database, migrated."""
    os.environ["DATABASE_URL"] = url
    os.environ["REDIS_URL"] = os.environ.get("BENCH_REDIS_URL", "")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    sys.path.insert(0, str(ROOT))
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)


def quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def spread(ratios: Sequence[float]) -> str:
    """Median and the middle half."""
    return f"{quantile(ratios, 0.5):.2f} (middle half {quantile(ratios, 0.25):.2f} to {quantile(ratios, 0.75):.2f})"


def peak_memory_mb() -> float:
    """The process's largest resident size so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def noise(seconds: float = 1.0) -> str:
    """The share of a core that a busy loop gets: below about 0.7, only ratios of short operations mean anything."""
    lost, last = 0.0, time.perf_counter()
    end = last + seconds
    while last < end:
        now = time.perf_counter()
        if now - last > 0.001:
            lost += now - last
        last = now
    return f"a busy loop got {1 - lost / seconds:.0%} of a core, load {os.getloadavg()[0]:.1f}"
