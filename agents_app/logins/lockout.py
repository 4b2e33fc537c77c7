"""Locks out whoever guesses passwords (django-axes): LOGIN_FAILURES in LOGIN_LOCKED_FOR seconds lock name and address.

The failures are rows, so they count for all processes. An unknown name is counted and locked like any other, so that no
answer shows which accounts exist. One password is hashed at a time: a hash costs a core a third of a second by design.
"""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import ceil
from typing import Any

from axes.attempts import get_cool_off_threshold
from axes.handlers.database import AxesDatabaseHandler
from axes.handlers.proxy import AxesProxyHandler
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth.signals import user_login_failed
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from rest_framework.exceptions import Throttled

from agents_app import loops
from agents_app.api.throttles import address_of
from config import buckets
from config.api import PROBLEM, problem_of

WAITING = 8
"""Logins that may wait while a password is hashed; more are refused, to try again."""
PATIENCE = 10.0
"""Seconds that a login waits at most."""
MAX_NAME: int = AccessAttempt._meta.get_field("username").max_length or 255
"""Characters of a name in the row of a failure."""
_API = "/api/v1/"  # it has throttles of its own


# --- Failures ----------------------------------------------------------------------------------------------------


class Handler(AxesDatabaseHandler):
    """AXES_HANDLER."""

    def reset_user_attempts(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> int:
        """A login clears the failures of this account from this address only: else whoever has one account could go on
        guessing others' passwords from its address."""
        username = (credentials or {}).get("username")
        attempts = AccessAttempt.objects.filter(username=username, ip_address=request.axes_ip_address)  # type: ignore[attr-defined]
        return attempts.delete()[0]


def client_address(request: HttpRequest) -> str | None:
    """AXES_CLIENT_IP_CALLABLE: the address as the API's throttle counts it; None where the proxy sent something else."""
    address = address_of(request)
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return None


def username_of(request: HttpRequest, credentials: dict[str, Any] | None = None) -> str | None:
    """AXES_USERNAME_CALLABLE: the name that was typed, cut to what a failure's row can hold; no account's is longer."""
    typed = (credentials or request.POST).get("username")
    return typed[:MAX_NAME] if isinstance(typed, str) else None


def is_locked(request: HttpRequest, username: str) -> bool:
    return not AxesProxyHandler.is_allowed(request, {"username": username})


def failed(request: HttpRequest, username: str) -> None:
    """Count a wrong password that did not go through Django's `authenticate`."""
    user_login_failed.send(sender=__name__, credentials={"username": username}, request=request)


def unlock(username: str) -> int:
    """Forget the failures of an account. Returns how many there were."""
    rows = AccessAttempt.objects.filter(username=username)
    failures = sum(rows.values_list("failures_since_start", flat=True))
    rows.delete()
    return failures


def forget() -> int:
    """Remove failures that do not count any more; returns how many rows."""
    old = timezone.now() - settings.AXES_COOLOFF_TIME
    return loops.delete_in_pieces(AccessAttempt.objects.filter(attempt_time__lte=old))


def response(
    request: HttpRequest, original: HttpResponse | None = None, credentials: dict[str, Any] | None = None
) -> HttpResponse:
    """AXES_LOCKOUT_CALLABLE: the page for whoever is locked out, with 429 and Retry-After."""
    handler: Any = AxesProxyHandler.get_implementation()
    lists = handler.get_user_attempts(request, credentials)
    times = [attempts.order_by("-attempt_time").values_list("attempt_time", flat=True).first() for attempts in lists]
    threshold = get_cool_off_threshold(request)
    seconds = max([(at - threshold).total_seconds() for at in times if at], default=1.0)
    return _refuse(request, "locked", 429, seconds)


def _refuse(request: HttpRequest, why: str, status: int, seconds: float) -> HttpResponse:
    wait = max(1, ceil(seconds))
    if request.path.startswith("/api/"):
        refusal = problem_of(Throttled(wait))
        assert refusal
        status, problem, headers = refusal
        return JsonResponse(problem, status=status, headers=headers, content_type=PROBLEM)
    context = {"why": why, "status": status, "seconds": wait, "minutes": ceil(wait / 60)}
    page = render(request, "registration/throttled.html", context, status=status)
    page["Retry-After"] = str(wait)
    return page


# --- Passwords hashed at once ------------------------------------------------------------------------------------


class TooManyLogins(Exception):
    """No room to check another password now. Not a failed login: nothing was checked."""


_room = threading.BoundedSemaphore(WAITING + 1)
_hashing = threading.Semaphore(1)


@contextmanager
def hashing() -> Iterator[None]:
    """Hash one password at a time in this process. Raises `TooManyLogins` when WAITING wait, or after PATIENCE."""
    if not _room.acquire(blocking=False):
        raise TooManyLogins
    try:
        if not _hashing.acquire(timeout=PATIENCE):
            raise TooManyLogins
        try:
            yield
        finally:
            _hashing.release()
    finally:
        _room.release()


# --- Visitors ----------------------------------------------------------------------------------------------------


class VisitorLimits:
    """Middleware: pages that need no login are limited by address (PAGE_RATE), and forms that take a secret more so (LOGIN_RATE)."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if limit := _limit(request):
            kind, rate = limit
            taken = buckets.take(f"{kind}:{address_of(request)}", buckets.rate_of(rate))
            if not taken.is_allowed:
                return _refuse(request, "rate", 429, taken.wait)
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        return _refuse(request, "busy", 503, 2) if isinstance(exception, TooManyLogins) else None


def _limit(request: HttpRequest) -> tuple[str, str] | None:
    """The kind of a request that is counted by its address, and its rate."""
    if request.path.startswith(_API):
        return None
    if request.method == "POST" and _takes_a_secret(request.path):
        return "login", settings.LOGIN_RATE
    if not request.session.session_key or not request.session.keys():
        return "page", settings.PAGE_RATE
    return None


def _takes_a_secret(path: str) -> bool:
    return path in {reverse("login"), reverse("admin:login")} or path.startswith(reverse("join"))
