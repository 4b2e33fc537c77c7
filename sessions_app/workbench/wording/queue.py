"""How long a customer waits: the place in the queue, and the expected time."""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from sessions_app.queries.expected_wait import Waiting


def waiting(waits: Waiting) -> str:
    """For the customer who waits: the place in the queue, and how long that is likely to take."""
    number = waits.position
    if waits.seconds is None:
        return _("You are number %(number)s; how long it takes is not known") % {"number": number}
    return _("You are number %(number)s, %(wait)s") % {"number": number, "wait": wait(waits.seconds)}


def place(waits: Waiting) -> str:
    """The same for an agent who looks at the conversation."""
    number = waits.position
    if waits.seconds is None:
        return _("number %(number)s in the queue, for how long is not known") % {"number": number}
    return _("number %(number)s in the queue, %(wait)s") % {"number": number, "wait": wait(waits.seconds)}


def wait(seconds: int | None) -> str:
    """An expected wait, rounded so that it promises no more than is known; empty when nothing is known."""
    if seconds is None:
        return ""
    if seconds < 60:
        return _("now") if seconds == 0 else _("less than a minute")
    if seconds < 3600:
        minutes = round(seconds / 60)
        return ngettext("about %(count)s minute", "about %(count)s minutes", minutes) % {"count": minutes}
    hours = round(seconds / 3600)
    return ngettext("about %(count)s hour", "about %(count)s hours", hours) % {"count": hours}
