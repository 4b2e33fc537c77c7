"""Whether a connection of the pool still works, without asking the server for it."""

from __future__ import annotations

import select
from typing import Any


def check(connection: Any) -> None:
    """Called with a pool's connection before it is handed out; raises where it is of no use (psycopg's `check`).

    A server that ends a connection says so, or its machine does: there is something to read where nothing was asked. Only
    then is the server asked, as psycopg does each time; so a request costs a round trip less. Of a machine that is gone
    neither knows: the keep-alives of the settings find that out.
    """
    from psycopg_pool import ConnectionPool  # here, so that no other database needs it

    socket = select.poll()
    socket.register(connection.fileno(), select.POLLIN)  # and whatever is wrong with it
    if socket.poll(0):
        ConnectionPool.check_connection(connection)
