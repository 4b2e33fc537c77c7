"""A real server process on a free port with a database of its own, and browsers that look at it.

Whatever a page writes to the console as an error, the policy's violations among it, fails the test.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests import migrated

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
STAGE = Path(__file__).with_name("stage.py")
PATIENCE = 20_000
"""Milliseconds until what was expected counts as missing. How quickly things come is for benchmarks/ to measure."""
expect.set_options(timeout=1000 * float(os.environ.get("EXPECTED_WITHIN", PATIENCE / 1000)))


class Server:
    """`manage.py serve`, as anybody would start it. `first` is Python that the shell runs before it serves."""

    def __init__(self, folder: Path, *, first: str = "", **settings: str) -> None:
        self.first = first
        self.env = os.environ | {
            "DATABASE_URL": f"sqlite:///{folder / 'tandem.sqlite3'}",
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "PYTHONPATH": str(ROOT),
            "REDIS_URL": "",
            "TRY_IT": "true",
            "DEBUG": "false",
            "PYTHONFAULTHANDLER": "1",
            **settings,
        }
        for name in ("CELERY_BROKER_URL", "SECRET_KEY", "ALLOWED_HOSTS"):
            self.env.pop(name, None)
        self._open()

    def _open(self) -> None:
        migrated.lay(self.env["DATABASE_URL"], self.env)
        # One for the whole run: to start Django for each line takes longer than most tests.
        self._stage = subprocess.Popen(
            [sys.executable, str(STAGE)],
            cwd=ROOT,
            env=self.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.stage("people")
        if self.first:
            self.manage("shell", "-c", self.first)
        self.process = self._start(0)
        self.url = self._address()
        self.cookies: dict[str, list[Any]] = {}

    def renew(self, folder: Path) -> None:
        """End it, and serve from a new database."""
        self.close()
        self.env["DATABASE_URL"] = f"sqlite:///{folder / 'tandem.sqlite3'}"
        self._open()

    def beside(self) -> Server:
        """One more web process of the same installation. It only serves: this one's stage and people are its own."""
        other = copy(self)
        other.cookies = {}
        other.process = self._start(0)
        other.url = other._address()
        return other

    def manage(self, *arguments: str) -> None:
        subprocess.run([sys.executable, "manage.py", *arguments], cwd=ROOT, env=self.env, check=True, timeout=120)

    def stage(self, *arguments: str) -> str:
        """Let `stage.py` do something beside the server, by the verbs."""
        self.begin(*arguments)
        return self.done()

    def begin(self, *arguments: str) -> None:
        assert self._stage.stdin
        print(json.dumps(arguments), file=self._stage.stdin, flush=True)

    def done(self) -> str:
        """Wait for what was begun. Answers what the stage says of it."""
        assert self._stage.stdout
        answer = json.loads(self._stage.stdout.readline() or '{"failed": "stage.py ended"}')
        assert "said" in answer, answer["failed"]
        return str(answer["said"])

    def _start(self, port: int) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "manage.py", "serve", "--port", str(port)],
            cwd=ROOT,
            env=self.env,
            stdout=subprocess.PIPE,
            text=True,
        )

    def _address(self) -> str:
        assert self.process.stdout
        for line in self.process.stdout:
            if found := re.search(r"desk +(http://\S+)/desk/", line):
                return found.group(1)
        raise AssertionError("the server did not start")

    def stop(self) -> int:
        self.process.terminate()
        try:
            code = self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)  # says on stderr where it hangs
            code = self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()
        return code

    @contextmanager
    def away(self) -> Iterator[int]:
        """Nobody serves while the block runs; afterwards it is back at the same address. Yields how the process ended."""
        code = self.stop()
        try:
            yield code
        finally:
            self.process = self._start(int(self.url.rsplit(":", 1)[1]))
            self._address()

    def close(self) -> None:
        self._stage.communicate(timeout=60)
        self.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for each file: what another file leaves in the queue, or says of the same customer, is nothing to it."""
    server = Server(tmp_path_factory.mktemp("server"))
    yield server
    server.close()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


def until(page: Page, expression: str, argument: object = None) -> None:
    """Wait until the page says so.

    Not by Playwright's `wait_for_function`: its second look is an `eval` in the page, and the policy of Tandem's
    pages forbids that, so it fails whenever the first look comes too early.
    """
    ends = time.monotonic() + PATIENCE / 1000
    while not page.evaluate(expression, argument):
        assert time.monotonic() < ends, f"not within {PATIENCE} ms: {expression} {argument or ''}"
        page.wait_for_timeout(50)


@contextmanager
def hears_nothing(page: Page) -> Iterator[None]:
    """A desk page that is told nothing new while the block runs, by what it asked before either.

    It asks for one thing at a time (`queued` of static/js/core/refresh-queue.js): once a request was cut off, none is under way
    that could still bring what happens next.
    """
    news = re.compile("/news/|/desk/list/")
    page.route(news, lambda route: route.abort())
    with page.expect_event("requestfailed", lambda request: bool(news.search(request.url))):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # looked at again, it asks
    yield
    page.unroute(news)


class Windows:
    """Browsers of different people, each with its own cookies; complaints of their pages are kept."""

    def __init__(self, chromium: Browser, server: Server) -> None:
        self._chromium, self._server = chromium, server
        self._contexts: list[BrowserContext] = []
        self.complaints: list[str] = []

    def open(self, path: str, *, login: str = "", **options: Any) -> Page:
        context = self._chromium.new_context(base_url=self._server.url, locale="en-GB", **options)
        self._contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda m: m.type == "error" and self.complaints.append(f"{page.url}: {m.text}"))  # type: ignore[call-overload]
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error}"))
        if login:
            self._log_in(page, login)
        page.goto(path)
        if login:
            page.wait_for_selector("#connection[data-state=live]")
        return page

    def _log_in(self, page: Page, login: str) -> None:
        """As a person does for the first time, and by the cookies that this gave from then on."""
        if login in self._server.cookies:
            page.context.add_cookies(self._server.cookies[login])
            return
        page.goto("/login/")
        page.fill("#id_username", login)
        page.fill("#id_password", "demo")
        page.click("button.wide")
        page.wait_for_url("**/desk/")
        self._server.cookies[login] = page.context.cookies()

    def close(self) -> None:
        for context in self._contexts:
            context.close()


@pytest.fixture
def windows(chromium: Browser, server: Server, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Windows]:
    # Run once more, a test finds nothing of what it did the first time. Where a file's cases share what one of them played,
    # they only look at it.
    if getattr(request.node, "execution_count", 1) > 1 and "addresses" not in request.fixturenames:
        server.renew(tmp_path)
    windows = Windows(chromium, server)
    yield windows
    windows.close()
    assert windows.complaints == []


@pytest.fixture
def customer(windows: Windows) -> Callable[[], Page]:
    return lambda: windows.open("/try-it/")
