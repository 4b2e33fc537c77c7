"""A period played again with nothing changed is what happened, line by line."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from agents_app.models import Team
from sessions_app.whatif import played
from sessions_app.whatif.changes import Rules
from sessions_app.whatif.load_past import read
from sessions_app.whatif.past import EventKind, StoryEvent, between
from tests.cast import Cast, Later
from tests.strategies import STRATEGIES
from tests.whatif.day import Day

POLICY = {"round_robin": "requeue", "longest_idle": "requeue", "sticky": "requeue"}
"""What becomes of what nobody accepts; with the other strategies it goes back to its sender."""


AROUND = timedelta(seconds=20)
"""Of the first line that differs: what is shown beside it when a test fails."""


def unlike(cast: Cast, start: datetime, end: datetime) -> list[str]:
    past = read(cast.tenant, start, end)
    then, again = between(past.story, start, end), played(past, Rules.of(past))
    assert then, "nothing happened"
    lines = [("then ", line) for line in set(then) - set(again)] + [("again", line) for line in set(again) - set(then)]
    if not lines:
        return []
    first = min(line.at for _, line in lines)
    around = [("     ", line) for line in then if abs(line.at - first) < AROUND and line in set(again)]
    told = [pair for pair in lines if abs(pair[1].at - first) < AROUND] + around
    return [_told(which, line) for which, line in sorted(told, key=lambda pair: pair[1])]


def _told(which: str, line: StoryEvent) -> str:
    return f"{which} {line.at:%H:%M:%S.%f} {line.what}: session {line.session_id} wait {line.wait_id} agent {line.agent_id}"


def a_day(cast: Cast, later: Later, strategy: str, *, seed: int, steps: int) -> tuple[datetime, datetime]:
    cast.policy(transfer_policy=POLICY.get(strategy, "return"))
    start, end = Day(cast, later, seed=seed, strategy=strategy).passes(steps)
    cast.tenant.refresh_from_db()
    return start, end


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_day_on_which_everything_happens(cast: Cast, later: Later, strategy: str) -> None:
    start, end = a_day(cast, later, strategy, seed=1, steps=120)
    assert unlike(cast, start, end) == []
    assert unlike(cast, start + (end - start) * 0.4, start + (end - start) * 0.8) == [], "from the middle of it"


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("strategy", Team.Strategy.values)
def test_longer_days(cast: Cast, later: Later, strategy: str) -> None:
    happened: set[EventKind] = set()
    for seed in (2, 3, 4, 5, 8):
        of_its_own = Cast(f"day-{seed}")
        start, end = a_day(of_its_own, later, strategy, seed=seed, steps=300)
        assert unlike(of_its_own, start, end) == [], seed
        middle = start + (end - start) * 0.3, start + (end - start) * 0.6
        assert unlike(of_its_own, *middle) == [], f"{seed}, from the middle of it"
        happened |= {line.what for line in between(read(of_its_own.tenant, start, end).story, start, end)}
    assert happened == set(EventKind), "on one of the days or another everything did happen"


@pytest.mark.django_db(transaction=True)
def test_nothing_is_read_of_what_came_before_or_of_other_tenants(cast: Cast, later: Later) -> None:
    start, end = a_day(cast, later, "least_loaded", seed=1, steps=20)
    other = Cast("other")
    chat = other.chat()
    chat.robot()
    chat.escalate(other.bargain)
    assert (
        read(cast.tenant, end + timedelta(hours=1), end + timedelta(hours=2)).story
        == read(cast.tenant, end, end + timedelta(seconds=1)).story
    )
    assert {line.session_id for line in between(read(other.tenant, start, end).story, start, end)} <= {
        session.pk for session in chat.sessions
    }
