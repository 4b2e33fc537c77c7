"""Files on the pages: uploaded in a composer, viewed in a thread, discarded. The same at the desk, for people who
joined by a link, and for the customer of the try-it page; the views of each say who the actor is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_GET, require_POST

from agents_app.actors import Actor
from config.errors import DomainError, NotFound
from config.uploads import OneFile, the_file
from messaging_app.attachments.names import ENDINGS
from messaging_app.attachments.rows import MOST
from sessions_app.actions import attachments
from sessions_app.queries import attachments as downloads
from sessions_app.rights import visible
from sessions_app.workbench import wording
from sessions_app.workbench.decorators import for_agents

type View = Callable[..., HttpResponseBase]


def attaching(attach_at: str, files_at: str) -> dict[str, Any]:
    """The context for a composer and a thread: where files go and are, their most bytes, number and types."""
    types = settings.ATTACHMENT_TYPES
    return {
        "attach_at": attach_at,
        "files_at": files_at,
        "attach_most": settings.ATTACHMENT_MAX_BYTES,
        "attach_count": MOST,
        "attach_accept": ",".join([*types, *(ending for type in types for ending in ENDINGS.get(type, ()))]),
    }


def with_a_file(view: View) -> View:
    """Read the uploaded file to disk as it comes, up to `ATTACHMENT_MAX_BYTES`, before anything else reads the form.

    Django's CSRF check reads the body, so it runs here, after the limit is set.
    """
    checked = csrf_protect(view)

    @csrf_exempt
    @wraps(view)
    def enter(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        handler = OneFile(settings.ATTACHMENT_MAX_BYTES)
        request.upload_handlers = [handler]
        try:
            return checked(request, *args, **kwargs)
        except DomainError as error:
            return _fragment(request, {"problem": wording.refusal(error)}, status=error.status)
        finally:
            handler.close()

    return enter


def kept_by_the_browser(view: View) -> View:
    """Let the browser cache a file, and ask each time whether it may still show it. Other responses are not cached."""

    @require_GET
    @wraps(view)
    def enter(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = view(request, *args, **kwargs)
        if response.has_header("ETag"):
            response["Cache-Control"] = "private, no-cache"
            del response["Expires"]
        return response

    return enter


def attached(request: HttpRequest, actor: Actor, conversation_id: int, context: Mapping[str, Any]) -> HttpResponse:
    """Store the uploaded file; the response, 201, is what the composer shows of it."""
    with the_file(request.FILES) as file:
        row = attachments.upload(
            actor=actor,
            conversation_id=conversation_id,
            file=file,
            size=file.size or 0,
            sha256=file.digest,
            name=file.name or "",
            client_id=request.POST.get("client_id", ""),
        )
    return _fragment(request, {**context, "attachment": row}, status=201)


def shown(request: HttpRequest, actor: Actor, attachment_id: int, *, preview: bool = False) -> HttpResponseBase:
    """The file or its preview. Raises `NotFound`, also for what the actor may not see."""
    respond = downloads.preview if preview else downloads.content
    return respond(request, visible.attachment(actor, attachment_id))


def discarded(actor: Actor, attachment_id: int) -> HttpResponse:
    """Discard a file that is not sent yet: 204, or 404 where it is gone already."""
    try:
        attachments.discard(actor=actor, attachment_id=attachment_id)
    except NotFound:
        return HttpResponse(status=404)
    return HttpResponse(status=204)


def _fragment(request: HttpRequest, context: dict[str, Any], *, status: int) -> HttpResponse:
    response = render(request, "attachment/_upload_result.html", context, status=status)
    response["Desk-Fragment"] = "attachment"
    return response


# --- The desk ----------------------------------------------------------------------------------------------------


@require_POST
@for_agents
@with_a_file
def attach(request: HttpRequest, actor: Actor, conversation_id: int) -> HttpResponse:
    return attached(request, actor, conversation_id, at_desk(conversation_id))


@kept_by_the_browser
@for_agents
def content(request: HttpRequest, actor: Actor, attachment_id: int) -> HttpResponseBase:
    return shown(request, actor, attachment_id)


@kept_by_the_browser
@for_agents
def preview(request: HttpRequest, actor: Actor, attachment_id: int) -> HttpResponseBase:
    return shown(request, actor, attachment_id, preview=True)


@require_POST
@for_agents
def discard(request: HttpRequest, actor: Actor, attachment_id: int) -> HttpResponse:
    return discarded(actor, attachment_id)


def at_desk(conversation_id: int) -> dict[str, Any]:
    return attaching(reverse("conversation-attach", args=[conversation_id]), f"{reverse('desk')}files/")
