"""The link of an invitation: works once, and is made again from a seed rather than kept.

The row holds a seed and the token's digest; the token follows from the seed and SECRET_KEY. So whoever sends the
notice, in whichever process and after whatever crash, sends the very link that the inviter was shown, and neither the
row nor a queue holds one. A new seed is a new link, and the end of the old one.
"""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64encode

from django.conf import settings
from django.utils.crypto import salted_hmac


def new_seed() -> str:
    return secrets.token_urlsafe(32)


def token_of(seed: str) -> str:
    """256 bits that nobody can guess without both the row and the installation's key."""
    return urlsafe_b64encode(salted_hmac("tandem.join", seed, algorithm="sha256").digest()).decode().rstrip("=")


def join_url(token: str) -> str:
    """Where the one-time token is used, as people outside reach this installation."""
    return f"{settings.PUBLIC_URL}/join/{token}"
