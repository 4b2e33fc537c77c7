"""What the three supported databases do not agree on, in one place."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.db import InterfaceError, OperationalError, connection, models
from django.db.models import CharField, OuterRef, QuerySet, StringAgg, Subquery, Value
from django.db.models.functions import Cast
from django.db.models.lookups import IContains

from config.errors import Busy

RETRIES = 5
"""How often a verb is run again after a deadlock, a serialization failure or a lock time-out (design: reliability)."""

# PostgreSQL: serialization_failure, deadlock_detected, lock_not_available. MariaDB: lock wait time-out, deadlock,
# record has changed since last read. SQLite has one message.
_PG_STATES = {"40001", "40P01", "55P03"}
_MYSQL_CODES = {1205, 1213, 1020}


class ExactCharField(models.CharField):
    """Text that is compared byte by byte on every database.

    MariaDB's usual collation takes 'A' for 'a' and 'a ' for 'a'; two customers or two messages must not become one.
    """

    def db_parameters(self, connection: Any) -> dict[str, Any]:
        parameters = dict(super().db_parameters(connection))
        if connection.vendor == "mysql":
            parameters["collation"] = "utf8mb4_nopad_bin" if connection.mysql_is_mariadb else "utf8mb4_0900_bin"
        return parameters


@ExactCharField.register_lookup
class ContainsInAnyCase(IContains):
    """`icontains` of exact text: MariaDB leaves the case to the column's collation, and this one minds it."""

    def process_lhs(self, compiler: Any, connection: Any, lhs: Any = None) -> tuple[str, Any]:
        sql, parameters = super().process_lhs(compiler, connection, lhs)
        return (f"{sql} COLLATE utf8mb4_unicode_ci" if connection.vendor == "mysql" else sql), parameters


def locked[M: models.Model](rows: QuerySet[M]) -> QuerySet[M]:
    """Lock the selected rows until the transaction ends, always in the order of their ids.

    PostgreSQL's NO KEY lock lets other rows refer to the locked one meanwhile; MariaDB has no such lock, and on
    SQLite the whole database is locked already (transactions begin IMMEDIATE).
    """
    no_key = connection.features.has_select_for_no_key_update
    return rows.order_by("pk").select_for_update(no_key=no_key)


def ids_beside(rows: QuerySet[Any], column: str, *, of: str) -> Subquery:
    """The ids in a column of the rows whose `of` is the outer query's row, as one text for `ids_in`: 3,17.

    So a list of rows brings along what hangs on each of them, without a query more and without a line more.
    """
    joined = StringAgg(Cast(column, CharField()), Value(","))
    return Subquery(rows.filter(**{of: OuterRef("pk")}).order_by().values(of).annotate(ids=joined).values("ids"))


def ids_in(text: str | None) -> list[int]:
    return [int(pk) for pk in text.split(",")] if text else []


class TryAgain(Exception):
    """Raised inside a transaction that another one has overtaken: the whole is run again."""


def is_transient(error: Exception) -> bool:
    """True when running the same transaction again may succeed."""
    if isinstance(error, TryAgain):
        return True
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    cause = error.__cause__
    if getattr(cause, "sqlstate", None) in _PG_STATES:
        return True
    if cause is not None and cause.args and cause.args[0] in _MYSQL_CODES:
        return True
    return "is locked" in str(error)  # SQLite: the database, or a table of one in memory that threads share


def retried[**P, R](function: Callable[P, R]) -> Callable[P, R]:
    """Run again, with jitter, what failed for a passing reason; inside an outer transaction only the outermost does.

    Raises `Busy` when the last attempt failed too.
    """

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        if connection.in_atomic_block:
            return function(*args, **kwargs)
        for attempt in range(RETRIES + 1):
            try:
                return function(*args, **kwargs)
            except (OperationalError, TryAgain) as error:
                if not is_transient(error):
                    raise
                if attempt == RETRIES:
                    raise Busy from error
                time.sleep(random.uniform(0.005, 0.02) * 2**attempt)  # noqa: S311
        raise AssertionError("unreachable")

    return run
