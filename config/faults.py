"""Which errors are faults of what lies below us (database, disk), and what is done about each.

A fault below is nobody's mistake: the work is tried again where that is safe, else answered with 503 and Retry-After,
never with 500. Any other exception is a mistake of ours.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from enum import Enum

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import Atomic

from config import pipeline
from config.errors import Busy, DomainError, StorageFailed


class Fault(Enum):
    CONFLICT = "the transaction lost against another one, and was rolled back whole"
    LOST = "the connection is gone, and what was not committed with it"
    OVERLOADED = "no connection is free, or the statement took too long: at once it would be no better"
    STORAGE = "the disk is full, read-only or broken"


# PostgreSQL's SQLSTATE, whole or its class: https://www.postgresql.org/docs/current/errcodes-appendix.html
_PG_STATES = {
    "40001": Fault.CONFLICT,  # serialization_failure
    "40P01": Fault.CONFLICT,  # deadlock_detected
    "55P03": Fault.CONFLICT,  # lock_not_available
    "08": Fault.LOST,  # connection exceptions
    "25P03": Fault.LOST,  # idle_in_transaction_session_timeout: the server has ended the session
    "25P04": Fault.LOST,  # transaction_timeout: likewise
    "57P": Fault.LOST,  # shutdown of the server, pg_terminate_backend
    "57014": Fault.OVERLOADED,  # statement_timeout
    "53100": Fault.STORAGE,  # disk_full
    "53": Fault.OVERLOADED,  # too_many_connections, out_of_memory
    "58030": Fault.STORAGE,  # io_error
    "25006": Fault.STORAGE,  # read_only_sql_transaction: a replica, or a server that has made itself read-only
}
_PG_NO_ROOM = ("too many clients", "remaining connection slots", "too many connections")
"""Parts of PostgreSQL's messages while connecting, for which psycopg reports no SQLSTATE."""

# MariaDB and MySQL: https://mariadb.com/kb/en/mariadb-error-codes/
_MYSQL_CODES = {
    **dict.fromkeys((1205, 1213, 1020), Fault.CONFLICT),  # lock wait time-out, deadlock, changed since last read
    # Shutdown, network errors, killed; cannot connect, gone away, lost during a query.
    **dict.fromkeys((1053, 1158, 1159, 1160, 1161, 1927, 2002, 2003, 2006, 2013, 2055, 4031), Fault.LOST),
    **dict.fromkeys((1040, 1203, 1226, 1037, 1041, 1317, 1969, 3024), Fault.OVERLOADED),  # connections, memory, time
    # Disk full, table full, error while writing a file, read-only.
    **dict.fromkeys((3, 1021, 1026, 1030, 1036, 1114, 1180, 1290, 1792, 1836), Fault.STORAGE),
}

# https://www.sqlite.org/rescode.html; the primary result codes.
_SQLITE_CODES = {
    5: Fault.CONFLICT,  # SQLITE_BUSY
    6: Fault.CONFLICT,  # SQLITE_LOCKED: a table of a database in memory that threads share
    15: Fault.CONFLICT,  # SQLITE_PROTOCOL: many at once open a WAL
    8: Fault.STORAGE,  # SQLITE_READONLY
    10: Fault.STORAGE,  # SQLITE_IOERR
    13: Fault.STORAGE,  # SQLITE_FULL
    14: Fault.STORAGE,  # SQLITE_CANTOPEN
}

_OS_ERRORS = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG), Fault.STORAGE),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE, errno.ENOMEM), Fault.OVERLOADED),
}

_CAUSES = 10
"""How far a chain of causes is followed."""


def fault_of(error: BaseException) -> Fault | None:
    """The fault behind an error, whichever library reports it; None for a mistake of ours."""
    return next((fault for cause in _causes(error) if (fault := _classified(cause))), None)


def answer_of(error: BaseException) -> DomainError | None:
    """The 503 that answers a fault below; None for a mistake of ours, and for any other refusal."""
    if isinstance(error, DomainError):
        return error if error.status == 503 else None
    fault = fault_of(error)
    if fault is None:
        return None
    return StorageFailed() if fault is Fault.STORAGE else Busy()


def is_committed_perhaps(error: BaseException) -> bool:
    """True when the error came during the commit or after it: to run the work again might do it twice."""
    if any(getattr(cause, pipeline.IN_DOUBT, False) for cause in _causes(error)):
        return True
    trace, before = error.__traceback__, None
    while trace is not None:
        code = trace.tb_frame.f_code
        # Behind its commit, a transaction asks MariaDB for the mode in which each statement is one.
        if code in _LATE or (code is _SET_AUTOCOMMIT and before is _END):
            return True
        trace, before = trace.tb_next, code
    return False


_LATE = (BaseDatabaseWrapper._commit.__code__, BaseDatabaseWrapper.run_and_clear_commit_hooks.__code__)  # type: ignore[attr-defined]
_SET_AUTOCOMMIT, _END = BaseDatabaseWrapper.set_autocommit.__code__, Atomic.__exit__.__code__


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    for _ in range(_CAUSES):
        if cause is None:
            return
        yield cause
        cause = cause.__cause__


def _classified(error: BaseException) -> Fault | None:
    library = type(error).__module__.partition(".")[0]
    if library == "psycopg":
        return _of_postgresql(error)
    if library == "psycopg_pool":
        return Fault.OVERLOADED  # no connection came free in time, too many wait already, or the pool is being closed
    if library in ("pymysql", "MySQLdb"):
        return _of_mysql(error)
    if library == "sqlite3":
        return _SQLITE_CODES.get((getattr(error, "sqlite_errorcode", None) or 0) & 0xFF)
    if isinstance(error, OSError):
        return _OS_ERRORS.get(error.errno or 0)
    return None


def _of_postgresql(error: BaseException) -> Fault | None:
    state: str | None = getattr(error, "sqlstate", None)
    if state:
        return _PG_STATES.get(state) or _PG_STATES.get(state[:3]) or _PG_STATES.get(state[:2])
    text = str(error)
    if any(part in text for part in _PG_NO_ROOM):
        return Fault.OVERLOADED
    kind = type(error).__name__
    # Without a SQLSTATE the error is psycopg's own: the server does not answer, or the connection is closed.
    is_closed = kind == "InterfaceError" and ("closed" in text or "lost" in text)
    return Fault.LOST if kind in ("OperationalError", "ConnectionTimeout") or is_closed else None


def _of_mysql(error: BaseException) -> Fault | None:
    code = error.args[0] if error.args else None
    if type(error).__name__ == "InterfaceError" and code in (0, -1):
        return Fault.LOST  # the connection was closed before
    return _MYSQL_CODES.get(code) if isinstance(code, int) else None
