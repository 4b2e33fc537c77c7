"""Whether a connection of the pool still works, without asking the server for it."""

from __future__ import annotations

import select
import time
from typing import Any

AGAIN_AFTER = 1.0
"""Seconds. The pool pauses for as long after the first ended connection that a request draws."""


def check(connection: Any) -> None:
    """Called with a pool's connection before it is handed out; raises where it is of no use (psycopg's `check`).

    A server that ends a connection says so, or its machine does: there is something to read where nothing was asked. Only
    then is the server asked, as psycopg does each time; so a request costs a round trip less. Of a machine that is gone
    neither knows: the keep-alives of the settings find that out.

    With one that has ended, the others in the pool are given up too, and made anew: a server that starts again has ended
    them all, and the pool pauses for longer and longer after each that it finds.
    """
    from psycopg_pool import ConnectionPool  # here, so that no other database needs it

    socket = select.poll()
    socket.register(connection.fileno(), select.POLLIN)  # and whatever is wrong with it
    if not socket.poll(0):
        return
    try:
        ConnectionPool.check_connection(connection)
    except Exception:
        _give_up_the_others(connection._pool)
        raise


def _give_up_the_others(pool: Any) -> None:
    """Unless that was done just now: whoever has drawn an ended one at the same time would give up the new ones."""
    now = time.monotonic()
    if now - getattr(pool, _GIVEN_UP, 0.0) > AGAIN_AFTER:
        setattr(pool, _GIVEN_UP, now)
        pool.drain()


_GIVEN_UP = "tandem_given_up"
"""Of a pool: when its connections were last given up."""
