"""T7.2, T7.3: a connection lost within a verb, lost in its commit, a session that the server ends, a database that is full."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from select import select
from types import SimpleNamespace
from typing import Any

import psycopg
import psycopg_pool
import pymysql
import pytest
from django.db import DEFAULT_DB_ALIAS, OperationalError, connection, connections, transaction

from agents_app.models import Tenant
from config import pipeline, pooled, worker_pool
from config.celery import app
from config.db import retried
from config.errors import Busy, StorageFailed
from config.faults import Fault, fault_of
from messaging_app.models import Message
from tests.api.world import program
from tests.cast import Cast
from tests.patience import PATIENCE, until

pytestmark = pytest.mark.django_db(transaction=True)
REAL = pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite has no connection to lose")
SENT = {"platform": "shop", "shop_id": "s-1", "account_id": "carla", "content": "Hello?", "message_id": "m-1"}


def elsewhere(statement: str) -> Any:
    """Something said to the server by another connection."""
    other = connection.copy()
    other.settings_dict = other.settings_dict | {"CONN_MAX_AGE": 0}
    try:
        with other.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchone() if cursor.description else None
    finally:
        other.close()


def my_id() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()" if connection.vendor == "postgresql" else "SELECT connection_id()")
        return int(cursor.fetchone()[0])


def end_my_session() -> None:
    """The server ends this thread's connection, as an administrator or a failover does."""
    mine = my_id()
    elsewhere(f"SELECT pg_terminate_backend({mine})" if connection.vendor == "postgresql" else f"KILL {mine}")


class Verb:
    """Writes one row in one transaction, and has something happen on its first attempts."""

    def __init__(self, before: Callable[[], object] = lambda: None, after: Callable[[], object] = lambda: None) -> None:
        self.before, self.after, self.attempts = before, after, 0
        self.run = retried(self._run)

    def _run(self) -> None:
        with transaction.atomic():
            self.attempts += 1
            if self.attempts == 1:
                self.before()
            Tenant.objects.create(slug="lost", name="Lost")
            if self.attempts == 1:
                self.after()


@pytest.mark.services
@REAL
def test_t7_2_a_connection_lost_within_the_work_is_made_again_and_the_work_done_once() -> None:
    verb = Verb(before=end_my_session)
    verb.run()
    assert verb.attempts == 2
    assert Tenant.objects.filter(slug="lost").count() == 1


@pytest.mark.services
@REAL
def test_t7_2_a_connection_lost_in_the_commit_is_not_tried_again() -> None:
    """Nobody knows whether it was done: whoever asked sends it again, with the same id."""
    verb = Verb(after=end_my_session)
    with pytest.raises(Busy):
        verb.run()
    assert verb.attempts == 1
    assert Tenant.objects.filter(slug="lost").count() == 0  # here it was not


@pytest.mark.services
@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="a time-out of PostgreSQL's")
def test_t7_2_a_session_that_idled_in_its_transaction_is_lost_like_any_other() -> None:
    def idle() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET idle_in_transaction_session_timeout = 1")
        mine = my_id()
        until(lambda: not elsewhere(f"SELECT 1 FROM pg_stat_activity WHERE pid = {mine}"))

    verb = Verb(before=idle)
    verb.run()
    assert verb.attempts == 2
    assert Tenant.objects.filter(slug="lost").count() == 1


@pytest.mark.services
@REAL
def test_t7_2_over_the_api_a_lost_connection_is_not_even_noticed(cast: Cast) -> None:
    channel = program(cast, "channel")
    channel.post("inbound", SENT)
    end_my_session()
    answers = [channel.post("inbound", SENT | {"message_id": f"n-{n}"}) for n in range(3)]
    assert {answer.status_code for answer in answers} <= {201, 503}
    assert answers[-1].status_code == 201


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="the bound is SQLite's own")
def test_t7_3_a_full_database_is_storage_failed_and_whole_again_when_there_is_room(cast: Cast) -> None:
    channel = program(cast, "channel")
    assert channel.post("inbound", SENT).status_code == 201
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA page_count")
        pages = cursor.fetchone()[0]
        cursor.execute(f"PRAGMA max_page_count = {pages}")
    # What tests before this one have given back is filled first.
    full: list[Any] = []
    while not full or full[-1].status_code == 201:
        assert len(full) < 1_000
        full.append(channel.post("inbound", SENT | {"message_id": f"f-{len(full)}", "content": "word " * 12_000}))
    refused = full[-1]
    assert (refused.status_code, refused.json()["code"], refused["Retry-After"]) == (503, "storage_failed", "1")
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA max_page_count = {2**30}")
    assert channel.post("inbound", SENT | {"message_id": f"f-{len(full)}"}).status_code == 201
    taken = sum(answer.status_code == 201 for answer in full)
    assert Message.objects.filter(message_id__startswith="f-").count() == taken + 1


