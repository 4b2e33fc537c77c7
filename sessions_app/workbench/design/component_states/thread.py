"""The thread: what was said, what happened, and what is being sent."""

from __future__ import annotations

from typing import Any

from sessions_app.queries import ThreadPage
from sessions_app.states import ParticipantStatus
from sessions_app.workbench.design.component_states.component import Act, Make
from sessions_app.workbench.design.component_states.opened import led_by_bot, opened, served_by, waiting_for_human
from sessions_app.workbench.design.fixtures import Fixtures


def _talk(fixtures: Fixtures) -> ThreadPage:
    """Every kind of speaker and of event, over two days."""
    page = served_by(fixtures, fixtures.me)
    helper = fixtures.participant(
        "Jun", ParticipantStatus.JOINED, agent=fixtures.jun, role="collaborator", joined_at=fixtures.ago(500)
    )
    page.helpers = [helper]
    page.items = [
        fixtures.said("customer", "Hello! Is the copper kettle still to be had?", 90_000),
        fixtures.said("bot", "It is. One costs 96.00.", 89_990, sender_name="Bargain bot"),
        fixtures.said("customer", "Could you do 80 for two of them?\nI would pick them up.", 900),
        fixtures.said("bot", "I did not understand. Shall I ask a colleague?", 890, sender_name="Bargain bot"),
        fixtures.event("attention.raised", 880),
        fixtures.event("transfer.requested", 870, "Bargain bot", kind="escalation", trigger="keyword", rule="asks"),
        fixtures.event("transfer.accepted", 840, "Maya", kind="escalation"),
        fixtures.by_agent(fixtures.me, "Hello Ana, I am Maya. Let me see what I can do.", 800),
        fixtures.by_agent(fixtures.me, "One moment please.", 790),
        fixtures.by_agent(fixtures.me, "@Jun what is our floor for these?", 780, is_note=True, mentioned=["Jun"]),
        fixtures.by_agent(fixtures.jun, "84 for two, and delivery is on us.", 400, is_note=True),
        fixtures.by_agent(fixtures.jun, "Hello Ana, we can do 84 for two.", 390),
        fixtures.said("participant", "They are in stock here.", 380, sender_id="7", sender_name="Gus, warehouse"),
        fixtures.said("shop", "I have put two aside.", 370, sender_name="Corner Shop"),
        fixtures.said("system", "The conversation was moved from another system.", 360),
        fixtures.event("transfer.declined", 355, "Jun", reason="at lunch"),
        fixtures.event("session.paused", 350, "Maya"),
        fixtures.event("session.resumed", 340, "Maya"),
        fixtures.event("sla.breached", 335, kind="next_response"),
        fixtures.said("customer", "هذا رائع، شكرًا", 300),
        fixtures.said("customer", "supercalifragilistic" * 12, 290),
        fixtures.event("session.completed", 280, "Maya", reason="sold"),
    ]
    return page


def _files(fixtures: Fixtures) -> ThreadPage:
    page = served_by(fixtures, fixtures.me)
    picture = fixtures.file("kettle.png", "image/png", 48_213, width=640, height=480)
    letter = fixtures.file("an invoice with a name that does not want to end.pdf", "application/pdf", 182_044)
    page.items = [
        fixtures.said("customer", "This one:", 300, files=(picture,)),
        fixtures.said("customer", "", 290, files=(letter, picture)),
        fixtures.by_agent(fixtures.me, "Thank you, here is yours.", 200, files=(letter,)),
    ]
    return page


def _outgoing(state: str, **values: Any) -> Act:
    """A message of the agent's own that the server has not taken yet."""
    entry = {"id": state, "mode": "reply", "text": "We can do 84.", "files": [], "state": state, "why": ""}
    return ("outgoing", [entry | values])


THREADS: dict[str, Make] = {
    "everybody speaks": opened(_talk),
    "new messages": opened(_talk, ("new-since", 17)),
    "new ones below": opened(_talk, ("scroll", 0), ("tell", ["#to-end", "4 new messages"])),
    "files": opened(_files),
    "nothing said yet": opened(led_by_bot),
    "a request with all that came along": opened(waiting_for_human),
    "just accepted": opened(lambda p: served_by(p, p.me)),
    "being sent": opened(_files, _outgoing("sending")),
    "waits for the connection": opened(_files, _outgoing("waiting")),
    "not sent": opened(
        _files,
        _outgoing("refused", why="Jun has taken this conversation.", files=[{"name": "kettle.png"}]),
    ),
    "a note not sent": opened(_files, _outgoing("refused", why="It is too long.", mode="note")),
}
