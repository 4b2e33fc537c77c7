"""Every component of the desk in every state. A new state of a template gets its line here; the tests show it at once.

What a template shows comes from the same functions that serve the desk (`shown`, `offers`, `wording`), so a specimen
cannot drift from it. `acts` are what the page's script does then, by the desk's own modules: see static/js/pages/design.js.
Names and notes are for those who work on Tandem, and in English.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest

from agents_app.actors import Actor
from agents_app.models import DECLARABLE, Agent
from agents_app.sharing import Sharing
from messaging_app.models import Controller, Tier
from messaging_app.models.agent_tools import CannedReply, Draft, Label
from sessions_app.queries import COUNT_MOST, ConversationRow, ListPage, ThreadPage, View
from sessions_app.queries.expected_wait import Waiting
from sessions_app.states import (
    FlowStatus,
    HistoryMode,
    Kind,
    NoticeStatus,
    Owner,
    ParticipantStatus,
    Priority,
    Status,
    TransferKind,
    TransferStatus,
)
from sessions_app.workbench import offers, presenters, wording
from sessions_app.workbench.design.fixtures import Fixtures

LONG = "Wilhelmina Antonia Amalia Brouwer-van der Meulen zu Hohenlohe-Langenburg und Fürstenberg"
ARABIC = "ليلى حدّاد"


@dataclass(slots=True)
class ComponentState:
    """What a template is given, beside the request; `acts` are done by the page's script, one after the other."""

    context: dict[str, Any]
    acts: list[Act] = field(default_factory=list)


type Make = Callable[[Fixtures, HttpRequest], ComponentState]
type Act = tuple[str, Any]


@dataclass(frozen=True, slots=True)
class Component:
    """`width` and `height` are those of the frame in which the design page shows one of its states."""

    name: str
    title: str
    width: int
    height: int
    states: dict[str, Make]

    @property
    def template(self) -> str:
        return f"design/{self.name}.html"


# --- A row of the list -------------------------------------------------------------------------------------------


def _row(make: Callable[[Fixtures], ConversationRow], *acts: Act) -> Make:
    def specimen(props: Fixtures, request: HttpRequest) -> ComponentState:
        row = make(props)
        listed = presenters.listed(ListPage([row], None), View.ALL, _ASKED)
        return ComponentState(listed, list(acts))

    return specimen


_ASKED: dict[str, Any] = {"view": View.ALL, "saved": None, "q": "", "controller": "", "after": "", "rows": 50}


def _waits(props: Fixtures) -> ConversationRow:
    conversation = props.conversation(Controller.QUEUE, waiting_since=props.ago(95))
    return props.row(conversation, None, asked=props.move(offered_to_id=None, offer_expires_at=None), is_unread=True)


def _offered_row(props: Fixtures) -> ConversationRow:
    conversation = props.conversation(Controller.QUEUE, waiting_since=props.ago(11))
    return props.row(conversation, None, asked=props.move(), is_offered=True, is_unread=True)


def _flagged(props: Fixtures) -> ConversationRow:
    conversation = props.conversation(
        needs_human=True, need={"kind": "keyword"}, waiting_since=props.ago(30), tier=Tier.NEEDS_HUMAN
    )
    return props.row(conversation, props.bot)


def _mine(props: Fixtures, **values: Any) -> ConversationRow:
    conversation = props.conversation(Controller.HUMAN)
    kind = Kind.MANUAL_CUSTOMER_SERVICE
    return props.row(
        conversation, None, session=props.session(conversation, props.me, kind=kind), is_mine=True, **values
    )


def _served(props: Fixtures, owner: Agent, **values: Any) -> ConversationRow:
    conversation = props.conversation(Controller.HUMAN, **values.pop("of", {}))
    session = props.session(conversation, owner)
    return ConversationRow(conversation, live=session, session=session, is_mine=owner is props.me, **values)


def _late(props: Fixtures, due: float, **values: Any) -> ConversationRow:
    row = _served(props, props.me)
    assert row.session
    row.clock = props.clock(row.session, due, **values)
    return row


def _forgotten(props: Fixtures) -> ConversationRow:
    conversation = props.conversation(
        Controller.NONE,
        needs_human=True,
        need={"kind": "no_answer"},
        waiting_since=props.ago(95),
        tier=Tier.NEEDS_HUMAN,
    )
    return ConversationRow(conversation, is_unread=True)


