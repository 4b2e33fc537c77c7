"""How the values of a model's fields go into our own statements (`config.statements`), and come out of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import connection, models
from django.utils.dateparse import parse_duration


def converting(converters: Sequence[Callable[..., Any]], expression: Any) -> Callable[[Any], Any]:
    """The ORM's converters of a column's values, one after the other."""
    if len(converters) == 1:
        [only] = converters
        return lambda value: only(value, expression, connection)

    def convert(value: Any) -> Any:
        for converter in converters:
            value = converter(value, expression, connection)
        return value

    return convert


def moment(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value) if value is not None else None


def duration(value: str | None) -> Any:
    return parse_duration(value) if value is not None else None


def sets_itself(field: Any) -> bool:
    """Whether the field makes a value of its own when the row is stored."""
    if isinstance(field, models.DateField):
        return field.auto_now or field.auto_now_add
    return type(field).pre_save is not models.Field.pre_save


def into(field: Any, vendor: str) -> Callable[[Any], Any]:
    """How a value of this field goes into a statement.

    To PostgreSQL all go as text, whose type the column decides: else each mixture of small numbers, large numbers and
    NULL would be another statement to prepare.
    """
    if vendor != "postgresql":
        return lambda value: field.get_db_prep_save(value, connection)
    if isinstance(field, models.JSONField):
        return lambda value: None if value is None else json.dumps(value, cls=field.encoder)
    if isinstance(field, models.BooleanField):
        return lambda value: text(field.get_prep_value(value))
    if isinstance(field, _AS_THEY_STAND):
        return text
    return lambda value: text(field.get_db_prep_save(value, connection))


_AS_THEY_STAND = (
    models.CharField,
    models.TextField,
    models.IntegerField,
    models.ForeignKey,
    models.DateTimeField,
    models.DurationField,
)
"""Fields whose values are, as text, what PostgreSQL reads as their type; times with their offset."""


def text(value: Any) -> str | None:
    if value is None:
        return None
    return ("t" if value else "f") if value is True or value is False else str(value)


def array_of_ids(ids: Iterable[int]) -> str:
    """An array of whole numbers as PostgreSQL reads it."""
    return "{" + ",".join([f"{pk:d}" for pk in ids]) + "}"
