"""Our own statements are held against the ORM's: the same rows, the same values, the same lock; a slip is noticed."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.db import connection, models, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agents_app.credentials import secrets
from agents_app.credentials.secrets import issue_key
from agents_app.logins import sessions
from agents_app.models import Agent, Calendar, SlaPolicy
from config import statement_texts, statements
from messaging_app import relay
from messaging_app.detection import rules
from messaging_app.models import Conversation, Message, Operation
from sessions_app.actions import alike_ends, flows, lifecycle, participants
from sessions_app.core import locked_conversation
from sessions_app.models import (
    AssignmentDecision,
    ChatSession,
    GuidedFlow,
    Mail,
    Participant,
    SlaClock,
    Transfer,
)
from sessions_app.states import MailStatus, ParticipantStatus, Status, TransferStatus
from sessions_app.unit import unit_of_work
from tests.cast import Chat
from tests.locks import is_held

type Form = Callable[[models.Model], object]

WORDS = 'it\'s "quoted" \\ 100 % %s $1 {0} 您好 𝄞 \n\u00a0 é'
MOMENT = datetime(2026, 11, 30, 23, 59, 59, 123456, tzinfo=UTC)
JSON = {"ключ": [1, -2.5, 10**15, True, None, "𝄞 \\ \" '"], "": {"nested": {}}}
WRITTEN: tuple[type[models.Model], ...] = (
    Agent,
    AssignmentDecision,
    ChatSession,
    Conversation,
    GuidedFlow,
    Mail,
    Message,
    Operation,
    Participant,
    SlaClock,
    Transfer,
)
"""The models of which verbs write rows by these statements."""


class Undone(Exception):
    """Rolls a savepoint back."""


@pytest.fixture
def world(chat: Chat) -> Chat:
    """A row of each model at least, and rows that must not be read or changed with them."""
    cast = chat.cast
    policy = {"first_response": 600, "next_response": 900, "resolution": 86_400, "counts": SlaPolicy.Counts.BUSINESS}
    cast.tenant.sla = SlaPolicy.objects.create(tenant=cast.tenant, name="Promised", **policy)
    cast.tenant.calendar = Calendar.objects.create(tenant=cast.tenant, name="Office", time_zone="UTC")
    cast.tenant.assignment = cast.tenant.Assignment.PUSH
    cast.tenant.save()
    cast.rule("keyword", phrases=["manager"])
    cast.rule("keyword", phrases=["boss"], is_enabled=False)
    issue_key(cast.bot_row("faq"))
    chat.robot()
    lifecycle.open_session(actor=cast.faq, conversation_id=chat.id, robot=True, priority=4)
    chat.says(WORDS)
    flows.open_flow(actor=cast.bargain, conversation_id=chat.id, trigger_id="size", question=WORDS)
    chat.escalate()
    other = cast.chat()
    lifecycle.complete_session(actor=cast.bargain, session_id=other.robot().session_id or 0)
    other.robot()
    other.take(cast.sue)
    participants.invite_participant(actor=cast.sue, conversation_id=other.id, name=WORDS[:20])
    Mail.objects.create(
        tenant=cast.tenant,
        conversation_id=chat.id,
        session=chat.sessions[0],
        transfer=Transfer.objects.earliest("pk"),
        to="team@example.com",
        status=MailStatus.WAITING,
        created_at=MOMENT,
    )
    Session.objects.create(session_key="login", session_data="of somebody", expire_date=MOMENT)
    relay.stamp_whole(cast.tenant.pk)
    return chat


def rows_of(model: type[models.Model]) -> list[tuple[Any, ...]]:
    """The table as the driver gives it: nothing of the ORM's or of ours has touched a value."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {connection.ops.quote_name(model._meta.db_table)} ORDER BY id")
        return [tuple(row) for row in cursor.fetchall()]


