"""The desk and the try-it page in real browsers: the circle, following along, drafts, and what must not run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import ROOT, Server, Windows, hears_nothing

pytestmark = pytest.mark.browser


def say(page: Page, text: str) -> None:
    page.fill("#content", text)
    page.press("#content", "Enter")
    expect(page.locator("#content")).to_have_value("")
    expect(page.locator("#outgoing .outgoing")).to_have_count(0)  # it has arrived


def said(page: Page, text: str) -> Any:
    return page.locator("#items .said", has_text=text)


def open_row(page: Page, text: str) -> None:
    page.locator(".row", has_text=text).first.click()
    expect(page.locator("#thread")).to_be_visible()


def test_the_whole_circle_and_a_second_desk_follows(windows: Windows) -> None:
    customer = windows.open("/try-it/")
    maya = windows.open("/desk/?view=queue", login="maya")
    jun = windows.open("/desk/?view=all", login="jun")
    say(customer, "How much is the kettle?")
    expect(said(customer, "The blue kettle is 90.00")).to_be_visible()
    say(customer, "human please")
    expect(customer.locator("#status")).to_contain_text("Waiting for a human")
    row = maya.locator(".row", has_text="human please")
    expect(row).to_be_visible()
    who = row.locator(".who").inner_text()
    expect(jun.locator(".row", has_text=who)).to_contain_text("waits")
    row.click()
    open_row(jun, who)

    maya.locator("#head").get_by_role("button", name="Accept").click()
    expect(maya.locator("#head .pill")).to_contain_text("You are serving")
    expect(jun.locator("#head .pill")).to_contain_text("Maya is serving")
    expect(customer.locator("#status")).to_contain_text("Maya")

    say(maya, "Hello, I am Maya.")
    expect(said(jun, "Hello, I am Maya.")).to_be_visible()
    expect(said(customer, "Hello, I am Maya.")).to_be_visible()
    expect(maya.locator(".message.mine", has_text="Hello, I am Maya.")).to_be_visible()
    expect(jun.locator(".message.mine")).to_have_count(0)
    maya.get_by_role("radio", name="Private note").check()
    say(maya, "between colleagues")
    expect(jun.locator(".message.note", has_text="between colleagues")).to_be_visible()
    say(customer, "Can you do 80?")
    expect(said(maya, "Can you do 80?")).to_be_visible()
    expect(said(customer, "between colleagues")).to_have_count(0)

    maya.locator("#act-release summary").click()
    maya.fill("#reason-release", "agreed on 80")
    maya.press("#reason-release", "Enter")
    expect(maya.locator("#head .pill")).to_contain_text("Bot is speaking")
    expect(jun.locator("#head .pill")).to_contain_text("Bot is speaking")
    expect(customer.locator("#status")).to_contain_text("bot")
    say(customer, "thanks")
    expect(said(customer, "You are welcome.")).to_be_visible()
    expect(said(jun, "You are welcome.")).to_be_visible()


def test_the_loser_of_a_race_is_told_who_won(windows: Windows, server: Server) -> None:
    number = server.stage("hears", "race", "hello", "human please")
    maya = windows.open(f"/desk/c/{number}/", login="maya")
    jun = windows.open(f"/desk/c/{number}/", login="jun")
    with hears_nothing(jun):
        expect(jun.locator("#head").get_by_role("button", name="Accept")).to_be_visible()
        maya.locator("#head").get_by_role("button", name="Accept").click()
        expect(maya.locator("#head .pill")).to_contain_text("You are serving")
        jun.locator("#head").get_by_role("button", name="Accept").click()
        expect(jun.locator("#toasts")).to_contain_text("Maya has taken this conversation.")
        expect(jun.locator("#head .pill")).to_contain_text("Maya is serving")
    windows.complaints.clear()  # the requests that were cut off, and the refusal itself


def test_what_is_typed_is_never_touched(windows: Windows, server: Server) -> None:
    number = server.stage("hears", "draft", "hello", "human please")
    maya = windows.open(f"/desk/c/{number}/", login="maya")
    maya.locator("#head").get_by_role("button", name="Accept").click()
    expect(maya.locator("#head .pill")).to_contain_text("You are serving")
    maya.locator("#content").press_sequentially("half a sen")
    maya.locator("#act-release summary").click()
    maya.locator("#reason-release").press_sequentially("the bot should")
    for number_of in range(3):
        server.stage("hears", "draft", f"are you there {number_of}?")
    expect(said(maya, "are you there 2?")).to_be_visible()
    expect(maya.locator("#content")).to_have_value("half a sen")
    expect(maya.locator("#reason-release")).to_have_value("the bot should")
    expect(maya.locator("#reason-release")).to_be_focused()
    maya.locator("#content").press_sequentially("tence")
    maya.get_by_role("radio", name="Private note").check()
    expect(maya.locator("#content")).to_have_value("")
    maya.locator("#content").press_sequentially("a note")
    maya.reload()
    expect(maya.locator("#content")).to_have_value("half a sentence")
    maya.get_by_role("radio", name="Private note").check()
    expect(maya.locator("#content")).to_have_value("a note")


def test_enter_respects_an_input_method(windows: Windows, server: Server) -> None:
    number = server.stage("hears", "ime", "你好")
    maya = windows.open(f"/desk/c/{number}/", login="maya")
    maya.get_by_role("radio", name="Private note").check()
    maya.fill("#content", "ni hao")
    maya.evaluate(
        """() => document.getElementById("content").dispatchEvent(
            new KeyboardEvent("keydown", {key: "Enter", isComposing: true, bubbles: true, cancelable: true}))"""
    )
    maya.press("#content", "Shift+Enter")
    expect(maya.locator("#content")).to_have_value("ni hao\n")
    maya.press("#content", "Enter")
    expect(maya.locator(".message.note")).to_have_count(1)


def test_a_reader_who_has_scrolled_up_stays_there(windows: Windows, server: Server) -> None:
    number = server.stage("hears", "long", *(f"question number {n}" for n in range(40)))
    maya = windows.open(f"/desk/c/{number}/", login="maya")
    log = maya.locator("#log")
    assert log.evaluate("box => box.scrollHeight - box.scrollTop - box.clientHeight") < 5
    log.evaluate("box => box.scrollTo(0, 200)")
    server.stage("hears", "long", "the newest question")
    expect(maya.locator("#to-end")).to_be_visible()
    assert log.evaluate("box => box.scrollTop") == 200
    maya.locator("#to-end").click()
    expect(maya.locator("#to-end")).to_be_hidden()
    log.evaluate("box => box.scrollTo(0, 0)")  # whoever rests there reads on: a click would race that
    expect(said(maya, "question number 0")).to_have_count(2)
    expect(maya.locator("#earlier")).to_have_count(0)


def test_after_the_server_was_away_everything_is_caught_up_with(windows: Windows, server: Server) -> None:
    number = server.stage("hears", "outage", "hello")
    maya = windows.open(f"/desk/c/{number}/", login="maya")
    with server.away() as code:
        expect(maya.locator("#connection")).to_have_attribute("data-state", "reconnecting")
        maya.get_by_role("radio", name="Private note").check()
        maya.fill("#content", "written meanwhile")
        maya.press("#content", "Enter")
        expect(maya.locator("#content")).to_have_value("")
        expect(maya.locator("#outgoing .note", has_text="written meanwhile")).to_contain_text(
            "Waits for the connection"
        )
        server.stage("hears", "outage", "did you get this?")
    expect(maya.locator("#connection")).to_have_attribute("data-state", "live")
    expect(said(maya, "did you get this?").first).to_be_visible()
    expect(maya.locator("#items .note", has_text="written meanwhile")).to_have_count(1)  # it went out by itself
    expect(maya.locator("#outgoing .note")).to_have_count(0)
    maya.reload()
    expect(maya.locator(".message.note", has_text="written meanwhile")).to_have_count(1)
    assert code == 0, "it ended by itself when it was told to"
    windows.complaints.clear()  # the browser complains of the requests that failed


def test_the_keyboard_is_enough(windows: Windows, server: Server) -> None:
    server.stage("hears", "keys-1", "hello", "human please")
    server.stage("hears", "keys-2", "hello", "human please")
    maya = windows.open("/desk/?view=queue", login="maya")
    maya.locator(".row").first.focus()
    maya.keyboard.press("ArrowDown")
    second = maya.locator(".row").nth(1)
    expect(second).to_be_focused()
    maya.keyboard.press("Enter")
    expect(maya.locator("#content")).to_be_focused()
    expect(maya.locator(".row[aria-current=true]")).to_have_count(1)
    assert "/desk/c/" in maya.url
    maya.go_back()
    expect(maya.locator("#thread")).to_have_count(0)


def test_without_scripts_the_circle_goes_round_too(windows: Windows, server: Server) -> None:
    number = server.stage("hears", "plain", "hello", "human please")
    maya = windows.open("/login/", java_script_enabled=False)
    maya.fill("#id_username", "maya")
    maya.fill("#id_password", "demo")
    maya.click("button.wide")
    maya.goto(f"/desk/c/{number}/")
    maya.locator("#head").get_by_role("button", name="Accept").click()
    maya.fill("#content", "Hello by plain form.")
    maya.get_by_role("button", name="Send").click()
    expect(said(maya, "Hello by plain form.")).to_have_count(1)
    maya.locator("#act-release summary").click()
    maya.locator("#act-release button").click()
    expect(maya.locator("#head .pill")).to_contain_text("Bot is speaking")


def test_one_pane_at_a_time_on_a_small_screen(windows: Windows, server: Server) -> None:
    server.stage("hears", "small", "hello", "human please")
    maya = windows.open("/desk/?view=queue", login="maya", viewport={"width": 390, "height": 800})
    expect(maya.locator("#pane")).to_be_hidden()
    maya.locator(".row").first.click()
    expect(maya.locator("#thread")).to_be_visible()
    expect(maya.locator(".list")).to_be_hidden()
    expect(maya.locator("#side .facts").first).to_be_hidden()
    width = maya.evaluate("document.documentElement.scrollWidth")
    assert width <= 390
    maya.locator("#head .back").click()
    expect(maya.locator(".list")).to_be_visible()


PAYLOADS = Path(__file__).with_name("payloads.txt")
"""Our own, beside those of `../shared/data/xss.txt`: each a line."""
ALIEN = ", ".join(
    f"{place} {element}"
    for place in ("#items", "#list", "#head", "#side", "#package")
    for element in (
        "script",
        "img",
        "iframe",
        "object",
        "embed",
        "style",
        "meta",
        "base",
        "[onerror]",
        "[onload]",
        "div[hx-get]",
    )
)


def test_nothing_a_customer_writes_is_run(windows: Windows, server: Server, tmp_path: Path) -> None:
    payloads = PAYLOADS.read_text(encoding="utf-8").splitlines()
    assert len(payloads) >= 60
    shared = ROOT.parent / "shared" / "data" / "xss.txt"
    if shared.exists():
        payloads += [line for line in shared.read_text(encoding="utf-8").split("\n") if line.strip()]
    file = tmp_path / "payloads.txt"
    file.write_text("\n".join(payloads), encoding="utf-8")
    number = server.stage("nasty", str(file))
    maya = windows.open(f"/desk/c/{number}/?view=all", login="maya")
    while maya.locator("#earlier").count():  # every page of it
        maya.locator("#log").evaluate("box => box.scrollTo(0, 0)")
        maya.wait_for_timeout(200)
    for payload in payloads[:3]:
        expect(said(maya, payload).first).to_be_attached()
    customer = windows.open("/try-it/")
    for payload in payloads[::10]:
        say(customer, payload)
        expect(customer.locator("#items .from-customer")).not_to_have_count(0)
    server.stage("hears", "nasty", *payloads[:8])  # by way of the live update too
    expect(said(maya, payloads[7]).last).to_be_visible()
    for _ in range(3):  # what a reader opens
        with maya.expect_response(f"**/desk/c/{number}/?*"):  # opened again before it is there, htmx complains
            maya.locator(f"#c{number} a").click()
    maya.keyboard.press("Control+k")
    maya.keyboard.type("script")
    expect(maya.locator("#command-options [role=option]").first).to_be_visible()
    maya.wait_for_timeout(500)
    for page in (maya, customer):
        assert page.evaluate("window.__xss") is None
        assert page.locator(ALIEN).evaluate_all("all => all.map(one => one.outerHTML.slice(0, 200))") == []
    assert re.search(r"/desk/c/\d+/", maya.url)
    assert maya.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


AXE = next((ROOT / "tests" / "vendor").glob("axe-core-*/axe.min.js"), None)
EXAMINE = """async () => {
  const found = await axe.run(document, {resultTypes: ["violations"]});
  return found.violations.filter(v => ["serious", "critical"].includes(v.impact)).map(v =>
    `${v.id}: ${v.nodes.map(n => n.target.join(" ") + " " + n.failureSummary).slice(0, 3).join(" | ")}`);
}"""


@pytest.mark.skipif(AXE is None, reason="axe-core is not in tests/vendor")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(windows: Windows, server: Server, scheme: str) -> None:
    number = server.stage("hears", f"axe-{scheme}", "hello", "I want to complain", "human please")
    own = server.stage("hears", f"axe-own-{scheme}", "hello")

    def examine(page: Page) -> None:
        assert AXE is not None
        page.evaluate(AXE.read_text(encoding="utf-8"))
        assert page.evaluate(EXAMINE) == []

    examine(windows.open("/login/", color_scheme=scheme))
    examine(windows.open("/there-is-no-such-page/", color_scheme=scheme))
    windows.complaints.clear()  # the browser notes that the page was not found
    maya = windows.open(f"/desk/c/{number}/", login="maya", color_scheme=scheme)
    examine(maya)
    maya.goto(f"/desk/c/{own}/")
    maya.wait_for_selector("#connection[data-state=live]")
    maya.get_by_role("button", name="Take over").click()
    expect(maya.locator("#head .pill")).to_contain_text("You are serving")
    say(maya, "Good morning")
    maya.get_by_role("radio", name="Private note").check()
    say(maya, "a note")
    maya.locator("#act-resolve summary").click()
    examine(maya)
    small = windows.open(f"/desk/c/{own}/", login="maya", color_scheme=scheme, viewport={"width": 390, "height": 800})
    examine(small)
    customer = windows.open("/try-it/", color_scheme=scheme)
    say(customer, "hello")
    examine(customer)
