"""What was said about the work, with its wording: for the package on top of the thread, the side panel, the offers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

from django.utils.translation import gettext as _

from sessions_app.core.context_package import Said, entries
from sessions_app.workbench import wording


@dataclass(slots=True)
class TaskStateLine:
    """One statement about the work. `by` and `at` are empty where the next line has the same and shows it for both."""

    text: str
    name: str = ""  # in the task state
    by: str = ""
    at: datetime | None = None


@dataclass(slots=True)
class Part:
    """The suggestion, the promises or the urgency."""

    part: str
    label: str
    lines: list[TaskStateLine] = field(default_factory=list)


def parts(package: Mapping[str, Any]) -> list[Part]:
    """The parts that say something, the most helpful for a decision first. The task state is apart (`state`)."""
    labels = {"suggestion": _("Suggestion"), "promises": _("Promised"), "urgency": _("Urgency")}
    said = list(entries(package))
    by_part = (
        Part(part, label, _lines(entry for entry in said if entry.part == part)) for part, label in labels.items()
    )
    return [part for part in by_part if part.lines]


def state(said: Iterable[Said]) -> list[TaskStateLine]:
    """The task state, a line for each name; a nested value is shown as JSON."""
    return _lines(entry for entry in said if entry.part == "task_state")


def _lines(said: Iterable[Said]) -> list[TaskStateLine]:
    lines = [TaskStateLine(_text(entry), entry.name, wording.said_by(entry.by, entry.who), entry.at) for entry in said]
    for line, following in pairwise(lines):
        if (line.by, line.at) == (following.by, following.at):
            line.by, line.at = "", None
    return lines


def _text(said: Said) -> str:
    if said.part == "urgency":
        return wording.priority(said.value)
    return said.value if isinstance(said.value, str) else json.dumps(said.value, ensure_ascii=False)
