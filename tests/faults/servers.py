"""Servers of a test's own, that can be stopped, hung and brought back: nothing else uses them."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
from types import TracebackType
from typing import Self

from tests.patience import PATIENCE, until

HOST = "127.0.0.1"


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        port: int = taken.getsockname()[1]
        return port


class Redis:
    """A redis-server on a port of its own. Stopped it refuses; hung it accepts connections and says nothing."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"redis://{HOST}:{self.port}/0"
        self._folder = tempfile.mkdtemp(prefix="tandem-redis-")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        program = shutil.which("redis-server")
        assert program, "redis-server is not on this machine: run .ci/services.sh"
        self._process = subprocess.Popen(
            [program, "--bind", HOST, "--port", str(self.port), "--save", "", "--dir", self._folder],
            stdout=subprocess.DEVNULL,
        )
        until(self._listens, "redis-server does not listen")

    def _listens(self) -> bool:
        with socket.socket() as asked:
            return asked.connect_ex((HOST, self.port)) == 0

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()
            self._process = None

    def hang(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def flush(self) -> None:
        with socket.create_connection((HOST, self.port), timeout=PATIENCE) as line:
            line.sendall(b"FLUSHALL\r\n")
            assert line.recv(16).startswith(b"+OK")