def _ends_soon(props: Fixtures) -> ConversationRow:
    row = _served(props, props.me)
    assert row.session
    row.session.human_until = row.session.expires_at = props.soon(800)
    return row


def _everything(props: Fixtures) -> ConversationRow:
    """All that a row can hold, at once."""
    row = _served(
        props,
        props.me,
        of={
            "customer_name": LONG,
            "platform": "whatsapp",
            "is_vip": True,
            "is_urgent": True,
            "tier": Tier.EMERGENCY,
            "pinned_at": props.now,
            "todo_at": props.now,
            "last_sender": "agent",
            "last_text": "I have asked the colleagues in the workshop and will tell you before the evening. " * 2,
        },
        is_unread=True,
        is_taken_over=True,
        is_mentioned=True,
    )
    assert row.session
    row.clock = props.clock(row.session, 50, warned_at=props.now)
    row.labels = [props.label(colour, colour) for colour in Label.Colour.values]
    return row


ROWS: dict[str, Make] = {
    "the bot speaks": _row(lambda p: p.row(p.conversation(last_sender="bot"), p.bot)),
    "nobody has spoken": _row(lambda p: p.row(p.conversation(last_text="", last_activity_at=None), p.bot)),
    "somebody should look": _row(_flagged),
    "nobody is to answer": _row(_forgotten),
    "waits for a human": _row(_waits),
    "offered to me": _row(_offered_row),
    "mine": _row(_mine),
    "mine, unread": _row(lambda p: _mine(p, is_unread=True)),
    "taken over from the bot": _row(lambda p: _served(p, p.me, is_taken_over=True)),
    "ends soon": _row(_ends_soon),
    "a colleague’s": _row(lambda p: _served(p, p.jun, can_grab=True)),
    "a colleague’s, and I help": _row(lambda p: _served(p, p.jun, is_collaborator=True)),
    "I am mentioned": _row(lambda p: _served(p, p.jun, is_mentioned=True)),
    "an answer is due": _row(lambda p: _late(p, 250)),
    "an answer is due soon": _row(lambda p: _late(p, 40, warned_at=p.now)),
    "an answer is overdue": _row(lambda p: _late(p, -130, warned_at=p.now, breached_at=p.now)),
    "a flow asks": _row(lambda p: p.row(p.conversation(Controller.FLOW), p.bot)),
    "VIP": _row(lambda p: p.row(p.conversation(is_vip=True), p.bot)),
    "urgent": _row(lambda p: p.row(p.conversation(is_urgent=True, tier=Tier.EMERGENCY), p.bot)),
    "pinned, and to do": _row(lambda p: p.row(p.conversation(pinned_at=p.now, todo_at=p.now), p.bot)),
    "labelled": _row(lambda p: _mine(p, labels=[p.label("refund", "purple"), p.label("fragile", "orange")])),
    "another platform": _row(lambda p: p.row(p.conversation(platform="whatsapp"), p.bot)),
    "without a name": _row(lambda p: p.row(p.conversation(customer_name=""), p.bot)),
    "written from right to left": _row(
        lambda p: p.row(p.conversation(customer_name=ARABIC, last_text="هل يمكنكم التوصيل غدًا؟"), p.bot)
    ),
    "resolved": _row(lambda p: ConversationRow(p.conversation(Controller.NONE))),
    "all at once": _row(_everything),
    "somebody is typing": _row(_mine, ("class", [".row", "is-typing"])),
    "open": _row(_mine, ("attribute", [".row", "aria-current", "true"])),
    "ticked": _row(_mine, ("tick", ".pick input")),
    "focused": _row(_mine, ("focus", ".row")),
}


# --- The list around them ----------------------------------------------------------------------------------------


def _empty(view: View, **asked: Any) -> Make:
    def specimen(props: Fixtures, request: HttpRequest) -> ComponentState:
        return ComponentState(presenters.listed(ListPage([], None), view, _ASKED | asked) | {"try_it": True})

    return specimen


