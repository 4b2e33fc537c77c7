from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from config import clock
from tests.cast import Cast, Chat, Later, broken_invariants

HERE = Path(__file__).parent
CORE = (
    "actions",
    "attachments",
    "batches",
    "joined",
    "live",
    "notices",
    "webhooks",
    "words",
    "test_analyser.py",
    "test_database_rules.py",
    "test_search.py",
    "test_states.py",
    "test_stream.py",
    # The desk's own reading; the rest of its pages asks the database nothing else.
    "workbench/test_beside.py",
    "workbench/test_command_bar.py",
    "workbench/test_drafts.py",
    "workbench/test_query_budget.py",
    "workbench/test_views_column.py",
)
"""What `make services` runs again on PostgreSQL and on MariaDB: the rules hold on every database."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Elsewhere these are quick tests on SQLite; a mark of their own would take them out of `make test`."""
    if not config.option.markexpr.startswith("services"):
        return
    for item in items:
        path = item.path.relative_to(HERE)
        if not {path.parts[0], path.as_posix()}.isdisjoint(CORE) and item.get_closest_marker("slow") is None:
            item.add_marker("services")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Say why a test is run once more; pytest-rerunfailures only says that it is. Workers have no say: their leader has."""
    if report.outcome == "rerun" and not os.environ.get("PYTEST_XDIST_WORKER"):  # type: ignore[comparison-overlap]
        print(f"\n{report.nodeid} is run once more, because of:\n{report.longreprtext}\n")


@pytest.fixture
def later() -> Iterator[Later]:
    """Move time by so many seconds: `later(301)`. Nothing in the tests sleeps."""
    yield Later()
    clock.offset = timedelta(0)


@pytest.fixture
def cast(db: None, later: Later) -> Iterator[Cast]:
    """One shop's desk. When the test is over, what it left in the database breaks no invariant of the domain."""
    yield Cast()
    assert list(broken_invariants()) == []


@pytest.fixture
def others(cast: Cast) -> Cast:
    """Another tenant's desk."""
    return Cast("elsewhere")


@pytest.fixture
def chat(cast: Cast) -> Chat:
    return cast.chat()
