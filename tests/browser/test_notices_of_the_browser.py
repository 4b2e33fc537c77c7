"""What calls an agent back to a desk that is out of sight: sounds, notices, the title's count and the icon's dot."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Server, Windows, until

pytestmark = pytest.mark.browser

OFFERED, MINE, UNREAD = [660, 880, 660, 880], [523, 659, 784], [988]

# Headless browsers have no other window to go to, no ears and no screen: the page is told that it is hidden, and what it
# would sound and show is written down.
RECORD = """() => {
  window.heard = [];
  window.shown = [];
  window.asked = 0;
  window.AudioContext = class extends AudioContext {
    createOscillator() {
      const made = super.createOscillator();
      made.start = new Proxy(made.start, { apply: (start, self, at) => {
        window.heard.push(self.frequency.value);
        return Reflect.apply(start, self, at);
      }});
      return made;
    }
  };
  window.Notification = class {
    static permission = "default";
    static async requestPermission() { window.asked += 1; return (this.permission = "granted"); }
    constructor(title, { body, tag }) { window.shown.push({ title, body, tag, made: this }); }
    close() {}
  };
}"""
HIDE = """(state) => {
  Object.defineProperty(document, "visibilityState", { configurable: true, get: () => state });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
HEARD = "() => window.heard"
SHOWN = "() => window.shown.map(({ title, body }) => [title, body])"


def hide(page: Page) -> None:
    page.evaluate(HIDE, "hidden")


def show(page: Page) -> None:
    page.evaluate(HIDE, "visible")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of its own: here what waits is offered to whoever is available, with minutes to answer."""
    push = "from agents_app.models import Tenant; Tenant.objects.update(assignment='push', policies={'offer_timeout': 600})"
    server = Server(tmp_path_factory.mktemp("notices"), first=push)
    yield server
    server.close()


def desk(windows: Windows, path: str = "/desk/?view=resolved", login: str = "maya") -> Page:
    """A desk whose list shows none of what happens."""
    page = windows.open(path, login=login)
    page.evaluate(RECORD)
    return page


def declare(page: Page, word: str) -> None:
    page.locator("#presence summary").click()
    page.locator(f"#presence button[value={word}]").click()
    expect(page.locator("#presence > summary")).to_have_attribute("data-availability", word)


def serve(page: Page, server: Server, account: str) -> str:
    number = server.stage("hears", account, "hello", "human please")
    page.goto(f"/desk/c/{number}/?view=resolved")
    page.wait_for_selector("#connection[data-state=live]")
    page.evaluate(RECORD)
    page.locator("#act-accept button").click()
    expect(page.locator("#head .pill")).to_contain_text("You are serving")
    expect(page.locator("#alert-data")).to_have_attribute("data-mine", re.compile(f"(^|,){number}:"))
    return number


def until_heard(page: Page, pitches: list[int]) -> None:
    until(page, "wanted => JSON.stringify(window.heard) === JSON.stringify(wanted)", pitches)


def test_permission_is_asked_for_at_the_first_available_and_not_before(windows: Windows, server: Server) -> None:
    maya = desk(windows)
    declare(maya, "busy")
    assert maya.evaluate("window.asked") == 0
    declare(maya, "available")
    until(maya, "window.asked === 1")
    maya.evaluate("Notification.permission = 'default'")  # it was only waved away
    declare(maya, "offline")
    declare(maya, "available")
    assert maya.evaluate("window.asked") == 1
    maya.get_by_role("button", name="Sounds and notices").click()
    maya.get_by_role("button", name="Allow").click()
    until(maya, "window.asked === 2")
    expect(maya.get_by_role("button", name="Allow")).to_be_hidden()
    maya.keyboard.press("Escape")
    declare(maya, "offline")


def test_a_message_sounds_while_the_desk_is_hidden_and_counts_in_the_title(windows: Windows, server: Server) -> None:
    jun = desk(windows, login="jun")  # of whom nothing else is left unread here
    serve(jun, server, "heard")
    icon = jun.locator("link[rel=icon]")
    expect(icon).to_have_attribute("href", re.compile(r"/tandem\.svg$"))
    server.stage("hears", "heard", "while you look")
    expect(jun.locator("#items .said", has_text="while you look")).to_be_visible()
    assert jun.evaluate(HEARD) == []
    hide(jun)
    jun.evaluate("Notification.permission = 'granted'")
    server.stage("hears", "heard", "are you there?")
    until_heard(jun, UNREAD)
    expect(jun).to_have_title("(1) heard · Tandem")
    expect(icon).to_have_attribute("href", re.compile(r"/tandem-dot\.svg$"))
    assert jun.evaluate(SHOWN) == [["A customer has written to you", ""]]
    server.stage("hears", "heard", "hello?")
    until_heard(jun, UNREAD * 2)
    show(jun)  # the end of it is before the agent's eyes: it is read
    server.stage("hears", "heard", "there you are")
    expect(jun).to_have_title("heard · Tandem")
    expect(icon).to_have_attribute("href", re.compile(r"/tandem\.svg$"))
    assert jun.evaluate(HEARD) == UNREAD * 2


def test_an_offer_sounds_otherwise_and_names_the_customer_where_the_list_does(windows: Windows, server: Server) -> None:
    maya = desk(windows, "/desk/?view=all")
    declare(maya, "available")
    hide(maya)
    number = server.stage("hears", "offered", "hello", "human please")
    until_heard(maya, OFFERED)
    assert maya.evaluate(SHOWN) == [["A conversation is offered to you", "offered"]]
    expect(maya).to_have_title(re.compile(r"^\(1\) "))
    maya.evaluate("window.shown[0].made.onclick()")
    expect(maya.locator("#thread")).to_have_attribute("data-conversation", number)
    show(maya)
    declare(maya, "offline")


def test_what_becomes_somebodys_own_by_another_way_sounds_for_that_one_alone(windows: Windows, server: Server) -> None:
    maya, jun = desk(windows), desk(windows, login="jun")
    number = server.stage("hears", "given", "hello")
    hide(maya)
    hide(jun)
    server.manage(
        "shell",
        "-c",
        "from agents_app.actors import agent_actor; from agents_app.models import Agent;"
        "from sessions_app.actions import takeovers;"
        f"takeovers.take_over(actor=agent_actor(Agent.objects.get(name='Maya')), conversation_id={number})",
    )
    until_heard(maya, MINE)
    assert jun.evaluate(HEARD) == []


def test_one_tab_of_several_plays_and_none_while_one_is_in_sight(windows: Windows, server: Server) -> None:
    first = desk(windows)
    number = serve(first, server, "tabs")
    second = first.context.new_page()
    second.goto("/desk/?view=resolved")
    second.wait_for_selector("#connection[data-state=live]")
    second.evaluate(RECORD)
    hide(first)
    server.stage("hears", "tabs", "one tab is in sight")
    for page in (first, second):
        expect(page.locator("#alert-data")).to_have_attribute("data-unread", re.compile(f"(^|,){number}:"))
    assert [page.evaluate(HEARD) for page in (first, second)] == [[], []]
    hide(second)
    server.stage("hears", "tabs", "none is")
    until_heard(first, UNREAD)
    expect(second.locator("#alert-data")).to_have_attribute(
        "data-unread", str(first.locator("#alert-data").get_attribute("data-unread"))
    )
    assert second.evaluate(HEARD) == []
    first.close()  # the other one takes its place
    until(second, "async () => (await navigator.locks.query()).held.some(({ name }) => /leads/.test(name))")
    server.stage("hears", "tabs", "and now?")
    until_heard(second, UNREAD)


def test_each_sound_can_be_muted_and_tried(windows: Windows, server: Server) -> None:
    maya = desk(windows)
    serve(maya, server, "muted")
    maya.get_by_role("button", name="Sounds and notices").click()
    maya.get_by_role("button", name="Listen: an offer").click()
    until_heard(maya, OFFERED)
    maya.get_by_role("checkbox", name="A message in a conversation of yours").uncheck()
    maya.keyboard.press("Escape")
    hide(maya)
    maya.evaluate("window.heard.length = 0; Notification.permission = 'granted'")
    server.stage("hears", "muted", "are you there?")
    until(maya, "window.shown.length === 1")  # it is shown, and not heard
    assert maya.evaluate(HEARD) == []
    show(maya)
    maya.reload()
    maya.wait_for_selector("#connection[data-state=live]")
    maya.get_by_role("button", name="Sounds and notices").click()
    expect(maya.get_by_role("checkbox", name="A message in a conversation of yours")).not_to_be_checked()
    expect(maya.get_by_role("checkbox", name="An offer")).to_be_checked()


def test_a_customers_name_that_looks_like_a_count_is_left_as_it_is(windows: Windows, server: Server) -> None:
    number = server.stage("hears", "(2) Bob", "hello")
    sam = desk(windows, f"/desk/c/{number}/", login="sam")  # whom nothing calls
    expect(sam).to_have_title("(2) Bob · Tandem")
