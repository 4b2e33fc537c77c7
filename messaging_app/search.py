"""Search in messages and customers' names, in any language, by the full-text index that each database has built in.

A text becomes terms: whole words where a script puts spaces between them, overlapping pairs of letters where it does
not. A term is stored as plain letters and digits behind the tenant's number. So no database drops it for being short,
common or foreign, none of them sees syntax in what somebody typed, and no tenant's words match another's.

A word with marks that people leave out (`folding`) is stored twice, as written and without the marks; a query is looked
up without them, in both forms. So `don hang` finds đơn hàng, and `as_typed` lets a caller rank exact matches first.

The index is filled after the writers, from the stream: a position is given only when its operation is committed, so a
cursor misses nothing. New text can be found after the next tick of the clock.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Any

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.expressions import RawSQL

from agents_app import loops
from config.db import lock_rows, retried
from messaging_app import stream
from messaging_app.events import changed_message_ids, message_ids
from messaging_app.folding import without_marks
from messaging_app.models import (
    Conversation,
    ConversationTerms,
    Message,
    MessageTerms,
    Operation,
    SearchCursor,
    StreamHead,
)
from messaging_app.models.attachments import Attachment

LOOP = "search"
BATCH = 500
"""Messages indexed in one transaction. Few, because on SQLite nobody else can write meanwhile."""
PER_TICK = 1000
"""Messages indexed at each tick of the clock: after a large ingest the index catches up while the desk works."""
MOST_ASKED = 32
"""Terms of a query that count. The rest is ignored: each costs a lookup in the index."""
LONGEST = 60
"""Letters and digits of one stored term. With the tenant's number it fits MariaDB's limit of 84."""

# --- Terms -------------------------------------------------------------------------------------------------------

# Chinese, Japanese, Korean (whose words carry their particles), Thai, Lao, Tibetan, Burmese, Khmer, Yi.
UNSPACED = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e50-\u0e59\u0e81-\u0edf\u0f40-\u0fbc\u1000-\u1049\u1050-\u109f\u1780-\u17d3"
    "\u3005-\u3007\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f\u31a0-\u31bf\u3400-\u4dbf\u4e00-\u9fff"
    "\ua000-\ua48c\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff"
)
# Signs that belong to the letter before them and are no letters for Python: accents, Hebrew, Arabic, Indic.
_MARKS = (
    "\u0300-\u036f\u0483-\u0487\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u0900-\u0963\u0966-\u0dff"
)
_SYMBOLS = "\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff"
_ASCII_RUN = re.compile("[a-z0-9]+")
_UNSPACED_LETTER = re.compile(f"[{UNSPACED}]")
_RUN = re.compile(f"([{UNSPACED}]+)|(?:(?![{UNSPACED}])[^\\W_]|[{_MARKS}])+|[{_SYMBOLS}]")


def _runs(text: str) -> Iterator[tuple[str, bool]]:
    """The words of a text, and whether each is of a script that puts no spaces between words. An emoji is a word."""
    if text.isascii():
        for word in _ASCII_RUN.findall(text.lower()):
            yield word, False
        return
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    for match in _RUN.finditer(plain):
        yield match[0], match[1] is not None


def terms(text: str) -> list[str]:
    """The terms of a text: its words, and in unspaced scripts each letter together with the next one.

    The last letter of such a run is a term by itself, so that every letter begins a term and can be searched alone.
    """
    terms: dict[str, None] = {}
    for run, is_unspaced in _runs(text):
        if is_unspaced:
            terms.update((run[at : at + 2], None) for at in range(len(run)))
        else:
            terms[run] = None
    return list(terms)


def query_terms(text: str) -> tuple[list[str], list[str]]:
    """The terms of a query: terms that must all occur, and prefixes that must each begin a term.

    The last word may be unfinished, so it is a prefix; so is a single letter of an unspaced script: it begins a pair.
    """
    whole: list[str] = []
    prefixes: list[str] = []
    runs = list(_runs(text))[:MOST_ASKED]
    for place, (run, is_unspaced) in enumerate(runs, 1):
        if is_unspaced and len(run) > 1:
            whole += (first + second for first, second in pairwise(run))
        elif is_unspaced or place == len(runs):
            prefixes.append(run)
        else:
            whole.append(run)
    return list(dict.fromkeys(whole))[: MOST_ASKED - len(prefixes)], prefixes


_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_PLAIN = frozenset(_DIGITS) - {"z"}  # z begins the code of every other character


def _letter(character: str) -> str:
    """One character as plain letters and digits. No code is the beginning of another one, so prefixes stay prefixes."""
    if character in _PLAIN:
        return character
    number, code = ord(character), ""
    size, mark = (3, "z") if number < 35 * 36**2 else (4, "zz")
    for _ in range(size):
        number, digit = divmod(number, 36)
        code = _DIGITS[digit] + code
    return mark + code


@lru_cache(maxsize=20_000)
def _code(term: str) -> str:
    """A term as plain letters and digits, cut after `LONGEST` of them."""
    return "".join(map(_letter, term[:LONGEST]))[:LONGEST]


WRITTEN, FOLDED = "x", "y"


def _stored(tenant_id: int, term: str, form: str = WRITTEN) -> str:
    """A term as the index of tenant 7 holds it: cafe is 7xcafe; café without its mark is 7ycafe."""
    return f"{tenant_id}{form}{_code(term)}"


def _all_stored(tenant_id: int, text: str) -> Iterator[str]:
    """All that the index holds of a text: its terms as written, and those with marks once more without them."""
    written = terms(text)
    yield from (_stored(tenant_id, term) for term in written)
    bare = ((term, _bare(term)) for term in written)
    yield from dict.fromkeys(_stored(tenant_id, folded, FOLDED) for term, folded in bare if folded != term)


def _alternatives(tenant_id: int, term: str) -> list[str]:
    """The stored forms that match a term of a query: one written without marks, one whose marks were removed."""
    if _UNSPACED_LETTER.match(term):
        return [_stored(tenant_id, term)]
    folded = _bare(term)
    return [_stored(tenant_id, folded), _stored(tenant_id, folded, FOLDED)]


def _bare(term: str) -> str:
    """A term without its marks. One of an unspaced script, or of nothing but marks, stays as it is."""
    return term if _UNSPACED_LETTER.match(term) else without_marks(term) or term


# --- Finding -----------------------------------------------------------------------------------------------------

# How to write a term, a prefix, OR between alternatives, the brackets around them, and AND between the groups.
_SYNTAX = {
    "sqlite": ("{}", "{}*", " OR ", "({})", " AND "),
    "postgresql": ("{}", "{}:*", " | ", "({})", " & "),
    "mysql": ("{}", "{}*", " ", "+({})", " "),
}
# The migration makes the indexes for exactly these expressions.
_MATCHING = {
    "sqlite": "SELECT rowid FROM {table}_index WHERE {table}_index MATCH %s",
    "postgresql": "SELECT {key} FROM {table} WHERE search_terms(terms) @@ %s::tsquery",
    "mysql": "SELECT {key} FROM {table} WHERE MATCH (terms) AGAINST (%s IN BOOLEAN MODE)",
}


def find_messages(rows: QuerySet[Message], text: str, *, tenant_id: int) -> QuerySet[Message]:
    """The messages of `rows` that contain all words of the text; all of them for a blank text.

    `rows` are the tenant's messages that the actor may read (`visible.messages`); the search only narrows them.
    """
    matches = _matching(MessageTerms, text, tenant_id)
    return rows if matches is None else rows.filter(pk__in=matches)


def conversations_that_say(rows: QuerySet[Message], text: str, *, tenant_id: int) -> QuerySet[Any, int]:
    """The ids of the conversations in which one of these messages contains all words of the text.

    The query begins at the terms: SQLite keeps no statistics, and would otherwise read all messages of the tenant.
    """
    matches = _matching(MessageTerms, text, tenant_id)
    readable = MessageTerms.objects.filter(Exists(rows.filter(pk=OuterRef("pk"))))
    readable = readable if matches is None else readable.filter(pk__in=matches)
    return readable.values_list("message__conversation_id", flat=True)


def find_conversations(rows: QuerySet[Conversation], text: str, *, tenant_id: int) -> QuerySet[Conversation]:
    """The conversations of `rows` whose customer's name and account contain all words; all of them for a blank text."""
    matches = _matching(ConversationTerms, text, tenant_id)
    return rows if matches is None else rows.filter(pk__in=matches)


