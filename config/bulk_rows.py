"""Many rows in one statement, without what the ORM does for each value of each row.

On PostgreSQL a column is one array, and one in which all rows have the same is one value: `INSERT … SELECT … FROM unnest(…)`,
bound on the server, which keeps the plan (`config/statements.py`).
MariaDB and SQLite get a list of rows. How a value is handed over is decided once for each model, by its fields. Beside each
statement stands its ORM form (`…_by_orm`): the same rows, keys and refusals (`tests/test_bulk_rows.py`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import batched, chain
from operator import attrgetter
from typing import Any, NamedTuple

from django.db import DEFAULT_DB_ALIAS, IntegrityError, connection, models, transaction
from django.db.models.base import ModelState
from django.db.models.constants import OnConflict

from config import pipeline, statements

MOST = 5000
"""Rows of one statement."""


class Same(NamedTuple):
    """A column in which all rows have one value."""

    value: Any


type Columns = Mapping[str, Sequence[Any] | Same]
"""Values by the name of the model's attribute, such as `tenant_id`."""


# --- The statements, each beside its ORM form --------------------------------------------------------------------


def insert_columns(model: type[models.Model], columns: Columns, count: int) -> None:
    """Store `count` rows, of which each column is given but the key."""
    _insert(model, columns, count)


def insert_columns_by_orm(model: type[models.Model], columns: Columns, count: int) -> None:
    lists = {name: [own.value] * count if isinstance(own, Same) else own for name, own in columns.items()}
    rows = [model(**dict(zip(lists, values, strict=True))) for values in zip(*lists.values(), strict=True)]
    model._base_manager.bulk_create(rows, batch_size=MOST)


def insert_rows(model: type[models.Model], rows: Sequence[models.Model]) -> None:
    """Store new rows, and give each its key."""
    _with_keys(rows, _insert(model, _columns(model, rows), len(rows), with_keys=True))


def insert_rows_later(model: type[models.Model], rows: Sequence[models.Model]) -> None:
    """The same; within `statements.transaction_of_a_verb` it may wait, and the keys with it."""
    if connection.vendor != "postgresql" or len(rows) > MOST:
        insert_rows(model, rows)
        return
    _insert(model, _columns(model, rows), len(rows), with_keys=True, then=partial(_with_keys, rows))


def _with_keys(rows: Sequence[models.Model], keys: pipeline.Rows) -> None:
    for row, (pk, *_) in zip(rows, keys, strict=True):
        _is_stored(row, pk)


def _is_stored(row: models.Model, pk: int) -> None:
    row.pk = pk
    row._state.adding, row._state.db = False, connection.alias


def insert_rows_by_orm(model: type[models.Model], rows: Sequence[models.Model]) -> None:
    model._base_manager.bulk_create(rows, batch_size=MOST)


def insert_unknown(model: type[models.Model], rows: Sequence[models.Model]) -> None:
    """Store those rows that no unique constraint refuses; the others are passed over. The rows are given no keys."""
    _insert(model, _columns(model, rows), len(rows), only_unknown=True)


def insert_each_unknown(model: type[models.Model], rows: Sequence[models.Model], key: Sequence[str]) -> bool:
    """Store those rows that no unique constraint refuses, and give each its key; whether that is all of them.

    The rows differ in `key`, attributes that are texts. Not on MariaDB, which does not tell which rows it has stored.
    """
    stored = _insert(model, _columns(model, rows), len(rows), with_keys=True, only_unknown=True, returned=key)
    keys = {tuple(own): pk for pk, *own in stored}
    for row in rows:
        if (pk := keys.get(tuple(getattr(row, name) for name in key))) is not None:
            _is_stored(row, pk)
    return len(keys) == len(rows)


def insert_each_unknown_by_orm(model: type[models.Model], rows: Sequence[models.Model], key: Sequence[str]) -> bool:
    stored = []
    for row in rows:
        try:
            with transaction.atomic():
                row.save(force_insert=True)
        except IntegrityError:
            continue
        stored.append(row)
    return len(stored) == len(rows)


def insert_unknown_by_orm(model: type[models.Model], rows: Sequence[models.Model]) -> None:
    model._base_manager.bulk_create(rows, batch_size=MOST, ignore_conflicts=True)


