"""A write that may be sent again: the answer is kept in the transaction of the work, under the caller's key.

What is kept is sealed with a key derived from SECRET_KEY: some answers hold a token or an invitation's link, which stand in
no other row, and a copy of the database must not hold them either.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction

from agents_app import loops
from agents_app.models import KeptAnswer
from config import clock, limits
from config.db import retried
from config.errors import Malformed, Unprocessable
from config.sealing import CannotOpen, opened, sealed

MAX_KEY = limits.MAX_ID
KEY = f"^[!-~]{{1,{MAX_KEY}}}$"
KEPT_FOR = timedelta(days=7)
_PURPOSE = ("tandem.answers", "kept")

type Answer = tuple[int, Any]


def digest_of(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def check_key(key: str) -> None:
    """Raises `Malformed`."""
    if not (0 < len(key) <= MAX_KEY and key.isascii() and key.isprintable() and " " not in key):
        raise Malformed(f"An Idempotency-Key has 1 to {MAX_KEY} visible characters of ASCII.")


def stored_response(*, principal: str, key: str, route: str, digest: str) -> Answer | None:
    """What this request was answered before, if it was. Raises `Unprocessable` when the key was used for another."""
    known = KeptAnswer.objects.filter(principal=principal, key=key).first()
    if known is None:
        return None
    if (known.route, known.digest) != (route, digest):
        raise Unprocessable("This Idempotency-Key was used for another request.", key=key)
    return known.status, _opened(known)


@retried
def run_idempotent(
    *, principal: str, key: str, route: str, digest: str, work: Callable[[], Answer]
) -> tuple[Answer, bool]:
    """Do the work, or answer as the first time; True when it was answered from what was kept.

    The same key from two sides at once: the second waits for the first at the unique index. Raises `Malformed` for an
    overlong key, `Unprocessable` when the key was used for another request, whatever the work raises, and `Busy`.
    """
    check_key(key)
    with transaction.atomic():
        try:
            with transaction.atomic():
                kept = KeptAnswer.objects.create(principal=principal, key=key, route=route, digest=digest)
        except IntegrityError:
            known = stored_response(principal=principal, key=key, route=route, digest=digest)
            assert known
            return known, True
        status, body = work()
        kept.status, kept.body = status, _sealed(body)
        kept.save(update_fields=["status", "body"])
    return (status, body), False


def _sealed(body: Any) -> str:
    return sealed(json.dumps(body), purpose=_PURPOSE)


def _opened(kept: KeptAnswer) -> Any:
    try:
        return json.loads(opened(kept.body, purpose=_PURPOSE))
    except CannotOpen:  # SECRET_KEY has been changed since
        raise Unprocessable("The answer to this Idempotency-Key cannot be read any more.", key=kept.key) from None


def forget() -> int:
    """Drop the answers that nobody will ask for again; returns how many."""
    return loops.delete_in_pieces(KeptAnswer.objects.filter(created_at__lt=clock.now() - KEPT_FOR))
