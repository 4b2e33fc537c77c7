"""Search: the words of messages and customers, in any language, by an index that each database brings along.

A text becomes terms: whole words where a script puts spaces between them, overlapping pairs of letters where it does
not. They are stored as plain letters and digits behind the tenant's number, so that no database drops a term for being
short, common or foreign, none of them sees syntax in what somebody typed, and no tenant's words stand among another's.

A word with marks that people leave out (`folding`) is stored as it is written and once more without them; a question is
asked without them, of both. So `don hang` finds đơn hàng, and whoever wants to can put those first that are as typed.

The index is filled behind the writers, from the stream: a position is given once what it counts is committed, so a
cursor misses nothing. What was written is found when the clock has ticked.
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
from messaging_app.events import message_ids, named_again
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
"""Messages indexed in one transaction. On SQLite nobody else writes meanwhile, so it is short."""
PER_TICK = 1000
"""Messages indexed at each tick of the clock: after a large ingest the index catches up while the desk works."""
MOST_ASKED = 32
"""Terms of a question that count; nobody reads a longer one, and each costs a look into the index."""
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
    for found in _RUN.finditer(plain):
        yield found[0], found[1] is not None


def terms(text: str) -> list[str]:
    """What a text is found by: its words, and of unspaced scripts every letter with the one behind it.

    The last letter of such a run stands alone, so that each letter begins a term and can be asked for by itself.
    """
    found: dict[str, None] = {}
    for run, is_unspaced in _runs(text):
        if is_unspaced:
            found.update((run[at : at + 2], None) for at in range(len(run)))
        else:
            found[run] = None
    return list(found)


def asked(text: str) -> tuple[list[str], list[str]]:
    """What a question asks for: terms that must all occur, and beginnings of terms that must.

    The last word may be unfinished; so may a single letter of an unspaced script, which begins a pair.
    """
    whole: list[str] = []
    begun: list[str] = []
    runs = list(_runs(text))[:MOST_ASKED]
    for place, (run, is_unspaced) in enumerate(runs, 1):
        if is_unspaced and len(run) > 1:
            whole += (first + second for first, second in pairwise(run))
        elif is_unspaced or place == len(runs):
            begun.append(run)
        else:
            whole.append(run)
    return list(dict.fromkeys(whole))[: MOST_ASKED - len(begun)], begun


_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_PLAIN = frozenset(_DIGITS) - {"z"}  # z marks what is written otherwise


def _letter(character: str) -> str:
    """One character in plain letters and digits. No code begins another's, so beginnings of words stay beginnings."""
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
    """A term in plain letters and digits. Of a very long word only the beginning counts."""
    return "".join(map(_letter, term[:LONGEST]))[:LONGEST]


WRITTEN, FOLDED = "x", "y"


def _stored(tenant_id: int, term: str, how: str = WRITTEN) -> str:
    """A term as the index holds it: 7xcafe as it is written, 7ycafe of what is café when it is written."""
    return f"{tenant_id}{how}{_code(term)}"


def _all_stored(tenant_id: int, text: str) -> Iterator[str]:
    """What is stored of a text: its terms, and without marks those that have some."""
    written = terms(text)
    yield from (_stored(tenant_id, term) for term in written)
    bare = ((term, _bare(term)) for term in written)
    yield from dict.fromkeys(_stored(tenant_id, folded, FOLDED) for term, folded in bare if folded != term)


def _wanted(tenant_id: int, term: str) -> list[str]:
    """Any of these answers a term of a question: it, without marks; what is the same when its marks are left out."""
    if _UNSPACED_LETTER.match(term):
        return [_stored(tenant_id, term)]
    folded = _bare(term)
    return [_stored(tenant_id, folded), _stored(tenant_id, folded, FOLDED)]


def _bare(term: str) -> str:
    """A term without its marks; itself, if it is of an unspaced script or nothing but marks."""
    return term if _UNSPACED_LETTER.match(term) else without_marks(term) or term


