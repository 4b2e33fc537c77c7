"""From the invitation at the desk to the end of it, in real browsers: notice, link, chat both ways, removal."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PATIENCE, Server, Windows
from tests.browser.test_desk import AXE, EXAMINE, said, say
from tests.notices.conftest import SECRET
from tests.standins import HttpStandIn, http_stand_in

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def post() -> Iterator[HttpStandIn]:
    """Takes the notices, as the installation's own webhook."""
    with http_stand_in() as post:
        yield post


@pytest.fixture(scope="module")
def server(post: HttpStandIn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NOTICE_WEBHOOK_URL", f"{post.url}/notices")
        patch.setenv("NOTICE_WEBHOOK_SECRET", SECRET)
        server = Server(tmp_path_factory.mktemp("joined"))
    yield server
    server.close()


def serving(windows: Windows, server: Server, account: str, **options: Any) -> tuple[Page, str]:
    """Maya serves a customer who has written five times."""
    number = server.stage("hears", account, "one", "two", "three", "four", "human please")
    maya = windows.open(f"/desk/c/{number}/", login="maya", **options)
    maya.locator("#head").get_by_role("button", name="Accept").click()
    expect(maya.locator("#head .pill")).to_contain_text("You are serving")
    return maya, number


def invite(maya: Page, post: HttpStandIn, name: str, history: str, count: int = 0) -> str:
    """Invite somebody by the panel's form; answers the link's path, as the notice brought it."""
    before = len(post.asked)
    maya.locator("#fold-invite summary").click()
    maya.fill("#invite-name", name)
    maya.fill("#invite-contact", "+49 170 1234567")
    maya.select_option("#invite-history", history)
    if count:
        maya.fill("#invite-count", str(count))
    maya.locator("#fold-invite button").click()
    expect(maya.locator("#people")).to_contain_text(name)
    expect(maya.locator("#invite-name")).to_have_value("")
    ends = time.monotonic() + PATIENCE / 1000
    while len(post.asked) == before:
        assert time.monotonic() < ends, "no notice came"
        time.sleep(0.05)
    notice = post.asked[-1].json["data"]
    assert (notice["name"], notice["invited_by"]) == (name, "Maya")
    path = urlsplit(notice["link"]).path
    expect(maya.locator("#once input")).to_have_value(notice["link"])
    return path


def join(windows: Windows, path: str, **options: Any) -> Page:
    guest = windows.open(path, **options)
    guest.get_by_role("button", name="Join").click()
    guest.wait_for_url("**/joined/**")
    return guest


def texts(page: Page) -> list[str]:
    return page.locator("#items .said").all_inner_texts()


def test_from_the_invitation_to_the_removal(windows: Windows, server: Server, post: HttpStandIn) -> None:
    maya, number = serving(windows, server, "joined")
    path = invite(maya, post, "Gus", "last", 2)
    assert "Maya" in windows.open(path).locator("h1").inner_text()  # a look, as a mail scanner's
    gus = join(windows, path)
    assert texts(gus) == ["You said: four", "human please"]
    expect(maya.locator("#head .with")).to_contain_text("Gus")

    say(gus, "It is in stock.")
    expect(said(maya, "It is in stock.")).to_be_visible()
    expect(gus.locator(".message.mine", has_text="It is in stock.")).to_be_visible()
    maya.get_by_role("radio", name="Private note").check()
    say(maya, "between colleagues")
    maya.get_by_role("radio", name="Reply").check()
    say(maya, "Thank you, Gus.")
    expect(said(gus, "Thank you, Gus.")).to_be_visible()

    gil = join(windows, invite(maya, post, "Gil", "none"))
    assert texts(gil) == []
    expect(gus.locator("#status")).to_contain_text("Gil")
    server.stage("hears", "joined", "And when will it come?")
    for page in (gus, gil):
        expect(said(page, "And when will it come?")).to_be_visible()
        expect(said(page, "between colleagues")).to_have_count(0)

    gus.fill("#content", "half a sen")
    maya.get_by_role("button", name="Remove Gus").click()
    expect(maya.locator("#people")).not_to_contain_text("Gus")
    expect(gus.locator("#over")).to_contain_text("You were taken out of this conversation.")
    expect(gus.locator(".said")).to_have_count(0)
    expect(gus.locator("#composer")).to_have_count(0)
    say(maya, "Only for those who are still here.")
    expect(said(gil, "Only for those who are still here.")).to_be_visible()
    expect(said(gus, "Only for those who are still here.")).to_have_count(0)
    gus.reload()
    expect(gus.locator("h1")).to_contain_text("You were taken out of this conversation.")

    gil.get_by_text("Leave", exact=True).click()
    gil.get_by_role("button", name="Leave the conversation").click()
    expect(gil.locator("h1")).to_contain_text("You have left this conversation.")
    expect(maya.locator("#people")).to_contain_text("Nobody beside the owner.")
    windows.complaints.clear()  # the browser notes each answer of 410
    assert number


def test_the_end_of_the_work_ends_the_chat(windows: Windows, server: Server, post: HttpStandIn) -> None:
    maya, _ = serving(windows, server, "ended")
    gus = join(windows, invite(maya, post, "Gus", "all"))
    assert len(texts(gus)) == 9
    maya.locator("#act-resolve summary").click()
    maya.locator("#act-resolve button").click()
    expect(gus.locator("#over")).to_contain_text("This conversation has ended.")
    windows.complaints.clear()


def test_without_a_socket_it_asks_every_ten_seconds(windows: Windows, server: Server, post: HttpStandIn) -> None:
    maya, _ = serving(windows, server, "polled")
    gus = windows.open(invite(maya, post, "Gus", "none"))
    gus.route_web_socket("**/ws/joined/**", lambda socket: socket.close(code=1013))
    gus.get_by_role("button", name="Join").click()
    gus.wait_for_url("**/joined/**")
    say(maya, "Can you hear me?")
    expect(said(gus, "Can you hear me?")).to_be_visible()
    say(gus, "I can.")
    expect(said(maya, "I can.")).to_be_visible()


def test_a_used_link_leads_its_own_browser_back_and_no_other(
    windows: Windows, server: Server, post: HttpStandIn
) -> None:
    maya, _ = serving(windows, server, "again")
    path = invite(maya, post, "Gus", "none")
    gus = join(windows, path)
    gus.goto(path)
    gus.wait_for_url("**/joined/**")
    expect(windows.open(path).locator("h1")).to_contain_text("This link leads nowhere")
    windows.complaints.clear()  # the browser notes that the page was not found


def test_without_scripts_it_is_a_chat_too(windows: Windows, server: Server, post: HttpStandIn) -> None:
    maya, _ = serving(windows, server, "plain-guest")
    gus = join(windows, invite(maya, post, "Gus", "last", 1), java_script_enabled=False)
    gus.fill("#content", "By plain form.")
    gus.get_by_role("button", name="Send").click()
    assert texts(gus) == ["human please", "By plain form."]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_and_a_phone_is_wide_enough(
    windows: Windows, server: Server, post: HttpStandIn, scheme: str
) -> None:
    assert AXE is not None

    def examine(page: Page, name: str) -> None:
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), name
        page.evaluate(AXE.read_text(encoding="utf-8"))
        assert page.evaluate(EXAMINE) == [], name

    phone = {"viewport": {"width": 390, "height": 800}, "color_scheme": scheme}
    maya, number = serving(windows, server, f"axe-guest-{scheme}", color_scheme=scheme)
    maya.locator("#fold-invite summary").click()
    maya.select_option("#invite-history", "last")
    examine(maya, "desk with the form open")
    maya.locator("#fold-invite summary").click()
    path = invite(maya, post, "Gus Okafor-Lindqvist of the warehouse", "last", 3)
    examine(maya, "desk with the link shown")
    guest = windows.open(path, **phone)
    examine(guest, "invitation")
    guest.get_by_role("button", name="Join").click()
    guest.wait_for_url("**/joined/**")
    say(guest, "It is in stock: a long sentence that needs more than one line on a small screen.")
    say(maya, "Thank you.")
    expect(said(guest, "Thank you.")).to_be_visible()
    examine(guest, "chat")
    guest.get_by_text("Leave", exact=True).click()
    examine(guest, "leaving")
    wide = windows.open(f"/desk/c/{number}/", login="jun", color_scheme=scheme)
    examine(wide, "a colleague's desk")
    maya.locator("[id^=person-] button", has_text="Remove").click()
    expect(guest.locator("#over")).to_be_visible()
    examine(guest, "over")
    guest.reload()
    examine(guest, "over, loaded again")
    guest.goto("/join/invented")
    examine(guest, "no way in")
    windows.complaints.clear()
