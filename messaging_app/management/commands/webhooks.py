"""manage.py webhooks: sends webhooks as events come. Several may run at once."""

from __future__ import annotations

import logging
import signal
import threading
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.db import connection

from messaging_app.webhooks import outbox
from messaging_app.webhooks.senders import SLOW_THREADS, THREADS, Senders

log = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Send webhooks in a process of their own. Not needed beside `serve`, nor where Celery's workers may do it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--every", type=float, default=0.2, help="seconds between two looks at the stream (0.2)")
        parser.add_argument(
            "--threads",
            type=int,
            default=THREADS,
            help=f"requests at once to endpoints that work and are quick ({THREADS})",
        )
        parser.add_argument(
            "--slow-threads",
            type=int,
            default=SLOW_THREADS,
            help=f"requests at once to the others ({SLOW_THREADS})",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        stopped = threading.Event()
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, lambda *_: stopped.set())
        senders = Senders(options["threads"], options["slow_threads"])
        self.stdout.write("Webhooks: sending. Ctrl-C ends it, after the requests under way.")
        while not stopped.is_set():
            try:
                outbox.dispatch()
                senders.wake()
            except Exception:
                log.exception("the stream could not be read; trying again")
                connection.close()
            stopped.wait(options["every"])
        senders.close()
