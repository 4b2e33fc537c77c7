"""Where the three supported databases differ: each difference once, in one place."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import Error, connection, models
from django.db.models import CharField, OuterRef, QuerySet, StringAgg, Subquery, Value
from django.db.models.expressions import Combinable
from django.db.models.fields.json import KeyTransform
from django.db.models.functions import Cast
from django.db.models.lookups import IContains, In

from config import free_json
from config.errors import Busy, TryAgain
from config.faults import Fault, answer_of, fault_of, is_committed_perhaps
from config.statement_values import array_of_ids

RETRIES = 5
"""How often a verb is run again after a deadlock, a time-out or a lost connection (docs/rules.md, Repeats)."""


if TYPE_CHECKING:
    _Text = models.CharField[str | Combinable, str]
else:  # Django's fields take no type arguments at run time
    _Text = models.CharField


class ExactCharField(_Text):
    """Text that is compared byte by byte on every database.

    MariaDB's usual collation takes 'A' for 'a' and 'a ' for 'a'; two customers or two messages must not become one.
    """

    def db_parameters(self, connection: Any) -> dict[str, Any]:
        parameters = dict(super().db_parameters(connection))
        if connection.vendor == "mysql":
            parameters["collation"] = "utf8mb4_nopad_bin" if connection.mysql_is_mariadb else "utf8mb4_0900_bin"
        return parameters


def _storable(value: Any) -> None:
    """A validator of models and admin forms."""
    try:
        free_json.check(value, "JSON")
    except free_json.Unstorable as error:
        raise ValidationError(str(error)) from None


class CheckedJSONField(models.JSONField):
    """JSON that can always be shown: checked when a form or `full_clean` looks at it, made readable when it is read.

    A row that was stored before the checks breaks no page: where the field's default is an object or a list, a value of
    another type is read as an empty one.
    """

    default_validators = [*models.JSONField.default_validators, _storable]

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        if value == "{}" and self.decoder is None:  # most are: a parser takes ten times as long
            return {} if isinstance(expression, KeyTransform) else self.as_expected({})
        stored = super().from_db_value(value, expression, connection)
        if isinstance(value, str) and free_json.is_suspect(value):
            stored = free_json.readable(stored)
        return stored if isinstance(expression, KeyTransform) else self.as_expected(stored)

    def as_expected(self, stored: Any) -> Any:
        """Override for a field whose JSON has a form of its own."""
        if self.default is dict:
            return stored if isinstance(stored, dict) else {}
        return stored if self.default is not list or isinstance(stored, list | dict) else []

    def deconstruct(self) -> Any:
        """For the database it is a JSON column like any other."""
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.JSONField", args, kwargs


@ExactCharField.register_lookup
class ContainsInAnyCase(IContains):
    """`icontains` of exact text: on MariaDB the column's collation decides, and that of exact text minds the case."""

    def process_lhs(self, compiler: Any, connection: Any, lhs: Any = None) -> tuple[str, Any]:
        sql, parameters = super().process_lhs(compiler, connection, lhs)
        return (f"{sql} COLLATE utf8mb4_unicode_ci" if connection.vendor == "mysql" else sql), parameters


@models.AutoField.register_lookup
@models.IntegerField.register_lookup
@models.ForeignKey.register_lookup
class Among(In):
    """`in` for a list of many whole numbers: on PostgreSQL one array, so that the statement is as short for a thousand."""

    lookup_name = "among"

    def as_postgresql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        lhs, parameters = self.process_lhs(compiler, connection)
        return f"{lhs} = ANY(%s::bigint[])", [*parameters, array_of_ids(self.rhs)]


def lock_rows[M: models.Model](rows: QuerySet[M]) -> QuerySet[M]:
    """Lock the selected rows until the transaction ends, always in the order of their ids.

    PostgreSQL's NO KEY lock lets other rows refer to the locked one meanwhile; MariaDB has no such lock, and on
    SQLite the whole database is locked already (transactions begin IMMEDIATE).
    """
    no_key = connection.features.has_select_for_no_key_update
    return rows.order_by("pk").select_for_update(no_key=no_key)


def lock_free_rows[M: models.Model](rows: QuerySet[M]) -> QuerySet[M]:
    """As `lock_rows`, without those that somebody holds just now: this waits for nobody."""
    features = connection.features
    no_key, skip = features.has_select_for_no_key_update, features.has_select_for_update_skip_locked
    return rows.order_by("pk").select_for_update(no_key=no_key, skip_locked=skip)


def related_ids(rows: QuerySet[Any], column: str, *, of: str) -> Subquery:
    """A subquery: the ids in `column` of the `rows` whose `of` is the outer query's row, as text for `ids_in`: 3,17.

    So a list of rows brings the ids of what belongs to each, without another query and without repeating a row.
    """
    joined = StringAgg(Cast(column, CharField()), Value(","))
    return Subquery(rows.filter(**{of: OuterRef("pk")}).order_by().values(of).annotate(ids=joined).values("ids"))


def ids_in(text: str | None) -> list[int]:
    return [int(pk) for pk in text.split(",")] if text else []


def is_transient(error: Exception) -> bool:
    """True when running the same transaction again may succeed, and cannot do anything twice."""
    if isinstance(error, TryAgain):
        return True
    fault = fault_of(error)
    return fault is Fault.CONFLICT or (fault is Fault.LOST and not is_committed_perhaps(error))


def retried[**P, R](function: Callable[P, R]) -> Callable[P, R]:
    """Run a function again, with jitter, when it fails for a passing reason; inside a transaction it does not.

    Raises `Busy` when the last attempt failed too, and at once where trying again would not help or not be safe: when the
    connection is lost during the commit, nobody knows whether the work is done. Raises `StorageFailed` for a full disk.
    """

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        if connection.in_atomic_block:
            return function(*args, **kwargs)
        for attempt in range(RETRIES + 1):
            try:
                return function(*args, **kwargs)
            except (Error, OSError, TryAgain) as error:
                answer = Busy() if isinstance(error, TryAgain) else answer_of(error)
                if answer is None:
                    raise
                if fault_of(error) is Fault.LOST:
                    connection.close()  # the next attempt, or request, begins with one that works
                if attempt == RETRIES or not is_transient(error):
                    raise answer from error
                time.sleep(random.uniform(0.005, 0.02) * 2**attempt)  # noqa: S311
        raise AssertionError("unreachable")

    return run
