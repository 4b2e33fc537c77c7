"""Several statements to PostgreSQL in one exchange: they are sent together and prepared by the server, and answers are awaited once.

To ask and wait costs more than most statements: the server's process and ours are woken in turns. In libpq's pipeline mode
five statements take a quarter of the time of five exchanges, and a tenth of what psycopg's cursors need in Python
(docs/decisions/0024). So changes of rows within `gathered` wait until something is read, or for the end, whose
COMMIT goes with them.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db import IntegrityError

type Rows = Sequence[Sequence[Any]]

MOST_PREPARED = 200
"""Statements that the server keeps for a connection. The oldest of more is forgotten."""


@dataclass(frozen=True, slots=True)
class Statement:
    """With its parameters as $1, $2, …, which go as text; `then` is given its rows.

    Where it breaks a constraint, `instead` is raised in place of `IntegrityError`.
    """

    sql: str
    values: Sequence[str | None]
    then: Callable[[Rows], None]
    instead: Exception | None = None


# --- What waits --------------------------------------------------------------------------------------------------


@contextmanager
def gathered(database: Any) -> Iterator[None]:
    """Within a transaction: what is given to `later` waits until something is asked of the database, or for the end.

    At the end of the outermost transaction it is committed in the same exchange. Where it is to be
    undone, what waits is forgotten: nothing of the transaction will stay.
    """
    if _waiting(database) is not None:
        yield
        return
    setattr(database, _WAITING, [])
    before_others = partial(_before_others, database)
    database.execute_wrappers.append(before_others)
    try:
        yield
        waiting = _taken(database)
        if waiting and not database.needs_rollback:
            run(database, waiting, is_last=len(database.atomic_blocks) == 1)
    finally:
        database.execute_wrappers.remove(before_others)
        setattr(database, _WAITING, None)


def later(database: Any, statement: Statement) -> None:
    """Send a statement with the next exchange; at once where nothing is gathered."""
    waiting = _waiting(database)
    if waiting is None:
        run(database, [statement])
    else:
        waiting.append(statement)


def run_after_what_waits(database: Any, statement: Statement) -> None:
    run(database, [*_taken(database), statement])


def send(database: Any) -> None:
    """Send all that waits."""
    if waiting := _taken(database):
        run(database, waiting)


def ends_with_this(database: Any) -> bool:
    """Whether what is given to `later` now is committed at the end of `gathered`, and by no other transaction around it."""
    return _waiting(database) is not None and len(database.atomic_blocks) == 1


_WAITING = "tandem_waiting"
"""Of Django's connection: the statements that wait, in their order; None where none may."""


def _waiting(database: Any) -> list[Statement] | None:
    return getattr(database, _WAITING, None)


def _taken(database: Any) -> list[Statement]:
    waiting = _waiting(database)
    if not waiting:
        return []
    setattr(database, _WAITING, [])
    return waiting


def _before_others(database: Any, execute: Any, sql: Any, parameters: Any, many: bool, context: Any) -> Any:
    """Django's own statement comes after all that waits, also when it is a savepoint's."""
    send(database)
    return execute(sql, parameters, many, context)


# --- An exchange -------------------------------------------------------------------------------------------------


def run(database: Any, statements: Sequence[Statement], *, is_last: bool = False) -> None:
    """Send these statements and give each its rows; with `is_last` commit behind them. Begins a transaction where one is due.

    Raises Django's exception of the first one that failed, or what that statement has `instead`; those behind it were
    not run.
    """
    database.validate_no_broken_transaction()
    database.close_if_health_check_failed()
    database.ensure_connection()
    try:
        with database.wrap_database_errors:
            asked = [_as_wrapped(database, statement) for statement in statements]
            answers = _line_of(database.connection).exchange(asked, is_last=is_last)
    except IntegrityError as error:
        failed = getattr(error.__cause__, _PLACE, len(statements))
        if failed < len(statements) and (instead := statements[failed].instead):
            raise instead from error
        raise
    for statement, rows in zip(statements, answers, strict=True):
        statement.then(rows)


def _as_wrapped(database: Any, statement: Statement) -> tuple[str, Sequence[str | None]]:
    """The statement as Django's `execute_wrapper`s let it through, and noted where queries are logged."""
    given: tuple[str, Sequence[str | None]] = statement.sql, statement.values
    if len(database.execute_wrappers) > (_waiting(database) is not None):  # others than ours
        execute = _through
        for wrapper in database.execute_wrappers:
            if getattr(wrapper, "func", None) is not _before_others:
                execute = partial(wrapper, execute)
        given = execute(*given, False, {"connection": database, "cursor": None})
    if database.queries_logged:
        database.queries_log.append({"sql": given[0], "time": "0.000"})
    return given


def _through(sql: str, values: Any, many: bool, context: Any) -> Any:
    """What a wrapper takes for the execution: it hands back what it would be given."""
    return sql, values