def _full_list(*acts: Act) -> Make:
    def specimen(props: Fixtures, request: HttpRequest) -> ComponentState:
        rows = [_waits(props), _mine(props), _served(props, props.jun)]
        context = presenters.listed(ListPage(rows, None), View.ALL, _ASKED)
        context |= {"bulk_actions": wording.BULK.items(), "labels": [props.label("refund", "purple")]}
        return ComponentState(context, list(acts))

    return specimen


def _done_in_bulk(props: Fixtures, request: HttpRequest) -> ComponentState:
    refused = [(1, props.conversation(), "Jun is serving"), (2, None, "There is no such conversation.")]
    specimen = _full_list()(props, request)
    specimen.context["bulk"] = {"done": 2, "refused": refused, "problem": ""}
    return specimen


LISTS: dict[str, Make] = {
    **{f"empty: {view.value.replace('_', ' ')}": _empty(view) for view in View if view != View.QUEUE},
    "nothing found": _empty(View.ALL, q="kettle"),
    "with rows": _full_list(),
    "updates wait": _full_list(("tell", ["#updates", "3 updates"])),
    "not brought up to date": _full_list(("reveal", "#list-old")),
    "two are ticked": _full_list(("tick", "li:nth-child(1) .pick input"), ("tick", "li:nth-child(2) .pick input")),
    "done with several, some refused": _done_in_bulk,
}


# --- An offer ----------------------------------------------------------------------------------------------------


def _offer(make: Callable[[Fixtures], tuple[dict[str, Any], dict[str, Any]]], *acts: Act) -> Make:
    """`make` answers what the conversation, and what the move has otherwise."""

    def specimen(props: Fixtures, request: HttpRequest) -> ComponentState:
        of, moved = make(props)
        conversation = props.conversation(Controller.QUEUE, waiting_since=props.ago(11), **of)
        row = props.row(conversation, None, asked=props.move(**moved), is_offered=True)
        return ComponentState(
            {"offers": offers.cards([row], props.now), "asked": {"query": "view=offered"}}, list(acts)
        )

    return specimen


OFFERS: dict[str, Make] = {
    "time to answer": _offer(lambda p: ({}, {})),
    "almost over": _offer(lambda p: ({}, {"offer_expires_at": p.soon(4)})),
    "urgent": _offer(lambda p: ({"tier": Tier.EMERGENCY, "is_vip": True}, {})),
    "at any time": _offer(lambda p: ({}, {"offer_expires_at": None})),
    "a colleague’s handover": _offer(
        lambda p: (
            {},
            {
                "from_name": "Jun",
                "reason": "You know kettles.",
                "offered_to_id": None,
                "to_agent_id": p.me.pk,
                "offer_expires_at": None,
                "deadline": p.soon(110),
            },
        )
    ),
    "nothing is known": _offer(lambda p: ({"last_text": ""}, {"reason": "", "trigger": "", "context": {}})),
    "being declined": _offer(lambda p: ({}, {}), ("open", ".fold-decline")),
    "a long name": _offer(lambda p: ({"customer_name": LONG}, {})),
}


# --- An open conversation ----------------------------------------------------------------------------------------


def _opened(make: Callable[[Fixtures], ThreadPage], *acts: Act, by: str = "agent", **more: Any) -> Make:
    def specimen(props: Fixtures, request: HttpRequest) -> ComponentState:
        actor: Actor = props.supervisor if by == "supervisor" else props.actor
        context = presenters.opened(make(props), actor, request) | {"asked": {"query": "view=all"}} | more
        return ComponentState(context, [("dress", None), *acts])

    return specimen


def _bots(props: Fixtures, **values: Any) -> ThreadPage:
    conversation = props.conversation(**values)
    return props.page(conversation, props.session(conversation, props.bot))


def _queued(props: Fixtures, of: dict[str, Any] | None = None, **values: Any) -> ThreadPage:
    """The bot has asked for a human, and is silent."""
    conversation = props.conversation(Controller.QUEUE, waiting_since=props.ago(95), **of or {})
    session = props.session(conversation, None, status=Status.TRANSFERRED)
    transfer = props.transfer(session, **values)
    return props.page(conversation, session, transfer=transfer, waits=Waiting(3, 240))


