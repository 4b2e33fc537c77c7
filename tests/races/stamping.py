"""The stream under fire (F2): writers that linger between insert and commit, readers by position, two relays at once.

    python -m tests.races.stamping --database postgres://postgres@127.0.0.1:5432/postgres --events 20000

Beside them, as the failing control, a reader goes by serial id: it must lose rows, or the test proves nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from itertools import pairwise
from typing import Any

from tests.races.fuzz import prepare
from tests.races.servers import Server

WRITTEN = "test.written"
WRITERS, READERS, RELAYS = 16, 3, 2
LINGER = 0.010
"""Seconds, at most, between insert and commit."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], prog="python -m tests.races.stamping")
    parser.add_argument("--database", required=True)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    server = Server(options.database)
    with server.database(f"tandem_stamping_{os.getpid()}") as url:
        prepare(url)
        report = run(options.events)
    if options.json:
        print(json.dumps(report))
    else:
        print("\n".join(f"{name:<28}{value}" for name, value in report.items()))
    return 0 if not (report["lost"] or report["doubled"] or report["out of order"]) else 1


def run(events: int) -> dict[str, Any]:
    from tests.races import arena

    began = time.monotonic()
    cast = arena.Child(arena._set_up, "stamping", "return", "pull", None).result()
    written, stamped = arena._fork.Event(), arena._fork.Event()
    share = -(-events // WRITERS)
    readers = [arena.Child(_read, cast.tenant_id, stamped, "pos") for _ in range(READERS)]
    control = arena.Child(_read, cast.tenant_id, stamped, "id")
    relays = [arena.Child(_relay, cast.tenant_id, written) for _ in range(RELAYS)]
    writers = [arena.Child(_write, cast.tenant_id, number, share) for number in range(WRITERS)]
    for writer in writers:
        writer.result()
    written.set()
    for relay in relays:
        relay.result()
    stamped.set()
    total = share * WRITERS
    report = {"events": total, "lost": 0, "doubled": 0, "out of order": 0}
    for reader in readers:
        seen = reader.result()
        report["lost"] += total - len(set(seen))
        report["doubled"] += len(seen) - len(set(seen))
        report["out of order"] += sum(here > there for here, there in pairwise(seen))
    lost = total - len(set(control.result()))
    return report | {
        "lost by serial id": lost,
        "in percent": round(100 * lost / total, 2),
        "seconds": round(time.monotonic() - began, 1),
    }


def _write(tenant_id: int, number: int, events: int) -> None:
    import random

    from django.db import transaction

    from agents_app.actors import system_actor
    from config import clock
    from config.db import lock_rows
    from messaging_app import stream
    from messaging_app.models import Conversation

    made = Conversation.objects.create(tenant_id=tenant_id, shop_id="s", account_id=f"writer {number}")
    actor = system_actor(tenant_id)
    for _ in range(events):
        with transaction.atomic():
            conversation = lock_rows(Conversation.objects.filter(pk=made.pk)).get()
            operation = stream.entry(conversation, actor=actor, type=WRITTEN, at=clock.now())
            stream.seal(conversation, [operation])
            stream.write([operation])
            conversation.save(update_fields=["seq", "chain"])
            time.sleep(random.random() * LINGER)


def _read(tenant_id: int, stop: Any, by: str) -> list[int]:
    """Follow the stream by a cursor; the position or id of all that the writers wrote, as it came."""
    from messaging_app import stream
    from messaging_app.models import Operation

    seen: list[int] = []
    cursor, last = 0, False
    while True:
        if by == "pos":
            news = [(operation.pos or 0, operation.type) for operation in stream.replay(tenant_id, after=cursor)]
        else:
            rows = Operation.objects.filter(tenant_id=tenant_id, id__gt=cursor).order_by("id")
            news = list(rows.values_list("id", "type")[:500])
        seen += [place for place, type in news if type == WRITTEN]
        if news:
            cursor = news[-1][0]
        elif last:
            return seen
        else:
            last = stop.wait(0.02)


def _relay(tenant_id: int, written: Any) -> None:
    from messaging_app import relay

    while not written.wait(0.01):
        relay.stamp(tenant_id)
    while relay.stamp(tenant_id):
        pass


if __name__ == "__main__":
    sys.exit(main())
