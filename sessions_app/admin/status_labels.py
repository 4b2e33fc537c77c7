"""How statuses are shown in the lists of the admin."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from sessions_app.admin import agents, assignment, saved_views, service_levels  # noqa: F401 – register their models

STATUS_COLOURS = {
    "ACTIVE": "success",
    "TRANSFERRED": "warning",
    "PENDING": "info",
    "PAUSED": "info",
    "ACCEPTED": "success",
    "DECLINED": "danger",
    "TIMED_OUT": "danger",
    "TIMEOUT": "danger",
    "COMPLETED": "",
    "CANCELLED": "",
    "WITHDRAWN": "",
}


class StatusLabel:
    @display(description=_("status"), ordering="status", label=STATUS_COLOURS)
    def status_label(self, row: Any) -> tuple[str, str]:
        return row.status, row.get_status_display()
