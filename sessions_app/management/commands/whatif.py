"""manage.py whatif --from MOMENT --to MOMENT [--changes FILE|JSON]: a past period under other rules (docs/whatif.md)."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from sessions_app.management.commands.ingest import find_tenant
from sessions_app.whatif import Comparison, compare
from sessions_app.whatif.changes import BadChange
from sessions_app.whatif.statistics import NAMES


class Command(BaseCommand):
    help = (
        "Play a past period again, in memory, with other rules or other people, and compare waiting, overflow, time-outs"
        " and preemptions with what happened. Changes nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", default="", help="short name of the tenant (needed when there are several)")
        parser.add_argument(
            "--from", dest="start", required=True, help="2026-11-20T08:00, in the installation's time zone"
        )
        parser.add_argument("--to", dest="end", required=True)
        parser.add_argument("--changes", default="{}", help="a file of JSON, or the JSON itself (docs/whatif.md)")
        parser.add_argument("--json", action="store_true", help="print one JSON object; times in seconds")

    def handle(self, *args: Any, **options: Any) -> None:
        start, end = moment(options["start"]), moment(options["end"])
        if end <= start:
            raise CommandError("The period ends before it begins.")
        try:
            compared = compare(find_tenant(options["tenant"]), start, end, changes(options["changes"]))
        except BadChange as error:
            raise CommandError(str(error)) from None
        self.stdout.write(json.dumps(as_data(compared)) if options["json"] else table(compared))


def moment(text: str) -> datetime:
    """The moment of a text, in the installation's time zone if it names none. Raises `CommandError`."""
    try:
        parsed = parse_datetime(f"{text}T00:00" if parse_date(text) else text)
    except ValueError:
        parsed = None
    if parsed is None:
        raise CommandError(f"{text!r} is no moment; write it as 2026-11-20T08:00.")
    return parsed if timezone.is_aware(parsed) else timezone.make_aware(parsed)


def changes(text: str) -> dict[str, Any]:
    """The changes from JSON, or from the path of a JSON file. Raises `CommandError`."""
    if not text.lstrip().startswith("{"):
        try:
            text = Path(text).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"The changes cannot be read: {error}") from None
    try:
        data = json.loads(text)
    except ValueError as error:
        raise CommandError(f"What is given as changes is no JSON: {error}") from None
    if not isinstance(data, dict):
        raise CommandError("The changes must be a JSON object.")
    return data


def as_data(compared: Comparison) -> dict[str, Any]:
    data = asdict(compared)
    for name in ("then", "again", "changed"):
        data[name] = {key: _plain(value) for key, value in data[name].items()}
    return data


def _plain(value: Any) -> Any:
    return value.total_seconds() if isinstance(value, timedelta) else value


def table(compared: Comparison) -> str:
    lines = [f"{'':<28}{'happened':>12}{'what if':>12}{'difference':>12}"]
    for name, label in NAMES.items():
        then, changed = (_plain(getattr(figures, name)) for figures in (compared.then, compared.changed))
        unit = " s" if isinstance(getattr(compared.then, name), timedelta) else ""
        lines.append(f"{str(label) + unit:<28}{then:>12,.0f}{changed:>12,.0f}{changed - then:>+12,.0f}")
    lines.append(
        f"\nThe check: played again unchanged, {compared.unlike:,} of {compared.lines:,} lines are not as they were."
    )
    return "\n".join(lines)
