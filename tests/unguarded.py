"""What somebody with the database can do to the record, past its guards; and how tests empty it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from django.db import connection
from django.test import TransactionTestCase

from config import clock
from messaging_app.models import Operation, RecordMark

_BEFORE = import_module("messaging_app.migrations.0002_stream_triggers")
_SIGNED = import_module("messaging_app.migrations.0017_signed_record")


@contextmanager
def unguarded() -> Iterator[None]:
    """Without the triggers. MariaDB commits what a transaction has done so far when one goes: use `transactional_db`."""
    _run(_SIGNED.DROP)
    _run(_BEFORE.DROP)
    try:
        yield
    finally:
        _run(_BEFORE.CREATE)
        _run(_SIGNED.CREATE)


@contextmanager
def without_foreign_keys() -> Iterator[None]:
    """Django has the words for it, but for PostgreSQL's. Use `transactional_db`."""
    is_postgres = connection.vendor == "postgresql"
    with connection.constraint_checks_disabled(), connection.cursor() as cursor:
        if is_postgres:
            cursor.execute("SET session_replication_role = replica")
        try:
            yield
        finally:
            if is_postgres:
                cursor.execute("SET session_replication_role = DEFAULT")


def _run(statements: dict[str, list[str]]) -> None:
    with connection.cursor() as cursor:
        for statement in statements[connection.vendor]:
            cursor.execute(statement)


def delete_operations(**which: Any) -> None:
    """As somebody can who forges a mark of what may be forgotten: the triggers cannot tell who signed it."""
    common = {"kind": RecordMark.Kind.FORGOTTEN, "chain": "", "at": clock.now(), "signature": ""}
    had = set(RecordMark.objects.values_list("pk", flat=True))
    gone = Operation.objects.filter(**which)
    for tenant_id in gone.order_by().values_list("tenant_id", flat=True).distinct():
        RecordMark.objects.create(tenant_id=tenant_id, seq=2**62, **common)
    there = gone.exclude(conversation=None).order_by().values_list("conversation_id", "tenant_id").distinct()
    for pk, tenant_id in there:
        RecordMark.objects.create(tenant_id=tenant_id, conversation_id=pk, seq=2**62, **common)
    gone.delete()
    RecordMark.objects.exclude(pk__in=had).delete()


_flush = TransactionTestCase._fixture_teardown  # type: ignore[attr-defined]


def _empty(self: Any) -> None:
    """Tables are emptied after a test that commits; that of the operations lets nothing go for nothing."""
    if RecordMark._meta.db_table in connection.introspection.table_names():
        RecordMark.objects.all().delete()
        delete_operations()
    _flush(self)


def let_tests_empty_the_record() -> None:
    TransactionTestCase._fixture_teardown = _empty  # type: ignore[attr-defined]
