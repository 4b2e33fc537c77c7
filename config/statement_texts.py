"""The texts of the INSERTs and UPDATEs of `config.statements`: built once for a model and what is stored of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.db import connection, models

from config.statement_values import into, sets_itself


@dataclass(frozen=True, slots=True)
class Writing:
    """An INSERT or UPDATE of one model, on one kind of database."""

    sql: str
    parts: tuple[tuple[Any, str, Callable[[Any], Any]], ...]
    """Of each value: a field that makes it, or None; its attribute; how it is handed to the driver."""
    returned: tuple[str, ...]
    """The attributes that get what the database has computed."""

    def values(self, row: models.Model, *, is_new: bool) -> list[Any]:
        return [
            convert(field.pre_save(row, is_new) if field else getattr(row, name)) for field, name, convert in self.parts
        ]


@cache
def insertion(
    model: type[models.Model],
    vendor: str,
    key: tuple[str, ...] = (),
    of_the_database: tuple[tuple[str, str], ...] = (),
    *,
    has_id: bool = False,
) -> Writing:
    """Of a new row. `key`: store nothing where a row has these values; `of_the_database`: columns with an expression in its
    SQL; `has_id`: with an id that it has already.
    """
    meta = model._meta
    own = (f for f in meta.local_concrete_fields if not f.generated)
    fields = tuple(f for f in own if has_id or f is not meta.auto_field)
    expressions = {meta.get_field(name): expression for name, expression in of_the_database}
    given = tuple(f for f in fields if f not in expressions)
    places = iter(_places(len(given), vendor))
    columns, values = ", ".join(map(_quoted, fields)), ", ".join(expressions.get(f) or next(places) for f in fields)
    returned: tuple[Any, ...] = (*meta.db_returning_fields, *expressions)
    once = f" ON CONFLICT ({', '.join(_quoted(meta.get_field(name)) for name in key)}) DO NOTHING" if key else ""
    given_back = ", ".join(map(_quoted, returned))
    sql = f"INSERT INTO {_table(model)} ({columns}) VALUES ({values}){once} RETURNING {given_back}"  # noqa: S608
    return Writing(sql, _parts(given, vendor), tuple(f.attname for f in returned))


@cache
def change(model: type[models.Model], names: tuple[str, ...], vendor: str) -> Writing:
    """Of these attributes, or of all, by the id. Raises `LookupError` for one that the model does not have."""
    meta = model._meta
    concrete: Sequence[Any] = meta.local_concrete_fields
    own = (f for f in concrete if not f.generated and not f.primary_key)
    fields = tuple(f for f in own if not names or f.name in names or f.attname in names)
    if names and len(fields) != len(names):
        raise LookupError(f"{model.__name__} has not all of {', '.join(names)}.")
    computed = tuple(f for f in concrete if f.generated and f.referenced_fields & set(fields))
    *places, last = _places(len(fields) + 1, vendor)
    changes = ", ".join(f"{_quoted(f)} = {place}" for f, place in zip(fields, places, strict=True))
    returned = ", ".join(map(_quoted, computed)) or _quoted(meta.pk)
    sql = f"UPDATE {_table(model)} SET {changes} WHERE {_quoted(meta.pk)} = {last} RETURNING {returned}"  # noqa: S608
    attributes = tuple(f.attname for f in computed) or (meta.pk.attname,)
    return Writing(sql, _parts(fields, vendor), attributes)


def _parts(fields: Iterable[Any], vendor: str) -> tuple[tuple[Any, str, Callable[[Any], Any]], ...]:
    return tuple((field if sets_itself(field) else None, field.attname, into(field, vendor)) for field in fields)


def _places(count: int, vendor: str) -> list[str]:
    return [f"${number + 1}" if vendor == "postgresql" else "%s" for number in range(count)]


def _table(model: type[models.Model]) -> str:
    return connection.ops.quote_name(model._meta.db_table)


def _quoted(field: Any) -> str:
    return connection.ops.quote_name(field.column)
