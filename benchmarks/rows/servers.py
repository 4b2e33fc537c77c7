"""Starts what is measured, on ports of its own on this machine, and ends it: the baseline, Tandem by WSGI and embedded."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import psutil
from common import ROOT
from rows.http_client import Http

BIN = Path(sys.executable).parent
READY_WITHIN = 120.0
PREFIX = f"bench_{os.getpid()}"
"""Of what lies in Redis meanwhile."""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Process:
    """A server and all that it starts; `rss_mb` is their private memory."""

    def __init__(self, command: list[str], port: int, probe: str, env: Mapping[str, str]) -> None:
        self.port = port
        self._log: IO[bytes] = TemporaryFile()  # noqa: SIM115 – as long as the process
        self._process = subprocess.Popen(
            command, env=os.environ | env, cwd=ROOT, stdout=self._log, stderr=subprocess.STDOUT, start_new_session=True
        )
        end = time.monotonic() + READY_WITHIN
        while not self._answers(probe):
            if self._process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise RuntimeError(f"{command[0]} did not come up: {self.said()[-800:]}")
            time.sleep(0.1)

    def _answers(self, probe: str) -> bool:
        with suppress(OSError, ValueError, IndexError):
            return Http(self.port, {})("GET", probe)[0] < 500
        return False

    def said(self) -> str:
        self._log.seek(0)
        return self._log.read().decode(errors="replace")

    @property
    def private_mb(self) -> float:
        return private_mb(self._process.pid)

    def stop(self) -> None:
        for one in reversed(_family(self._process.pid)):
            with suppress(psutil.Error):
                one.kill()
        self._process.wait(30)


def _family(pid: int) -> list[Any]:
    """A process and those that it started."""
    with suppress(psutil.Error):
        root: Any = psutil.Process(pid)  # type: ignore[no-untyped-call]
        return [root, *root.children(recursive=True)]
    return []


def private_mb(pid: int) -> float:
    """What a process and those that it started have for themselves: shared pages count nowhere."""
    total = 0.0
    for one in _family(pid):
        with suppress(psutil.Error):
            total += one.memory_full_info().uss
    return total / 1e6


def finished(command: list[str], within: float) -> None:
    """Run it to its end; what it started ends with it, also when it takes too long. Raises with the end of what it said."""
    with TemporaryFile() as told:
        process = subprocess.Popen(command, stdout=told, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            code = process.wait(within)
        finally:
            for one in reversed(_family(process.pid)):
                with suppress(psutil.Error):
                    one.kill()
        told.seek(0)
        if code:
            raise RuntimeError(f"{command[1]} ended with {code}: {told.read().decode(errors='replace').strip()[-300:]}")


@contextmanager
def running(command: list[str], port: int, probe: str, env: Mapping[str, str]) -> Iterator[Process]:
    process = Process(command, port, probe, env)
    try:
        yield process
    finally:
        process.stop()


def settings(database: str, redis: str) -> dict[str, str]:
    """As in production, but that nobody is throttled: one client is all callers here."""
    return {
        "DATABASE_URL": database,
        "REDIS_URL": redis,
        "REDIS_PREFIX": PREFIX,
        "API_RATE": "10000000/min",
        "STREAMS_PER_CREDENTIAL": "10000",
        "LOG_LEVEL": "ERROR",
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "PYTHONPATH": str(ROOT),
    }


def baseline(folder: Path, database: str, redis: str, workers: int = 1) -> tuple[list[str], int, str, dict[str, str]]:
    port = free_port()
    command = [
        str(BIN / "uvicorn"), "baseline_fastapi:app", "--app-dir", str(folder), "--host", "127.0.0.1",
        "--port", str(port), "--workers", str(workers), "--no-access-log", "--log-level", "warning",
    ]  # fmt: skip
    url = re.sub("^postgres(ql)?://", "postgresql+asyncpg://", database)
    return command, port, "/openapi.json", {"PERF_PG_URL": url, "PERF_REDIS": redis, "BASE_TOKEN": "perf"}


def by_wsgi(database: str, redis: str, workers: int = 1) -> tuple[list[str], int, str, dict[str, str]]:
    """As the Procfile begins it."""
    port = free_port()
    command = [
        str(BIN / "granian"), "--interface", "wsgi", "--workers", str(workers), "--host", "127.0.0.1", "--port", str(port),
        "--blocking-threads", "8", "--http", "1", "--no-ws", "--log-level", "error", "config.wsgi:application",
    ]  # fmt: skip
    return command, port, "/api/v1/health/live", settings(database, redis)


def embedded(database: str) -> tuple[list[str], int, str, dict[str, str]]:
    port = free_port()
    command = [sys.executable, str(ROOT / "manage.py"), "serve", "--port", str(port)]
    return command, port, "/api/v1/health/live", settings(database, "")