def _with(props: Fixtures, owner: Agent, of: dict[str, Any] | None = None, **values: Any) -> ThreadPage:
    """Served by an agent, who took it from the bot."""
    conversation = props.conversation(Controller.HUMAN, **of or {})
    session = props.session(conversation, owner)
    accepted = {"status": TransferStatus.ACCEPTED, "accepted_by": owner, "ended_at": props.ago(60)}
    return props.page(conversation, session, transfer=props.transfer(session, **accepted), **values)


def _handed_to(props: Fixtures, sender: Agent, receiver: Agent) -> ThreadPage:
    page = _with(props, sender)
    assert page.live
    page.transfer = props.transfer(
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


def _held(props: Fixtures, holder: Agent) -> ThreadPage:
    conversation = props.conversation(Controller.NONE, tier=Tier.ACTIVE)
    session = props.session(conversation, holder, kind=Kind.MANUAL_CUSTOMER_SERVICE, status=Status.PAUSED, on_hold=True)
    return props.page(conversation, session)


def _flowing(props: Fixtures, status: FlowStatus, **values: Any) -> ThreadPage:
    page = _bots(props, controller=Controller.FLOW if status == FlowStatus.WAITING else Controller.BOT)
    page.flow = props.flow(page.conversation, status, **values)
    return page


def _closed_shop(props: Fixtures) -> ThreadPage:
    return _queued(props, opens_at=props.soon(41_000))


def _resolved(props: Fixtures) -> ThreadPage:
    return props.page(props.conversation(Controller.NONE, last_text="Thank you!"))


def _shops(props: Fixtures) -> ThreadPage:
    page = _with(props, props.jun)
    assert page.live
    page.live.owner_kind, page.live.agent = Owner.SHOP, None
    return page


def _flagged_page(props: Fixtures) -> ThreadPage:
    need = {"kind": "keyword", "rule": "complains", "evidence": "This is not what I ordered!", "reason": "Anger"}
    return _bots(props, needs_human=True, need=need, waiting_since=props.ago(30), tier=Tier.NEEDS_HUMAN)


def _marked(props: Fixtures) -> ThreadPage:
    page = _with(
        props,
        props.me,
        {"customer_name": LONG, "is_urgent": True, "pinned_at": props.now, "todo_at": props.now, "is_vip": True},
    )
    assert page.live
    page.clock = props.clock(page.live, 40, warned_at=props.now)
    page.labels = [props.label("refund", "purple"), props.label("fragile", "orange")]
    page.people = [props.participant("Gus", ParticipantStatus.JOINED)]
    return page


HEADS: dict[str, Make] = {
    "the bot speaks": _opened(_bots),
    "the bot speaks, to a supervisor": _opened(_bots, by="supervisor"),
    "somebody should look": _opened(_flagged_page),
    "waits for a human": _opened(_queued),
    "offered to me": _opened(lambda p: _queued(p, offered_to=p.me)),
    "offered to a colleague": _opened(lambda p: _queued(p, offered_to=p.jun)),
    "mine": _opened(lambda p: _with(p, p.me)),
    "a colleague’s": _opened(lambda p: _with(p, p.jun)),
    "a colleague’s, to a supervisor": _opened(lambda p: _with(p, p.jun, viewer_load=5), by="supervisor"),
    "handed over to me": _opened(lambda p: _handed_to(p, p.jun, p.me)),
    "handed over by me": _opened(lambda p: _handed_to(p, p.me, p.jun)),
    "I am full": _opened(lambda p: _full(_queued(p))),
    "I get nothing new": _opened(lambda p: _drained(_queued(p))),
    "I get nothing new, as a supervisor": _opened(lambda p: _drained(_queued(p)), by="supervisor"),
    "I have paused it": _opened(lambda p: _held(p, p.me)),
    "a colleague has paused it": _opened(lambda p: _held(p, p.jun)),
    "a flow asks": _opened(lambda p: _flowing(p, FlowStatus.WAITING)),
    "served in the shop’s own app": _opened(_shops),
    "after hours": _opened(_closed_shop),
    "resolved": _opened(_resolved),
    "marked, promised and shared": _opened(_marked),
    "others look at it": _opened(lambda p: _with(p, p.me), ("tell", ["#looking", "Also here: Jun and Sam"])),
    "refused": _opened(lambda p: _with(p, p.jun), problem="Jun has taken this conversation."),
    "being resolved": _opened(lambda p: _with(p, p.me), ("open", "#act-resolve")),
    "more is open": _opened(lambda p: _with(p, p.me), ("open", "#act-more")),
}


def _full(page: ThreadPage) -> ThreadPage:
    page.viewer_load = page.viewer_most
    return page


def _drained(page: ThreadPage) -> ThreadPage:
    page.viewer_is_drained = True
    return page


# --- What was said -----------------------------------------------------------------------------------------------


def _talk(props: Fixtures) -> ThreadPage:
    """Every kind of speaker and of event, over two days."""
    page = _with(props, props.me)
    helper = props.participant(
        "Jun", ParticipantStatus.JOINED, agent=props.jun, role="collaborator", joined_at=props.ago(500)
    )
    page.helpers = [helper]
    page.items = [
        props.said("customer", "Hello! Is the copper kettle still to be had?", 90_000),
        props.said("bot", "It is. One costs 96.00.", 89_990, sender_name="Bargain bot"),
        props.said("customer", "Could you do 80 for two of them?\nI would pick them up.", 900),
        props.said("bot", "I did not understand. Shall I ask a colleague?", 890, sender_name="Bargain bot"),
        props.event("attention.raised", 880),
        props.event("transfer.requested", 870, "Bargain bot", kind="escalation", trigger="keyword", rule="asks"),
        props.event("transfer.accepted", 840, "Maya", kind="escalation"),
        props.by_agent(props.me, "Hello Ana, I am Maya. Let me see what I can do.", 800),
        props.by_agent(props.me, "One moment please.", 790),
        props.by_agent(props.me, "@Jun what is our floor for these?", 780, is_note=True, mentioned=["Jun"]),
        props.by_agent(props.jun, "84 for two, and delivery is on us.", 400, is_note=True),
        props.by_agent(props.jun, "Hello Ana, we can do 84 for two.", 390),
        props.said("participant", "They are in stock here.", 380, sender_id="7", sender_name="Gus, warehouse"),
        props.said("shop", "I have put two aside.", 370, sender_name="Corner Shop"),
        props.said("system", "The conversation was moved from another system.", 360),
        props.event("transfer.declined", 355, "Jun", reason="at lunch"),
        props.event("session.paused", 350, "Maya"),
        props.event("session.resumed", 340, "Maya"),
        props.event("sla.breached", 335, kind="next_response"),
        props.said("customer", "هذا رائع، شكرًا", 300),
        props.said("customer", "supercalifragilistic" * 12, 290),
        props.event("session.completed", 280, "Maya", reason="sold"),
    ]
    return page


def _files(props: Fixtures) -> ThreadPage:
    page = _with(props, props.me)
    picture = props.file("kettle.png", "image/png", 48_213, width=640, height=480)
    letter = props.file("an invoice with a name that does not want to end.pdf", "application/pdf", 182_044)
    page.items = [
        props.said("customer", "This one:", 300, files=(picture,)),
        props.said("customer", "", 290, files=(letter, picture)),
        props.by_agent(props.me, "Thank you, here is yours.", 200, files=(letter,)),
    ]
    return page


def _lines_on_their_way(state: str, **values: Any) -> Act:
    entry = {"id": state, "mode": "reply", "text": "We can do 84.", "files": [], "state": state, "why": ""}
    return ("outgoing", [entry | values])


THREADS: dict[str, Make] = {
    "everybody speaks": _opened(_talk),
    "new messages": _opened(_talk, ("new-since", 17)),
    "new ones below": _opened(_talk, ("scroll", 0), ("tell", ["#to-end", "4 new messages"])),
    "files": _opened(_files),
    "nothing said yet": _opened(_bots),
    "a request with all that came along": _opened(_queued),
    "just accepted": _opened(lambda p: _with(p, p.me)),
    "being sent": _opened(_files, _lines_on_their_way("sending")),
    "waits for the connection": _opened(_files, _lines_on_their_way("waiting")),
    "not sent": _opened(
        _files,
        _lines_on_their_way("refused", why="Jun has taken this conversation.", files=[{"name": "kettle.png"}]),
    ),
    "a note not sent": _opened(_files, _lines_on_their_way("refused", why="It is too long.", mode="note")),
}


# --- The composer ------------------------------------------------------------------------------------------------


def _drafted(props: Fixtures) -> ThreadPage:
    page = _with(props, props.me)
    draft = Draft(mode="reply", text="We can do", updated_at=props.ago(50))
    page.drafts = {"reply": draft}
    return page


def _typing(*names: str, does: str = "replies") -> Act:
    return ("typing", [{"name": name, "does": does} for name in names])


_MINE = _opened(lambda p: _with(p, p.me))


def _with_replies(props: Fixtures, request: HttpRequest) -> ComponentState:
    specimen = _MINE(props, request)
    offered = [
        CannedReply(shortcut="/refund", title="Refund", text="Your money is on its way.", tenant=props.tenant),
        CannedReply(
            shortcut="/return", title="Returns", text="You can return it for 30 days. " * 6, tenant=props.tenant
        ),
    ]
    specimen.context["offered"] = [(reply, reply.text) for reply in offered]
    specimen.acts += [("type", "/re"), ("pick", "#picked")]
    return specimen


COMPOSERS: dict[str, Make] = {
    "a reply": _MINE,
    "a note": _opened(lambda p: _with(p, p.me), mode="note"),
    "with words": _opened(lambda p: _with(p, p.me), ("type", "We can do 84 for two.\nWith delivery.")),
    "locked: the bot speaks": _opened(_bots),
    "locked: waits for a human": _opened(_queued),
    "locked: a colleague’s": _opened(lambda p: _with(p, p.jun)),
    "locked: a flow asks": _opened(lambda p: _flowing(p, FlowStatus.WAITING)),
    "locked: nobody has it": _opened(_resolved),
    "the customer is typing": _opened(lambda p: _with(p, p.me), _typing("Ana Lima")),
    "several are typing": _opened(lambda p: _with(p, p.me), _typing("Ana Lima", "Jun")),
    "a colleague writes a note": _opened(lambda p: _with(p, p.me), _typing("Jun", does="notes")),
    "another draft": _opened(
        _drafted, ("draft", {"text": "We can do 84 for two, and deliver them on Monday.", "isOwn": False})
    ),
    "look first": _opened(
        lambda p: _with(p, p.me), ("tell", [".hold", "Jun replied 2 s ago: look first. Press Enter again to send."])
    ),
    "canned replies": _with_replies,
    "files": _opened(
        lambda p: _with(p, p.me),
        ("files", {"ready": [{"id": 1, "name": "kettle.png"}], "moving": "film.mp4", "large": "archive.zip"}),
    ),
    "a file is dropped": _opened(lambda p: _with(p, p.me), ("class", ["#composer", "is-dropping"])),
}


# --- The side panel ----------------------------------------------------------------------------------------------


def _crowd(props: Fixtures) -> ThreadPage:
    page = _with(props, props.me, colleagues=[(1, "Jun"), (2, "Noor")])
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


def _also(props: Fixtures) -> ThreadPage:
    page = _with(props, props.me)
    waiting = {"kind": Kind.AUTO_FOLLOW_UP, "status": Status.PENDING, "priority": Priority.LOW}
    page.sessions.append(props.session(page.conversation, None, **waiting))
    page.labels = [props.label("refund", "purple")]
    page.other_labels = [props.label("fragile", "orange")]
    assert page.live
    page.clock = props.clock(page.live, 400)
    return page


def _flow_of(status: FlowStatus) -> Make:
    told = {"answer": "The second one, please.", "failed_reason": "The carrier did not answer."}
    return _opened(lambda props: _flowing(props, status, **told))


SIDES: dict[str, Make] = {
    "the bot speaks": _opened(_bots),
    "somebody should look": _opened(_flagged_page),
    "why it waits": _opened(_queued),
    "after hours": _opened(_closed_shop),
    "people": _opened(_crowd),
    "inviting somebody": _opened(_crowd, ("open", "#fold-invite")),
    "invited: the link, once": _opened(_crowd, told="Gus is invited.", link="https://desk.example.org/join/4f…"),
    "a colleague’s": _opened(lambda p: _with(p, p.jun)),
    "labels, and work that waits": _opened(_also),
    **{f"a flow: {status.value.replace('_', ' ')}": _flow_of(status) for status in FlowStatus},
    "resolved": _opened(_resolved),
}


# --- The desk’s frame --------------------------------------------------------------------------------------------


def _views(is_saved: bool = False, is_new: bool = False) -> Make:
    def specimen(props: Fixtures, request: HttpRequest) -> ComponentState:
        counts = {view: number * number for number, view in enumerate(View)}
        saved = [
            {
                "id": 1,
                "name": "Refunds over 100",
                "scope": Sharing.TEAM.label,
                "count": "4",
                "is_open": is_saved,
                "is_kept": True,
            },
            {"id": 2, "name": LONG, "scope": Sharing.PERSONAL.label, "count": "", "is_open": False, "is_kept": True},
        ]
        context = {
            "tabs": presenters.tabs(View.MINE, counts, COUNT_MOST, is_saved=is_saved),
            "saved_views": [] if is_new else saved,
            "scopes": presenters.scopes(props.supervisor),
            "asked": {"query": "view=mine", "view": "mine"},
        }
        return ComponentState(
            context, [("open", "#delete-view")] if is_saved else [("open", "#save-view")] if is_new else []
        )

    return specimen


def _rail(availability: str, *acts: Act, problem: str = "") -> Make:
    def specimen(props: Fixtures, request: HttpRequest) -> ComponentState:
        request.agent.availability = availability  # type: ignore[attr-defined]
        context = {"availabilities": DECLARABLE, "try_it": True, "problem": problem}
        return ComponentState(context, list(acts))

    return specimen


def _plain(*acts: Act, **context: Any) -> Make:
    return lambda props, request: ComponentState(dict(context), list(acts))


def _found(props: Fixtures, request: HttpRequest) -> ComponentState:
    reply = CannedReply(shortcut="/kettle", title="Kettles", text="The copper kettle holds 1.2 l.", tenant=props.tenant)
    conversations = [props.conversation(), props.conversation(Controller.QUEUE, customer_name=LONG)]
    context = {
        "offered": [(reply, reply.text)],
        "found": [(one, wording.controller(one.controller)) for one in conversations],
    }
    return ComponentState(context, [("show", "#command"), ("options", "#found")])


FRAMES: dict[str, Make] = {
    **{value: _rail(value) for value in Agent.Availability.values},
    "declaring": _rail("away", ("open", "#presence")),
    "not declared": _rail("online", ("open", "#presence"), problem="You still have an offer to answer."),
}
CONNECTIONS: dict[str, Make] = {
    state: _plain(("connection", {"state": state, "waits": waits}))
    for state, waits in (("live", 0), ("reconnecting", 0), ("catching", 0), ("caught", 0), ("stale", 0))
} | {"reconnecting, words wait": _plain(("connection", {"state": "reconnecting", "waits": 2}))}
VIEWS: dict[str, Make] = {
    "counted": _views(),
    "a saved one is open": _views(is_saved=True),
    "saving one": _views(is_new=True),
}
DIALOGS: dict[str, Make] = {
    "command bar": _plain(("show", "#command")),
    "command bar: found": _found,
    "shortcuts": _plain(("help", None)),
    "sounds and notices": _plain(("show", "#settings")),
    "told in a corner": _plain(("toast", "Jun has taken this conversation."), ("toast", "Not sent: it is too long.")),
    "nothing is open": _plain(nothing=True),
}

COMPONENTS = {
    component.name: component
    for component in (
        Component("row", "A row of the list", 340, 112, ROWS),
        Component("list", "The list", 340, 520, LISTS),
        Component("offer", "An offer", 340, 420, OFFERS),
        Component("head", "The header", 1000, 340, HEADS),
        Component("thread", "What was said", 640, 1300, THREADS),
        Component("composer", "The composer", 640, 300, COMPOSERS),
        Component("side", "The details", 320, 1000, SIDES),
        Component("views", "The views", 200, 620, VIEWS),
        Component("rail", "The rail", 760, 480, FRAMES),
        Component("connection", "The connection", 640, 130, CONNECTIONS),
        Component("dialog", "Dialogs", 760, 620, DIALOGS),
    )
}


def each() -> Iterator[tuple[Component, str]]:
    """Every component in every state."""
    for component in COMPONENTS.values():
        for state in component.states:
            yield component, state
