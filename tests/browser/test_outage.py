"""The line is cut while customers write and the agent works: afterwards everything is there, once and in order.

`OUTAGE_SECONDS=30` cuts it for that long, as a train in a tunnel would; without it as long as the writing takes.
"""

from __future__ import annotations

import os
import re
import time
from typing import Any

import pytest
from playwright.sync_api import Page, Request, WebSocketRoute, expect

from tests.browser.conftest import Server, Windows
from tests.browser.test_desk import said
from tests.browser.test_kept import serve

pytestmark = pytest.mark.browser

SECONDS = float(os.environ.get("OUTAGE_SECONDS", "0"))
MANY = 50


class Line:
    """A page's line to the server, for requests and the socket alike, which can be cut."""

    def __init__(self, page: Page) -> None:
        self._page, self._is_cut, self._sockets = page, False, list[WebSocketRoute]()
        page.route_web_socket(re.compile(r"/ws/"), self._connect)

    def _connect(self, socket: WebSocketRoute) -> None:
        if self._is_cut:
            socket.close(code=1013)
            return
        socket.connect_to_server()
        self._sockets.append(socket)

    def cut(self) -> None:
        self._is_cut = True
        self._page.context.set_offline(True)
        while self._sockets:
            self._sockets.pop().close(code=1012)

    def mend(self) -> None:
        self._is_cut = False
        self._page.context.set_offline(False)


def live(page: Page) -> None:
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")


def cut(windows: Windows, server: Server, account: str) -> tuple[Page, Line, str]:
    """Maya serves somebody, on a line that can be cut."""
    number = server.stage("hears", account, "hello", "human please")
    maya = windows.open("/login/", viewport={"width": 1280, "height": 800})
    line = Line(maya)
    maya.fill("#id_username", "maya")
    maya.fill("#id_password", "demo")
    maya.click("button.wide")
    maya.goto(f"/desk/c/{number}/")
    live(maya)
    maya.locator("#head").get_by_role("button", name="Accept").click()
    expect(maya.locator("#head .pill")).to_contain_text("You are serving")
    return maya, line, number


def send(page: Page, text: str) -> None:
    page.fill("#content", text)
    page.press("#content", "Enter")
    expect(page.locator("#content")).to_have_value("")


def outgoing(page: Page, text: str) -> Any:
    return page.locator("#outgoing .outgoing", has_text=text)


