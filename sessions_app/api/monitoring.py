"""What whoever runs Tandem asks: is it alive, is it ready, which build, how much; and the API's own documents."""

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
    """An address that is asked and not written to; any other method is refused as everywhere in the API."""

    @csrf_exempt
    @wraps(view)
    def ask(request: HttpRequest) -> HttpResponse:
        if request.method in ("GET", "HEAD"):
            return view(request)
        with translation.override("en"):
            return _refused(MethodNotAllowed(request.method or ""), Allow="GET, HEAD")

    return ask


@only_read
def live(request: HttpRequest) -> HttpResponse:
    """The process answers. Asks nothing else, so that a slow database does not have it killed."""
    return JsonResponse({"status": "ok"})


@only_read
def ready(request: HttpRequest) -> HttpResponse:
    """Whether this process can serve, with each thing that it uses: 503 when one that it needs is not there.

    Redis is none of these. Without it everything goes on, more slowly: `degraded`, and 200, else a balancer would take all
    processes out at once. So it is where something failed in a loop and is put off: everything else goes on.
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
    """How many items are put off, by loop: numbers and our own words only."""


def _works(check: Any) -> str:
    try:
        check()
    except _PutOff as told:
        return str(told)
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
    if found := loops.put_off():
        raise _PutOff("put off: " + ", ".join(f"{loop} {count}" for loop, count in found.items()))


@only_read
def build(request: HttpRequest) -> HttpResponse:
    """Which build this is."""
    return JsonResponse(this_build.info())


@only_read
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus. With METRICS_TOKEN set, whoever asks must send it; without it only this machine may ask."""
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
    """The same to read and to try."""
    return render(request, "api/docs.html")


@require_GET
def errors(request: HttpRequest) -> HttpResponse:
    """Each code, what it means and what to do: where `type` of a problem leads."""
    told = [{**code._asdict(), "meaning": _marked(code.meaning), "remedy": _marked(code.remedy)} for code in CATALOGUE]
    return render(request, "api/errors.html", {"catalogue": told})


def _marked(text: str) -> str:
    """What stands between backticks is code."""
    parts = ((("{}", "<code>{}</code>")[place % 2], part) for place, part in enumerate(text.split("`")))
    return format_html_join("", "{}", ((format_html(form, part),) for form, part in parts))


@csrf_exempt
def nowhere(request: HttpRequest) -> HttpResponse:
    return _refused(NotFound("There is no such address; see /api/docs."))


def _refused(error: Exception, **more: str) -> HttpResponse:
    told = problem_of(error)
    assert told
    status, body, headers = told
    return JsonResponse(body, status=status, headers=headers | more, content_type=PROBLEM)
