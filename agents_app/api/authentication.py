"""Who calls the API: a program by its key, a customer or participant by a token, an agent by the login's session.

The same three ways lead to sockets and event streams, so they are functions; the classes fit them to REST framework.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, QueryDict
from django.utils.datastructures import MultiValueDict
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from agents_app.actors import Actor, agent_actor, client_actor
from agents_app.credentials.secrets import find_client
from agents_app.credentials.tokens import read_token, revoked
from agents_app.models import Agent
from agents_app.scopes import Scope


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller: REST framework's `request.user`."""

    actor: Actor
    is_authenticated: bool = True

    @property
    def key(self) -> str:
        """Identifies the caller for throttles and idempotency records."""
        return f"{self.actor.tenant_id}:{self.actor.kind}:{self.actor.conversation_id or 0}:{self.actor.pk}"

    @property
    def pk(self) -> str:
        return self.key

    def may(self, scope: str) -> bool:
        return self.actor.may(scope)


def principal_of(request: Any) -> Principal | None:
    """The authenticated caller of a request (REST framework's `user`), or None."""
    caller = request.user
    return caller if isinstance(caller, Principal) else None


def by_secret(secret: str) -> Principal | None:
    """Whom an API key or a conversation token belongs to; None for one that is not valid, or was revoked."""
    if secret.startswith("tdm_"):
        client = find_client(secret)
        return Principal(client_actor(client)) if client else None
    actor = read_token(secret)
    return Principal(actor) if actor and not revoked({actor}) else None


def by_login(user: Any) -> Principal | None:
    """The agent behind a login; None where login or agent are inactive, or there is no agent."""
    if not (user and user.is_authenticated and user.is_active):
        return None
    agent = Agent.objects.filter(user_id=user.pk, is_active=True).first()
    return Principal(agent_actor(agent)) if agent else None


class Bearer(BaseAuthentication):
    """`Authorization: Bearer` with an API key or a conversation token."""

    def authenticate(self, request: Request) -> tuple[Any, None] | None:
        scheme, _, secret = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        principal = by_secret(secret.strip())
        if principal is None:
            raise AuthenticationFailed("This key or token is not valid, or not any more.")
        return principal, None

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="tandem"'


class Login(SessionAuthentication):
    """An agent's login at the desk, with its CSRF token for whatever writes."""

    def authenticate(self, request: Request) -> tuple[Any, None] | None:
        plain: HttpRequest = request._request
        principal = by_login(getattr(plain, "user", None))
        if principal is None:
            return None
        self.enforce_csrf(request)
        return principal, None

    def enforce_csrf(self, request: Request) -> None:
        """The token must come in its header. No form is parsed for it: it is not known yet whether one is accepted."""
        plain: Any = request._request
        if not hasattr(plain, "_post"):
            plain._post, plain._files = QueryDict(), MultiValueDict()
        super().enforce_csrf(request)


class BearerSchema(OpenApiAuthenticationExtension):
    target_class = "agents_app.api.authentication.Bearer"
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key (`tdm_…`) or a conversation token. What an operation asks of a key stands beside "
            "it in `security`; a token has no scopes, and needs none.",
            "x-scopes": {scope.value: str(scope.label) for scope in Scope},
        }


class LoginSchema(OpenApiAuthenticationExtension):
    target_class = "agents_app.api.authentication.Login"
    name = "login"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "apiKey", "in": "cookie", "name": "sessionid", "description": "An agent's login at the desk."}
