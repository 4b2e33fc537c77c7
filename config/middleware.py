"""Around every request: the API answers in JSON whatever happens, and no request keeps a database connection too long."""

from __future__ import annotations

from collections.abc import Callable
from threading import BoundedSemaphore

from django.conf import settings
from django.db import connection
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from rest_framework.exceptions import UnsupportedMediaType

from config.errors import Busy
from config.failures import is_api, problem_for, problem_response, unavailable

ASKS_NO_DATABASE = frozenset({"/api/v1/health/live"})
"""Answered however busy the database is: who hears nothing from it ends the process."""

type Respond = Callable[[HttpRequest], HttpResponseBase]


def api_in_json(respond: Respond) -> Respond:
    """Under /api/: no error in HTML, and no body in a coding that nobody undoes.

    First of all middleware, so that it sees what any other answers, Django's own pages of errors included.
    """

    def answer(request: HttpRequest) -> HttpResponseBase:
        if not is_api(request):
            return respond(request)
        coding = request.headers.get("Content-Encoding", "identity").strip().lower()
        if coding not in ("", "identity"):
            refusal = UnsupportedMediaType("", detail="Send the body as it is: no Content-Encoding is undone here.")
            return problem_response(refusal, **{"Accept-Encoding": "identity"})
        response = respond(request)
        is_page = response.headers.get("Content-Type", "").partition(";")[0] in ("", "text/html", "text/plain")
        if response.status_code >= 400 and is_page:
            kept = {name: response.headers[name] for name in ("Allow", "Retry-After") if name in response.headers}
            response = problem_response(problem_for(response.status_code), **kept)
        elif 300 <= response.status_code < 400 and not getattr(response, "content", b""):
            response.headers.pop("Content-Type", None)  # nothing is no page
        return response

    return answer


def connections_given_back(respond: Respond) -> Respond:
    """A request's database connection goes back before its answer is sent: a client that reads slowly holds none.

    Only where no thread keeps its connection (CONN_MAX_AGE 0). MariaDB has no pool that a request could wait at: there as
    many requests are worked on at once as a pool would have connections, and who finds no room within
    DATABASE_POOL_TIMEOUT is answered `busy`, as from the pool.
    """
    if settings.DATABASES["default"].get("CONN_MAX_AGE"):
        return respond
    most = settings.DATABASE_POOL_MAX if connection.vendor == "mysql" else 0
    room = BoundedSemaphore(most) if most else None

    def answer(request: HttpRequest) -> HttpResponseBase:
        if room is None or request.path_info in ASKS_NO_DATABASE:
            return given_back(request)
        if not room.acquire(timeout=settings.DATABASE_POOL_TIMEOUT):
            return problem_response(Busy()) if is_api(request) else unavailable(request, Busy())
        try:
            return given_back(request)
        finally:
            room.release()

    def given_back(request: HttpRequest) -> HttpResponseBase:
        try:
            return respond(request)
        finally:
            if not connection.in_atomic_block:  # a test's own transaction goes on
                connection.close()

    return answer
