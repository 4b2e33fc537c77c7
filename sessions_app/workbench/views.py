"""The desk's views: parse, call one verb, render. Each works as a page; scripts ask for the fragments of the same page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from agents_app.actors import Actor
from agents_app.models import DECLARABLE
from config.errors import DomainError, Malformed
from messaging_app.agent_tools import drafts, mentions
from messaging_app.models import Controller
from messaging_app.thread import NewMessage
from sessions_app import queries
from sessions_app.actions import conversations as marks
from sessions_app.actions import labels, lifecycle, messages, presence, takeovers, transfers
from sessions_app.core.locked_conversation import Outcome
from sessions_app.queries import COUNT_MOST, Cursor, ThreadPage, next_conversation
from sessions_app.queries.desk_page import DeskQuery, look, look_at
from sessions_app.rights import access, visible
from sessions_app.workbench import header_actions, offers, participants, presenters, wording
from sessions_app.workbench.decorators import for_agents, is_fragment
from sessions_app.workbench.forms import ActForm, ListForm, PresenceForm, SayForm, SeqForm
from sessions_app.workbench.participants import PeopleForm


@require_GET
@for_agents
def desk(request: HttpRequest, actor: Actor) -> HttpResponse:
    """The list, with nothing open."""
    return render(request, "desk/desk.html", around(request, actor))


@require_GET
@for_agents
def rows(request: HttpRequest, actor: Actor) -> HttpResponse:
    """The list as a fragment: after a change hint, for a search, or for the rows after the cursor `after`."""
    return fragment(request, "conversation/_list.html", around(request, actor) | {"fresh": True}, "list")


@require_GET
@for_agents
def conversation(request: HttpRequest, actor: Actor, conversation_id: int) -> HttpResponse:
    """An open conversation: as a whole page, as its pane, or only the messages before the cursor `before`."""
    before = request.GET.get("before", "")
    page = queries.thread_page(actor=actor, conversation_id=conversation_id, before=before)
    if before and is_fragment(request):
        return fragment(request, "message/_earlier.html", presenters.earlier(page), "earlier")
    return _page(request, actor, page)


@require_GET
@for_agents
def news(request: HttpRequest, actor: Actor, conversation_id: int) -> HttpResponse:
    """What is new after operation `seq`, the last that the page has seen, with the current header and side panel.

    A page that follows the conversation requests the list with it (`list`), because one hint changes both.
    """
    page = queries.thread_news(actor=actor, conversation_id=conversation_id, after=_seq(request.GET))
    if "list" in request.GET:
        context = around(request, actor, opened=page) | {"fresh": True}
        return fragment(
            request, "conversation/_combined.html", context | presenters.opened(page, actor, request), "news"
        )
    look_at(actor, page)
    context = presenters.opened(page, actor, request) | {"list_query": list_query_of(request)}
    return fragment(request, "conversation/_news.html", context, "news")


@require_POST
@for_agents
def act(request: HttpRequest, actor: Actor, conversation_id: int, verb: str) -> HttpResponseBase:
    """Carry out one of `VERBS`, the header's actions. A refusal is shown with the current state."""
    if verb not in VERBS:
        raise Http404
    form = (PeopleForm if verb in participants.VERBS else ActForm)(request.POST)
    onward = _onward(request, actor, conversation_id) if verb == "resolve-next" else None
    return _carry_out(request, actor, conversation_id, lambda: _act(verb, actor, conversation_id, form), onward=onward)


def _act(verb: str, actor: Actor, conversation_id: int, form: ActForm | PeopleForm) -> Outcome:
    if not form.is_valid():
        raise Malformed(first_error(form))
    return VERBS[verb](actor=actor, conversation_id=conversation_id, form=form.cleaned_data)


@require_POST
@for_agents
def say(request: HttpRequest, actor: Actor, conversation_id: int) -> HttpResponseBase:
    """Send a reply or a private note. A refused text is given back to the composer."""
    form = SayForm(request.POST)

    def verb() -> Outcome:
        if not form.is_valid():
            raise Malformed(first_error(form))
        sent = form.cleaned_data
        message = NewMessage(content=sent["content"], message_id=sent["message_id"], attachments=sent["attachment"])
        post = messages.post_note if sent["mode"] == "note" else messages.post_message
        outcome = post(actor=actor, conversation_id=conversation_id, words=message)
        drafts.clear_draft(actor=actor, conversation_id=conversation_id, mode=sent["mode"], text=sent["content"])
        return outcome

    return _carry_out(
        request, actor, conversation_id, verb, mode=request.POST.get("mode", ""), typed=request.POST.get("content", "")
    )


