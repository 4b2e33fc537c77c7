"""The state of a simulated desk, its clock, and the story that it produces. Pure."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from agents_app.models import Agent
from sessions_app.assignment.strategies import Candidate
from sessions_app.assignment.teams import Teams
from sessions_app.whatif.changes import Rules
from sessions_app.whatif.habits import Habits
from sessions_app.whatif.past import ZERO, EventKind, Past, PastAgent, StoryEvent, Wait
from sessions_app.whatif.simulated_work import QueuePlace, Run, Seat

UNRECORDED = 10**18
"""The position of events that the stream does not hold: after those that it holds at the same time."""


class SimulatedDesk:
    def __init__(self, past: Past, rules: Rules) -> None:
        self.past, self.rules = past, rules
        self.tenant, self.teams = rules.tenant, Teams(rules.teams)
        self.habits = Habits(past)
        self.story: list[StoryEvent] = []
        self.now = past.start
        self._heap: list[tuple[datetime, int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._number = count()
        self._keys = count(-1, -1)
        self._queue: dict[int, QueuePlace] = {}  # by session
        self._runs: dict[int, Run] = {}  # by session
        self._paused: dict[int, list[Run | QueuePlace]] = defaultdict(list)  # what gave way, by conversation
        self._teams_of: dict[int, int] = {}  # by session: the team that served it last
        self._last_agent = dict(past.last_agents)
        self._follows: dict[int, list[Wait]] = defaultdict(list)  # by session: what the rules asked for then, in order
        self._seats = {person.id: self._seat(person) for person in rules.people.values()}

    def _at(self, at: datetime, pos: int, event: Callable[..., None], *arguments: Any) -> None:
        heapq.heappush(self._heap, (max(at, self.now), pos, next(self._number), event, arguments))

    def _seat(self, person: PastAgent) -> Seat:
        first = next((line for line in reversed(person.presence_log) if line.at <= self.past.start), None)
        seen = Candidate(
            agent_id=person.id,
            availability=first.availability if first else Agent.Availability.OFFLINE,
            is_heard=bool(first and first.is_heard),
            busy=0,
            max_load=self.rules.capacity(person, first.max_load if first else person.max_load),
            skills=person.skills,
            weights=person.weights,
            last_offer_at=person.last_offer_at,
            is_drained=bool(first and first.is_drained),
        )
        seat = Seat(person, seen, offered_at=sorted(person.offers), idle_since=person.idle_since)
        seat.is_loose = person.id in self.rules.added
        return seat

    # --- The queue and the work ---

    def _leave(self, place: QueuePlace) -> None:
        place.is_over = True
        self._take_back(place)
        self._queue.pop(place.session_id, None)
        if place.coming and (seat := self._seats.get(place.coming)):
            seat.coming = 0

    def _take_back(self, place: QueuePlace) -> None:
        if seat := self._seats.get(place.offered_to):
            seat.offers.discard(place.key)
            seat.count()
        place.offered_to = 0

    def _sit(self, run: Run) -> None:
        if seat := self._seats.get(run.agent_id or 0):
            seat.runs.add(run.session_id)
            seat.count()

    def _rise(self, run: Run) -> Seat | None:
        seat = self._seats.get(run.agent_id or 0)
        if seat:
            seat.runs.discard(run.session_id)
            seat.count()
        return seat

    def _is_served(self, conversation_id: int) -> bool:
        runs = (run for run in self._runs.values() if run.conversation_id == conversation_id)
        return any(run.since is not None and run.agent_id is not None for run in runs)

    def _is_busy(self, conversation_id: int) -> bool:
        waits = any(place.conversation_id == conversation_id for place in self._queue.values())
        return waits or self._is_served(conversation_id)

    # --- The story ---

    def _tell(
        self,
        what: EventKind,
        place: QueuePlace | None,
        seat: Seat | None = None,
        *,
        session_id: int = 0,
        waited: timedelta = ZERO,
    ) -> None:
        self.story.append(
            StoryEvent(
                self.now,
                what,
                place.session_id if place else session_id,
                place.key if place else 0,
                seat.person.id if seat else 0,
                place.team_id if place else 0,
                waited,
            )
        )
