"""What agents keep and use at the desk: canned replies, colleagues to mention, saved views, and one action on many rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from agents_app.actors import Actor
from agents_app.sharing import Sharing
from config.errors import DomainError, Malformed, NotFound
from messaging_app.agent_tools import canned_replies, mentions
from messaging_app.models import Conversation
from sessions_app.actions import presence, saved_views
from sessions_app.actions.bulk import BulkResult, act_on_many
from sessions_app.queries import reply_rendering, view_counts, view_filters
from sessions_app.workbench import presenters, wording
from sessions_app.workbench.decorators import for_agents, is_fragment
from sessions_app.workbench.forms import BulkForm, NewReplyForm, ReplyForm, SaveViewForm, SearchForm
from sessions_app.workbench.views import around, first_error, fragment

REPLIES_SHOWN = 200
"""Replies on the page of canned replies; further ones are found by its search."""

# --- For the composer --------------------------------------------------------------------------------------------


@require_GET
@for_agents
def replies(request: HttpRequest, actor: Actor, conversation_id: int) -> HttpResponse:
    """The canned replies that match the text after the slash, with their variables filled in for this conversation."""
    values = reply_rendering.values_in(actor, conversation_id)
    offered = [
        (reply, canned_replies.fill_in(reply.text, values))
        for reply in canned_replies.offered(actor, _search_text(request))
    ]
    return fragment(request, "desk/_canned_reply_options.html", {"offered": offered}, "options")


@require_GET
@for_agents
def colleagues(request: HttpRequest, actor: Actor) -> HttpResponse:
    """Colleagues whose name begins with the text after the @."""
    offered = mentions.colleagues(actor, _search_text(request))
    return fragment(request, "desk/_mention_options.html", {"offered": offered}, "options")


def _search_text(request: HttpRequest) -> str:
    form = SearchForm(request.GET)
    return str(form.cleaned_data["q"]) if form.is_valid() else ""


# --- Canned replies ----------------------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
@for_agents
def own_replies(request: HttpRequest, actor: Actor) -> HttpResponseBase:
    """The page of the replies that the agent may use, with forms for those they may change; a POST creates a reply."""
    if request.method == "GET":
        return _replies_page(request, actor)
    form = NewReplyForm(request.POST)

    def verb() -> None:
        sent = _cleaned_data(form)
        canned_replies.create_reply(actor=actor, **{**sent, "scope": sent["scope"] or Sharing.PERSONAL})

    return _run(request, actor, verb, new=form.data)


@require_POST
@for_agents
def change_reply(request: HttpRequest, actor: Actor, reply_id: int) -> HttpResponseBase:
    form = ReplyForm(request.POST)
    return _run(
        request,
        actor,
        lambda: canned_replies.change_reply(actor=actor, reply_id=reply_id, **_cleaned_data(form)),
        changed=(reply_id, form.data),
    )


@require_POST
@for_agents
def delete_reply(request: HttpRequest, actor: Actor, reply_id: int) -> HttpResponseBase:
    canned_replies.delete_reply(actor=actor, reply_id=reply_id)
    return redirect("desk-own-replies")


def _cleaned_data(form: ReplyForm) -> dict[str, Any]:
    if not form.is_valid():
        raise Malformed(first_error(form))
    return form.cleaned_data


def _run(request: HttpRequest, actor: Actor, verb: Callable[[], object], **typed: Any) -> HttpResponseBase:
    """Run the verb and return to the page of replies. A refusal gives back what was typed, with the reason."""
    try:
        verb()
    except NotFound:
        raise
    except DomainError as error:
        return _replies_page(request, actor, problem=error.detail, status=error.status, **typed)
    return redirect("desk-own-replies")


def _replies_page(
    request: HttpRequest,
    actor: Actor,
    *,
    problem: str = "",
    status: int = 200,
    new: Any = None,
    changed: tuple[int, Any] = (0, None),
) -> HttpResponse:
    replies = canned_replies.find(canned_replies.replies_of(actor), _search_text(request)).select_related("team")
    rows = [
        {
            "reply": changed[1] if reply.pk == changed[0] else reply,
            "id": reply.pk,
            "of": reply,
            "is_kept": reply.scope == Sharing.PERSONAL or actor.is_supervisor,
            "is_refused": reply.pk == changed[0],
        }
        for reply in replies[:REPLIES_SHOWN]
    ]
    context = {
        "rows": rows,
        "q": _search_text(request),
        "new": new or {},
        "is_new_refused": new is not None,
        "problem": problem,
        "variables": [(f"{{{name}}}", meaning) for name, meaning in canned_replies.VARIABLES.items()],
        "scopes": presenters.scopes(actor),
    }
    return render(request, "desk/canned_replies.html", context, status=status)


# --- Saved views -------------------------------------------------------------------------------------------------


@require_POST
@for_agents
def save_view(request: HttpRequest, actor: Actor) -> HttpResponseBase:
    """Save the list's current filter under a name."""
    form = SaveViewForm(request.POST)
    try:
        if not form.is_valid():
            raise Malformed(first_error(form))
        sent = form.cleaned_data
        scope = sent["scope"] or Sharing.PERSONAL
        saved = saved_views.create_view(actor=actor, name=sent["name"], filter=_filter(actor, form), scope=scope)
    except DomainError as error:
        return render(
            request, "desk/desk.html", around(request, actor) | {"save_problem": error.detail}, status=error.status
        )
    return _to_view(saved.pk)


