"""The marks of the record: what is signed about operations that were written before there was a key, or that are gone.

The migration that made the first marks has this form too, so it stays as it is.
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
"""The chain at a cut that was made before there were marks: nobody knows it, and the first operation left says no more."""


def text_of(mark: RecordMark) -> str:
    """What is signed of a mark: all of it."""
    told = [
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
    return json.dumps(told, separators=(",", ":"))


def sign(mark: RecordMark) -> None:
    mark.signature = audit_keys.signature(PURPOSE, text_of(mark))


def is_signed(mark: RecordMark) -> bool:
    return audit_keys.is_signature(mark.signature, PURPOSE, text_of(mark))


class Fold:
    """One hash over many heads, in their order, and how many operations they stand for."""

    def __init__(self) -> None:
        self.count, self._hash = 0, sha256()

    def add(self, head: str, count: int) -> None:
        self.count += count
        self._hash.update(f"{head}\n".encode())

    @property
    def hash(self) -> str:
        return self._hash.hexdigest()


def unkeyed(conversations: Iterable[tuple[int, int, str]], alone: Iterable[tuple[int, str]]) -> tuple[int, str, str]:
    """How many unsigned operations conversations have, one hash over the heads, and the same of those of none: number:hash.

    `conversations` by id, each with the number and chain of its last unsigned operation; `alone` by id.
    """
    in_all = Fold()
    for pk, seq, chain in conversations:
        in_all.add(f"{pk}:{seq}:{chain}", seq)
    return in_all.count, in_all.hash, folded_alone(alone)


def folded_alone(unsigned: Iterable[tuple[int, str]]) -> str:
    """How many unsigned operations belong to no conversation, by id, and one hash over them: number:hash."""
    fold = Fold()
    for pk, chain in unsigned:
        fold.add(f"-:{pk}:{chain}", 1)
    return f"{fold.count}:{fold.hash}"


def unsigned_alone(rows: QuerySet[Operation]) -> str:
    """The same, of rows that belong to no conversation."""
    return folded_alone(rows.exclude(chain__contains=":").order_by("pk").values_list("pk", "chain").iterator(2000))


def expected_alone(tenant_id: int) -> str:
    """The same, as a mark says it: what was unsigned when operations began to be signed, or is left of that."""
    rows = RecordMark.objects.filter(tenant_id=tenant_id)
    left = rows.filter(kind=RecordMark.Kind.FORGOTTEN, conversation_id=None).exclude(unkeyed_head="").first()
    mark = left or rows.filter(kind=RecordMark.Kind.UNKEYED).first()
    return mark.unkeyed_head if mark else folded_alone(())
