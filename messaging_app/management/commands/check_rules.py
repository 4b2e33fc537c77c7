"""manage.py check_rules: the rules of need that the engine cannot use."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from messaging_app.detection import upkeep
from messaging_app.models import NeedRule


class Command(BaseCommand):
    help = (
        "List the rules of need, of all tenants and in use or not, that cannot be used, or not all of, and why."
        " Exits with 1 when there are any."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--switch-off",
            action="store_true",
            help="also keep the reasons for the admin, and switch off the rules of which nothing can be used",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        findings = list(upkeep.find(NeedRule.objects.order_by("tenant_id", "kind", "name")))
        for finding in findings:
            self.stdout.write(str(finding))
            if options["switch_off"]:
                upkeep.keep(finding)
        if findings:
            sys.exit(1)
        self.stdout.write("All rules of need can be used.")