def _sqlite(code: int) -> Exception:
    import sqlite3

    error = sqlite3.OperationalError("…")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (psycopg.OperationalError("FATAL: sorry, too many clients already"), Fault.OVERLOADED),
        (psycopg.OperationalError("server closed the connection unexpectedly"), Fault.LOST),
        (psycopg.errors.IdleInTransactionSessionTimeout("terminating connection"), Fault.LOST),
        (psycopg.errors.QueryCanceled("statement timeout"), Fault.OVERLOADED),
        (psycopg.errors.DiskFull("could not extend file"), Fault.STORAGE),
        (psycopg.errors.ReadOnlySqlTransaction("read-only"), Fault.STORAGE),
        (psycopg.errors.AdminShutdown("terminating connection"), Fault.LOST),
        (psycopg.errors.DeadlockDetected("deadlock"), Fault.CONFLICT),
        (psycopg.errors.UndefinedTable("no such table"), None),
        (psycopg_pool.PoolTimeout("couldn't get a connection"), Fault.OVERLOADED),
        (pymysql.err.OperationalError(2013, "Lost connection"), Fault.LOST),
        (pymysql.err.InterfaceError(0, ""), Fault.LOST),
        (pymysql.err.OperationalError(1040, "Too many connections"), Fault.OVERLOADED),
        (pymysql.err.OperationalError(1021, "Disk full"), Fault.STORAGE),
        (pymysql.err.OperationalError(1114, "The table is full"), Fault.STORAGE),
        (pymysql.err.ProgrammingError(1064, "syntax"), None),
        (_sqlite(13), Fault.STORAGE),
        (_sqlite(10 | 3 << 8), Fault.STORAGE),
        (_sqlite(5), Fault.CONFLICT),
        (_sqlite(1), None),
        (OSError(28, "No space left on device"), Fault.STORAGE),
        (OSError(24, "Too many open files"), Fault.OVERLOADED),
        (FileNotFoundError(2, "No such file"), None),
        (ZeroDivisionError(), None),
    ],
    ids=repr,
)
def test_t7_2_each_librarys_errors_are_told_apart(error: Exception, fault: Fault | None) -> None:
    wrapped = OperationalError("as Django passes it on")
    wrapped.__cause__ = error
    assert fault_of(error) is fault
    assert fault_of(wrapped) is fault


def test_t7_3_a_full_disk_is_not_tried_again() -> None:
    verb = Verb(before=lambda: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(StorageFailed):
        verb.run()
    assert verb.attempts == 1


@pytest.mark.services
@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="only PostgreSQL has a pool")
def test_t7_2_a_connection_that_the_server_has_ended_is_not_handed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is seen without asking the server: nothing is sent over a connection that works."""
    asked: list[int] = []
    ask = psycopg_pool.ConnectionPool.check_connection
    monkeypatch.setattr(psycopg_pool.ConnectionPool, "check_connection", lambda each: (asked.append(1), ask(each)))
    my_id()
    pool: Any = connection.pool  # type: ignore[attr-defined]
    with pool.connection() as lent:
        mine = lent.info.backend_pid
        pool._check(lent)
        assert asked == []
        elsewhere(f"SELECT pg_terminate_backend({mine}, 60000)")  # waits until it has ended
        with pytest.raises(psycopg.OperationalError):
            pool._check(lent)
        assert asked == [1]
    for _ in range(20):
        connection.close()
        assert my_id() != mine


# --- A commit that goes with the work (config/pipeline.py), and what comes behind a commit -----------------------------

POSTGRESQL = pytest.mark.skipif("connection.vendor != 'postgresql'", reason="only there a commit goes with the work")


@contextmanager
def answer_lost(monkeypatch: pytest.MonkeyPatch, *, behind_commit: bool) -> Iterator[None]:
    """Once, the answer to an exchange with a COMMIT does not arrive: the server has done it all, or has died before it."""
    whole = pipeline._Line._results
    lost: list[bool] = []

    def cut(line: Any) -> Iterator[Any]:
        for result in whole(line):
            if not lost and result.command_status == b"COMMIT":
                lost.append(True)
                raise psycopg.OperationalError("server closed the connection unexpectedly")
            yield result

    def killed(line: Any, asked: Any, *, is_last: bool) -> Any:
        if is_last and not lost:
            lost.append(True)
            end_my_session_of(line)
        return exchange(line, asked, is_last=is_last)

    exchange = pipeline._Line.exchange
    with monkeypatch.context() as patch:
        if behind_commit:
            patch.setattr(pipeline._Line, "_results", cut)
        else:
            patch.setattr(pipeline._Line, "exchange", killed)
        yield
    assert lost


def end_my_session_of(line: Any) -> None:
    mine = line._server.backend_pid
    elsewhere(f"SELECT pg_terminate_backend({mine})")
    until(lambda: not elsewhere(f"SELECT 1 FROM pg_stat_activity WHERE pid = {mine}"))


def _said(words: str) -> int:
    return Message.objects.filter(content=words).count()


@pytest.mark.services
@POSTGRESQL
def test_t7_2_a_message_whose_commit_was_not_answered_is_stored_once(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an id nobody could tell the second from the first."""
    channel = program(cast, "channel")
    sent = {name: value for name, value in SENT.items() if name != "message_id"}
    with answer_lost(monkeypatch, behind_commit=True):
        answer = channel.post("inbound", sent)
    assert (answer.status_code, answer.json()["code"]) == (503, "busy")
    assert _said("Hello?") == 1


