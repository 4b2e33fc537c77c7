from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from messaging_app.attachments import files


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> Path:
    """Where files lie during a test."""
    there = tmp_path / "media"
    settings.STORAGES = settings.STORAGES | {
        "attachments": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": there},
        }
    }
    return there


@pytest.fixture(autouse=True)
def _within_the_tests_transaction(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test's own transaction is around everything; those marked `transaction=True` have none, and the guard stands."""
    mark = request.node.get_closest_marker("django_db")
    if not (mark and mark.kwargs.get("transaction")):
        monkeypatch.setattr(files, "never_in_a_transaction", lambda: None)


def kept(folder: Path) -> list[str]:
    """The names of all files in the store."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
