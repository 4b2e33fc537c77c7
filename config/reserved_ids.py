"""Ids of rows that are made later in a transaction, so that an INSERT need not be waited for to know its id.

On PostgreSQL a verb reserves them with the exchange that takes its lock: under the lock, so that in a conversation a later
row has a higher id. `statements.insert` takes one where there is one, and the row then waits as changes do. Elsewhere
nothing is reserved.
"""

from __future__ import annotations

from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, models

from config import pipeline
from config.statement_values import text

_RESERVED = "tandem_reserved"
"""Of Django's connection, during a verb's transaction: the ids that are there, by model."""


def reserve(model: type[models.Model], **unless: Any) -> None:
    """One id of the model for this transaction, unless a row with these values is there. It comes with whatever is asked next.

    Only where the verb's transaction is the outermost: no other begins a verb again whose row another one has
    stored meanwhile.
    """
    database = connections[DEFAULT_DB_ALIAS]
    if not pipeline.ends_with_this(database):
        return
    quoted, table = database.ops.quote_name, model._meta.db_table
    fields: list[Any] = [model._meta.get_field(name) for name in unless]
    same = " AND ".join(f"{quoted(field.column)} = ${number}" for number, field in enumerate(fields, 1))
    sql = f"SELECT nextval(pg_get_serial_sequence('{table}', 'id'))"
    sql += f" WHERE NOT EXISTS (SELECT FROM {quoted(table)} WHERE {same})" if same else ""
    reserved = getattr(database, _RESERVED, None)
    if reserved is None:
        setattr(database, _RESERVED, reserved := {})
    ids = reserved.setdefault(model, [])

    def keep(rows: pipeline.Rows) -> None:
        ids.extend(pk for (pk,) in rows)

    pipeline.later(database, pipeline.Statement(sql, [text(value) for value in unless.values()], keep))


def taken(database: Any, model: type[models.Model]) -> int | None:
    """A reserved id, which nobody gets again; None where there is none."""
    ids = getattr(database, _RESERVED, {}).get(model)
    return ids.pop(0) if ids else None


def forget(database: Any) -> None:
    """What is left over at the end of a transaction."""
    if hasattr(database, _RESERVED):
        delattr(database, _RESERVED)
