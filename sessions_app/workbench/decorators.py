"""Who may enter the desk: a login with an active agent behind it. Made here into the actor that every verb is given."""

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

    A refusal that the view did not put into words becomes 'not found' or a short page.
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
    """A fragment asked for after the login has ended cannot be shown: the browser is sent to the login page whole."""
    if is_fragment(request):
        return HttpResponse(status=401, headers={"HX-Redirect": reverse("desk")})
    return redirect_to_login(request.get_full_path())


def is_fragment(request: HttpRequest) -> bool:
    """Asked for by a script of the page, which puts the answer into it."""
    return request.headers.get("HX-Request") == "true" and request.headers.get("HX-History-Restore-Request") != "true"
