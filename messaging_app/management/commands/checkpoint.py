"""manage.py checkpoint: write a signed line about the state of each tenant's record."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from messaging_app.record import checkpoints


class Command(BaseCommand):
    help = (
        "Write a line that says how far the record of each tenant goes and what it is, signed: to a file, to a webhook, or here."
        " Keep it where the database is not; check_stream --checkpoint FILE holds the record against it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--file", default="", metavar="PATH", help="append it to this file")
        parser.add_argument("--webhook", default="", metavar="URL", help="post it to this address")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["file"]:
                checkpoints.append(Path(options["file"]))
            if options["webhook"]:
                checkpoints.send(options["webhook"])
        except (OSError, checkpoints.NotKept) as error:
            raise CommandError(f"The checkpoint is not kept: {error}") from None
        if not options["file"] and not options["webhook"]:
            self.stdout.write(checkpoints.taken())
