"""Canned replies, mentions, labels, saved views and bulk actions in a real browser."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Server, Windows
from tests.browser.test_desk import AXE, EXAMINE

pytestmark = pytest.mark.browser


def said(page: Page, text: str) -> Any:
    return page.locator("#items .said", has_text=text)


def serve(windows: Windows, server: Server, account: str) -> Page:
    """Maya serves a new conversation of hers."""
    number = server.stage("hears", account, "hello", "human please")
    maya = windows.open(f"/desk/c/{number}/", login="maya")
    maya.locator("#head").get_by_role("button", name="Accept").click()
    expect(maya.locator("#head .pill")).to_contain_text("You are serving")
    return maya


def option(page: Page, text: str) -> Any:
    return page.locator("#picker [role=option]", has_text=text)


# --- Canned replies ----------------------------------------------------------------------------------------------


def test_a_slash_offers_replies_and_enter_puts_one_in(windows: Windows, server: Server) -> None:
    server.stage("replies", "pick")
    maya = serve(windows, server, "pick-customer")
    field = maya.locator("#content")
    field.press_sequentially("/pick")
    expect(option(maya, "/pick-1")).to_be_visible()
    expect(field).to_have_attribute("role", "combobox")
    expect(field).to_have_attribute("aria-expanded", "true")
    expect(maya.locator("#picker-told")).to_have_text("3 canned replies")
    field.press("ArrowDown")
    field.press("ArrowDown")
    field.press("ArrowUp")
    expect(maya.locator("#picker [aria-selected=true]")).to_contain_text("/pick-2")
    assert field.get_attribute("aria-activedescendant") == maya.locator("#picker [aria-selected=true]").get_attribute(
        "id"
    )
    field.press("Enter")
    expect(field).to_have_value("Hello pick-customer, number 2. Maya")
    expect(maya.locator("#picker")).to_be_hidden()
    expect(field).not_to_have_attribute("role", "combobox")
    field.press("Enter")
    expect(maya.locator(".message.mine", has_text="number 2. Maya")).to_be_visible()


def test_the_mouse_picks_too_and_the_field_keeps_the_focus(windows: Windows, server: Server) -> None:
    server.stage("replies", "mouse")
    maya = serve(windows, server, "mouse-customer")
    maya.locator("#content").press_sequentially("/mouse-3")
    option(maya, "/mouse-3").click()
    expect(maya.locator("#content")).to_have_value("Hello mouse-customer, number 3. Maya")
    expect(maya.locator("#content")).to_be_focused()


def test_escape_puts_the_offer_away_and_the_slash_is_a_slash(windows: Windows, server: Server) -> None:
    server.stage("replies", "esc")
    maya = serve(windows, server, "esc-customer")
    field = maya.locator("#content")
    field.press_sequentially("/es")
    expect(option(maya, "/esc-1")).to_be_visible()
    field.press("Escape")
    expect(maya.locator("#picker")).to_be_hidden()
    field.press_sequentially("c")
    maya.wait_for_timeout(400)
    expect(maya.locator("#picker")).to_be_hidden()
    expect(field).to_have_value("/esc")
    field.fill("and/or")
    maya.wait_for_timeout(400)
    expect(maya.locator("#picker")).to_be_hidden()


def test_a_shortcut_typed_faster_than_the_answer_comes_is_not_sent_as_it_stands(
    windows: Windows, server: Server
) -> None:
    server.stage("replies", "fast")
    maya = serve(windows, server, "fast-customer")
    maya.route("**/replies/*", lambda route: (maya.wait_for_timeout(500), route.continue_()))
    field = maya.locator("#content")
    field.fill("")
    field.press_sequentially("/fast-1")
    field.press("Enter")
    expect(field).to_have_value("Hello fast-customer, number 1. Maya")
    expect(maya.locator(".message.mine")).to_have_count(0)


def test_an_input_method_is_left_alone(windows: Windows, server: Server) -> None:
    server.stage("replies", "ime")
    maya = serve(windows, server, "ime-customer")
    maya.locator("#content").focus()
    session = maya.context.new_cdp_session(maya)
    session.send("Input.imeSetComposition", {"text": "/im", "selectionStart": 3, "selectionEnd": 3})
    maya.wait_for_timeout(400)
    expect(maya.locator("#picker")).to_be_hidden()  # nothing is offered for half a composition
    session.send("Input.insertText", {"text": "/ime"})
    expect(option(maya, "/ime-1")).to_be_visible()
    maya.evaluate(
        """() => document.getElementById("content").dispatchEvent(
            new KeyboardEvent("keydown", {key: "Enter", isComposing: true, bubbles: true, cancelable: true}))"""
    )
    expect(option(maya, "/ime-1")).to_be_visible()  # that Enter was the input method's
    maya.press("#content", "Enter")
    expect(maya.locator("#content")).to_have_value("Hello ime-customer, number 1. Maya")


# --- Mentions ----------------------------------------------------------------------------------------------------


def test_an_at_in_a_note_offers_colleagues_and_the_colleague_finds_it(windows: Windows, server: Server) -> None:
    number = server.stage("hears", "mention-customer", "hello")
    maya = windows.open(f"/desk/c/{number}/", login="maya")
    jun = windows.open("/desk/?view=mentions", login="jun")
    expect(jun.locator("#list")).to_contain_text("Nobody mentions you")
    field = maya.locator("#content")
    field.press_sequentially("mail me@ju")
    maya.get_by_role("radio", name="Private note").check()
    field.press_sequentially("mail me@ju")
    maya.wait_for_timeout(400)
    expect(maya.locator("#picker")).to_be_hidden()  # neither in a reply nor in an address
    field.fill("")
    field.press_sequentially("ask @ju")
    expect(option(maya, "Jun")).to_be_visible()
    field.press("Tab")
    expect(field).to_have_value("ask @Jun ")
    field.press_sequentially("please")
    field.press("Enter")
    expect(maya.locator(".note .named")).to_contain_text("Jun")
    row = jun.locator(f"#c{number} .row")
    expect(row).to_contain_text("Mentioned")
    expect(jun.locator("#tabs a", has_text="Mentions")).to_contain_text("1")
    row.click()
    expect(said(jun, "ask @Jun please")).to_be_visible()
    jun.get_by_role("link", name="Mentions").click()
    expect(jun.locator("#list")).to_contain_text("Nobody mentions you")


# --- Labels, views, many at once ---------------------------------------------------------------------------------


def test_a_label_put_on_is_seen_at_once_by_everybody(windows: Windows, server: Server) -> None:
    server.stage("label", "browser label", "purple")
    number = server.stage("hears", "label-customer", "hello")
    maya = windows.open(f"/desk/c/{number}/", login="maya")
    jun = windows.open(f"/desk/c/{number}/", login="jun")
    maya.locator("#label-on select").select_option(label="browser label")
    maya.get_by_role("button", name="Add", exact=True).click()
    for page in (maya, jun):
        expect(page.locator("#head .label-purple")).to_have_text("browser label")
        expect(page.locator(f"#c{number} .label-purple")).to_be_visible()
    jun.get_by_role("button", name="Take off browser label").click()
    for page in (jun, maya):
        expect(page.locator("#head .label-purple")).to_have_count(0)


def test_a_view_is_saved_opened_and_deleted(windows: Windows, server: Server) -> None:
    server.stage("hears", "view-customer-1", "hello", "human please")
    server.stage("hears", "view-customer-2", "hello")
    maya = windows.open("/desk/", login="maya")
    maya.fill("#q", "view-customer")
    expect(maya.locator(".row")).to_have_count(2)
    maya.select_option("#controller", "queue")
    expect(maya.locator(".row")).to_have_count(1)
    maya.get_by_text("Save this view").click()
    expect(maya.locator("#view-name")).to_be_focused()
    maya.keyboard.type("Those who wait")
    maya.keyboard.press("Enter")
    maya.wait_for_url(re.compile(r"saved=\d+"))
    link = maya.get_by_role("link", name="Those who wait")
    expect(link).to_have_attribute("aria-current", "page")
    maya.locator("#tabs a", has_text="All").click()
    expect(link).not_to_have_attribute("aria-current", "page")
    link.click()
    expect(maya).to_have_url(re.compile(r"saved=\d+"))
    expect(link).to_have_attribute("aria-current", "page")
    maya.locator("#delete-view summary").click()
    maya.get_by_role("button", name="Delete view").click()
    expect(maya.get_by_role("link", name="Those who wait")).to_have_count(0)


def test_rows_are_ticked_acted_on_and_refusals_told(windows: Windows, server: Server) -> None:
    waits = [server.stage("hears", f"bulk-{n}", "hello", "human please") for n in range(2)]
    bots = server.stage("hears", "bulk-3", "hello")
    maya = windows.open("/desk/?q=bulk-", login="maya")
    expect(maya.locator(".row")).to_have_count(3)
    expect(maya.locator("#bulk")).to_be_hidden()
    maya.locator(f"#pick-{waits[0]}").focus()
    expect(maya.locator(f"#c{waits[0]} .pick")).to_have_css("opacity", "1")  # the keyboard shows it
    maya.keyboard.press("Space")
    expect(maya.locator("#bulk")).to_contain_text("1 selected")
    server.stage("hears", "bulk-1", "are you there?")
    expect(maya.locator(f"#c{waits[1]}")).to_contain_text("are you there?")
    expect(maya.locator(f"#pick-{waits[0]}")).to_be_checked()  # an update of the list takes no tick away
    maya.get_by_role("button", name="Select all shown").click()
    expect(maya.locator("#bulk")).to_contain_text("3 selected")
    maya.locator("#bulk [name=action]").select_option("accept")
    maya.get_by_role("button", name="Apply").click()
    told = maya.locator("#bulk-result")
    expect(told).to_contain_text("2 done.")
    expect(told).to_contain_text("bulk-3: This conversation is not waiting for a human.")
    expect(maya.locator(f"#c{waits[0]} .chip.mine")).to_be_visible()
    expect(maya.locator(f"#pick-{bots}")).to_be_checked()
    expect(maya.locator(f"#pick-{waits[0]}")).not_to_be_checked()
    maya.get_by_role("button", name="Dismiss").click()
    expect(told).to_have_count(0)
    maya.get_by_role("button", name="Clear").click()
    expect(maya.locator("#bulk")).to_be_hidden()


def test_a_tick_opens_no_conversation_and_touch_sees_the_boxes(windows: Windows, server: Server) -> None:
    number = server.stage("hears", "touch", "hello")
    maya = windows.open(
        "/desk/?q=touch", login="maya", viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True
    )
    box = maya.locator(f"#c{number} .pick")
    expect(box).to_have_css("opacity", "1")
    size = box.bounding_box()
    assert size
    assert min(size["width"], size["height"]) >= 24
    box.tap()
    expect(maya.locator("#bulk")).to_contain_text("1 selected")
    expect(maya.locator("#thread")).to_have_count(0)
    assert maya.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.skipif(AXE is None, reason="axe-core is not in tests/vendor")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(windows: Windows, server: Server, scheme: str) -> None:
    server.stage("replies", f"axe-{scheme}")
    number = server.stage("hears", f"axe-kept-{scheme}", "hello", "human please")
    server.stage("labels", number)
    maya = windows.open(f"/desk/c/{number}/", login="maya", color_scheme=scheme)

    def examine() -> None:
        assert AXE is not None
        maya.evaluate(AXE.read_text(encoding="utf-8"))
        assert maya.evaluate(EXAMINE) == []

    maya.locator("#content").press_sequentially(f"/axe-{scheme}")
    expect(option(maya, f"/axe-{scheme}-1")).to_be_visible()
    maya.locator(f"#pick-{number}").check(force=True)
    examine()
    maya.press("#content", "Escape")
    maya.fill("#content", "")
    maya.locator("#bulk [name=action]").select_option("label")
    maya.locator("#bulk [name=action]").select_option("resolve")
    maya.get_by_role("button", name="Apply").click()
    expect(maya.locator("#bulk-result")).to_be_visible()
    maya.get_by_text("Save this view").click()
    examine()
    maya.goto("/desk/replies/")
    maya.locator(".reply-card summary").first.click()
    examine()