def after(row: models.Model, form: Form) -> tuple[list[tuple[Any, ...]], dict[str, Any]]:
    """The whole table and the row's attributes when the form has stored it. Nothing of it stays."""
    try:
        with transaction.atomic():
            form(row)
            stored = rows_of(type(row)), _attributes(row)
            raise Undone
    except Undone:
        return stored


def _attributes(row: models.Model) -> dict[str, Any]:
    """Without what the database has computed where the ORM leaves it to the next read (MariaDB)."""
    return {field.attname: row.__dict__.get(field.attname) for field in row._meta.concrete_fields}


def without_id(stored: tuple[list[tuple[Any, ...]], dict[str, Any]]) -> Any:
    """The new row alone: a sequence goes on when its transaction is undone."""
    rows, attributes = stored
    return [row[1:] for row in rows], {name: value for name, value in attributes.items() if name != "id"}


def sample(model: type[models.Model]) -> models.Model:
    return model._default_manager.latest("pk")


def changed(row: models.Model) -> models.Model:
    """The row with another value in each column that takes one; those of choices, keys and places stay."""
    for field in row._meta.concrete_fields:
        if field.generated or field.primary_key or field.is_relation or field.choices or field.unique:
            continue
        if field.name in {"seq", "pos", "platform"} | _unique_together(row):
            continue
        if isinstance(row, SlaClock) and field.name == "ended_at":  # its state would have to agree
            continue
        setattr(row, field.attname, _another(field, getattr(row, field.attname)))
    return row


def _unique_together(row: models.Model) -> set[str]:
    constraints = (c for c in row._meta.constraints if isinstance(c, models.UniqueConstraint))
    return {name for constraint in constraints for name in constraint.fields}


def _another(field: Any, value: Any) -> Any:
    if isinstance(field, models.JSONField):
        return value or (JSON if isinstance(field.get_default(), dict) else [JSON, 1])
    if isinstance(field, models.BooleanField):
        return not value
    if isinstance(field, models.DateTimeField):
        return MOMENT + timedelta(microseconds=field.creation_counter)
    if isinstance(field, models.DurationField):
        return timedelta(days=3, seconds=5, microseconds=7)
    if isinstance(field, models.IntegerField):
        return 7 if isinstance(field, models.PositiveSmallIntegerField | models.SmallIntegerField) else 123_456
    if isinstance(field, models.CharField):
        return WORDS[: field.max_length]
    return WORDS


def new(model: type[models.Model]) -> models.Model:
    """A row like one that is there, not stored yet, which breaks no constraint."""
    row = changed(sample(model))
    row.pk, row._state.adding = None, True
    for name, value in {
        "account_id": "another",
        "message_id": "another",
        "trigger_id": "another",
        "token_hash": None,
        "user_id": None,
    }.items():
        if hasattr(row, name):
            setattr(row, name, value)
    if isinstance(row, Operation):
        row.seq, row.pos = row.seq + 1, None
    if isinstance(row, ChatSession):
        row.status, row.ended_at = Status.COMPLETED, MOMENT
    if isinstance(row, Transfer):
        row.status = TransferStatus.DECLINED
    if isinstance(row, SlaClock):
        row.state, row.ended_at = SlaClock.State.MET, MOMENT
    if isinstance(row, Participant):
        row.status = ParticipantStatus.ENDED
    return row


def inserted_by_the_orm(row: models.Model) -> None:
    row.save(force_insert=True)


def updated_by_the_orm(row: models.Model) -> None:
    row.save(force_update=True)


MODELS = pytest.mark.parametrize("model", WRITTEN, ids=lambda model: model.__name__)
CHANGED = pytest.mark.parametrize(
    "model", [model for model in WRITTEN if model is not Operation], ids=lambda model: model.__name__
)
"""A trigger refuses to change an operation."""