def test_after_an_outage_everything_is_there_once_and_in_order(windows: Windows, server: Server) -> None:
    maya, line, number = cut(windows, server, "outage-50")
    jun = windows.open(f"/desk/c/{number}/", login="jun")
    line.cut()
    expect(maya.locator("#connection")).to_have_attribute("data-state", "reconnecting")
    expect(maya.locator("#connection-bar")).to_be_visible()
    expect(maya.locator("#connection-bar")).to_contain_text("Reconnecting")
    began = time.monotonic()
    questions = [f"question {place:02}" for place in range(1, MANY + 1)]
    server.stage("hears", "outage-50", *questions[: MANY // 2])
    send(maya, "first answer")
    expect(outgoing(maya, "first answer")).to_contain_text("Waits for the connection")
    send(maya, "second answer")
    expect(outgoing(maya, "second answer")).to_contain_text("Waits for the connection")
    expect(maya.locator("#connection-bar")).to_contain_text("waiting to be sent: 2")
    maya.locator("#content").press_sequentially("half a sen")
    server.stage("hears", "outage-50", *questions[MANY // 2 :])
    if SECONDS:
        maya.wait_for_timeout(max(0, SECONDS - (time.monotonic() - began)) * 1000)
    expect(said(maya, "question")).to_have_count(0)
    assert maya.locator("#content").input_value() == "half a sen"

    line.mend()
    live(maya)
    expect(maya.locator("#outgoing .outgoing")).to_have_count(0)
    expect(said(maya, "second answer")).to_have_count(1)
    expect(maya.locator("#content")).to_have_value("half a sen")
    maya.locator("#content").press_sequentially("tence")
    wanted = ["hello", "You said: hello", "human please", *questions, "first answer", "second answer"]
    expect(maya.locator("#items .said")).to_have_text(wanted)
    jun.reload()
    jun.locator("#log").evaluate("box => box.scrollTo(0, 0)")
    expect(jun.locator("#items .said")).to_have_text(wanted)  # as at the server, so at the page that was away
    expect(maya.locator("#content")).to_have_value("half a sentence")
    windows.complaints.clear()  # the browser complains of the requests that failed


def test_what_waits_is_kept_over_a_reload_and_sent_once(windows: Windows, server: Server) -> None:
    maya, _, number = cut(windows, server, "outage-reload")
    maya.route("**/say/", lambda route: route.abort())
    send(maya, "one")
    expect(outgoing(maya, "one")).to_contain_text("Waits for the connection")
    send(maya, "two")
    maya.reload()
    for text in ("one", "two"):
        expect(outgoing(maya, text)).to_be_visible()
    maya.goto("/desk/")  # also where nothing is open, it goes out
    maya.unroute("**/say/")
    live(maya)
    maya.reload()
    live(maya)
    jun = windows.open(f"/desk/c/{number}/", login="jun")
    expect(jun.locator("#items .from-agent .said")).to_have_text(["one", "two"])
    maya.goto(f"/desk/c/{number}/")
    expect(maya.locator("#items .from-agent .said")).to_have_text(["one", "two"])
    expect(maya.locator("#outgoing .outgoing")).to_have_count(0)
    windows.complaints.clear()


def test_an_answer_that_is_lost_on_the_way_doubles_nothing(windows: Windows, server: Server) -> None:
    maya, _, _ = cut(windows, server, "outage-answer")

    def lose(route: Any) -> None:
        route.fetch()  # the server has it
        route.abort()

    maya.route("**/say/", lose, times=2)
    send(maya, "said once")
    expect(said(maya, "said once")).to_have_count(1)
    expect(maya.locator("#outgoing .outgoing")).to_have_count(0)
    send(maya, "and then")
    expect(maya.locator("#items .message.mine .said")).to_have_text(["said once", "and then"])
    windows.complaints.clear()


def test_what_the_server_refuses_says_why_and_goes_back_into_the_composer(windows: Windows, server: Server) -> None:
    maya, line, number = cut(windows, server, "outage-refused")
    jun = windows.open(f"/desk/c/{number}/", login="jun")
    line.cut()
    send(maya, "I shall send you another one.")
    send(maya, "Is that all right?")
    jun.locator("#act-grab summary").click()
    jun.fill("#reason-grab", "Maya is away")
    jun.press("#reason-grab", "Enter")
    expect(jun.locator("#head .pill")).to_contain_text("You are serving")
    line.mend()
    first, second = outgoing(maya, "another one"), outgoing(maya, "all right")
    expect(first).to_contain_text("Not sent: Jun has taken this conversation.")
    expect(second).to_contain_text("Not sent: What was to be said before it was not sent.")
    expect(said(jun, "another one")).to_have_count(0)
    maya.reload()
    live(maya)
    expect(first).to_contain_text(
        "Not sent: Jun has taken this conversation."
    )  # it waits for a decision, also over a reload
    second.get_by_role("button", name="Back into the composer").click()
    expect(maya.locator("#content")).to_have_value("Is that all right?")
    expect(maya.locator("#content")).to_be_focused()
    expect(second).to_have_count(0)
    first.get_by_role("button", name="Try again").click()
    expect(first).to_have_attribute("data-state", "refused")
    jun.locator("#act-release summary").click()
    jun.locator("#act-release button").click()
    maya.locator("#lock").get_by_role("button", name="Take it over").click()
    expect(maya.locator("#head .pill")).to_contain_text("You are serving")
    first.get_by_role("button", name="Try again").click()
    expect(said(maya, "another one")).to_have_count(1)
    expect(first).to_have_count(0)
    windows.complaints.clear()


def test_try_now_does_not_wait_for_the_next_try(windows: Windows, server: Server) -> None:
    maya, line, _ = cut(windows, server, "outage-now")
    line.cut()
    bar = maya.locator("#connection-bar")
    button = bar.get_by_role("button", name="Try now")
    expect(bar).to_contain_text(re.compile(r"Reconnecting in \d+\s*s"))
    word = maya.locator("#connection .word").inner_text()
    assert not re.search(r"\d", word), "what is announced does not count"
    line.mend()
    if button.is_visible():
        button.click()
    live(maya)
    expect(bar).to_be_hidden()
    windows.complaints.clear()


def test_what_is_seen_is_said_to_be_old_after_a_while(windows: Windows, server: Server) -> None:
    number = server.stage("hears", "outage-stale", "hello")
    maya = windows.open("/desk/")
    maya.clock.install()
    line = Line(maya)
    maya.goto("/login/")
    maya.fill("#id_username", "maya")
    maya.fill("#id_password", "demo")
    maya.click("button.wide")
    maya.goto(f"/desk/c/{number}/")
    live(maya)
    line.cut()
    expect(maya.locator("#connection")).to_have_attribute("data-state", "reconnecting")
    maya.clock.run_for(150_000)
    expect(maya.locator("#connection")).to_have_attribute("data-state", "stale")
    expect(maya.locator("#connection-bar")).to_contain_text("What you see is as of 2m ago.")
    expect(maya.locator("#connection .word")).to_have_text("What you see may be out of date")
    windows.complaints.clear()


def test_a_burst_of_hints_costs_at_most_two_requests_a_second(windows: Windows, server: Server) -> None:
    maya = serve(windows, server, "burst")
    asked: list[str] = []

    def note(request: Request) -> None:
        if re.search(r"/(list|news)/", request.url):
            asked.append(request.url)

    maya.on("request", note)
    began = time.monotonic()
    server.stage("hears", "burst", *(f"quick {place}" for place in range(60)))
    expect(said(maya, "quick")).to_have_count(60)
    expect(maya.locator(".row .preview", has_text="quick 59")).to_be_visible()
    number, took = len(asked), time.monotonic() - began
    assert number <= 2 * took + 2, (number, took)
    assert [url for url in asked if "/news/" in url and "list=1" not in url] == [], "the list comes with the news"
