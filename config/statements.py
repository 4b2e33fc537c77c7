"""Statements of our own, for what happens with every message: built once, prepared by the server, columns that changed only.

Django builds a statement anew each time, which costs more than the database needs for it, and binds its values in the
client, so that no server can keep a plan. What a verb reads under its lock and what it writes at its end goes this way
instead. Each has an ORM form, which `tests/test_statements.py` holds it against on every database, and which is what
runs on MariaDB, whose driver neither prepares nor returns what an UPDATE has computed:

| here | the ORM's form |
|---|---|
| `insert(row)` | `row.save(force_insert=True)` |
| `insert_later(row)` | the same |
| `insert_unless_there(row, *key)` | the same in a savepoint, and `IntegrityError` is False |
| `update(row, *names)` | `row.save(update_fields=names)`; without names `row.save(force_update=True)`, less what has not changed |
| `Reading(build).rows(*given)` | `list(build(*given))` |
| `together(readings, *given)`, `asked(readings, *given)()` | the same of each, one after the other |

The text of a reading is what the ORM makes of its queryset, so there is no second form of it to keep in step. On
PostgreSQL the rows come as one JSON value, which is read in a fifth of the time of as many columns.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson
from django.db import DEFAULT_DB_ALIAS, IntegrityError, connection, connections, models, transaction
from django.db.models import QuerySet

from config import pipeline, quick_instances, reserved_ids
from config.errors import TryAgain
from config.statement_texts import Writing, change, insertion
from config.statement_values import converting, duration, moment, text

type _Convert = Callable[[Any], Any]

_MARK = -(2**53)
"""The first of the numbers that stand for a reading's parameters while the ORM builds its text: no id is below zero."""


# --- Reading -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Parameter:
    """Stands among a statement's values for one that is given when it runs: the first has the number 0."""

    number: int


@dataclass(frozen=True, slots=True)
class _Built:
    """A queryset's statement on one kind of database, and how its rows become instances."""

    sql: str
    values: tuple[Any, ...]  # with a Parameter where one stands
    model: type[models.Model]
    names: list[str]  # attributes of the model, in the order of the columns; none for `values_list`
    columns: list[int]
    annotations: dict[str, int]
    converters: list[tuple[int, _Convert]]
    is_json: tuple[bool, ...]
    is_plain: bool

    def bound(self, given: Sequence[Any]) -> list[Any]:
        return [given[value.number] if isinstance(value, Parameter) else value for value in self.values]

    def instance(self, row: list[Any]) -> Any:
        for column, convert in self.converters:
            row[column] = convert(row[column])
        if not self.names:
            return tuple(row)
        values = [row[column] for column in self.columns]
        if self.is_plain:
            made = quick_instances.instance(self.model, self.names, values, DEFAULT_DB_ALIAS)
        else:
            made = self.model.from_db(DEFAULT_DB_ALIAS, self.names, values)
        setattr(made._state, _AS_READ, dict(zip(self.names, values, strict=True)))
        for name, column in self.annotations.items():
            setattr(made, name, row[column])
        return made


_AS_READ = "tandem_as_read"
"""Of a row's state: the values that it was read with, and has been stored with since."""


