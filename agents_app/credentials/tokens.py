"""Tokens bound to one conversation, for customers and participants: signed JSON Web Tokens that expire.

A participant's token ends with the participation too. That is a row of a later app, which adds its check by `revokes`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from django.conf import settings
from django.utils.crypto import salted_hmac

from agents_app.actors import Actor, ActorKind

ALGORITHM = "HS256"
AUDIENCE = "tandem"
_BOUND = (ActorKind.CUSTOMER, ActorKind.PARTICIPANT)

type Check = Callable[[Collection[Actor]], Collection[Actor]]
"""Returns those of the actors who have lost their right, with one query at most."""
_checks: list[Check] = []


def _key(secret: str) -> bytes:
    """Derived from a SECRET_KEY, so that no token can be mistaken for anything else that it signs."""
    return salted_hmac("tandem.tokens", "conversation", secret=secret, algorithm="sha256").digest()


def issue_token(actor: Actor) -> str:
    """A token for a customer or participant of one conversation, good for TOKEN_LIFETIME seconds."""
    assert actor.kind in _BOUND
    assert actor.conversation_id
    claims = {
        "aud": AUDIENCE,
        "exp": datetime.now(UTC) + timedelta(seconds=settings.TOKEN_LIFETIME),
        "kind": actor.kind.value,
        "tenant": actor.tenant_id,
        "conversation": actor.conversation_id,
        "id": actor.id,
        "name": actor.name,
        "scopes": None if actor.scopes is None else sorted(actor.scopes),
    }
    return jwt.encode(claims, _key(settings.SECRET_KEY), algorithm=ALGORITHM)


def read_token(token: str) -> Actor | None:
    """The customer or participant a token was issued to, or None when it is forged, malformed or expired."""
    for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        try:
            claims = jwt.decode(
                token, _key(secret), algorithms=[ALGORITHM], audience=AUDIENCE, options={"require": ["exp"]}
            )
            return _bound_actor(claims)
        except jwt.InvalidSignatureError:
            continue
        except (jwt.InvalidTokenError, KeyError, ValueError):
            return None
    return None


def _bound_actor(claims: dict[str, Any]) -> Actor | None:
    """None for another kind of actor. Raises `KeyError` or `ValueError` for claims that are missing or wrong."""
    kind = ActorKind(claims["kind"])
    if kind not in _BOUND:
        return None
    return Actor(
        kind=kind,
        tenant_id=claims["tenant"],
        conversation_id=claims["conversation"],
        id=claims["id"],
        name=claims["name"],
        scopes=frozenset(claims["scopes"]) if claims.get("scopes") is not None else None,
    )


def revokes(check: Check) -> None:
    """Add a check of the rights behind tokens; called once, when an app is loaded."""
    _checks.append(check)


def revoked(actors: Collection[Actor]) -> set[Actor]:
    """Which customers and participants have lost their right, though their tokens are still good."""
    bound = [actor for actor in actors if actor.kind in _BOUND]
    return {actor for check in _checks for actor in check(bound)} if bound else set()
