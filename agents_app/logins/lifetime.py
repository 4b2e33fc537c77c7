"""How long a login lasts: SESSION_IDLE seconds since its last request, and SESSION_ABSOLUTE since the password was typed.

Both are kept in the session row's own `expire_date`, which is checked wherever a login is accepted: by Django for pages
and the API, by `agents_app.connections` for open sockets and streams. So the database alone decides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY, logout
from django.contrib.sessions.models import Session
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone

from agents_app import loops

LOGIN_AT = "login_at"
SEEN_AT = "seen_at"
WRITES = 20
"""How often within SESSION_IDLE the last request is written down, at most: not every request writes a row."""


def session_lifetime(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[Any], HttpResponseBase]:
    """Middleware, after Django's own for sessions and logins. A login that is over is logged out before anything is done."""

    def middleware(request: Any) -> HttpResponseBase:
        session = request.session
        # Without a session key there is no login, and nothing is read.
        is_login = bool(session.session_key) and SESSION_KEY in session
        if is_login and LOGIN_AT in session and _left(session) <= 0:
            logout(request)
        response = get_response(request)
        if is_login and SESSION_KEY in session:
            _extend(session)
        return response

    return middleware


def begin(*, request: Any, **_: Any) -> None:
    """A password was accepted (Django's signal `user_logged_in`): both times begin."""
    request.session[LOGIN_AT] = timezone.now().timestamp()
    request.session.pop(SEEN_AT, None)
    _extend(request.session)


def _extend(session: Any) -> None:
    """Write the request's time, if the last is old enough. A login without LOGIN_AT (an earlier version's) begins."""
    now = timezone.now().timestamp()
    session.setdefault(LOGIN_AT, now)
    if now - session.get(SEEN_AT, 0) >= settings.SESSION_IDLE / WRITES:
        session[SEEN_AT] = now
        session.set_expiry(max(1, int(min(settings.SESSION_IDLE, _left(session)))))


def _left(session: Any) -> float:
    """Seconds until the login ends, whatever happens."""
    return float(session[LOGIN_AT] + settings.SESSION_ABSOLUTE - timezone.now().timestamp())


def forget() -> int:
    """Remove the sessions that are over; returns how many."""
    return loops.delete_in_pieces(Session.objects.filter(expire_date__lt=timezone.now()))