@MODELS
def test_a_new_row_is_the_one_that_the_orm_stores(
    world: Chat, model: type[models.Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timezone, "now", lambda: MOMENT)  # a row says when it was made
    ours, theirs = after(new(model), statements.insert), after(new(model), inserted_by_the_orm)
    assert without_id(ours) == without_id(theirs)
    assert len(ours[0]) == len(rows_of(model)) + 1


@CHANGED
def test_a_changed_row_is_the_one_that_the_orm_stores(world: Chat, model: type[models.Model]) -> None:
    ours = after(changed(sample(model)), statements.update)
    assert ours == after(changed(sample(model)), updated_by_the_orm)
    assert ours[0] != rows_of(model)


@CHANGED
def test_each_column_alone_is_stored_as_by_the_orm_and_no_other(world: Chat, model: type[models.Model]) -> None:
    for field in _own_columns(model):
        ours = after(changed(sample(model)), lambda row, name=field.name: statements.update(row, name))  # type: ignore[misc]
        theirs = after(changed(sample(model)), lambda row, name=field.name: row.save(update_fields=[name]))  # type: ignore[misc]
        assert ours == theirs, field.name


def _own_columns(model: type[models.Model]) -> list[Any]:
    return [f for f in model._meta.concrete_fields if not f.generated and not f.primary_key]


def test_of_a_row_that_was_read_only_what_has_changed_is_stored(world: Chat) -> None:
    with transaction.atomic():
        session = locked_conversation._OPEN[0].rows(world.id)[0]
    before = rows_of(ChatSession)
    ChatSession.objects.filter(pk=session.pk).update(reason="written by somebody else")
    session.failed_answers = 2
    with CaptureQueriesContext(connection) as run:
        statements.update(session)
        statements.update(session, "failed_answers")
    session.refresh_from_db()
    assert (session.reason, session.failed_answers, len(run)) == ("written by somebody else", 2, 2)
    assert rows_of(ChatSession) != before


def test_a_row_that_is_as_it_was_read_is_not_stored(world: Chat) -> None:
    with transaction.atomic():
        [clock, *_] = locked_conversation._OPEN[3].rows(world.id)
    with CaptureQueriesContext(connection) as run:
        statements.update(clock)
    assert len(run) == 0


def test_a_row_that_has_gone_is_noticed(world: Chat) -> None:
    flow = GuidedFlow.objects.latest("pk")
    GuidedFlow.objects.filter(pk=flow.pk).delete()
    with pytest.raises(GuidedFlow.NotUpdated), transaction.atomic():
        statements.update(flow, "answer")
    with pytest.raises(GuidedFlow.NotUpdated), transaction.atomic():
        flow.save(update_fields=["answer"])


def test_an_unknown_column_is_refused(world: Chat) -> None:
    with pytest.raises((LookupError, ValueError)):
        statements.update(sample(Conversation), "seq", "nothing")


def test_a_row_whose_key_is_there_is_not_stored_again(world: Chat) -> None:
    key = ("tenant", "platform", "shop_id", "account_id")
    before = rows_of(Conversation)
    same = Conversation(tenant=world.cast.tenant, shop_id=world.row.shop_id, account_id=world.row.account_id)
    assert not statements.insert_unless_there(same, *key)
    assert (rows_of(Conversation), same.pk) == (before, None)
    other = Conversation(tenant=world.cast.tenant, shop_id=world.row.shop_id, account_id="Another")
    assert statements.insert_unless_there(other, *key)
    assert (len(rows_of(Conversation)), Conversation.objects.get(pk=other.pk)) == (len(before) + 1, other)


# --- Reading -----------------------------------------------------------------------------------------------------


def readings(world: Chat) -> Iterator[tuple[str, statements.Reading, tuple[Any, ...]]]:
    """Each reading that the code has, with parameters for which it finds something."""
    tenant_id, row = world.cast.tenant.pk, world.row
    bot = ChatSession.objects.filter(conversation_id=world.id, bot__isnull=False).latest("pk").bot_id
    yield "conversation", locked_conversation._CONVERSATION, (tenant_id, world.id)
    yield "by key", locked_conversation._BY_KEY[0], (tenant_id, row.platform, row.shop_id, row.account_id)
    for reading in locked_conversation._OPEN:
        yield reading._build.__name__, reading, (world.id,)
    yield "of a session", unit_of_work._OF_SESSION, (world.sessions[0].pk, tenant_id)
    yield "of a transfer", unit_of_work._OF_TRANSFER, (world.transfers[0].pk, tenant_id)
    yield "bot", locked_conversation._BOT, (bot, tenant_id)
    yield "rules", rules._VERSION, (tenant_id,)
    yield "head", relay.HEAD, (tenant_id,)
    yield "login", sessions._by_key, ("login",)
    yield "tenant", alike_ends._TENANT, (tenant_id,)
    yield "key", secrets._ACTIVE, (world.cast.bot_row("faq").key_prefix,)


ELSEWHERE = {
    "tenant_now": "with the key, below",
    "subscription": "tests/events/test_prepared.py",
    "batch_conversations": "tests/batches/test_conversations.py",
    "own_and_now": "tests/batches/test_conversations.py",
}
"""Readings that other tests hold against their querysets."""


def test_no_reading_is_left_out(world: Chat) -> None:
    known = {id(reading) for _, reading, _ in readings(world)}
    left_out = [it for it in gc.get_objects() if type(it) is statements.Reading]  # a proxy of what is gone has no class
    builds = [reading._build for reading in left_out if id(reading) not in known]
    names = {f"{it.__module__}.{it.__qualname__}" for it in builds if not it.__module__.startswith("tests.")}
    assert [name for name in sorted(names) if not any(word in name for word in ELSEWHERE)] == []


def plain(row: Any) -> Any:
    """All that a row has but the moment at which it was read."""
    if not isinstance(row, models.Model):
        return row
    its = {name: value for name, value in vars(row).items() if name not in {"_state", "db_now"}}
    return type(row), its, row._state.adding, row._state.db


def test_a_reading_has_the_rows_of_its_queryset(world: Chat) -> None:
    for name, reading, given in readings(world):
        with transaction.atomic():
            ours, theirs = reading.rows(*given), list(reading._build(*given))
        assert [plain(row) for row in ours] == [plain(row) for row in theirs], name
        assert ours, name


def test_readings_together_have_the_rows_of_each(world: Chat) -> None:
    with transaction.atomic():
        each = [reading.rows(world.id) for reading in locked_conversation._OPEN]
        all_of_them = statements.together(locked_conversation._OPEN, world.id)
        nothing = statements.together(locked_conversation._OPEN, 0)
    assert [[plain(row) for row in rows] for rows in all_of_them] == [[plain(row) for row in rows] for rows in each]
    assert nothing == [[], [], [], [], []]


def test_a_conversation_by_its_key_comes_with_its_tenant_also_where_there_is_none(world: Chat) -> None:
    tenant = world.cast.tenant
    for shop_id, there in ((world.row.shop_id, [world.row]), ("no such shop", [])):
        with transaction.atomic():
            key = (tenant.pk, world.row.platform, shop_id, world.row.account_id)
            named, [of] = statements.together(locked_conversation._BY_KEY, *key)
        assert (named, of, of.policies) == (there, tenant, tenant.policies)


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["conversation", "by key"])
def test_whoever_reads_to_write_holds_the_row(chat: Chat, name: str) -> None:
    tenant_id, row = chat.cast.tenant.pk, chat.row
    reading, given = {
        "conversation": (locked_conversation._CONVERSATION, (tenant_id, chat.id)),
        "by key": (locked_conversation._BY_KEY[0], (tenant_id, row.platform, row.shop_id, row.account_id)),
    }[name]
    with transaction.atomic():
        reading.rows(*given)
        assert is_held(chat.id)
    assert not is_held(chat.id)


