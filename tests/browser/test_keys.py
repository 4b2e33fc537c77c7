"""The desk by keyboard alone: every main path by its shortcut, by the command bar, and back to where one was."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Server, Windows
from tests.browser.test_desk import AXE, EXAMINE, said

pytestmark = pytest.mark.browser


def queue(windows: Windows, server: Server, account: str, count: int = 1, **options: Any) -> tuple[Page, list[str]]:
    """Maya looks at a list of so many customers who wait."""
    numbers = [server.stage("hears", f"{account}-{n}", "hello", "human please") for n in range(count)]
    maya = windows.open(f"/desk/?q={account}-", login="maya", **options)
    expect(maya.locator(".row")).to_have_count(count)
    return maya, numbers


def open_one(page: Page) -> str:
    expect(page.locator("#thread")).to_be_visible()
    return str(page.locator("#thread").get_attribute("data-conversation"))


def toasts(page: Page) -> Any:
    return page.locator("#toasts")


# --- From beginning to end ---------------------------------------------------------------------------------------


def test_a_conversation_is_served_from_beginning_to_end_by_keys(windows: Windows, server: Server) -> None:
    maya, (number,) = queue(windows, server, "by-keys")
    keys = maya.keyboard
    keys.press("Alt+j")
    expect(maya.locator("#content")).to_be_focused()
    assert open_one(maya) == number
    keys.press("Alt+t")
    expect(maya.locator("#head .pill")).to_contain_text("You are serving")
    keys.press("Alt+l")
    keys.type("Hello, by keyboard.")
    keys.press("Enter")
    expect(said(maya, "Hello, by keyboard.")).to_be_visible()
    keys.press("Alt+p")
    expect(maya.get_by_role("radio", name="Private note")).to_be_checked()
    keys.type("only for us")
    keys.press("Enter")
    expect(maya.locator(".message.note", has_text="only for us")).to_be_visible()
    keys.press("Alt+r")
    expect(maya.locator("#reason-release")).to_be_focused()
    keys.type("go on")
    keys.press("Enter")
    expect(maya.locator("#head .pill")).to_contain_text("Bot is speaking")
    keys.press("Alt+t")  # now it means taking over
    expect(maya.locator("#head .pill")).to_contain_text("You are serving")
    keys.press("Alt+e")
    expect(maya.locator("#reason-resolve")).to_be_focused()
    keys.press("Enter")
    expect(maya.locator("#head .pill")).not_to_contain_text("You are serving")


def test_next_and_previous_go_through_the_list_and_say_where_it_ends(windows: Windows, server: Server) -> None:
    maya, numbers = queue(windows, server, "steps", 3)
    rows = maya.locator(".row")
    order = [rows.nth(n).get_attribute("data-conversation") for n in range(3)]
    assert sorted(map(str, order)) == sorted(numbers)
    maya.keyboard.press("Alt+j")
    maya.keyboard.press("Alt+j")  # faster than the first one opens
    expect(rows.nth(1)).to_have_attribute("aria-current", "true")
    maya.keyboard.press("Alt+j")
    expect(rows.nth(2)).to_have_attribute("aria-current", "true")
    maya.keyboard.press("Alt+j")
    expect(toasts(maya)).to_contain_text("This is the last conversation of the list.")
    maya.keyboard.press("Alt+k")
    expect(rows.nth(1)).to_have_attribute("aria-current", "true")
    expect(maya.locator("#thread")).to_have_attribute("data-conversation", str(order[1]))
    expect(maya).to_have_url(re.compile(f"/desk/c/{order[1]}/"))


def test_grab_asks_for_the_reason_first(windows: Windows, server: Server) -> None:
    maya, (number,) = queue(windows, server, "grabbed")
    maya.keyboard.press("Alt+j")
    open_one(maya)
    maya.keyboard.press("Alt+t")
    expect(maya.locator("#head .pill")).to_contain_text("You are serving")
    jun = windows.open(f"/desk/c/{number}/", login="jun")
    jun.keyboard.press("Alt+g")
    expect(jun.locator("#reason-grab")).to_be_focused()
    jun.keyboard.type("Maya is at lunch")
    jun.keyboard.press("Enter")
    expect(jun.locator("#head .pill")).to_contain_text("You are serving")


# --- What does not go, and what is left alone --------------------------------------------------------------------


def test_what_cannot_be_done_says_why(windows: Windows, server: Server) -> None:
    maya, _ = queue(windows, server, "why-not")
    maya.keyboard.press("Alt+r")
    expect(toasts(maya)).to_contain_text("Open a conversation first.")
    maya.keyboard.press("Alt+j")
    open_one(maya)
    maya.keyboard.press("Alt+r")
    expect(toasts(maya)).to_contain_text("Release to bot: Accept it first")
    maya.keyboard.press("Alt+g")
    expect(toasts(maya)).to_contain_text("Grab from a colleague: not to be had in this conversation just now")
    maya.keyboard.press("Alt+l")
    expect(toasts(maya)).to_contain_text("Accept this conversation to reply")
    expect(maya.locator("#content")).to_be_focused()


PRESS = """([target, given]) => document.querySelector(target).dispatchEvent(
    new KeyboardEvent("keydown", { bubbles: true, cancelable: true, ...given }))"""


def test_a_key_is_known_by_its_place_where_the_layout_makes_something_else_of_it(
    windows: Windows, server: Server
) -> None:
    maya, (number,) = queue(windows, server, "layout")
    maya.evaluate(PRESS, ["body", {"altKey": True, "code": "KeyJ", "key": "∆"}])  # Option+J on an American Macintosh
    assert open_one(maya) == number
    maya.evaluate(PRESS, ["body", {"altKey": True, "code": "KeyS", "key": "p"}])  # where Dvorak or Colemak has a P
    expect(maya.get_by_role("radio", name="Private note")).to_be_checked()
    maya.evaluate(PRESS, ["body", {"altKey": True, "code": "KeyL", "key": "д"}])  # Cyrillic
    expect(maya.get_by_role("radio", name="Reply")).to_be_checked()


def test_typing_is_left_alone(windows: Windows, server: Server) -> None:
    maya, _ = queue(windows, server, "typing")
    maya.keyboard.press("Alt+j")
    open_one(maya)
    alt = {"altKey": True, "code": "KeyP", "key": "p"}
    for given in (
        {**alt, "isComposing": True},  # an input method is at work
        {**alt, "keyCode": 229, "key": "Process"},
        {**alt, "shiftKey": True},
        {**alt, "metaKey": True},
        # AltGr types a character, here on a Polish keyboard
        {"altKey": True, "ctrlKey": True, "code": "KeyP", "key": "þ", "modifierAltGraph": True},
        {"code": "KeyP", "key": "p"},
    ):
        assert maya.evaluate(PRESS, ["#content", given]) is True, given  # not prevented: the browser goes on with it
        expect(maya.get_by_role("radio", name="Reply")).to_be_checked()
    maya.locator("#content").fill("")
    maya.keyboard.type("what?")
    expect(maya.locator("#help")).to_be_hidden()
    expect(maya.locator("#content")).to_have_value("what?")
    assert maya.evaluate(PRESS, ["#content", alt]) is False
    expect(maya.get_by_role("radio", name="Private note")).to_be_checked()


def test_nothing_happens_behind_a_dialog(windows: Windows, server: Server) -> None:
    maya, _ = queue(windows, server, "behind", 2)
    maya.keyboard.press("?")
    expect(maya.locator("#help")).to_be_visible()
    maya.keyboard.press("Alt+j")
    maya.keyboard.press("Control+k")
    expect(maya.locator("#command")).to_be_hidden()
    maya.keyboard.press("Escape")
    expect(maya.locator("#help")).to_be_hidden()
    expect(maya.locator("#thread")).to_have_count(0)


# --- The help ----------------------------------------------------------------------------------------------------


def test_the_help_tells_every_shortcut_and_gives_the_focus_back(windows: Windows, server: Server) -> None:
    maya, _ = queue(windows, server, "help")
    row = maya.locator(".row").first
    row.focus()
    maya.keyboard.press("?")
    shown = maya.get_by_role("dialog", name="Keyboard shortcuts")
    expect(shown).to_be_visible()
    for told in ("Next conversation Alt J", "Release to bot Alt R", "Resolve and open the next Ctrl Alt E"):
        row_of = shown.locator("tr", has_text=told.split(" Alt")[0].split(" Ctrl")[0]).first
        assert " ".join(row_of.inner_text().split()) == told
    expect(shown.locator("tbody tr:not(:has([scope=rowgroup]))")).to_have_count(17)
    maya.keyboard.press("Escape")
    expect(shown).to_be_hidden()
    expect(row).to_be_focused()
    opener = maya.get_by_role("button", name="Keyboard shortcuts")
    opener.focus()
    maya.keyboard.press("Enter")
    expect(shown).to_be_visible()
    maya.mouse.click(5, 300)  # beside it
    expect(shown).to_be_hidden()
    expect(opener).to_be_focused()


def test_the_one_key_without_a_modifier_can_be_switched_off(windows: Windows, server: Server) -> None:
    maya, _ = queue(windows, server, "single")
    maya.get_by_role("button", name="Sounds and notices").click()
    box = maya.get_by_role("checkbox", name="? shows the shortcuts")
    expect(box).to_be_checked()
    box.uncheck()
    maya.keyboard.press("Escape")
    maya.keyboard.press("?")
    expect(maya.locator("#help")).to_be_hidden()
    maya.reload()
    maya.wait_for_selector("#connection[data-state=live]")
    maya.keyboard.press("?")
    expect(maya.locator("#help")).to_be_hidden()
    maya.get_by_role("button", name="Keyboard shortcuts").click()
    expect(maya.locator("#help")).to_be_visible()


def test_buttons_tell_their_keys_and_go_on_telling_them(windows: Windows, server: Server) -> None:
    maya, (number,) = queue(windows, server, "told")
    maya.keyboard.press("Alt+j")
    open_one(maya)
    accept = maya.locator("#head").get_by_role("button", name="Accept")
    expect(accept).to_have_attribute("aria-keyshortcuts", "Alt+T")
    expect(accept).to_have_attribute("title", "Alt+T")
    server.stage("hears", "told-0", "are you there?")
    expect(said(maya, "are you there?").first).to_be_visible()
    expect(accept).to_have_attribute("aria-keyshortcuts", "Alt+T")  # the header was brought up to date meanwhile
    expect(maya.get_by_role("radio", name="Private note")).to_have_attribute("aria-keyshortcuts", "Alt+P")
    expect(maya.locator("[data-opens=command]")).to_have_attribute("aria-keyshortcuts", "Control+K")
    release = maya.locator("#act-release button")
    expect(release).to_have_attribute("aria-keyshortcuts", "Alt+R")
    expect(release).not_to_have_attribute("title", re.compile(".*"))  # its reason is its tip
    assert number == open_one(maya)


# --- The command bar ---------------------------------------------------------------------------------------------


def bar(page: Page) -> Any:
    page.keyboard.press("Control+k")
    expect(page.locator("#command-field")).to_be_focused()
    return page.locator("#command-field")


def offered(page: Page, text: str) -> Any:
    return page.locator("#command-options [role=option]", has_text=text)


def chosen(page: Page) -> Any:
    return page.locator("#command-options [aria-selected=true]")


def test_the_bar_goes_to_views_and_gives_the_focus_back(windows: Windows, server: Server) -> None:
    maya, _ = queue(windows, server, "bar-views")
    row = maya.locator(".row").first
    row.focus()
    field = bar(maya)
    expect(field).to_have_attribute("role", "combobox")
    expect(maya.locator("#command-told")).to_have_text(re.compile(r"Results: \d+"))
    assert field.get_attribute("aria-activedescendant") == chosen(maya).get_attribute("id")
    maya.keyboard.press("Escape")
    expect(maya.locator("#command")).to_be_hidden()
    expect(row).to_be_focused()
    bar(maya)
    maya.keyboard.type("resol")
    expect(chosen(maya)).to_have_text("Resolved")
    maya.keyboard.press("Enter")
    expect(maya).to_have_url(re.compile("view=resolved"))
    expect(maya.locator("#tabs a", has_text="Resolved")).to_have_attribute("aria-current", "page")
    bar(maya)
    maya.keyboard.press("Control+k")  # the same key closes it
    expect(maya.locator("#command")).to_be_hidden()


def test_the_bar_does_what_the_header_offers_and_says_why_not(windows: Windows, server: Server) -> None:
    maya, _ = queue(windows, server, "bar-acts")
    maya.keyboard.press("Alt+j")
    open_one(maya)
    bar(maya)
    maya.keyboard.type("release")
    expect(chosen(maya)).to_contain_text("Accept it first")
    maya.keyboard.press("Enter")
    expect(toasts(maya)).to_contain_text("Release to bot: Accept it first")
    bar(maya)
    maya.keyboard.type("accept")
    expect(chosen(maya)).to_contain_text("Accept")
    expect(chosen(maya)).to_contain_text("Alt")
    maya.keyboard.press("Enter")
    expect(maya.locator("#head .pill")).to_contain_text("You are serving")


def test_the_arrows_go_round_and_the_mouse_chooses_too(windows: Windows, server: Server) -> None:
    maya, _ = queue(windows, server, "bar-arrows")
    bar(maya)
    first, last = (maya.locator("#command-options [role=option]").nth(n) for n in (0, -1))
    expect(first).to_have_attribute("aria-selected", "true")
    maya.keyboard.press("ArrowUp")
    expect(last).to_have_attribute("aria-selected", "true")
    maya.keyboard.press("ArrowDown")
    maya.keyboard.press("ArrowDown")
    expect(maya.locator("#command-options [role=option]").nth(1)).to_have_attribute("aria-selected", "true")
    offered(maya, "Keyboard shortcuts").click()
    expect(maya.locator("#help")).to_be_visible()
    expect(maya.locator("#command")).to_be_hidden()


def test_the_bar_finds_a_conversation_that_the_list_does_not_show(windows: Windows, server: Server) -> None:
    number = server.stage("hears", "far-away", "hello again")
    maya, _ = queue(windows, server, "bar-search")
    bar(maya)
    maya.keyboard.type("far-aw")
    expect(offered(maya, "far-away")).to_be_visible()
    expect(maya.locator("#command-told")).to_have_text("Results: 1")
    expect(chosen(maya)).to_contain_text("You said: hello again")
    maya.keyboard.press("Enter")
    expect(maya.locator("#thread")).to_have_attribute("data-conversation", number)
    expect(maya).to_have_url(re.compile(f"/desk/c/{number}/$"))
    expect(maya.locator("#content")).to_be_focused()
    maya.go_back()
    expect(maya.locator("#thread")).to_have_count(0)


def test_an_answer_to_what_is_no_longer_asked_is_dropped(windows: Windows, server: Server) -> None:
    for account in ("stale-one", "stale-two"):
        server.stage("hears", account, "hello")
    maya, _ = queue(windows, server, "bar-stale")
    held: list[Any] = []

    def hold(route: Any) -> None:
        if "one" in route.request.url:
            held.append(route)
        else:
            route.continue_()

    maya.route("**/command/*", hold)
    bar(maya)
    maya.keyboard.type("stale-one")
    with maya.expect_request("**/command/*"):
        pass
    maya.locator("#command-field").fill("stale-two")
    expect(offered(maya, "stale-two")).to_be_visible()
    with maya.expect_response("**/command/*one*"):
        held[0].continue_()
    expect(offered(maya, "stale-two")).to_be_visible()
    expect(offered(maya, "stale-one")).to_have_count(0)


def test_enter_before_the_answer_waits_for_it(windows: Windows, server: Server) -> None:
    number = server.stage("hears", "eager-customer", "hello")
    maya, _ = queue(windows, server, "bar-eager")
    bar(maya)
    maya.keyboard.insert_text("eager-customer")
    maya.keyboard.press("Enter")
    expect(maya.locator("#thread")).to_have_attribute("data-conversation", number)


def test_the_bar_puts_a_canned_reply_where_one_was_typing(windows: Windows, server: Server) -> None:
    server.stage("replies", "barred")
    maya, _ = queue(windows, server, "bar-replies")
    maya.keyboard.press("Alt+j")
    expect(maya.locator("#content")).to_be_focused()
    maya.keyboard.type("Well: ")
    bar(maya)
    maya.keyboard.type("barred-2")
    expect(chosen(maya)).to_contain_text("/barred-2")
    maya.keyboard.press("Enter")
    expect(maya.locator("#content")).to_have_value("Well: Hello bar-replies-0, number 2. Maya")
    expect(maya.locator("#content")).to_be_focused()


def test_nothing_fits_is_said(windows: Windows, server: Server) -> None:
    maya, _ = queue(windows, server, "bar-nothing")
    field = bar(maya)
    maya.keyboard.type("there is no such thing")
    expect(maya.locator("#command-told")).to_have_text("Nothing fits")
    expect(field).to_have_attribute("aria-expanded", "false")
    maya.keyboard.press("Enter")
    expect(maya.locator("#command")).to_be_visible()


@pytest.mark.skipif(AXE is None, reason="axe-core is not in tests/vendor")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(windows: Windows, server: Server, scheme: str) -> None:
    server.stage("replies", f"axe-keys-{scheme}")
    maya, _ = queue(windows, server, f"axe-keys-{scheme}", color_scheme=scheme)
    maya.keyboard.press("Alt+j")
    open_one(maya)
    assert AXE is not None
    maya.evaluate(AXE.read_text(encoding="utf-8"))
    for opener in ("help", "settings", "command"):
        maya.locator(f"[data-opens={opener}]").click()
        if opener == "command":
            maya.keyboard.type(f"axe-keys-{scheme}")
            expect(offered(maya, "/axe-keys")).to_have_count(3)
        assert maya.evaluate(EXAMINE) == []
        maya.keyboard.press("Escape")
