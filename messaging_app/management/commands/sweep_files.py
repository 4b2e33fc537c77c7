"""manage.py sweep_files: remove files of attachments that no row names, as a crash leaves them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from messaging_app.attachments import files


class Command(BaseCommand):
    help = "Remove files of attachments that no row names. Reads the whole list of the store; once a week is enough."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only name them")
        parser.add_argument("--older-than", type=float, default=24.0, help="hours; younger ones may be on their way")

    def handle(self, *args: Any, **options: Any) -> None:
        count = 0
        for key in files.orphans(timedelta(hours=options["older_than"])):
            self.stdout.write(key)
            if not options["dry_run"]:
                files.drop(key)
            count += 1
        self.stdout.write(f"{count} files {'would go' if options['dry_run'] else 'are gone'}.")
