"""Which build runs here."""

from __future__ import annotations

import platform
import subprocess
from functools import cache
from pathlib import Path

import django

VERSION = "0.1.0"


@cache
def info() -> dict[str, str]:
    """Version, revision where the code is a git checkout, and what it runs on."""
    return {
        "version": VERSION,
        "revision": _revision(),
        "python": platform.python_version(),
        "django": django.get_version(),
    }


def _revision() -> str:
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return ""
    try:
        asked = ["git", "-C", str(root), "rev-parse", "--short", "HEAD"]
        return subprocess.run(asked, capture_output=True, text=True, timeout=5, check=True).stdout.strip()  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return ""
