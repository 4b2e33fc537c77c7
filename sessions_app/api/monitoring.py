"""For the operator: liveness, readiness, build and metrics. For the API's users: its documents."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import translation
from django.utils.crypto import constant_time_compare
from django.utils.html import format_html, format_html_join
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET
from drf_spectacular.renderers import OpenApiJsonRenderer
from drf_spectacular.views import SpectacularAPIView
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import CollectorRegistry
from rest_framework.exceptions import MethodNotAllowed

from agents_app import loops
from config import build as this_build
from config.api import PROBLEM, problem_of
from config.errors import NotFound
from messaging_app import live as hints
from sessions_app.api.error_catalogue import CATALOGUE
from sessions_app.queries import metrics as gauges


def only_read(view: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """A view for GET and HEAD only; any other method is refused as everywhere in the API."""

    @csrf_exempt
    @wraps(view)
    def answer(request: HttpRequest) -> HttpResponse:
        if request.method in ("GET", "HEAD"):
            return view(request)
        with translation.override("en"):
            return _refused(MethodNotAllowed(request.method or ""), Allow="GET, HEAD")

    return answer


@only_read
def live(request: HttpRequest) -> HttpResponse:
    """The process answers. It checks nothing else, so that a slow database does not get it killed."""
    return JsonResponse({"status": "ok"})


@only_read
def ready(request: HttpRequest) -> HttpResponse:
    """Whether this process can serve, with the state of each thing that it uses: 503 if one that it needs is missing.

    Redis is not needed: without it everything goes on, more slowly. The answer is then `degraded` with 200: with 503 a
    load balancer would take all processes out at once. It is the same where failed items of a loop are put off.
    """
    checks = {"database": _works(_database), "migrations": _works(_migrations)}
    is_ready = all(state == "ok" for state in checks.values())
    if settings.REDIS_URL:
        checks["redis"] = _works(hints.check)
    checks["loops"] = _works(_nothing_put_off)
    is_whole = all(state == "ok" for state in checks.values())
    status = ("ok" if is_whole else "degraded") if is_ready else "unavailable"
    return JsonResponse({"status": status, "checks": checks}, status=200 if is_ready else 503)


class _PutOff(Exception):
    """How many items are put off, by loop. Its text may be shown: it has numbers and our own words only."""


def _works(check: Any) -> str:
    try:
        check()
    except _PutOff as error:
        return str(error)
    except Exception as error:  # whatever it is, it is not there
        return type(error).__name__  # its text may hold an address or a password
    return "ok"


def _database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _migrations() -> None:
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise RuntimeError("migrations are waiting")


def _nothing_put_off() -> None:
    if put_off := loops.put_off():
        raise _PutOff("put off: " + ", ".join(f"{loop} {count}" for loop, count in put_off.items()))


@only_read
def build(request: HttpRequest) -> HttpResponse:
    """Which build this is."""
    return JsonResponse(this_build.info())


@only_read
def metrics(request: HttpRequest) -> HttpResponse:
    """Metrics for Prometheus. With METRICS_TOKEN set, the caller must send it; without it only this machine may ask."""
    token = settings.METRICS_TOKEN
    sent = request.headers.get("Authorization", "")
    local = request.META.get("REMOTE_ADDR") in ("127.0.0.1", "::1") and "X-Forwarded-For" not in request.headers
    if not (constant_time_compare(sent, f"Bearer {token}") if token else local):
        return _refused(NotFound())
    registry = CollectorRegistry()
    registry.register(gauges.MetricsCollector())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


class Document(SpectacularAPIView):
    """The OpenAPI document of this API, in English."""

    authentication_classes = ()
    permission_classes = ()
    renderer_classes: Any = (OpenApiJsonRenderer,)

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        with translation.override("en"):
            return super().dispatch(request, *args, **kwargs)


@require_GET
def docs(request: HttpRequest) -> HttpResponse:
    """The page to read and to try the API's document."""
    return render(request, "api/docs.html")


@require_GET
def errors(request: HttpRequest) -> HttpResponse:
    """Each code, what it means and what to do: where `type` of a problem leads."""
    codes = [{**code._asdict(), "meaning": _marked(code.meaning), "remedy": _marked(code.remedy)} for code in CATALOGUE]
    return render(request, "api/errors.html", {"catalogue": codes})


def _marked(text: str) -> str:
    """The text as HTML, with `<code>` for what stands between backticks."""
    parts = ((("{}", "<code>{}</code>")[place % 2], part) for place, part in enumerate(text.split("`")))
    return format_html_join("", "{}", ((format_html(form, part),) for form, part in parts))


@csrf_exempt
def nowhere(request: HttpRequest) -> HttpResponse:
    return _refused(NotFound("There is no such address; see /api/docs."))


def _refused(error: Exception, **more: str) -> HttpResponse:
    refusal = problem_of(error)
    assert refusal
    status, body, headers = refusal
    return JsonResponse(body, status=status, headers=headers | more, content_type=PROBLEM)