class Reading:
    """A queryset of one model, by parameters that are numbers or texts, whose statement is built at its first use.

    `build` gets a parameter for each of `samples`, whose values say only of what kind they are, and may use it in
    filters as it stands. The queryset may annotate, lock, or ask for a `values_list`; it may not `select_related`.
    """

    def __init__(self, build: Callable[..., QuerySet[Any]], *samples: int | str) -> None:
        self._build, self._samples = build, samples
        self._built: dict[str, _Built] = {}

    def rows(self, *given: Any) -> list[Any]:
        [rows] = together([self], *given)
        return rows

    def built(self, vendor: str) -> _Built:
        if vendor not in self._built:
            self._built[vendor] = self._build_now()
        return self._built[vendor]

    def _build_now(self) -> _Built:
        marks: list[Any] = [
            _MARK - number if isinstance(sample, int) else f"\x02{number}\x03"
            for number, sample in enumerate(self._samples)
        ]
        queryset = self._build(*marks)
        compiler = queryset.query.get_compiler(connection.alias)
        sql, parameters = compiler.as_sql()
        chosen: list[Any] = [expression for expression, _, _ in compiler.select]
        fields = () if queryset.query.values_select else compiler.klass_info["select_fields"]
        values = [Parameter(marks.index(value)) if value in marks else value for value in parameters]
        return _Built(
            sql=with_values_in_it(sql, values) if connection.vendor == "postgresql" else sql,
            values=tuple(values),
            model=queryset.model,
            names=[chosen[column].target.attname for column in fields],
            columns=list(fields),
            annotations=dict(compiler.annotation_col_map),
            converters=list(converters(compiler, chosen)),
            is_json=tuple(isinstance(expression.output_field, models.JSONField) for expression in chosen),
            is_plain=quick_instances.is_plain(queryset.model),
        )


def together(readings: Sequence[Reading], *given: Any) -> list[list[Any]]:
    """The rows of each reading, all with the same parameters; on PostgreSQL in one statement, and so of one moment."""
    return asked(readings, *given)()


def asked(readings: Sequence[Reading], *given: Any) -> Callable[[], list[list[Any]]]:
    """As `together`, whose rows are given when what comes back is called.

    In a verb's transaction on PostgreSQL what is asked before that goes in the same exchange. Each statement begins when the
    one before it has its rows and locks.
    """
    database = connections[DEFAULT_DB_ALIAS]
    if database.vendor != "postgresql":
        each = [_rows(database, reading, given) for reading in readings]
        return lambda: each
    built = [reading.built(database.vendor) for reading in readings]
    sql = in_json(tuple((one.sql, one.is_json) for one in built))
    found: list[Any] = []
    _run(database, sql, [text(value) for value in given], found.extend, may_wait=True)

    def rows() -> list[list[Any]]:
        if not found:
            pipeline.send(database)
        [columns] = found
        return [
            [one.instance(row) for row in orjson.loads(rows)] if rows else []
            for one, rows in zip(built, columns, strict=True)
        ]

    return rows


def _rows(database: Any, reading: Reading, given: Sequence[Any]) -> list[Any]:
    built = reading.built(database.vendor)
    return [built.instance(list(row)) for row in _fetched(database, built.sql, built.bound(given))]


def with_values_in_it(sql: str, values: Sequence[Any]) -> str:
    """The statement with its constants in it, and parameters by number: the fewer are bound, the quicker it begins."""
    from psycopg.sql import Literal

    written = (
        f"${value.number + 1}" if isinstance(value, Parameter) else Literal(value).as_string() for value in values
    )
    first, *rest = (text.replace("%%", "%") for text in sql.split("%s"))
    return first + "".join(value + text for value, text in zip(written, rest, strict=True))


@cache
def in_json(parts: tuple[tuple[str, tuple[bool, ...]], ...]) -> str:
    """One row with a column for each statement, which has all its rows in JSON; None where it has none.

    JSON columns are handed on as text: their field decides what is read of it. A statement that locks stands alone.
    """
    made = []
    for sql, is_json in parts:
        names = [f"c{number}" for number in range(len(is_json))]
        values = ", ".join(
            f"t.{name}::text" if json else f"t.{name}" for name, json in zip(names, is_json, strict=True)
        )
        made.append(f"(SELECT json_agg(json_build_array({values}))::text FROM ({sql}) AS t({', '.join(names)}))")  # noqa: S608
    return f"SELECT {', '.join(made)}"


