"""Every component in every state, as it looks: nothing sticks out, nothing is cut off, and axe has nothing to say.

The pictures are left in test-results/design, for whoever changes the looks to look at.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.conf import settings
from django.utils.text import slugify
from playwright.sync_api import Page

from sessions_app.workbench.design.component_states import COMPONENTS, Component
from tests.browser.conftest import ROOT, Server, Windows
from tests.browser.test_desk import AXE, EXAMINE

pytestmark = pytest.mark.browser
PICTURES = ROOT / "test-results" / "design"
in_full = [pytest.mark.slow, pytest.mark.first_database]
WIDEST = ("es", "th")
"""Spanish and Thai need the most room, across and up; `make slow` looks at the others too."""
LANGUAGES = [
    code if code in WIDEST else pytest.param(code, marks=in_full)
    for code, _ in settings.LANGUAGES
    if code != settings.LANGUAGE_CODE
]
NARROW = ["head", "views", "dialog"]
"""Where words stand in boxes that are made for them."""

# What a reader cannot see: what sticks out of the window, and words that their button or chip cuts off without a sign.
OUT_OF_SIGHT = """() => {
  const wide = document.documentElement.scrollWidth > window.innerWidth ? ["the page is wider than its window"] : [];
  const cut = [...document.querySelectorAll(".button, .chip, .pill, .tag, .count, summary")].filter((one) => {
    const style = getComputedStyle(one);
    const shows = one.checkVisibility() && one.clientWidth > 8 && style.textIndent === "0px";
    return shows && style.textOverflow !== "ellipsis" && style.overflow !== "visible" && one.scrollWidth > one.clientWidth + 1;
  });
  const out = [...document.querySelectorAll("details[open] > form, details[open] > .menu-form")].filter((one) => {
    const { left, right } = one.getBoundingClientRect();
    return left < 0 || right > window.innerWidth;
  });
  return [
    ...wide,
    ...cut.map((one) => `cut off: ${one.className} ${one.textContent.trim()}`),
    ...out.map((one) => `out of the window: ${one.parentElement.id}`),
  ];
}"""


def states_of(component: Component, page: Page, *, width: int = 0) -> Iterator[str]:
    """Lead the page from state to state."""
    page.set_viewport_size({"width": width or component.width, "height": component.height})
    for state in component.states:
        page.goto(f"/design/{component.name}/{slugify(state)}/")
        page.wait_for_selector("html[data-specimen=ready]", state="attached")
        yield state


def picture(page: Page, component: Component, state: str, variant: str) -> None:
    page.screenshot(path=PICTURES / variant / f"{component.name}-{slugify(state)}.png", animations="disabled")


IN_FULL = {"offer", "side", "views", "rail", "connection", "dialog"}
"""Components that `make slow` looks at; the others are what everybody has before their eyes all day."""
COMPONENTS_MARKED = [
    pytest.param(component, id=name, marks=in_full if name in IN_FULL else ()) for name, component in COMPONENTS.items()
]


@pytest.mark.parametrize("component", COMPONENTS_MARKED)
def test_a_component_in_each_of_its_states(windows: Windows, server: Server, component: Component) -> None:
    page = windows.open("/desk/", login="maya", reduced_motion="reduce")
    assert AXE is not None
    axe = AXE.read_text(encoding="utf-8")
    faults = {}
    for state in states_of(component, page):
        page.evaluate(axe)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            picture(page, component, state, scheme)
            if found := page.evaluate(EXAMINE) + page.evaluate(OUT_OF_SIGHT):
                faults[state, scheme] = found
    assert faults == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_words_of_each_language_find_room(windows: Windows, server: Server, language: str) -> None:
    page = windows.open("/desk/", login="maya")
    page.context.add_cookies([{"name": "django_language", "value": language, "url": server.url}])
    faults = {}
    for component in (COMPONENTS[name] for name in NARROW):
        for state in states_of(component, page):
            picture(page, component, state, language)
            if found := page.evaluate(OUT_OF_SIGHT):
                faults[component.name, state] = found
    assert faults == {}


def test_a_phone_has_room_for_them(windows: Windows, server: Server) -> None:
    page = windows.open("/desk/", login="maya")
    faults = {}
    for component in COMPONENTS.values():
        for state in states_of(component, page, width=390):
            if found := page.evaluate(OUT_OF_SIGHT):
                faults[component.name, state] = found
            picture(page, component, state, "390")
    assert faults == {}


def test_the_page_that_shows_them_all(windows: Windows, server: Server) -> None:
    page = windows.open("/desk/", login="maya", viewport={"width": 1440, "height": 900})
    page.goto("/design/")
    for component in COMPONENTS.values():
        shown = page.frame_locator(f"#{component.name} iframe >> nth=0")
        page.locator(f"#{component.name}").scroll_into_view_if_needed()
        shown.locator("html[data-specimen=ready]").wait_for(state="attached")
    assert page.evaluate(OUT_OF_SIGHT) == []
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate(OUT_OF_SIGHT) == []
