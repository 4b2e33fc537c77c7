"""The frame of the desk in a real browser: widths, details that fold away, theme, rows that stay put, offers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import ROOT, Server, Windows, hears_nothing, until
from tests.browser.test_desk import AXE, EXAMINE

pytestmark = pytest.mark.browser


def width(page: Page, selector: str) -> int:
    box = page.locator(selector).bounding_box()
    assert box
    return round(box["width"])


def order(page: Page) -> list[str]:
    found: list[str] = page.locator("#rows > li").evaluate_all("rows => rows.map(row => row.id)")
    return found


def run(server: Server, code: str) -> None:
    """Something done beside the server, by the verbs."""
    subprocess.run([sys.executable, "-c", f"{BESIDE}\n{code}"], cwd=ROOT, env=server.env, check=True)


BESIDE = """
import django; django.setup()
from agents_app.actors import agent_actor
from agents_app.models import Agent, Tenant
from sessions_app.actions.conversations import resolve
from sessions_app.actions.presence import declare_availability
from sessions_app.actions.transfers import accept_transfer
from sessions_app.models import Transfer
maya, sam = (agent_actor(Agent.objects.get(name=name)) for name in ("Maya", "Sam"))
"""
NOBODY_WAITS = """
for transfer in Transfer.objects.filter(status="PENDING"):
    accept_transfer(actor=sam, transfer_id=transfer.pk, override=True)
    resolve(actor=sam, conversation_id=transfer.conversation_id)
