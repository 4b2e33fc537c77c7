"""Marks of the record: signed statements about operations that were written before there was a key, or were deleted.

A migration made the first marks with these functions, so the form of what is signed must not change.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC
from hashlib import sha256

from django.db.models import QuerySet

from config import audit_keys
from messaging_app.models import Operation, RecordMark

PURPOSE = "record mark"
UNKNOWN = "?"
"""The chain at a cut that was made before there were marks: nobody knows it, and the operations left do not show it."""


def text_of(mark: RecordMark) -> str:
    """The text that a mark's signature covers: all of its fields."""
    fields = [
        mark.tenant_id,
        mark.kind,
        mark.conversation_id,
        mark.seq,
        mark.pos,
        mark.count,
        mark.chain,
        mark.unkeyed_head,
        mark.at.astimezone(UTC).isoformat(timespec="microseconds"),
    ]
    return json.dumps(fields, separators=(",", ":"))


def sign(mark: RecordMark) -> None:
    mark.signature = audit_keys.signature(PURPOSE, text_of(mark))


def is_signed(mark: RecordMark) -> bool:
    return audit_keys.is_signature(mark.signature, PURPOSE, text_of(mark))


class Fold:
    """One hash over the heads of many chains, in order, and the number of operations in them."""

    def __init__(self) -> None:
        self.count, self._hash = 0, sha256()

    def add(self, head: str, count: int) -> None:
        self.count += count
        self._hash.update(f"{head}\n".encode())

    @property
    def hash(self) -> str:
        return self._hash.hexdigest()


def unkeyed(conversations: Iterable[tuple[int, int, str]], alone: Iterable[tuple[int, str]]) -> tuple[int, str, str]:
    """The number of unsigned operations in conversations, one hash over the heads, and `folded_alone` of all others.

    `conversations`: id, and `seq` and chain of the last unsigned operation, sorted by id. `alone`: id and chain of the
    operations that belong to no conversation, sorted by id.
    """
    heads = Fold()
    for pk, seq, chain in conversations:
        heads.add(f"{pk}:{seq}:{chain}", seq)
    return heads.count, heads.hash, folded_alone(alone)


def folded_alone(unsigned: Iterable[tuple[int, str]]) -> str:
    """Unsigned operations that belong to no conversation, as number:hash. `unsigned`: ids and chains, sorted by id."""
    fold = Fold()
    for pk, chain in unsigned:
        fold.add(f"-:{pk}:{chain}", 1)
    return f"{fold.count}:{fold.hash}"


def unsigned_alone(rows: QuerySet[Operation]) -> str:
    """`folded_alone` of those of `rows` that are unsigned. All of them belong to no conversation."""
    return folded_alone(rows.exclude(chain__contains=":").order_by("pk").values_list("pk", "chain").iterator(2000))


def expected_alone(tenant_id: int) -> str:
    """`folded_alone` as the tenant's marks have it: from when signing began, or from the last deletion since."""
    rows = RecordMark.objects.filter(tenant_id=tenant_id)
    left = rows.filter(kind=RecordMark.Kind.FORGOTTEN, conversation_id=None).exclude(unkeyed_head="").first()
    mark = left or rows.filter(kind=RecordMark.Kind.UNKEYED).first()
    return mark.unkeyed_head if mark else folded_alone(())
