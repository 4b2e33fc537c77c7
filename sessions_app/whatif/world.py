"""A simulated desk: a past period played again in memory, under rules that may differ. Pure.

Customers come when they came. Agents do what they did as long as they can: one who was offered a conversation answers
as in the period and as quickly, one who took a conversation by hand takes it at the same time, and works on it for as
long. In what did not happen in the period, agents behave as they typically did (`Habits`).

Events happen in the order of the stream. The layers: `SimulatedDesk` is the state and the clock, `Offers` who takes
what waits, `Queue` what is asked for and how its wait ends, `World` the rest of the rules: work, and whose turn it is.
"""

from __future__ import annotations

import heapq
from datetime import datetime

from sessions_app.whatif.habits import absences
from sessions_app.whatif.past import ZERO, EventKind, Held, PresenceLogLine, Queued, Step, StoryEvent, Work
from sessions_app.whatif.simulated_desk import UNRECORDED
from sessions_app.whatif.simulated_offers import LOOKS_WITHIN
from sessions_app.whatif.simulated_queue import Queue
from sessions_app.whatif.simulated_work import QueuePlace, Run, Seat


class World(Queue):
    def play(self) -> list[StoryEvent]:
        self._plan()
        while self._heap and self._heap[0][0] < self.past.end:
            self.now, _, _, event, arguments = heapq.heappop(self._heap)
            event(*arguments)
            if not self._heap or self._heap[0][0] > self.now:  # what has the same time is one verb
                self._look_around()
        return self.story

    # --- The plan ---

    def _plan(self) -> None:
        past = self.past
        for seat in self._seats.values():
            self._plan_presence(seat)
        for wait in (wait for wait in past.waits if wait.asked_at >= past.start):
            if wait.follows:
                self._follows[wait.session_id].append(wait)
            else:
                self._at(wait.asked_at, wait.pos, self._asks, wait)
        for work in (work for work in past.work if work.began_at >= past.start):
            self._at(work.began_at, work.pos, self._takes_over, work)
        self._plan_handovers()
        self._look_ahead()
        for held in past.held:
            self._carry_work(held)
        for queued in past.queued:
            self._carry_wait(queued)
        for wait in past.gave_way:
            self._paused[wait.conversation_id].append(self._place(wait, wait.asked_at))

    def _plan_presence(self, seat: Seat) -> None:
        for line in seat.person.presence_log:
            if line.at > self.past.start:
                self._at(line.at, 0, self._presence, seat, line)
        for at in absences(seat.person, self.past.gone_after):
            self._at(at + LOOKS_WITHIN, UNRECORDED, self._is_gone, seat)

    def _plan_handovers(self) -> None:
        for handover in self.past.handovers:
            seat = self._seats.get(handover.agent_id)
            if seat is None or (handover.until is not None and handover.until < self.past.start):
                continue
            key = next(self._keys)
            seat.ahead.append((handover.at, handover.at))
            self._at(handover.at, handover.pos, self._handover_offered, seat, key, handover.at)
            if handover.until:
                self._at(handover.until, handover.until_pos, self._handover_answered, seat, key)

    def _look_ahead(self) -> None:
        """Note for each agent what the system offered as soon as it came: the agent is kept free for it."""
        for wait in self.past.waits:
            for offer in wait.offers:
                if offer.at <= wait.asked_at + LOOKS_WITHIN and (seat := self._seats.get(offer.agent_id)):
                    seat.ahead.append((offer.at, wait.asked_at))
        for seat in self._seats.values():
            seat.ahead.sort()

    def _carry_work(self, held: Held) -> None:
        if not held.is_preempted and held.agent_id and held.agent_id not in self._seats:
            return  # the agent is not there this time: nobody knows how it would have begun
        run = self._run_of(held.work, held.work.agent_id)  # also where it was handed on before: it goes on as then
        run.agent_id, run.worked = held.agent_id, held.worked
        self._runs[run.session_id] = run
        if held.is_preempted:
            self._paused[run.conversation_id].append(run)
        else:
            self._go_on(run)

    def _carry_wait(self, queued: Queued) -> None:
        place = self._place(queued.wait, queued.wait.asked_at)
        place.refused = set(queued.refused_by)
        self._enter(place)
        if (offer := queued.offer) and (seat := self._seats.get(offer.agent_id)):
            self._hold_out(place, seat)
            if answer := self._as_then(place, offer):
                what, after, pos = answer
                self._at(offer.at + after, pos, self._answers, place, place.offer, what)

    # --- Work ---

    def _take(self, place: QueuePlace, seat: Seat) -> None:
        self._leave(place)
        self._tell(EventKind.TAKEN, place, seat, waited=self.now - place.waiting_since)
        if left := self._seats.get(place.left_by):
            left.idle_since = self.now
        self._last_agent[place.conversation_id] = seat.person.id
        work = place.record.work if place.record else None
        run = self._run_of(work, seat.person.id) if work else self._guess(place, seat.person.id)
        run.team_id = place.team_id or self._teams_of.get(place.session_id, 0)
        self._start(run)

    def _takes_over(self, work: Work) -> None:
        """A takeover from a bot, or a session that an agent opens, as then; not if somebody serves already."""
        if work.preempts:
            self._preempt(work.conversation_id)
        elif self._is_served(work.conversation_id):
            return
        seat = self._seats.get(work.agent_id)
        if seat is None:
            return
        if not work.preempts:
            for place in self._live_places(work.conversation_id):
                self._leave(place)
                self._tell(EventKind.GIVEN_UP, place)
        self._last_agent[work.conversation_id] = seat.person.id
        self._tell(EventKind.TAKEN, None, seat, session_id=work.session_id)
        run = self._run_of(work, work.agent_id)
        run.team_id = work.team_id
        self._start(run)

    def _run_of(self, work: Work, agent_id: int) -> Run:
        """Work as in the period. When another agent has it, the absence of the first one does not end it."""
        run = Run(
            work.session_id,
            work.conversation_id,
            work.team_id,
            agent_id,
            work.steps,
            work.after,
            work.end,
            work.end_pos,
        )
        run.is_as_then = agent_id == work.agent_id
        if work.end == "absence":
            run.absent_at, run.after = work.ended_at, None
        if work.end in ("absence", "no_reply") and agent_id != work.agent_id:
            run.after, run.end, run.absent_at = self.habits.works_for(work.session_id), "done", None
        return run

    def _guess(self, place: QueuePlace, agent_id: int) -> Run:
        after = self.habits.works_for(place.session_id)
        return Run(place.session_id, place.conversation_id, place.team_id, agent_id, [], after, "done", UNRECORDED)

    def _start(self, run: Run) -> None:
        self._runs[run.session_id] = run
        self._teams_of[run.session_id] = run.team_id
        self._go_on(run)

    def _go_on(self, run: Run) -> None:
        """Schedule the rest of the work."""
        run.since, run.version = self.now, run.version + 1
        self._sit(run)
        for step in run.steps:
            if step.after > run.worked or (step.after == run.worked and run.worked == ZERO):
                self._at(self.now + (step.after - run.worked), step.pos, self._steps, run, run.version, step)
        if run.after is not None:
            left = max(run.after - run.worked, ZERO)
            self._at(self.now + left, run.end_pos, self._ends, run, run.version, run.end)
        elif run.absent_at:
            self._at(run.absent_at, run.end_pos, self._ends, run, run.version, "absence")

    def _steps(self, run: Run, version: int, step: Step) -> None:
        """The work goes to a colleague, or on hold, or comes back from hold."""
        if run.version != version:
            return
        if step.agent_id is not None and step.agent_id not in self._seats:
            return  # the colleague is not there this time
        left = self._rise(run)
        if left and step.agent_id is not None:
            left.idle_since = self.now
        run.agent_id = step.agent_id
        if step.agent_id is not None:
            self._last_agent[run.conversation_id] = step.agent_id
        self._sit(run)
        if step.agent_id is None:
            self._settle(run.conversation_id)

    def _ends(self, run: Run, version: int, end: str) -> None:
        if run.version != version:
            return
        run.version += 1
        seat = self._rise(run)
        self._runs.pop(run.session_id, None)
        self._tell(EventKind.DONE, None, seat, session_id=run.session_id)
        if end == "done":
            if seat:
                seat.idle_since = self.now
            self._settle(run.conversation_id)
        else:
            self._asks_again(run.session_id, run.conversation_id, None, left_by=run.agent_id or 0)

    def _is_gone(self, seat: Seat) -> None:
        """What the absent agent serves only this time goes to somebody else (C5); the rest ends as in the period."""
        for run in [self._runs[session_id] for session_id in sorted(seat.runs)]:
            if not run.is_as_then:
                self._ends(run, run.version, "absence")

    # --- Whose turn it is ---

    def _preempt(self, conversation_id: int) -> None:
        """C4: something urgent comes, and what is served or waits gives way."""
        for run in [run for run in self._runs.values() if run.conversation_id == conversation_id]:
            if run.since is not None and run.agent_id is not None:
                run.worked, run.since, run.version = run.worked + (self.now - run.since), None, run.version + 1
                seat = self._rise(run)
                self._paused[conversation_id].append(run)
                self._tell(EventKind.PREEMPTED, None, seat, session_id=run.session_id)
        for place in self._live_places(conversation_id):
            self._leave(place)
            self._tell(EventKind.GIVEN_UP, place)
            self._paused[conversation_id].append(place)

    def _settle(self, conversation_id: int) -> None:
        """If the turn is free, the best-ranked of what gave way comes back; of equals, the oldest."""
        gave_way = self._paused[conversation_id]
        if not gave_way or self._is_served(conversation_id) or self._live_places(conversation_id):
            return
        if self._comes_back_now(conversation_id):
            return
        waiting = [place for place in self._queue.values() if place.conversation_id == conversation_id]
        candidates: list[Run | QueuePlace] = [*gave_way, *waiting]
        back = min(candidates, key=lambda work: (self.past.ranks.get(work.session_id, 0), work.session_id))
        if back not in gave_way:
            return  # it waits for an agent, and holds back what comes after it
        gave_way.remove(back)
        if isinstance(back, Run):
            self._go_on(back)
        else:
            self._asks_again(back.session_id, conversation_id, back)

    def _comes_back_now(self, conversation_id: int) -> bool:
        """Whether, in the period, work on hold went on at this very moment: the turn is its."""
        return any(
            run.conversation_id == conversation_id
            and run.agent_id is None
            and run.since is not None
            and any(step.agent_id and run.since + (step.after - run.worked) == self.now for step in run.steps)
            for run in self._runs.values()
        )

    def _live_places(self, conversation_id: int) -> list[QueuePlace]:
        """Places that wait and have the turn; a session that has not begun waits without it."""
        return [place for place in self._queue.values() if place.conversation_id == conversation_id and place.is_live]

    # --- Presence ---

    def _presence(self, seat: Seat, line: PresenceLogLine) -> None:
        seat.seen.availability, seat.seen.is_heard = line.availability, line.is_heard
        seat.seen.is_drained = line.is_drained
        seat.seen.max_load = self.rules.capacity(seat.person, line.max_load)

    def _handover_offered(self, seat: Seat, key: int, at: datetime) -> None:
        seat.offers.add(key)
        seat.count()
        if at >= self.past.start:
            seat.seen.last_offer_at = self.now
            seat.offered_at.append(self.now)

    def _handover_answered(self, seat: Seat, key: int) -> None:
        seat.offers.discard(key)
        seat.count()
