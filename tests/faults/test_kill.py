"""kill -9 of the serving process under load (F3), the short form. Full form: `python -m tests.faults.kill`."""

from __future__ import annotations

import os

import pytest

from tests.races import command


def _where() -> tuple[str, ...]:
    """On the database of this run; SQLite when it has none."""
    url = os.environ.get("DATABASE_URL", "")
    return ("--database", url) if url and not url.startswith("sqlite") else ()


@pytest.mark.races
def test_nothing_acknowledged_is_lost_when_the_server_is_killed() -> None:
    report = command.run("tests.faults.kill", "--kills", 4, "--rate", 30, *_where())
    assert (report["lost"], report["doubled"], report["odd"]) == (0, 0, [])
    assert report["acknowledged"] > 20
    assert report["sent again"] > 0, "no kill met a message on its way"


@pytest.mark.races
@pytest.mark.first_database
def test_a_server_that_acknowledges_before_it_commits_loses_something() -> None:
    report = command.run("tests.faults.kill", "--kills", 2, "--rate", 30, "--hasty", *_where())
    assert report["lost"] > 0


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_twenty_kills_lose_nothing() -> None:
    report = command.run("tests.faults.kill", "--kills", 20, "--rate", 50, *_where())
    assert (report["lost"], report["doubled"], report["odd"]) == (0, 0, [])
