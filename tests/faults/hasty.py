"""A server with one protection taken out: it acknowledges what a customer says before it is committed.

The failing control of `kill`: everything else is the real server.
"""

from __future__ import annotations

import queue
import sys
import threading
import time
from typing import Any

import django
from django.core.management import call_command
from django.db import connection

LINGER = 0.2
"""Seconds between the acknowledgement and the commit."""


def main() -> None:
    django.setup()
    from sessions_app.actions import inbound

    receive = inbound.receive_message
    known: dict[str, Any] = {}
    later: queue.Queue[dict[str, Any]] = queue.Queue()

    def commits() -> None:
        while True:
            asked = later.get()
            time.sleep(LINGER)
            receive(**asked)
            connection.close()

    def hasty(**asked: Any) -> Any:
        account = asked["account_id"]
        if account not in known:
            known[account] = receive(**asked)
        else:
            later.put(asked)
        return known[account]

    inbound.receive_message = hasty
    threading.Thread(target=commits, daemon=True).start()
    call_command("serve", *sys.argv[1:])


if __name__ == "__main__":
    main()
