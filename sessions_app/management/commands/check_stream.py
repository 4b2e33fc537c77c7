"""manage.py check_stream: is the record as it was written, and do the rows agree with it? Exit code 1 if not."""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from agents_app.models import Tenant
from messaging_app.record import checkpoints
from sessions_app.core.record.check import Check

STEP = 100_000
"""Operations between two lines of progress."""


class Command(BaseCommand):
    help = (
        "Check the record: signatures and numbers of the operations, and messages, sessions, transfers, flows, participants"
        " and conversations against them. Names the first wrong row of each conversation. Exit code 1 if anything is wrong."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", default="", help="short name of one tenant")
        parser.add_argument("--checkpoint", default="", metavar="FILE", help="hold it against these lines, too")

    def handle(self, *args: Any, **options: Any) -> None:
        tenants = Tenant.objects.order_by("pk")
        if options["tenant"]:
            tenants = tenants.filter(slug=options["tenant"])
            if not tenants:
                raise CommandError(f"There is no tenant {options['tenant']!r}.")
        self.began, self.operations = time.monotonic(), 0
        wrong = conversations = 0
        for tenant in tenants:
            check = Check(tenant, progress=self._progress)
            for finding in check.run():
                wrong += 1
                self.stdout.write(str(finding))
            conversations += check.conversations
        if options["checkpoint"]:
            wrong += self._compare(options["checkpoint"], tenants.get().pk if options["tenant"] else None)
        self.stdout.write(f"{conversations} conversations checked, {wrong} wrong.")
        self.stderr.write(self._pace())
        if wrong:
            sys.exit(1)

    def _compare(self, path: str, only: int | None) -> int:
        """How many checkpoints of a file differ from the record; `only` is the id of one tenant."""
        wrong = 0
        try:
            with Path(path).open(encoding="utf-8") as lines:
                for finding in checkpoints.differences(lines, only=only):
                    wrong += 1
                    self.stdout.write(str(finding))
        except OSError as error:
            raise CommandError(f"The checkpoints cannot be read: {error}") from None
        return wrong

    def _progress(self, count: int) -> None:
        before = self.operations // STEP
        self.operations += count
        if self.operations // STEP > before:
            self.stderr.write(self._pace())

    def _pace(self) -> str:
        taken = time.monotonic() - self.began
        per_step = taken / self.operations * STEP if self.operations else 0.0
        return f"{self.operations:,} operations in {taken:.1f} s: {per_step:.1f} s per {STEP:,}."
