"""The side panel: the details of a conversation, the people in it, its flow and its sessions."""

from __future__ import annotations

from sessions_app.queries import ThreadPage
from sessions_app.states import FlowStatus, HistoryMode, Kind, NoticeStatus, ParticipantStatus, Priority, Status
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


def _shared_with_three(fixtures: Fixtures) -> ThreadPage:
    page = served_by(fixtures, fixtures.me, colleagues=[(1, "Jun"), (2, "Noor")])
    page.people = [
        fixtures.participant("Jun", ParticipantStatus.JOINED, agent=fixtures.jun, role="collaborator"),
        fixtures.participant(
            "Gus, warehouse",
            ParticipantStatus.INVITED,
            contact="gus@example.org",
            history=HistoryMode.LAST,
            history_count=10,
            notice_status=NoticeStatus.SENT,
        ),
        fixtures.participant(
            LONG,
            ParticipantStatus.INVITED,
            contact="+49 170 1234567",
            history=HistoryMode.ALL,
            notice_status=NoticeStatus.FAILED,
            notice_error="The address is not known there.",
        ),
    ]
    return page


def _labelled(fixtures: Fixtures) -> ThreadPage:
    page = served_by(fixtures, fixtures.me)
    waiting = {"kind": Kind.AUTO_FOLLOW_UP, "status": Status.PENDING, "priority": Priority.LOW}
    page.sessions.append(fixtures.session(page.conversation, None, **waiting))
    page.labels = [fixtures.label("refund", "purple")]
    page.other_labels = [fixtures.label("fragile", "orange")]
    assert page.live
    page.clock = fixtures.clock(page.live, 400)
    return page


def _flow_of(status: FlowStatus) -> Make:
    values = {"answer": "The second one, please.", "failed_reason": "The carrier did not answer."}
    return opened(lambda fixtures: in_flow(fixtures, status, **values))


SIDES: dict[str, Make] = {
    "the bot speaks": opened(led_by_bot),
    "somebody should look": opened(flagged),
    "why it waits": opened(waiting_for_human),
    "after hours": opened(after_hours),
    "people": opened(_shared_with_three),
    "inviting somebody": opened(_shared_with_three, ("open", "#fold-invite")),
    "invited: the link, once": opened(
        _shared_with_three, told="Gus is invited.", link="https://desk.example.org/join/4f…"
    ),
    "a colleague’s": opened(lambda p: served_by(p, p.jun)),
    "labels, and work that waits": opened(_labelled),
    **{f"a flow: {status.value.replace('_', ' ')}": _flow_of(status) for status in FlowStatus},
    "resolved": opened(resolved),
}