def as_typed(text: str, *, tenant_id: int) -> Q:
    """A condition on conversations: the customer or a message contains all words, with the marks that were typed.

    For ranking only: it does not check who may read the messages, so it must not decide which conversations are found.
    """
    by_customer = _matching(ConversationTerms, text, tenant_id, exactly=True)
    messages = _matching(MessageTerms, text, tenant_id, exactly=True)
    if by_customer is None or messages is None:
        return Q()
    by_message = MessageTerms.objects.filter(pk__in=messages).values("message__conversation_id")
    return Q(pk__in=by_customer) | Q(pk__in=by_message)


def _matching(
    model: type[MessageTerms | ConversationTerms], text: str, tenant_id: int, *, exactly: bool = False
) -> RawSQL | list[int] | None:
    """The primary keys that match: a subquery; an empty list for a text without terms; None for a blank one."""
    if not text.strip():
        return None
    whole, prefixes = query_terms(text)
    if not whole and not prefixes:
        return []
    exact, prefix, either, group, joint = _SYNTAX[connection.vendor]
    groups = []
    for form, query in ((exact, whole), (prefix, prefixes)):
        for term in query:
            alternatives = [_stored(tenant_id, term)] if exactly else _alternatives(tenant_id, term)
            groups.append(group.format(either.join(map(form.format, alternatives))))
    sql = _MATCHING[connection.vendor].format(table=model._meta.db_table, key=model._meta.pk.column)
    # The names are our own; the query is a parameter.
    return RawSQL(sql, [joint.join(groups)])  # noqa: S611  # nosec B611


