"""Make docs/api/: the OpenAPI document, and the page of errors, from the catalogue that the server's page has too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema

from config.generated_pages import GeneratedPages
from sessions_app.api.error_catalogue import CATALOGUE

FOLDER = settings.BASE_DIR / "docs" / "api"

INTRODUCTION = """\
# Errors of the API

Made from `sessions_app/api/error_catalogue.py` by `python manage.py api_doc`; do not edit. A test fails when it is stale.

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


class Command(GeneratedPages):
    help = "Make docs/api/ from the code; --check fails when it is stale."
    command = "api_doc"

    def pages(self) -> Iterator[tuple[Path, str]]:
        yield from ((FOLDER / name, text) for name, text in pages())
