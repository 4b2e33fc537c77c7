"""Files in a real browser: picked, pasted and dropped into a composer, seen by others, fetched."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests import uploads
from tests.browser.conftest import Server, Windows
from tests.browser.test_desk import AXE, EXAMINE
from tests.browser.test_kept import serve

pytestmark = pytest.mark.browser

# What a browser hands over when something is pasted or dropped; scripts may make it, people cannot be scripted.
HAND = """([target, kind, name, type, data]) => {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  const bag = new DataTransfer();
  bag.items.add(new File([bytes], name, { type }));
  const given = kind === "paste" ? { clipboardData: bag } : { dataTransfer: bag };
  const event = kind === "paste" ? new ClipboardEvent("paste", { ...given, bubbles: true, cancelable: true })
                                 : new DragEvent(kind, { ...given, bubbles: true, cancelable: true });
  document.querySelector(target).dispatchEvent(event);
}"""


def hand(page: Page, target: str, kind: str, name: str, data: bytes, type: str = "image/png") -> None:
    page.evaluate(HAND, [target, kind, name, type, base64.b64encode(data).decode()])


def pick(page: Page, *files: tuple[str, bytes]) -> None:
    given: Any = [{"name": name, "mimeType": "application/octet-stream", "buffer": data} for name, data in files]
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Attach files").click()
    chooser.value.set_files(given)


def chip(page: Page, name: str) -> Any:
    return page.locator(".chip-file.is-ready", has_text=name)


def test_files_are_picked_pasted_and_dropped_and_a_colleague_sees_them(windows: Windows, server: Server) -> None:
    maya = serve(windows, server, "files-customer")
    number = maya.locator("#thread").get_attribute("data-conversation")
    jun = windows.open(f"/desk/c/{number}/", login="jun")
    pick(maya, ("picked.png", uploads.picture(size=(1200, 800))), ("invoice.pdf", uploads.PDF))
    hand(maya, "#content", "paste", "pasted.png", uploads.picture(colour="gold"))
    hand(maya, "#log", "dragover", "dropped.png", uploads.picture(colour="tomato"))
    expect(maya.locator("#composer")).to_have_class("composer is-dropping")
    hand(maya, "#log", "drop", "dropped.png", uploads.picture(colour="tomato"))
    for name in ("picked.png", "invoice.pdf", "pasted.png", "dropped.png"):
        expect(chip(maya, name)).to_be_visible()
    expect(chip(maya, "picked.png").locator("img")).to_have_js_property("complete", True)
    maya.get_by_role("button", name="Remove pasted.png").click()
    expect(maya.locator(".chip-file")).to_have_count(3)
    maya.fill("#content", "Here they are.")
    maya.press("#content", "Enter")
    mine = maya.locator(".message.mine", has_text="Here they are.")
    expect(mine.locator(".picture")).to_have_count(2)
    expect(maya.locator(".chip-file")).to_have_count(0)
    theirs = jun.locator(".message", has_text="Here they are.")
    expect(theirs.locator(".picture img").first).to_have_js_property("naturalWidth", 480)
    with jun.expect_download() as fetched:
        theirs.locator("a.file", has_text="invoice.pdf").click()
    assert fetched.value.suggested_filename == "invoice.pdf"
    assert Path(fetched.value.path()).read_bytes() == uploads.PDF
    with jun.context.expect_page() as opened:
        theirs.locator(".picture").first.click()
    expect(opened.value.locator("img")).to_have_js_property("naturalWidth", 1200)
    row = maya.locator(f"#c{number} .preview")
    expect(row).to_contain_text("Here they are.")


def test_an_upload_shows_how_far_it_is_and_words_wait_for_it(windows: Windows, server: Server) -> None:
    maya = serve(windows, server, "slow-customer")
    held: list[Route] = []
    maya.route("**/attach/", lambda route: held.append(route))  # noqa: PLW0108 – Playwright wants a function
    pick(maya, ("slow.png", uploads.picture()))
    expect(maya.get_by_role("progressbar", name="slow.png")).to_be_visible()
    maya.fill("#content", "With a picture.")
    maya.press("#content", "Enter")
    expect(maya.locator("#toasts")).to_contain_text("still on its way")
    expect(maya.locator("#content")).to_have_value("With a picture.")
    held[0].continue_()
    expect(chip(maya, "slow.png")).to_be_visible()
    maya.press("#content", "Enter")
    expect(maya.locator(".message.mine", has_text="With a picture.").locator(".picture")).to_be_visible()


def test_what_is_not_taken_is_said_at_its_name_and_what_broke_off_is_tried_again(
    windows: Windows, server: Server
) -> None:
    maya = serve(windows, server, "refused-customer")
    pick(maya, ("page.png", uploads.HTML))
    lost = maya.locator(".chip-file.is-lost")
    expect(lost).to_contain_text("Files of this type cannot be sent here.")
    lost.get_by_role("button", name="Remove page.png").click()
    expect(lost).to_have_count(0)
    maya.route("**/attach/", lambda route: route.abort())
    pick(maya, ("again.png", uploads.picture()))
    expect(lost).to_contain_text("was not sent")
    maya.unroute("**/attach/")
    lost.get_by_role("button", name="Try again").click()
    expect(chip(maya, "again.png")).to_be_visible()
    maya.press("#content", "Enter")
    expect(maya.locator(".message.mine .picture")).to_be_visible()
    windows.complaints.clear()  # the browser notes the refusal and the break


def test_the_customer_sends_a_picture_and_the_desk_shows_it(windows: Windows, server: Server) -> None:
    customer = windows.open("/try-it/")
    pick(customer, ("damage.png", uploads.picture(size=(300, 600))))
    expect(chip(customer, "damage.png")).to_be_visible()
    customer.get_by_role("button", name="Send").click()
    expect(customer.locator(".message.mine .picture, .from-customer .picture")).to_be_visible()
    maya = windows.open("/desk/", login="maya")
    maya.locator(".row", has_text="Visitor").first.click()
    expect(maya.locator(".from-customer .picture img")).to_have_js_property("naturalHeight", 480)


@pytest.mark.skipif(AXE is None, reason="axe-core is not in tests/vendor")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_with_files_can_be_used_by_everybody(windows: Windows, server: Server, scheme: str) -> None:
    maya = serve(windows, server, f"axe-files-{scheme}")
    maya.emulate_media(color_scheme=scheme)
    lamp = uploads.picture(size=(900, 600), colour="peru")
    pick(maya, ("broken lamp.png", lamp), ("invoice for the lamp, second copy.pdf", uploads.PDF))
    for name in ("broken lamp.png", "invoice"):  # words wait for every file, and the picture is the slower one
        expect(chip(maya, name)).to_be_visible()
    maya.fill("#content", "This is how it arrived.")
    maya.press("#content", "Enter")
    expect(maya.locator(".message.mine .picture")).to_be_visible()
    pick(maya, ("another side.png", lamp), ("page.png", uploads.HTML))
    expect(chip(maya, "another side.png")).to_be_visible()
    expect(maya.locator(".chip-file.is-lost")).to_be_visible()
    windows.complaints.clear()  # the browser notes the refusal
    if folder := os.environ.get("SCREENSHOTS"):
        for size in ((1280, 800), (420, 800)):
            maya.set_viewport_size({"width": size[0], "height": size[1]})
            maya.locator("#log").evaluate("log => log.scrollTo({ top: log.scrollHeight })")
            maya.screenshot(path=f"{folder}/files-{scheme}-{size[0]}.png")
    assert AXE is not None
    maya.evaluate(AXE.read_text(encoding="utf-8"))
    assert maya.evaluate(EXAMINE) == []
