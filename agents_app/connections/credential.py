"""The credential of a connection: what let a socket or stream in, and whether it still would.

A request is over before its credential can be revoked; a stream is not. So what lets a caller in is kept as a pass, and
`lapsed` says of many passes at once which do not count any more. `agents_app.connections` asks that for every
connection of the process.

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
    """What must not have changed: `key` is an API key's digest, `login` a login's session key and password hash,
    `browser` a visitor's session key. `until` is a token's end (Unix).
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
    """Whoever sends a key or token as `Bearer`, or has logged in. A header that is not valid is never passed over."""
    word, _, secret = authorization.partition(" ")
    if word.lower() == "bearer":
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
    """A ticket for whoever holds this pass, good once and for half a minute. What nobody used goes at the same time."""
    now = clock.now()
    EventTicket.objects.filter(expires_at__lt=now).delete()
    ticket, token_hash = new_token()
    EventTicket.objects.create(
        token_hash=token_hash, holder=_written(holder), expires_at=now + timedelta(seconds=TICKET_SECONDS)
    )
    return ticket


def use_ticket(ticket: str) -> ConnectionCredential | None:
    """The pass behind a ticket, once: of two who use it at the same moment, one deletes the row."""
    found = EventTicket.objects.filter(token_hash=digest(ticket), expires_at__gt=clock.now()).first()
    if found is None or not EventTicket.objects.filter(pk=found.pk).delete()[0]:
        return None
    return _read(found.holder)


def _written(holder: ConnectionCredential) -> dict[str, Any]:
    scopes = holder.actor.scopes
    return {
        "actor": asdict(holder.actor) | {"scopes": None if scopes is None else sorted(scopes)},
        "key": holder.key,
        "login": holder.login,
        "until": holder.until,
    }


def _read(told: dict[str, Any]) -> ConnectionCredential:
    its = told["actor"]
    named = its.get("scopes", told.get("scopes"))  # beside the actor in tickets of before; they last half a minute
    scopes = None if named is None else frozenset(named)
    return ConnectionCredential(
        principal=Principal(Actor(**its | {"kind": ActorKind(its["kind"]), "scopes": scopes})),
        key=told["key"],
        login=(told["login"][0], told["login"][1]) if told["login"] else None,
        until=told["until"],
    )


# --- Do they still count? ----------------------------------------------------------------------------------------


def which_are_revoked(passes: Collection[ConnectionCredential]) -> set[ConnectionCredential]:
    """Which of these do not let anybody in any more: a fixed number of queries, however many passes there are."""
    now = time.time()
    over = {p for p in passes if p.until is not None and p.until <= now}
    return over | _keys(passes) | _logins(passes) | _browsers(passes) | _holders(passes)


def _keys(passes: Collection[ConnectionCredential]) -> set[ConnectionCredential]:
    held = [p for p in passes if p.key]
    if not held:
        return set()
    rows = {row.pk: row for row in ApiClient.objects.filter(pk__in={p.actor.pk for p in held}, is_active=True)}
    return {p for p in held if not _is_as_it_was(rows.get(p.actor.pk), p)}


def _is_as_it_was(row: ApiClient | None, held: ConnectionCredential) -> bool:
    """A key that may do more than before stays: its holder hears what it was let in for."""
    if row is None or row.key_hash != held.key:
        return False
    is_same = (row.kind, row.tenant_id) == (held.actor.kind, held.actor.tenant_id)
    return is_same and (held.actor.scopes or frozenset()) <= scopes_of(row)


def _logins(passes: Collection[ConnectionCredential]) -> set[ConnectionCredential]:
    held = {p: p.login for p in passes if p.login}
    if not held:
        return set()
    alive = _alive({key for key, _ in held.values()})
    rows = Agent.objects.filter(pk__in={p.actor.pk for p in held}, is_active=True, user__is_active=True)
    agents = {agent.pk: agent for agent in rows.select_related("user")}
    return {
        p
        for p, (session_key, auth_hash) in held.items()
        if session_key not in alive or not _is_who_it_was(agents.get(p.actor.pk), p.actor, auth_hash)
    }


def _is_who_it_was(agent: Agent | None, actor: Actor, auth_hash: str) -> bool:
    """Whoever has another role is let in anew: what a supervisor hears is not for an agent."""
    if agent is None or (agent.role, agent.tenant_id) != (actor.role, actor.tenant_id):
        return False
    user: Any = agent.user
    return bool(user.get_session_auth_hash() == auth_hash)


def _browsers(passes: Collection[ConnectionCredential]) -> set[ConnectionCredential]:
    held = [p for p in passes if p.browser]
    alive = _alive({p.browser for p in held}) if held else set()
    return {p for p in held if p.browser not in alive}


def _holders(passes: Collection[ConnectionCredential]) -> set[ConnectionCredential]:
    """Whose right has ended whatever lets them in: participants who have left or were removed."""
    ended = revoked({p.actor for p in passes})
    return {p for p in passes if p.actor in ended}


def _alive(session_keys: set[str]) -> set[str]:
    """Which of these Django sessions there are, and not expired."""
    found = Session.objects.filter(session_key__in=session_keys, expire_date__gt=timezone.now())
    return set(found.values_list("session_key", flat=True))