# --- Filling -----------------------------------------------------------------------------------------------------


def behind() -> dict[int, int]:
    """How many positions of its stream each tenant's index lacks, the fewest first; without tenants that lack none."""
    reached = dict(SearchCursor.objects.values_list("tenant_id", "pos"))
    heads = StreamHead.objects.values_list("tenant_id", "pos")
    lacks = {tenant_id: pos - reached.get(tenant_id, 0) for tenant_id, pos in heads}
    return {tenant_id: count for tenant_id, count in sorted(lacks.items(), key=lambda lack: lack[1]) if count > 0}


def index_some(most: int = PER_TICK) -> int:
    """Index about `most` messages; returns how many. Tenants that lack little come first, not behind a large import."""
    lacking = ((tenant_id, tenant_id) for tenant_id in behind())
    done: list[int] = []
    for count in loops.each(LOOP, lacking, lambda tenant_id, _: _index_tenant(tenant_id, most - sum(done))):
        done.append(count)
        if sum(done) >= most:
            break
    return sum(done)


def _index_tenant(tenant_id: int, most: int) -> int:
    done = 0
    while done < most and (more := index(tenant_id)):
        done += more
    return done


@retried
def index(tenant_id: int) -> int:
    """Index the next batch of a tenant's stream and move the cursor, in one transaction.

    Returns the number of messages or of operations, whichever is larger; 0 when there was nothing to do. Two at once
    are harmless: one waits. An operation is not divided, so one that brought more messages makes a larger batch.
    """
    with transaction.atomic():
        cursor = _locked_cursor(tenant_id)
        # Read before the operations: up to here all of them can be seen.
        head = StreamHead.objects.filter(tenant_id=tenant_id).values_list("pos", flat=True).first() or 0
        if head <= cursor.pos:
            return 0
        operations = stream.replay(tenant_id, after=cursor.pos, limit=BATCH)
        taken, size = _first_batch(operations)
        _index_messages(tenant_id, taken)
        _keep_names(tenant_id, {o.conversation_id for o in taken if o.conversation_id})
        # Old operations may have been deleted: then there is nothing left to index up to the head.
        cursor.pos = (taken[-1].pos or 0) if taken else head
        cursor.save(update_fields=["pos"])
        return max(size, len(taken), 1)


