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
from config.failures import LIVENESS, is_api, problem_for, problem_response, unavailable

type Respond = Callable[[HttpRequest], HttpResponseBase]


def api_in_json(respond: Respond) -> Respond:
    """Under /api/: every error is problem+json, and a body with a Content-Encoding is refused: nothing decodes it.

    Stands outside the middleware whose answers it converts, Django's own error pages included.
    """

    def answer(request: HttpRequest) -> HttpResponseBase:
        if not is_api(request):
            return respond(request)
        coding = request.META.get("HTTP_CONTENT_ENCODING", "identity").strip().lower()
        if coding not in ("", "identity"):
            refusal = UnsupportedMediaType("", detail="Send the body as it is: no Content-Encoding is undone here.")
            return problem_response(refusal, **{"Accept-Encoding": "identity"})
        response = respond(request)
        is_page = response.headers.get("Content-Type", "").partition(";")[0] in ("", "text/html", "text/plain")
        if response.status_code >= 400 and is_page:
            headers = {name: response.headers[name] for name in ("Allow", "Retry-After") if name in response.headers}
            response = problem_response(problem_for(response.status_code), **headers)
        elif 300 <= response.status_code < 400 and not getattr(response, "content", b""):
            response.headers.pop("Content-Type", None)  # an empty body has no type
        return response

    return answer


def connections_given_back(respond: Respond) -> Respond:
    """Middleware: gives a request's database connection back before its answer is sent: a slow reader holds none.

    Does nothing where threads keep their connection (CONN_MAX_AGE above 0). Django has no pool for MariaDB: there at
    most DATABASE_POOL_MAX requests run at once, and one that gets no place within DATABASE_POOL_TIMEOUT is answered
    `busy`, as by the pool.
    """
    if settings.DATABASES["default"].get("CONN_MAX_AGE"):
        return respond
    most = settings.DATABASE_POOL_MAX if connection.vendor == "mysql" else 0
    places = BoundedSemaphore(most) if most else None

    def answer(request: HttpRequest) -> HttpResponseBase:
        if places is None or request.path_info == LIVENESS:
            return respond_and_close(request)
        if not places.acquire(timeout=settings.DATABASE_POOL_TIMEOUT):
            return problem_response(Busy()) if is_api(request) else unavailable(request, Busy())
        try:
            return respond_and_close(request)
        finally:
            places.release()

    def respond_and_close(request: HttpRequest) -> HttpResponseBase:
        try:
            return respond(request)
        finally:
            if not connection.in_atomic_block:  # a test's own transaction goes on
                connection.close()

    return answer
