"""Every page as people see it: in light and dark, on three widths, in each language. Nothing sticks out, and axe is content.

The pictures are left in test-results/pages. `make pictures` puts those that the documents show into docs/images.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import ROOT, Server, Windows
from tests.browser.test_design import LANGUAGES, OUT_OF_SIGHT, in_full
from tests.browser.test_desk import AXE, EXAMINE

pytestmark = pytest.mark.browser
PICTURES = ROOT / "test-results" / "pages"
SAMPLE = ROOT / "sessions_app" / "management" / "sample" / "conversations.ndjson"
WIDTHS = {1440: 900, 1024: 768, 390: 800}
SHOWN = {
    ("open", "light", 1440): "desk-light",
    ("open", "dark", 1440): "desk-dark",
    ("open", "light", 390): "desk-narrow",
    ("desk", "light", 390): "desk-list-narrow",
    ("design", "light", 1440): "design",
    ("try-it", "light", 1440): "try-it",
    ("joined", "light", 1024): "joined",
    ("admin-conversation", "light", 1440): "admin-conversation",
}
"""Which pictures the documents show, and by what name."""

# Who looks, and at what; `{name}` is an address that the scenes came to.
PAGES = {
    "login": ("", "/login/"),
    "not-found": ("maya", "/nothing/"),
    "no-agent": ("nobody", "/desk/"),
    "desk": ("maya", "/desk/"),
    "open": ("maya", "{open}"),
    "waits": ("maya", "{waits}"),
    "the-bots": ("maya", "{bots}"),
    "replies": ("maya", "/desk/replies/"),
    "try-it": ("customer", "/try-it/"),
    "try-it-at-first": ("", "/try-it/"),
    "invitation": ("", "{invitation}"),
    "joined": ("gus", "{joined}"),
    "over": ("gil", "{over}"),
    "no-way-in": ("", "/join/nobody-gave-this-out"),
    "design": ("maya", "/design/"),
    "api": ("", "/api/docs"),
    "api-errors": ("", "/api/docs/errors"),
    "admin": ("sam", "/admin/"),
    "admin-conversation": ("sam", "{admin}"),
    "admin-sessions": ("sam", "/admin/sessions_app/chatsession/"),
    "admin-what-if": ("sam", "/admin/sessions_app/assignmentdecision/what-if/"),
}
NOT_OURS = {"api", "admin", "admin-conversation", "admin-sessions", "admin-what-if"}
"""What Django's admin and Swagger's page make of their own markup is theirs; ours stands in it."""

OF_THE_DAY = {"login", "desk", "open", "waits", "try-it", "invitation", "joined", "admin"}
"""Where the core day is spent; `make slow` looks at the other pages."""
PAGES_MARKED = [pytest.param(name, marks=() if name in OF_THE_DAY else in_full) for name in PAGES]

IN_EACH_LANGUAGE = ("login", "open", "waits", "replies", "try-it", "invitation", "joined")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the sample that `make run` loads where there is nothing else, and a login without an agent."""
    first = (
        "from django.contrib.auth import get_user_model\n"
        "from django.core.management import call_command\n"
        f"call_command('loadsample', file={str(SAMPLE)!r})\n"
        "get_user_model().objects.create_user('nobody', password='demo')"
    )
    server = Server(tmp_path_factory.mktemp("pages"), first=first)
    yield server
    server.close()


