"""A5: the bot of the guide, as it is printed, through what passes: one loop for all customers of each of two bots, a server
that is killed and begun again, answers that are 500, 503, 429, cut in the middle or none at all. Each message is answered once.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.serving import ROOT, Served
from tests.patience import PATIENCE, until

pytestmark = [
    pytest.mark.services,
    pytest.mark.first_database,
    pytest.mark.xdist_group("printed-bot"),
]

BOTS = {"bargain": ("anna", "ben", "carla"), "haggle": ("dan", "eva", "finn")}
"""Each bot with its customers."""
PROGRAM = ROOT / "examples" / "bargain_bot.py"


class Hazards(BaseHTTPRequestHandler):
    """A proxy before Tandem. Every seventh request fails, each time in another way; what was written was written all the same."""

    protocol_version = "HTTP/1.1"
    upstream: Served
    calls = 0
    failed: Counter[str] = Counter()
    lock = threading.Lock()

    def _pass(self) -> None:
        with Hazards.lock:
            Hazards.calls += 1
            turn = Hazards.calls
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
        try:
            answer = httpx.request(
                self.command, self.upstream.url + self.path, content=body, headers=headers, timeout=PATIENCE
            )
        except httpx.TransportError:
            self._fail("down")
            return
        kind = ("500", "503", "429", "cut", "none")[turn // 7 % 5] if turn % 7 == 0 else ""
        if kind in ("", "cut"):
            content = answer.text.replace(self.upstream.url, f"http://{self.headers['Host']}").encode()
            self.send_response(answer.status_code)
            for name in ("Content-Type", "Retry-After"):
                if name in answer.headers:
                    self.send_header(name, answer.headers[name])
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content if not kind else content[: len(content) // 2])
        if kind:
            self._fail(kind)

    def _fail(self, kind: str) -> None:
        Hazards.failed[kind] += 1
        if kind in ("500", "503", "429"):
            self.send_response(int(kind))
            if kind != "500":
                self.send_header("Retry-After", "0")
            self.send_header("Content-Length", "13")
            self.end_headers()
            self.wfile.write(b"<p>broken</p>")
            return
        self.close_connection = True

    def handle(self) -> None:
        with suppress(ConnectionError):  # a bot was killed while it was answered
            super().handle()

    do_GET = do_POST = _pass  # noqa: N815 – as the server looks them up

    def log_message(self, *args: Any) -> None:
        """Nothing to say."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = Served(tmp_path_factory.mktemp("printed-bot"))
    yield served
    served.stop()


@pytest.fixture
def proxy(served: Served) -> Iterator[str]:
    Hazards.upstream = served
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hazards)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class Shop:
    """The program that connects the shop, as the guide has it: it brings words in, and a bot where nobody serves."""

    def __init__(self, served: Served, key: str) -> None:
        self.served, self.headers = served, {"Authorization": f"Bearer {key}"}

    def say(self, bot: str, account: str, text: str, message_id: str) -> None:
        place = {"shop_id": "lamps", "account_id": account}
        heard = self._post("inbound", place | {"content": text, "message_id": message_id})
        if heard["controller"] == "none":
            self._post("sessions", place | {"bot_id": bot, "task": "negotiation"})

    def _post(self, path: str, body: dict[str, str]) -> Any:
        answer = httpx.post(f"{self.served.url}/api/v1/{path}", json=body, headers=self.headers, timeout=PATIENCE)
        return answer.raise_for_status().json()

    def thread(self, account: str) -> list[dict[str, Any]]:
        """What was said with a customer, the oldest first."""
        found: list[dict[str, Any]] = []
        for conversation in self._get("conversations", account_id=account):
            found += reversed(self._get(f"conversations/{conversation['id']}/messages", limit="200"))
        return found

    def sessions(self, **query: str) -> list[Any]:
        """The bots' and others: what was said before a bot had its session is grouped into one by itself."""
        return self._get("sessions", **query)

    def _get(self, path: str, **query: str) -> list[Any]:
        answer = httpx.get(f"{self.served.url}/api/v1/{path}", params=query, headers=self.headers, timeout=PATIENCE)
        results: list[Any] = answer.raise_for_status().json()["results"]
        return results


def is_answered(thread: list[dict[str, Any]], of: int) -> bool:
    """All of a customer's messages are there, and each has an answer, made of its id."""
    said = [m for m in thread if m["sender_type"] == "customer"]
    answers = {m["message_id"] for m in thread if m["sender_type"] == "bot"}
    return len(said) == of and all(f"re-{m['id']}" in answers for m in said)


def test_a5_each_customers_message_is_answered_once_whatever_passes(served: Served, proxy: str, tmp_path: Path) -> None:
    keys = {bot: served.key(bot) for bot in BOTS}
    ids = {bot: served.run("manage.py", "apikey", bot, "--tenant", "demo", "--id") for bot in BOTS}
    shop = Shop(served, served.key("shop", "integrator"))
    customers = [(bot, account) for bot, accounts in BOTS.items() for account in accounts]

    def start(bot: str) -> subprocess.Popen[bytes]:
        with (tmp_path / bot).open("ab") as log:
            env = served.env | {"TANDEM_URL": proxy, "TANDEM_KEY": keys[bot]}
            return subprocess.Popen([sys.executable, str(PROGRAM)], env=env, stderr=log)

    bots = {bot: start(bot) for bot in BOTS}
    try:
        for number, text in enumerate(("Hello?", "Is 20 possible?", "22?")):
            for bot, account in customers:
                shop.say(ids[bot], account, text, f"{account}-{number}")
            if number == 0:  # the server goes in the middle of it, and comes back
                served.crash()
                until(lambda: Hazards.failed["down"] >= 4)
                served.start()
            if number == 1:  # so does a bot
                bots["haggle"].kill()
                bots["haggle"].wait()
                bots["haggle"] = start("haggle")
            until(lambda of=number + 1: all(is_answered(shop.thread(a), of) for _, a in customers), pause=0.5)
        for bot, account in customers:
            shop.say(ids[bot], account, "30 then.", f"{account}-deal")
        until(lambda: all(is_answered(shop.thread(a), 4) for _, a in customers), pause=0.5)
        until(lambda: not [s for s in shop.sessions(status="ACTIVE") if s["bot_id"]], pause=0.5)
        assert [bot for bot, process in bots.items() if process.poll() is not None] == []
    finally:
        for process in bots.values():
            process.kill()
            process.wait()
    for bot, account in customers:
        answers = [m for m in shop.thread(account) if m["sender_type"] == "bot"]
        assert sorted(m["content"] for m in answers) == sorted(
            ["It is 40. Your offer?", "25 is my last word.", "25 is my last word.", "Done: 30."]
        )
        assert {m["sender_name"] for m in answers} == {bot}
    assert {s["outcome"] for s in shop.sessions(limit="200") if s["bot_id"]} == {"success"}
    assert set(Hazards.failed) >= {"500", "503", "429", "cut", "none"}
