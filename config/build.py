"""Which build runs here. The version stands in one place, `version` of pyproject.toml; everything else reads it here."""

from __future__ import annotations

import platform
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import django

ROOT = Path(__file__).resolve().parent.parent
VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
"""The release, as Semantic Versioning writes it: `1.2.3`. Tandem runs from its folder, so the file is always there."""


@cache
def info() -> dict[str, str]:
    """Version, revision (empty outside a git checkout), and what it runs on."""
    return {
        "version": VERSION,
        "revision": _revision(),
        "python": platform.python_version(),
        "django": django.get_version(),
    }


def _revision() -> str:
    if not (ROOT / ".git").exists():
        return ""
    try:
        command = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
        return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return ""