@require_POST
@for_agents
def read(request: HttpRequest, actor: Actor, conversation_id: int) -> HttpResponse:
    """Mark the thread as read up to `seq`. A supervisor who looks at another's work has only the mentions marked."""
    conversation = visible.conversation(actor, conversation_id)
    live = queries.live_sessions([conversation_id]).get(conversation_id)
    verb = marks.mark_read if not actor.is_supervisor or access.owns(actor, live) else mentions.read_up_to
    verb(actor=actor, conversation_id=conversation_id, seq=min(_seq(request.POST), conversation.seq))
    return HttpResponse(status=204)


@require_POST
@for_agents
def here(request: HttpRequest, actor: Actor) -> HttpResponse:
    """The heartbeat of a page whose socket is down."""
    presence.heartbeat(actor=actor)
    return HttpResponse(status=204)


@require_POST
@for_agents
def declare(request: HttpRequest, actor: Actor) -> HttpResponse:
    """Set the agent's own availability."""
    form = PresenceForm(request.POST)
    if not form.is_valid():
        raise Malformed(first_error(form))
    agent = presence.declare_availability(actor=actor, **form.cleaned_data)
    if is_fragment(request):
        return fragment(request, "desk/_presence.html", _presence() | {"agent": agent}, "presence")
    return redirect("desk")


def _presence() -> dict[str, Any]:
    return {"availabilities": DECLARABLE}


# --- The verbs behind the buttons --------------------------------------------------------------------------------


def _accept(*, actor: Actor, conversation_id: int, form: dict[str, Any]) -> Outcome:
    if not form["transfer"]:
        raise Malformed("Nothing was named to accept.")
    return transfers.accept_transfer(
        actor=actor, transfer_id=form["transfer"], override=form["override"], expected_epoch=form["epoch"]
    )


def _decline(*, actor: Actor, conversation_id: int, form: dict[str, Any]) -> Outcome:
    if not form["transfer"]:
        raise Malformed("Nothing was named to decline.")
    return transfers.decline_transfer(actor=actor, transfer_id=form["transfer"], reason=form["reason"])


def _take_over(*, actor: Actor, conversation_id: int, form: dict[str, Any]) -> Outcome:
    return takeovers.take_over(
        actor=actor,
        conversation_id=conversation_id,
        reason=form["reason"],
        override=form["override"],
        expected_epoch=form["epoch"],
    )


def _take(*, actor: Actor, conversation_id: int, form: dict[str, Any]) -> Outcome:
    return lifecycle.open_session(
        actor=actor, conversation_id=conversation_id, robot=False, on_conflict="fail", reason=form["reason"]
    )


def _grab(*, actor: Actor, conversation_id: int, form: dict[str, Any]) -> Outcome:
    return takeovers.grab(
        actor=actor,
        conversation_id=conversation_id,
        reason=form["reason"],
        override=form["override"],
        expected_epoch=form["epoch"],
    )


def _release(*, actor: Actor, conversation_id: int, form: dict[str, Any]) -> Outcome:
    return takeovers.release_to_bot(
        actor=actor, conversation_id=conversation_id, summary=form["reason"], expected_epoch=form["epoch"]
    )


def _resolve(*, actor: Actor, conversation_id: int, form: dict[str, Any]) -> Outcome:
    return marks.resolve(
        actor=actor, conversation_id=conversation_id, reason=form["reason"], expected_epoch=form["epoch"]
    )


def _acknowledge(*, actor: Actor, conversation_id: int, form: dict[str, Any]) -> Outcome:
    return marks.acknowledge(actor=actor, conversation_id=conversation_id)


def _label(*, actor: Actor, conversation_id: int, form: dict[str, Any]) -> Outcome:
    return labels.label(actor=actor, conversation_id=conversation_id, label_id=form["label"] or 0)


def _unlabel(*, actor: Actor, conversation_id: int, form: dict[str, Any]) -> Outcome:
    return labels.unlabel(actor=actor, conversation_id=conversation_id, label_id=form["label"] or 0)


VERBS: dict[str, Callable[..., Outcome]] = {
    "accept": _accept,
    "decline": _decline,
    "take-over": _take_over,
    "take": _take,
    "grab": _grab,
    "release": _release,
    "resolve": _resolve,
    "resolve-next": _resolve,
    "looked": _acknowledge,
    "label": _label,
    "unlabel": _unlabel,
    **header_actions.VERBS,
    **participants.VERBS,
}


def _onward(request: HttpRequest, actor: Actor, conversation_id: int) -> Callable[[], str]:
    """Returns the address to open afterwards: the next conversation of the agent's list, or the list if there is none.

    The place in the list is read now, because the verb moves the conversation.
    """
    query = list_query_of(request)
    place = next_conversation.place_of(actor, conversation_id)

    def address() -> str:
        following = next_conversation.next_one(actor, _desk_query(query), place)
        path = reverse("conversation", args=[following.pk]) if following else reverse("desk")
        return f"{path}?{query['query']}"

    return address