def update_rows(model: type[models.Model], rows: Iterable[models.Model], fields: Sequence[str]) -> None:
    """Store these fields (by the names of their attributes) of rows that are there."""
    form = _form(model, connection.vendor)
    named = [form[name] for name in ("pk", *fields)]
    for part in batched({row.pk: row for row in rows}.values(), MOST):
        keys, *values = ([column.of(row) for row in part] for column in named)
        handed = [(column, _handed(column, own)) for column, own in zip(named[1:], values, strict=True)]
        _UPDATE[connection.vendor](model, named[0], keys, handed)


def update_rows_by_orm(model: type[models.Model], rows: Iterable[models.Model], fields: Sequence[str]) -> None:
    names = {field.attname: field.name for field in model._meta.concrete_fields}
    unique = {row.pk: row for row in rows}.values()
    model._base_manager.bulk_update(unique, [names[name] for name in fields], batch_size=MOST)


def find(
    model: type[models.Model], shared: Mapping[str, Any], key: str, values: Sequence[str], fields: Sequence[str]
) -> list[tuple[Any, ...]]:
    """`fields` of the rows that have one of these values as their `key`, a text that is unique where `shared` is the same.

    On PostgreSQL each is looked up in the index. For a list of constants the planner may read the whole table instead.
    """
    if not values or connection.vendor != "postgresql":
        return find_by_orm(model, shared, key, values, fields)
    form = _form(model, connection.vendor)
    where = " AND ".join(f"{form[name].name} = %s" for name in shared)
    statement = (
        f"SELECT {', '.join(form[name].name for name in fields)} FROM unnest(%s::text[]) AS r (wanted)"  # noqa: S608
        f" CROSS JOIN LATERAL (SELECT * FROM {_table(model)}"
        f" WHERE {where} AND {form[key].name} = r.wanted LIMIT 1) AS t"
    )
    return [tuple(row) for row in _run(statement, [_array(form[key], values), *shared.values()], returns=True)]


def find_by_orm(
    model: type[models.Model], shared: Mapping[str, Any], key: str, values: Sequence[str], fields: Sequence[str]
) -> list[tuple[Any, ...]]:
    return list(model._base_manager.filter(**shared, **{f"{key}__in": values}).values_list(*fields))


# --- Rows that are not stored yet --------------------------------------------------------------------------------


def fresh[M: models.Model](model: type[M], related: Mapping[str, models.Model], **values: Any) -> M:
    """A new row as `model(**related, **values)` makes it, in a tenth of the calls. `values` are by attribute (`tenant_id`),
    `related` by field. Raises `TypeError` for what the model has not.
    """
    plain, made = _defaults(model)
    row = model.__new__(model)
    row._state = ModelState()
    own = row.__dict__
    own.update(plain)
    for name, make in made:
        own[name] = make()
    own.update(values)
    for field, other in related.items():
        own[f"{field}_id"] = other.pk
        row._state.fields_cache[field] = other
        row._state.db = DEFAULT_DB_ALIAS  # there is one database
    if len(own) != len(plain) + len(made) + 1:  # and the state
        raise TypeError(f"{model.__name__} has not all of {', '.join((*related, *values))}.")
    return row


@lru_cache(maxsize=64)
def _defaults(model: type[models.Model]) -> tuple[dict[str, Any], tuple[tuple[str, Callable[[], Any]], ...]]:
    """What a new row has in each attribute: values, and what makes one anew."""
    fields = [field for field in model._meta.concrete_fields if not field.generated]
    made = tuple((field.attname, field.default) for field in fields if callable(field.default) and field.has_default())
    names = dict(made)
    return {field.attname: field.get_default() for field in fields if field.attname not in names}, made


# --- What a value is for the driver ------------------------------------------------------------------------------

_INTEGERS = frozenset(
    f"{size}{kind}"
    for size in ("", "Big", "Small", "Positive", "PositiveBig", "PositiveSmall")
    for kind in ("AutoField", "IntegerField")
)


@dataclass(frozen=True, slots=True)
class _Column:
    """A field: its quoted name, its type on PostgreSQL, where a row has its value (`of_new`: one that is not stored yet),
    and how values are handed over.
    """

    name: str
    type: str
    of: Callable[[Any], Any]
    of_new: Callable[[Any], Any]
    handed: Callable[[Sequence[Any]], list[Any]]


@lru_cache(maxsize=64)
def _form(model: type[models.Model], vendor: str) -> dict[str, _Column]:
    """The columns of a model that are written, by the name of their attribute; the key stands under `pk`."""
    written = [field for field in model._meta.concrete_fields if not field.generated]
    return {"pk" if field.primary_key else field.attname: _column(field, vendor) for field in written}


