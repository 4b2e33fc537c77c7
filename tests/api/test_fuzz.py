"""Whatever is sent to the API, the answer is one that its document names: no 5xx, no status or field that it does not know."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def fuzz(*arguments: str, seconds: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.api.fuzz", *arguments],
        cwd=ROOT,
        timeout=seconds,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.services
@pytest.mark.first_database
def test_some_hundred_requests() -> None:
    fuzz(
        "--phases",
        "examples,fuzzing",
        "--roles",
        "integrator,agent",
        "--examples",
        "2",
        "--at-least",
        "300",
        seconds=170,
    )


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_many_thousands_as_everybody() -> None:
    fuzz("--examples", "8", "--at-least", "5000", seconds=3600)
