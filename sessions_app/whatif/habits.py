"""What people mostly did in a period: for what did not happen then, and happens under other rules. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median_high

from sessions_app.whatif.past import ZERO, Past, PastAgent, What, Work

ANSWERS_AFTER = timedelta(seconds=10)
TAKES_AFTER = timedelta(seconds=10)
WORKS_FOR = timedelta(minutes=5)
"""Where the period has no example."""


class Habits:
    """Medians: an answer to an offer, by agent; taking something by hand; the work on a conversation."""

    def __init__(self, past: Past) -> None:
        answers: dict[int, list[timedelta]] = defaultdict(list)
        for wait in past.waits:
            for offer in wait.offers:
                if offer.answer == What.TAKEN and offer.after is not None:
                    answers[offer.agent_id].append(offer.after)
        self._answers = {agent: _median(some, ANSWERS_AFTER) for agent, some in answers.items()}
        self._answer = _median([after for some in answers.values() for after in some], ANSWERS_AFTER)
        done = [work for work in _work(past) if work.end == "done" and work.after is not None]
        self._lasted = {work.session_id: work.after for work in done if work.after is not None}
        self._work = _median(list(self._lasted.values()), WORKS_FOR)
        self.takes_after = _median(list(_reactions(past)), TAKES_AFTER)

    def answers_after(self, agent_id: int) -> timedelta:
        return self._answers.get(agent_id, self._answer)

    def works_for(self, session_id: int) -> timedelta:
        """As long as the session kept an agent busy then, if it did."""
        return self._lasted.get(session_id, self._work)


def _median(some: list[timedelta], otherwise: timedelta) -> timedelta:
    return median_high(some) if some else otherwise


def _work(past: Past) -> Iterator[Work]:
    yield from past.work
    yield from (wait.work for wait in past.waits if wait.work)


def _reactions(past: Past) -> Iterator[timedelta]:
    """From the moment when an agent could have taken something by hand to the one at which it was taken."""
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
    for line, following in pairwise([*person.sheet, None]):
        if line is None or line.is_heard:
            continue
        at = line.at + gone_after
        if following is None or following.at > at or not following.is_heard:
            yield at
