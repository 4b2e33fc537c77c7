"""The one way in which operations are deleted: from the beginning of each conversation, in order, and on record.

A mark is written first (triggers refuse a deletion that no mark covers). It holds the chain at the cut, so that the
rest can be checked from there; the tenant's own mark holds where its stream begins to be complete. The newest operation
of a conversation stays, because the next one is numbered and chained by it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from django.db import transaction

from config import clock
from config.db import lock_rows
from config.faults import fault_of
from messaging_app import record_marks, stream
from messaging_app.models import Conversation, Operation, RecordMark, StreamHead
from messaging_app.record import checkpoints

_PAGE = 500


class RecordBroken(Exception):
    """An operation that should be deleted does not fit its chain: deleting it would hide that."""


@dataclass(slots=True)
class Forgotten:
    """How much was deleted. `broken`: what stays, because it is not as it was written."""

    conversations: int = 0
    operations: int = 0
    broken: list[str] = field(default_factory=list)


def forget_operations(tenant_id: int, *, before: datetime) -> Forgotten:
    """Delete a tenant's operations made before a time, each conversation in a transaction of its own.

    Only operations that have a position are deleted. A conversation that is broken before the cut stays and is named
    in `broken`; it stops no other.
    """
    _remember_the_stream(tenant_id, before)
    done, last = Forgotten(), 0
    while page := list(
        Conversation.objects.filter(tenant_id=tenant_id, pk__gt=last)
        .order_by("pk")
        .values_list("pk", flat=True)[:_PAGE]
    ):
        for pk in page:
            gone = _unless_broken(done, f"conversation {pk}", partial(_forget, pk, before))
            done.operations += gone
            done.conversations += bool(gone)
        last = page[-1]
    of_none = "what belongs to no conversation"
    done.operations += _unless_broken(done, of_none, partial(_forget_those_of_no_conversation, tenant_id, before))
    return done


def _unless_broken(done: Forgotten, what: str, forget: Callable[[], int]) -> int:
    try:
        return forget()
    except RecordBroken as error:
        done.broken.append(f"{what}, {error}")
    except Exception as error:
        if fault_of(error):
            raise
        done.broken.append(f"{what}, which cannot be read")
    return 0


def _mark(tenant_id: int, conversation_id: int | None) -> RecordMark:
    mark = RecordMark.objects.filter(
        tenant_id=tenant_id, kind=RecordMark.Kind.FORGOTTEN, conversation_id=conversation_id
    ).first()
    return mark or RecordMark(
        tenant_id=tenant_id, kind=RecordMark.Kind.FORGOTTEN, conversation_id=conversation_id, chain=""
    )


def _keep(mark: RecordMark) -> None:
    mark.at = clock.now()
    record_marks.sign(mark)
    mark.save()


def _remember_the_stream(tenant_id: int, before: datetime) -> None:
    """Mark from where the stream can be hashed afterwards: after the last operation that may be deleted."""
    with transaction.atomic():
        lock_rows(StreamHead.objects.filter(tenant_id=tenant_id)).first()
        newest = Operation.objects.filter(tenant_id=tenant_id, at__lt=before, pos__isnull=False).order_by("-pos")
        until = newest.values_list("pos", flat=True).first() or 0
        mark = _mark(tenant_id, None)
        if until <= mark.pos:
            return
        for pos, fold in checkpoints.folded(tenant_id, since=(mark.pos, mark.chain)):
            if pos > until:
                break
            mark.pos, mark.chain = pos, fold
        _keep(mark)


def _forget(conversation_id: int, before: datetime) -> int:
    with transaction.atomic():
        conversation = lock_rows(Conversation.objects.filter(pk=conversation_id)).get()
        rows = Operation.objects.filter(conversation=conversation, seq__lt=conversation.seq).order_by("seq")
        mark = _mark(conversation.tenant_id, conversation.pk)
        count = 0
        for operation in rows.iterator(_PAGE):
            if operation.at >= before or operation.pos is None:
                break
            if operation.seq != mark.seq + 1 or stream.wrong_link(mark.chain, operation):
                raise RecordBroken(f"operation {operation.seq}")
            mark.seq, mark.chain, mark.pos = operation.seq, operation.chain, operation.pos
            if not stream.is_keyed(operation.chain):
                mark.unkeyed_head = f"{operation.seq}:{operation.chain}"
            count += 1
        if count:
            mark.count += count
            _keep(mark)
            Operation.objects.filter(conversation=conversation, seq__lte=mark.seq).delete()
        return count


def _forget_those_of_no_conversation(tenant_id: int, before: datetime) -> int:
    """By id, up to the first that is younger or has no position. The mark signs anew which unsigned ones are left."""
    with transaction.atomic():
        rows = Operation.objects.filter(tenant_id=tenant_id, conversation=None).order_by("pk")
        if record_marks.unsigned_alone(rows) != record_marks.expected_alone(tenant_id):
            raise RecordBroken("operations that are not signed")
        mark, count = _mark(tenant_id, None), 0
        for operation in rows.iterator(_PAGE):
            if operation.at >= before or operation.pos is None:
                break
            if stream.wrong_link("", operation):
                raise RecordBroken(f"operation {operation.pk}")
            mark.seq = operation.pk
            count += 1
        if count:
            mark.count += count
            mark.unkeyed_head = record_marks.unsigned_alone(rows.filter(pk__gt=mark.seq))
            _keep(mark)
            rows.filter(pk__lte=mark.seq).delete()
        return count
