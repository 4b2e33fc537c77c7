"""What was said about the work, with the words for it: the package on top of the thread, the side panel, the offers."""

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
    """One thing said. Where the next one was said by the same at the same time, that one tells it for both."""

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
    """What helps most to decide first; the task state stands by itself (`state`)."""
    labels = {"suggestion": _("Suggestion"), "promises": _("Promised"), "urgency": _("Urgency")}
    said = list(entries(package))
    found = (Part(part, label, _lines(one for one in said if one.part == part)) for part, label in labels.items())
    return [part for part in found if part.lines]


def state(said: Iterable[Said]) -> list[TaskStateLine]:
    """What is known of the task, a line for each name; what is nested stands as JSON."""
    return _lines(one for one in said if one.part == "task_state")


def _lines(said: Iterable[Said]) -> list[TaskStateLine]:
    every = [TaskStateLine(_text(one), one.name, wording.said_by(one.by, one.who), one.at) for one in said]
    for line, following in pairwise(every):
        if (line.by, line.at) == (following.by, following.at):
            line.by, line.at = "", None
    return every


def _text(said: Said) -> str:
    if said.part == "urgency":
        return wording.priority(said.value)
    return said.value if isinstance(said.value, str) else json.dumps(said.value, ensure_ascii=False)
