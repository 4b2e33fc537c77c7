"""T17 in a browser: whatever the move, whoever takes the conversation has the bot's words before their eyes."""

from __future__ import annotations

import os

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Server, Windows
from tests.browser.test_desk import AXE, EXAMINE

pytestmark = pytest.mark.browser

SAID = ("Refund the postage and keep the order.", "an answer by tonight", "free delivery next time")
PICTURES = os.environ.get("PICTURES", "")
"""A folder for pictures to look at."""


def _accepts(maya: Page) -> None:
    maya.locator("#head").get_by_role("button", name="Accept").click()


def _takes_over(maya: Page) -> None:
    maya.locator("#head").get_by_role("button", name="Take over").click()


def _grabs(maya: Page) -> None:
    maya.locator("#act-grab summary").click()
    maya.fill("#reason-grab", "I know this customer.")
    maya.press("#reason-grab", "Enter")


MOVES = {
    "escalation": _accepts,
    "handover": _accepts,
    "takeover": _takes_over,
    "grab": _grabs,
    "requeue": _accepts,
    "reassignment": _accepts,
    "return": _accepts,
}


def shows_all(page: Page, card: str) -> None:
    for words in SAID:
        expect(page.locator(card)).to_contain_text(words)
    expect(page.locator(card).locator(".by").first).to_contain_text("Bot · ")


@pytest.mark.parametrize("move", MOVES)
def test_t17_after_each_move_the_agents_page_shows_what_the_bot_said(
    windows: Windows, server: Server, move: str
) -> None:
    number = server.stage("moved", f"moved-{move}", move)
    maya = windows.open(f"/desk/c/{number}/", login="maya")
    MOVES[move](maya)
    expect(maya.locator("#head .pill")).to_contain_text("You are serving")
    for card in ("#package", "#side"):
        shows_all(maya, card)
    expect(maya.locator("#side")).to_contain_text("A-1042")
    maya.reload()
    shows_all(maya, "#package")


@pytest.mark.skipif(AXE is None, reason="axe-core is not in tests/vendor")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_t17_the_card_can_be_read_everywhere(windows: Windows, server: Server, scheme: str, width: int) -> None:
    number = server.stage("moved", f"seen-{scheme}-{width}", "handover")
    maya = windows.open(
        f"/desk/c/{number}/", login="maya", color_scheme=scheme, viewport={"width": width, "height": 900}
    )
    expect(maya.locator("#package .by").first).to_be_visible()
    for place in ["open", "details"][: 1 + (width == 390)]:
        if place == "details":
            maya.locator("#side > summary").click()
        if PICTURES:
            maya.screenshot(path=f"{PICTURES}/package-{scheme}-{width}-{place}.png")
    assert AXE is not None
    maya.evaluate(AXE.read_text(encoding="utf-8"))
    assert maya.evaluate(EXAMINE) == []
