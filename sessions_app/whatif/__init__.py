"""What if: a past period played again under other rules or with other people, beside what happened (docs/whatif.md)."""

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
from sessions_app.whatif.past import Happened, Past, between
from sessions_app.whatif.statistics import Statistics, statistics
from sessions_app.whatif.world import World

__all__ = ["Comparison", "compare", "played"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """`unlike` tells in how many lines the period, played again with nothing changed, is not as it was.

    It is 0 as long as the rules, teams and skills are those of then, and verbs came one after the other. Otherwise it
    says how far the play is to be trusted.
    """

    then: Statistics
    again: Statistics
    changed: Statistics
    lines: int
    unlike: int


def compare(tenant: Tenant, start: datetime, end: datetime, changes: Mapping[str, Any]) -> Comparison:
    """Play a period with and without changes, as far as it is past. Raises `rules.BadChange`."""
    start = max(start, EARLIEST)  # nothing happened before, and what the period began with is looked for before it
    end = max(start, min(end, clock.now()))
    past = read(tenant, start, end)
    rules = changed(past, changes)
    then, again, other = between(past.story, start, end), played(past, Rules.of(past)), played(past, rules)
    waiting = len(past.queued)
    missing, more = _difference(then, again), _difference(again, then)
    return Comparison(
        then=statistics(then, past.people, waiting=waiting),
        again=statistics(again, past.people, waiting=waiting),
        changed=statistics(other, rules.people, waiting=waiting),
        lines=len(then),
        unlike=max(len(missing), len(more)),
    )


def played(past: Past, rules: Rules) -> list[Happened]:
    """What happens in the period under these rules."""
    return sorted(World(past, rules).play())


def _difference(some: list[Happened], others: list[Happened]) -> set[Happened]:
    return set(some) - set(others)
