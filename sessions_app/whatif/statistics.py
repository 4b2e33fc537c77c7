"""The figures of a story. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from django.utils.translation import gettext_lazy as _

from sessions_app.whatif.past import ZERO, EventKind, PastAgent, StoryEvent

NAMES = {
    "asked": _("asked for a human"),
    "taken": _("taken by an agent"),
    "waiting_at_end": _("waiting at the end"),
    "wait_median": _("median wait"),
    "wait_p95": _("95 of 100 waited at most"),
    "wait_longest": _("longest wait"),
    "offers": _("offers"),
    "refused": _("offers declined"),
    "ran_out": _("offers that ran out"),
    "overflow": _("taken by another team"),
    "timed_out": _("time-outs"),
    "asked_again": _("asked again"),
    "preempted": _("work interrupted"),
}
"""The figures as they are shown, in this order."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """The figures of a period. A wait lasts from the request for a human until an agent takes it; only those count.

    `overflow` counts what agents of another team than the requested one took. `served` counts by agent id.
    """

    asked: int
    taken: int
    waiting_at_end: int
    wait_median: timedelta
    wait_p95: timedelta
    wait_longest: timedelta
    offers: int
    refused: int
    ran_out: int
    overflow: int
    timed_out: int
    asked_again: int
    preempted: int
    served: Mapping[int, int]


def statistics(story: Iterable[StoryEvent], people: Mapping[int, PastAgent], *, waiting: int) -> Statistics:
    """Count a story. `waiting` is the queue's length when the period began."""
    lines = list(story)
    counts = Counter(line.what for line in lines)
    taken = [line for line in lines if line.what == EventKind.TAKEN and line.wait_id]
    waits = sorted(line.waited for line in taken)
    ended = counts[EventKind.TIMED_OUT] + counts[EventKind.GIVEN_UP] + len(taken)
    return Statistics(
        asked=counts[EventKind.ASKED],
        taken=len(taken),
        waiting_at_end=waiting + counts[EventKind.ASKED] - ended,
        wait_median=_share(waits, 0.5),
        wait_p95=_share(waits, 0.95),
        wait_longest=waits[-1] if waits else ZERO,
        offers=counts[EventKind.OFFERED],
        refused=counts[EventKind.REFUSED],
        ran_out=counts[EventKind.RAN_OUT],
        overflow=sum(_overflowed(line, people) for line in taken),
        timed_out=counts[EventKind.TIMED_OUT],
        asked_again=counts[EventKind.ASKED_AGAIN],
        preempted=counts[EventKind.PREEMPTED],
        served=dict(Counter(line.agent_id for line in lines if line.what == EventKind.TAKEN)),
    )


def _overflowed(line: StoryEvent, people: Mapping[int, PastAgent]) -> bool:
    person = people.get(line.agent_id)
    return bool(line.team_id and person and line.team_id not in person.weights)


def _share(waits: list[timedelta], share: float) -> timedelta:
    """A percentile of the sorted waits, by nearest rank."""
    return waits[min(len(waits) - 1, int(len(waits) * share))] if waits else ZERO
