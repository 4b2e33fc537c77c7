"""What people typically did in a period, for what happens only under other rules. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median_high

from sessions_app.whatif.past import ZERO, EventKind, Past, PastAgent, Work

ANSWERS_AFTER = timedelta(seconds=10)
TAKES_AFTER = timedelta(seconds=10)
WORKS_FOR = timedelta(minutes=5)
"""Used where the period has no example."""


class Habits:
    """Median times: to accept an offer, by agent; to take something by hand; of the work on a conversation."""

    def __init__(self, past: Past) -> None:
        answers: dict[int, list[timedelta]] = defaultdict(list)
        for wait in past.waits:
            for offer in wait.offers:
                if offer.answer == EventKind.TAKEN and offer.after is not None:
                    answers[offer.agent_id].append(offer.after)
        self._answers = {agent: _median(times, ANSWERS_AFTER) for agent, times in answers.items()}
        self._answer = _median([after for times in answers.values() for after in times], ANSWERS_AFTER)
        done = [work for work in _work(past) if work.end == "done" and work.after is not None]
        self._lasted = {work.session_id: work.after for work in done if work.after is not None}
        self._work = _median(list(self._lasted.values()), WORKS_FOR)
        self.takes_after = _median(list(_reactions(past)), TAKES_AFTER)

    def answers_after(self, agent_id: int) -> timedelta:
        return self._answers.get(agent_id, self._answer)

    def works_for(self, session_id: int) -> timedelta:
        """How long the session kept an agent busy in the period, if it did; otherwise the median."""
        return self._lasted.get(session_id, self._work)


def _median(times: list[timedelta], otherwise: timedelta) -> timedelta:
    return median_high(times) if times else otherwise


def _work(past: Past) -> Iterator[Work]:
    yield from past.work
    yield from (wait.work for wait in past.waits if wait.work)


def _reactions(past: Past) -> Iterator[timedelta]:
    """How long an agent who took something by hand could have taken it before."""
    ended: dict[int, list[datetime]] = defaultdict(list)
    for work in _work(past):
        if work.ended_at:
            ended[work.agent_id].append(work.ended_at)
    for wait in past.waits:
        if wait.taken_unoffered and wait.ended_at:
            before = [at for at in ended[wait.taken_by] if at <= wait.ended_at]
            yield max(wait.ended_at - max([wait.asked_at, *before]), ZERO)


def absences(person: PastAgent, gone_after: timedelta) -> Iterable[datetime]:
    """When the agent had been silent for so long that the sessions went to somebody else."""
    for line, following in pairwise([*person.presence_log, None]):
        if line is None or line.is_heard:
            continue
        at = line.at + gone_after
        if following is None or following.at > at or not following.is_heard:
            yield at
