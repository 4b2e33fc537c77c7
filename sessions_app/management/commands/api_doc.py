"""Make docs/api/: the OpenAPI document, and the page of errors from the same catalogue as the one that is served."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema

from sessions_app.api.catalogue import CATALOGUE

FOLDER = settings.BASE_DIR / "docs" / "api"

INTRODUCTION = """\
# Errors of the API

Made from `sessions_app/api/catalogue.py` by `python manage.py api_doc`; do not edit. A test fails when it is stale.

Every refusal is an `application/problem+json` with one of these codes. The code is stable; the detail is for people.
`formerly` are the numbers that the predecessor's clients know, sent as `legacy_code`.

| code | status | formerly | meaning | what to do |
|---|---|---|---|---|
"""


@cache
def document() -> dict[str, Any]:
    """The OpenAPI document. Raises `CommandError` when the generator had to guess, or when it is not valid."""
    GENERATOR_STATS.reset()
    with GENERATOR_STATS.silence():
        made: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    if GENERATOR_STATS:
        raise CommandError("The generator had to guess: `python manage.py spectacular` says where.")
    validate_schema(made)
    return made


def pages() -> Iterator[tuple[str, str]]:
    """Each file's name and text."""
    yield "openapi.json", json.dumps(document(), indent=1, ensure_ascii=False, default=str) + "\n"
    rows = (f"| `{c.code}` | {c.status} | {c.legacy} | {c.meaning} | {c.remedy} |\n" for c in CATALOGUE)
    yield "errors.md", INTRODUCTION + "".join(rows)


class Command(BaseCommand):
    help = "Make docs/api/ from the code; --check fails when it is stale."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a page is stale")

    def handle(self, *args: Any, check: bool, **options: Any) -> None:
        for name, text in pages():
            page = FOLDER / name
            if not check:
                FOLDER.mkdir(parents=True, exist_ok=True)
                page.write_text(text, encoding="utf-8")
                self.stdout.write(f"Wrote {page.relative_to(settings.BASE_DIR)}.")
            elif not page.exists() or page.read_text(encoding="utf-8") != text:
                raise CommandError(f"docs/api/{name} is stale: run `python manage.py api_doc`.", returncode=1)
