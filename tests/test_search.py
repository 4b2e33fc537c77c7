"""Search: words in every language, found by an index, filled behind the writers; what is typed is never syntax."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import call_command
from django.db import NotSupportedError, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.models import QuerySet
from hypothesis import given
from hypothesis import strategies as st

from agents_app.actors import Actor
from config import clock
from messaging_app import relay, search, tasks
from messaging_app.batch import BatchRow
from messaging_app.models import Conversation, ConversationTerms, Message, MessageTerms, SearchCursor, StreamHead
from messaging_app.thread import NewMessage
from sessions_app import queries
from sessions_app.actions import batches
from sessions_app.actions import messages as talk
from sessions_app.rights import visible
from tests.cast import Cast, Chat

# MariaDB's full-text index shows a row once it is committed, even to the transaction that wrote it.
pytestmark = pytest.mark.django_db(transaction=connection.vendor == "mysql")

# --- Terms: pure functions ---


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Where is my refund?", "where is my refund"),
        ("don't, AB-123_x", "don t ab 123 x"),
        ("我要退款", "我要 要退 退款 款"),
        ("买iPhone15手机！", "买 iphone15 手机 机"),
        ("ＡＢＣ①", "abc1"),
        ("Größe ÉTÉ Привет", "grösse été привет"),
        ("हिन्दी में", "हिन्दी में"),
        ("한국어 サービス", "한국 국어 어 サー ービ ビス ス"),
        ("สวัสดี", "สว วั ัส สด ดี ี"),
        ("ok 👍🏽❤️", "ok 👍 🏽 ❤"),
        ("yes yes YES", "yes"),
        ('"*" AND -: ()', "and"),
        (" \n…!?", ""),
        ("", ""),
    ],
)
def test_a_text_becomes_terms(text: str, expected: str) -> None:
    assert search.terms(text) == expected.split()


@pytest.mark.parametrize(
    ("text", "whole", "begun"),
    [
        ("my refu", "my", "refu"),
        ("退款", "退款", ""),
        ("退", "", "退"),
        ("退 refu", "", "退 refu"),
        ("退款 a b", "退款 a", "b"),
        ("a 退款", "a 退款", ""),
        ("no no no", "no", "no"),
    ],
)
def test_a_question_asks_for_whole_terms_and_beginnings(text: str, whole: str, begun: str) -> None:
    assert search.query_terms(text) == (whole.split(), begun.split())


def test_of_a_very_long_question_the_beginning_counts() -> None:
    for text in (" ".join(f"word{n}" for n in range(5000)), "".join(map(chr, range(0x4E00, 0x6000))), "退 " * 5000):
        whole, begun = search.query_terms(text)
        assert len(whole) + len(begun) <= search.MOST_ASKED
        assert whole or begun


@given(st.text(max_size=40))
def test_whatever_was_written_is_stored_as_plain_letters_and_digits(text: str) -> None:
    for term in search.terms(text):
        stored = search._stored(7, term)
        assert stored.startswith("7x")
        assert stored.isascii()
        assert stored.isalnum()
        assert stored == stored.lower()
        assert len(stored) <= 3 + search.LONGEST


@given(st.text(max_size=6), st.text(max_size=6))
def test_the_code_of_a_beginning_is_the_beginning_of_the_code_and_of_no_other(first: str, second: str) -> None:
    assert search._code(second).startswith(search._code(first)) == second.startswith(first)


@given(st.text(min_size=1, max_size=40))
def test_a_text_is_found_by_itself(text: str) -> None:
    written, (whole, begun) = search.terms(text), search.query_terms(text)
    assert set(whole) <= set(written)
    assert all(any(term.startswith(beginning) for term in written) for beginning in begun)


# --- Finding ---


def tick() -> None:
    """What the clock does each second: the stream is stamped, what is new is indexed."""
    tasks.stamp()
    tasks.index_search()


def found(actor: Actor, text: str) -> list[str]:
    """What this actor finds, oldest first."""
    rows = search.find_messages(visible.messages(actor), text, tenant_id=actor.tenant_id)
    return list(rows.order_by("pk").values_list("content", flat=True))


def named(actor: Actor, text: str) -> list[int]:
    rows = search.find_conversations(visible.conversations(actor), text, tenant_id=actor.tenant_id)
    return list(rows.order_by("pk").values_list("pk", flat=True))


SAID = {
    "refund": "Where is my REFUND? I wait since Monday.",
    "chinese": "我要退款，衣服尺码不对",
    "mixed": "iPhone15手机什么时候发货？ order AB-123",
    "emoji": "thanks 👍🏽",
    "syntax": 'He said "to be or not to be" AND left: a*b -c (d)',
    "stopwords": "to be or not to be",
    "german": "Die Größe paßt nicht",
    "thai": "สวัสดีครับ ขอคืนเงิน",
    "hostile": "'; DROP TABLE messaging_app_message; --",
    "long": "z" * 500 + " " + "很" * 300,
}
ASKED = {
    "refund": ["refund"],
    "REFUND": ["refund"],
    "refu": ["refund"],  # the last word may be unfinished
    "refu monday": [],  # another one not
    "monday refund": ["refund"],  # in any order
    "refund tuesday": [],
    "efund": [],  # from the beginning of a word
    "退款": ["chinese"],
    "尺码不对": ["chinese"],
    "退款，不对": ["chinese"],
    "退": ["chinese"],
    "对": ["chinese"],  # the last letter, too
    "款衣": [],  # a comma stands between
    "iphone": ["mixed"],
    "ＩＰＨＯＮＥ15": ["mixed"],
    "手机 ab-123": ["mixed"],
    "发货 12": ["mixed"],
    "👍": ["emoji"],
    "👍🏽": ["emoji"],
    "👎": [],
    "to be or not to be": ["syntax", "stopwords"],  # no word is too common
    '"to be" left': ["syntax"],
    "a*b": ["syntax"],
    "not left": ["syntax"],  # no operator
    "left AND nothing": [],
    "left OR nothing": [],
    "left -c": ["syntax"],  # finds what has it
    "terms:left": [],
    "terms : left": [],
    "NEAR(left he)": [],
    "left*": ["syntax"],
    "^left": ["syntax"],
    '"left': ["syntax"],
    "+left -be": ["syntax"],
    "(left": ["syntax"],
    "left & !be | c:*": ["syntax"],
    "grösse passt": ["german"],
    "GRÖSSE": ["german"],
    "คืนเงิน": ["thai"],
    "'; DROP TABLE messaging_app_message; --": ["hostile"],
    "' OR 1=1 --": [],
    "%": [],
    "q%": [],
    "z" * 500: ["long"],
    "z" * 20: ["long"],
    "很" * 300: ["long"],
    "\x00": [],
    "*": [],
    '"': [],
    "-": [],
    ":": [],
    "!!! …": [],
}


def test_words_of_every_script_are_found_and_no_sign_is_syntax(chat: Chat) -> None:
    for words in SAID.values():
        chat.says(words)
    tick()
    for question, expected in ASKED.items():
        assert found(chat.cast.ann, question) == [SAID[name] for name in expected], question
    assert Message.objects.count() == len(SAID)


@pytest.mark.parametrize("blank", ["", " ", "\n\t"])
def test_a_blank_question_narrows_nothing(chat: Chat, blank: str) -> None:
    chat.says("One.")
    tick()
    assert found(chat.cast.ann, blank) == ["One."]
    assert named(chat.cast.ann, blank) == [chat.id]


def test_a_customer_is_found_by_name_and_account(cast: Cast) -> None:
    carla, wang = cast.chat("wx-123456"), cast.chat("u_777")
    for chat, name in ((carla, "Carla Größe"), (wang, "王小明")):
        Conversation.objects.filter(pk=chat.id).update(customer_name=name)
        chat.says("Hello")
    tick()
    for text in ("carla", "CAR", "grö", "123", "wx-123456", "carla 1234", "wx"):
        assert named(cast.ann, text) == [carla.id], text
    for text in ("王", "小明", "王小明", "777", "u_7"):
        assert named(cast.ann, text) == [wang.id], text
    for text in ("hello", "carla 777", "456", "shop"):
        assert named(cast.ann, text) == [], text


def test_a_customer_with_another_name_is_found_by_it_and_not_by_the_old_one(chat: Chat) -> None:
    for name in ("Carla", "Karin"):
        Conversation.objects.filter(pk=chat.id).update(customer_name=name)
        chat.says()
        tick()
    assert named(chat.cast.ann, "karin") == [chat.id]
    assert named(chat.cast.ann, "carla") == []


# --- Who finds what ---


def test_no_tenant_finds_what_another_was_told(cast: Cast, others: Cast) -> None:
    for desk in (cast, others):
        desk.chat("account-1").says(f"A secret of {desk.tenant.slug}.")
    tick()
    assert found(cast.ann, "secret") == ["A secret of shop."]
    assert found(others.ann, "secret") == ["A secret of elsewhere."]
    assert len(named(cast.ann, "account")) == len(named(others.ann, "account")) == 1
    # Not even where somebody forgot to say whose rows: the terms are the tenant's own.
    everything = search.find_messages(Message.objects.all(), "secret", tenant_id=cast.tenant.pk)
    assert [message.content for message in everything] == ["A secret of shop."]


def test_notes_are_found_by_agents_only(chat: Chat) -> None:
    chat.serve()
    chat.says("My parcel is late.")
    guest = chat.guest()
    talk.post_note(actor=chat.cast.ann, conversation_id=chat.id, words=NewMessage(content="Parcel: she is right."))
    tick()
    assert found(chat.cast.ben, "parcel") == ["My parcel is late.", "Parcel: she is right."]
    for actor in (chat.cast.channel, chat.cast.bargain, chat.customer):
        assert found(actor, "parcel") == ["My parcel is late."], actor.kind
    assert "Parcel: she is right." not in found(guest, "parcel")


def test_conversations_are_found_by_what_the_asker_may_read_in_them(chat: Chat) -> None:
    chat.serve()
    chat.says("Where is it?")
    talk.post_note(actor=chat.cast.ann, conversation_id=chat.id, words=NewMessage(content="A difficult customer."))
    chat.cast.chat("somebody-else").says("Nothing.")
    tick()

    def matching_text(actor: Actor, text: str) -> list[int]:
        return [row.pk for row in queries.matching_text(actor, visible.conversations(actor), text)]

    assert matching_text(chat.cast.ben, "where") == matching_text(chat.cast.channel, "where") == [chat.id]
    assert matching_text(chat.cast.ben, "difficult") == [chat.id]
    assert matching_text(chat.cast.channel, "difficult") == []
    assert matching_text(chat.cast.ben, chat.row.account_id) == [chat.id]
    assert len(matching_text(chat.cast.ben, "")) == 2


def test_a_search_is_read_in_pages(chat: Chat) -> None:
    for number in range(5):
        chat.says(f"page {number}")
        chat.says("something else")
    tick()
    seen: list[str] = []
    last = 0
    while page := list(readable(chat.cast.ann, "page").filter(pk__gt=last).order_by("pk")[:2]):
        seen += [message.content for message in page]
        last = page[-1].pk
    assert seen == [f"page {number}" for number in range(5)]
    assert readable(chat.cast.ann, "page").exclude(content="page 1").count() == 4


def readable(actor: Actor, text: str) -> QuerySet[Message]:
    return search.find_messages(visible.messages(actor), text, tenant_id=actor.tenant_id)


# --- Filling ---


def history(cast: Cast, said: int, account: str = "old", word: str = "history") -> None:
    """So many messages of a year ago, as a batch: one operation."""
    start = clock.now() - timedelta(days=365)
    rows = [
        BatchRow(
            line=n, platform="default", shop_id="shop-1", account_id=account, message_id=f"{account}-{n}",
            sender_type="customer", content=f"{word} {n}", sent_at=start + timedelta(seconds=n),
        )
        for n in range(said)
    ]  # fmt: skip
    batches.ingest_batch(actor=cast.system, rows=rows, size=1000)


def reached(cast: Cast) -> int:
    return SearchCursor.objects.filter(tenant=cast.tenant).values_list("pos", flat=True).first() or 0


def test_what_is_said_is_found_when_the_clock_has_ticked(chat: Chat) -> None:
    chat.says("First")
    assert found(chat.cast.ann, "first") == []
    tick()
    assert found(chat.cast.ann, "first") == ["First"]
    assert tasks.index_search() == 0


@pytest.mark.parametrize(("now", "asked", "finds"), [("A green pot", "green", ["A green pot"]), ("", "kettle", [])])
def test_words_that_have_changed_are_found_as_they_are_now(chat: Chat, now: str, asked: str, finds: list[str]) -> None:
    chat.serve()
    chat.speaks(chat.cast.ann, "A blue kettle")
    tick()
    assert found(chat.cast.ann, "kettle") == ["A blue kettle"]
    chat.echo("A blue kettle")  # an operation that names the message, as one that changes it would
    assert chat.event_types[-1] == "message.echoed"
    Message.objects.update(content=now)
    tick()
    assert found(chat.cast.ann, "kettle") == []
    assert found(chat.cast.ann, asked) == finds


def test_history_in_bulk_is_found_too(cast: Cast) -> None:
    history(cast, 30)
    history(cast, 20, account="older", word="past")  # the same number in its conversation
    history(cast, 40)  # ten of them new
    tick()
    assert len(found(cast.ann, "history")) == 40
    assert len(found(cast.ann, "past")) == 20


def test_a_batch_is_bounded_and_the_cursor_goes_on_where_it_was(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "BATCH", 4)
    chats = [cast.chat() for _ in range(3)]
    for number in range(9):
        chats[number % 3].says(f"number {number}")
    history(cast, 10, word="number")  # not divided
    relay.stamp_all()
    sizes = []
    while True:
        before = reached(cast)
        size = search.index(cast.tenant.pk)
        if not size:
            break
        sizes.append(size)
        assert reached(cast) > before
    assert sizes == [4, 4, 1, 10]
    assert len(found(cast.ann, "number")) == MessageTerms.objects.count() == 19
    assert reached(cast) == StreamHead.objects.get(tenant=cast.tenant).pos


def test_a_tick_does_not_do_everything(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "BATCH", 2)
    for number in range(12):
        cast.chat().says(f"number {number}")
    relay.stamp_all()
    assert search.index_some(4) == 4
    assert len(found(cast.ann, "number")) == 4
    assert search.behind() == {cast.tenant.pk: 8}


def test_who_lacks_little_does_not_wait_for_a_large_ingest(cast: Cast, others: Cast) -> None:
    for number in range(5):
        cast.chat().says(f"number {number}")
    others.chat().says("only one")
    relay.stamp_all()
    assert list(search.behind()) == [others.tenant.pk, cast.tenant.pk]
    search.index_some(1)
    assert found(others.ann, "one") == ["only one"]
    assert found(cast.ann, "number") == []


def test_an_indexer_that_dies_has_indexed_all_of_a_batch_or_nothing(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    cast.chat().says("Hello")
    relay.stamp_all()
    with monkeypatch.context() as patched:
        patched.setattr(search, "_keep_names", dies)
        with pytest.raises(ConnectionError):
            search.index(cast.tenant.pk)
    assert (reached(cast), MessageTerms.objects.count()) == (0, 0)
    tick()
    assert found(cast.ann, "hello") == ["Hello"]


def dies(*args: Any) -> None:
    raise ConnectionError


def test_the_command_catches_up_is_interrupted_and_goes_on(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "BATCH", 2)
    for number in range(7):
        cast.chat().says(f"number {number}")
    with monkeypatch.context() as patched:
        patched.setattr(search, "index", interrupted_after(search.index, 2))
        with pytest.raises(SystemExit) as left:
            call_command("index_search", stdout=StringIO())
    assert left.value.code == 130
    assert len(found(cast.ann, "number")) == 4
    said = StringIO()
    call_command("index_search", stdout=said)
    assert "3 messages and operations indexed" in said.getvalue()
    assert len(found(cast.ann, "number")) == MessageTerms.objects.count() == 7


def interrupted_after(index: Callable[[int], int], batches: int) -> Callable[[int], int]:
    left = batches

    def run(tenant_id: int) -> int:
        nonlocal left
        if not left:
            raise KeyboardInterrupt
        left -= 1
        return index(tenant_id)

    return run


def test_the_command_writes_all_of_it_anew(chat: Chat) -> None:
    chat.says("Hello")
    tick()
    MessageTerms.objects.update(terms="")
    assert found(chat.cast.ann, "hello") == []
    tick()
    assert found(chat.cast.ann, "hello") == []
    call_command("index_search", "--again", stdout=StringIO())
    assert found(chat.cast.ann, "hello") == ["Hello"]
    assert named(chat.cast.ann, chat.row.account_id) == [chat.id]


def test_operations_that_are_gone_hold_nothing_up(chat: Chat) -> None:
    """Events are kept for a while, not for ever."""
    chat.says("Forgotten")
    relay.stamp_all()
    operations = chat.row.operations
    StreamHead.objects.filter(tenant=chat.cast.tenant).update(pos=5)
    assert search.index(chat.cast.tenant.pk) == 1
    assert search.index(chat.cast.tenant.pk) == 1
    assert search.index(chat.cast.tenant.pk) == 0
    assert (reached(chat.cast), operations.count()) == (5, 1)


# --- Forgetting ---


def test_what_is_erased_is_not_found_and_does_not_come_back(chat: Chat) -> None:
    chat.says("My name is Carla.", "m-1")
    chat.says("My name is still Carla.", "m-2")
    Conversation.objects.filter(pk=chat.id).update(customer_name="Carla")
    chat.says("Bye")
    tick()
    erased = Message.objects.filter(message_id="m-1")
    with transaction.atomic():
        Conversation.objects.filter(pk=chat.id).update(customer_name="")
        erased.update(content="")
        search.forget(
            tenant_id=chat.cast.tenant.pk, messages=erased.values_list("pk", flat=True), conversations=[chat.id]
        )
    everything = Message.objects.all()
    assert [m.message_id for m in search.find_messages(everything, "carla", tenant_id=chat.cast.tenant.pk)] == ["m-2"]
    assert named(chat.cast.ann, "carla") == []
    assert not MessageTerms.objects.filter(message__message_id="m-1").exists()
    assert not ConversationTerms.objects.exists()
    chat.says("Hello again")
    tick()
    assert found(chat.cast.ann, "carla") == ["My name is still Carla."]
    assert named(chat.cast.ann, "carla") == []
    assert named(chat.cast.ann, chat.row.account_id) == [chat.id]


def test_what_is_erased_before_it_was_indexed_never_is(chat: Chat) -> None:
    chat.says("My name is Carla.")
    with transaction.atomic():
        Message.objects.update(content="")
        search.forget(tenant_id=chat.cast.tenant.pk, messages=Message.objects.values_list("pk", flat=True))
    tick()
    assert not MessageTerms.objects.exists()


def test_no_tenant_forgets_for_another(cast: Cast, others: Cast) -> None:
    chat = cast.chat()
    chat.says("Hello")
    tick()
    ids = Message.objects.values_list("pk", flat=True)
    search.forget(tenant_id=others.tenant.pk, messages=ids, conversations=[chat.id])
    assert found(cast.ann, "hello") == ["Hello"]
    assert named(cast.ann, chat.row.account_id) == [chat.id]


# --- The index ---

BY_INDEX = {
    "sqlite": "messaging_app_{}terms_index virtual table index 0:m",
    "postgresql": "index scan on messaging_app_{}terms_index",
    "mysql": "messaging_app_{}terms_index",
}
"""How each database says in its plan that it asks the index for the terms (not only for a key)."""


def plan(rows: QuerySet[Any]) -> str:
    """Among a few rows PostgreSQL would rather read them, or look up each by its key: it is told to do neither."""
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                for way in ("seqscan", "indexscan", "nestloop"):
                    cursor.execute(f"SET LOCAL enable_{way} = off")
        return rows.explain().lower()


def test_each_database_answers_by_its_index(chat: Chat) -> None:
    for number in range(20):
        chat.says(f"number {number}")
    tick()
    by_index = BY_INDEX[connection.vendor]
    for text in ("number", "number 1", "退款", "退"):
        messages = readable(chat.cast.ann, text).order_by("-pk")
        assert by_index.format("message") in plan(messages[:10]), text
        whose = search.find_conversations(
            visible.conversations(chat.cast.ann), text, tenant_id=chat.cast.tenant.pk
        ).order_by("tier", "desk_order", "pk")
        assert by_index.format("conversation") in plan(whose[:10]), text
        both = plan(queries.matching_text(chat.cast.ann, visible.conversations(chat.cast.ann), text))
        assert by_index.format("message") in both, text
        assert by_index.format("conversation") in both, text
    if connection.vendor == "mysql":
        assert "fulltext" in plan(messages) or "full-text" in plan(messages)
    read_all = Message.objects.filter(content__icontains="number")  # the failing control
    assert by_index.format("message") not in plan(read_all)


def test_an_sqlite_without_fts5_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    migration = import_module("messaging_app.migrations.0004_search")
    if connection.vendor == "sqlite":
        assert migration.has_fts5(connection)
    monkeypatch.setattr(migration, "has_fts5", lambda connection: False)

    with pytest.raises(NotSupportedError, match="was built without it"):
        migration.create(None, SimpleNamespace(connection=SimpleNamespace(vendor="sqlite")))


@pytest.mark.slow
def test_the_index_goes_and_comes_back_with_its_migration(transactional_db: None) -> None:
    executor = MigrationExecutor(connection)
    executor.migrate([("messaging_app", "0003_webhooks")])
    tables = set(connection.introspection.table_names())
    assert not {name for name in tables if "terms" in name or "searchcursor" in name}
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())
    chat = Cast().chat()
    chat.says("Here again")
    tick()
    assert found(chat.cast.ann, "again") == ["Here again"]
