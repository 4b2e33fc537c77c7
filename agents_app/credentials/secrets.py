"""Secrets: API keys and one-time tokens. 256 random bits, shown once, stored as a SHA-256 digest.

A fast digest is right here: unlike a password, 256 random bits cannot be guessed however fast the guessing is.
"""

from __future__ import annotations

import hashlib
import secrets

from agents_app.models import ApiClient
from config.statements import Reading

_ACTIVE = Reading(lambda prefix: ApiClient.objects.filter(key_prefix=prefix, is_active=True).order_by(), "")
"""The active client whose key has a prefix; there is one at most."""


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def new_token() -> tuple[str, str]:
    """A one-time token and the digest to store."""
    token = secrets.token_urlsafe(32)
    return token, digest(token)


def issue_key(client: ApiClient) -> str:
    """Give the client a new key, ending the old one. Returns the key: it cannot be shown again."""
    client.key_prefix = secrets.token_hex(4)
    key = f"tdm_{client.key_prefix}_{secrets.token_urlsafe(32)}"
    client.key_hash = digest(key)
    client.save(update_fields=["key_prefix", "key_hash"])
    return key


def find_client(key: str) -> ApiClient | None:
    """The active client a key belongs to, or None."""
    try:
        _, prefix, _ = key.split("_", 2)
    except ValueError:
        return None
    found: list[ApiClient] = _ACTIVE.rows(prefix)
    return next((client for client in found if secrets.compare_digest(client.key_hash, digest(key))), None)
