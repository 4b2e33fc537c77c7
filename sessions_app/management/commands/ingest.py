"""manage.py ingest FILE: read a file of messages (NDJSON, plain or .gz, or - for standard input) into sessions."""

from __future__ import annotations

import gzip
import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

from agents_app.actors import system_actor
from agents_app.models import Tenant
from messaging_app.batch import Rejected
from messaging_app.detection.defaults import install
from messaging_app.row_reader import rows_of_lines
from sessions_app.actions.batch_rows import Report
from sessions_app.actions.batches import ingest


class Command(BaseCommand):
    help = (
        "Read messages into conversations and sessions. Can be interrupted (Ctrl-C) and run again: what is stored"
        " is recognised by its message_id and never stored twice."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", help="NDJSON, one message a line; .gz is unpacked; - reads standard input")
        parser.add_argument("--tenant", default="", help="short name of the tenant (needed when there are several)")
        parser.add_argument("--rejects", default="", help="where rejected rows go (default: FILE.rejected.ndjson)")
        parser.add_argument(
            "--batch-size", type=int, default=settings.TANDEM["INGEST_CHUNK"], help="rows per transaction"
        )
        parser.add_argument("--json", action="store_true", help="print the summary as one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["batch_size"] < 1:
            raise CommandError("--batch-size must be at least 1.")
        tenant = find_tenant(options["tenant"])
        name = options["file"]
        rejects = Path(options["rejects"] or ("ingest.rejected.ndjson" if name == "-" else f"{name}.rejected.ndjson"))
        console = Console(stderr=True, quiet=options["json"] and not sys.stderr.isatty())
        total, not_stored, interrupted = Report(), 0, False
        with _opened(name) as (stream, size), _rejects(rejects) as write_reject, _bar(console, name, size) as advance:
            parts = ingest(
                actor=system_actor(tenant.pk, "ingest"), rows=rows_of_lines(stream), size=options["batch_size"]
            )
            try:
                for part in parts:
                    total.add(part)
                    for rejected in part.rejections:
                        write_reject(rejected)
                    not_stored += len(part.rejections)
                    advance(_position(stream), total)
            except KeyboardInterrupt:
                interrupted = True
        self._summarise(total, not_stored, rejects, interrupted, options["json"])
        if interrupted:
            sys.exit(130)

    def _summarise(self, total: Report, not_stored: int, rejects: Path, interrupted: bool, as_json: bool) -> None:
        counts = total.counts()
        if as_json:
            self.stdout.write(json.dumps({**counts, "interrupted": interrupted}))
            return
        for name, value in counts.items():
            self.stdout.write(f"{name.replace('_', ' '):<18} {value:>12,}")
        if not_stored:
            self.stdout.write(f"{not_stored:,} rows that are not stored, with line and reason: {rejects}")
        if interrupted:
            self.stdout.write("Interrupted. What is counted above is stored; run the same command again for the rest.")


def find_tenant(slug: str) -> Tenant:
    """The tenant with this short name; without one the only tenant, made if there is none. Raises `CommandError`."""
    tenants = Tenant.objects.filter(slug=slug) if slug else Tenant.objects.all()
    first_two = list(tenants[:2])
    if len(first_two) == 1:
        return first_two[0]
    if slug:
        raise CommandError(f"There is no tenant {slug!r}.")
    if first_two:
        raise CommandError("There are several tenants; name one with --tenant.")
    tenant = Tenant.objects.create(slug="default", name="Default")
    install(tenant)
    return tenant


@contextmanager
def _opened(name: str) -> Iterator[tuple[IO[bytes], int | None]]:
    """The lines, and how many bytes the file has; None for standard input. Raises `CommandError`."""
    if name == "-":
        yield sys.stdin.buffer, None
        return
    try:
        size = Path(name).stat().st_size
        with Path(name).open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            if packed:
                with gzip.GzipFile(fileobj=raw) as unpacked:
                    yield unpacked, size  # type: ignore[misc]
            else:
                yield raw, size
    except FileNotFoundError:
        raise CommandError(f"There is no file {name!r}.") from None
    except IsADirectoryError:
        raise CommandError(f"{name!r} is a folder; name a file of messages.") from None
    except (gzip.BadGzipFile, EOFError) as error:
        raise CommandError(
            f"{name!r} is a damaged .gz file ({error}). What came before the damage is stored."
        ) from None


def _position(stream: IO[bytes]) -> int:
    """How far the file has been read, in bytes; in a .gz file, of its compressed bytes."""
    raw = getattr(stream, "fileobj", None) or stream
    try:
        return raw.tell()
    except OSError:
        return 0


@contextmanager
def _rejects(path: Path) -> Iterator[Any]:
    """A function that writes rejected rows; the file is made with the first one."""
    opened: list[IO[str]] = []

    def write(rejected: Rejected) -> None:
        if not opened:
            try:
                opened.append(path.open("w", encoding="utf-8"))
            except OSError as error:
                raise CommandError(
                    f"Rejected rows cannot be written to {path} ({error}); name a file with --rejects."
                ) from None
        entry = {"line": rejected.line, "code": rejected.code, "reason": rejected.reason, "row": rejected.text}
        opened[0].write(json.dumps(entry, ensure_ascii=False) + "\n")

    try:
        yield write
    finally:
        for file in opened:
            file.close()


@contextmanager
def _bar(console: Console, name: str, size: int | None) -> Iterator[Any]:
    columns: Iterable[Any] = (
        SpinnerColumn(),
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[summary]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(Path(name).name, total=size, summary="")

        def advance(position: int, total: Report) -> None:
            summary = f"{total.accepted:,} stored · {total.duplicate:,} known · {total.rejected:,} rejected"
            progress.update(task, completed=position, summary=summary)

        yield advance
