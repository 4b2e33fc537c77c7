"""A query that Django compiles once and that runs again with other values.

To build a statement costs the ORM several times what the database needs for a row by its key. What is asked at each event
of a stream is built once, from the same query sets as everywhere else: so who may read what stays in one place.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection
from django.db.models import QuerySet

_FIRST_PLACE = 2**61
"""Stands for a value while the statement is compiled: no id and no position is as large."""


class Prepared:
    """`build` makes the query set, of `values_list`, from whole numbers; it must use them as they are."""

    def __init__(self, build: Callable[..., QuerySet[Any, tuple[Any, ...]]]) -> None:
        self._build = build
        self._names = tuple(signature(build).parameters)
        self._compiled: tuple[str, list[Any], list[tuple[int, str]], list[tuple[int, Any, Any]]] | None = None

    def rows(self, **values: int) -> list[tuple[Any, ...]]:
        if self._compiled is None:
            self._compiled = self._compile()
        sql, parameters, places, converters = self._compiled
        parameters = parameters.copy()
        for place, name in places:
            parameters[place] = type(parameters[place])(values[name])
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
        return [_converted(row, converters) for row in rows] if converters else rows

    def _compile(self) -> tuple[str, list[Any], list[tuple[int, str]], list[tuple[int, Any, Any]]]:
        stand_ins = {_FIRST_PLACE + number: name for number, name in enumerate(self._names)}
        query = self._build(**{name: number for number, name in stand_ins.items()}).query
        compiler: Any = query.get_compiler(using=DEFAULT_DB_ALIAS)
        sql, parameters = compiler.as_sql()
        places = [(place, stand_ins[value]) for place, value in enumerate(parameters) if _stands(value, stand_ins)]
        if {name for _, name in places} != set(self._names):
            raise TypeError(f"Not every value of {self._names} is in the statement as it was given.")
        found = compiler.get_converters([column for column, *_ in compiler.select])
        converters = [(place, functions, column) for place, (functions, column) in found.items()]
        return sql, list(parameters), places, converters


def _stands(value: Any, stand_ins: dict[int, str]) -> bool:
    return isinstance(value, int) and value in stand_ins


def _converted(row: tuple[Any, ...], converters: list[tuple[int, Any, Any]]) -> tuple[Any, ...]:
    values = list(row)
    for place, functions, column in converters:
        for function in functions:
            values[place] = function(values[place], column, connection)
    return tuple(values)
