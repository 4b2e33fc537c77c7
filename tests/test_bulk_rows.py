"""Each statement for many rows leaves behind what its ORM form does: the same rows, keys and refusals, on every database.

Rows are compared as they lie in the tables, column by column, whatever the models make of them. The mutants at the end show
that a column, a condition or a quotation mark that is left out would be found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, models, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents_app.models import Tenant
from config import bulk_rows, statements
from config.bulk_rows import Same
from messaging_app.batch import BatchRow
from messaging_app.models import Controller, Conversation, Message, Operation, Tier
from sessions_app.actions.batch_rows import columns_of, message_of
from sessions_app.models import ChatSession, SlaClock
from sessions_app.states import Kind, Origin, Owner, Priority, Status

pytestmark = pytest.mark.django_db

AT = datetime(2026, 3, 1, 8, 30, 15, 1, tzinfo=UTC)
TIMES = (
    AT,
    AT.replace(microsecond=0),
    AT.astimezone(timezone(timedelta(hours=-9, minutes=-30))),
    datetime(2000, 1, 1, tzinfo=UTC),
)
TEXTS = (
    "", " ", "NULL", "null", "plain", 'a "quoted" word', "back\\slash", '\\"', "{1,2}", "a,b;c", "it's 100 % %s %(x)s", "two\nlines\r\n\tand a tab",
    "您好，请问", "👍🏽❤️ e\u0301", "\x7f\u2028\ufffd", "\\N", "$1 $$ ::text", "'; DROP TABLE x; --", "a" * 190,
)  # fmt: skip
OBJECTS: tuple[dict[str, Any], ...] = (
    {}, {"": ""}, {"a": None, "b": [True, False, 0, 1, -1, 0.5, 1e-7]}, {"text": 'a "b" \\ {c}\n'}, {"👍": "您好 \\u0041"},
    {"deep": {"er": [{"x": []}, {}]}}, {"large": 2**63 - 1}, {"1": True}, {"1": 1},
)  # fmt: skip


@pytest.fixture
def tenant() -> Tenant:
    return Tenant.objects.create(slug="bulk", name="Bulk")


@pytest.fixture
def conversation(tenant: Tenant) -> Conversation:
    return Conversation.objects.create(tenant=tenant, shop_id="s", account_id="known")


def any_of(values: Sequence[Any], number: int) -> Any:
    return values[number % len(values)]


def conversations(tenant: Tenant) -> list[Conversation]:
    return [
        Conversation(
            tenant=tenant,
            shop_id="shop",
            account_id=f"{number}-{text[:100]}",
            customer_name=text,
            kind=any_of(Conversation.Kind.values, number),
            is_vip=number % 2 == 0,
            controller=any_of(list(Controller), number),
            tier=any_of(list(Tier), number),
            desk_order=-number * 10**12,
            need=any_of(OBJECTS, number),
            waiting_since=None if number % 3 else any_of(TIMES, number),
            todo_at=any_of(TIMES, number),
            epoch=number and 2**62 + number,
        )
        for number, text in enumerate(TEXTS)
    ]


def messages(conversation: Conversation) -> list[Message]:
    return [
        Message(
            tenant_id=conversation.tenant_id,
            conversation=conversation,
            session_id=None if number % 2 else number,
            message_id=f"m-{number}",
            sender_type=any_of(list(Message.Sender), number),
            sender_id=text,
            sender_name=text,
            is_note=number % 3 == 0,
            content=text * 3,
            sent_at=any_of(TIMES, number),
            seq=number,
        )
        for number, text in enumerate(TEXTS)
    ]


def operations(conversation: Conversation) -> list[Operation]:
    return [
        Operation(
            tenant_id=conversation.tenant_id,
            conversation=conversation,
            seq=number,
            type="message.created",
            actor_kind="bot",
            actor_id=any_of((None, 7), number),
            actor_name=any_of(TEXTS, number),
            data=data,
            at=any_of(TIMES, number),
            chain=f"0:{number}",
        )
        for number, data in enumerate(OBJECTS, 1)
    ]


def sessions(conversation: Conversation) -> list[ChatSession]:
    """Of which one is live, so that the generated `live_key` has both values."""
    return [
        ChatSession(
            tenant_id=conversation.tenant_id,
            conversation=conversation,
            kind=any_of(list(Kind), number),
            origin=any_of(list(Origin), number),
            status=Status.ACTIVE if number == 1 else any_of((Status.COMPLETED, Status.TIMEOUT.value), number),
            priority=any_of(list(Priority), number),
            rank=number,
            owner_kind=any_of((Owner.NOBODY, Owner.BOT, "shop"), number),
            opened_at=any_of(TIMES, number),
            last_activity_at=any_of(TIMES, number + 1),
            ended_at=None if number == 1 else any_of(TIMES, number + 2),
            message_count=number,
            missed_from_seq=any_of((None, 2**40), number),
            reason=any_of(TEXTS, number),
            context=data,
            said={},
            on_hold=number % 2 == 1,
        )
        for number, data in enumerate(OBJECTS)
    ]


MAKERS: dict[str, Callable[[Conversation], list[Any]]] = {
    "conversations": lambda conversation: conversations(conversation.tenant),
    "messages": messages,
    "operations": operations,
    "sessions": sessions,
}


def table(model: type[models.Model], *, but: Sequence[str] = ("id",)) -> list[tuple[Any, ...]]:
    """The rows as they lie in the table, in the order of their keys, without these columns."""
    names = [field.column for field in model._meta.concrete_fields if field.column not in but]
    with connection.cursor() as cursor:
        chosen = ", ".join(map(connection.ops.quote_name, names))
        cursor.execute(f"SELECT {chosen} FROM {connection.ops.quote_name(model._meta.db_table)} ORDER BY id")
        return [tuple(row) for row in cursor.fetchall()]


def left_by(write: Callable[[], Any], model: type[models.Model], but: Sequence[str] = ("id",)) -> list[tuple[Any, ...]]:
    """What is in the table after this, which is undone."""
    with transaction.atomic():
        write()
        rows = table(model, but=but)
        transaction.set_rollback(True)
    return rows


def model_of(rows: Sequence[models.Model]) -> type[models.Model]:
    return type(rows[0])


@pytest.mark.parametrize("of", MAKERS)
def test_new_rows_are_what_the_orm_would_store(of: str, conversation: Conversation) -> None:
    make = partial(MAKERS[of], conversation)
    model = model_of(make())
    but = ("id", "created_at")  # the clock is read for each row
    ours = left_by(lambda: bulk_rows.insert_rows(model, make()), model, but)
    assert ours == left_by(lambda: bulk_rows.insert_rows_by_orm(model, make()), model, but)
    assert len(ours) >= len(OBJECTS)


@pytest.mark.parametrize("of", MAKERS)
def test_new_rows_read_back_as_they_were_given_and_have_their_own_keys(of: str, conversation: Conversation) -> None:
    rows = MAKERS[of](conversation)
    model = model_of(rows)
    bulk_rows.insert_rows(model, rows)
    assert not any(row._state.adding for row in rows)
    stored = model._base_manager.in_bulk([row.pk for row in rows])
    names = [field.attname for field in model._meta.concrete_fields if not field.generated]
    assert [[getattr(stored[row.pk], name) for name in names] for row in rows] == [
        [getattr(row, name) for name in names] for row in rows
    ]


@pytest.mark.parametrize("most", [1, 2, 5])
def test_rows_of_several_statements_keep_their_order(
    most: int, conversation: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_rows, "MOST", most)
    rows = messages(conversation)
    bulk_rows.insert_rows(Message, rows)
    assert list(Message.objects.order_by("pk")) == rows
    for row in rows:
        row.content = f"{row.seq} again"
    bulk_rows.update_rows(Message, rows, ["content"])
    assert list(Message.objects.order_by("pk").values_list("content", flat=True)) == [row.content for row in rows]


def test_no_rows_are_no_statement(conversation: Conversation, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        bulk_rows.insert_rows(Message, [])
        bulk_rows.insert_unknown(Conversation, [])
        bulk_rows.insert_columns(Message, columns_of(conversation.tenant_id, []), 0)
        bulk_rows.update_rows(Message, [], ["content"])
        assert bulk_rows.find(Message, {"tenant_id": 1}, "message_id", [], ["pk"]) == []


def batch_rows(count: int = len(TEXTS)) -> list[BatchRow]:
    senders = sorted({"customer", "bot", "agent", "shop"})
    return [
        BatchRow(
            number,
            "default",
            "s",
            "known",
            f"b-{number}",
            any_of(senders, number),
            text,
            any_of(TIMES, number),
            text,
            text,
        )
        for number, text in enumerate(TEXTS[:count])
    ]


@pytest.mark.parametrize("count", [1, 2, len(TEXTS)])
def test_rows_of_a_batch_become_the_messages_that_a_living_conversation_would_have(
    count: int, conversation: Conversation
) -> None:
    rows = batch_rows(count)
    columns = columns_of(conversation.tenant_id, [(row, conversation.pk, 5 + row.line, row.line) for row in rows])
    made = [message_of(conversation, row, 5 + row.line, row.line) for row in rows]
    ours = left_by(lambda: bulk_rows.insert_columns(Message, columns, count), Message)
    assert ours == left_by(lambda: bulk_rows.insert_columns_by_orm(Message, columns, count), Message)
    assert ours == left_by(lambda: bulk_rows.insert_rows_by_orm(Message, made), Message)
    assert len(ours) == count


def test_one_value_for_all_is_the_same_as_a_list_of_it(conversation: Conversation) -> None:
    def columns(chosen: Callable[[Any], Any]) -> dict[str, Any]:
        given = columns_of(conversation.tenant_id, [(row, conversation.pk, 1, 1) for row in batch_rows(3)])
        return {**given, "sender_name": chosen('a "b"\\'), "is_note": chosen(True), "sent_at": chosen(AT)}

    one = left_by(lambda: bulk_rows.insert_columns(Message, columns(Same), 3), Message)
    assert one == left_by(lambda: bulk_rows.insert_columns(Message, columns(lambda value: [value] * 3), 3), Message)


def test_only_rows_that_are_not_known_are_stored(conversation: Conversation) -> None:
    def make() -> list[Conversation]:
        known = Conversation(tenant=conversation.tenant, shop_id="s", account_id="known", customer_name="another")
        return [*conversations(conversation.tenant)[:3], known]

    but = ("id", "created_at")
    ours = left_by(lambda: bulk_rows.insert_unknown(Conversation, make()), Conversation, but)
    assert ours == left_by(lambda: bulk_rows.insert_unknown_by_orm(Conversation, make()), Conversation, but)
    assert len(ours) == 4
    assert Conversation.objects.get().customer_name == ""


@pytest.mark.skipif(connection.vendor == "mysql", reason="MariaDB does not tell which rows it has stored")
def test_of_rows_that_are_not_known_each_gets_its_key(conversation: Conversation) -> None:
    key = ("platform", "shop_id", "account_id")

    def stored_by(insert: Callable[..., bool], made: list[Conversation], *, whole: bool) -> Any:
        assert insert(Conversation, made, key) is whole
        by_pk = {row.pk: row.account_id for row in made if row.pk}
        assert by_pk == dict(Conversation.objects.filter(pk__in=by_pk).values_list("pk", "account_id"))
        assert [row._state.adding for row in made] == [row.pk is None for row in made]
        return [row.account_id for row in made if row.pk is None]

    for known in (
        [],
        [Conversation(tenant=conversation.tenant, shop_id="s", account_id="known", customer_name="another")],
    ):
        made = lambda known=known: [*conversations(conversation.tenant), *known]  # noqa: E731
        but = ("id", "created_at")
        passed_over: list[Any] = []

        def stored(insert: Callable[..., bool], made: Any = made, whole: bool = not known) -> None:
            passed_over.append(stored_by(insert, made(), whole=whole))  # noqa: B023 – called within the round

        ours = left_by(lambda stored=stored: stored(bulk_rows.insert_each_unknown), Conversation, but)
        assert ours == left_by(lambda stored=stored: stored(bulk_rows.insert_each_unknown_by_orm), Conversation, but)
        assert passed_over == [[row.account_id for row in known]] * 2


def test_rows_that_may_be_stored_later_have_their_keys_at_the_end(conversation: Conversation) -> None:
    def stored_later() -> None:
        rows = operations(conversation)
        with statements.transaction_of_a_verb():
            bulk_rows.insert_rows_later(Operation, rows)
        stored = Operation.objects.in_bulk([row.pk for row in rows])
        assert [stored[row.pk].seq for row in rows] == [row.seq for row in rows]
        assert not any(row._state.adding for row in rows)

    ours = left_by(stored_later, Operation)
    assert ours == left_by(lambda: bulk_rows.insert_rows_by_orm(Operation, operations(conversation)), Operation)
    assert len(ours) == len(OBJECTS)


NEW: dict[type[models.Model], dict[str, Any]] = {
    Conversation: {"tenant_id": 3, "shop_id": "s", "account_id": "a"},
    ChatSession: {"tenant_id": 3, "kind": Kind.AUTO_ASSISTANT, "opened_at": AT, "status": Status.COMPLETED},
    Operation: {"tenant_id": 3, "seq": 7, "data": {"a": 1}},
    Message: {"tenant_id": 3, "content": "x"},
    SlaClock: {},
    Tenant: {"slug": "x"},
}


@pytest.mark.parametrize("model", NEW)
def test_a_fresh_row_is_what_the_model_makes(model: type[models.Model], conversation: Conversation) -> None:
    has_one = any(field.name == "conversation" for field in model._meta.concrete_fields)
    related: dict[str, models.Model] = {"conversation": conversation} if has_one else {}
    ours, theirs = bulk_rows.fresh(model, related, **NEW[model]), model(**related, **NEW[model])
    seen = [
        (type(row), vars(row) | {"_state": 0}, row._state.adding, row._state.db, dict(row._state.fields_cache))
        for row in (ours, theirs)
    ]
    assert seen[0] == seen[1]


def test_fresh_rows_share_nothing() -> None:
    one, other = (bulk_rows.fresh(ChatSession, {}) for _ in range(2))
    one.context["a"] = 1
    assert other.context == {}


def test_a_fresh_row_has_no_attribute_that_the_model_has_not(conversation: Conversation) -> None:
    for related, values in (
        ({}, {"no_such": 1}),
        ({}, {"conversation": conversation}),
        ({"no_such": conversation}, {}),
    ):
        with pytest.raises(TypeError):
            bulk_rows.fresh(Message, related, **values)


CHANGES: dict[str, tuple[Callable[[Any, int], dict[str, Any]], list[str]]] = {
    "messages": (
        lambda row, number: {
            "content": any_of(TEXTS, number + 1),
            "session_id": any_of((None, 9), number),
            "is_note": not row.is_note,
            "sent_at": any_of(TIMES, number + 1),
        },
        ["content", "session_id", "is_note", "sent_at"],
    ),
    "sessions": (
        lambda row, number: {
            "context": any_of(OBJECTS, number + 1),
            "expires_at": any_of((None, *TIMES), number),
            "rank": number + 100,
            "kind": any_of(list(Kind), number + 1),
            "on_hold": not row.on_hold,
            "agent_id": None,
        },
        ["context", "expires_at", "rank", "kind", "on_hold", "agent_id"],
    ),
    "conversations": (
        lambda row, number: {"last_text": any_of(TEXTS, number), "seq": number, "last_activity_at": any_of(TIMES, number)},
        ["seq", "last_text", "last_activity_at"],
    ),
}  # fmt: skip


def changed(of: str, conversation: Conversation) -> tuple[list[Any], list[str]]:
    """Rows that are stored, and changed since; what else was changed in memory is not to be stored."""
    change, fields = CHANGES[of]
    rows = MAKERS[of](conversation)
    bulk_rows.insert_rows(model_of(rows), rows)
    for number, row in enumerate(rows[1:]):
        for name, value in change(row, number).items():
            setattr(row, name, value)
        row.tenant_id = 10**6
    return rows[1:], fields


@pytest.mark.parametrize("of", CHANGES)
def test_changed_rows_are_what_the_orm_would_store(of: str, conversation: Conversation) -> None:
    rows, fields = changed(of, conversation)
    model = model_of(rows)
    before = table(model)
    ours = left_by(lambda: bulk_rows.update_rows(model, rows, fields), model)
    assert ours == left_by(lambda: bulk_rows.update_rows_by_orm(model, rows, fields), model)
    assert ours[: -len(rows)] == before[: -len(rows)], "the first row is not among them"
    assert all(row != was for row, was in zip(ours[-len(rows):], before[-len(rows):], strict=True))  # fmt: skip


def test_a_time_that_is_set_when_a_row_is_made_is_not_set_again(conversation: Conversation) -> None:
    conversation.created_at = AT
    bulk_rows.update_rows(Conversation, [conversation], ["created_at", "seq"])
    assert Conversation.objects.get().created_at == AT


def test_a_row_that_is_named_twice_is_stored_as_it_is_now(conversation: Conversation) -> None:
    rows = messages(conversation)[:2]
    bulk_rows.insert_rows(Message, rows)
    again = Message.objects.get(pk=rows[0].pk)
    rows[0].content, again.content = "first", "last"
    bulk_rows.update_rows(Message, [*rows, again], ["content"])
    assert Message.objects.get(pk=again.pk).content == "last"


# --- What is refused ---


def refused_by(write: Callable[[], Any]) -> type[Exception]:
    with pytest.raises(DatabaseError) as caught, transaction.atomic():
        write()
    return caught.type


@pytest.mark.parametrize(
    "wrong",
    [
        {"message_id": "m-0"},
        {"sender_type": "nobody"},
        {"content": None},
        {"sent_at": None},
        pytest.param({"sender_name": "a" * 201}, marks=pytest.mark.skipif(connection.vendor == "sqlite", reason="takes it")),
    ],
    ids=str,
)  # fmt: skip
def test_what_the_database_refuses_is_refused_alike(wrong: dict[str, Any], conversation: Conversation) -> None:
    bulk_rows.insert_rows(Message, messages(conversation)[:1])

    def make() -> list[Message]:
        rows = messages(conversation)[1:4]
        for name, value in wrong.items():
            setattr(rows[1], name, value)
        return rows

    refusal = refused_by(lambda: bulk_rows.insert_rows(Message, make()))
    assert refusal is refused_by(lambda: bulk_rows.insert_rows_by_orm(Message, make()))
    assert Message.objects.count() == 1


def test_a_second_live_session_and_a_gap_in_the_stream_are_refused(conversation: Conversation) -> None:
    live = sessions(conversation)[1]
    bulk_rows.insert_rows(ChatSession, [live])
    assert refused_by(lambda: bulk_rows.insert_rows(ChatSession, sessions(conversation)[:2])) is IntegrityError
    assert refused_by(lambda: bulk_rows.insert_rows(Operation, operations(conversation)[1:])) is IntegrityError


def test_columns_must_be_those_of_the_model(conversation: Conversation) -> None:
    given = dict(columns_of(conversation.tenant_id, [(row, conversation.pk, 1, 1) for row in batch_rows(2)]))
    for wrong in ({name: own for name, own in given.items() if name != "seq"}, {**given, "pos": Same(None)}):
        with pytest.raises(TypeError, match=r"Message has other columns: (seq|pos)"):
            bulk_rows.insert_columns(Message, wrong, 2)


def test_a_field_of_a_kind_that_nobody_has_tried_is_not_taken() -> None:
    with pytest.raises(TypeError, match="is a DurationField"):
        bulk_rows.insert_rows(SlaClock, [SlaClock()])


# --- What is known ---

FIELDS = ["message_id", "conversation_id", "sender_type", "content"]


def found(find: Callable[..., Any], conversation: Conversation, ids: Sequence[str]) -> list[tuple[Any, ...]]:
    shared = {"tenant_id": conversation.tenant_id, "platform": "default"}
    return sorted(tuple(row) for row in find(Message, shared, "message_id", ids, FIELDS))


def stored_for_others_too(conversation: Conversation) -> list[str]:
    """Every third is of this tenant and platform."""
    rows = messages(conversation)
    for number, text in enumerate(TEXTS[:-1]):
        rows[number].message_id = f"{number} {text}"
    for row in rows[1::3]:
        row.platform = "elsewhere"
    for row in rows[2::3]:
        row.tenant_id += 1
    bulk_rows.insert_rows(Message, rows)
    return [row.message_id for row in rows]


def test_what_is_known_is_what_the_orm_finds(conversation: Conversation) -> None:
    ids = stored_for_others_too(conversation)
    asked = ["nothing", *ids[3:], "{", '"']
    ours = found(bulk_rows.find, conversation, asked)
    assert ours == found(bulk_rows.find_by_orm, conversation, asked)
    assert [row[0] for row in ours] == sorted(ids[3::3])


# --- Any text, any JSON ---

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40)
FREE = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
examples = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@examples
@given(st.lists(st.tuples(TEXT, st.dictionaries(TEXT, FREE, max_size=3)), min_size=1, max_size=4))
def test_any_text_and_any_json(conversation: Conversation, given: list[tuple[str, dict[str, Any]]]) -> None:
    def make() -> list[ChatSession]:
        rows = []
        for reason, context in given:
            row = sessions(conversation)[0]
            row.reason, row.context = reason, context
            rows.append(row)
        return rows

    ours = left_by(lambda: bulk_rows.insert_rows(ChatSession, make()), ChatSession)
    assert ours == left_by(lambda: bulk_rows.insert_rows_by_orm(ChatSession, make()), ChatSession)


# --- The proof of the proof ---


def shifted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row gets what the next one has in this column."""
    real = bulk_rows._form

    def form(model: type[models.Model], vendor: str) -> dict[str, Any]:
        columns = dict(real(model, vendor))
        own = columns[name]
        handed = lambda values: [*own.handed(values)[1:], *own.handed(values)[:1]]  # noqa: E731
        return columns | {name: replace(own, handed=handed)}

    monkeypatch.setattr(bulk_rows, "_form", form)


