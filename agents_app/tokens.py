"""Tokens bound to one conversation, for customers and participants: signed JSON Web Tokens that end by themselves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import jwt
from django.conf import settings
from django.utils.crypto import salted_hmac

from agents_app.actors import Actor, ActorKind

ALGORITHM = "HS256"
AUDIENCE = "tandem"
_BOUND = (ActorKind.CUSTOMER, ActorKind.PARTICIPANT)


def _key() -> bytes:
    """Derived, so that no token can be mistaken for anything else that the secret key signs."""
    return salted_hmac("tandem.tokens", "conversation", algorithm="sha256").digest()


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
    }
    return jwt.encode(claims, _key(), algorithm=ALGORITHM)


def read_token(token: str) -> Actor | None:
    """The customer or participant a token was issued to, or None when it is forged, spoilt or over."""
    try:
        claims = jwt.decode(token, _key(), algorithms=[ALGORITHM], audience=AUDIENCE, options={"require": ["exp"]})
        kind = ActorKind(claims["kind"])
        if kind not in _BOUND:
            return None
        return Actor(
            kind=kind,
            tenant_id=claims["tenant"],
            conversation_id=claims["conversation"],
            id=claims["id"],
            name=claims["name"],
        )
    except (jwt.InvalidTokenError, KeyError, ValueError):
        return None
