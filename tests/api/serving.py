"""A real server process for clients that know nothing of Django."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx

from tests import migrated
from tests.patience import PATIENCE, STILL

ROOT = Path(__file__).resolve().parents[2]
STAGE = ROOT / "tests" / "browser" / "stage.py"


class Served:
    """`manage.py serve` on a free port, with the tenant `demo`, its agents `maya` and `jun`, and `sam` who supervises."""

    def __init__(
        self, folder: Path, *, under: tuple[str, ...] = (), before: Callable[[Served], object] | None = None, **env: str
    ) -> None:
        """`under` is a program that runs the server, with its arguments; `before` is called with it when the database is made."""
        self.env = os.environ | {
            "DATABASE_URL": f"sqlite:///{folder / 'tandem.sqlite3'}",
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "PYTHONPATH": str(ROOT),
            "FILES": str(folder / "files"),
            "REDIS_URL": "",
            "DEBUG": "false",
            "PYTHONFAULTHANDLER": "1",
            **STILL,
        }
        for name in ("CELERY_BROKER_URL", "SECRET_KEY", "ALLOWED_HOSTS"):
            self.env.pop(name, None)
        self.env |= env
        migrated.lay(self.env["DATABASE_URL"], self.env)
        self.run(str(STAGE), "people")
        if before:
            before(self)
        self._under = under
        self.start()

    def start(self) -> None:
        """Serve, at a new address; after `crash` with what the database has."""
        self._process = subprocess.Popen(
            [*self._under, sys.executable, "manage.py", "serve", "--port", "0"],
            cwd=ROOT,
            env=self.env,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout
        told = (re.search(r"desk +(http://\S+)/desk/", line) for line in self._process.stdout)
        self.url = next(found.group(1) for found in told if found)

    @property
    def process_id(self) -> int:
        return self._process.pid

    def run(self, *arguments: str) -> str:
        """Something beside the server, on its database; returns what it prints."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=self.env,
            check=True,
            timeout=PATIENCE,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def key(self, name: str, kind: str = "bot") -> str:
        """A program with this name, and its key."""
        return self.run("manage.py", "apikey", name, "--tenant", "demo", "--kind", kind)

    def login(self, name: str) -> dict[str, str]:
        """The cookies of an agent's login. `csrftoken` also goes as the header X-CSRFToken with whatever writes."""
        with httpx.Client(base_url=self.url, timeout=PATIENCE) as browser:
            browser.get("/login/")
            token = browser.cookies["csrftoken"]
            entered = browser.post("/login/", data={"username": name, "password": "demo", "csrfmiddlewaretoken": token})
            assert entered.status_code == 302
            return dict(browser.cookies)

    def crash(self) -> None:
        """End as by a power cut."""
        self._process.kill()
        self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGABRT)  # says on stderr where it hangs
            self._process.wait()
        finally:
            if self._process.stdout:
                self._process.stdout.close()
