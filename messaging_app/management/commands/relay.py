"""manage.py relay: gives committed operations their position in the stream, as they come. Several may run at once."""

from __future__ import annotations

import logging
import signal
import threading
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.db import connection

from messaging_app import relay

log = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Stamp the stream (PostgreSQL, MariaDB). Not needed on SQLite, where operations are stamped as they are written."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--every", type=float, default=0.05, help="seconds to wait when there was nothing to do")

    def handle(self, *args: Any, **options: Any) -> None:
        if connection.vendor == "sqlite":
            self.stdout.write("On SQLite operations are stamped as they are written; no relay is needed.")
            return
        stopped = threading.Event()
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, lambda *_: stopped.set())
        self.stdout.write("Relay: stamping the stream. Ctrl-C ends it.")
        while not stopped.is_set():
            try:
                idle = relay.stamp_all() == 0
            except Exception:
                log.exception("the stream could not be stamped; trying again")
                connection.close()
                idle = True
            if idle:
                stopped.wait(options["every"])
