"""A program's call goes a short way to its view: past the middleware of logins and pages, which have nothing to say to it.

Whoever sends a bearer and no cookie has no session, no messages, no CSRF token and no locked login. The answer has the
same headers as by the long way (tests/api/test_short_way.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from inspect import iscoroutinefunction
from typing import Any, cast

from django.conf import settings
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import ResolverMatch, get_resolver
from django.utils.cache import patch_vary_headers
from django.utils.module_loading import import_string
from django.utils.translation import activate, get_language

API = "/api/v1/"
JSON = "application/json"

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

MOST_KNOWN = 256
"""Kinds of requests of which it is known what the layers add. When there are more, all are learned anew."""


@dataclass(frozen=True, slots=True)
class Added:
    """What the layers of `NEEDED` do to the usual answer of one kind of request."""

    language: str
    headers: dict[str, tuple[str, str]]  # by the names in lower case, as Django's own store of headers has them
    vary: tuple[str, ...]


class ShortWay:
    """Middleware: answers a program's call through `NEEDED` alone, and leaves all other requests to what follows.

    What the layers add to a usual answer, JSON with a status below 300, depends on the request's host, scheme and language
    alone. So the first such request passes them, and the next ones get the same headers without them. Any other answer
    passes them when it is made.
    """

    def __init__(self, get_response: Respond) -> None:
        self.get_response = get_response
        self._fixed: dict[str, ResolverMatch] = {}
        self._known: dict[tuple[str, ...], Added] = {}
        given_back = import_string("config.middleware.connections_given_back")
        self._view = cast("Respond", convert_exception_to_response(given_back(_answer_of_the_view)))
        respond: Any = convert_exception_to_response(_answer_made_or_of_the_view)
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
        kind = _kind_of(request)
        added = self._known.get(kind)
        if added is None:
            response = self._respond(request)
            if _is_usual(response):
                self._learn(kind, request)
            return response
        activate(added.language)
        request.LANGUAGE_CODE = added.language  # as LocaleMiddleware does
        response = self._view(request)
        if not _is_usual(response):
            return self._after_the_view(request, response)
        store = (
            response.headers._store
        )  # the values are checked texts; to set each as a header costs more than the view
        store.update({name: pair for name, pair in added.headers.items() if name not in store})
        vary = _together(response.headers.get("Vary", ""), added.vary)
        store["vary"] = ("Vary", vary)
        store.setdefault("content-length", ("Content-Length", str(len(response.content))))  # type: ignore[attr-defined]
        return response

    def _after_the_view(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        setattr(request, _MADE, response)
        return self._respond(request)

    def _learn(self, kind: tuple[str, ...], request: HttpRequest) -> None:
        if settings.DISALLOWED_USER_AGENTS:  # these depend on more
            return
        bare = self._after_the_view(request, HttpResponse(content_type=JSON))
        headers = dict(bare.headers._store)
        vary = headers.pop("vary", ("", ""))[1]
        for name in ("content-type", "content-length"):
            headers.pop(name, None)
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[kind] = Added(get_language() or "", headers, tuple(filter(None, vary.split(", "))))

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


_MADE = "_answer_that_is_made"
"""Of a request: the answer that its view has given, to which the layers add theirs."""


def _kind_of(request: HttpRequest) -> tuple[str, ...]:
    """All of a request that the layers look at when they answer as usual."""
    meta = request.META
    proxied: tuple[str, str] | None = settings.SECURE_PROXY_SSL_HEADER
    return (
        str(request.scheme),
        meta.get(proxied[0], "") if proxied else "",
        meta.get("HTTP_HOST", ""),
        meta.get("HTTP_X_FORWARDED_HOST", ""),
        meta.get("HTTP_X_FORWARDED_PORT", ""),
        meta.get("SERVER_NAME", ""),
        meta.get("SERVER_PORT", ""),
        meta.get("HTTP_ACCEPT_LANGUAGE", ""),
    )


def _is_usual(response: HttpResponseBase) -> bool:
    return (
        response.status_code < 300
        and not response.streaming
        and response.headers.get("Content-Type") == JSON
        and not hasattr(response, "_csp_config")
    )


@lru_cache(maxsize=64)
def _together(varies: str, added: tuple[str, ...]) -> str:
    response = HttpResponse(headers={"Vary": varies} if varies else {})
    patch_vary_headers(response, added)
    return str(response.headers.get("Vary", ""))


def _answer_made_or_of_the_view(request: HttpRequest) -> HttpResponseBase:
    made: HttpResponseBase | None = getattr(request, _MADE, None)
    return made or _answer_of_the_view(request)


def _answer_of_the_view(request: HttpRequest) -> HttpResponseBase:
    """As Django's handler does behind the last middleware: call the view, and render what it has put off."""
    match = request.resolver_match
    assert match
    response = match.func(request, *match.args, **match.kwargs)
    if callable(render := getattr(response, "render", None)):
        response = render()
    return cast("HttpResponseBase", response)
