"""Rows of a statement as instances of models, put together at once: what the framework makes of them, the same to the last
attribute (tests/test_compiled_query.py), without a call for each of their columns.

The framework gives each value to its attribute one by one, and asks anew for each query how values are converted; a page
of the desk has 200 instances of 25 columns. What is unusual is left to it: a model with an `__init__`, descriptors or
listeners of its own, rows that are prefetched for, and whatever is no model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain
from operator import itemgetter
from typing import Any

from django.db import connection
from django.db.models import FETCH_ONE, QuerySet
from django.db.models.query import ModelIterable

from config.quick_instances import instance, is_plain
from config.statement_values import converting

type _Convert = Callable[[Any], Any]


def rows_of(queryset: QuerySet[Any], compiler: Any) -> QuickRows | None:
    """How the rows of a compiled query set are made; None where the framework has to. The compiler has made its SQL."""
    its: Any = queryset
    if its._iterable_class is not ModelIterable or its._prefetch_related_lookups or its._known_related_objects:
        return None
    if its._fetch_mode is not FETCH_ONE or not all(map(_is_plain, _infos(compiler.klass_info))):
        return None
    return QuickRows(compiler)


class QuickRows:
    def __init__(self, compiler: Any) -> None:
        columns = [column for column, *_ in compiler.select]
        self._of_any, self._of_values = _converters(compiler, columns)
        self._maker = _Maker(compiler.klass_info, columns)
        self._annotations = list(compiler.annotation_col_map.items())

    def read(self, compiler: Any) -> list[Any]:
        """Runs the statement, which `compiler` gives, and returns the instances."""
        made = []
        for found in chain.from_iterable(compiler.execute_sql()):
            row = list(found)
            for column, convert in self._of_values:
                if (value := row[column]) is not None:
                    row[column] = convert(value)
            for column, convert in self._of_any:
                row[column] = convert(row[column])
            instance = self._maker.instance(row)
            for name, column in self._annotations:
                setattr(instance, name, row[column])
            made.append(instance)
        return made


class _Maker:
    """Makes an instance of one model from its columns of a row, and what is related to it."""

    def __init__(self, info: dict[str, Any], columns: Sequence[Any]) -> None:
        places = info["select_fields"]
        self._model = info["model"]
        self._names = [columns[place].target.attname for place in places]
        self._values: Callable[[Any], tuple[Any, ...]] = itemgetter(*places) if len(places) > 1 else _only(places[0])
        self._key = places[self._names.index(self._model._meta.pk.attname)]
        self._related = [
            (_Maker(inner, columns), inner["local_setter"], inner["remote_setter"])
            for inner in info.get("related_klass_infos", ())
        ]

    def instance(self, row: list[Any]) -> Any:
        """None where the row has none: its key is empty."""
        if row[self._key] is None:
            return None
        made = instance(self._model, self._names, self._values(row), connection.alias)
        for maker, set_here, set_there in self._related:
            other = maker.instance(row)
            set_here(made, other)
            if other is not None:
                set_there(other, made)
        return made


def _only(place: int) -> Callable[[Any], tuple[Any, ...]]:
    return lambda row: (row[place],)


def _infos(info: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield info
    for inner in info.get("related_klass_infos", ()):
        yield from _infos(inner)


def _is_plain(info: dict[str, Any]) -> bool:
    return not info.get("from_parent") and is_plain(info["model"])


# --- Values ------------------------------------------------------------------------------------------------------

type _Converters = list[tuple[int, _Convert]]


def _converters(compiler: Any, columns: Sequence[Any]) -> tuple[_Converters, _Converters]:
    """How the values of columns become Python's: of any value, NULL too, and of those that are not NULL."""
    of_any, of_values = [], []
    for column, (converters, expression) in compiler.get_converters(columns).items():
        names = [getattr(converter, "__name__", "") for converter in converters]
        if connection.vendor == "sqlite" and len(names) == 1 and names[0] in _OF_SQLITE:
            of_values.append((column, _OF_SQLITE[names[0]]))
        else:
            of_any.append((column, converting(converters, expression)))
    return of_any, of_values


def _moment(value: Any) -> Any:
    """SQLite's text of a time, which has no zone and is UTC."""
    if type(value) is str:
        value = datetime.fromisoformat(value)
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _truth(value: Any) -> Any:
    return bool(value) if value in (1, 0) else value


_OF_SQLITE: dict[str, _Convert] = {"convert_datetimefield_value": _moment, "convert_booleanfield_value": _truth}
"""The backend's converters, without their questions; they leave NULL as it is."""
