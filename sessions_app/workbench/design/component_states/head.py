"""The header of an open conversation: whose turn it is, and what the agent may do."""

from __future__ import annotations

from agents_app.models import Agent
from messaging_app.models import Controller, Tier
from sessions_app.queries import ThreadPage
from sessions_app.states import FlowStatus, Kind, Owner, ParticipantStatus, Status, TransferKind
from sessions_app.workbench.design.component_states.component import LONG, Make
from sessions_app.workbench.design.component_states.opened import (
    after_hours,
    flagged,
    in_flow,
    led_by_bot,
    opened,
    resolved,
    served_by,
    waiting_for_human,
)
from sessions_app.workbench.design.fixtures import Fixtures


def _handed_to(fixtures: Fixtures, sender: Agent, receiver: Agent) -> ThreadPage:
    page = served_by(fixtures, sender)
    assert page.live
    page.transfer = fixtures.transfer(
        page.live,
        kind=TransferKind.HANDOVER,
        from_kind="agent",
        from_id=sender.pk,
        from_name=sender.name,
        to_agent=receiver,
        reason="They know kettles.",
        trigger="",
    )
    return page


def _paused_by(fixtures: Fixtures, holder: Agent) -> ThreadPage:
    conversation = fixtures.conversation(Controller.NONE, tier=Tier.ACTIVE)
    session = fixtures.session(
        conversation, holder, kind=Kind.MANUAL_CUSTOMER_SERVICE, status=Status.PAUSED, on_hold=True
    )
    return fixtures.page(conversation, session)


def _served_in_shop(fixtures: Fixtures) -> ThreadPage:
    page = served_by(fixtures, fixtures.jun)
    assert page.live
    page.live.owner_kind, page.live.agent = Owner.SHOP, None
    return page


def _marked(fixtures: Fixtures) -> ThreadPage:
    page = served_by(
        fixtures,
        fixtures.me,
        {"customer_name": LONG, "is_urgent": True, "pinned_at": fixtures.now, "todo_at": fixtures.now, "is_vip": True},
    )
    assert page.live
    page.clock = fixtures.clock(page.live, 40, warned_at=fixtures.now)
    page.labels = [fixtures.label("refund", "purple"), fixtures.label("fragile", "orange")]
    page.people = [fixtures.participant("Gus", ParticipantStatus.JOINED)]
    return page


def _full(page: ThreadPage) -> ThreadPage:
    page.viewer_load = page.viewer_most
    return page


def _drained(page: ThreadPage) -> ThreadPage:
    page.viewer_is_drained = True
    return page


HEADS: dict[str, Make] = {
    "the bot speaks": opened(led_by_bot),
    "the bot speaks, to a supervisor": opened(led_by_bot, by="supervisor"),
    "somebody should look": opened(flagged),
    "waits for a human": opened(waiting_for_human),
    "offered to me": opened(lambda p: waiting_for_human(p, offered_to=p.me)),
    "offered to a colleague": opened(lambda p: waiting_for_human(p, offered_to=p.jun)),
    "mine": opened(lambda p: served_by(p, p.me)),
    "a colleague’s": opened(lambda p: served_by(p, p.jun)),
    "a colleague’s, to a supervisor": opened(lambda p: served_by(p, p.jun, viewer_load=5), by="supervisor"),
    "handed over to me": opened(lambda p: _handed_to(p, p.jun, p.me)),
    "handed over by me": opened(lambda p: _handed_to(p, p.me, p.jun)),
    "I am full": opened(lambda p: _full(waiting_for_human(p))),
    "I get nothing new": opened(lambda p: _drained(waiting_for_human(p))),
    "I get nothing new, as a supervisor": opened(lambda p: _drained(waiting_for_human(p)), by="supervisor"),
    "I have paused it": opened(lambda p: _paused_by(p, p.me)),
    "a colleague has paused it": opened(lambda p: _paused_by(p, p.jun)),
    "a flow asks": opened(lambda p: in_flow(p, FlowStatus.WAITING)),
    "served in the shop’s own app": opened(_served_in_shop),
    "after hours": opened(after_hours),
    "resolved": opened(resolved),
    "marked, promised and shared": opened(_marked),
    "others look at it": opened(lambda p: served_by(p, p.me), ("tell", ["#looking", "Also here: Jun and Sam"])),
    "refused": opened(lambda p: served_by(p, p.jun), problem="Jun has taken this conversation."),
    "being resolved": opened(lambda p: served_by(p, p.me), ("open", "#act-resolve")),
    "more is open": opened(lambda p: served_by(p, p.me), ("open", "#act-more")),
}
