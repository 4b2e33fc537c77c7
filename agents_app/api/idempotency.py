"""Writes that may be sent again: the answer is stored in the work's transaction, under the caller's Idempotency-Key.

What is stored is sealed with a key derived from SECRET_KEY: some answers hold a token or an invitation's link, which
stand in no other row, and a copy of the database must not hold them either.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction

from agents_app import loops
from agents_app.models import IdempotencyRecord
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
    """Raises `Malformed` for a key that is empty, too long, or not visible ASCII."""
    if not (0 < len(key) <= MAX_KEY and key.isascii() and key.isprintable() and " " not in key):
        raise Malformed(f"An Idempotency-Key has 1 to {MAX_KEY} visible characters of ASCII.")


def stored_response(*, principal: str, key: str, route: str, digest: str) -> Answer | None:
    """The stored answer to this request, if there is one.

    Raises `Unprocessable` when the key was used for another request, or when the answer cannot be opened any more.
    """
    record = IdempotencyRecord.objects.filter(principal=principal, key=key).first()
    if record is None:
        return None
    if (record.route, record.digest) != (route, digest):
        raise Unprocessable("This Idempotency-Key was used for another request.", key=key)
    return record.status, _opened(record)


@retried
def run_idempotent(
    *, principal: str, key: str, route: str, digest: str, work: Callable[[], Answer]
) -> tuple[Answer, bool]:
    """Do the work once for each key. Returns the answer, and True if it is the stored one of an earlier request.

    Of two requests with the same key at once, the second waits for the first at the unique index. Raises `Malformed`
    for an overlong key, `Unprocessable` when the key was used for another request, `Busy`, and what the work raises.
    """
    check_key(key)
    with transaction.atomic():
        try:
            with transaction.atomic():
                record = IdempotencyRecord.objects.create(principal=principal, key=key, route=route, digest=digest)
        except IntegrityError:
            stored = stored_response(principal=principal, key=key, route=route, digest=digest)
            assert stored
            return stored, True
        status, body = work()
        record.status, record.body = status, _sealed(body)
        record.save(update_fields=["status", "body"])
    return (status, body), False


def _sealed(body: Any) -> str:
    return sealed(json.dumps(body), purpose=_PURPOSE)


def _opened(record: IdempotencyRecord) -> Any:
    try:
        return json.loads(opened(record.body, purpose=_PURPOSE))
    except CannotOpen:  # SECRET_KEY has been changed since
        raise Unprocessable("The answer to this Idempotency-Key cannot be read any more.", key=record.key) from None


def forget() -> int:
    """Delete the stored responses that are older than KEPT_FOR; returns how many."""
    return loops.delete_in_pieces(IdempotencyRecord.objects.filter(created_at__lt=clock.now() - KEPT_FOR))
