"""The year: some days of it with the services, all of it on each database by `make slow`. See `tests.year.play`."""

from __future__ import annotations

from typing import Any

import pytest

from tests.hostile.test_day import DATABASES
from tests.races.command import run
from tests.races.servers import server_url
from tests.year.play import CONTROLS


def _lived(database: str, days: float, *more: object) -> dict[str, Any]:
    at = ["--database", server_url(DATABASES[database])] if DATABASES[database] else []
    return dict(run("tests.year.play", *at, "--days", days, *more))


@pytest.mark.services
@pytest.mark.first_database
@pytest.mark.timeout(900)
def test_in_some_days_and_a_weekend_nobody_is_forgotten_and_every_promise_is_kept() -> None:
    report = _lived("postgresql", 5, "--seed", 1)
    assert report["faults"] == []
    # A year in which nothing happens would prove nothing.
    assert (report["messages"] > 100, report["promises_kept"] > 3) == (True, True)


@pytest.mark.slow
@pytest.mark.first_database
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("rule", CONTROLS)
def test_a_rule_that_is_left_out_is_seen(rule: str) -> None:
    assert _lived("sqlite", 40, "--without", rule)["faults"] != []


@pytest.mark.slow
@pytest.mark.first_database
@pytest.mark.timeout(6 * 3600)
@pytest.mark.parametrize("database", DATABASES)
def test_in_a_year_nobody_is_forgotten_and_every_promise_is_kept(database: str) -> None:
    assert _lived(database, 365)["faults"] == []