def converters(compiler: Any, chosen: Sequence[Any]) -> Iterable[tuple[int, _Convert]]:
    """How the columns' values become Python's, by the column: the ORM's own converters, but for what JSON has made of the times."""
    if connection.vendor != "postgresql":
        for column, (own, expression) in compiler.get_converters(chosen).items():
            yield column, converting(own, expression)
        return
    for column, expression in enumerate(chosen):
        field = expression.output_field
        if isinstance(field, models.DateTimeField):
            yield column, moment
        elif isinstance(field, models.DurationField):
            yield column, duration
        elif hasattr(field, "from_db_value"):
            yield column, converting([field.from_db_value], expression)


# --- Writing -----------------------------------------------------------------------------------------------------


@contextmanager
def transaction_of_a_verb() -> Iterator[None]:
    """A transaction. On PostgreSQL its changes of rows wait until something is read, or for its end (`config.pipeline`)."""
    database = connections[DEFAULT_DB_ALIAS]
    with transaction.atomic():
        if database.vendor != "postgresql":
            yield
            return
        try:
            with pipeline.gathered(database):
                yield
        finally:
            if len(database.atomic_blocks) == 1:
                reserved_ids.forget(database)


def insert(row: models.Model, *, unless_there: str = "") -> None:
    """Store a new row. It gets its id, and what the database computes of it.

    It gets a reserved id where there is one, and then waits as changes do (`config.reserved_ids`). With `unless_there`
    `TryAgain` with these words is raised, perhaps not before the end, where another row has its unique values.
    """
    database = connections[DEFAULT_DB_ALIAS]
    instead = TryAgain(unless_there) if unless_there else None
    try:
        if database.vendor == "mysql" or row.pk is not None:
            row.save(force_insert=True)
        else:
            row.pk = reserved_ids.taken(database, type(row))
            _insert(database, row, may_wait=row.pk is not None, instead=instead)
    except IntegrityError as error:
        if instead is None:
            raise
        raise instead from error


def insert_later(row: models.Model, **of_the_database: str) -> None:
    """Store a new row whose id nobody needs in this transaction: on PostgreSQL it may wait as changes do.

    `of_the_database`: an expression in its SQL for each column that does not get the row's own value.
    """
    database = connections[DEFAULT_DB_ALIAS]
    if database.vendor == "postgresql":
        _insert(database, row, of_the_database=tuple(of_the_database.items()), may_wait=True)
    else:
        insert(row)


def insert_unless_there(row: models.Model, *key: str) -> bool:
    """Store a new row unless one with the same unique `key` is there; False if it is. Waits for one that is being stored.

    One that gets a reserved id waits as changes do: if another was stored meanwhile, `TryAgain` is raised at the end.
    """
    database = connections[DEFAULT_DB_ALIAS]
    row.pk = reserved_ids.taken(database, type(row))
    if row.pk is not None:
        instead = TryAgain(f"the {row._meta.verbose_name} was stored just now")
        _insert(database, row, may_wait=True, instead=instead)
        return True
    if database.vendor == "mysql":
        try:
            with transaction.atomic():
                row.save(force_insert=True)
        except IntegrityError:
            return False
        return True
    return _insert(database, row, key)


def _insert(
    database: Any,
    row: models.Model,
    key: tuple[str, ...] = (),
    of_the_database: tuple[tuple[str, str], ...] = (),
    *,
    may_wait: bool = False,
    instead: Exception | None = None,
) -> bool:
    """Whether the row is stored by now."""

    def stored(is_stored: bool) -> None:
        if is_stored:
            row._state.adding, row._state.db = False, DEFAULT_DB_ALIAS

    writing = insertion(type(row), database.vendor, key, of_the_database, has_id=row.pk is not None)
    _write(database, writing, row, is_new=True, then=stored, may_wait=may_wait, instead=instead)
    return not row._state.adding