def _table(model: type[models.Model]) -> str:
    return connection.ops.quote_name(model._meta.db_table)


def _column(field: Any, vendor: str) -> _Column:
    """Raises `TypeError` for a field of which nothing here knows how the ORM would store it."""
    kind = (field.target_field if field.is_relation else field).get_internal_type()
    if field.has_db_default() or getattr(field, "auto_now", False):
        raise TypeError(f"{field} has a value that the database or the ORM gives it")
    if kind in _INTEGERS:
        handed: Callable[[Sequence[Any]], list[Any]] = _whole
    elif kind in ("CharField", "TextField"):
        handed = _texts
    elif kind == "BooleanField":
        handed = list
    elif kind == "DateTimeField":
        handed = _moments if vendor == "postgresql" else _naive_moments
    elif kind == "JSONField":
        handed = partial(_json, encoder=field.encoder)
    else:
        raise TypeError(f"{field} is a {kind}")
    of = attrgetter(field.attname)
    of_new = partial(field.pre_save, add=True) if getattr(field, "auto_now_add", False) else of
    # Without its length, to which a cast would cut a text in silence.
    return _Column(connection.ops.quote_name(field.column), field.db_type(connection).split("(")[0], of, of_new, handed)


def _whole(values: Sequence[Any]) -> list[Any]:
    return [value if type(value) is int or value is None else int(value) for value in values]


def _texts(values: Sequence[Any]) -> list[Any]:
    return [value if type(value) is str or value is None else str(value) for value in values]


def _moments(values: Sequence[Any]) -> list[Any]:
    return [value and value.isoformat() for value in values]


def _naive_moments(values: Sequence[Any]) -> list[Any]:
    return [value and connection.ops.adapt_datetimefield_value(value) for value in values]


def _json(values: Sequence[Any], encoder: Any) -> list[Any]:
    return ["{}" if value == {} else None if value is None else json.dumps(value, cls=encoder) for value in values]


def _columns(model: type[models.Model], rows: Sequence[models.Model]) -> Columns:
    written = _form(model, connection.vendor).items()
    return {name: list(map(column.of_new, rows)) for name, column in written if name != "pk"}


# --- Insert ------------------------------------------------------------------------------------------------------


def _insert(
    model: type[models.Model],
    columns: Columns,
    count: int,
    *,
    with_keys: bool = False,
    only_unknown: bool = False,
    returned: Sequence[str] = (),
    then: Callable[[pipeline.Rows], None] | None = None,
) -> list[Sequence[Any]]:
    """The keys of the new rows in their order, if they are asked for, each with what is `returned` besides; `then` gets
    them later. Raises `TypeError` for a column that is missing.
    """
    form = dict(_form(model, connection.vendor))
    key = form.pop("pk")
    if form.keys() != columns.keys():
        raise TypeError(f"{model.__name__} has other columns: {', '.join(sorted(form.keys() ^ columns.keys()))}")
    conflict = OnConflict.IGNORE if only_unknown else None
    names = ", ".join(column.name for column in form.values())
    into = f"{connection.ops.insert_statement(on_conflict=conflict)} {_table(model)}"
    after = connection.ops.on_conflict_suffix_sql([], conflict, [], [])
    if with_keys:
        after += f" RETURNING {', '.join((key.name, *(form[name].name for name in returned)))}"
    handed = [(column, _handed(column, columns[name])) for name, column in form.items()]
    keys: list[Sequence[Any]] = []
    for values, parameters in (_arrays if connection.vendor == "postgresql" else _lists)(handed, count):
        keys += _run(f"{into} ({names}) {values} {after}", parameters, returns=with_keys, then=then)
    return keys


def _run(
    sql: str, parameters: Sequence[Any], *, returns: bool = False, then: Callable[[pipeline.Rows], None] | None = None
) -> pipeline.Rows:
    """The rows of a statement, if it `returns` any; `then` gets them later. What returns nothing may wait."""
    if connection.vendor == "postgresql":
        first, *rest = sql.split("%s")
        sql = first + "".join([f"${place}{text}" for place, text in enumerate(rest, 1)])
        if returns and then is None:
            return statements.fetched(sql, *parameters)
        statements.run_later(sql, *parameters, then=then or _nothing)
        return []
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall()) if returns else []


def _nothing(_: pipeline.Rows) -> None:
    """Nobody waits for the rows."""


type _Handed = list[tuple[_Column, list[Any] | Same]]