IN_DOUBT = "tandem_in_doubt"
"""Of an exception: the connection was lost with a COMMIT on its way, and none of the statements before it was refused."""
_PLACE = "tandem_place"
"""Of psycopg's exception: the number of the statement that failed, beginning with 0; of what stands behind all, their count."""


class _Line:
    """A connection of psycopg's, used by the statements here."""

    def __init__(self, session: Any) -> None:
        from psycopg.adapt import Transformer

        self._session, self._server = session, session.pgconn
        self._prepared: dict[str, bytes] = {}
        self._made = 0
        self._rows = Transformer(session)
        self._reads, self._writes = select.poll(), select.poll()
        self._reads.register(self._server.socket, select.POLLIN)
        self._writes.register(self._server.socket, select.POLLIN | select.POLLOUT)

    def exchange(self, statements: Sequence[tuple[str, Sequence[str | None]]], *, is_last: bool) -> list[Rows]:
        """The rows of each. An exchange that is cut short leaves a connection that nobody can use: it is closed."""
        with self._session.lock:
            prepared: list[tuple[str, bytes]] = []
            kinds: list[bool] = []
            results: list[Any] = []
            try:
                kinds.extend(self._send(statements, prepared, is_last=is_last))
                for result in self._results():
                    results.append(result)  # noqa: PERF402 – those that came count, also where no more come
                self._server.exit_pipeline_mode()
            except BaseException as error:
                self._session.close()
                if is_last and all(map(_is_done, results[: len(kinds) - 1])):
                    setattr(error, IN_DOUBT, True)
                raise
            self._must_be_done(results, kinds)
            self._prepared |= dict(prepared)
            return [self._read(result) for is_asked, result in zip(kinds, results, strict=True) if is_asked]

    def _send(
        self,
        statements: Iterable[tuple[str, Sequence[str | None]]],
        prepared: list[tuple[str, bytes]],
        *,
        is_last: bool,
    ) -> Iterator[bool]:
        """Yields for each command whether its rows were asked for."""
        server, session = self._server, self._session
        asked = [(sql, [_encoded(value) for value in values]) for sql, values in statements]
        begins = not session.autocommit and not server.transaction_status
        server.enter_pipeline_mode()
        if begins:
            server.send_query_params(b"BEGIN", None)
            yield False
        for sql, values in asked:
            if session.prepare_threshold is None:
                server.send_query_params(sql.encode(), values)
                yield True
                continue
            name = self._prepared.get(sql) or dict(prepared).get(sql)
            if name is None:
                yield from self._forget()
                self._made += 1
                name = b"tandem_%d" % self._made
                prepared.append((sql, name))
                server.send_prepare(name, sql.encode())
                yield False
            server.send_query_prepared(name, values)
            yield True
        if is_last:
            server.send_query_params(b"COMMIT", None)
            yield False
        server.pipeline_sync()
        while server.flush():
            self._writes.poll()
            server.consume_input()

    def _forget(self) -> Iterator[bool]:
        if len(self._prepared) >= MOST_PREPARED:
            oldest = next(iter(self._prepared))
            self._server.send_query_params(b"DEALLOCATE " + self._prepared.pop(oldest), None)
            yield False

    def _results(self) -> Iterator[Any]:
        from psycopg.pq import ExecStatus

        server = self._server
        while True:
            while server.is_busy():
                self._reads.poll()
                server.consume_input()
            result = server.get_result()
            if result is None:  # between two commands
                continue
            if result.status == ExecStatus.PIPELINE_SYNC:
                return
            yield result

    def _must_be_done(self, results: Iterable[Any], kinds: Sequence[bool]) -> None:
        from psycopg.errors import error_from_result

        for place, result in enumerate(results):
            if not _is_done(result):
                error = error_from_result(result, encoding=self._session.info.encoding)
                setattr(error, _PLACE, sum(kinds[:place]))
                raise error

    def _read(self, result: Any) -> Rows:
        count = result.ntuples
        if not count:
            return []
        self._rows.set_pgresult(result)
        rows: Rows = self._rows.load_rows(0, count, tuple)
        return rows


def _is_done(result: Any) -> bool:
    from psycopg.pq import ExecStatus

    return result.status in (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK)


def _encoded(value: str | None) -> bytes | None:
    """Raises psycopg's `DataError` for a text that would end, for the server, before its end."""
    if value is None:
        return None
    encoded = value.encode()
    if b"\0" in encoded:
        from psycopg import DataError

        raise DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")
    return encoded


_LINE = "_tandem_line"
"""Of a connection of psycopg's: its `_Line`, made once."""


def _line_of(session: Any) -> _Line:
    line: _Line | None = getattr(session, _LINE, None)
    if line is None:
        line = _Line(session)
        setattr(session, _LINE, line)
    return line