# --- Finding -----------------------------------------------------------------------------------------------------

# A term, a beginning; what stands between those of which one must occur, around them, and between groups that all must.
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
    """Those of a tenant's messages in which all words of the text occur; all of them for a blank text.

    `rows` says what the asker may read (`visible.messages`); nothing is added to them.
    """
    found = _matching(MessageTerms, text, tenant_id)
    return rows if found is None else rows.filter(pk__in=found)


def conversations_that_say(rows: QuerySet[Message], text: str, *, tenant_id: int) -> QuerySet[Any, int]:
    """The ids of the conversations in which one of these messages holds all words of the text.

    It begins at the words: SQLite, which keeps no statistics, would rather walk all messages of the tenant.
    """
    found = _matching(MessageTerms, text, tenant_id)
    said = MessageTerms.objects.filter(Exists(rows.filter(pk=OuterRef("pk"))))
    said = said if found is None else said.filter(pk__in=found)
    return said.values_list("message__conversation_id", flat=True)


def find_conversations(rows: QuerySet[Conversation], text: str, *, tenant_id: int) -> QuerySet[Conversation]:
    """Those of a tenant's conversations whose customer's name and account hold all words of the text."""
    found = _matching(ConversationTerms, text, tenant_id)
    return rows if found is None else rows.filter(pk__in=found)


def as_typed(text: str, *, tenant_id: int) -> Q:
    """Of conversations: that the customer, or a message, holds all words with the very marks that were typed.

    To put these first. It asks nothing about who may read the messages, so it must not be what finds a conversation.
    """
    named = _matching(ConversationTerms, text, tenant_id, exactly=True)
    said = _matching(MessageTerms, text, tenant_id, exactly=True)
    if named is None or said is None:
        return Q()
    said_in = MessageTerms.objects.filter(pk__in=said).values("message__conversation_id")
    return Q(pk__in=named) | Q(pk__in=said_in)


def _matching(
    model: type[MessageTerms | ConversationTerms], text: str, tenant_id: int, *, exactly: bool = False
) -> RawSQL | list[int] | None:
    """The keys that the index finds: a subquery; an empty list where there is nothing to look for; None for blank."""
    if not text.strip():
        return None
    whole, begun = asked(text)
    if not whole and not begun:
        return []
    exact, beginning, either, group, joint = _SYNTAX[connection.vendor]
    wanted = []
    for form, some in ((exact, whole), (beginning, begun)):
        for term in some:
            ways = [_stored(tenant_id, term)] if exactly else _wanted(tenant_id, term)
            wanted.append(group.format(either.join(map(form.format, ways))))
    sql = _MATCHING[connection.vendor].format(table=model._meta.db_table, key=model._meta.pk.column)
    # Our own names; what was asked is a parameter.
    return RawSQL(sql, [joint.join(wanted)])  # noqa: S611  # nosec B611


# --- Filling -----------------------------------------------------------------------------------------------------


def behind() -> dict[int, int]:
    """How many positions of the stream each tenant's index lacks, of those it lacks some; the fewest first."""
    reached = dict(SearchCursor.objects.values_list("tenant_id", "pos"))
    heads = StreamHead.objects.values_list("tenant_id", "pos")
    lacks = {tenant_id: pos - reached.get(tenant_id, 0) for tenant_id, pos in heads}
    return {tenant_id: count for tenant_id, count in sorted(lacks.items(), key=lambda lack: lack[1]) if count > 0}


