"""What if: simulates a past period under other rules or with other people, next to what happened (docs/whatif.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from agents_app.models import Tenant
from config import clock
from messaging_app.incoming import EARLIEST
from sessions_app.whatif.changes import Rules, changed
from sessions_app.whatif.load_past import read
from sessions_app.whatif.past import Past, StoryEvent, between
from sessions_app.whatif.statistics import Statistics, statistics
from sessions_app.whatif.world import World

__all__ = ["Comparison", "compare", "played"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """`then` is what happened, `again` the simulation with nothing changed, `changed` the one with the changes.

    `unlike` is in how many of the `lines` `again` differs from what happened. It is 0 as long as rules, teams and
    skills are still those of the period, and verbs came one after the other. Otherwise it says how far to trust the
    simulation.
    """

    then: Statistics
    again: Statistics
    changed: Statistics
    lines: int
    unlike: int


def compare(tenant: Tenant, start: datetime, end: datetime, changes: Mapping[str, Any]) -> Comparison:
    """Simulate a period, as far as it is past, with and without changes. Raises `changes.BadChange`."""
    start = max(start, EARLIEST)  # nothing happened before, and what the period began with is looked for before it
    end = max(start, min(end, clock.now()))
    past = read(tenant, start, end)
    rules = changed(past, changes)
    then, again, with_changes = between(past.story, start, end), played(past, Rules.of(past)), played(past, rules)
    waiting = len(past.queued)
    missing, added = _difference(then, again), _difference(again, then)
    return Comparison(
        then=statistics(then, past.people, waiting=waiting),
        again=statistics(again, past.people, waiting=waiting),
        changed=statistics(with_changes, rules.people, waiting=waiting),
        lines=len(then),
        unlike=max(len(missing), len(added)),
    )


def played(past: Past, rules: Rules) -> list[StoryEvent]:
    """The story of the period under these rules, in the order of time."""
    return sorted(World(past, rules).play())


def _difference(story: list[StoryEvent], other: list[StoryEvent]) -> set[StoryEvent]:
    return set(story) - set(other)
