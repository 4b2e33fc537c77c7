from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from config import buckets
from messaging_app.attachments import files
from tests.cases.the_record import before_keys, kept, record  # noqa: F401 – fixtures


@pytest.fixture
def many_requests(settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """For a test that makes hundreds of requests in the world of the rights matrix, and undoes what they did."""
    rates = {"caller": "1000000/min", "anonymous": "1000000/min"}
    settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"DEFAULT_THROTTLE_RATES": rates}
    settings.WEBHOOK_ALLOW_LOOPBACK = True
    settings.DIRECTORY = "agents_app.directory.Rows"
    where = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path / "media"}}
    settings.STORAGES = settings.STORAGES | {"attachments": where}
    monkeypatch.setattr(files, "never_in_a_transaction", lambda: None)  # each request is undone
    yield
    buckets.forget()
