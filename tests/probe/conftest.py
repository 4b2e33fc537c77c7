from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.test import override_settings


def unhurried(folder: Path) -> Any:
    """One caller asks hundreds of times here, and what it may ask for is switched on."""
    rates = {"DEFAULT_THROTTLE_RATES": dict.fromkeys(("caller", "anonymous"), "1000000/min")}
    store = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": folder}}
    return override_settings(
        REST_FRAMEWORK=settings.REST_FRAMEWORK | rates,
        PAGE_RATE="1000000/min",
        LOGIN_RATE="1000000/min",
        TRY_IT=True,
        WEBHOOK_ALLOW_LOOPBACK=True,
        DIRECTORY="agents_app.directory.Rows",
        MEDIA_ROOT=folder,
        STORAGES=settings.STORAGES | {"attachments": store},
    )
