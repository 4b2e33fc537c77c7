"""Who may enter the desk: a login with an active agent, who becomes the actor that every verb is given."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache

from agents_app.actors import agent_actor
from agents_app.models import Agent
from config.errors import DomainError, NotFound
from config.failures import unavailable

type DeskView = Callable[..., HttpResponseBase]


def for_agents(view: DeskView) -> Callable[..., HttpResponseBase]:
    """Give the view its actor. Without a login: to the login page; without an agent: a page that says what to do.

    A `DomainError` that the view did not handle becomes 404 or a short page with the status of the error.
    """

    @wraps(view)
    @never_cache
    def enter(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return _to_login(request)
        agent: Agent | None = getattr(request.user, "agent", None)
        if agent is None or not agent.is_active:
            return render(request, "desk/no_agent.html", {"agent": agent}, status=403)
        request.agent = agent  # type: ignore[attr-defined]
        try:
            return view(request, agent_actor(agent), *args, **kwargs)
        except NotFound as error:
            raise Http404(str(error)) from error
        except DomainError as error:
            if error.status == 503:
                return unavailable(request, error)
            return render(request, "desk/refused.html", {"problem": error.detail}, status=error.status)

    return enter


def _to_login(request: HttpRequest) -> HttpResponse:
    """To the login page; for a fragment, which cannot show it, by a header that lets the browser load the desk anew."""
    if is_fragment(request):
        return HttpResponse(status=401, headers={"HX-Redirect": reverse("desk")})
    return redirect_to_login(request.get_full_path())


def is_fragment(request: HttpRequest) -> bool:
    """Whether a script of the page makes the request, to put the response into the page."""
    return request.headers.get("HX-Request") == "true" and request.headers.get("HX-History-Restore-Request") != "true"
