"""What whoever runs Tandem asks: alive, ready, which build, how much."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from sessions_app.api import monitoring
from tests.api.world import Caller
from tests.cast import Cast

ROOT = Path(__file__).parents[2]
ASKS = """
import django; django.setup()
from django.test import Client
for path in ("live", "ready"):
    answer = Client().get(f"/api/v1/health/{path}", headers={"Host": "localhost"})
    print(answer.status_code, answer.content.decode())
"""


def test_a_process_without_its_database_is_alive_and_not_ready() -> None:
    """In a process of its own, whose database is at a port where nobody listens."""
    env = os.environ | {
        "DATABASE_URL": "postgres://nobody:secret@127.0.0.1:9/nothing",
        "DATABASE_POOL_TIMEOUT": "0.5",  # each of its questions waits so long for a connection
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }
    run = subprocess.run([sys.executable, "-c", ASKS], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    alive, ready = run.stdout.splitlines()
    assert alive == '200 {"status": "ok"}'
    assert ready.startswith('503 {"status": "unavailable"')
    assert '"database": "OperationalError"' in ready
    assert "secret" not in ready


@pytest.mark.django_db
def test_a_process_with_all_it_needs_is_ready() -> None:
    answer = Caller().get("health/ready")
    assert answer.status_code == 200
    assert set(answer.json()["checks"].values()) == {"ok"}


@pytest.mark.django_db
def test_migrations_that_wait_make_it_unready(monkeypatch: pytest.MonkeyPatch) -> None:
    def wait() -> None:
        raise RuntimeError("migrations are waiting")

    monkeypatch.setattr(monitoring, "_migrations", wait)
    answer = Caller().get("health/ready")
    assert (answer.status_code, answer.json()["checks"]["migrations"]) == (503, "RuntimeError")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("token", "headers", "address", "status"),
    [
        ("", {}, "127.0.0.1", 200),
        ("", {}, "10.0.0.1", 404),
        ("", {"X-Forwarded-For": "10.0.0.1"}, "127.0.0.1", 404),
        ("t", {}, "127.0.0.1", 404),
        ("t", {"Authorization": "Bearer t"}, "10.0.0.1", 200),
        ("t", {"Authorization": "Bearer u"}, "127.0.0.1", 404),
    ],
)
def test_metrics_are_for_this_machine_or_for_whoever_has_the_token(
    cast: Cast, settings: Any, token: str, headers: dict[str, str], address: str, status: int
) -> None:
    settings.METRICS_TOKEN = token
    answer = Client().get("/api/v1/metrics", headers=headers, REMOTE_ADDR=address)
    assert answer.status_code == status
    assert (b"tandem_" in answer.content) == (status == 200)