def test_the_database_s_clock_comes_with_the_rows(world: Chat) -> None:
    with transaction.atomic():
        [row] = locked_conversation._CONVERSATION.rows(world.cast.tenant.pk, world.id)
        [theirs] = locked_conversation._locked(world.cast.tenant.pk, world.id)
    later: Any = theirs
    assert timedelta() <= later.db_now - row.db_now < timedelta(minutes=5)


def test_a_text_among_the_parameters_is_no_sql(world: Chat) -> None:
    for text in ("' OR 1=1 --", "$1", "%s", '"'):
        with transaction.atomic():
            named, _ = statements.together(locked_conversation._BY_KEY, world.cast.tenant.pk, "default", text, text)
        assert named == []


# --- Mutants: what these tests are for, is noticed ------------------------------------------------------------------


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Statements are kept; those of a mutant must not be."""
    kept = (statement_texts.insertion, statement_texts.change, statements.in_json)
    for function in kept:
        function.cache_clear()
    yield monkeypatch
    monkeypatch.undo()
    for function in kept:
        function.cache_clear()


on_our_own_sql = pytest.mark.skipif("mysql" in connection.vendor, reason="the ORM's own form runs there")


@on_our_own_sql
@CHANGED
def test_a_column_that_is_left_out_is_noticed(
    world: Chat, model: type[models.Model], fresh: pytest.MonkeyPatch
) -> None:
    theirs = after(changed(sample(model)), updated_by_the_orm)
    before = {field.attname: getattr(sample(model), field.attname) for field in _own_columns(model)}
    for field in _own_columns(model):
        if getattr(changed(sample(model)), field.attname) == before[field.attname]:
            continue
        whole = statement_texts._parts
        fresh.setattr(
            statement_texts,
            "_parts",
            lambda fields, vendor, left_out=field, whole=whole: tuple(
                (None, field.attname, lambda value: None) if field is left_out else part
                for field, part in zip(list(fields), whole(fields, vendor), strict=True)
            ),
        )
        statement_texts.change.cache_clear()
        try:
            noticed = after(changed(sample(model)), statements.update) != theirs
        except Exception:  # NULL, where none may be
            noticed = True
        fresh.setattr(statement_texts, "_parts", whole)
        assert noticed, field.name


@on_our_own_sql
def test_a_condition_that_is_left_out_is_noticed(world: Chat, fresh: pytest.MonkeyPatch) -> None:
    whole = statements._run

    def mutant(database: Any, sql: str, *values: Any, **more: Any) -> None:
        whole(database, re.sub(r"WHERE (\"id\" = \S+)", r"WHERE (\1 OR id > 0)", sql), *values, **more)

    fresh.setattr(statements, "_run", mutant)
    row = sample(Conversation)
    row.last_text = "Said in this one alone"  # type: ignore[attr-defined]
    ours = after(row, lambda row: statements.update(row, "last_text"))
    fresh.undo()
    assert ours != after(row, lambda row: row.save(update_fields=["last_text"]))


@on_our_own_sql
@pytest.mark.parametrize(
    "condition", ["status", "conversation_id", "pending_key", "open_key", "is_enabled", "tenant_id"]
)
def test_a_condition_of_a_reading_that_is_left_out_is_noticed(
    world: Chat, condition: str, fresh: pytest.MonkeyPatch
) -> None:
    whole = statements._run

    def mutant(database: Any, sql: str, *values: Any, **more: Any) -> None:
        given = rf'("\w+"\."{condition}"(?: = (?:%s|\$\d)| IN \((?:SELECT|%s|\')| AND))'
        whole(database, re.sub(given, r"1 = 1 OR \1", sql), *values, **more)

    noticed = False
    for _, reading, given in readings(world):
        with transaction.atomic():
            theirs = [plain(row) for row in reading._build(*given)]
            fresh.setattr(statements, "_run", mutant)
            ours = [plain(row) for row in reading.rows(*given)]
            fresh.setattr(statements, "_run", whole)
        noticed = noticed or ours != theirs
    assert noticed
