"""Make docs/asyncapi.yaml from the table of event types."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from sessions_app.asyncapi import PAGE, page


class Command(BaseCommand):
    help = "Make docs/asyncapi.yaml from the table of event types; --check fails when it is stale."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the document is stale")

    def handle(self, *args: Any, check: bool, **options: Any) -> None:
        made = page()
        if not check:
            PAGE.write_text(made, encoding="utf-8")
            self.stdout.write(f"Wrote {PAGE.relative_to(settings.BASE_DIR)}.")
        elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != made:
            raise CommandError("docs/asyncapi.yaml is stale: run `python manage.py asyncapi_doc`.", returncode=1)
