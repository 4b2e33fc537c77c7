"""Operations that are made on many conversations at once, and differ in their ids and a time only: without a model's row of each.

What `stream` does for one conversation: number its operations without a gap, chain them, store them, and notify all
listeners after the commit. `tests/test_alike_operations.py` holds it against that. The caller holds the locks of all the
conversations, as it does there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from django.db import connection, transaction

from agents_app.actors import Actor
from config import audit_keys, bulk_rows
from config.bulk_rows import Same
from messaging_app import live, relay, stream
from messaging_app.models import Operation


@dataclass(frozen=True, slots=True)
class Alike:
    """One operation on each of the conversations. `data` is what all have, or one of each."""

    type: str
    session_ids: Sequence[int] | None
    data: Mapping[str, Any] | Sequence[Mapping[str, Any]]

    def of(self, place: int) -> tuple[str, int | None, Mapping[str, Any]]:
        """Type, session and data of the operation on one conversation."""
        data = self.data if isinstance(self.data, Mapping) else self.data[place]
        return self.type, self.session_ids[place] if self.session_ids else None, data


@dataclass(frozen=True, slots=True)
class Before:
    """The conversations of one tenant, with the number and the link of their last operations. None is new."""

    tenant_id: int
    ids: Sequence[int]
    seqs: Sequence[int]
    chains: Sequence[str]


@dataclass(frozen=True, slots=True)
class Made:
    """Operations that are numbered and chained, and not stored yet. `chains` are the conversations' last links."""

    before: Before
    columns: list[dict[str, Sequence[Any] | Same]]  # of each operation
    chains: Sequence[str]


def make(before: Before, operations: Sequence[Alike], *, actor: Actor, at: datetime) -> Made:
    """These operations of every conversation, in their order."""
    chains, columns = list(before.chains), []
    for place, operation in enumerate(operations, 1):
        seqs = [seq + place for seq in before.seqs]
        chains = _chained(before, seqs, chains, operation, actor, at)
        columns.append(_columns(before, seqs, chains, operation, actor, at))
    return Made(before, columns, chains)


def write(made: Made) -> None:
    """Store the operations, and notify all listeners once they are committed."""
    before, count = made.before, len(made.before.ids)
    for columns in made.columns:
        if connection.vendor == "sqlite":  # as in `stream.write`
            columns["pos"] = relay.next_positions(before.tenant_id, count)
        bulk_rows.insert_columns(Operation, columns, count)
    newest = zip(before.ids, before.seqs, strict=True)
    hints = [live.ChangeNotification(before.tenant_id, pk, seq + len(made.columns)) for pk, seq in newest]
    transaction.on_commit(partial(live.announce, hints), robust=True)


def _chained(
    before: Before, seqs: Sequence[int], chains: Sequence[str], operation: Alike, actor: Actor, at: datetime
) -> list[str]:
    """The links of one operation on each conversation: `stream.link`, without a row of the model."""
    keys, moment, count = audit_keys.ring(), stream.moment(at), len(seqs)
    session_ids: Sequence[int | None] = operation.session_ids or [None] * count
    texts = (
        [stream.canonical(operation.data)] * count
        if isinstance(operation.data, Mapping)
        else map(stream.canonical, operation.data)
    )
    by = (actor.kind.value, actor.id, actor.name, moment)
    return [
        stream.link_of(
            previous,
            (before.tenant_id, pk, seq, operation.type, session_id, *by, text),
            number=keys.newest,
            key=keys.signing,
        )
        for previous, pk, seq, session_id, text in zip(chains, before.ids, seqs, session_ids, texts, strict=True)
    ]


def _columns(
    before: Before, seqs: Sequence[int], chains: Sequence[str], operation: Alike, actor: Actor, at: datetime
) -> dict[str, Sequence[Any] | Same]:
    return {
        "tenant_id": Same(before.tenant_id),
        "conversation_id": before.ids,
        "seq": seqs,
        "pos": Same(None),  # `write` gives it, or the relay
        "type": Same(operation.type),
        "session_id": Same(None) if operation.session_ids is None else operation.session_ids,
        "actor_kind": Same(actor.kind.value),
        "actor_id": Same(actor.id),
        "actor_name": Same(actor.name),
        "data": Same(operation.data) if isinstance(operation.data, Mapping) else operation.data,
        "at": Same(at),
        "chain": chains,
    }
