"""The composer, in which an agent writes: free, locked, with drafts, files and canned replies."""

from __future__ import annotations

from django.http import HttpRequest

from messaging_app.models.agent_tools import CannedReply, Draft
from sessions_app.queries import ThreadPage
from sessions_app.states import FlowStatus
from sessions_app.workbench.design.component_states.component import Act, ComponentState, Make
from sessions_app.workbench.design.component_states.opened import (
    in_flow,
    led_by_bot,
    opened,
    resolved,
    served_by,
    waiting_for_human,
)
from sessions_app.workbench.design.fixtures import Fixtures


def _drafted(fixtures: Fixtures) -> ThreadPage:
    page = served_by(fixtures, fixtures.me)
    draft = Draft(mode="reply", text="We can do", updated_at=fixtures.ago(50))
    page.drafts = {"reply": draft}
    return page


def _typing(*names: str, does: str = "replies") -> Act:
    return ("typing", [{"name": name, "does": does} for name in names])


_MINE = opened(lambda p: served_by(p, p.me))


def _with_replies(fixtures: Fixtures, request: HttpRequest) -> ComponentState:
    specimen = _MINE(fixtures, request)
    offered = [
        CannedReply(shortcut="/refund", title="Refund", text="Your money is on its way.", tenant=fixtures.tenant),
        CannedReply(
            shortcut="/return", title="Returns", text="You can return it for 30 days. " * 6, tenant=fixtures.tenant
        ),
    ]
    specimen.context["offered"] = [(reply, reply.text) for reply in offered]
    specimen.acts += [("type", "/re"), ("pick", "#picked")]
    return specimen


COMPOSERS: dict[str, Make] = {
    "a reply": _MINE,
    "a note": opened(lambda p: served_by(p, p.me), mode="note"),
    "with words": opened(lambda p: served_by(p, p.me), ("type", "We can do 84 for two.\nWith delivery.")),
    "locked: the bot speaks": opened(led_by_bot),
    "locked: waits for a human": opened(waiting_for_human),
    "locked: a colleague’s": opened(lambda p: served_by(p, p.jun)),
    "locked: a flow asks": opened(lambda p: in_flow(p, FlowStatus.WAITING)),
    "locked: nobody has it": opened(resolved),
    "the customer is typing": opened(lambda p: served_by(p, p.me), _typing("Ana Lima")),
    "several are typing": opened(lambda p: served_by(p, p.me), _typing("Ana Lima", "Jun")),
    "a colleague writes a note": opened(lambda p: served_by(p, p.me), _typing("Jun", does="notes")),
    "another draft": opened(
        _drafted, ("draft", {"text": "We can do 84 for two, and deliver them on Monday.", "isOwn": False})
    ),
    "look first": opened(
        lambda p: served_by(p, p.me), ("tell", [".hold", "Jun replied 2 s ago: look first. Press Enter again to send."])
    ),
    "canned replies": _with_replies,
    "files": opened(
        lambda p: served_by(p, p.me),
        ("files", {"ready": [{"id": 1, "name": "kettle.png"}], "moving": "film.mp4", "large": "archive.zip"}),
    ),
    "a file is dropped": opened(lambda p: served_by(p, p.me), ("class", ["#composer", "is-dropping"])),
}
