"""The design page, and each component state as a page of its own, so that a frame shows it as the desk does."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils.csp import CSP
from django.utils.text import slugify
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.csp import csp_override
from django.views.decorators.http import require_GET

from agents_app.actors import Actor
from config import clock
from sessions_app.workbench.decorators import for_agents
from sessions_app.workbench.design.component_states import COMPONENTS, Component, Make
from sessions_app.workbench.design.fixtures import Fixtures

type View = Callable[..., HttpResponseBase]

FRAMED: dict[str, Any] = settings.SECURE_CSP | {"frame-ancestors": [CSP.SELF]}
"""A component state may stand in a frame of the design page, and nowhere else."""


def where_tried(view: View) -> View:
    """404 unless `TRY_IT` is on: like the try-it page, it is there for development and demonstrations only."""

    @wraps(view)
    def enter(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not settings.TRY_IT:
            raise Http404
        return view(request, *args, **kwargs)

    return enter


@require_GET
@where_tried
@for_agents
def design(request: HttpRequest, actor: Actor) -> HttpResponse:
    """Every component in every state, each in a frame."""
    shown = [(component, [(state, slugify(state)) for state in component.states]) for component in COMPONENTS.values()]
    return render(request, "design/page.html", {"components": shown})


@require_GET
@where_tried
@xframe_options_sameorigin
@csp_override(FRAMED)
@for_agents
def specimen(request: HttpRequest, actor: Actor, component: str, state: str) -> HttpResponse:
    """One component in one state, by the names that the design page gives them."""
    match, make = _look_up(component, state)
    fixtures = Fixtures(request.agent, clock.now())  # type: ignore[attr-defined]
    request.agent = fixtures.me  # type: ignore[attr-defined]
    shown = make(fixtures, request)
    context = shown.context | {"component": match, "acts": shown.acts}
    return render(request, match.template, context)


def _look_up(component: str, state: str) -> tuple[Component, Make]:
    match = COMPONENTS.get(component)
    for name, make in match.states.items() if match else ():
        if match and slugify(name) == state:
            return match, make
    raise Http404