@pytest.fixture(scope="module")
def addresses(chromium: Browser, server: Server) -> dict[str, str]:
    """Play what leads to the pages; the cookies of those who saw them stay with the server."""
    windows = Windows(chromium, server)
    maya = windows.open("/desk/?view=mine", login="maya")
    windows.open("/desk/", login="sam")
    found = {"waits": _first(maya, "unassigned"), "bots": _first(maya, "bot_active")}
    maya.goto(_first(maya, "mine"))
    number = maya.locator("#thread").get_attribute("data-conversation")
    found["open"] = f"/desk/c/{number}/?view=all"
    found["admin"] = f"/admin/messaging_app/conversation/{number}/change/"
    maya.get_by_role("radio", name="Private note").check()
    maya.fill("#content", "@Jun is the oak one still in the back?")
    maya.press("#content", "Enter")
    maya.get_by_role("radio", name="Reply").check()
    maya.fill("#content", "Hello, I am Maya. I ask our warehouse, one moment.")
    maya.press("#content", "Enter")
    expect(maya.locator("#outgoing")).to_be_hidden()
    for name in ("Gil", "Gus", "Noor"):
        link = _invited(maya, name)
        found["invitation"] = link
        if name == "Noor":
            continue
        guest = windows.open(link)
        guest.get_by_role("button", name="Join").click()
        guest.wait_for_url("**/joined/**")
        found["over" if name == "Gil" else "joined"] = guest.url.removeprefix(server.url)
        server.cookies[name.lower()] = guest.context.cookies()
    guest.fill("#content", "There are fourteen of them.")
    guest.press("#content", "Enter")
    expect(maya.locator("#items .said", has_text="fourteen")).to_be_visible()
    maya.get_by_role("button", name="Remove Gil").click()
    expect(maya.locator("#people")).not_to_contain_text("Gil")
    customer = windows.open("/try-it/")
    for text in ("How much is the kettle?", "human please"):
        customer.fill("#content", text)
        customer.press("#content", "Enter")
        expect(customer.locator("#items .from-customer", has_text=text)).to_be_visible()
    server.cookies["customer"] = customer.context.cookies()
    nobody = windows.open("/login/")
    nobody.fill("#id_username", "nobody")
    nobody.fill("#id_password", "demo")
    nobody.click("button.wide")
    nobody.wait_for_url("**/desk/")
    server.cookies["nobody"] = nobody.context.cookies()
    windows.close()
    return found


def _first(page: Page, view: str) -> str:
    page.goto(f"/desk/?view={view}")
    return str(page.locator("#rows .row").first.get_attribute("href"))


def _invited(page: Page, name: str) -> str:
    if page.locator("#fold-invite").get_attribute("open") is None:
        page.locator("#fold-invite summary").click()
    page.fill("#invite-name", name)
    page.select_option("#invite-history", "all")
    page.locator("#fold-invite button").click()
    expect(page.locator("#people")).to_contain_text(name)
    link = page.locator("#once input").input_value()
    return "/" + link.split("/", 3)[3]


def _go(windows: Windows, server: Server, addresses: dict[str, str], name: str, language: str = "") -> Page:
    who, path = PAGES[name]
    page = windows.open("about:blank")
    if who:
        page.context.add_cookies(server.cookies[who])
    if language:
        page.context.add_cookies([{"name": "django_language", "value": language, "url": server.url}])
    page.goto(path.format(**addresses))
    _ready(page, name)
    return page


def _ready(page: Page, name: str) -> None:
    if page.locator("p#connection").count():
        page.wait_for_selector("p#connection[data-state=live]")
    if name == "api":
        page.wait_for_selector(".opblock")


def _faults(page: Page, name: str) -> list[str]:
    page.wait_for_timeout(250)  # what slides in or fades has done so
    faults = list(page.evaluate(OUT_OF_SIGHT))
    if name in NOT_OURS:
        return [fault for fault in faults if not fault.startswith("cut off")]
    assert AXE is not None
    page.evaluate(AXE.read_text(encoding="utf-8"))
    return faults + list(page.evaluate(EXAMINE))


@pytest.mark.parametrize("name", PAGES_MARKED)
def test_a_page_in_light_and_dark_on_three_widths(
    windows: Windows, server: Server, addresses: dict[str, str], name: str
) -> None:
    page = _go(windows, server, addresses, name)
    kept = os.environ.get("PICTURES", "")
    faults = {}
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.reload()  # Django's admin asks for the scheme only then
        _ready(page, name)
        for width, height in WIDTHS.items():
            page.set_viewport_size({"width": width, "height": height})
            if found := _faults(page, name):
                faults[width, scheme] = found
            page.screenshot(path=PICTURES / f"{name}-{scheme}-{width}.png", animations="disabled")
            if kept and (its := SHOWN.get((name, scheme, width))):
                page.screenshot(path=Path(kept) / f"{its}.png", animations="disabled")
    assert faults == {}
    _forgive(windows, name)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_desk_s_pages_in_each_language(
    windows: Windows, server: Server, addresses: dict[str, str], language: str
) -> None:
    faults = {}
    for name in IN_EACH_LANGUAGE:
        page = _go(windows, server, addresses, name, language)
        page.set_viewport_size({"width": 1440, "height": 900})
        if found := page.evaluate(OUT_OF_SIGHT):
            faults[name] = found
        page.screenshot(path=PICTURES / language / f"{name}.png", animations="disabled")
        _forgive(windows, name)
        page.context.close()
    assert faults == {}


def _forgive(windows: Windows, name: str) -> None:
    """The browser notes each answer that is not of success; these pages are such answers."""
    if name in ("not-found", "no-agent", "over", "no-way-in"):
        windows.complaints.clear()
