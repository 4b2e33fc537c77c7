"""A day in one script: a customer, two agents, a supervisor and a guest, each in a browser of their own.

By mouse alone and by keyboard alone; in one process on SQLite, and grown: PostgreSQL, Redis, two web processes, a relay,
a worker and a beat. Maya and the supervisor are at one web process, Jun and the customer at the other.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import ROOT, Server, Windows, hears_nothing
from tests.races.servers import Server as DatabaseServer
from tests.races.servers import server_url

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]


# --- Where it runs -----------------------------------------------------------------------------------------------


class Grown:
    """The processes of docs/operations.md, each as anybody would start it."""

    def __init__(self, folder: Any, database: str, redis: str) -> None:
        self.one = Server(folder, DATABASE_URL=database, REDIS_URL=redis)
        self.other = self.one.beside()
        environment = self.one.env | {"PYTHONWARNINGS": "ignore"}
        celery = [sys.executable, "-m", "celery", "-A", "config"]
        commands = (
            [*celery, "worker", "--concurrency", "1", "--loglevel", "warning"],
            [*celery, "beat", "--loglevel", "warning", "--schedule", str(folder / "beat")],
            [sys.executable, "manage.py", "relay"],
        )
        self._beside = [subprocess.Popen(command, cwd=ROOT, env=environment) for command in commands]

    def close(self) -> None:
        for process in self._beside:
            process.send_signal(signal.SIGTERM)
        for process in self._beside:
            process.wait(timeout=30)
        self.other.stop()
        self.one.close()


@pytest.fixture(scope="module", params=["embedded", "grown"])
def servers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, Server]]:
    folder = tmp_path_factory.mktemp("circle")
    if request.param == "embedded":
        alone = Server(folder)
        yield alone, alone
        alone.close()
        return
    redis = urlsplit(os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/0"))._replace(path="/7").geturl()
    with DatabaseServer(server_url("TEST_POSTGRES_URL")).database(f"circle_{os.getpid()}") as database:
        grown = Grown(folder, database, redis)
        yield grown.one, grown.other
        grown.close()


@pytest.fixture
def here(chromium: Browser, servers: tuple[Server, Server]) -> Iterator[Windows]:
    windows = Windows(chromium, servers[0])
    yield windows
    windows.close()


@pytest.fixture
def there(chromium: Browser, servers: tuple[Server, Server]) -> Iterator[Windows]:
    windows = Windows(chromium, servers[1])
    yield windows
    windows.close()


# --- By what -----------------------------------------------------------------------------------------------------


class Mouse:
    """Points and clicks; types words only."""

    def come(self, page: Page) -> None:
        page.locator("#presence summary").click()
        page.get_by_role("button", name="Available", exact=True).click()

    def find(self, page: Page, account: str) -> None:
        page.locator("#list .row", has_text=account).click()

    def press(self, page: Page, verb: str, reason: str = "") -> None:
        act = self._opened(page, verb)
        if reason:
            act.locator("[name=reason]").click()
            page.keyboard.type(reason)
        if act.evaluate("one => one.matches('details')"):
            act.locator("form button").click()
        else:
            act.locator("button").click()

    def _opened(self, page: Page, verb: str) -> Locator:
        act = page.locator(f"#act-{verb}")
        expect(act).to_have_count(1)
        if act.evaluate("one => Boolean(one.closest('#act-more'))"):
            page.locator("#act-more > summary").click()
        if act.evaluate("one => one.matches('details')"):
            act.locator("summary").click()
        return act

    def say(self, page: Page, text: str, mode: str = "reply") -> None:
        page.locator(f".modes label:has([value={mode}])").click()
        page.locator("#content").click()
        page.keyboard.type(text)
        page.locator("#composer .send").click()

    def transfer(self, page: Page, to: str, reason: str) -> None:
        act = self._opened(page, "transfer")
        option = act.locator("option", has_text=to).get_attribute("value")
        act.locator("select").select_option(option)
        act.locator("[name=reason]").click()
        page.keyboard.type(reason)
        act.get_by_role("button", name="Transfer").click()

    def decline(self, page: Page, account: str, reason: str) -> None:
        card = page.locator("#offers .offer", has_text=account)
        card.locator("summary").click()
        card.locator("[name=reason]").click()
        page.keyboard.type(reason)
        card.locator(".decline button").click()

    def accept(self, page: Page, account: str) -> None:
        page.locator("#offers .offer", has_text=account).get_by_role("button", name="Accept").click()

    def invite_colleague(self, page: Page, name: str) -> None:
        fold = page.locator("#fold-colleague")
        fold.locator("summary").click()
        option = fold.locator("option", has_text=name).get_attribute("value")
        fold.locator("select").select_option(option)
        fold.locator("form button").click()

    def invite(self, page: Page, name: str) -> None:
        page.locator("#fold-invite summary").click()
        page.locator("#invite-name").click()
        page.keyboard.type(name)
        page.locator("#fold-invite form button").click()

    def join(self, page: Page) -> None:
        page.get_by_role("button", name="Join").click()

    def chat(self, page: Page, text: str) -> None:
        page.locator("#content").click()
        page.keyboard.type(text)
        page.locator("#composer .send").click()


class Keys:
    """Never touches the mouse: shortcuts, the command bar, Tab and Enter."""

    SHORTCUTS = {
        "accept": "Alt+t",
        "take-over": "Alt+t",
        "take": "Alt+t",
        "grab": "Alt+g",
        "release": "Alt+r",
        "resolve": "Alt+e",
        "resolve-next": "Control+Alt+e",
    }

    def come(self, page: Page) -> None:
        self._tab(page, page.locator("#presence summary"))
        page.keyboard.press("Enter")
        self._tab(page, page.get_by_role("button", name="Available", exact=True))
        page.keyboard.press("Enter")

    def find(self, page: Page, account: str) -> None:
        self._bar(page, account, page.locator("#command-options [role=option]", has_text=account))

    def _bar(self, page: Page, text: str, found: Locator) -> None:
        page.keyboard.press("Control+k")
        expect(page.locator("#command-field")).to_be_focused()
        page.keyboard.type(text)
        expect(found.first).to_have_attribute("aria-selected", "true")
        page.keyboard.press("Enter")
        expect(page.locator("#command")).to_be_hidden()

    def _act(self, page: Page, label: str) -> None:
        self._bar(page, label, page.locator("#command-options [role=option]", has_text=label))

    def _tab(self, page: Page, target: Locator) -> None:
        """By Tab alone, and in fewer steps than anybody would give up after."""
        for _ in range(80):
            if target.evaluate("one => one === document.activeElement"):
                return
            page.keyboard.press("Tab")
        raise AssertionError(f"Tab does not lead to {target}")

    def press(self, page: Page, verb: str, reason: str = "") -> None:
        act = page.locator(f"#act-{verb}")
        expect(act).to_have_count(1)
        page.keyboard.press(self.SHORTCUTS[verb])
        if act.evaluate("one => one.matches('details')"):
            expect(act.locator("[name=reason]")).to_be_focused()
            page.keyboard.type(reason)
            page.keyboard.press("Enter")

    def say(self, page: Page, text: str, mode: str = "reply") -> None:
        page.keyboard.press("Alt+l" if mode == "reply" else "Alt+p")
        expect(page.locator("#content")).to_be_focused()
        page.keyboard.type(text)
        page.keyboard.press("Enter")

    def transfer(self, page: Page, to: str, reason: str) -> None:
        self._act(page, "Transfer")
        select = page.locator("#act-transfer select")
        expect(select).to_be_focused()
        page.keyboard.type(to)
        page.keyboard.press("Tab")
        page.keyboard.type(reason)
        page.keyboard.press("Enter")

    def decline(self, page: Page, account: str, reason: str) -> None:
        card = page.locator("#offers .offer", has_text=account)
        self._tab(page, card.locator("summary"))
        page.keyboard.press("Enter")
        expect(card.locator("[name=reason]")).to_be_focused()
        page.keyboard.type(reason)
        page.keyboard.press("Enter")

    def accept(self, page: Page, account: str) -> None:
        card = page.locator("#offers .offer", has_text=account)
        self._tab(page, card.get_by_role("button", name="Accept"))
        page.keyboard.press("Enter")

    def invite_colleague(self, page: Page, name: str) -> None:
        self._act(page, "Invite a colleague")
        expect(page.locator("#invite-agent")).to_be_focused()
        page.keyboard.type(name)
        self._tab(page, page.locator("#fold-colleague form button"))
        page.keyboard.press("Enter")

    def invite(self, page: Page, name: str) -> None:
        self._act(page, "Invite somebody else")
        expect(page.locator("#invite-name")).to_be_focused()
        page.keyboard.type(name)
        page.keyboard.press("Enter")

    def join(self, page: Page) -> None:
        self._tab(page, page.get_by_role("button", name="Join"))
        page.keyboard.press("Enter")

    def chat(self, page: Page, text: str) -> None:
        self._tab(page, page.locator("#content"))
        page.keyboard.type(text)
        page.keyboard.press("Enter")


# --- The day -----------------------------------------------------------------------------------------------------


def said(page: Page, text: str) -> Locator:
    return page.locator("#items .said", has_text=text)


def serves(page: Page, who: str) -> None:
    expect(page.locator("#head .pill")).to_contain_text(who)


@pytest.mark.parametrize("by", [Mouse, Keys])
def test_a_whole_day_at_the_desk(
    here: Windows, there: Windows, servers: tuple[Server, Server], by: Callable[[], Mouse | Keys]
) -> None:
    hand = by()
    shopper = there.open("/try-it/")
    maya = here.open("/desk/?view=all", login="maya")
    jun = there.open("/desk/?view=all", login="jun")
    sam = here.open("/desk/?view=all", login="sam")

    for agent in (maya, jun, sam):
        hand.come(agent)
        expect(agent.locator("#presence summary")).to_have_attribute("data-availability", "available")

    # The bot answers; Maya takes over from it.
    hand.chat(shopper, "How much is the kettle?")
    expect(said(shopper, "The blue kettle is 90.00")).to_be_visible()
    number = str(shopper.locator("#chat").get_attribute("data-conversation"))
    row = maya.locator(f"#list .row[data-conversation='{number}']")
    expect(row).to_be_visible()
    account = row.locator(".who").inner_text()
    hand.find(maya, account)
    serves(maya, "Bot is speaking")
    hand.press(maya, "take-over")
    serves(maya, "You are serving")
    expect(shopper.locator("#status")).to_contain_text("Maya")
    hand.say(maya, "Hello, I am Maya.")
    expect(said(shopper, "Hello, I am Maya.")).to_be_visible()
    hand.say(maya, "between colleagues", "note")

    # Handed to Jun, who declines; again, and Jun accepts.
    hand.transfer(maya, "Jun", "knows kettles")
    card = jun.locator("#offers .offer", has_text=account)
    expect(card).to_contain_text("knows kettles")
    hand.decline(jun, account, "at lunch")
    expect(card).to_have_count(0)
    serves(maya, "You are serving")
    expect(maya.locator("#items .event", has_text="at lunch")).to_be_visible()
    hand.transfer(maya, "Jun", "after lunch")
    expect(card).to_be_visible()
    hand.accept(jun, account)
    serves(jun, "You are serving")
    serves(maya, "Jun is serving")
    expect(jun.locator(".message.note", has_text="between colleagues")).to_be_visible()

    # Handed back, and nobody answers in time.
    hand.transfer(jun, "Maya", "my shift ends")
    expect(maya.locator("#offers .offer", has_text=account)).to_be_visible()
    servers[0].stage("time_is_up", number)
    expect(maya.locator("#offers .offer", has_text=account)).to_have_count(0)
    serves(jun, "You are serving")

    # The supervisor grabs it, with a reason that everybody sees.
    hand.find(sam, account)
    serves(sam, "Jun is serving")
    hand.press(sam, "grab", "the customer is a friend")
    serves(sam, "You are serving")
    serves(jun, "Sam is serving")
    expect(jun.locator("#items .event", has_text="the customer is a friend")).to_be_visible()

    # A colleague and a guest are invited; all of them are read by the customer.
    hand.invite_colleague(sam, "Jun")
    expect(jun.locator("#head .with, #people")).to_contain_text(["Jun"])
    hand.invite(sam, "Gus")
    link = sam.locator("#once input")
    expect(link).to_be_visible()
    gus = there.open(urlsplit(link.input_value()).path)
    hand.join(gus)
    gus.wait_for_url("**/joined/**")
    hand.chat(gus, "It is in stock, says the guest.")
    for page in (shopper, sam, jun):
        expect(said(page, "It is in stock, says the guest.")).to_be_visible()
    hand.say(jun, "I help, says Jun.")
    for page in (shopper, sam, gus):
        expect(said(page, "I help, says Jun.")).to_be_visible()
    expect(said(gus, "between colleagues")).to_have_count(0)
    expect(said(shopper, "between colleagues")).to_have_count(0)

    # Back to the bot: the guest's chat ends, and the bot answers.
    hand.press(sam, "release", "agreed on 80")
    serves(sam, "Bot is speaking")
    hand.chat(shopper, "thanks")
    expect(said(shopper, "You are welcome.")).to_be_visible()

    # A human is wanted again; two reach for it, and the slower one is told who was first.
    hand.chat(shopper, "human please")
    serves(jun, "Waiting for a human")
    serves(maya, "Waiting for a human")
    with hears_nothing(jun):
        hand.press(maya, "accept")
        serves(maya, "You are serving")
        hand.press(jun, "accept")
        expect(jun.locator("#toasts")).to_contain_text("Maya has taken this conversation.")

    # Done; and on to the next one.
    waiting = f"following-{by.__name__}"
    following = servers[0].stage("hears", waiting, "hello", "human please")
    expect(maya.locator(f"#list .row[data-conversation='{following}']")).to_be_visible()
    hand.press(maya, "resolve-next", "sold")
    expect(maya.locator(f"#thread:not([data-conversation='{number}'])")).to_be_visible()
    expect(shopper.locator("#status")).not_to_contain_text("Maya")
    hand.find(maya, waiting)
    serves(maya, "Waiting for a human")
    hand.press(maya, "accept")
    serves(maya, "You are serving")
    hand.press(maya, "resolve", "done")
    expect(maya.locator("#head .pill")).not_to_contain_text("You are serving")
    # What nobody but the person itself saw fail: the requests that were cut off, and the refusal of the slower one.
    assert [c for c in here.complaints + there.complaints if "Failed to load resource" not in c] == []
