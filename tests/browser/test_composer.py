"""What is typed at one screen and gone on with at another, what holds a reply back, and the way in behind the lock."""

from __future__ import annotations

import os
import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests import uploads
from tests.browser.conftest import Server, Windows, until
from tests.browser.test_attachments import chip, pick
from tests.browser.test_desk import AXE, EXAMINE, said, say
from tests.browser.test_kept import serve
from tests.browser.test_outage import send

pytestmark = pytest.mark.browser


def number_of(page: Page) -> str:
    return str(page.locator("#thread").get_attribute("data-conversation"))


def saved(page: Page) -> Any:
    """Waits for the next draft that the server has taken."""
    return page.expect_response(lambda answer: "/draft/" in answer.url and answer.ok)


def typed(page: Page, text: str) -> None:
    with saved(page):
        page.locator("#content").press_sequentially(text)


# --- Drafts ------------------------------------------------------------------------------------------------------


def test_a_draft_is_gone_on_with_at_another_screen(windows: Windows, server: Server) -> None:
    desk = serve(windows, server, "draft-elsewhere")
    typed(desk, "half a sen")
    desk.get_by_role("radio", name="Private note").check()
    typed(desk, "look into it")
    phone = windows.open(f"/desk/c/{number_of(desk)}/", login="maya", viewport={"width": 390, "height": 800})
    expect(phone.locator("#content")).to_have_value("half a sen")
    expect(phone.locator(".draft-offer")).to_be_hidden()
    phone.get_by_role("radio", name="Private note").check()
    expect(phone.locator("#content")).to_have_value("look into it")
    phone.get_by_role("radio", name="Reply").check()
    typed(phone, "tence")
    desk.reload()
    expect(desk.locator("#content")).to_have_value("half a sentence")  # it only went on: there is nothing to choose
    expect(desk.locator(".draft-offer")).to_be_hidden()


def test_two_drafts_of_one_message_are_both_kept(windows: Windows, server: Server) -> None:
    desk = serve(windows, server, "draft-two")
    phone = windows.open(f"/desk/c/{number_of(desk)}/", login="maya", viewport={"width": 390, "height": 800})
    typed(desk, "typed at the desk")
    typed(phone, "typed on the phone")
    offer = phone.locator(".draft-offer")
    expect(offer).to_contain_text("typed at the desk")
    expect(phone.locator("#content")).to_have_value("typed on the phone")
    desk.reload()  # the later one is shown, and the one that was here is offered
    expect(desk.locator("#content")).to_have_value("typed on the phone")
    expect(desk.locator(".draft-offer")).to_contain_text("typed at the desk")
    desk.reload()
    expect(desk.locator(".draft-offer")).to_contain_text("typed at the desk")
    offer.get_by_role("button", name="Use the draft from the other device").click()
    expect(phone.locator("#content")).to_have_value("typed at the desk")
    expect(offer).to_contain_text("typed on the phone")
    offer.get_by_role("button", name="Dismiss").click()
    expect(offer).to_be_hidden()
    expect(phone.locator("#content")).to_be_focused()


def test_what_was_sent_is_a_draft_nowhere(windows: Windows, server: Server) -> None:
    desk = serve(windows, server, "draft-sent")
    typed(desk, "It is in stock.")
    phone = windows.open(f"/desk/c/{number_of(desk)}/", login="maya", viewport={"width": 390, "height": 800})
    expect(phone.locator("#content")).to_have_value("It is in stock.")
    phone.press("#content", "Enter")
    expect(said(phone, "It is in stock.")).to_have_count(1)
    for page in (desk, phone):
        page.reload()
        expect(said(page, "It is in stock.")).to_have_count(1)
        expect(page.locator("#content")).to_have_value("")
        expect(page.locator(".draft-offer")).to_be_hidden()


def test_a_draft_is_saved_when_its_page_is_left(windows: Windows, server: Server) -> None:
    desk = serve(windows, server, "draft-left")
    number = number_of(desk)
    desk.locator("#content").press_sequentially("not a moment too")
    desk.goto("/desk/")
    desk.evaluate("localStorage.clear()")
    # What a page sends as it is left nobody waits for: a busy server may have it after the next page.
    until(desk, f"async text => (await (await fetch('/desk/c/{number}/')).text()).includes(text)", "not a moment too")
    desk.goto(f"/desk/c/{number}/")
    expect(desk.locator("#content")).to_have_value("not a moment too")


# --- Before it goes out ------------------------------------------------------------------------------------------


