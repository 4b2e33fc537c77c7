"""The list of conversations: one of its rows, and the list around them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest

from agents_app.models import Agent
from messaging_app.models import Controller, Tier
from messaging_app.models.agent_tools import Label
from sessions_app.queries import ConversationRow, ListPage, View
from sessions_app.states import Kind
from sessions_app.workbench import presenters, wording
from sessions_app.workbench.design.component_states.component import ARABIC, LONG, Act, ComponentState, Make
from sessions_app.workbench.design.fixtures import Fixtures

_QUERY: dict[str, Any] = {"view": View.ALL, "saved": None, "q": "", "controller": "", "after": "", "rows": 50}


def _row(make: Callable[[Fixtures], ConversationRow], *acts: Act) -> Make:
    def specimen(fixtures: Fixtures, request: HttpRequest) -> ComponentState:
        row = make(fixtures)
        listed = presenters.listed(ListPage([row], None), View.ALL, _QUERY)
        return ComponentState(listed, list(acts))

    return specimen


def _waits(fixtures: Fixtures) -> ConversationRow:
    conversation = fixtures.conversation(Controller.QUEUE, waiting_since=fixtures.ago(95))
    return fixtures.row(
        conversation, None, pending=fixtures.move(offered_to_id=None, offer_expires_at=None), is_unread=True
    )


def _offered_row(fixtures: Fixtures) -> ConversationRow:
    conversation = fixtures.conversation(Controller.QUEUE, waiting_since=fixtures.ago(11))
    return fixtures.row(conversation, None, pending=fixtures.move(), is_offered=True, is_unread=True)


def _flagged(fixtures: Fixtures) -> ConversationRow:
    conversation = fixtures.conversation(
        needs_human=True, need={"kind": "keyword"}, waiting_since=fixtures.ago(30), tier=Tier.NEEDS_HUMAN
    )
    return fixtures.row(conversation, fixtures.bot)


def _mine(fixtures: Fixtures, **values: Any) -> ConversationRow:
    conversation = fixtures.conversation(Controller.HUMAN)
    kind = Kind.MANUAL_CUSTOMER_SERVICE
    return fixtures.row(
        conversation, None, session=fixtures.session(conversation, fixtures.me, kind=kind), is_mine=True, **values
    )


def _served(fixtures: Fixtures, owner: Agent, **values: Any) -> ConversationRow:
    conversation = fixtures.conversation(Controller.HUMAN, **values.pop("of", {}))
    session = fixtures.session(conversation, owner)
    return ConversationRow(conversation, live=session, session=session, is_mine=owner is fixtures.me, **values)


def _late(fixtures: Fixtures, due: float, **values: Any) -> ConversationRow:
    row = _served(fixtures, fixtures.me)
    assert row.session
    row.clock = fixtures.clock(row.session, due, **values)
    return row


def _forgotten(fixtures: Fixtures) -> ConversationRow:
    conversation = fixtures.conversation(
        Controller.NONE,
        needs_human=True,
        need={"kind": "no_answer"},
        waiting_since=fixtures.ago(95),
        tier=Tier.NEEDS_HUMAN,
    )
    return ConversationRow(conversation, is_unread=True)


def _ends_soon(fixtures: Fixtures) -> ConversationRow:
    row = _served(fixtures, fixtures.me)
    assert row.session
    row.session.human_until = row.session.expires_at = fixtures.soon(800)
    return row


def _everything(fixtures: Fixtures) -> ConversationRow:
    """All that a row can hold, at once."""
    row = _served(
        fixtures,
        fixtures.me,
        of={
            "customer_name": LONG,
            "platform": "whatsapp",
            "is_vip": True,
            "is_urgent": True,
            "tier": Tier.EMERGENCY,
            "pinned_at": fixtures.now,
            "todo_at": fixtures.now,
            "last_sender": "agent",
            "last_text": "I have asked the colleagues in the workshop and will tell you before the evening. " * 2,
        },
        is_unread=True,
        is_taken_over=True,
        is_mentioned=True,
    )
    assert row.session
    row.clock = fixtures.clock(row.session, 50, warned_at=fixtures.now)
    row.labels = [fixtures.label(colour, colour) for colour in Label.Colour.values]
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


# --- The list around them --------------------------------------------------------------------------------------------


def _empty(view: View, **query: Any) -> Make:
    def specimen(fixtures: Fixtures, request: HttpRequest) -> ComponentState:
        return ComponentState(presenters.listed(ListPage([], None), view, _QUERY | query) | {"try_it": True})

    return specimen


def _full_list(*acts: Act) -> Make:
    def specimen(fixtures: Fixtures, request: HttpRequest) -> ComponentState:
        rows = [_waits(fixtures), _mine(fixtures), _served(fixtures, fixtures.jun)]
        context = presenters.listed(ListPage(rows, None), View.ALL, _QUERY)
        context |= {"bulk_actions": wording.BULK.items(), "labels": [fixtures.label("refund", "purple")]}
        return ComponentState(context, list(acts))

    return specimen


def _done_in_bulk(fixtures: Fixtures, request: HttpRequest) -> ComponentState:
    refused = [(1, fixtures.conversation(), "Jun is serving"), (2, None, "There is no such conversation.")]
    specimen = _full_list()(fixtures, request)
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
