"""The context of the templates: what the read side returns, with the wording for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _

from agents_app.actors import Actor
from agents_app.sharing import Sharing
from messaging_app.models import Conversation, Message
from messaging_app.models.agent_tools import SavedView
from sessions_app import queries
from sessions_app.core.context_package import entries_of
from sessions_app.models import Participant
from sessions_app.queries import ConversationRow, Item, ListPage, Move, ThreadPage, View
from sessions_app.queries.thread import name_people
from sessions_app.states import FLOW_BLOCKING
from sessions_app.workbench import attachments, participants, task_state, wording
from sessions_app.workbench.buttons import buttons, more

HUES = 8
"""Colours of an avatar, as `static/css/core/tokens.css` has them."""


@dataclass(slots=True)
class ThreadLine:
    """A message or an event of a thread, the same for every viewer: the browser marks what is 'mine'."""

    item: Item
    text: str = ""  # of an event
    since: datetime | None = None  # the time at the end of that text
    run: str = ""  # events of one run share a line: a newer one replaces an older one
    rule: str = ""  # the sentence of the rule that an event names
    name: str = ""  # of the speaker
    is_helper: bool = False  # a colleague who was called in


def lines(
    items: Iterable[Item], conversation: Conversation | None, helpers: Iterable[Participant] = ()
) -> list[ThreadLine]:
    """The items, ready to be shown. `helpers` are colleagues who are or were called in, without the one who serves."""
    shown = []
    for item in items:
        if item.message:
            is_helper = any(_helped(helper, item.message) for helper in helpers)
            shown.append(ThreadLine(item, name=_name(item.message, conversation), is_helper=is_helper))
        elif item.operation:
            rule = wording.rule(str(item.operation.data.get("rule") or ""))
            line = ThreadLine(item, text=wording.event(item.operation), since=wording.since(item.operation), rule=rule)
            line.run = queries.run_of(item.operation)
            shown.append(line)
    return shown


def _helped(helper: Participant, message: Message) -> bool:
    """Whether this was said by a colleague while called in."""
    if message.sender_type != Message.Sender.AGENT or message.sender_id != str(helper.agent_id):
        return False
    until = helper.ended_at or message.sent_at
    return helper.joined_at is not None and helper.joined_at <= message.sent_at <= until


def _helpers(page: ThreadPage) -> list[Participant]:
    """The called-in colleagues. The agent who serves now is not among them, even if they were called in first."""
    serves = page.live.agent_id if page.live else None
    return [helper for helper in page.helpers if helper.agent_id != serves]


def _name(message: Message, conversation: Conversation | None) -> str:
    if message.sender_name:
        return message.sender_name
    if message.sender_type == Message.Sender.CUSTOMER and conversation:
        return conversation.title
    return wording.speaker(message.sender_type)


def initial(name: str) -> str:
    return (name.strip() or "?")[0].upper()


@dataclass(slots=True)
class RowShown:
    """A row of the list with its wording."""

    row: ConversationRow
    hue: int
    initial: str
    controller: str
    last_speaker: str
    badge: str = ""  # the platform's initial; empty for the default platform
    address: str = ""
    work: str = ""
    priority: str = ""
    request_reason: str = ""  # why a human was requested
    urgency: str = ""
    select: str = ""  # labels of the checkbox and the buttons
    pin: str = ""
    todo: str = ""


def listed(page: ListPage, view: View, query: dict[str, Any], open_id: int | None = None) -> dict[str, Any]:
    """The context of the list, for its fragment and for the page."""
    is_narrowed = bool(query["q"] or query["controller"] or query["saved"])
    heading, hint = wording.empty(view, filtered=is_narrowed)
    return {
        "rows": _rows_shown(page.rows),
        "after": page.after,
        "list_query": query | {"query": query_of(query)},
        "open_id": open_id,
        "empty_heading": heading,
        "empty_hint": hint,
        "is_first_use": view == View.ALL and not is_narrowed,
    }


def _rows_shown(rows: Iterable[ConversationRow]) -> list[RowShown]:
    words = _RowWords()
    return [row_shown(row, words) for row in rows]


class _RowWords:
    """The words of the rows of one page, each looked up once, whatever the number of rows; in the reader's language."""

    def __init__(self) -> None:
        self.select, self.pin, self.unpin = _("Select %(name)s"), _("Pin %(name)s"), _("Unpin %(name)s")
        self.todo, self.done = _("Mark %(name)s as to do"), _("Done: nothing left to do for %(name)s")
        self.urgency = _("Priority: %(name)s")
        self.controller, self.priority = cache(wording.controller), cache(wording.priority)
        self.work, self.speaker = cache(wording.work), cache(wording.speaker)
        # The addresses of conversations differ in the id alone.
        self._before, _id, self._after = reverse("conversation", args=[0]).rpartition("0")

    def address(self, pk: int) -> str:
        return f"{self._before}{pk}{self._after}"


def row_shown(row: ConversationRow, words: _RowWords | None = None) -> RowShown:
    words = words or _RowWords()
    conversation, session = row.conversation, row.session
    params = {"name": conversation.title}
    priority = words.priority(session.priority) if session else ""
    return RowShown(
        row=row,
        hue=row.id % HUES,
        initial=initial(conversation.title),
        controller=words.controller(conversation.controller),
        last_speaker=_last_speaker(conversation, words),
        badge="" if conversation.platform == "default" else initial(conversation.platform),
        address=words.address(row.id),
        work=words.work(session.kind) if session else "",
        priority=priority,
        request_reason=why_asked(row.pending) if row.pending else "",
        urgency=words.urgency % {"name": priority},
        select=words.select % params,
        pin=(words.unpin if conversation.pinned_at else words.pin) % params,
        todo=(words.done if conversation.todo_at else words.todo) % params,
    )