def test_a_colleagues_reply_is_looked_at_first(windows: Windows, server: Server) -> None:
    maya = serve(windows, server, "hold")
    number = number_of(maya)
    jun = windows.open(f"/desk/c/{number}/", login="jun")
    maya.locator("#content").press_sequentially("It costs 90.")
    jun.locator("#act-grab summary").click()
    jun.fill("#reason-grab", "I know this one")
    jun.press("#reason-grab", "Enter")
    expect(jun.locator("#head .pill")).to_contain_text("You are serving")
    say(jun, "It costs 80.")
    expect(said(maya, "It costs 80.")).to_be_visible()
    maya.locator("#act-grab summary").click()
    maya.fill("#reason-grab", "Mine")
    maya.press("#reason-grab", "Enter")
    expect(maya.locator("#head .pill")).to_contain_text("You are serving")
    maya.press("#content", "Enter")
    expect(maya.locator(".hold")).to_contain_text(re.compile(r"Jun replied .*ago: look first"))
    expect(maya.locator("#content")).to_have_value("It costs 90.")
    expect(said(jun, "It costs 90.")).to_have_count(0)
    maya.press("#content", "Enter")
    expect(said(maya, "It costs 90.")).to_have_count(1)
    expect(maya.locator(".hold")).to_be_hidden()
    say(maya, "Or 80, if my colleague says so.")  # the reply has been looked at


def test_notes_are_never_held_back(windows: Windows, server: Server) -> None:
    maya = serve(windows, server, "hold-note")
    jun = windows.open(f"/desk/c/{number_of(maya)}/", login="jun")
    maya.get_by_role("radio", name="Private note").check()
    maya.locator("#content").press_sequentially("who knows?")
    jun.get_by_role("radio", name="Private note").check()
    say(jun, "I do.")
    expect(said(maya, "I do.")).to_be_visible()
    maya.press("#content", "Enter")
    expect(said(maya, "who knows?")).to_have_count(1)
    maya.get_by_role("radio", name="Reply").check()
    say(maya, "A colleague's note holds no reply back.")


def test_files_that_were_not_sent_come_back_with_the_words(windows: Windows, server: Server) -> None:
    maya = serve(windows, server, "back-with-files")
    pick(maya, ("lamp.png", uploads.picture()))
    expect(chip(maya, "lamp.png")).to_be_visible()
    maya.route("**/say/", lambda route: route.fulfill(status=403, body="no"))
    send(maya, "Like this one?")
    line = maya.locator("#outgoing .outgoing")
    expect(line).to_contain_text("lamp.png")
    expect(line).to_contain_text("Not sent: The server did not take it.")
    maya.locator("#content").press_sequentially("Or not?")
    maya.unroute("**/say/")
    line.get_by_role("button", name="Back into the composer").click()
    expect(maya.locator("#content")).to_have_value("Like this one?\nOr not?")
    expect(chip(maya, "lamp.png")).to_be_visible()
    maya.press("#content", "Enter")
    expect(maya.locator(".message.mine .picture")).to_be_visible()
    windows.complaints.clear()  # the browser notes the refusal


# --- What it looks like ------------------------------------------------------------------------------------------


@pytest.mark.skipif(AXE is None, reason="axe-core is not in tests/vendor")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_composer_can_be_used_by_everybody(windows: Windows, server: Server, scheme: str) -> None:
    number = server.stage("hears", f"composer-{scheme}", "hello")
    maya = windows.open(f"/desk/c/{number}/", login="maya", color_scheme=scheme)

    def examine(name: str) -> None:
        if folder := os.environ.get("SCREENSHOTS"):
            for size in ((1440, 900), (1024, 768), (390, 800)):
                maya.set_viewport_size({"width": size[0], "height": size[1]})
                maya.locator("#log").evaluate("log => log.scrollTo({ top: log.scrollHeight })")
                maya.screenshot(path=f"{folder}/{name}-{scheme}-{size[0]}.png")
        assert AXE is not None
        maya.evaluate(AXE.read_text(encoding="utf-8"))
        assert maya.evaluate(EXAMINE) == [], name
        assert maya.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), name

    examine("locked")
    maya.get_by_role("button", name="Take it over").click()
    expect(maya.locator("#content")).to_be_focused()
    say(maya, "Good morning")
    maya.route("**/say/", lambda route: route.abort())
    send(maya, "This one waits.")
    expect(maya.locator("#outgoing .outgoing")).to_contain_text("Waits for the connection")
    examine("waiting")
    # Before the other route, which stays: between the two the page would try again, and be heard.
    maya.route("**/say/", lambda route: route.fulfill(status=403, body="no"))
    expect(maya.locator("#outgoing .outgoing")).to_contain_text("Not sent")
    phone = windows.open(f"/desk/c/{number}/", login="maya")
    typed(phone, "Another draft, typed on the phone while nobody looked.")
    typed(maya, "It is in stock.")
    expect(maya.locator(".draft-offer")).to_be_visible()
    maya.get_by_role("radio", name="Private note").check()
    maya.get_by_role("radio", name="Reply").check()
    maya.context.set_offline(True)
    expect(maya.locator("#connection-bar")).to_be_visible()
    examine("refused")
    maya.get_by_role("radio", name="Private note").check()
    maya.locator("#content").press_sequentially("Is there another one?")
    examine("note")
    maya.close()  # it is offline, and goes on trying
    windows.complaints.clear()  # the browser notes the refusals
