"""The only clock that decides anything: the database's.

Deadlines are columns; whether one is due is a comparison with this clock, so an application server whose clock is
wrong decides nothing early or late. `offset` is zero outside tests and simulations, which move time by it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import DateTimeField, Func

offset = timedelta(0)


class DbNow(Func):
    """The database's clock at the moment of evaluation, not at the start of the transaction or statement.

    A verb may wait for a lock; `now()` would still show the time before the wait.
    """

    template = "CURRENT_TIMESTAMP"
    output_field = DateTimeField()

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        return self.as_sql(compiler, connection, template="CLOCK_TIMESTAMP()", **extra)

    def as_mysql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        return self.as_sql(compiler, connection, template="SYSDATE(6)", **extra)

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        # Doubled twice: once for the template, once for the query's own parameters (a logged query is made with %).
        return self.as_sql(
            compiler, connection, template="STRFTIME('%%%%Y-%%%%m-%%%%d %%%%H:%%%%M:%%%%f', 'NOW')", **extra
        )


_SQL = {
    "postgresql": "SELECT CLOCK_TIMESTAMP()",
    "mysql": "SELECT SYSDATE(6)",
    "sqlite": "SELECT STRFTIME('%Y-%m-%d %H:%M:%f', 'NOW')",
}


def now() -> datetime:
    """The database's time now, aware, in UTC."""
    with connection.cursor() as cursor:
        cursor.execute(_SQL[connection.vendor])
        answer = cursor.fetchone()[0]
    value: datetime = datetime.fromisoformat(answer) if isinstance(answer, str) else answer
    return (value if value.tzinfo else value.replace(tzinfo=UTC)) + offset


def utc(moment: datetime) -> str:
    """A time as the API and the events show it: ISO 8601 in UTC, with `Z`."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