def why_asked(move: Move) -> str:
    """Why a human was requested: the reason that was given, else the trigger in words."""
    why = wording.trigger(move.trigger)
    if move.reason and move.trigger == "customer":
        return _("The customer says: %(reason)s") % {"reason": move.reason}
    return move.reason or why[:1].upper() + why[1:]


def query_of(query: dict[str, Any]) -> str:
    """The query string of the saved view that is open, else of the view."""
    return urlencode({"saved": query["saved"]} if query["saved"] else {"view": query["view"].value})


def _last_speaker(conversation: Conversation, words: _RowWords) -> str:
    """The label before the preview of the last message; empty where the customer wrote it."""
    last = conversation.last_sender
    return "" if last in ("", Message.Sender.CUSTOMER) else words.speaker(last)


def tabs(view: View, counted: dict[View, int], most: int, *, is_saved: bool) -> list[dict[str, Any]]:
    """The views with their counts; a count that reaches `most` is shown as `most - 1` and a plus.

    The queue has an address but no tab, except while it is open.
    """
    open_view = None if is_saved else view
    return [
        {
            "view": tab_view.value,
            "label": label,
            "count": _count(counted.get(tab_view), most),
            "is_open": tab_view == open_view,
        }
        for tab_view, label in wording.VIEWS.items()
        if tab_view != View.QUEUE or tab_view == open_view
    ]


def here(tabs: list[dict[str, Any]], saved: list[dict[str, Any]]) -> str:
    """The name of what the list shows."""
    names = [tab["label"] for tab in tabs if tab["is_open"]] + [view["name"] for view in saved if view["is_open"]]
    return str(names[0]) if names else ""


def _count(number: int | None, most: int) -> str:
    return f"{most - 1}+" if (number or 0) >= most else str(number or "")


def saved(
    counted: Iterable[tuple[SavedView, int | None]], open_id: int | None, actor: Actor, most: int
) -> list[dict[str, Any]]:
    """The agent's saved views with their counts; `is_kept` where this agent may delete the view."""
    return [
        {
            "id": view.pk,
            "name": view.name,
            "scope": view.scope.label,
            "count": _count(number, most),
            "is_open": view.pk == open_id,
            "is_kept": view.scope == Sharing.PERSONAL or actor.is_supervisor,
        }
        for view, number in counted
    ]


def scopes(actor: Actor) -> list[tuple[str, Any]]:
    """The scopes an agent may choose from at the desk: none but for supervisors. A team's are kept in the admin."""
    return [(scope.value, wording.SCOPES[scope]) for scope in wording.SCOPES] if actor.is_supervisor else []


def opened(
    page: ThreadPage, actor: Actor, request: HttpRequest, *, problem: str = "", mode: str = "", typed: str = ""
) -> dict[str, Any]:
    """The context of an open conversation: its pane, its news, the whole page. `typed` gives back a refused text."""
    conversation = page.conversation
    session = page.session
    transfer = page.transfer
    waits = page.waits
    return {
        "page": page,
        "conversation": conversation,
        "hue": conversation.pk % HUES,
        "initial": initial(conversation.title),
        "state": wording.state(page),
        "controller": wording.controller(conversation.controller),
        "buttons": buttons(page, actor),
        "more": more(page, actor),
        "lines": lines(page.items, conversation, _helpers(page)),
        "lock": _lock(page),
        "session": session,
        "session_type": wording.session_type(session.kind) if session else "",
        "transfer": transfer,
        "transfer_trigger": wording.trigger(transfer.trigger) if transfer else "",
        "carried": page.carried,
        "carried_said": task_state.parts(page.carried.context) if page.carried else [],
        "transfer_said": task_state.parts(transfer.context) if transfer else [],
        "task_state": task_state.state(entries_of(session)) if session else [],
        "need": conversation.need if conversation.needs_human else None,
        "need_trigger": wording.trigger(str(conversation.need.get("kind", ""))),
        "waiting": [(wording.session_type(s.kind), s) for s in page.waiting],
        "admin_links": _admin_links(page, request),
        "place": wording.place(waits) if waits else "",
        **participants.panel(page, actor),
        **_flow(page),
        "problem": problem,
        "mode": mode or ("reply" if page.may_speak else "note" if typed else "reply"),
        "typed": typed,
        "message_id": uuid4(),
        **attachments.at_desk(conversation.pk),
    }


def earlier(page: ThreadPage) -> dict[str, Any]:
    """The context of earlier lines, for a page that has the later ones."""
    name_people(page)
    shown = lines(page.items, page.conversation, _helpers(page))
    return {"page": page, "conversation": page.conversation, "lines": shown}


def _flow(page: ThreadPage) -> dict[str, Any]:
    flow = page.flow
    if flow is None:
        return {"flow": None}
    return {
        "flow": flow,
        "flow_status": wording.flow(flow.status),
        "flow_blocks": flow.status in FLOW_BLOCKING,
        "flow_until": flow.lease_until or flow.expires_at,
    }


def _lock(page: ThreadPage) -> str:
    """The controller, where the agent may not reply now; else empty."""
    return "" if page.may_speak else page.conversation.controller


def _admin_links(page: ThreadPage, request: HttpRequest) -> list[tuple[str, str]]:
    """The admin's pages of the conversation and its session, as (noun, address); none for an agent who is not staff."""
    if not getattr(request.user, "is_staff", False):
        return []
    targets = [("conversation", "admin:messaging_app_conversation_change", page.conversation.pk)]
    if page.session:
        targets.append(("session", "admin:sessions_app_chatsession_change", page.session.pk))
    links = []
    for noun, name, pk in targets:
        try:
            links.append((noun, reverse(name, args=[pk])))
        except NoReverseMatch:
            continue  # the admin does not show these rows
    return links