def unquoted(monkeypatch: pytest.MonkeyPatch) -> None:
    real = bulk_rows._array
    plain = lambda column, values: real(column, values).replace("\\", "").replace("{}", "{ }")  # noqa: E731
    monkeypatch.setattr(bulk_rows, "_array", plain)


def every_message(conversation: Conversation) -> None:
    test_new_rows_are_what_the_orm_would_store("messages", conversation)


def every_change(conversation: Conversation) -> None:
    test_changed_rows_are_what_the_orm_would_store("messages", conversation)


def read_back(conversation: Conversation) -> None:
    test_new_rows_read_back_as_they_were_given_and_have_their_own_keys("messages", conversation)


class Altered:
    """Statements are sent without a part of theirs."""

    def __init__(self, part: str, instead: str = "") -> None:
        self.part, self.instead, self.met = part, instead, False

    def __call__(self, execute: Any, sql: str, *rest: Any) -> Any:
        self.met |= self.part in sql
        return execute(sql.replace(self.part, self.instead), *rest)


def is_missed(check: Callable[[Conversation], None], conversation: Conversation) -> bool:
    try:
        with transaction.atomic():
            check(conversation)
    except (AssertionError, DatabaseError):
        return True
    return False


@pytest.mark.parametrize("check", [every_message, every_change, read_back, test_what_is_known_is_what_the_orm_finds])
def test_with_nothing_taken_out_nothing_is_missed(
    check: Callable[[Conversation], None], conversation: Conversation
) -> None:
    assert not is_missed(check, conversation)


