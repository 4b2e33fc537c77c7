"""Which credential opened a socket or stream, and whether it still counts.

A request is over before its credential can be revoked; a stream is not. So a connection keeps its credential, and
`which_are_revoked` checks many of them at once. `agents_app.connections.registry` does so for every connection of the
process.

| credential | revoked by |
|---|---|
| API key | a new key, the program switched off, a scope taken away, another kind or tenant |
| login | logout, the session's end, a new password, the login or the agent deactivated, another role or tenant |
| conversation token | its end; a participant's also by the end of the participation |
| a visitor's browser | the end of its session; a participant's also by the end of the participation |
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
from agents_app.api.authentication import Principal, by_login, by_secret
from agents_app.credentials.secrets import digest, new_token
from agents_app.credentials.tokens import revoked
from agents_app.models import Agent, ApiClient, EventTicket
from agents_app.scopes import scopes_of
from config import clock

TICKET_SECONDS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionCredential:
    """What must not change while a connection is open: `key` is an API key's digest, `login` a login's session key and
    password hash, `browser` a visitor's session key. `until` is a token's end (Unix time).
    """

    principal: Principal
    key: str = ""
    login: tuple[str, str] | None = None
    browser: str = ""
    until: float | None = None

    @property
    def actor(self) -> Actor:
        return self.principal.actor


def authenticate(*, authorization: str = "", session_key: str | None = None) -> ConnectionCredential | None:
    """The credential of a request: the key or token that it sends as `Bearer`, else its login; None if it is not valid.

    A header that is not valid is never ignored in favour of the login.
    """
    scheme, _, secret = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return _by_secret(secret.strip())
    return _by_session(session_key) if session_key else None


def _by_secret(secret: str) -> ConnectionCredential | None:
    principal = by_secret(secret)
    if principal is None:
        return None
    if principal.actor.kind in (ActorKind.BOT, ActorKind.INTEGRATOR):
        return ConnectionCredential(principal=principal, key=digest(secret))
    claims = jwt.decode(secret, options={"verify_signature": False})  # verified by `by_secret`
    return ConnectionCredential(principal=principal, until=float(claims["exp"]))


def _by_session(session_key: str) -> ConnectionCredential | None:
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    user: Any = get_user(request)
    principal = by_login(user)
    return (
        ConnectionCredential(principal=principal, login=(session_key, user.get_session_auth_hash()))
        if principal
        else None
    )


# --- Tickets -----------------------------------------------------------------------------------------------------


def issue_ticket(holder: ConnectionCredential) -> str:
    """A ticket for this credential, good once and for TICKET_SECONDS. Deletes expired tickets, too."""
    now = clock.now()
    EventTicket.objects.filter(expires_at__lt=now).delete()
    ticket, token_hash = new_token()
    EventTicket.objects.create(
        token_hash=token_hash, holder=_written(holder), expires_at=now + timedelta(seconds=TICKET_SECONDS)
    )
    return ticket


def use_ticket(ticket: str) -> ConnectionCredential | None:
    """The credential behind a ticket, else None. It works once: of two uses at the same moment, one deletes the row."""
    row = EventTicket.objects.filter(token_hash=digest(ticket), expires_at__gt=clock.now()).first()
    if row is None or not EventTicket.objects.filter(pk=row.pk).delete()[0]:
        return None
    return _read(row.holder)


def _written(holder: ConnectionCredential) -> dict[str, Any]:
    scopes = holder.actor.scopes
    return {
        "actor": asdict(holder.actor) | {"scopes": None if scopes is None else sorted(scopes)},
        "key": holder.key,
        "login": holder.login,
        "until": holder.until,
    }


def _read(holder: dict[str, Any]) -> ConnectionCredential:
    actor = holder["actor"]
    # Tickets of an earlier version have the scopes next to the actor; they last half a minute.
    names = actor.get("scopes", holder.get("scopes"))
    scopes = None if names is None else frozenset(names)
    return ConnectionCredential(
        principal=Principal(Actor(**actor | {"kind": ActorKind(actor["kind"]), "scopes": scopes})),
        key=holder["key"],
        login=(holder["login"][0], holder["login"][1]) if holder["login"] else None,
        until=holder["until"],
    )


# --- Revocation -------------------------------------------------------------------------------------------------


def which_are_revoked(credentials: Collection[ConnectionCredential]) -> set[ConnectionCredential]:
    """Which of these are revoked or over: a fixed number of queries, however many credentials there are."""
    now = time.time()
    expired = {c for c in credentials if c.until is not None and c.until <= now}
    return expired | _keys(credentials) | _logins(credentials) | _browsers(credentials) | _actors(credentials)


def _keys(credentials: Collection[ConnectionCredential]) -> set[ConnectionCredential]:
    keys = [c for c in credentials if c.key]
    if not keys:
        return set()
    rows = {row.pk: row for row in ApiClient.objects.filter(pk__in={c.actor.pk for c in keys}, is_active=True)}
    return {c for c in keys if not _is_key_unchanged(rows.get(c.actor.pk), c)}


def _is_key_unchanged(row: ApiClient | None, credential: ConnectionCredential) -> bool:
    """A key that has got more scopes stays: the connection goes on with the scopes that it began with."""
    if row is None or row.key_hash != credential.key:
        return False
    is_same = (row.kind, row.tenant_id) == (credential.actor.kind, credential.actor.tenant_id)
    return is_same and (credential.actor.scopes or frozenset()) <= scopes_of(row)


def _logins(credentials: Collection[ConnectionCredential]) -> set[ConnectionCredential]:
    logins = {c: c.login for c in credentials if c.login}
    if not logins:
        return set()
    alive = _alive({key for key, _ in logins.values()})
    rows = Agent.objects.filter(pk__in={c.actor.pk for c in logins}, is_active=True, user__is_active=True)
    agents = {agent.pk: agent for agent in rows.select_related("user")}
    return {
        c
        for c, (session_key, auth_hash) in logins.items()
        if session_key not in alive or not _is_login_unchanged(agents.get(c.actor.pk), c.actor, auth_hash)
    }


def _is_login_unchanged(agent: Agent | None, actor: Actor, auth_hash: str) -> bool:
    """Another role needs a new connection: what a supervisor may receive is not for an agent."""
    if agent is None or (agent.role, agent.tenant_id) != (actor.role, actor.tenant_id):
        return False
    user: Any = agent.user
    return bool(user.get_session_auth_hash() == auth_hash)


def _browsers(credentials: Collection[ConnectionCredential]) -> set[ConnectionCredential]:
    browsers = [c for c in credentials if c.browser]
    alive = _alive({c.browser for c in browsers}) if browsers else set()
    return {c for c in browsers if c.browser not in alive}


def _actors(credentials: Collection[ConnectionCredential]) -> set[ConnectionCredential]:
    """Those whose actor has lost its right, by whatever credential: participants who have left or were removed."""
    ended = revoked({c.actor for c in credentials})
    return {c for c in credentials if c.actor in ended}


def _alive(session_keys: set[str]) -> set[str]:
    """Which of these Django sessions exist and have not expired."""
    sessions = Session.objects.filter(session_key__in=session_keys, expire_date__gt=timezone.now())
    return set(sessions.values_list("session_key", flat=True))
