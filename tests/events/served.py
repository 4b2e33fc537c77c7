"""Real processes: servers as anybody would start them, and writers beside them who act by the verbs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests import migrated
from tests.patience import PATIENCE, STILL
from tests.races.servers import Server as DatabaseServer
from tests.races.servers import server_url

ROOT = Path(__file__).resolve().parents[2]
WRITER = Path(__file__).with_name("writer.py")


class Writer:
    """Ready when it was made; writes when it is told to."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        assert process.stdout
        assert process.stdout.readline() == "ready\n"

    def write(self) -> float:
        """Answers how many messages it brought in a second."""
        told, _ = self._process.communicate("go\n")
        assert self._process.returncode == 0
        done = json.loads(told)
        return float(done["count"] / done["seconds"])


class Installation:
    """A database of its own, and the processes that use it."""

    def __init__(self, database: str, redis: str = "", **settings: Any) -> None:
        self.env = os.environ | {
            "DATABASE_URL": database,
            "REDIS_URL": redis,
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "PYTHONPATH": str(ROOT),
            "DEBUG": "false",
            "API_RATE": "1000000/min",
            **STILL,
            **{name: str(value) for name, value in settings.items()},
        }
        for name in ("CELERY_BROKER_URL", "SECRET_KEY", "ALLOWED_HOSTS"):
            self.env.pop(name, None)
        self._processes: list[subprocess.Popen[str]] = []
        migrated.lay(database, self.env)
        self.people: dict[str, Any] = json.loads(self._run(str(WRITER), "people"))

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=self.env,
            check=True,
            timeout=PATIENCE,
            capture_output=True,
            text=True,
        )
        return done.stdout

    def _start(self, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=self.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._processes.append(process)
        return process

    def serve(self) -> str:
        """One more server; answers its address."""
        process = self._start("manage.py", "serve", "--port", "0")
        assert process.stdout
        for line in process.stdout:
            if found := re.search(r"desk +(http://\S+)/desk/", line):
                return found.group(1)
        raise AssertionError("the server did not start")

    def server_pid(self) -> int:
        return self._processes[0].pid

    def writer(self, how: str, count: int, rate: float, size: int = 0) -> Writer:
        """A process that will bring in so many messages, so many in a second, if the machine can."""
        return Writer(self._start(str(WRITER), how, str(count), str(rate), *([str(size)] if size else [])))

    def positions(self, conversation_id: int | None = None) -> list[int]:
        """All that is in the stream (or of one conversation), in order, stamped to the last."""
        found: list[int] = json.loads(self._run(str(WRITER), "positions", str(conversation_id or 0)))
        return found

    def run(self, code: str) -> str:
        """Run a line of Python with the installation's settings; answers what it prints."""
        return self._run("-c", f"import django; django.setup(); {code}")

    def stop(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe and not pipe.closed:
                    pipe.close()


@contextmanager
def embedded(folder: Path, **settings: Any) -> Iterator[Installation]:
    """One process on SQLite."""
    made = Installation(f"sqlite:///{folder / 'tandem.sqlite3'}", **settings)
    try:
        yield made
    finally:
        made.stop()


@contextmanager
def with_redis(**settings: Any) -> Iterator[Installation]:
    """Several processes on the database of this run, told of news over Redis."""
    url = os.environ.get("DATABASE_URL", "")
    if not url or url.startswith("sqlite"):
        url = server_url("TEST_POSTGRES_URL")
    redis = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/0")
    with DatabaseServer(url).database(f"events_{os.getpid()}") as database:
        made = Installation(database, redis, **settings)
        try:
            yield made
        finally:
            made.stop()
