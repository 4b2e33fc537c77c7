"""The queue of a simulated desk: what is requested, how long it waits, when it is repeated, how its wait ends. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sessions_app.core.locked_conversation import pause_after
from sessions_app.states import TransferKind
from sessions_app.whatif.past import ZERO, Again, EventKind, Wait
from sessions_app.whatif.simulated_desk import UNRECORDED
from sessions_app.whatif.simulated_offers import Offers
from sessions_app.whatif.simulated_work import QueuePlace


class Queue(Offers):
    def _preempt(self, conversation_id: int) -> None:
        raise NotImplementedError

    def _settle(self, conversation_id: int) -> None:
        raise NotImplementedError

    def _asks(self, wait: Wait) -> None:
        """Somebody asks for a human: without effect where the conversation waits or is served already."""
        if wait.preempts:
            self._preempt(wait.conversation_id)
        elif self._is_busy(wait.conversation_id) and not wait.is_beside:
            return
        self._begin(self._place(wait, self.now))

    def _asks_again(
        self, session_id: int, conversation_id: int, before: QueuePlace | None, *, left_by: int = 0
    ) -> None:
        """The rules ask, after a time-out, an absence or a pause: as in the period, otherwise as in the wait before."""
        recorded = self._follows[session_id]
        record = recorded.pop(0) if recorded else None
        if record:
            place = self._place(record, self.now)
        elif before:
            place = self._like(before)
        else:
            place = self._unrecorded(session_id, conversation_id)
        place.left_by = left_by
        self._begin(place)

    def _place(self, wait: Wait, asked_at: datetime) -> QueuePlace:
        shift = asked_at - wait.asked_at
        return QueuePlace(
            key=wait.id,
            record=wait,
            session_id=wait.session_id,
            conversation_id=wait.conversation_id,
            asked_at=asked_at,
            waiting_since=wait.waiting_since + shift if not wait.follows else min(wait.waiting_since, asked_at),
            team_id=wait.team_id,
            to_agent_id=wait.to_agent_id,
            needs=wait.needs,
            kind=wait.kind,
            goes_back=wait.goes_back,
            opens_at=wait.opens_at,
            refused=set(wait.refused_by),
            left_by=wait.left_by,
            preempts=wait.preempts,
            is_live=wait.is_live,
            is_loose=self.rules.changes_assignment(wait.team_id),
            looks=[
                (offer.at + shift, offer.pos, offer.agent_id) for offer in wait.offers if offer.at + shift >= self.now
            ],
        )

    def _like(self, before: QueuePlace) -> QueuePlace:
        return self._unrecorded(
            before.session_id,
            before.conversation_id,
            waiting_since=before.waiting_since,
            team_id=before.team_id,
            needs=before.needs,
            kind=before.kind,
            goes_back=before.goes_back,
            is_urgent=before.is_urgent,
        )

    def _unrecorded(self, session_id: int, conversation_id: int, **known: Any) -> QueuePlace:
        usual: dict[str, Any] = {
            "waiting_since": self.now,
            "team_id": self._teams_of.get(session_id, 0),
            "needs": {},
            "kind": TransferKind.REASSIGNMENT,
            "goes_back": False,
        }
        return QueuePlace(
            key=next(self._keys),
            record=None,
            session_id=session_id,
            conversation_id=conversation_id,
            asked_at=self.now,
            to_agent_id=0,
            opens_at=None,
            refused=set(),
            is_loose=True,
            **usual | known,
        )

    def _begin(self, place: QueuePlace) -> None:
        self._enter(place)
        self._tell(EventKind.ASKED, place)

    def _plan_wait(self, place: QueuePlace, record: Wait, shift: timedelta) -> None:
        """Schedule what happened to it while it waited in the period."""
        for at, pos, is_urgent in record.urgency:
            if at + shift <= self.now:
                place.is_urgent = is_urgent
            else:
                self._at(at + shift, pos, self._marks, place, is_urgent)
        for at, pos in record.renewals:
            if at + shift > self.now:
                self._at(at + shift, pos, self._renewed, place)
        for at, pos, _ in place.looks:
            self._at(at, pos, self._looks_again, place)

    def _enter(self, place: QueuePlace) -> None:
        self._queue[place.session_id] = place
        record, shift = place.record, ZERO
        patience = self.rules.patience(record)
        due = (place.opens_at or place.asked_at) + patience if patience is not None else None
        late, late_pos = ZERO, UNRECORDED
        if record:
            shift = place.asked_at - record.asked_at
            self._plan_wait(place, record, shift)
            if record.end == EventKind.TIMED_OUT and record.ended_at and record.patience is not None:
                late = record.ended_at - (record.opens_at or record.asked_at) - record.patience
                late_pos = record.end_pos
            elif record.ended_at and record.end == EventKind.GIVEN_UP and not record.by_urgent:
                self._at(record.ended_at + shift, record.end_pos, self._gives_up, place)
            elif record.ended_at and record.taken_unoffered and not self.rules.changes_assignment(place.team_id):
                self._at(record.ended_at + shift, record.end_pos, self._takes_by_hand, place)
            if record.again and patience == record.patience:
                due = self._plan_again(place, record, shift)
            if record.end is None and patience == record.patience and due is not None:
                due = max(due, self.past.known_until)  # it waited on: nobody looked, or it is not late yet
        if due is not None:
            self._at(due + late, late_pos, self._times_out, place)
        if place.opens_at and place.opens_at > self.now:
            self._at(place.opens_at, UNRECORDED, self._nothing)
        self._plan_overflow(place)

    def _plan_overflow(self, place: QueuePlace) -> None:
        waited = ZERO
        for team_id in self.teams.pool(place.team_id, timedelta.max)[:-1]:  # when it overflows to the next
            team = self.teams.get(team_id)
            waited += timedelta(seconds=team.overflow_after if team else 0)
            self._at(self._since(place) + waited, UNRECORDED, self._nothing)

    def _nothing(self) -> None:
        """A moment at which there is a reason to look around."""

    def _marks(self, place: QueuePlace, is_urgent: bool) -> None:
        place.is_urgent = is_urgent

    def _gives_up(self, place: QueuePlace) -> None:
        if place.is_over:
            return
        self._leave(place)
        self._tell(EventKind.GIVEN_UP, place)
        if place.record and self._was_asked_again(place.record):
            self._asks_again(place.session_id, place.conversation_id, place)
        else:
            self._settle(place.conversation_id)

    def _was_asked_again(self, record: Wait) -> bool:
        following = self._follows[record.session_id]
        return bool(following) and following[0].asked_at == record.ended_at

    def _times_out(self, place: QueuePlace) -> None:
        if place.is_over:
            return
        if place.goes_back and self.tenant.transfer_policy == self.tenant.TransferPolicy.RETURN:
            self._leave(place)
            self._tell(EventKind.TIMED_OUT, place)
            self._settle(place.conversation_id)
            return
        self._waits_on(place, 0)
        self._at(self.now + self._pause(place), UNRECORDED, self._times_out, place)

    def _plan_again(self, place: QueuePlace, record: Wait, shift: timedelta) -> datetime | None:
        """Schedule the repeats of the request that the period records. Returns when the next one would be due."""
        for repeat in record.again:
            if repeat.at + shift < self.now:
                place.asked_again, place.to_agent_id = place.asked_again + 1, 0
            else:
                self._at(repeat.at + shift, repeat.pos, self._is_asked_again, place, repeat)
        last = record.again[-1]
        patience = self.rules.patience(record) or ZERO
        return max(last.at, last.opens_at or last.at) + shift + pause_after(len(record.again), patience)

    def _is_asked_again(self, place: QueuePlace, then: Again) -> None:
        if place.is_over:
            return
        if self.rules.changes_policy and not then.declined_by:
            self._times_out(place)
            return
        place.opens_at = then.opens_at
        self._waits_on(place, then.declined_by)

    def _waits_on(self, place: QueuePlace, declined_by: int) -> None:
        place.asked_again, place.to_agent_id = place.asked_again + 1, 0
        place.refused = {declined_by} - {0}
        self._tell(EventKind.ASKED_AGAIN, place)

    def _pause(self, place: QueuePlace) -> timedelta:
        return pause_after(place.asked_again, self.rules.patience(place.record) or ZERO)
