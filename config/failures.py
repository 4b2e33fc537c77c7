"""What is answered when a request fails before or outside its view: a problem under /api/, else a page that says so.

Django calls these as its error handlers (`config.urls`); `config.middleware` calls `problem_for` for errors that do not
reach them.
"""

from __future__ import annotations

import logging
import sys
from uuid import uuid4

from django.core.exceptions import DisallowedHost, RequestDataTooBig
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django.views import defaults
from rest_framework.exceptions import APIException, MethodNotAllowed, UnsupportedMediaType

from config.api import PROBLEM, TooLarge, problem_of
from config.errors import DomainError, Forbidden, InternalError, Malformed, NotFound, UnknownHost
from config.faults import answer_of

log = logging.getLogger(__name__)

API = "/api/"
LIVENESS = "/api/v1/health/live"
"""Answered even when the database is busy or away: it asks nobody."""
RETRY_AFTER = "1"
"""Seconds; as `config.api` says it for the API."""


def is_api(request: HttpRequest) -> bool:
    return request.path_info.startswith(API)


def problem_response(error: Exception, **headers: str) -> HttpResponse:
    """A refusal as problem+json."""
    answer = problem_of(error) or problem_of(InternalError())
    assert answer
    status, body, added = answer
    return JsonResponse(body, status=status, headers=added | headers, content_type=PROBLEM)


def problem_for(status: int) -> DomainError | APIException:
    """The refusal that a bare status means."""
    known: dict[int, DomainError | APIException] = {
        400: Malformed("This request cannot be read."),
        403: Forbidden(),
        404: NotFound("There is no such address; see /api/docs."),
        405: MethodNotAllowed("", detail="The address does not take this method."),
        413: TooLarge(),
        415: UnsupportedMediaType(""),
    }
    return known.get(status) or (Malformed() if status < 500 else InternalError())


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """handler400: an unknown host, a body that cannot be read or is too large, whatever else looks like an attack."""
    if not is_api(request):
        return defaults.bad_request(request, exception)
    if isinstance(exception, DisallowedHost):
        return problem_response(UnknownHost())
    return problem_response(TooLarge() if isinstance(exception, RequestDataTooBig) else problem_for(400))


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """handler403"""
    return problem_response(Forbidden()) if is_api(request) else defaults.permission_denied(request, exception)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """handler404"""
    return problem_response(problem_for(404)) if is_api(request) else defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponseBase:
    """handler500, called while the error is being handled: 503 for a fault below, else 500 with an id that the log has."""
    error = sys.exc_info()[1]
    fault = answer_of(error) if error else None
    if is_api(request):
        return problem_response(fault or _internal(request, error))
    if fault:
        return unavailable(request, fault)
    return defaults.server_error(request)


def unavailable(request: HttpRequest, fault: DomainError) -> HttpResponse:
    """A page, or plain text for a fragment of one, that asks to try again. Uses neither the database nor the login."""
    if fault.code == "storage_failed":
        text = _("Nothing can be stored at the moment, and nothing was. Please try again in a moment.")
    else:
        text = _("Too much is going on at once. Please try again in a moment.")
    headers = {"Retry-After": RETRY_AFTER, "Cache-Control": "no-store"}
    if request.headers.get("HX-Request") == "true":
        return HttpResponse(text, status=fault.status, headers=headers, content_type="text/plain; charset=utf-8")
    page = render_to_string("503.html", {"words": text}, request)
    return HttpResponse(page, status=fault.status, headers=headers)


def _internal(request: HttpRequest, error: BaseException | None) -> InternalError:
    error_id = uuid4().hex[:12]
    log.error("error %s at %s %s", error_id, request.method, request.path, exc_info=error)
    return InternalError(error_id=error_id)
