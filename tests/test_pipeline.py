"""Statements that go to PostgreSQL together: in their order, seen by whatever is asked next, and all or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from django.db import (
    DataError,
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
    connection,
    transaction,
)
from django.db.utils import IntegrityError
from django.test.utils import CaptureQueriesContext

from config import pipeline, statements
from messaging_app.models import Conversation, Operation
from tests.cast import Chat

pytestmark = [
    pytest.mark.services,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("connection.vendor != 'postgresql'", reason="the others are sent each statement by itself"),
]


@contextmanager
def exchanges(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[list[str]]]:
    """The statements of each exchange, by their first words, and COMMIT where it went with them."""
    made: list[list[str]] = []
    whole = pipeline._Line.exchange

    def noted(line: Any, asked: Any, *, is_last: bool) -> Any:
        made.append([sql.split()[0] for sql, _ in asked] + ["COMMIT"] * is_last)
        return whole(line, asked, is_last=is_last)

    with monkeypatch.context() as patch:
        patch.setattr(pipeline._Line, "exchange", noted)
        yield made


def _in_a_verb(work: Callable[[], None]) -> None:
    with statements.transaction_of_a_verb():
        work()


def _fail() -> None:
    raise ZeroDivisionError


CONVERSATION = statements.Reading(lambda pk: Conversation.objects.filter(pk=pk), 0)


def say(row: Conversation, text: str) -> None:
    row.last_text = text
    statements.update(row, "last_text")


def stored(chat: Chat) -> str:
    return Conversation.objects.values_list("last_text", flat=True).get(pk=chat.id)


def test_changes_go_with_the_commit(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    row = chat.row
    with exchanges(monkeypatch) as made, statements.transaction_of_a_verb():
        say(row, "first")
        say(row, "second")
        assert made == []
    assert (made, stored(chat)) == ([["UPDATE", "UPDATE", "COMMIT"]], "second")


def test_within_another_transaction_nothing_is_committed(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    row, before = chat.row, stored(chat)
    with exchanges(monkeypatch) as made, transaction.atomic():
        with statements.transaction_of_a_verb():
            say(row, "said")
        assert stored(chat) == "said"
        transaction.set_rollback(True)
    assert (made, stored(chat)) == ([["UPDATE"]], before)


def test_what_is_asked_next_sees_what_waited(chat: Chat) -> None:
    row = chat.row
    with statements.transaction_of_a_verb():
        say(row, "by the ORM")
        assert stored(chat) == "by the ORM"
        say(row, "in a savepoint")
        with transaction.atomic():
            assert stored(chat) == "in a savepoint"


def test_a_savepoint_undoes_its_own_changes_alone(chat: Chat) -> None:
    row = chat.row
    with statements.transaction_of_a_verb():
        say(row, "before it")
        with suppress(ZeroDivisionError), transaction.atomic():
            say(row, "in it")
            _fail()
    assert stored(chat) == "before it"


def test_an_exception_leaves_nothing_behind(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    row, before = chat.row, stored(chat)
    with exchanges(monkeypatch) as made:
        with suppress(ZeroDivisionError), statements.transaction_of_a_verb():
            say(row, "never")
            _fail()
        assert (made, stored(chat)) == ([], before)
        with statements.transaction_of_a_verb():
            say(row, "after it")
    assert stored(chat) == "after it"


def test_the_first_that_fails_is_told_and_undoes_all(chat: Chat) -> None:
    chat.says("hello")
    row, before = chat.row, stored(chat)
    twice = Operation.objects.filter(conversation=row).latest("seq")
    twice.pk, twice._state.adding, twice.pos = None, True, None

    def work() -> None:
        say(row, "before it")
        statements.insert_later(twice)
        say(row, "behind it")

    with pytest.raises(IntegrityError):
        _in_a_verb(work)
    assert (stored(chat), connection.is_usable()) == (before, True)


def test_what_the_commit_refuses_is_told(chat: Chat) -> None:
    chat.says("hello")
    row, before = chat.row, stored(chat)
    orphan = Operation.objects.filter(conversation=row).latest("seq")
    orphan.pk, orphan._state.adding, orphan.pos, orphan.seq = None, True, None, 10_000
    orphan.session_id = 2**40

    def work() -> None:
        say(row, "with it")
        statements.insert_later(orphan)

    with pytest.raises(IntegrityError):
        _in_a_verb(work)
    assert stored(chat) == before


def test_a_row_that_has_gone_is_noticed_at_the_end(chat: Chat) -> None:
    gone = Conversation(pk=2**40, tenant=chat.cast.tenant)
    with pytest.raises(Conversation.NotUpdated), statements.transaction_of_a_verb():
        say(gone, "to nobody")


def test_after_a_refused_statement_the_transaction_takes_no_other(chat: Chat) -> None:
    row = chat.row
    with transaction.atomic(), statements.transaction_of_a_verb():
        statements.run_later("SELECT nothing FROM nowhere")
        with pytest.raises(ProgrammingError):
            statements.together([CONVERSATION], chat.id)
        with pytest.raises(InternalError):
            statements.together([CONVERSATION], chat.id)
        say(row, "too late")
        transaction.set_rollback(True)


def test_a_text_that_would_be_cut_is_refused(chat: Chat) -> None:
    before = stored(chat)
    with pytest.raises(DataError), statements.transaction_of_a_verb():
        say(chat.row, "cut\0here")
    assert (stored(chat), connection.is_usable()) == (before, True)


def test_queries_are_logged_and_wrapped_as_the_others(chat: Chat) -> None:
    seen = []

    def note(execute: Any, sql: str, *more: Any) -> Any:
        seen.append(sql.split(maxsplit=1)[0])
        return execute(sql, *more)

    with connection.execute_wrapper(note), CaptureQueriesContext(connection) as run:
        with transaction.atomic(), statements.transaction_of_a_verb():
            say(chat.row, "noted")
        assert "UPDATE" in seen
        assert any(query["sql"].startswith("UPDATE") for query in run)


def test_a_connection_whose_exchange_was_cut_short_is_not_used_again(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = chat.row
    connection.ensure_connection()
    session: Any = connection.connection

    def interrupted(line: Any) -> Iterator[Any]:
        raise KeyboardInterrupt
        yield

    with monkeypatch.context() as patch:
        patch.setattr(pipeline._Line, "_results", interrupted)
        with pytest.raises((KeyboardInterrupt, InterfaceError, OperationalError)), statements.transaction_of_a_verb():
            say(row, "perhaps")
    assert session.closed
    connection.close()
    assert stored(chat) in ("", "perhaps")


def test_a_server_that_ends_the_connection_is_told_as_such(chat: Chat) -> None:
    row, before = chat.row, stored(chat)

    def work() -> None:
        [[pid]] = statements._fetched(connection, "SELECT pg_backend_pid()", [])
        _elsewhere(f"SELECT pg_terminate_backend({pid})")
        say(row, "never")

    with pytest.raises((OperationalError, InterfaceError)):
        _in_a_verb(work)
    connection.close()
    assert stored(chat) == before


def _elsewhere(sql: str) -> None:
    def run() -> None:
        with connection.cursor() as cursor:
            cursor.execute(sql)
        connection.close()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(run).result()


def test_whoever_waits_for_a_lock_lets_the_other_threads_go_on(chat: Chat) -> None:
    row = chat.row

    def second() -> None:
        with statements.transaction_of_a_verb():
            statements._fetched(
                connection, f"SELECT id FROM messaging_app_conversation WHERE id = {row.pk} FOR UPDATE", []
            )
            say(row, "second")
        connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            Conversation.objects.select_for_update().get(pk=row.pk)
            waits = pool.submit(second)
            while not _somebody_waits():
                pass
            say(row, "first")
        waits.result()
    assert stored(chat) == "second"


def _somebody_waits() -> bool:
    return bool(statements._fetched(connection, "SELECT 1 FROM pg_locks WHERE NOT granted", []))


def test_the_server_keeps_no_more_statements_than_it_should(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    connection.ensure_connection()
    has_some = len(pipeline._line_of(connection.connection)._prepared)
    monkeypatch.setattr(pipeline, "MOST_PREPARED", most := has_some + 3)
    for round_ in (1, 2):
        for number in range(6):
            assert [
                list(row) for row in statements._fetched(connection, f"SELECT {number} + $1::int", [str(round_)])
            ] == [[number + round_]]
    [[kept]] = statements._fetched(
        connection, "SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'tandem%'", []
    )
    assert kept <= most + 1


def test_without_prepared_statements_all_is_the_same(chat: Chat) -> None:
    connection.ensure_connection()
    session: Any = connection.connection
    kept, session.prepare_threshold = session.prepare_threshold, None
    try:
        with statements.transaction_of_a_verb():
            say(chat.row, "unprepared")
    finally:
        session.prepare_threshold = kept
    assert stored(chat) == "unprepared"
