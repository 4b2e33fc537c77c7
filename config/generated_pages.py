"""Commands that make pages of docs/ from the code, and with --check say whether they are stale."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser


class GeneratedPages(BaseCommand):
    """The base of such a command: `command` is its name, `pages` gives what it writes."""

    command = ""

    @abstractmethod
    def pages(self) -> Iterator[tuple[Path, str]]:
        """Each file and its text."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a page is stale")

    def handle(self, *args: Any, check: bool, **options: Any) -> None:
        for page, text in self.pages():
            name = page.relative_to(settings.BASE_DIR)
            if not check:
                page.parent.mkdir(parents=True, exist_ok=True)
                page.write_text(text, encoding="utf-8")
                self.stdout.write(f"Wrote {name}.")
            elif not page.exists() or page.read_text(encoding="utf-8") != text:
                raise CommandError(f"{name} is stale: run `python manage.py {self.command}`.", returncode=1)
