"""The tenant's stream under fire (F2). Full form: `python -m tests.races.stamping`."""

from __future__ import annotations

import pytest

from tests.races import command


@pytest.mark.races
def test_readers_by_position_miss_nothing_where_readers_by_id_do(postgres: str) -> None:
    report = command.run("tests.races.stamping", "--database", postgres, "--events", 3000)
    assert (report["lost"], report["doubled"], report["out of order"]) == (0, 0, 0)
    assert report["in percent"] >= 1, "the control lost nothing, so this proved nothing"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_twenty_thousand_events(postgres: str) -> None:
    report = command.run("tests.races.stamping", "--database", postgres, "--events", 20_000)
    assert (report["lost"], report["doubled"], report["out of order"]) == (0, 0, 0)
    assert report["in percent"] >= 1
