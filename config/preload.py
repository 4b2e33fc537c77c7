"""What a serving process loads before its first request, so that no visitor waits for it."""

from __future__ import annotations

import gc

from django.conf import settings
from django.template.loader import get_template
from django.urls import get_resolver


def load() -> None:
    """Compile the URL patterns and the templates, and exclude all that is loaded by now from garbage collection.

    These objects live as long as the process; scanning them again and again held up one page in twenty for a tenth of a
    second (the p95 of benchmarks/desk.py).
    """
    get_resolver().reverse_dict  # noqa: B018 – a property that compiles
    folder = settings.BASE_DIR / "templates"
    for path in sorted(folder.rglob("*.html")):
        get_template(path.relative_to(folder).as_posix())
    gc.collect()
    gc.freeze()
