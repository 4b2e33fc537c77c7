"""A program's call goes a short way to its view: past the middleware of logins and pages, which have nothing to say to it.

Whoever sends a bearer and no cookie has no session, no messages, no CSRF token and no locked login. The answer has the
same headers as by the long way (tests/api/test_short_way.py).
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any, cast

from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest, HttpResponseBase
from django.urls import ResolverMatch, get_resolver
from django.utils.module_loading import import_string

API = "/api/v1/"

NEEDED = (
    "django.middleware.security.SecurityMiddleware",
    "config.middleware.connections_given_back",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
)
"""Of MIDDLEWARE behind `ShortWay`, what a program's call passes, in the same order."""

type Respond = Callable[[HttpRequest], HttpResponseBase]


class ShortWay:
    """Middleware: answers a program's call through `NEEDED` alone, and leaves all other requests to what follows."""

    def __init__(self, get_response: Respond) -> None:
        self.get_response = get_response
        self._fixed: dict[str, ResolverMatch] = {}
        respond: Any = convert_exception_to_response(_answer_of_the_view)
        for path in reversed(NEEDED):
            respond = convert_exception_to_response(import_string(path)(respond))
        self._respond = cast("Respond", respond)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not is_of_a_program(request):
            return self.get_response(request)
        match = self._match(request.path_info)
        view = match.func
        # A view that is not exempt is protected by the middleware for forms; an asynchronous one needs Django's own call.
        if iscoroutinefunction(view) or not getattr(view, "csrf_exempt", False):
            return self.get_response(request)
        request.resolver_match = match
        return self._respond(request)

    def _match(self, path: str) -> ResolverMatch:
        """The view behind an address. An address without an id is looked for once: there are a few dozen of them."""
        found = self._fixed.get(path)
        if found is None:
            found = get_resolver().resolve(path)
            if not found.kwargs and not found.args and f"/{found.route.removesuffix('$')}" == path:
                self._fixed[path] = found
        return found


def is_of_a_program(request: HttpRequest) -> bool:
    """Whether a call of the API brings a bearer and nothing that a browser adds by itself."""
    return (
        request.path_info.startswith(API)
        and request.META.get("HTTP_AUTHORIZATION", "")[:7].lower() == "bearer "
        and not request.META.get("HTTP_COOKIE")
    )


def _answer_of_the_view(request: HttpRequest) -> HttpResponseBase:
    """As Django's handler does behind the last middleware: call the view, and render what it has put off."""
    match = request.resolver_match
    assert match
    response = match.func(request, *match.args, **match.kwargs)
    if callable(render := getattr(response, "render", None)):
        response = render()
    return cast("HttpResponseBase", response)
