"""kill -9 of the serving process under load (F3): nothing acknowledged is lost, nothing is stored twice.

    python -m tests.faults.kill --kills 20 --rate 50

Starts the real server on a database of its own (SQLite in a folder that goes away, or one made on the server that
`--database` names), lets customers write through the try-it page as a browser would, and kills the server again and
again at random moments. A customer sends a message again, under the same id, until it is acknowledged. At the end the
database is asked. `--hasty` serves with a server that acknowledges before it commits: that one must lose something.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests import migrated
from tests.patience import PATIENCE, until
from tests.races.servers import Server

ROOT = Path(__file__).parents[2]
HOST = "127.0.0.1"
READY_LIMIT = PATIENCE
LEAST = 8
"""Messages that are acknowledged between two kills, however slow the machine."""
_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


@dataclass(slots=True)
class Customer:
    """One browser: cookies, a token, and a message that is sent until somebody says it was taken."""

    number: int
    port: int
    cookies: SimpleCookie = field(default_factory=SimpleCookie)
    token: str = ""
    acknowledged: list[str] = field(default_factory=list)
    resent: int = 0
    odd: list[str] = field(default_factory=list)

    def enter(self) -> None:
        page = self._ask("GET", "/try-it/")
        found = _TOKEN.search(page)
        if found is None:
            raise AssertionError("the try-it page has no form")
        self.token = found[1]

    def say_until_taken(self, id: str, deadline: float) -> None:
        form = urlencode({"csrfmiddlewaretoken": self.token, "message_id": id, "content": f"and then {id}"})
        while time.monotonic() < deadline:
            try:
                self._ask("POST", "/try-it/say/", form)
            except (OSError, http.client.HTTPException):
                self.resent += 1
                time.sleep(0.05)
            else:
                self.acknowledged.append(id)
                return

    def _ask(self, method: str, path: str, body: str | None = None) -> str:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=PATIENCE)
        headers = {"Cookie": "; ".join(f"{name}={morsel.value}" for name, morsel in self.cookies.items())}
        if body is not None:
            headers |= {"Content-Type": "application/x-www-form-urlencoded", "HX-Request": "true"}
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        for cookie in answer.headers.get_all("Set-Cookie") or []:
            self.cookies.load(cookie)
        if answer.status >= 500:  # not an acknowledgement, and not a reason to stop: as when there is no answer
            raise http.client.HTTPException(f"{answer.status}")
        if answer.status >= 300:
            self.odd.append(f"{method} {path}: {answer.status} {text[:300]}")
        return text


class Serving:
    """The server's process, and how long it took to be back."""

    def __init__(self, environment: dict[str, str], *, hasty: bool) -> None:
        with socket.socket() as taken:
            taken.bind((HOST, 0))
            self.port = taken.getsockname()[1]
        module = ["-m", "tests.faults.hasty"] if hasty else ["manage.py", "serve"]
        self._command = [sys.executable, *module, "--host", HOST, "--port", str(self.port)]
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        began = time.monotonic()
        self._process = subprocess.Popen(
            self._command, cwd=ROOT, env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while time.monotonic() < began + READY_LIMIT:
            if self._process.poll() is not None:
                raise AssertionError(f"the server ended by itself with {self._process.returncode}")
            try:
                connection = http.client.HTTPConnection(HOST, self.port, timeout=PATIENCE)
                connection.request("GET", "/try-it/")
                if connection.getresponse().status == 200:
                    return time.monotonic() - began
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)
            finally:
                connection.close()
        raise AssertionError("the server is not ready")

    def kill(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        if self._process and self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], prog="python -m tests.faults.kill")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--rate", type=float, default=50, help="messages a second, all customers together")
    parser.add_argument("--customers", type=int, default=8)
    parser.add_argument("--between", type=float, default=2.0, help="seconds of load before each kill, on average")
    parser.add_argument("--database", default="", help="URL of a server; SQLite when not given")
    parser.add_argument("--hasty", action="store_true", help="the control: acknowledge before the commit")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    with ExitStack() as stack:
        environment = _environment(options.database, stack)
        report = run(options, environment)
    print(json.dumps(report) if options.json else "\n".join(f"{name:<24}{value}" for name, value in report.items()))
    return 1 if report["lost"] or report["doubled"] or report["odd"] else 0


def _environment(database: str, stack: ExitStack) -> dict[str, str]:
    if database:
        url = stack.enter_context(Server(database).database(f"tandem_kill_{os.getpid()}"))
    else:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="tandem-kill-"))
        url = f"sqlite:///{folder}/kill.sqlite3"
    environment = os.environ | {
        "DATABASE_URL": url,
        "REDIS_URL": "",
        "CELERY_BROKER_URL": "",
        "TRY_IT": "true",
        "LOG_LEVEL": "ERROR",
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "PYTHONPATH": str(ROOT),
    }
    migrated.lay(url, environment)
    _manage(
        environment,
        "shell",
        "-c",
        "from agents_app.models import Tenant; Tenant.objects.create(slug='demo', name='Demo')",
    )
    return environment


def _manage(environment: dict[str, str], *arguments: str) -> str:
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True).stdout


def run(options: argparse.Namespace, environment: dict[str, str]) -> dict[str, Any]:
    serving = Serving(environment, hasty=options.hasty)
    customers = [Customer(number, serving.port) for number in range(options.customers)]
    back: list[float] = []
    done = threading.Event()
    try:
        serving.start()
        for customer in customers:
            customer.enter()
            customer.say_until_taken(f"{customer.number}-first", time.monotonic() + READY_LIMIT)
        talkers = [threading.Thread(target=_talk, args=(customer, options, done)) for customer in customers]
        for talker in talkers:
            talker.start()
        for _ in range(options.kills):
            before = _taken(customers)
            time.sleep(options.between * random.uniform(0.5, 1.5))
            until(lambda before=before: _taken(customers) >= before + LEAST)
            serving.kill()
            back.append(serving.start())
        time.sleep(0.5)
        done.set()
        for talker in talkers:
            talker.join()
        if options.hasty:  # what was acknowledged last would be lost with the last kill
            serving.kill()
    finally:
        done.set()
        serving.stop()
    stored = json.loads(_manage(environment, "shell", "--no-imports", "-c", _STORED).splitlines()[-1])
    taken = [id for customer in customers for id in customer.acknowledged]
    return {
        "kills": options.kills,
        "acknowledged": len(taken),
        "sent again": sum(customer.resent for customer in customers),
        "lost": sum(id not in stored for id in taken),
        "doubled": sum(count - 1 for count in stored.values()),
        "odd": [text for customer in customers for text in customer.odd][:5],
        "slowest start": round(max(back, default=0), 2),
    }


_STORED = """
import collections, json
from messaging_app.models import Message
print(json.dumps(collections.Counter(Message.objects.filter(sender_type="customer").values_list("message_id", flat=True))))
"""


def _taken(customers: list[Customer]) -> int:
    return sum(len(customer.acknowledged) for customer in customers)


def _talk(customer: Customer, options: argparse.Namespace, done: threading.Event) -> None:
    pause = options.customers / options.rate
    for count in range(1_000_000):
        if done.wait(pause * random.uniform(0.5, 1.5)):
            return
        customer.say_until_taken(f"{customer.number}-{count}", time.monotonic() + 2 * READY_LIMIT)


if __name__ == "__main__":
    sys.exit(main())
