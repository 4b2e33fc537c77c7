"""Where the time of a call goes: profiled in process, and summed by the layer whose code it is spent in."""

from __future__ import annotations

import cProfile
import pstats
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

LAYERS = (
    ("the database and its driver", ("psycopg", "psycopg_pool", "sqlite3", "pymysql")),
    ("Django's ORM", ("django/db",)),
    ("Django's templates", ("django/template",)),
    ("Django, the rest", ("django/",)),
    ("REST framework", ("rest_framework", "django_filters", "drf_spectacular")),
    ("sessions_app", ("/sessions_app/",)),
    ("messaging_app", ("/messaging_app/",)),
    ("agents_app", ("/agents_app/",)),
    ("config", ("/config/",)),
    ("Redis", ("/redis/", "hiredis", "channels")),
)
REST = "Python's library and built-in functions"
FEWEST = 2.0
"""Percent that are worth a word."""


LONGEST = 8.0
"""Seconds for one call, over and over."""


def shares(call: Callable[[], object], times: int) -> dict[str, float]:
    """Percent of a call's time by layer, the largest first. A profiler makes Python dearer than the database."""
    for _ in range(3):
        call()
    profile = cProfile.Profile()
    end = time.perf_counter() + LONGEST
    for _ in range(times):
        if time.perf_counter() > end:
            break
        profile.enable()
        call()
        profile.disable()
    spent: Counter[str] = Counter()
    found: Any = pstats.Stats(profile)
    for (path, _, name), (_, _, own, _, _) in found.stats.items():
        spent[_layer(path if path != "~" else name)] += own
    total = spent.total() or 1.0
    return {layer: part for layer, own in spent.most_common() if (part := round(100 * own / total, 1)) >= FEWEST}


def _layer(place: str) -> str:
    return next((layer for layer, marks in LAYERS if any(mark in place for mark in marks)), REST)