def _handed(column: _Column, values: Sequence[Any] | Same) -> list[Any] | Same:
    """The values of a column as they are handed over: one, where all are the same."""
    if isinstance(values, Same):
        return Same(column.handed([values.value])[0])
    handed = column.handed(values)
    return Same(handed[0]) if handed and handed.count(handed[0]) == len(handed) else handed


def _arrays(columns: _Handed, count: int) -> Iterator[tuple[str, list[Any]]]:
    """On PostgreSQL: rows of arrays, and of the values that all have. Its planner sees one row, however many there are."""
    for start in range(0, count, MOST):
        chosen, same, arrays = [], [], []
        for column, values in columns:
            if isinstance(values, Same):
                chosen.append(f"%s::{column.type}")
                same.append(values.value)
            else:
                arrays.append((column, _array(column, values[start : start + MOST])))
                chosen.append(f"c{len(arrays)}")
        if arrays:
            rows = f"unnest({', '.join(f'%s::{column.type}[]' for column, _ in arrays)})"
            rows += f" AS r ({', '.join(f'c{place}' for place in range(1, len(arrays) + 1))})"
        else:
            rows = f"generate_series(1, {min(MOST, count - start)})"
        yield f"SELECT {', '.join(chosen)} FROM {rows}", [*same, *(array for _, array in arrays)]  # noqa: S608


def _as_lists(columns: _Handed, count: int) -> list[list[Any]]:
    return [[values.value] * count if isinstance(values, Same) else values for _, values in columns]


def array_of_texts(values: Iterable[str | None]) -> str:
    """An array of texts as PostgreSQL reads it."""
    values = list(values)
    if None not in values and (whole := "\x00".join(values)).count("\x00") == len(values) - 1:  # type: ignore[arg-type]
        # Nearly always, and quoted at once: no text that PostgreSQL can hold has a NUL.
        whole = whole.replace("\\", "\\\\").replace('"', '\\"').replace("\x00", '","')
        return f'{{"{whole}"}}'
    quoted = [
        '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' if value is not None else "NULL" for value in values
    ]
    return "{" + ",".join(quoted) + "}"


def _array(column: _Column, values: Iterable[Any]) -> str:
    """An array as PostgreSQL reads it. Only texts and JSON have in them what must be quoted."""
    if column.type in ("varchar", "text", "jsonb"):
        return array_of_texts(values)
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"


def _lists(columns: _Handed, count: int) -> Iterator[tuple[str, list[Any]]]:
    """On MariaDB and SQLite: a list of rows, as many as a statement may have parameters for."""
    lists = _as_lists(columns, count)
    most = connection.features.max_query_params
    size = min(MOST, most // len(lists)) if most else MOST
    row = f"({', '.join(['%s'] * len(lists))})"
    for rows in batched(zip(*lists, strict=True), size):
        yield f"VALUES {', '.join([row] * len(rows))}", list(chain.from_iterable(rows))


# --- Update ------------------------------------------------------------------------------------------------------


def _update_by_arrays(model: type[models.Model], key: _Column, keys: list[Any], columns: _Handed) -> None:
    chosen, same, arrays = [], [], [(key, _array(key, keys))]
    for column, values in columns:
        if isinstance(values, Same):
            chosen.append(f"{column.name} = %s::{column.type}")
            same.append(values.value)
        else:
            chosen.append(f"{column.name} = r.c{len(arrays)}")
            arrays.append((column, _array(column, values)))
    statement = (
        f"UPDATE {_table(model)} AS t SET {', '.join(chosen)}"  # noqa: S608
        f" FROM unnest({', '.join(f'%s::{column.type}[]' for column, _ in arrays)})"
        f" AS r ({', '.join(f'c{place}' for place in range(len(arrays)))}) WHERE t.{key.name} = r.c0"
    )
    _run(statement, [*same, *(array for _, array in arrays)])


def _update_one_by_one(model: type[models.Model], key: _Column, keys: list[Any], columns: _Handed) -> None:
    """On SQLite, which is in this process, and on MariaDB, which locks what it looks through on its way to a row: for a join
    that may be the whole table.
    """
    sets = ", ".join(f"{column.name} = %s" for column, _ in columns)
    statement = f"UPDATE {_table(model)} SET {sets} WHERE {key.name} = %s"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.executemany(statement, list(zip(*_as_lists(columns, len(keys)), keys, strict=True)))


_UPDATE = {"postgresql": _update_by_arrays, "mysql": _update_one_by_one, "sqlite": _update_one_by_one}
