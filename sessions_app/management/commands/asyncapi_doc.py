"""Make docs/asyncapi.yaml from the table of event types."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from config.generated_pages import GeneratedPages
from sessions_app.events.asyncapi import PAGE, page


class Command(GeneratedPages):
    help = "Make docs/asyncapi.yaml from the table of event types; --check fails when it is stale."
    command = "asyncapi_doc"
    requires_system_checks = ()

    def pages(self) -> Iterator[tuple[Path, str]]:
        yield PAGE, page()
