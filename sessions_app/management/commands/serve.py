"""The embedded server: pages, sockets and clocks in one process, with nothing else to install."""

from __future__ import annotations

import ipaddress
import logging
import os
import sys
import threading
import time
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, close_old_connections, connections
from django.utils.module_loading import import_string

from agents_app.logins.views import DEMO_PASSWORD, demo_logins
from config import build
from config.celery import BEAT
from sessions_app.core import wake

log = logging.getLogger("tandem.clocks")

MOST_SECONDS = 60.0
"""The longest pause before a failed task runs again: it doubles each time, so that one fault does not fill the log."""

BACKLOG = 4096
"""Connections that may wait to be accepted. With Twisted's 50, of a thousand that come at once most wait seconds for
the kernel to try again."""


class Command(BaseCommand):
    help = "Serve the desk, the API, the admin and the sockets from this one process, with its clocks."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
        parser.add_argument("--port", type=int, default=8000, help="port to listen on; 0 picks a free one (8000)")

    def handle(self, *args: Any, host: str, port: int, **options: Any) -> None:
        if settings.SECRET_KEY == settings.DEVELOPMENT_KEY and not _is_loopback(host):
            raise CommandError(
                f"Set SECRET_KEY before serving on {host}: with the development key anybody there could log in as anyone."
            )
        Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)  # whitenoise warns when it is missing
        try:
            demo = [login["username"] for login in demo_logins()]
        except DatabaseError as error:
            raise CommandError(f"The database is not ready ({error}). Run `manage.py migrate` first.") from error
        connections.close_all()
        # Twisted's reactor is installed by the import, so nobody but this command pays for it.
        from daphne.endpoints import build_endpoint_description_strings
        from daphne.server import Server

        from config.asgi import application

        embedded = settings.CELERY_TASK_ALWAYS_EAGER
        server: Any = Server(
            application=application,
            endpoints=[
                f"{each}:backlog={BACKLOG}" for each in build_endpoint_description_strings(host=host, port=port)
            ],
            ready_callable=lambda: self._ready(server, embedded=embedded, demo=demo),
            application_close_timeout=30,  # a visitor who closes the page does not end the verb under way
            server_name="tandem",
        )
        if embedded:
            Clocks(BEAT).start()
        server.run()
        if not server.listening_addresses:
            raise CommandError(f"Could not listen on {host}:{port}. Is it in use? Choose another with --port.")
        self.stdout.write("Stopped.")
        _leave()

    def _ready(self, server: Any, *, embedded: bool, demo: list[str]) -> None:
        for host, port in server.listening_addresses:
            root = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
            self.stdout.write(f"Tandem {build.VERSION} is ready (stop with Ctrl-C):\n  desk    {root}/desk/")
            if settings.TRY_IT:
                self.stdout.write(f"  try it  {root}/try-it/")
            self.stdout.write(f"  admin   {root}/admin/")
        if demo:
            self.stdout.write(f"  logins  {', '.join(demo)} (password: {DEMO_PASSWORD})")
        if not embedded:
            self.stdout.write(
                "A broker is set, so Celery's workers and beat keep the clocks; run them beside this process."
            )
        self.stdout.flush()


def _leave() -> None:
    """End the process now, without waiting for its threads.

    A request that was cut off waits in its thread for the event loop, which has ended, and Python would wait for that
    thread for ever. The database rolls back what the request has not committed.
    """
    wake.stop()
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Clocks(threading.Thread):
    """Runs the beat's tasks in this process. They only wake the sweepers: a late or missed one costs latency."""

    def __init__(self, beat: dict[str, tuple[str, int]]) -> None:
        super().__init__(name="clocks", daemon=True)
        self._beat = beat
        self._due = dict.fromkeys(beat, 0.0)
        self._wait = {name: float(period) for name, (_, period) in beat.items()}

    def run(self) -> None:
        while True:
            for name, (path, period) in self._beat.items():
                if time.monotonic() >= self._due[name]:
                    self._wait[name] = self._tick(name, path, float(period))
                    self._due[name] = time.monotonic() + self._wait[name]
            time.sleep(max(0.05, min(self._due.values()) - time.monotonic()))

    def _tick(self, name: str, path: str, period: float) -> float:
        """Run one task; returns the seconds until its next run."""
        close_old_connections()
        try:
            task: Callable[[], object] = import_string(path)
            task()
        except Exception:
            wait = min(self._wait[name] * 2, max(MOST_SECONDS, period))
            log.exception("the clock %s failed; the next try is in %g s", name, wait)
            return wait
        finally:
            close_old_connections()
        return period