# --- Rendering ---------------------------------------------------------------------------------------------------


def _carry_out(
    request: HttpRequest,
    actor: Actor,
    conversation_id: int,
    verb: Callable[[], Outcome],
    *,
    mode: str = "",
    typed: str = "",
    onward: Callable[[], str] | None = None,
) -> HttpResponseBase:
    """Carry out a verb, then show the current state: as a news fragment for a script, by a redirect for a plain form.

    A refusal is shown with its own status. `onward` gives the address to open when the verb has succeeded.
    """
    presence.heartbeat(actor=actor)
    refused: DomainError | None = None
    notice: dict[str, str] = {}
    try:
        notice = participants.shown_once(verb())
    except DomainError as error:
        refused = error
    status = refused.status if refused else 200
    address = onward() if onward and not refused else ""
    if is_fragment(request):
        page = queries.thread_news(actor=actor, conversation_id=conversation_id, after=_seq(request.POST))
        look_at(actor, page)
        problem = wording.refusal(refused, page) if refused else ""
        context = presenters.opened(page, actor, request, problem=problem) | notice
        context |= {"list_query": list_query_of(request), "onward": address}
        return fragment(request, "conversation/_news.html", context, "news", status=status)
    if not (notice or refused):
        return redirect(address or reverse("conversation", args=[conversation_id]))
    page = queries.thread_page(actor=actor, conversation_id=conversation_id)
    context = around(request, actor, opened=page)
    if refused:
        notice = {"problem": wording.refusal(refused, page)}
    opened = presenters.opened(page, actor, request, mode=mode, typed=typed if refused else "")
    return render(request, "desk/desk.html", context | opened | notice, status=status)


def _page(request: HttpRequest, actor: Actor, page: ThreadPage) -> HttpResponse:
    if is_fragment(request):
        look_at(actor, page)
        context = presenters.opened(page, actor, request) | {"list_query": list_query_of(request)}
        return fragment(request, "conversation/_pane.html", context, "pane")
    context = around(request, actor, opened=page)
    return render(request, "desk/desk.html", context | presenters.opened(page, actor, request))


def fragment(
    request: HttpRequest, template: str, context: dict[str, Any], name: str, *, status: int = 200
) -> HttpResponse:
    """Render a part of the page. Its header `Desk-Fragment` tells the script that this is no login or error page."""
    response = render(request, template, context, status=status)
    response["Desk-Fragment"] = name
    return response


def around(request: HttpRequest, actor: Actor, *, opened: ThreadPage | None = None) -> dict[str, Any]:
    """The context of the page around a conversation: list, tabs, offers, bulk actions. Completes `opened` in place."""
    query = list_query_of(request)
    seen = look(actor, _desk_query(query), opened)
    query["saved"] = seen.open_view.pk if seen.open_view else None  # None for a bookmark of a deleted view
    tabs = presenters.tabs(query["view"], seen.counts, COUNT_MOST, is_saved=seen.open_view is not None)
    saved = presenters.saved(seen.saved, query["saved"], actor, COUNT_MOST)
    return {
        **presenters.listed(seen.page, query["view"], query, opened.conversation.pk if opened else None),
        "tabs": tabs,
        "saved_views": saved,
        "list_name": presenters.here(tabs, saved),
        "offers": offers.cards(seen.offers, seen.now),
        "labels": seen.labels,
        "alerts": seen.alerts,
        "controllers": Controller.choices,
        "bulk_actions": wording.BULK.items(),
        "scopes": presenters.scopes(actor),
        "try_it": settings.TRY_IT,
        **_presence(),
    }


def list_query_of(request: HttpRequest) -> dict[str, Any]:
    """Which part of the list the page shows: by its address, and by the fields of a posted form, which come first."""
    values = request.GET.copy()
    values.update(request.POST)
    query = ListForm(values).list_query()
    return query | {"query": presenters.query_of(query)}


def _desk_query(query: dict[str, Any]) -> DeskQuery:
    return DeskQuery(
        view=query["view"],
        saved=query["saved"],
        search=query["q"],
        controller=query["controller"],
        after=Cursor.read(query["after"]),
        limit=query["rows"],
    )


def _seq(values: Any) -> int:
    """The operation number that was sent; 0 where none was, or no number."""
    form = SeqForm(values)
    if not form.is_valid():
        return 0
    seq: int = form.cleaned_data["seq"]
    return seq


def first_error(form: Any) -> str:
    return str(next(iter(form.errors.values()))[0])