@pytest.mark.services
@POSTGRESQL
def test_t7_2_a_batch_whose_commit_was_not_answered_is_stored_once(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    row = {
        "message_id": "b-1", "shop_id": "s-1", "account_id": "carla", "sender_type": "customer", "content": "Hello?",
        "timestamp": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    channel = program(cast, "channel")
    with answer_lost(monkeypatch, behind_commit=True):
        answer = channel.post("batches", {"rows": [row]})
    if answer.status_code == 200:  # what was stored is told as stored, and never as a repeat
        assert answer.json()["duplicate"] == 0
    assert _said("Hello?") == 1


@pytest.mark.services
@POSTGRESQL
def test_t7_2_work_that_the_server_did_not_begin_is_done_again(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    channel = program(cast, "channel")
    with answer_lost(monkeypatch, behind_commit=False):
        answer = channel.post("inbound", SENT)
    assert answer.status_code in (201, 503)
    assert _said("Hello?") == (answer.status_code == 201)


@pytest.mark.services
@REAL
def test_t7_2_a_connection_lost_behind_the_commit_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """MariaDB is then asked for the mode in which each statement is a transaction."""
    verb, database = Verb(), type(connections[DEFAULT_DB_ALIAS])
    whole = database._set_autocommit  # type: ignore[attr-defined]
    lost: list[bool] = []

    def mode(self: Any, autocommit: bool) -> None:
        if autocommit and verb.attempts and not lost:
            lost.append(True)
            gone = pymysql.OperationalError(2013, "Lost connection to MySQL server during query")
            raise OperationalError(*gone.args) from gone
        whole(self, autocommit)

    with monkeypatch.context() as patch:
        patch.setattr(database, "_set_autocommit", mode)
        with pytest.raises(Busy):
            verb.run()
    connection.close()
    assert (verb.attempts, Tenant.objects.filter(slug="lost").count()) == (1, 1)


# --- A server that starts again, and the pools that are left over -------------------------------------------------------


@pytest.mark.services
@POSTGRESQL
def test_t7_6_after_a_server_has_started_again_one_ended_connection_is_drawn_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]  # of the tests before, which may have left others in it
    pool = connection.pool  # type: ignore[attr-defined]
    pool.open()
    held = [pool.getconn() for _ in range(5)]
    for one in held:
        pool.putconn(one)
    pids = ", ".join(str(one.info.backend_pid) for one in held)
    ending = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid IN ({pids}) AND pid <> pg_backend_pid()"
    elsewhere(ending)
    until(lambda: len(select([one.fileno() for one in held], [], [], 0)[0]) == len(held) - 1)  # all but who ended them
    drawn = []

    def check(one: Any) -> None:
        try:
            pooled.check(one)
        except Exception:
            drawn.append(one)
            raise

    monkeypatch.setattr(pool, "_check", check)
    with pool.connection(timeout=PATIENCE) as one:
        assert one.execute("SELECT 1").fetchone() == (1,)
    assert len(drawn) == 1


@pytest.mark.services
@POSTGRESQL
def test_t7_6_a_workers_task_leaves_the_pool_open() -> None:
    """Threads of the process that send and store go on beside it."""
    fixup = worker_pool.Worker(app)
    fixup.worker = SimpleNamespace(pool_cls="celery.concurrency.prefork:TaskPool")
    fixup._is_begun = True
    connection.ensure_connection()
    pool, task = connection.pool, SimpleNamespace(request=SimpleNamespace(is_eager=False))  # type: ignore[attr-defined]
    with pool.connection() as beside:
        fixup.on_task_prerun(task)
        Tenant.objects.count()
        fixup.on_task_postrun(task)
        assert beside.execute("SELECT 1").fetchone() == (1,)
    assert (connection.pool is pool, pool.closed) == (True, False)  # type: ignore[attr-defined]


@pytest.mark.services
@POSTGRESQL
def test_t7_6_a_pool_that_a_worker_has_inherited_is_given_up() -> None:
    fixup = worker_pool.Worker(app)
    fixup.worker = SimpleNamespace(pool_cls="celery.concurrency.prefork:TaskPool")
    inherited = connection.pool  # type: ignore[attr-defined]
    fixup.on_worker_process_init()
    assert inherited.closed
    assert fixup._is_begun


def test_t7_6_the_worker_is_celerys_with_our_pool() -> None:
    [fixup] = app._fixups  # type: ignore[attr-defined]
    assert type(fixup.worker_fixup) is worker_pool.Worker
