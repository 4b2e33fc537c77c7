"""Readings of many rows by lists of ids, whose statements are built once.

`config.statements` has the same for a few rows, by parameters that are numbers and texts. `tests/test_bulk_rows.py` holds
each kind of parameter against the ORM's form on every database.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from django.db import connection, models

from config import statements
from config.statement_values import array_of_ids

A_MOMENT = datetime.max.replace(tzinfo=UTC)
"""A sample for a parameter that is a moment."""


@dataclass(frozen=True, slots=True)
class _BulkStatement:
    """A statement of PostgreSQL's. Its values, with the number of a parameter where one stands."""

    sql: str
    values: tuple[Any, ...]
    slots: tuple[tuple[int, int], ...]  # places among the values, and the parameters that stand there
    converters: tuple[tuple[int, Callable[[Any], Any]], ...]


class BulkReading:
    """A `values_list` by parameters that are lists of ids (for `among`), moments or texts.

    `build` gets a parameter for each of `samples`, whose values say only of what kind they are, and may use it in filters
    as it stands. On PostgreSQL the statement is built at its first use, and all rows come as one JSON value, which is read
    in a fifth of the time; elsewhere this is its ORM form.
    """

    def __init__(
        self, build: Callable[..., models.QuerySet[Any, Any]], *samples: Sequence[int] | datetime | str
    ) -> None:
        self.build, self._samples = build, samples
        self._built: _BulkStatement | None = None

    def rows(self, *given: Any) -> list[tuple[Any, ...]]:
        if connection.vendor != "postgresql":
            return self.rows_by_orm(*given)
        built = self._built = self._built or self._build_now()
        values = list(built.values)
        for place, number in built.slots:
            values[place] = _as_parameter(given[number])
        with connection.cursor() as cursor:
            cursor.execute(built.sql, values)
            [[found]] = cursor.fetchall()
        rows = orjson.loads(found) if found else []
        for column, convert in built.converters:
            for row in rows:
                row[column] = convert(row[column])
        return list(map(tuple, rows))

    def rows_by_orm(self, *given: Any) -> list[tuple[Any, ...]]:
        return list(self.build(*given))

    def _build_now(self) -> _BulkStatement:
        marks = [_mark(sample, number) for number, sample in enumerate(self._samples)]
        compiler = self.build(*marks).query.get_compiler(connection.alias)
        sql, values = compiler.as_sql()
        chosen = [expression for expression, _, _ in compiler.select]
        is_json = tuple(isinstance(expression.output_field, models.JSONField) for expression in chosen)
        known = {_as_parameter(mark): number for number, mark in enumerate(marks)}
        slots = tuple((place, known[value]) for place, value in enumerate(values) if _is_among(value, known))
        converters = tuple(statements.converters(compiler, chosen))
        return _BulkStatement(statements.in_json(((sql, is_json),)), tuple(values), slots, converters)


def _mark(sample: Sequence[int] | datetime | str, number: int) -> Any:
    """What stands for a parameter while the statement is built, and is none of its other values."""
    if isinstance(sample, str):
        return f"\x02{number}\x03"
    return A_MOMENT.replace(microsecond=number) if isinstance(sample, datetime) else [-(2**53) - number]


def _as_parameter(value: Any) -> Any:
    return value if isinstance(value, str | datetime) else array_of_ids(value)


def _is_among(value: Any, known: Mapping[Any, int]) -> bool:
    return isinstance(value, str | datetime) and value in known
