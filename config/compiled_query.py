"""Queries whose SQL is built once and asked again with other values: for large ones, building takes longer than running.

    def build(tenant_id: int) -> QuerySet[Conversation]: ...
    newest = CompiledQuery(build)
    newest.run(tenant_id=7)

The query set stays the source of the statement: it is built once with a mark in the place of each value, and compiled;
then the marks are found among the statement's parameters. One that is not found again, because the query has worked it
into something else, is refused when the query is compiled: its value would be that of the first caller for ever. Rows are
those of any query set (`config.quick_rows`).
"""

from __future__ import annotations

import copy
import itertools
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection
from django.db.models import QuerySet

from config import quick_rows, statements

_FIRST_MARK = 2_147_301_000
"""Fits the columns of ids, those of four bytes too (Django's own tables), and is no figure that a query has of itself."""
_ONE_OF = "wanted_"
_LEAST = 8
"""The fewest ids of a statement for many."""


class CompiledQuery[Row]:
    """`build` makes the query set from ids by name, the same names each time; nothing else about it may ever differ."""

    def __init__(self, build: Callable[..., QuerySet[Any, Row]]) -> None:
        self._build = build
        self._compiled: _Compiled | None = None

    def run(self, **ids: int) -> list[Row]:
        """The rows for these ids."""
        rows: list[Row] = (self._compiled or self._compile(list(ids))).run(ids)
        return rows

    def _compile(self, names: Sequence[str]) -> _Compiled:
        """Two threads at once may both compile; either result serves."""
        self._compiled = compiled = _Compiled(self._build, names)
        return compiled


class CompiledForIds[Row]:
    """The same for a query of many ids: `build(wanted, …)` gets a list of them, and must only look for them by `__in`.

    A statement takes as many ids as a power of two; a shorter list is filled up with one of them, so that few are kept.
    """

    def __init__(self, build: Callable[..., QuerySet[Any, Row]]) -> None:
        self._build = build
        self._by_size: dict[int, CompiledQuery[Row]] = {}

    def run(self, wanted: Collection[int], **ids: int) -> list[Row]:
        """The rows for these ids; no query for none."""
        if not wanted:
            return []
        size = max(_LEAST, 1 << (len(wanted) - 1).bit_length())
        query = self._by_size.get(size) or self._by_size.setdefault(size, CompiledQuery(self._of_many))
        filled = [*wanted, *[next(iter(wanted))] * (size - len(wanted))]
        return query.run(**ids, **{f"{_ONE_OF}{place}": pk for place, pk in enumerate(filled)})

    def _of_many(self, **ids: int) -> QuerySet[Any, Row]:
        wanted = [pk for name, pk in ids.items() if name.startswith(_ONE_OF)]
        return self._build(wanted, **{name: pk for name, pk in ids.items() if not name.startswith(_ONE_OF)})


class _Compiled:
    def __init__(self, build: Callable[..., QuerySet[Any]], of: Sequence[str]) -> None:
        marks = {name: _FIRST_MARK + number for number, name in enumerate(of)}
        self._rows = build(**marks)
        self._compiler: Any = self._rows.query.get_compiler(DEFAULT_DB_ALIAS)
        self._sql, parameters = self._compiler.as_sql()
        self._quick = quick_rows.rows_of(self._rows, self._compiler)
        names = {mark: name for name, mark in marks.items()}
        self._parameters = [(names.get(value) if type(value) is int else None, value) for value in parameters]
        missing = set(of) - {name for name, _ in self._parameters if name}
        if missing or any(str(mark) in self._sql for mark in names):
            raise LookupError(f"The statement does not take {', '.join(sorted(missing) or of)} as it was given.")
        if connection.vendor == "sqlite":
            self._sql, self._parameters = _with_constants_in_it(self._sql, self._parameters)
        self._given = [name for name, _ in self._parameters if name]
        self._prepared = self._for_the_server() if connection.vendor == "postgresql" else ""

    def _for_the_server(self) -> str:
        """PostgreSQL's form, whose plan the server keeps. Each place of an id has a number of its own, and so a type."""
        numbers = itertools.count()
        values = [statements.Parameter(next(numbers)) if name else value for name, value in self._parameters]
        return statements.with_values_in_it(self._sql, values)

    def run(self, values: Mapping[str, int]) -> list[Any]:
        compiler = copy.copy(self._compiler)
        compiler.connection = connection
        if self._prepared:
            given = [values[name] for name in self._given]
            compiler.execute_sql = lambda *_, **__: [statements.fetched(self._prepared, *given)]
        else:
            parameters = tuple(values[name] if name else value for name, value in self._parameters)
            compiler.as_sql = lambda *_, **__: (self._sql, parameters)
        if self._quick:
            return self._quick.read(compiler)
        rows = self._rows._chain()  # type: ignore[attr-defined]
        rows.query.get_compiler = lambda *_, **__: compiler
        return list(rows)


type _Parameters = list[tuple[str | None, Any]]


def _with_constants_in_it(sql: str, parameters: _Parameters) -> tuple[str, _Parameters]:
    """SQLite's form, whose plan it keeps: for a bound text of LIKE or of a partial index it would plan again each time."""
    bound: _Parameters = []
    following = iter(parameters)

    def place(found: re.Match[str]) -> str:
        if found[0] == "%%":
            return "%%"
        name, value = next(following)
        text = None if name else _constant(value)
        if text is None:
            bound.append((name, value))
        return text or "%s"

    return re.sub("%%|%s", place, sql), bound


def _constant(value: Any) -> str | None:
    """A number or text as it stands in a statement, for a cursor that takes %s; None for what is to be bound."""
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, str) and "\0" not in value:
        return "'" + str.__str__(value).replace("'", "''").replace("%", "%%") + "'"
    return None
