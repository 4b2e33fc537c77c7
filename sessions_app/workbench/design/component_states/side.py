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


def _shared_with_three(props: Fixtures) -> ThreadPage:
    page = served_by(props, props.me, colleagues=[(1, "Jun"), (2, "Noor")])
    page.people = [
        props.participant("Jun", ParticipantStatus.JOINED, agent=props.jun, role="collaborator"),
        props.participant(
            "Gus, warehouse",
            ParticipantStatus.INVITED,
            contact="gus@example.org",
            history=HistoryMode.LAST,
            history_count=10,
            notice_status=NoticeStatus.SENT,
        ),
        props.participant(
            LONG,
            ParticipantStatus.INVITED,
            contact="+49 170 1234567",
            history=HistoryMode.ALL,
            notice_status=NoticeStatus.FAILED,
            notice_error="The address is not known there.",
        ),
    ]
    return page


def _labelled(props: Fixtures) -> ThreadPage:
    page = served_by(props, props.me)
    waiting = {"kind": Kind.AUTO_FOLLOW_UP, "status": Status.PENDING, "priority": Priority.LOW}
    page.sessions.append(props.session(page.conversation, None, **waiting))
    page.labels = [props.label("refund", "purple")]
    page.other_labels = [props.label("fragile", "orange")]
    assert page.live
    page.clock = props.clock(page.live, 400)
    return page


def _flow_of(status: FlowStatus) -> Make:
    told = {"answer": "The second one, please.", "failed_reason": "The carrier did not answer."}
    return opened(lambda props: in_flow(props, status, **told))


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