def _filter(actor: Actor, form: SaveViewForm) -> dict[str, Any]:
    """The list's current filter: that of the tab or of the open saved view, with controller and search on top."""
    query = form.list_query()
    criteria = {"view": query["view"].value}
    if query["saved"]:
        criteria = view_filters.stored(view_counts.saved_view(actor, query["saved"]).filter).as_dict()
    narrower = {"controller": [query["controller"]] if query["controller"] else None, "search": query["q"] or None}
    return criteria | {name: value for name, value in narrower.items() if value}


@require_POST
@for_agents
def delete_view(request: HttpRequest, actor: Actor, view_id: int) -> HttpResponseBase:
    saved_views.delete_view(actor=actor, view_id=view_id)
    return redirect("desk")


def _to_view(view_id: int) -> HttpResponseBase:
    return redirect(reverse("desk", query={"saved": view_id}))


# --- Many at once ------------------------------------------------------------------------------------------------


@require_POST
@for_agents
def bulk(request: HttpRequest, actor: Actor) -> HttpResponseBase:
    """Carry out one action on the ticked rows, and say which were refused and why."""
    presence.heartbeat(actor=actor)
    form, status, problem, results = BulkForm(request.POST), 200, "", list[BulkResult]()
    try:
        if not form.is_valid():
            raise Malformed(first_error(form))
        sent = form.cleaned_data
        label_id = sent["label"] if sent["action"] in ("label", "unlabel") else None
        results = act_on_many(actor=actor, conversation_ids=sent["id"], action=sent["action"], label_id=label_id)
    except DomainError as error:
        status, problem = error.status, error.detail
    context = {"bulk": _bulk_result(actor, results) | {"problem": problem}}
    if is_fragment(request):
        return fragment(request, "desk/_bulk_result.html", context, "bulk", status=status)
    return render(request, "desk/desk.html", around(request, actor) | context, status=status)


def _bulk_result(actor: Actor, results: list[BulkResult]) -> dict[str, Any]:
    """How many were done; of the others id, conversation (None where there is none) and, in one sentence, why not."""
    refused = {result.conversation_id: result.problem for result in results if result.problem}
    conversations = Conversation.objects.filter(tenant_id=actor.tenant_id, pk__in=refused).in_bulk()
    return {
        "done": len(results) - len(refused),
        "refused": [(pk, conversations.get(pk), wording.refusal(problem)) for pk, problem in refused.items()],
    }
