"""What lies below fails under load (T7), the short form. Full form: `python -m tests.faults.below --seconds 60`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests import migrated
from tests.faults import below

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.xdist_group("below"), pytest.mark.first_database]


@pytest.fixture(scope="module")
def _with_tables() -> Iterator[None]:
    """Each fault gets a copy of one database: to migrate takes longer than most of them last."""
    with below.postgres() as url, pytest.MonkeyPatch.context() as patch:
        migrated.lay(url, os.environ | {"DATABASE_URL": url})
        patch.setenv("TEST_POSTGRES_TEMPLATE", urlsplit(url).path.removeprefix("/"))
        yield


on_postgres = pytest.mark.usefixtures("_with_tables")


def told(module: str, *arguments: object) -> Any:
    """What a proof prints; it says itself what is wrong, by its exit code."""
    command = [sys.executable, "-m", module, "--json", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.stdout, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def held(row: dict[str, Any]) -> dict[str, Any]:
    assert (row["lost"], row["doubled"], row["html"]) == (0, 0, 0), row
    assert set(row["answers"]) <= {"200", "201", "503"}, row
    assert row["acknowledged"] > 0
    return row


@pytest.mark.services
@on_postgres
@pytest.mark.parametrize("fault", ["redis-stopped", "redis-hanging"])
def test_t7_1_without_redis_everything_is_answered(fault: str) -> None:
    (row,) = told("tests.faults.below", fault, "--seconds", 3)
    assert set(held(row)["answers"]) <= {"200", "201"}, row
    assert row["ready"] == "200 degraded"


@pytest.mark.services
@on_postgres
def test_t7_2_fifty_backends_are_ended_and_nothing_acknowledged_is_lost() -> None:
    (row,) = told("tests.faults.below", "backends-ended", "--seconds", 4)
    assert held(row)["ended"] >= 50


@pytest.mark.services
def test_t7_3_a_full_disk_is_said_and_loses_nothing() -> None:
    (row,) = told("tests.faults.below", "disk-full", "--seconds", 3)
    assert held(row)["was_full"], row
    assert set(row["files"]) <= {"201", "503 storage_failed", "503 busy", "409 too_many_unsent"}, row


@pytest.mark.services
@on_postgres
def test_t7_6_a_pool_of_five_serves_fifty_clients() -> None:
    (row,) = told("tests.faults.below", "pool", "--seconds", 4)
    assert 0 < held(row)["connections"] <= 5


@pytest.mark.slow
@on_postgres
def test_t7_6_one_client_does_not_open_a_connection_for_each_request() -> None:
    (row,) = told("tests.faults.below", "connections")
    opened = {name: int(row[name].partition(" ")[0]) for name in ("without", "with")}
    assert opened["with"] <= 10, row
    assert opened["without"] >= 30, "without the pool nothing is wrong: this proves nothing"


@pytest.mark.services
def test_t7_8_what_sqlite_acknowledged_survives_a_power_cut() -> None:
    kept = told("tests.faults.power", "--cuts", 20, "--seconds", 3)
    assert (kept["lost"], kept["cuts"]) == (0, 20), kept
    assert kept["acknowledged before the cuts"] > 0


@pytest.mark.slow
def test_t7_8_the_proof_sees_what_is_not_synced() -> None:
    assert told("tests.faults.power", "--cuts", 50, "--seconds", 3, "--synchronous", "NORMAL")["lost"] > 0


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("fault", below.FAULTS)
def test_t7_in_full(fault: str) -> None:
    (row,) = told("tests.faults.below", fault, "--seconds", 60)
    if "answers" in row:
        assert held(row)["recovered"] <= 5, row
