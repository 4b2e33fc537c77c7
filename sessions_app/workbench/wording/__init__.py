"""What the desk calls things, one module per kind of text: states, lines of the thread, refusals. All through gettext.

Texts that are looked up by a key are lazy, in a dictionary of their module: a row of the list needs five of them, and only
the one that is shown is translated, not all of its dictionary.
"""

from sessions_app.workbench.wording.happenings import OVERRIDES, RULES, TRIGGERS, event, happened, rule, since, trigger
from sessions_app.workbench.wording.list_views import BULK, SCOPES, VIEWS, empty
from sessions_app.workbench.wording.people import SPEAKERS, participation_over, person, said_by, shared, speaker
from sessions_app.workbench.wording.queue import place, wait, waiting
from sessions_app.workbench.wording.refusals import FILES, refusal
from sessions_app.workbench.wording.states import (
    CONTROLLERS,
    FLOWS,
    PRIORITIES,
    SESSION_TYPES,
    WORK,
    controller,
    ended,
    flow,
    priority,
    session_type,
    state,
    work,
)

__all__ = [
    "BULK",
    "CONTROLLERS",
    "FILES",
    "FLOWS",
    "OVERRIDES",
    "PRIORITIES",
    "RULES",
    "SCOPES",
    "SESSION_TYPES",
    "SPEAKERS",
    "TRIGGERS",
    "VIEWS",
    "WORK",
    "controller",
    "empty",
    "ended",
    "event",
    "flow",
    "happened",
    "participation_over",
    "person",
    "place",
    "priority",
    "refusal",
    "rule",
    "said_by",
    "session_type",
    "shared",
    "since",
    "speaker",
    "state",
    "trigger",
    "wait",
    "waiting",
    "work",
]
