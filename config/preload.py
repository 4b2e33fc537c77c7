"""What a serving process loads before the first visitor comes, so that nobody waits for it."""

from __future__ import annotations

import gc

from django.conf import settings
from django.template.loader import get_template
from django.urls import get_resolver


def load() -> None:
    """Compile the addresses and the templates, and take all that is loaded by now out of the garbage collector's sight.

    It stays for good, and to look through it again and again held up one page in twenty for a tenth of a second
    (benchmarks/desk.py, whose p95 it was).
    """
    get_resolver().reverse_dict  # noqa: B018 – a property that compiles
    folder = settings.BASE_DIR / "templates"
    for path in sorted(folder.rglob("*.html")):
        get_template(path.relative_to(folder).as_posix())
    gc.collect()
    gc.freeze()