def index_some(most: int = PER_TICK) -> int:
    """Index up to about `most` messages; returns how many. Who lacks little comes first: nobody waits for a million."""
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
    """Index the next batch of a tenant's stream, and move the cursor with it; returns 0 when there was none.

    Otherwise the number of messages or operations, whichever is more. Two at once are harmless: one waits. An operation
    is not divided, so a batch is larger where one operation brought more messages.
    """
    with transaction.atomic():
        cursor = _held(tenant_id)
        # Read before the operations: up to here all of them can be seen.
        head = StreamHead.objects.filter(tenant_id=tenant_id).values_list("pos", flat=True).first() or 0
        if head <= cursor.pos:
            return 0
        told = stream.replay(tenant_id, after=cursor.pos, limit=BATCH)
        taken, size = _first(told)
        _index_messages(tenant_id, taken)
        _keep_names(tenant_id, {o.conversation_id for o in taken if o.conversation_id})
        # Operations may be gone (they are kept for a while, not for ever): then there is nothing up to the head.
        cursor.pos = (taken[-1].pos or 0) if taken else head
        cursor.save(update_fields=["pos"])
        return max(size, len(taken), 1)


def forget(*, tenant_id: int, messages: Iterable[int] = (), conversations: Iterable[int] = ()) -> None:
    """Take the words of these messages and customers out of the index, in the transaction that erases them.

    Waits for a batch under way, which may have read the words before. An erased customer is indexed again, as stored
    then, when the next operation of the conversation passes.
    """
    with transaction.atomic():
        _held(tenant_id)
        MessageTerms.objects.filter(pk__in=list(messages), message__tenant_id=tenant_id).delete()
        ConversationTerms.objects.filter(pk__in=list(conversations), conversation__tenant_id=tenant_id).delete()


def start_again() -> None:
    """Let every tenant's stream pass once more; what is indexed stays until it is written anew."""
    SearchCursor.objects.update(pos=0)


def _held(tenant_id: int) -> SearchCursor:
    SearchCursor.objects.get_or_create(tenant_id=tenant_id)
    return lock_rows(SearchCursor.objects.filter(tenant_id=tenant_id)).get()


def _first(operations: list[Operation]) -> tuple[list[Operation], int]:
    """The operations with which the first `BATCH` messages came, at least one, and how many messages those are."""
    size = 0
    for place, operation in enumerate(operations):
        brought = operation.data.get("messages", 0) if operation.type == "messages.grouped" else 1
        if place and size + brought > BATCH:
            return operations[:place], size
        size += brought
    return operations, size


def _index_messages(tenant_id: int, operations: list[Operation]) -> None:
    """Index the messages that these operations recorded or name again, as they are now: nothing else writes a message's
    terms. Whoever writes or changes words records an operation that names their message, and it comes here."""
    again = named_again(operations)
    said = list(_said(operations, again))
    _keep(MessageTerms, tenant_id, said)
    if again:
        gone = [pk for pk, text in said if pk in again and not terms(text)]
        MessageTerms.objects.filter(pk__in=gone).delete()


def _said(operations: Iterable[Operation], again: list[int]) -> Iterator[tuple[int, str]]:
    """The messages that these operations recorded, and those `again`, with the names of what is attached."""
    one_by_one = message_ids(operations) + again
    with_files = message_ids(o for o in operations if o.data.get("attachments")) + again
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
    """Index the customers of these conversations, where name or account are not what they were."""
    rows = Conversation.objects.filter(pk__in=conversation_ids)
    known = dict(ConversationTerms.objects.filter(pk__in=conversation_ids).values_list("pk", "terms"))
    named = ((pk, f"{name} {account}") for pk, name, account in rows.values_list("pk", "customer_name", "account_id"))
    _keep(ConversationTerms, tenant_id, named, known)


def _keep[T: (MessageTerms, ConversationTerms)](
    model: type[T],
    tenant_id: int,
    texts: Iterable[tuple[int, str]],
    known: dict[int, str] | None = None,
) -> None:
    told = ((pk, " ".join(_all_stored(tenant_id, text))) for pk, text in texts)
    rows = [model(pk=pk, terms=words) for pk, words in told if words and words != (known or {}).get(pk)]
    with_target = connection.features.supports_update_conflicts_with_target  # MariaDB and MySQL take none
    model._default_manager.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["pk"] if with_target else None,
        update_fields=["terms"],
        batch_size=BATCH,
    )