@pytest.mark.parametrize("name", ["content", "sent_at", "session_id", "is_note"])
@pytest.mark.parametrize("check", [every_message, every_change])
def test_a_column_of_another_row_is_missed(
    name: str, check: Callable[[Conversation], None], conversation: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    shifted(name, monkeypatch)
    assert is_missed(check, conversation)


def test_a_column_that_is_not_updated_is_missed(conversation: Conversation) -> None:
    quoted = connection.ops.quote_name("content")
    part, instead = {
        "postgresql": (f"{quoted} = r.c1", f"{quoted} = t.{quoted}"),
        "mysql": (f"{quoted} = %s", f"{quoted} = coalesce({quoted}, %s)"),
        "sqlite": (f"{quoted} = %s", f"{quoted} = coalesce({quoted}, %s)"),
    }[connection.vendor]
    altered = Altered(part, instead)
    with connection.execute_wrapper(altered):
        assert is_missed(every_change, conversation)
    assert altered.met


def test_keys_in_another_order_are_missed(conversation: Conversation, monkeypatch: pytest.MonkeyPatch) -> None:
    real = bulk_rows._insert
    monkeypatch.setattr(bulk_rows, "_insert", lambda *args, **options: real(*args, **options)[::-1])
    assert is_missed(read_back, conversation)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="only there are statements of that form")
class TestOnPostgreSQL:
    def test_a_quotation_mark_that_is_not_escaped_is_missed(
        self, conversation: Conversation, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        unquoted(monkeypatch)
        assert is_missed(every_message, conversation)

    @pytest.mark.parametrize(
        ("condition", "instead"),
        [
            ('"platform" = $3', "$3::text IS NOT NULL"),
            ('"tenant_id" = $2', "$2::bigint IS NOT NULL"),
            ('"message_id" = r.wanted', "TRUE"),
        ],
    )
    def test_a_condition_that_is_left_out_is_missed(
        self, condition: str, instead: str, conversation: Conversation
    ) -> None:
        altered = Altered(condition, instead)
        with connection.execute_wrapper(altered):
            assert is_missed(test_what_is_known_is_what_the_orm_finds, conversation)
        assert altered.met