"""


# --- Widths ------------------------------------------------------------------------------------------------------


def test_columns_are_made_wider_by_hand_and_by_keyboard_and_stay_so(windows: Windows, server: Server) -> None:
    number = server.stage("hears", "widths", "hello")
    maya = windows.open(f"/desk/c/{number}/", login="maya", viewport={"width": 1440, "height": 900})
    usual = {name: width(maya, name) for name in ("#views", "#conversations", "#side")}
    assert usual == {"#views": 200, "#conversations": 340, "#side": 320}

    splitter = maya.locator("#split-list")
    box = splitter.bounding_box()
    assert box
    maya.mouse.move(box["x"] + 4, 500)
    maya.mouse.down()
    maya.mouse.move(box["x"] + 64, 500)
    maya.mouse.up()
    assert width(maya, "#conversations") == 400
    splitter.focus()
    expect(splitter).to_have_attribute("aria-valuenow", "400")
    maya.keyboard.press("ArrowLeft")
    assert width(maya, "#conversations") == 384
    maya.locator("#split-views").focus()
    maya.keyboard.press("Home")
    assert width(maya, "#views") == 140
    maya.locator("#split-context").focus()
    maya.keyboard.press("ArrowLeft")  # it grows to the other side
    assert width(maya, "#side") == 336

    maya.reload()
    expect(maya.locator("#split-context")).to_have_count(1)
    assert [width(maya, name) for name in usual] == [140, 384, 336]
    for name in ("views", "list", "context"):
        maya.locator(f"#split-{name}").focus()
        maya.keyboard.press("Enter")  # as it usually is
    assert {name: width(maya, name) for name in usual} == usual
    maya.reload()
    assert {name: width(maya, name) for name in usual} == usual


# --- Details -----------------------------------------------------------------------------------------------------


def test_details_fold_away_and_stay_folded(windows: Windows, server: Server) -> None:
    number = server.stage("hears", "folded", "hello")
    maya = windows.open(f"/desk/c/{number}/", login="maya", viewport={"width": 1440, "height": 900})
    facts = maya.locator("#side .facts").first
    expect(facts).to_be_visible()
    log = width(maya, "#log")
    maya.locator("#side > summary").click()
    expect(facts).to_be_hidden()
    assert width(maya, "#log") == log + 320
    maya.reload()
    expect(facts).to_be_hidden()
    maya.locator("#side > summary").click()
    maya.reload()
    expect(facts).to_be_visible()


@pytest.mark.parametrize("size", [(1024, 768), (390, 800)])
def test_on_a_smaller_screen_details_are_a_drawer(windows: Windows, server: Server, size: tuple[int, int]) -> None:
    number = server.stage("hears", "drawer", "hello")
    maya = windows.open(f"/desk/c/{number}/", login="maya", viewport={"width": size[0], "height": size[1]})
    facts, summary = maya.locator("#side .facts").first, maya.locator("#side > summary")
    expect(facts).to_be_hidden()
    log = width(maya, "#log")
    summary.focus()
    maya.keyboard.press("Enter")
    expect(facts).to_be_visible()
    assert width(maya, "#log") == log  # it lies over the conversation
    maya.keyboard.press("Escape")
    expect(facts).to_be_hidden()
    expect(summary).to_be_focused()
    summary.click()
    maya.locator("#log").click(position={"x": 5, "y": 60})
    expect(facts).to_be_hidden()
    assert maya.evaluate("document.documentElement.scrollWidth") <= size[0]


# --- Views -------------------------------------------------------------------------------------------------------


def test_views_are_a_menu_where_there_is_no_room(windows: Windows, server: Server) -> None:
    server.stage("hears", "menu", "hello", "human please")
    maya = windows.open("/desk/", login="maya", viewport={"width": 390, "height": 800})
    button = maya.locator("#views-button")
    expect(maya.locator("#views")).to_be_hidden()
    button.click()
    expect(button).to_have_attribute("aria-expanded", "true")
    expect(maya.locator("#tabs [aria-current]")).to_be_focused()
    maya.keyboard.press("Escape")
    expect(maya.locator("#views")).to_be_hidden()
    expect(button).to_be_focused()
    button.click()
    maya.locator("#tabs a", has_text="Unassigned").click()
    expect(maya.locator("#views")).to_be_hidden()
    expect(maya.locator("#list-name")).to_have_text("Unassigned")
    expect(maya.locator(".row", has_text="menu")).to_be_visible()
    assert "view=unassigned" in maya.url


# --- Theme -------------------------------------------------------------------------------------------------------


def test_the_theme_is_chosen_kept_and_there_before_anything_is_painted(windows: Windows, server: Server) -> None:
    maya = windows.open("/desk/", login="maya", color_scheme="light")
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    light = maya.evaluate(ground)
    button = maya.locator("#theme")
    button.click()
    expect(maya.locator("html")).to_have_attribute("data-theme", "light")
    button.click()
    expect(maya.get_by_role("button", name="Theme: dark")).to_be_visible()
    dark = maya.evaluate(ground)
    assert dark != light
    # Before the body is there, the page is dark already.
    maya.add_init_script(
        """new MutationObserver((_, it) => {
            if (!document.body) return;
            window.early = document.documentElement.dataset.theme;
            it.disconnect();
        }).observe(document, {childList: true, subtree: true})"""
    )
    maya.reload()
    assert maya.evaluate("window.early") == "dark"
    assert maya.evaluate(ground) == dark
    maya.goto("/desk/replies/")
    assert maya.evaluate(ground) == dark


# --- Rows that do not move under the pointer ---------------------------------------------------------------------


def test_rows_stay_where_they_are_while_somebody_points_at_them(windows: Windows, server: Server) -> None:
    for name in ("still-1", "still-2", "still-3"):
        server.stage("hears", name, "hello")
    maya = windows.open("/desk/?q=still-", login="maya")
    before = order(maya)
    assert len(before) == 3
    maya.locator(f"#{before[0]} .row").hover()
    updates = maya.get_by_role("button", name="update")
    server.stage("hears", "still-1", "human please")  # goes to the top
    moved = maya.locator(f"#{before[2]}")
    expect(moved).to_contain_text("human please")  # its own words are as they are now
    expect(updates).to_have_text("1 update")
    assert order(maya) == before
    server.stage("hears", "still-4", "hello", "human please")
    expect(updates).to_have_text("2 updates")
    assert order(maya) == before
    updates.click()
    expect(updates).to_be_hidden()
    after = order(maya)
    assert len(after) == 4
    assert after[0] == before[2]

    maya.locator(f"#{after[3]} .row").hover()
    server.stage("hears", "still-5", "hello", "human please")
    expect(updates).to_have_text("1 update")
    maya.locator("#q").focus()
    maya.mouse.move(1000, 300)  # nobody points at the list any more
    expect(updates).to_be_hidden()
    expect(maya.locator("#rows > li")).to_have_count(5)
    server.stage("hears", "still-2", "human please")
    expect(maya.locator("#rows > li").nth(3)).to_contain_text("still-2")


def test_focus_holds_the_rows_too_and_leaving_lets_them_go(windows: Windows, server: Server) -> None:
    for name in ("held-1", "held-2"):
        server.stage("hears", name, "hello")
    maya = windows.open("/desk/?q=held-", login="maya")
    before = order(maya)
    maya.locator(".row").first.focus()
    server.stage("hears", "held-1", "human please")
    expect(maya.locator("#updates")).to_have_text("1 update")
    assert order(maya) == before
    expect(maya.locator(".row").first).to_be_focused()
    maya.locator("#q").focus()
    expect(maya.locator("#updates")).to_be_hidden()
    assert order(maya) == before[::-1]


def test_one_row_is_reached_by_tab_and_the_arrows_lead_on(windows: Windows, server: Server) -> None:
    numbers = [server.stage("hears", f"rove-{n}", "hello") for n in range(3)]
    maya = windows.open("/desk/?q=rove-", login="maya")
    expect(maya.locator(".row")).to_have_count(3)
    stops = maya.locator("#rows [tabindex='0']")
    expect(stops).to_have_count(4)  # a row, its box, its two buttons
    first = order(maya)[0]
    maya.locator("#controller").focus()
    maya.keyboard.press("Tab")
    expect(maya.locator(f"#{first} .pick input")).to_be_focused()
    maya.keyboard.press("Tab")
    expect(maya.locator(f"#{first} .row")).to_be_focused()
    maya.keyboard.press("End")
    last = maya.locator(f"#c{numbers[0]}")
    expect(last.locator(".row")).to_be_focused()
    maya.keyboard.press("Tab")
    pin = last.get_by_role("button", name="Pin rove-0")
    expect(pin).to_be_focused()
    maya.keyboard.press("Enter")
    expect(last.get_by_role("img", name="Pinned")).to_be_visible()
    last.get_by_role("button", name="Mark rove-0 as to do").press("Enter")
    expect(maya.locator("#tabs a", has_text="To do").locator(".count")).to_have_text("1")
    last.get_by_role("button", name="Done").press("Enter")
    expect(maya.locator("#tabs a", has_text="To do").locator(".count")).to_have_count(0)


def test_a_list_that_cannot_be_brought_up_to_date_says_so(windows: Windows, server: Server) -> None:
    maya = windows.open("/desk/", login="maya")
    maya.route("**/desk/list/*", lambda route: route.abort())
    maya.fill("#q", "anything")
    old = maya.locator("#list-old")
    expect(old).to_be_visible()
    maya.unroute("**/desk/list/*")
    old.get_by_role("button").click()
    expect(old).to_be_hidden()
    expect(maya.locator("#list")).to_contain_text("Nothing fits")
    windows.complaints.clear()  # the request that was cut off


# --- Offers ------------------------------------------------------------------------------------------------------


@pytest.fixture
def pushing(server: Server) -> Iterator[None]:
    """What waits is offered to Maya, for as long as the test lasts; there are minutes to answer."""
    run(server, f"{NOBODY_WAITS}\nTenant.objects.update(assignment='push', policies={{'offer_timeout': 600}})")
    yield
    run(
        server,
        "Tenant.objects.update(assignment='pull', policies={})\ndeclare_availability(actor=maya, availability='offline')",
    )


def available(windows: Windows, path: str = "/desk/", **options: Any) -> Page:
    """Maya declares herself available, at the desk."""
    maya = windows.open(path, login="maya", **options)
    maya.locator("#presence summary").click()
    maya.get_by_role("button", name="Available", exact=True).click()
    expect(maya.locator("#presence summary")).to_have_attribute("data-availability", "available")
    return maya


def test_an_offer_is_a_card_that_is_announced_once_and_accepted(
    windows: Windows, server: Server, pushing: None
) -> None:
    other = server.stage("hears", "offer-other", "hello")
    maya = available(windows, f"/desk/c/{other}/")
    number = server.stage("hears", "offer-accept", "Where is my parcel?", "human please")
    card = maya.locator(f".offer:has(a[href='/desk/c/{number}/'])")
    expect(card).to_contain_text("offer-accept")
    expect(card).to_contain_text("human please")
    told = maya.locator("#offer-told")
    expect(told).to_contain_text("Offered to you: offer-accept.")
    before = int(card.locator(".ring-count").inner_text())
    ring = card.locator(".ring-left")
    offset = float(ring.evaluate("it => it.style.strokeDashoffset"))
    expect(card.locator(".ring-count")).not_to_have_text(str(before))
    assert float(ring.evaluate("it => it.style.strokeDashoffset")) > offset
    until(maya, f"Number(document.querySelector('.ring-count').textContent) <= {before - 3}")
    # An update of the page says nothing twice, and does not wind the clock up again.
    maya.evaluate("document.getElementById('offer-told').textContent = ''")
    server.stage("hears", "offer-other", "and another thing")
    expect(maya.locator(f"#c{other}")).to_contain_text("and another thing")
    expect(told).to_have_text("")
    assert int(card.locator(".ring-count").inner_text()) <= before - 3
    card.get_by_role("button", name="Accept").click()
    expect(maya.locator("#head h1")).to_have_text("offer-accept")
    expect(maya.locator("#head .pill")).to_contain_text("You are serving")
    expect(card).to_have_count(0)
    assert f"/desk/c/{number}/" in maya.url


def test_an_offer_is_declined_with_a_reason_that_no_update_touches(
    windows: Windows, server: Server, pushing: None
) -> None:
    maya = available(windows, viewport={"width": 390, "height": 800})
    number = server.stage("hears", "offer-decline", "hello", "human please")
    card = maya.locator(".offer", has_text="offer-decline")
    expect(card).to_be_visible()
    card.locator("summary").click()
    reason = card.locator("[name=reason]")
    expect(reason).to_be_focused()
    maya.keyboard.press("Escape")
    expect(card.locator("summary")).to_be_focused()
    card.locator("summary").click()
    reason.press_sequentially("at lunch")
    server.stage("hears", "offer-decline", "are you there?")
    expect(maya.locator(f"#c{number}")).to_contain_text("are you there?")
    expect(reason).to_have_value("at lunch")
    expect(reason).to_be_focused()
    reason.press("Enter")
    expect(card).to_have_count(0)
    assert maya.evaluate("document.documentElement.scrollWidth") <= 390


def test_whoever_was_slower_than_a_colleague_is_told_who_won(windows: Windows, server: Server, pushing: None) -> None:
    maya = available(windows)
    number = server.stage("hears", "offer-race", "hello", "human please")
    card = maya.locator(".offer", has_text="offer-race")
    expect(card).to_be_visible()
    with hears_nothing(maya):
        sam = windows.open(f"/desk/c/{number}/", login="sam")
        sam.locator("#head").get_by_role("button", name="Accept").click()
        expect(sam.locator("#head .pill")).to_contain_text("You are serving")
        card.get_by_role("button", name="Accept").click()
        expect(maya.locator("#toasts")).to_contain_text("Sam has taken this conversation.")
    maya.locator("#list-old button").click()
    expect(card).to_have_count(0)
    windows.complaints.clear()  # the requests that were cut off, and the refusal itself


@pytest.mark.skipif(AXE is None, reason="axe-core is not in tests/vendor")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(windows: Windows, server: Server, pushing: None, scheme: str) -> None:
    assert AXE is not None
    maya = available(windows, color_scheme=scheme, viewport={"width": 1440, "height": 900})
    number = server.stage("hears", f"axe-frame-{scheme}", "hello", "human please")
    expect(maya.locator(".offer")).not_to_have_count(0)
    maya.locator(".offer summary").first.click()
    maya.locator(f"#c{number} .row").hover()
    maya.evaluate(AXE.read_text(encoding="utf-8"))
    assert maya.evaluate(EXAMINE) == []
    maya.set_viewport_size({"width": 390, "height": 800})
    maya.locator("#views-button").click()
    assert maya.evaluate(EXAMINE) == []
