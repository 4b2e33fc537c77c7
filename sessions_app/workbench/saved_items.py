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
from sessions_app.actions.bulk import Done, act_on_many
from sessions_app.queries import reply_rendering as in_conversation
from sessions_app.queries import view_counts, view_filters
from sessions_app.workbench import presenters, wording
from sessions_app.workbench.decorators import for_agents, is_fragment
from sessions_app.workbench.forms import BulkForm, NewReplyForm, ReplyForm, SaveViewForm, SoughtForm
from sessions_app.workbench.views import around, first_error, fragment

REPLIES_SHOWN = 200
"""On the page of canned replies; whoever has more searches."""

# --- For the composer --------------------------------------------------------------------------------------------


@require_GET
@for_agents
def replies(request: HttpRequest, actor: Actor, conversation_id: int) -> HttpResponse:
    """The few canned replies that fit what stands behind the slash, as they would be said here."""
    values = in_conversation.values_in(actor, conversation_id)
    offered = [
        (reply, canned_replies.fill_in(reply.text, values)) for reply in canned_replies.offered(actor, _sought(request))
    ]
    return fragment(request, "desk/_canned_reply_options.html", {"offered": offered}, "options")


@require_GET
@for_agents
def colleagues(request: HttpRequest, actor: Actor) -> HttpResponse:
    """Colleagues whose name begins with what stands behind the @."""
    offered = mentions.colleagues(actor, _sought(request))
    return fragment(request, "desk/_mention_options.html", {"offered": offered}, "options")


def _sought(request: HttpRequest) -> str:
    form = SoughtForm(request.GET)
    return str(form.cleaned_data["q"]) if form.is_valid() else ""


# --- Canned replies ----------------------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
@for_agents
def own_replies(request: HttpRequest, actor: Actor) -> HttpResponseBase:
    """The replies an agent may use, and those that it keeps to be changed; a POST keeps a new one."""
    if request.method == "GET":
        return _replies_page(request, actor)
    form = NewReplyForm(request.POST)

    def verb() -> None:
        sent = _sent(form)
        canned_replies.create_reply(actor=actor, **{**sent, "scope": sent["scope"] or Sharing.PERSONAL})

    return _kept(request, actor, verb, new=form.data)


@require_POST
@for_agents
def change_reply(request: HttpRequest, actor: Actor, reply_id: int) -> HttpResponseBase:
    form = ReplyForm(request.POST)
    return _kept(
        request,
        actor,
        lambda: canned_replies.change_reply(actor=actor, reply_id=reply_id, **_sent(form)),
        changed=(reply_id, form.data),
    )


@require_POST
@for_agents
def delete_reply(request: HttpRequest, actor: Actor, reply_id: int) -> HttpResponseBase:
    canned_replies.delete_reply(actor=actor, reply_id=reply_id)
    return redirect("desk-own-replies")


def _sent(form: ReplyForm) -> dict[str, Any]:
    if not form.is_valid():
        raise Malformed(first_error(form))
    return form.cleaned_data


def _kept(request: HttpRequest, actor: Actor, verb: Callable[[], object], **typed: Any) -> HttpResponseBase:
    """Carry it out. What was refused is given back with the reason."""
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
    found = canned_replies.found(canned_replies.replies_of(actor), _sought(request)).select_related("team")
    rows = [
        {
            "reply": changed[1] if reply.pk == changed[0] else reply,
            "id": reply.pk,
            "of": reply,
            "is_kept": reply.scope == Sharing.PERSONAL or actor.is_supervisor,
            "is_refused": reply.pk == changed[0],
        }
        for reply in found[:REPLIES_SHOWN]
    ]
    context = {
        "rows": rows,
        "q": _sought(request),
        "new": new or {},
        "is_new_refused": new is not None,
        "problem": problem,
        "variables": [(f"{{{name}}}", told) for name, told in canned_replies.VARIABLES.items()],
        "scopes": presenters.scopes(actor),
    }
    return render(request, "desk/canned_replies.html", context, status=status)


# --- Saved views -------------------------------------------------------------------------------------------------


@require_POST
@for_agents
def save_view(request: HttpRequest, actor: Actor) -> HttpResponseBase:
    """Save the list as it is asked for now."""
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
    """What the list asks for: the tab, or the saved view that is open, and what narrows it."""
    asked = form.asked()
    wanted = {"view": asked["view"].value}
    if asked["saved"]:
        wanted = view_filters.stored(view_counts.saved_view(actor, asked["saved"]).filter).as_dict()
    narrower = {"controller": [asked["controller"]] if asked["controller"] else None, "search": asked["q"] or None}
    return wanted | {name: value for name, value in narrower.items() if value}


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
    """Do one thing to the rows that are ticked, and say what could not be done and why."""
    presence.heartbeat(actor=actor)
    form, status, problem, done = BulkForm(request.POST), 200, "", list[Done]()
    try:
        if not form.is_valid():
            raise Malformed(first_error(form))
        sent = form.cleaned_data
        label_id = sent["label"] if sent["action"] in ("label", "unlabel") else None
        done = act_on_many(actor=actor, conversation_ids=sent["id"], action=sent["action"], label_id=label_id)
    except DomainError as error:
        status, problem = error.status, error.detail
    context = {"bulk": _told(actor, done) | {"problem": problem}}
    if is_fragment(request):
        return fragment(request, "desk/_bulk_result.html", context, "bulk", status=status)
    return render(request, "desk/desk.html", around(request, actor) | context, status=status)


def _told(actor: Actor, done: list[Done]) -> dict[str, Any]:
    """How many were done; of the others the name and, in one sentence, why not."""
    refused = {one.conversation_id: one.problem for one in done if one.problem}
    named = Conversation.objects.filter(tenant_id=actor.tenant_id, pk__in=refused).in_bulk()
    return {
        "done": len(done) - len(refused),
        "refused": [(pk, named.get(pk), wording.refusal(problem)) for pk, problem in refused.items()],
    }
