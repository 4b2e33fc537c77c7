"""How somebody got in who then stays: a socket or a stream is asked for its pass again every second.

A request is over before its credential can be taken back; a stream is not. So what lets a caller in is kept as a pass,
and `lapsed` tells of many passes at once which do not count any more: a key that was replaced, switched off or lost its
scope, an agent who was dismissed or logged out, a token that has ended.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import timedelta
from importlib import import_module
from typing import Any

import jwt
from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.sessions.models import Session
from django.http import HttpRequest
from django.utils import timezone

from agents_app.actors import Actor, ActorKind
from agents_app.authentication import Principal, by_login, by_secret
from agents_app.credentials import digest, new_token
from agents_app.models import Agent, ApiClient, EventTicket
from agents_app.scopes import Scope, scopes_of
from config import clock

TICKET_SECONDS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """`proof` must not have changed: a key's digest, or a login's session and hash. `until` is a token's end (Unix)."""

    principal: Principal
    key: str = ""
    login: tuple[str, str] | None = None
    until: float | None = None

    @property
    def actor(self) -> Actor:
        return self.principal.actor


def admit(*, authorization: str = "", session_key: str | None = None) -> Pass | None:
    """Whoever sends a key or token as `Bearer`, or has logged in. A header that is not valid is never passed over."""
    word, _, secret = authorization.partition(" ")
    if word.lower() == "bearer":
        return _by_secret(secret.strip())
    return _by_session(session_key) if session_key else None


def _by_secret(secret: str) -> Pass | None:
    principal = by_secret(secret)
    if principal is None:
        return None
    if principal.scopes is not None:
        return Pass(principal=principal, key=digest(secret))
    claims = jwt.decode(secret, options={"verify_signature": False})  # verified by `by_secret`
    return Pass(principal=principal, until=float(claims["exp"]))


def _by_session(session_key: str) -> Pass | None:
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    user: Any = get_user(request)
    principal = by_login(user)
    return Pass(principal=principal, login=(session_key, user.get_session_auth_hash())) if principal else None


# --- Tickets -----------------------------------------------------------------------------------------------------


def issue_ticket(holder: Pass) -> str:
    """A ticket for whoever holds this pass, good once and for half a minute. What nobody used goes at the same time."""
    now = clock.now()
    EventTicket.objects.filter(expires_at__lt=now).delete()
    ticket, token_hash = new_token()
    EventTicket.objects.create(
        token_hash=token_hash, holder=_written(holder), expires_at=now + timedelta(seconds=TICKET_SECONDS)
    )
    return ticket


def use_ticket(ticket: str) -> Pass | None:
    """The pass behind a ticket, once: of two who use it at the same moment, one deletes the row."""
    found = EventTicket.objects.filter(token_hash=digest(ticket), expires_at__gt=clock.now()).first()
    if found is None or not EventTicket.objects.filter(pk=found.pk).delete()[0]:
        return None
    return _read(found.holder)


def _written(holder: Pass) -> dict[str, Any]:
    scopes = holder.principal.scopes
    return {
        "actor": asdict(holder.actor),
        "scopes": None if scopes is None else sorted(scopes),
        "key": holder.key,
        "login": holder.login,
        "until": holder.until,
    }


def _read(told: dict[str, Any]) -> Pass:
    actor = Actor(**told["actor"] | {"kind": ActorKind(told["actor"]["kind"])})
    return Pass(
        principal=Principal(actor, None if told["scopes"] is None else frozenset(told["scopes"])),
        key=told["key"],
        login=(told["login"][0], told["login"][1]) if told["login"] else None,
        until=told["until"],
    )


# --- Do they still count? ----------------------------------------------------------------------------------------


def lapsed(passes: Collection[Pass]) -> set[Pass]:
    """Which of these do not let anybody in any more: at most one query for each kind of credential."""
    now = time.time()
    return {p for p in passes if p.until is not None and p.until <= now} | _keys(passes) | _logins(passes)


def _keys(passes: Collection[Pass]) -> set[Pass]:
    held = [p for p in passes if p.key]
    if not held:
        return set()
    rows = ApiClient.objects.filter(pk__in={p.actor.pk for p in held}, is_active=True)
    valid = {row.pk: row.key_hash for row in rows if Scope.EVENTS in scopes_of(row)}
    return {p for p in held if valid.get(p.actor.pk) != p.key}


def _logins(passes: Collection[Pass]) -> set[Pass]:
    held = {p: p.login for p in passes if p.login}
    if not held:
        return set()
    alive = Session.objects.filter(session_key__in={key for key, _ in held.values()}, expire_date__gt=timezone.now())
    sessions = set(alive.values_list("session_key", flat=True))
    agents = Agent.objects.filter(pk__in={p.actor.pk for p in held}, is_active=True, user__is_active=True)
    users: dict[int, Any] = {agent.pk: agent.user for agent in agents.select_related("user")}
    return {
        p
        for p, (session_key, auth_hash) in held.items()
        if session_key not in sessions
        or p.actor.pk not in users
        or users[p.actor.pk].get_session_auth_hash() != auth_hash
    }
