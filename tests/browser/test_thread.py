"""The open conversation in a real browser: what is new, what was earlier, where the turn goes, what opens beside it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import APIResponse, Locator, Page, Response, Route, expect

from tests.browser.conftest import Server, Windows, until
from tests.browser.test_desk import AXE, EXAMINE, open_row, said, say
from tests.patience import PATIENCE

pytestmark = pytest.mark.browser

HIDE = """hidden => {
  Object.defineProperty(document, "visibilityState", { get: () => (hidden ? "hidden" : "visible"), configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""

WHOLE_THREAD = re.compile(r"/desk/c/\d+/\?")


def serve(windows: Windows, server: Server, account: str, *texts: str, **options: Any) -> Page:
    number = server.stage("hears", account, *(texts or ("hello",)), "human please")
    maya = windows.open(f"/desk/c/{number}/", login="maya", **options)
    maya.locator("#head").get_by_role("button", name="Accept").click()
    expect(maya.locator("#head .pill")).to_contain_text("You are serving")
    return maya


def more(page: Page, verb: str) -> Locator:
    """Open the menu and what one of its lines asks."""
    page.locator("#act-more > summary").click()
    asks = page.locator(f"#act-{verb}")
    asks.locator("summary").click()
    return asks


class FirstRequest:
    """The first that a page asks of this address: its answer is held back until the test gives it, or is lost."""

    def __init__(self, page: Page, address: str | re.Pattern[str], *, is_lost: bool = False) -> None:
        self._page, self._is_lost = page, is_lost
        self._route: Route | None = None
        self._answer: APIResponse | None = None
        self._has_come = False
        page.route(address, self._meet)

    def _meet(self, route: Route) -> None:
        if self._route:
            route.continue_()
            return
        self._route = route
        if self._is_lost:
            route.abort()
        else:
            self._answer = route.fetch()
        self._has_come = True

    def comes(self) -> None:
        ends = time.monotonic() + PATIENCE
        while not self._has_come:  # Playwright answers the page only while it is waited for
            assert time.monotonic() < ends, f"not asked for within {PATIENCE} seconds"
            self._page.wait_for_timeout(50)

    def give(self) -> None:
        assert self._route
        asked = self._route.request
        with self._page.expect_response(lambda response: response.request == asked):
            self._route.fulfill(response=self._answer)
        self._page.evaluate("() => new Promise(shown => requestAnimationFrame(() => setTimeout(shown)))")


def top_of(line: Locator) -> float:
    return float(line.evaluate("one => one.getBoundingClientRect().top"))


def has_read_all(page: Page) -> None:
    expect(page.locator("#thread[data-is-read]")).to_have_count(1)
    until(page, "() => { const { isRead, seq } = document.getElementById('thread').dataset; return isRead === seq }")


# --- What is new -------------------------------------------------------------------------------------------------


def test_the_new_messages_begin_with_a_line_and_those_below_are_counted(windows: Windows, server: Server) -> None:
    number = server.stage("hears", "news", *(f"question number {n}" for n in range(20)))
    with (maya := windows.open("/desk/?view=all", login="maya")).expect_response("**/read/"):
        maya.locator(".row", has_text="news").first.click()
    divider = maya.locator("#items .new-since")
    expect(divider).to_have_count(0)
    maya.goto("/desk/")
    server.stage("hears", "news", "first new", "second new")
    maya.goto(f"/desk/c/{number}/")
    expect(divider).to_have_text("New messages")
    assert "first new" in divider.evaluate("one => one.nextElementSibling.textContent")
    has_read_all(maya)
    expect(divider).to_have_count(1)

    log = maya.locator("#log")
    log.evaluate("box => box.scrollTo(0, 100)")
    expect(maya.locator("#to-end")).to_be_hidden()
    server.stage("hears", "news", "third new")
    expect(maya.locator("#to-end")).to_have_text("2 new messages")  # the bot's answer is one too
    assert log.evaluate("box => box.scrollTop") == 100
    maya.locator("#to-end").click()
    expect(maya.locator("#to-end")).to_be_hidden()
    has_read_all(maya)
    expect(divider).to_have_count(1)
    assert "first new" in divider.evaluate("one => one.nextElementSibling.textContent")
    maya.reload()
    expect(said(maya, "third new").first).to_be_visible()
    expect(divider).to_have_count(0)


def test_nothing_is_read_in_a_tab_that_cannot_be_seen(windows: Windows, server: Server) -> None:
    number = server.stage("hears", "hidden", "hello")
    maya = windows.open(f"/desk/c/{number}/", login="maya")
    has_read_all(maya)
    maya.evaluate(HIDE, True)
    known = maya.locator("#thread").get_attribute("data-is-read")
    server.stage("hears", "hidden", "nobody looks")
    expect(maya.locator("#items .new-since + li")).to_contain_text("nobody looks")
    expect(maya.locator("#thread")).to_have_attribute("data-is-read", str(known))
    maya.evaluate(HIDE, False)
    has_read_all(maya)
    expect(maya.locator("#items .new-since")).to_have_count(1)


def test_a_reader_comes_back_to_where_they_left(windows: Windows, server: Server) -> None:
    server.stage("hears", "left", *(f"question number {n}" for n in range(20)))
    server.stage("hears", "other", "hello")
    maya = windows.open("/desk/?view=all", login="maya")
    open_row(maya, "left")
    maya.locator("#log").evaluate("box => box.scrollTo(0, 300)")
    line = maya.locator("#items .message", has_text="question number 9").first
    before = top_of(line)
    open_row(maya, "other")
    expect(maya.locator("#head h1")).to_have_text("other")
    open_row(maya, "left")
    expect(maya.locator("#head h1")).to_have_text("left")
    assert abs(top_of(line) - before) < 3


# --- What has changed --------------------------------------------------------------------------------------------

WATCH = """items => {
  window.touched = new Set();
  const lineOf = node => (node.nodeType === 1 ? node : node.parentElement)?.closest("#items > li")?.id ?? "the list";
  new MutationObserver(changes => changes.forEach(({ target }) => window.touched.add(lineOf(target))))
    .observe(items, { subtree: true, childList: true, characterData: true, attributes: true });
}"""
SELECT = "one => getSelection().selectAllChildren(one)"


@contextmanager
def sent_again(page: Page) -> Iterator[None]:
    """What is done meanwhile brings a line once more, and the page has taken that in."""
    answers: list[Response] = []

    def came(answer: Response) -> None:
        answers.append(answer)

    page.on("response", came)
    known = page.locator("#thread").get_attribute("data-seq")
    yield
    until(page, "seq => Number(document.getElementById('thread').dataset.seq) > Number(seq)", known)
    page.remove_listener("response", came)
    assert any("data-again" in answer.text() for answer in answers if "/news/" in answer.url)


def test_a_line_that_has_changed_is_redrawn_where_it_stands(windows: Windows, server: Server) -> None:
    number = server.stage("hears", "changed", *(f"question {n}?" for n in range(20)))
    maya = windows.open(f"/desk/c/{number}/", login="maya")
    has_read_all(maya)
    above = maya.locator("#items .message", has_text="You said: question 2?")
    there = maya.locator("#items .message", has_text="You said: question 12?")
    line = str(above.get_attribute("id"))
    there.evaluate("one => one.scrollIntoView({ block: 'center' })")
    assert above.evaluate("one => one.getBoundingClientRect().bottom") < top_of(maya.locator("#log"))
    maya.get_by_role("radio", name="Private note").check()
    maya.locator("#content").press_sequentially("half a sen")
    there.locator(".said").evaluate(SELECT)
    maya.locator("#items").evaluate(WATCH)
    stands = top_of(there)

    server.stage("named_again", number, "You said: question 2?", "This line is another one now. " * 30)
    expect(maya.locator(f"#{line} .said")).to_contain_text("This line is another one now.")
    assert maya.evaluate("[...touched]") == [line]
    assert abs(top_of(there) - stands) < 3
    assert maya.evaluate("String(getSelection()).trim()") == "You said: question 12?"
    expect(maya.locator("#content")).to_have_value("half a sen")
    expect(maya.locator(f"#{line}[data-again]")).to_have_count(0)
    assert maya.locator("#items .new-since").count() == 0, "what was known is not new"


def test_a_line_that_comes_again_as_it_was_is_not_touched(windows: Windows, server: Server) -> None:
    number = server.stage("hears", "same", "hello")
    maya = windows.open(f"/desk/c/{number}/", login="maya")
    has_read_all(maya)
    maya.locator("#items").evaluate(WATCH)
    with sent_again(maya):
        server.stage("named_again", number, "You said: hello", "You said: hello")
    assert maya.evaluate("[...touched]") == []


def test_a_line_that_is_not_on_the_page_comes_with_its_page(windows: Windows, server: Server) -> None:
    number = server.stage("hears", "gone-by", *(f"question {n}?" for n in range(40)))
    maya = windows.open(f"/desk/c/{number}/", login="maya")
    expect(maya.locator("#earlier")).to_have_count(1)
    with sent_again(maya):
        server.stage("named_again", number, "You said: question 1?", "This line is another one now.")
    expect(said(maya, "This line is another one now.")).to_have_count(0)
    maya.locator("#log").evaluate("box => box.scrollTo(0, 0)")
    expect(said(maya, "This line is another one now.")).to_have_count(1)
    expect(said(maya, "You said: question 1?")).to_have_count(0)


def test_the_customers_page_redraws_a_line_too(windows: Windows, server: Server) -> None:
    visitor = windows.open("/try-it/")
    visitor.fill("#content", "hello")
    visitor.press("#content", "Enter")
    answer = visitor.locator("#items .from-bot .said")
    expect(answer).to_have_count(1)
    visitor.reload()
    number = visitor.locator("#chat").get_attribute("data-conversation")
    server.stage("named_again", str(number), answer.inner_text(), "This line is another one now.")
    expect(answer).to_have_text("This line is another one now.")


# --- What was earlier --------------------------------------------------------------------------------------------


def test_who_rests_at_the_top_reads_on_into_the_past_without_losing_the_place(windows: Windows, server: Server) -> None:
    number = server.stage("hears", "past", *(f"question number {n}" for n in range(40)))
    maya = windows.open(f"/desk/c/{number}/", login="maya")
    expect(maya.locator("#earlier")).to_have_count(1)
    first = maya.locator("#items .message").first
    words = first.locator(".said").inner_text()
    maya.locator("#log").evaluate("box => box.scrollTo(0, 40)")
    same = maya.locator("#items .message").filter(
        has=maya.locator(".said", has_text=re.compile(f"^{re.escape(words)}$"))
    )
    before = top_of(same)
    expect(said(maya, "question number 0")).to_have_count(2)
    expect(maya.locator("#earlier")).to_have_count(0)
    assert abs(top_of(same) - before) < 3
    assert maya.locator("#items .day").count() == 1


def test_a_thread_that_is_behind_is_loaded_again_also_where_that_fails_once(windows: Windows, server: Server) -> None:
    """Nothing else happens that would ask for it: it is asked for until it is there."""
    maya = serve(windows, server, "batched")
    maya.locator("#content").fill("Half a sen")
    lost = FirstRequest(maya, WHOLE_THREAD, is_lost=True)
    server.stage("in_a_batch", "batched", "the first of two", "the second of two")
    lost.comes()
    expect(said(maya, "the second of two")).to_be_visible()
    expect(said(maya, "the first of two")).to_have_count(1)
    expect(maya.locator("#content")).to_have_value("Half a sen")
    windows.complaints.clear()  # the request that was cut off


def test_a_thread_that_is_loaded_again_does_not_lose_what_came_after_it(windows: Windows, server: Server) -> None:
    """Its answer comes late: the conversation has been left and opened again meanwhile."""
    maya = serve(windows, server, "late-answer")
    other = server.stage("hears", "another-one", "hello", "human please")
    number = maya.locator("#thread").get_attribute("data-conversation")
    held = FirstRequest(maya, WHOLE_THREAD)
    server.stage("in_a_batch", "late-answer", "from a batch")
    held.comes()
    maya.locator(f".row[data-conversation='{other}']").click()
    expect(maya.locator(f"#thread[data-conversation='{other}']")).to_be_visible()
    server.stage("hears", "late-answer", "what came after it")
    maya.locator(f".row[data-conversation='{number}']").click()
    expect(said(maya, "from a batch")).to_have_count(1)
    line = said(maya, "what came after it").element_handle()
    maya.evaluate("() => { over = new Promise(is => document.addEventListener('refreshed', is, { once: true })); }")
    held.give()
    maya.evaluate("() => over.then(() => {})")
    assert line.evaluate("one => one.isConnected")


# --- Where the turn goes -----------------------------------------------------------------------------------------


def test_a_conversation_is_handed_to_a_colleague_with_what_belongs_to_it(windows: Windows, server: Server) -> None:
    maya = serve(windows, server, "handed", "where is my parcel?")
    jun = windows.open(maya.url, login="jun")
    transfer = more(maya, "transfer")
    jun_option = transfer.locator("option", has_text="Jun").get_attribute("value")
    transfer.locator("select").select_option(jun_option)
    transfer.locator("[name=reason]").fill("knows parcels")
    transfer.get_by_role("button", name="Transfer").click()
    expect(maya.locator("#act-withdraw")).to_be_visible()
    expect(maya.locator("#act-more > .menu-form")).to_be_hidden()
    expect(jun.locator("#package")).to_contain_text("knows parcels")
    jun.locator("#head").get_by_role("button", name="Accept").click()
    expect(maya.locator("#head .pill")).to_contain_text("Jun is serving")
    expect(jun.locator("#package summary")).to_contain_text("What came with it: handover")
    jun.locator("#package summary").click()
    say(jun, "Hello, I am Jun.")
    expect(jun.locator("#package .facts")).to_be_hidden()  # what was folded stays so


def test_what_is_typed_into_a_transfer_is_not_touched(windows: Windows, server: Server) -> None:
    maya = serve(windows, server, "typed")
    reason = more(maya, "transfer").locator("[name=reason]")
    reason.press_sequentially("because")
    server.stage("hears", "typed", "are you there?")
    expect(said(maya, "are you there?")).to_be_visible()
    expect(reason).to_have_value("because")
    expect(reason).to_be_focused()
    maya.keyboard.press("Escape")
    expect(reason).to_be_hidden()


def test_work_is_paused_and_resumed(windows: Windows, server: Server) -> None:
    number = server.stage("hears", "paused", "hello")
    maya = windows.open(f"/desk/c/{number}/", login="sam")
    pause = more(maya, "pause")
    expect(pause.locator("[name=reason]")).to_be_focused()
    maya.keyboard.type("the shop moves")
    maya.keyboard.press("Enter")
    expect(maya.locator("#head .pill")).to_contain_text("The bot is paused")
    expect(maya.locator("#items .event").last).to_contain_text("The session was paused: the shop moves")
    maya.locator("#act-more > summary").click()
    maya.locator("#act-resume button").click()
    expect(maya.locator("#head .pill")).to_contain_text("Bot is speaking")


def test_resolve_and_next_opens_what_follows_in_the_list_and_then_the_list(windows: Windows, server: Server) -> None:
    for name in ("onward-1", "onward-2"):
        server.stage("hears", name, "hello", "human please")
    maya = windows.open("/desk/?view=all", login="maya")
    maya.fill("#q", "onward-")
    expect(maya.locator(".row")).to_have_count(2)
    for name in ("onward-2", "onward-1"):
        open_row(maya, name)
        expect(maya.locator("#head h1")).to_have_text(name)
        maya.locator("#head").get_by_role("button", name="Accept").click()
        expect(maya.locator("#head .pill")).to_contain_text("You are serving")
    for following in ("onward-2", None):
        maya.locator("#act-resolve-next summary").click()
        maya.locator("#act-resolve-next button").click()
        if following:
            expect(maya.locator("#head h1")).to_have_text(following)
            expect(maya.locator(".row[aria-current=true]")).to_contain_text(following)
    expect(maya.locator("#thread")).to_have_count(0)
    assert maya.url.endswith("/desk/?view=all")


# --- What opens beside it ----------------------------------------------------------------------------------------


def test_the_side_panel_fetches_what_is_opened_and_keeps_it_fresh(windows: Windows, server: Server) -> None:
    maya = serve(windows, server, "behind")
    maya.locator("#fold-timeline summary").click()
    newest = maya.locator(".timeline li").first
    expect(maya.locator(".timeline code", has_text="transfer.accepted")).to_have_count(1)
    maya.locator("#fold-json summary").click()
    expect(maya.locator("#part-json")).to_contain_text('"controller": "human"')
    server.stage("hears", "behind", "one more thing")
    expect(newest.locator("code")).to_have_text("message.created")
    until(maya, "document.querySelector('.timeline-seq').textContent === document.getElementById('thread').dataset.seq")
    expect(maya.locator("#part-json")).to_contain_text('"last_text": "one more thing"')
    maya.locator("#fold-past summary").click()
    expect(maya.locator("#part-past")).to_contain_text("Nothing before this.")


def test_an_answer_that_was_overtaken_is_not_shown(windows: Windows, server: Server) -> None:
    """Two answers to one section may come in either order: the later question's is the one that counts."""
    maya = serve(windows, server, "overtaken")
    maya.locator("#fold-timeline summary").click()
    expect(maya.locator(".timeline code", has_text="transfer.accepted")).to_have_count(1)
    said_there = maya.locator(".timeline code", has_text="message.created")
    before = said_there.count()
    held = FirstRequest(maya, "**/timeline/")
    server.stage("hears", "overtaken", "the first question")
    expect(said(maya, "the first question")).to_be_visible()
    held.comes()
    server.stage("hears", "overtaken", "the second question")
    expect(said_there).to_have_count(before + 2)
    held.give()
    expect(said_there).to_have_count(before + 2)


def test_earlier_work_is_found_in_the_thread(windows: Windows, server: Server) -> None:
    maya = serve(windows, server, "again", "the very first words")
    maya.locator("#act-resolve summary").click()
    maya.locator("#act-resolve button").click()
    expect(maya.locator("#head .pill")).to_contain_text("Resolved")
    server.stage("hears", "again", *(f"question number {n}" for n in range(30)))
    maya.reload()
    expect(said(maya, "the very first words")).to_have_count(0)
    maya.locator("#fold-past summary").click()
    maya.locator("#part-past a").first.click()
    expect(said(maya, "the very first words").first).to_be_in_viewport()


def test_the_menu_leads_to_the_side_panels_form_also_on_a_phone(windows: Windows, server: Server) -> None:
    maya = serve(windows, server, "invited", viewport={"width": 390, "height": 800})
    expect(maya.locator("#invite-name")).to_be_hidden()
    maya.locator("#act-more > summary").click()
    menu = maya.locator("#act-more > .menu-form").bounding_box()
    assert menu
    assert menu["x"] >= 0
    assert menu["x"] + menu["width"] <= 390
    maya.locator("#act-invite-somebody").click()
    expect(maya.locator("#invite-name")).to_be_focused()
    expect(maya.locator("#act-more > .menu-form")).to_be_hidden()


@pytest.mark.skipif(AXE is None, reason="axe-core is not in tests/vendor")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_what_opens(windows: Windows, server: Server, scheme: str) -> None:
    maya = serve(windows, server, f"opened-{scheme}", color_scheme=scheme, viewport={"width": 1440, "height": 1400})
    say(maya, "Good morning")
    for fold in ("past", "timeline", "json"):
        maya.locator(f"#fold-{fold} summary").click()
    expect(maya.locator("#part-json")).to_contain_text('"controller"')
    more(maya, "transfer")
    expect(maya.locator("#recipient")).to_be_focused()
    assert AXE is not None
    maya.evaluate(AXE.read_text(encoding="utf-8"))
    assert maya.evaluate(EXAMINE) == []
    maya.locator("#act-pause summary, #act-pause button").first.click(force=True)
    assert maya.evaluate(EXAMINE) == []
