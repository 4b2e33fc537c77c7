"""The hostile day: short with the services, in full and on each database by `make slow`. See `tests.hostile.day`."""

from __future__ import annotations

from typing import Any

import pytest

from tests.races.command import run
from tests.races.servers import server_url

DATABASES = {"sqlite": "", "postgresql": "TEST_POSTGRES_URL", "mariadb": "TEST_MARIADB_URL"}


def _day(database: str, operations: int, seed: int) -> dict[str, Any]:
    variable = DATABASES[database]
    at = ["--database", server_url(variable)] if variable else []
    return dict(run("tests.hostile.day", *at, "--operations", operations, "--seed", seed))


@pytest.mark.services
@pytest.mark.first_database
def test_strangers_break_nothing_and_make_no_innocent_wait() -> None:
    report = _day("postgresql", 1_000, seed=1)
    assert report["faults"] == []
    # Strangers who are refused everything would prove nothing.
    assert report["answers"].get("200", 0) + report["answers"].get("201", 0) > 100


@pytest.mark.slow
@pytest.mark.first_database
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("database", DATABASES)
def test_twenty_thousand_tries_of_strangers_break_nothing(database: str) -> None:
    assert _day(database, 20_000, seed=2)["faults"] == []