def update(row: models.Model, *names: str) -> None:
    """Store these attributes of a row that is there; if none is named, those that are not as they were read, or all of a
    row that no `Reading` has read. Raises Django's `NotUpdated` for one that is not there any more.
    """
    if getattr(_held_back, "model", None) is type(row):
        return
    database = connections[DEFAULT_DB_ALIAS]
    as_read: dict[str, Any] | None = getattr(row._state, _AS_READ, None)
    if not names and as_read is not None:
        names = tuple(_changed(row, as_read))
        if not names:
            return
    if database.vendor == "mysql":
        row.save(force_update=not names, update_fields=names or None)
        return

    def stored(is_there: bool) -> None:
        if not is_there:
            not_updated: type[Exception] = type(row).NotUpdated  # type: ignore[attr-defined]  # Django 6's, not typed yet
            raise not_updated(f"{row._meta.verbose_name} {row.pk} is not there any more.")

    pk = text(row.pk) if database.vendor == "postgresql" else row.pk
    writing = change(type(row), names, database.vendor)
    _write(database, writing, row, pk, is_new=False, then=stored, may_wait=True)
    if as_read is not None:
        as_read.update((name, row.__dict__[name]) for name in names if name in as_read)


def _changed(row: models.Model, as_read: dict[str, Any]) -> Iterable[str]:
    """The attributes that have another value; those of JSON always, because it may have been changed in its place."""
    for field in row._meta.local_concrete_fields:
        name = field.attname
        if field.generated or field.primary_key or name not in as_read:
            continue
        if isinstance(field, models.JSONField) or as_read[name] != row.__dict__[name]:
            yield name


@contextmanager
def held_back(model: type[models.Model]) -> Iterator[None]:
    """No change of the model's rows is stored by this thread within: whoever works on many stores them all afterwards."""
    _held_back.model = model
    try:
        yield
    finally:
        _held_back.model = None


_held_back = threading.local()


def store(row: models.Model) -> None:
    """Store a row, whether it is new or not."""
    if row.pk is None:
        insert(row)
    else:
        update(row)


# --- Running -----------------------------------------------------------------------------------------------------


def _write(
    database: Any,
    writing: Writing,
    row: models.Model,
    *more: Any,
    is_new: bool,
    then: Callable[[bool], None],
    may_wait: bool,
    instead: Exception | None = None,
) -> None:
    """Tell `then` whether a row was stored."""

    def answered(rows: pipeline.Rows) -> None:
        for returned in rows[:1]:
            for name, value in zip(writing.returned, returned, strict=True):
                setattr(row, name, value)
        then(bool(rows))

    values = [*writing.values(row, is_new=is_new), *more]
    _run(database, writing.sql, values, answered, may_wait=may_wait, instead=instead)


def run_later(sql: str, *values: Any, then: Callable[[pipeline.Rows], None] = lambda _: None) -> None:
    """A statement of PostgreSQL's, with its parameters as $1, $2, …, that stands where it belongs. It may wait as changes do."""
    _run(connections[DEFAULT_DB_ALIAS], sql, [text(value) for value in values], then, may_wait=True)


def fetched(sql: str, *values: Any) -> pipeline.Rows:
    """The rows of such a statement, now."""
    return _fetched(connections[DEFAULT_DB_ALIAS], sql, [text(value) for value in values])


def _fetched(database: Any, sql: str, values: Sequence[Any]) -> pipeline.Rows:
    rows: list[pipeline.Rows] = []
    _run(database, sql, values, rows.append)
    return rows[0]


def _run(
    database: Any,
    sql: str,
    values: Sequence[Any],
    then: Callable[[pipeline.Rows], None],
    *,
    may_wait: bool = False,
    instead: Exception | None = None,
) -> None:
    """Give `then` the rows of a statement; of one that `may_wait`, perhaps not before something else is asked."""
    if database.vendor != "postgresql":
        with database.cursor() as cursor:
            cursor.execute(sql, values)
            rows = list(cursor.fetchall())
        then(rows)
        return
    statement = pipeline.Statement(sql, values, then, instead)
    if may_wait:
        pipeline.later(database, statement)
    else:
        pipeline.run_after_what_waits(database, statement)
