"""manage.py index_search: bring the search index up to date at once."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from messaging_app import relay, search


class Command(BaseCommand):
    help = (
        "Index what was said and is not yet found, as the clock does a little each second. Can be interrupted (Ctrl-C)"
        " and run again for the rest."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--again", action="store_true", help="from the beginning of the stream, in place")

    def handle(self, *args: Any, **options: Any) -> None:
        relay.stamp_all()
        if options["again"]:
            search.start_again()
        done, interrupted = 0, False
        columns = (TextColumn("indexing"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        console = Console(stderr=True)
        with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
            bar = progress.add_task("", total=sum(search.behind().values()))
            try:
                while more := search.index_some(search.BATCH):
                    done += more
                    left = sum(search.behind().values())
                    total = max(progress.tasks[bar].total or 0, left)
                    progress.update(bar, total=total, completed=total - left)
            except KeyboardInterrupt:
                interrupted = True
        self.stdout.write(f"{done:,} messages and operations indexed.")
        if interrupted:
            self.stdout.write("Interrupted. What is counted is indexed; run the same command again for the rest.")
            sys.exit(130)
