"""Who else looks at a conversation, and who is typing: seen by those whom it concerns, gone when it is over."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Server, Windows
from tests.browser.test_desk import say

pytestmark = pytest.mark.browser


def played(windows: Windows) -> tuple[Page, str]:
    """A customer of the try-it page whom the bot serves, and the number of the conversation."""
    shopper = windows.open("/try-it/")
    say(shopper, "hello")
    expect(shopper.locator("#items .from-bot").first).to_be_visible()
    return shopper, str(shopper.locator("#chat").get_attribute("data-conversation"))


def test_two_agents_at_one_conversation_see_each_other_come_type_and_go(windows: Windows, server: Server) -> None:
    number = server.stage("hears", "beside", "hello", "human please")
    maya = windows.open(f"/desk/c/{number}/", login="maya")
    expect(maya.locator("#looking")).to_be_hidden()
    jun = windows.open(f"/desk/c/{number}/", login="jun")
    expect(maya.locator("#looking")).to_have_text(re.compile("Also here: .?Jun"))
    expect(jun.locator("#looking")).to_have_text(re.compile("Also here: .?Maya"))
    jun.get_by_role("radio", name="Private note").check()
    jun.locator("#content").press_sequentially("what do we do?")
    expect(maya.locator("#typing")).to_have_text(re.compile("Jun.? is writing a note…"))
    server.stage("hears", "beside", "are you there?")  # the header is made anew, and still says so
    expect(maya.locator("#items")).to_contain_text("are you there?")
    expect(maya.locator("#looking")).to_be_visible()
    jun.press("#content", "Enter")
    expect(maya.locator("#typing")).to_be_hidden()
    jun.goto("/desk/")
    expect(maya.locator("#looking")).to_be_hidden()


def test_customer_and_agent_see_each_other_type(windows: Windows, server: Server) -> None:
    shopper, number = played(windows)
    maya = windows.open(f"/desk/c/{number}/", login="maya")
    maya.locator("#content").press_sequentially("the bot has the turn")
    expect(shopper.locator("#typing")).to_be_hidden()  # that could not be sent
    maya.fill("#content", "")
    maya.locator("#lock button").click()
    expect(maya.locator("#head .pill")).to_contain_text("You are serving")
    maya.locator("#content").press_sequentially("One moment")
    expect(shopper.locator("#typing")).to_have_text(re.compile("Maya.? is typing…"))
    maya.press("#content", "Enter")
    expect(shopper.locator("#typing")).to_be_hidden()
    jun = windows.open("/desk/?view=all", login="jun")
    shopper.locator("#content").press_sequentially("Which colours")
    expect(maya.locator("#typing")).to_have_text(re.compile("is typing…"))
    row = jun.locator(f".row[data-conversation='{number}']")
    expect(row.locator(".types")).to_be_visible()
    expect(row.locator(".preview")).to_be_hidden()
    shopper.press("#content", "Enter")
    expect(maya.locator("#typing")).to_be_hidden()
    expect(row.locator(".preview")).to_contain_text("Which colours")
    expect(row.locator(".types")).to_be_hidden()


def test_whoever_stops_typing_is_not_shown_for_long(windows: Windows, server: Server) -> None:
    shopper, number = played(windows)
    maya = windows.open(f"/desk/c/{number}/", login="maya")
    shopper.locator("#content").press_sequentially("hm")
    expect(maya.locator("#typing")).to_be_visible()
    expect(maya.locator("#typing")).to_be_hidden()
    assert shopper.locator("#content").input_value() == "hm"
