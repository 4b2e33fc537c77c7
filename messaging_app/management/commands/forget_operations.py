"""manage.py forget_operations: delete old operations, on record."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from agents_app.models import Tenant
from messaging_app.record.retention import forget_operations

SHOWN = 20
"""Broken chains that the error names; `check_stream` names all of them."""


class Command(BaseCommand):
    help = (
        "Delete a tenant's operations made before a day (UTC), and keep, signed, where each chain was cut. The newest one of each"
        " conversation stays. Messages and sessions stay; what can be checked of them afterwards is less."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", required=True, help="short name of the tenant")
        parser.add_argument("--before", required=True, metavar="YYYY-MM-DD", help="the first day that stays")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = Tenant.objects.filter(slug=options["tenant"]).first()
        if tenant is None:
            raise CommandError(f"There is no tenant {options['tenant']!r}.")
        try:
            before = datetime.strptime(options["before"], "%Y-%m-%d").replace(tzinfo=UTC)
        except ValueError:
            raise CommandError("--before is a day: 2026-11-28.") from None
        gone = forget_operations(tenant.pk, before=before)
        self.stdout.write(f"{gone.operations} operations of {gone.conversations} conversations are gone, on record.")
        if gone.broken:
            names = "; ".join(gone.broken[:SHOWN]) + ("; …" if len(gone.broken) > SHOWN else "")
            raise CommandError(f"The record is not whole. This was not forgotten ({len(gone.broken)}): {names}")
