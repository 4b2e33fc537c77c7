"""Layer 2 of the proof (F1): concurrent random verbs, then every invariant. Full form: see `fuzz`."""

from __future__ import annotations

from typing import Any

import pytest

from tests.races import command
from tests.races.fuzz import is_clean


def _fuzz(server: str, operations: int, seeds: int, *more: object) -> list[dict[str, Any]]:
    return command.run("tests.races.fuzz", "--database", server, "--operations", operations, "--seeds", seeds, *more)


def _assert_clean(report: dict[str, Any]) -> None:
    assert report["faults"] == []
    assert report["unexpected"] == []
    assert is_clean(report), f"{report['given_up']} of {report['operations']} given up: {report['given_up_for']}"


@pytest.mark.races
def test_random_verbs_from_many_processes_break_nothing(server: str) -> None:
    (report,) = _fuzz(server, 2000, 1)
    _assert_clean(report)
    # It must have been a race and not a row of refusals.
    assert sum(report["accepted"].values()) > 0.4 * report["operations"]
    assert len(report["accepted"]) > 25
    assert report["snapshots"] > 0
    assert report["acknowledged"] > 200


@pytest.mark.races
def test_sixteen_processes_at_the_desk_break_nothing(server: str) -> None:
    """Agents accept, refuse, grab, come and go while the queue is offered to them."""
    (report,) = _fuzz(server, 1200, 1, "--desk", "--workers", 16)
    _assert_clean(report)
    assert {"accept_transfer", "grab", "declare_availability", "drain", "decline_transfer"} <= set(report["accepted"])
    assert {"heartbeat", "fall_silent", "change_capacity"} <= set(report["accepted"])


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_ten_thousand_verbs_of_sixteen_processes_at_the_desk_break_nothing(server: str) -> None:
    for report in _fuzz(server, 10_000, 1, "--desk", "--workers", 16):
        _assert_clean(report)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_fifty_thousand_random_verbs_break_nothing(server: str) -> None:
    for report in _fuzz(server, 10_000, 5):
        _assert_clean(report)
