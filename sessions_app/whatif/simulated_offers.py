"""Who takes what waits on a simulated desk: offers by the team's strategy, and by hand. Pure.

The rules are those of the desk itself: `choice.choose` decides, on facts kept here instead of read from rows. The queue
is looked at when the system looked at it then, and at once where it did not.
"""

from __future__ import annotations

from bisect import bisect_left
from datetime import datetime, timedelta
from operator import itemgetter

from agents_app.models import Agent, Team
from agents_app.skills import together
from sessions_app.assignment.choice import REFUSED, choose, is_free
from sessions_app.assignment.facts import TODAY
from sessions_app.assignment.strategies import Case, pause
from sessions_app.whatif.past import ZERO, EventKind, Offer
from sessions_app.whatif.simulated_desk import UNRECORDED, SimulatedDesk
from sessions_app.whatif.simulated_work import QueuePlace, Seat

LOOKS_WITHIN = timedelta(seconds=10)
"""How soon the system looked at the queue once there was room. What it did in this time is repeated at its moment."""


class Offers(SimulatedDesk):
    def _take(self, place: QueuePlace, seat: Seat) -> None:
        raise NotImplementedError

    def _since(self, place: QueuePlace) -> datetime:
        return max(place.waiting_since, place.opens_at or place.waiting_since)

    def _case(self, place: QueuePlace) -> Case:
        team = self.teams.get(place.team_id)
        return Case(
            transfer_id=place.key,
            conversation_id=place.conversation_id,
            strategy=self.teams.strategy(place.team_id),
            pool=self.teams.pool(place.team_id, self.now - self._since(place)),
            needs=together(team.needs if team else {}, place.needs),
            refused_by=frozenset(place.refused),
            last_agent_id=self._last_agent.get(place.conversation_id),
            obstacle="team full" if team and self._is_full(team) else "",
        )

    def _is_full(self, team: Team) -> bool:
        if team.capacity is None:
            return False
        served = sum(
            run.team_id == team.pk and run.since is not None and bool(run.agent_id) for run in self._runs.values()
        )
        offered = sum(place.team_id == team.pk and bool(place.offered_to) for place in self._queue.values())
        return served + offered >= team.capacity

    def _wants_offers(self, place: QueuePlace) -> bool:
        is_closed = place.opens_at is not None and place.opens_at > self.now
        if place.is_over or place.offered_to or place.to_agent_id or is_closed:
            return False
        return self.teams.is_push(self.tenant, place.team_id)

    def _look_around(self) -> None:
        """Offer what waits, in the order of the desk, and let agents who are loose take by hand what is not offered."""
        self._withdraw_offers()
        free = [seat for seat in self._seats.values() if is_free(seat.seen) and not self._is_expecting(seat)]
        # Also for what is offered to somebody else now: in the period, that offer ran out before the system looked.
        kept = {agent for place in self._queue.values() if (agent := self._expected(place))}
        free = [seat for seat in free if seat.person.id not in kept]
        if not free:
            return
        for place in sorted(self._queue.values(), key=lambda place: place.order):
            if not free:
                break
            if self._wants_offers(place):
                if self._expected(place) is None and not self._was_over_first(place):
                    self._offer(place, free)
            elif not self.teams.is_push(self.tenant, place.team_id) and not place.coming and not place.to_agent_id:
                self._expect(place, free)
            free = [seat for seat in free if is_free(seat.seen)]

    def _expected(self, place: QueuePlace) -> int | None:
        """The agent to whom the system offered it a moment later: until then the agent is kept free for it."""
        soon = (agent for at, _, agent in place.looks if self.now <= at <= self.now + LOOKS_WITHIN)
        return next(soon, None)

    def _was_over_first(self, place: QueuePlace) -> bool:
        """Whether, in the period, its wait ended before the system looked at it again."""
        record = place.record
        if record is None or record.ended_at is None:
            return False
        over = record.ended_at + (place.asked_at - record.asked_at)
        return self.now <= over <= self.now + LOOKS_WITHIN and not any(at >= self.now for at, _, _ in place.looks)

    def _is_expecting(self, seat: Seat) -> bool:
        """Whether the agent is kept free for what does not wait yet: a handover, or what comes in a moment."""
        for place in range(bisect_left(seat.ahead, self.now, key=itemgetter(0)), len(seat.ahead)):
            offered_at, comes_at = seat.ahead[place]
            if offered_at > self.now + LOOKS_WITHIN:
                return False
            if self.now <= comes_at:
                return True
        return False

    def _looks_again(self, place: QueuePlace) -> None:
        """Offer it at the moment at which the system offered it then."""
        place.looks = [look for look in place.looks if look[0] > self.now]
        if self._wants_offers(place):
            self._offer(place, [seat for seat in self._seats.values() if is_free(seat.seen)])

    def _offer(self, place: QueuePlace, free: list[Seat]) -> None:
        case = self._case(place)
        self._refresh(case, free)
        choice = choose(case, [seat.seen for seat in free])
        chosen = choice.chosen
        if chosen is None:
            if REFUSED in choice.verdicts and not case.obstacle and not place.rests:
                place.rests = True
                rest = pause(self.past.policies.offer_round_pause, place.round)
                if place.record:  # a new round that the period records comes first
                    rest += LOOKS_WITHIN
                self._at(self.now + rest, UNRECORDED, self._next_round, place, place.offer)
            return
        place.rests = False
        seat = self._seats[chosen.agent_id]
        self._hold_out(place, seat)
        seat.seen.last_offer_at = self.now
        seat.offered_at.append(self.now)
        self._tell(EventKind.OFFERED, place, seat)
        if answer := self._answer(place, seat):
            what, after, pos = answer
            self._at(self.now + after, pos, self._answers, place, place.offer, what)

    def _next_round(self, place: QueuePlace, offer: int) -> None:
        """Begin a new round, unless it was offered meanwhile, and refused again: then it rests anew."""
        if place.rests and place.offer == offer:
            self._renewed(place)

    def _renewed(self, place: QueuePlace) -> None:
        """Begin a new round: everybody may be offered it again."""
        place.refused.clear()
        place.rests, place.round = False, place.round + 1

    def _hold_out(self, place: QueuePlace, seat: Seat) -> None:
        place.offered_to, place.offer = seat.person.id, place.offer + 1
        seat.offers.add(place.key)
        seat.count()

    def _refresh(self, case: Case, seats: list[Seat]) -> None:
        """Update the figures that only some strategies use."""
        for seat in seats:
            if case.strategy == Team.Strategy.WEIGHTED:
                seat.seen.offers_today = len(seat.offered_at) - bisect_left(seat.offered_at, self.now - TODAY)
            if case.strategy == Team.Strategy.LONGEST_IDLE:
                is_recent = seat.idle_since is not None and seat.idle_since >= self.now - TODAY
                seat.seen.idle_since = seat.idle_since if is_recent else None

    def _answer(self, place: QueuePlace, seat: Seat) -> tuple[EventKind, timedelta, int] | None:
        """Answer, delay and position: as the agent answered this offer then, otherwise as usual. None: not known."""
        if recorded := self._same_offer(place, seat):
            return self._as_then(place, recorded)
        patience = self.rules.offer_patience(place.team_id)
        quick = self.habits.answers_after(seat.person.id)
        return (EventKind.TAKEN, quick, UNRECORDED) if quick < patience else (EventKind.RAN_OUT, patience, UNRECORDED)

    def _as_then(self, place: QueuePlace, recorded: Offer) -> tuple[EventKind, timedelta, int] | None:
        patience = self.rules.offer_patience(place.team_id)
        if recorded.answer is None or recorded.after is None:
            return None
        if recorded.answer == EventKind.RAN_OUT:
            late = recorded.after - self.rules.offer_patience_then(place.team_id)
            return EventKind.RAN_OUT, patience + late, recorded.answer_pos
        if recorded.answer == EventKind.GIVEN_UP:  # the wait ended first; if it goes on this time, the offer runs out
            return EventKind.RAN_OUT, max(patience, recorded.after), UNRECORDED
        if self.rules.changes_patience(place.team_id) and recorded.after > patience:
            return EventKind.RAN_OUT, patience, UNRECORDED
        return recorded.answer, recorded.after, recorded.answer_pos

    def _same_offer(self, place: QueuePlace, seat: Seat) -> Offer | None:
        offers = [offer for offer in place.record.offers if offer.agent_id == seat.person.id] if place.record else []
        shift = place.asked_at - place.record.asked_at if place.record else ZERO
        return next((offer for offer in offers if offer.at + shift == self.now), offers[0] if offers else None)

    def _answers(self, place: QueuePlace, offer: int, answer: EventKind) -> None:
        if place.is_over or place.offer != offer or not place.offered_to:
            return
        seat = self._seats[place.offered_to]
        if answer == EventKind.TAKEN:
            if seat.has_room:
                self._take(place, seat)
            else:
                self._take_back(place)
                self._tell(EventKind.TAKEN_BACK, place, seat)
            return
        if answer in (EventKind.REFUSED, EventKind.RAN_OUT):
            place.refused.add(seat.person.id)
        self._take_back(place)
        self._tell(answer, place, seat)

    def _withdraw_offers(self) -> None:
        """Withdraw offers to agents who have gone or are full, at the moment when the system noticed it then."""
        for place in list(self._queue.values()):
            seat = self._seats.get(place.offered_to)
            if seat is None or self._was_taken_back(place, seat):
                continue
            is_there = seat.seen.availability == Agent.Availability.AVAILABLE and seat.seen.is_heard
            is_there = is_there and not seat.seen.is_drained
            if not is_there or not seat.has_room:
                self._take_back(place)
                self._tell(EventKind.TAKEN_BACK, place, seat)

    def _was_taken_back(self, place: QueuePlace, seat: Seat) -> bool:
        offers = place.record.offers if place.record else []
        return any(
            offer.agent_id == seat.person.id
            and offer.after is not None
            and ZERO <= offer.at + offer.after - self.now <= LOOKS_WITHIN
            for offer in offers
        )

    # --- By hand ---

    def _expect(self, place: QueuePlace, free: list[Seat]) -> None:
        """Let a free agent take it by hand soon, if nobody is known to have taken it."""
        seats = [seat for seat in free if (seat.is_loose or place.is_loose) and not seat.coming]
        chosen = choose(self._case(place), [seat.seen for seat in seats]).chosen
        if chosen:
            seat = self._seats[chosen.agent_id]
            place.coming, seat.coming = seat.person.id, place.key
            self._at(self.now + self.habits.takes_after, UNRECORDED, self._comes, place, seat)

    def _comes(self, place: QueuePlace, seat: Seat) -> None:
        if seat.coming == place.key:
            seat.coming = 0
        if place.is_over or place.coming != seat.person.id:
            return
        place.coming = 0
        if is_free(seat.seen):
            self._take(place, seat)

    def _takes_by_hand(self, place: QueuePlace) -> None:
        """Take it as then. An agent who comes too late or has no room becomes loose, and so does the wait."""
        record = place.record
        seat = self._seats.get(record.taken_by) if record else None
        if place.is_over:
            if seat:
                seat.is_loose = True
        elif seat and record and (seat.has_room or record.is_override):
            self._take(place, seat)
        else:
            place.is_loose = True
            if seat:
                seat.is_loose = True
