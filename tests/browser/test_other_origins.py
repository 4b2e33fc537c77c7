"""A9 in a real browser: a customer's page on another origin calls the API with its token, where the tenant allows the page."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import ROOT, Server

pytestmark = pytest.mark.browser

SCRIPT = """async ([url, token, body]) => {
    try {
        const answer = await fetch(url, {
            method: body ? "POST" : "GET",
            headers: {Authorization: `Bearer ${token}`, ...(body ? {"Content-Type": "application/json"} : {})},
            body: body ? JSON.stringify(body) : undefined,
        });
        const limit = answer.headers.get("RateLimit-Limit");
        return {status: answer.status, limit, body: await answer.json()};
    } catch (error) {
        return {refused: error.message};
    }
}"""
FIRST_EVENT = """async ([url, token]) => {
    const headers = {Authorization: `Bearer ${token}`, Accept: "text/event-stream"};
    const answer = await fetch(url, {headers});
    const {value} = await answer.body.getReader().read();
    return new TextDecoder().decode(value);
}"""


class Blank(BaseHTTPRequestHandler):
    """A shop's page, with nothing on it."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", "15")
        self.end_headers()
        self.wfile.write(b"<!doctype html>")

    def log_message(self, *args: Any) -> None:
        """Nothing to say."""


@pytest.fixture
def shops(chromium: Browser) -> Iterator[tuple[Page, Page]]:
    """Two pages, each on an origin of its own."""
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), Blank) for _ in range(2)]
    for one in servers:
        threading.Thread(target=one.serve_forever, daemon=True).start()
    context = chromium.new_context()
    pages = [context.new_page() for _ in servers]
    for page, one in zip(pages, servers, strict=True):
        page.goto(f"http://localhost:{one.server_port}/")
    yield pages[0], pages[1]
    context.close()
    for one in servers:
        one.shutdown()
        one.server_close()


def test_a_customers_page_calls_the_api_from_its_own_origin_and_no_other_does(
    server: Server, shops: tuple[Page, Page]
) -> None:
    allowed, other = shops
    make = (
        "from agents_app.models import ApiClient, Tenant; from agents_app.credentials.secrets import issue_key;"
        "tenant = Tenant.objects.get(slug='demo');"
        f"tenant.allowed_origins = {allowed.url.rstrip('/')!r}; tenant.full_clean(); tenant.save();"
        "print(issue_key(ApiClient.objects.create(tenant=tenant, name='cors', kind='integrator')))"
    )
    made = [sys.executable, "manage.py", "shell", "-c", make]
    done = subprocess.run(made, cwd=ROOT, env=server.env, check=True, timeout=120, capture_output=True, text=True)
    key = done.stdout.split()[-1]
    api = httpx.Client(base_url=f"{server.url}/api/v1", headers={"Authorization": f"Bearer {key}"})
    heard = api.post("/inbound", json={"shop_id": "lamps", "account_id": "noor", "content": "Hello"}).json()
    conversation = heard["conversation_id"]
    token = api.post("/tokens", json={"conversation_id": conversation}).json()["token"]
    api.close()
    read = f"{server.url}/api/v1/conversations/{conversation}/messages"
    write = f"{server.url}/api/v1/messages"
    words = {"conversation_id": conversation, "content": "From the shop's own page", "message_id": "page-1"}

    answer = allowed.evaluate(SCRIPT, [read, token, None])
    assert (answer["status"], [m["content"] for m in answer["body"]["results"]]) == (200, ["Hello"])
    assert int(answer["limit"]) > 0
    assert allowed.evaluate(SCRIPT, [write, token, words])["status"] == 201
    assert allowed.evaluate(SCRIPT, [read, "ended", None])["body"]["code"] == "not_authenticated"
    assert "retry: 1000" in allowed.evaluate(FIRST_EVENT, [f"{server.url}/api/v1/events", token])

    assert other.evaluate(SCRIPT, [read, token, None]) == {"refused": "Failed to fetch"}
    assert other.evaluate(SCRIPT, [write, token, words | {"message_id": "page-2"}]) == {"refused": "Failed to fetch"}
    said = allowed.evaluate(SCRIPT, [read, token, None])["body"]["results"]
    assert [m["content"] for m in said] == ["From the shop's own page", "Hello"]