def forget(*, tenant_id: int, messages: Iterable[int] = (), conversations: Iterable[int] = ()) -> None:
    """Remove the terms of these messages and customers from the index, in the transaction that erases them.

    Waits for a batch under way, which may have read the text before. The next operation of a conversation indexes its
    customer again, as stored then.
    """
    with transaction.atomic():
        _locked_cursor(tenant_id)
        MessageTerms.objects.filter(pk__in=list(messages), message__tenant_id=tenant_id).delete()
        ConversationTerms.objects.filter(pk__in=list(conversations), conversation__tenant_id=tenant_id).delete()


def start_again() -> None:
    """Index every tenant's stream again from its beginning. The present terms stay until they are overwritten."""
    SearchCursor.objects.update(pos=0)


def _locked_cursor(tenant_id: int) -> SearchCursor:
    SearchCursor.objects.get_or_create(tenant_id=tenant_id)
    return lock_rows(SearchCursor.objects.filter(tenant_id=tenant_id)).get()


def _first_batch(operations: list[Operation]) -> tuple[list[Operation], int]:
    """The first operations, at least one, that brought at most `BATCH` messages together; and how many messages."""
    size = 0
    for place, operation in enumerate(operations):
        brought = operation.data.get("messages", 0) if operation.type == "messages.grouped" else 1
        if place and size + brought > BATCH:
            return operations[:place], size
        size += brought
    return operations, size


def _index_messages(tenant_id: int, operations: list[Operation]) -> None:
    """Index the messages that these operations recorded or name again, as they are stored now.

    Nothing else writes a message's terms: each change of a text records an operation that names the message.
    """
    changed = changed_message_ids(operations)
    texts = list(_texts(operations, changed))
    _write_terms(MessageTerms, tenant_id, texts)
    if changed:
        empty = [pk for pk, text in texts if pk in changed and not terms(text)]
        MessageTerms.objects.filter(pk__in=empty).delete()


def _texts(operations: Iterable[Operation], changed: list[int]) -> Iterator[tuple[int, str]]:
    """Key and text of the messages that these operations recorded and of `changed`, with the names of attachments."""
    one_by_one = message_ids(operations) + changed
    with_files = message_ids(o for o in operations if o.data.get("attachments")) + changed
    files: dict[int, str] = {}
    for row in Attachment.objects.filter(message__in=with_files):
        files[row.message_id or 0] = f"{files.get(row.message_id or 0, '')} {row.name}"
    for pk, content in Message.objects.filter(pk__in=one_by_one).values_list("pk", "content"):
        yield pk, content + files.get(pk, "")
    grouped = {(o.conversation_id, o.seq) for o in operations if o.type == "messages.grouped"}
    rows = Message.objects.filter(conversation__in={c for c, _ in grouped}, seq__in={seq for _, seq in grouped})
    for pk, conversation_id, seq, content in rows.values_list("pk", "conversation_id", "seq", "content"):
        if (conversation_id, seq) in grouped:
            yield pk, content


def _keep_names(tenant_id: int, conversation_ids: set[int]) -> None:
    """Index the customers of these conversations whose name or account has changed."""
    rows = Conversation.objects.filter(pk__in=conversation_ids)
    known = dict(ConversationTerms.objects.filter(pk__in=conversation_ids).values_list("pk", "terms"))
    names = ((pk, f"{name} {account}") for pk, name, account in rows.values_list("pk", "customer_name", "account_id"))
    _write_terms(ConversationTerms, tenant_id, names, known)


def _write_terms[T: (MessageTerms, ConversationTerms)](
    model: type[T],
    tenant_id: int,
    texts: Iterable[tuple[int, str]],
    known: dict[int, str] | None = None,
) -> None:
    stored = ((pk, " ".join(_all_stored(tenant_id, text))) for pk, text in texts)
    rows = [model(pk=pk, terms=joined) for pk, joined in stored if joined and joined != (known or {}).get(pk)]
    with_target = connection.features.supports_update_conflicts_with_target  # MariaDB and MySQL take none
    model._default_manager.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["pk"] if with_target else None,
        update_fields=["terms"],
        batch_size=BATCH,
    )
