"""Is the record whole, and do the rows agree with it? Read only, tenant by tenant, a few conversations at a time.

Of each conversation the first difference is reported. A desk at work may change rows between two reads, which looks
like a difference too: so each one is checked once more, under the conversation's lock, before it is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from django.db import transaction
from django.db.models import Count, Exists, Max, OuterRef

from agents_app.models import Tenant
from config.db import lock_rows
from messaging_app import record_marks, stream
from messaging_app.models import Conversation, Operation, RecordMark, StreamHead
from messaging_app.record.checkpoints import Wrong
from sessions_app.core.record.findings import first_wrong
from sessions_app.core.record.material import Material, Unread, gathered, in_chunks, paged, why_unread

READABLE = "to be readable"


@dataclass(slots=True)
class Check:
    """The check of one tenant. `progress` is called with the number of operations that were just checked."""

    tenant: Tenant
    progress: Callable[[int], None] = lambda count: None
    conversations: int = 0
    operations: int = 0
    _unkeyed: record_marks.Fold = field(default_factory=record_marks.Fold)  # operations written before there was a key

    def run(self) -> Iterator[Wrong]:
        """Yields what is wrong, as it is found."""
        yield from self._each("the marks", self._marks)
        for chunk in in_chunks(self.tenant.pk):
            for material in gathered(chunk):
                self._count(material)
                if _wrong(material) and (wrong := self._confirmed(material.pk)):
                    yield wrong
        yield from self._each("operations whose conversation is gone", self._orphaned_operations)
        yield from self._each("operations of no conversation", self._operations_of_no_conversation)
        yield from self._each("operations that are not signed", self._unsigned_operations)
        yield from self._each("the stream", self._positions)

    def _each(self, what: str, part: Callable[[], Iterator[Wrong]]) -> Iterator[Wrong]:
        """Run one part of the check. What it cannot read is reported, and stops no other part."""
        try:
            yield from part()
        except Exception as error:
            yield Wrong(self._where, what, READABLE, why_unread(error))

    @property
    def _where(self) -> str:
        return f"tenant {self.tenant.slug}"

    def _confirmed(self, pk: int) -> Wrong | None:
        """What is still wrong with a conversation once its lock is held."""
        with transaction.atomic():
            if not lock_rows(Conversation.objects.filter(pk=pk)).values_list("pk", flat=True).first():
                return None  # deleted meanwhile, with all its rows
            return next((wrong for material in gathered([pk]) if (wrong := _wrong(material))), None)

    def _count(self, material: Material | Unread) -> None:
        self.conversations += 1
        if isinstance(material, Unread):
            links = self._links(material.pk)
            cut = None
        else:
            links = [(operation.seq, operation.chain) for operation in material.operations]
            cut = material.cut
        self._done(len(links))
        head = cut.unkeyed_head if cut else ""
        count = int(head.partition(":")[0]) if head else 0
        for seq, chain in links:
            if not stream.is_keyed(chain):
                count += 1
                head = f"{seq}:{chain}"
        if head:
            self._unkeyed.add(f"{material.pk}:{head}", count)

    def _links(self, pk: int) -> list[tuple[int, str]]:
        """(seq, chain) of the operations of an unreadable conversation: the tenant's totals must still add up."""
        try:
            return list(Operation.objects.filter(conversation_id=pk).order_by("seq", "pk").values_list("seq", "chain"))
        except Exception as error:
            why_unread(error)
            return []

    def _done(self, count: int) -> None:
        self.operations += count
        self.progress(count)

    def _marks(self) -> Iterator[Wrong]:
        for mark in paged(RecordMark.objects.filter(tenant=self.tenant).order_by("pk")):
            if isinstance(mark, Unread):
                yield Wrong(self._where, mark.what, READABLE, mark.why)
            elif not record_marks.is_signed(mark):
                yield Wrong(
                    self._where, f"mark {mark.pk} ({mark})", "the signature of one of AUDIT_KEYS", "another, or none"
                )

    def _orphaned_operations(self) -> Iterator[Wrong]:
        """A conversation is never deleted: a deletion past the database's own rules leaves its operations behind."""
        row = Conversation.objects.filter(pk=OuterRef("conversation_id"))
        alone = Operation.objects.filter(~Exists(row), tenant=self.tenant, conversation_id__isnull=False)
        for pk, count in alone.order_by("conversation_id").values_list("conversation_id").annotate(n=Count("pk")):
            self._done(count)
            yield Wrong(f"conversation {pk}", "the row", f"to be there: {count} operations are its", "none")

    def _operations_of_no_conversation(self) -> Iterator[Wrong]:
        is_reported = False
        for operation in paged(Operation.objects.filter(tenant=self.tenant, conversation=None).order_by("pk")):
            self._done(1)
            wrong = self._wrong_alone(operation)
            if wrong and not is_reported:  # only the first one, as with a conversation
                is_reported = True
                yield Wrong(self._where, f"operation {operation.pk}, of no conversation", *wrong)

    def _wrong_alone(self, operation: Operation | Unread) -> tuple[str, str] | None:
        if isinstance(operation, Unread):
            return READABLE, operation.why
        try:
            why = "is not number 1" if operation.seq != 1 else stream.wrong_link("", operation)
        except Exception as error:
            return READABLE, why_unread(error)
        return ("as it was written", why) if why else None

    def _unsigned_operations(self) -> Iterator[Wrong]:
        mark = RecordMark.objects.filter(tenant=self.tenant, kind=RecordMark.Kind.UNKEYED).first()
        actual = f"{self._unkeyed.count}:{self._unkeyed.hash}"
        expected = f"{mark.count}:{mark.chain}" if mark else f"0:{record_marks.Fold().hash}"
        if actual != expected:
            yield Wrong(self._where, "operations that are not signed", expected, actual)
        alone = record_marks.unsigned_alone(Operation.objects.filter(tenant=self.tenant, conversation=None))
        expected = record_marks.expected_alone(self.tenant.pk)
        if alone != expected:
            yield Wrong(self._where, "operations that are not signed, of no conversation", expected, alone)

    def _positions(self) -> Iterator[Wrong]:
        """1..n without a gap up to the head, except for what was forgotten. Checked again while the head is locked."""
        if self._misplaced():
            with transaction.atomic():
                lock_rows(StreamHead.objects.filter(tenant=self.tenant)).first()
                if wrong := self._misplaced():
                    yield wrong

    def _misplaced(self) -> Wrong | None:
        stamped = Operation.objects.filter(tenant=self.tenant, pos__isnull=False)
        stored = stamped.aggregate(n=Count("pk"), last=Max("pos"))
        forgotten = RecordMark.objects.filter(tenant=self.tenant, kind=RecordMark.Kind.FORGOTTEN)
        gone = sum(forgotten.values_list("count", flat=True))
        head = StreamHead.objects.filter(tenant=self.tenant).values_list("pos", flat=True).first() or 0
        last = stored["last"] or 0
        if last != head and not (gone and last < head and stored["n"] + gone == head):
            return Wrong(self._where, "the stream", f"to end at position {head}", f"that it ends at {last}")
        if stored["n"] + gone != head:
            return Wrong(self._where, "the stream", f"{head - gone} operations with a position", f"{stored['n']}")
        return None


def _wrong(material: Material | Unread) -> Wrong | None:
    where = f"conversation {material.pk}"
    if isinstance(material, Unread):
        return Wrong(where, material.what, READABLE, material.why)
    wrong = first_wrong(material)
    return Wrong(where, *wrong) if wrong else None
