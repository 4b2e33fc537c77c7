"""Reads from the operations of the stream, in their order, what people did in a period. Pure.

It keeps when customers asked for a human, how agents answered offers, what they took, and how long they worked. Times
are those of the operations, never earlier than the one before, so that their order is the order of the stream.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from agents_app.skills import Skills
from messaging_app.models import Operation
from sessions_app.states import Kind, Owner, Priority, Status, TransferKind
from sessions_app.whatif.past import (
    ZERO,
    Again,
    EventKind,
    HandoverOffer,
    Held,
    Offer,
    Queued,
    Step,
    StoryEvent,
    Wait,
    Work,
)

_WORKED = ("session.activated", "session.resumed", "session.transferred", "ownership.changed")
_OVER = ("session.completed", "session.cancelled", "session.timed_out", "session.returned")
_ENDS = ("transfer.accepted", "transfer.declined", "transfer.withdrawn", "transfer.timed_out")
_URGENCY = ("conversation.urgent_set", "conversation.urgent_cleared")
TYPES = (
    "session.opened",
    "session.paused",
    "session.priority_set",
    "transfer.requested",
    "transfer.asked_again",
    "transfer.offered",
    "transfer.offer_refused",
    "transfer.offer_withdrawn",
    "transfer.offers_renewed",
    *_WORKED,
    *_OVER,
    *_ENDS,
    *_URGENCY,
)
"""The types of operation that a tape reads."""


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


@dataclass(slots=True)
class RecordedRequest:
    """What the transfer's row holds and its operations do not."""

    kind: str
    team_id: int
    to_agent_id: int
    needs: Skills
    refused_by: frozenset[int]
    waiting_since: datetime
    deadline: datetime | None
    left_by: int
    goes_back: bool


@dataclass(slots=True)
class _Session:
    id: int
    conversation_id: int
    kind: str
    is_emergency: bool = False
    is_live_urgent: bool = False
    is_live: bool = True
    team_id: int = 0
    wait: Wait | None = None  # open
    last_wait: Wait | None = None
    work: Work | None = None  # goes on
    agent_id: int | None = None  # None: on hold
    worked: timedelta = ZERO
    since: datetime | None = None  # None: preempted
    taken: Wait | None = None  # the one that the next work begins with
    asks_since: datetime | None = None  # the rules moved it at this time: a request of that moment follows from it
    gave_way: bool = False  # its wait ended for something more urgent

    @property
    def is_busy(self) -> bool:
        return self.wait is not None or (self.since is not None and self.agent_id is not None)

    def worked_at(self, now: datetime) -> timedelta:
        return self.worked + (now - self.since if self.since else ZERO)


class Tape:
    """`apply` takes the operations by their position; `begins` marks where the period begins."""

    def __init__(self, requests: Mapping[int, RecordedRequest]) -> None:
        self._requests = requests
        self._sessions: dict[int, _Session] = {}
        self._waits: dict[int, Wait] = {}
        self._handed: dict[int, Offer] = {}  # open offers of handovers
        self._of: dict[int, list[_Session]] = {}  # by conversation
        self._urgent: set[int] = set()
        self._handlers: dict[str, Callable[[_Session, dict[str, Any], int], None]] = {
            "session.opened": self._opened,
            "session.priority_set": self._prioritised,
            "session.paused": self._paused,
            "transfer.requested": self._requested,
            "transfer.asked_again": self._asked_again,
            "transfer.offered": self._offered,
            "transfer.offer_refused": self._refused,
            "transfer.offer_withdrawn": self._withdrawn,
            "transfer.offers_renewed": self._renewed,
        }
        self.now = datetime.min.replace(tzinfo=UTC)
        self.ranks: dict[int, int] = {}
        self.waits: list[Wait] = []
        self.work: list[Work] = []
        self.handovers: list[HandoverOffer] = []
        self.story: list[StoryEvent] = []

    def begins(self, start: datetime) -> tuple[list[Held], list[Queued], list[Wait]]:
        """Work in hand, waits in the queue, and waits that gave way to something more urgent, as of the start.

        To be called before any operation of the period is applied.
        """
        held = [
            Held(s.work, s.agent_id, s.worked_at(start), s.since is None) for s in self._sessions.values() if s.work
        ]
        queued = []
        for wait in (s.wait for s in self._sessions.values() if s.wait):
            last_request = wait.again[-1].pos if wait.again else 0
            renewed_at = wait.renewals[-1][1] if wait.renewals else 0
            kept = (
                {wait.again[-1].declined_by} - {0}
                if last_request > renewed_at
                else set[int]()
                if renewed_at
                else set(wait.refused_by)
            )
            passed = (o for o in wait.offers if o.answer in (EventKind.REFUSED, EventKind.RAN_OUT))
            refused = {o.agent_id for o in passed if o.answer_pos > max(last_request, renewed_at)}
            open_offer = wait.offers[-1] if wait.offers and wait.offers[-1].answer is None else None
            queued.append(Queued(wait, frozenset(kept | refused), open_offer))
        return held, queued, [s.last_wait for s in self._sessions.values() if s.gave_way and s.last_wait]

    def apply(self, operation: Operation) -> None:
        self.now = max(self.now, operation.at)
        pos, data = operation.pos or 0, operation.data
        if operation.type in _URGENCY:
            self._mark(operation.conversation_id or 0, operation.type == "conversation.urgent_set", pos)
            return
        if operation.session_id is None:
            return
        session = self._sessions.get(operation.session_id)
        if session is None:
            session = _Session(operation.session_id, operation.conversation_id or 0, data.get("kind", ""))
            self._sessions[session.id] = session
            self._of.setdefault(session.conversation_id, []).append(session)
        self._applied(session, operation.type, data, pos)
        if operation.type in _OVER and operation.type != "session.returned":
            session.is_emergency = session.gave_way = False
            self._retier(session.conversation_id, pos)

    def _applied(self, session: _Session, type: str, data: dict[str, Any], pos: int) -> None:
        if handle := self._handlers.get(type):
            handle(session, data, pos)
        elif type in _ENDS:
            self._ended(session, type, data, pos)
        elif type in _WORKED and data["owner_kind"] == Owner.AGENT:
            self._works(session, data["owner_id"], pos)
        elif type == "session.resumed":
            session.gave_way = False
            self._stops(session, pos)  # its agent has left
            session.asks_since = self.now
        elif type in _OVER or type == "ownership.changed":
            self._stops(session, pos)

    # --- The queue ---

    def _requested(self, session: _Session, data: dict[str, Any], pos: int) -> None:
        request = self._requests.get(data["transfer_id"])
        if request is None or request.kind == TransferKind.HANDOVER:
            return
        leaves = session.work is not None and request.kind == TransferKind.REASSIGNMENT
        if leaves and session.work:
            session.work.end = "no_reply" if data["trigger"] == "no_reply" else "absence"
        opens_at = _moment(data.get("opens_at"))
        deadline = _moment(data.get("deadline")) or request.deadline
        wait = Wait(
            id=data["transfer_id"],
            session_id=session.id,
            conversation_id=session.conversation_id,
            pos=pos,
            asked_at=self.now,
            waiting_since=request.waiting_since,
            patience=deadline - (opens_at or self.now) if deadline else None,
            kind=request.kind,
            team_id=request.team_id,
            to_agent_id=data.get("to_agent_id") or request.to_agent_id,
            needs=request.needs,
            opens_at=opens_at,
            refused_by=request.refused_by,
            left_by=request.left_by,
            goes_back=request.goes_back,
            follows=leaves or session.asks_since == self.now,
            preempts=session.is_live_urgent,
            is_live=session.is_live or Kind(session.kind).is_robot,
            is_beside=any(other.is_busy for other in self._of[session.conversation_id] if other is not session),
        )
        session.wait = session.last_wait = self._waits[wait.id] = wait
        self.waits.append(wait)
        if self._is_urgent(session.conversation_id):
            wait.urgency.append((self.now, pos, True))
        self._tell(EventKind.ASKED, session, wait)

    def _asked_again(self, session: _Session, data: dict[str, Any], pos: int) -> None:
        if wait := self._waits.get(data["transfer_id"]):
            wait.again.append(Again(self.now, pos, data["declined_by"] or 0, _moment(data["opens_at"])))
            self._tell(EventKind.ASKED_AGAIN, session, wait)

    def _offered(self, session: _Session, data: dict[str, Any], pos: int) -> None:
        offer = Offer(data["agent_id"], self.now, pos)
        wait = self._waits.get(data["transfer_id"])
        if wait is None:
            self._handed[data["transfer_id"]] = offer
            return
        wait.offers.append(offer)
        self._tell(EventKind.OFFERED, session, wait, offer.agent_id)

    def _refused(self, session: _Session, data: dict[str, Any], pos: int) -> None:
        late = data["reason"] == "not answered in time"
        self._answered(session, data, pos, EventKind.RAN_OUT if late else EventKind.REFUSED)

    def _withdrawn(self, session: _Session, data: dict[str, Any], pos: int) -> None:
        self._answered(session, data, pos, EventKind.TAKEN_BACK)

    def _renewed(self, session: _Session, data: dict[str, Any], pos: int) -> None:
        if wait := self._waits.get(data["transfer_id"]):
            wait.renewals.append((self.now, pos))

    def _answered(self, session: _Session, data: dict[str, Any], pos: int, answer: EventKind) -> None:
        wait = self._waits.get(data["transfer_id"])
        if wait is None:
            self._handed_on(data["transfer_id"], pos)
            return
        self._close_offer(wait, answer, pos)
        self._tell(answer, session, wait, data["agent_id"])

    def _close_offer(self, wait: Wait, answer: EventKind, pos: int) -> None:
        offer = wait.offers[-1] if wait.offers else None
        if offer and offer.answer is None:
            offer.answer, offer.after, offer.answer_pos = answer, self.now - offer.at, pos

    def _ended(self, session: _Session, operation_type: str, data: dict[str, Any], pos: int) -> None:
        wait = self._waits.get(data["transfer_id"])
        if wait is None:
            self._handed_on(data["transfer_id"], pos)
            return
        is_taken = operation_type == "transfer.accepted"
        wait.end = (
            EventKind.TAKEN
            if is_taken
            else EventKind.TIMED_OUT
            if operation_type == "transfer.timed_out"
            else EventKind.GIVEN_UP
        )
        wait.ended_at, wait.end_pos = self.now, pos
        wait.taken_by, wait.is_override = data["agent_id"] or 0, data["override"]
        offered = wait.offers[-1].agent_id if wait.offers and wait.offers[-1].answer is None else 0
        self._close_offer(wait, EventKind.TAKEN if is_taken and offered == wait.taken_by else EventKind.GIVEN_UP, pos)
        session.wait, session.taken = None, wait if is_taken else None
        session.asks_since = self.now
        if is_taken:
            session.team_id = wait.team_id or session.team_id
        self._tell(wait.end, session, wait, wait.taken_by, waited=self.now - wait.waiting_since)

    def _handed_on(self, transfer_id: int, pos: int) -> None:
        if offer := self._handed.pop(transfer_id, None):
            self.handovers.append(HandoverOffer(offer.agent_id, offer.at, offer.pos, self.now, pos))

    def close(self) -> None:
        """There are no more operations: open offers of handovers stay open."""
        for offer in self._handed.values():
            self.handovers.append(HandoverOffer(offer.agent_id, offer.at, offer.pos, None, 0))

    # --- Work ---

    def _opened(self, session: _Session, data: dict[str, Any], pos: int) -> None:
        session.kind = data["kind"]
        session.is_emergency = data["rank"] // 10 == Priority.EMERGENCY
        self.ranks[session.id] = data["rank"]
        session.is_live = data["status"] == Status.ACTIVE
        session.is_live_urgent = session.kind == Kind.MANUAL_URGENT and data["status"] == Status.ACTIVE
        self._retier(session.conversation_id, pos)
        if data["owner_kind"] == Owner.AGENT:
            self._works(session, data["owner_id"], pos)

    def _works(self, session: _Session, agent_id: int, pos: int) -> None:
        session.is_live = True
        if session.work is None:
            wait, session.taken = session.taken, None
            work = Work(session.id, session.conversation_id, agent_id, self.now, pos, team_id=session.team_id)
            if wait:
                work.wait_id, wait.work = wait.id, work
            else:
                work.preempts = session.is_live_urgent
                self.work.append(work)
                self._tell(EventKind.TAKEN, session, None, agent_id)
            session.work, session.worked, session.since = work, ZERO, self.now
        elif session.since is None:
            session.since = self.now  # it comes back after something more urgent
        elif agent_id != session.agent_id:
            session.work.steps.append(Step(session.worked_at(self.now), agent_id, pos))
        session.agent_id = agent_id

    def _paused(self, session: _Session, data: dict[str, Any], pos: int) -> None:
        waited = session.last_wait
        if waited and waited.ended_at == self.now and waited.end == EventKind.GIVEN_UP:
            waited.by_urgent = session.gave_way = True
        if session.work is None:
            return
        if data["preempted"]:
            session.worked, session.since = session.worked_at(self.now), None
            self._tell(EventKind.PREEMPTED, session, None, session.agent_id or 0)
        else:
            session.work.steps.append(Step(session.worked_at(self.now), None, pos))
            session.agent_id = None

    def _stops(self, session: _Session, pos: int) -> None:
        work = session.work
        if work is None:
            return
        work.end = work.end or "done"
        work.after, work.ended_at, work.end_pos = session.worked_at(self.now), self.now, pos
        self._tell(EventKind.DONE, session, None, session.agent_id or 0)
        session.work, session.agent_id, session.since = None, None, None

    # --- Urgency ---

    def _prioritised(self, session: _Session, data: dict[str, Any], pos: int) -> None:
        session.is_emergency = data["priority"] == Priority.EMERGENCY
        self.ranks[session.id] = data["rank"]
        self._retier(session.conversation_id, pos)

    def _mark(self, conversation_id: int, is_urgent: bool, pos: int) -> None:
        (self._urgent.add if is_urgent else self._urgent.discard)(conversation_id)
        self._retier(conversation_id, pos)

    def _is_urgent(self, conversation_id: int) -> bool:
        return conversation_id in self._urgent or any(s.is_emergency for s in self._of.get(conversation_id, ()))

    def _retier(self, conversation_id: int, pos: int) -> None:
        is_urgent = self._is_urgent(conversation_id)
        for wait in filter(None, (session.wait for session in self._of.get(conversation_id, ()))):
            was_urgent = bool(wait.urgency) and wait.urgency[-1][2]
            if was_urgent != is_urgent:
                wait.urgency.append((self.now, pos, is_urgent))

    def _tell(
        self, what: EventKind, session: _Session, wait: Wait | None, agent_id: int = 0, *, waited: timedelta = ZERO
    ) -> None:
        self.story.append(
            StoryEvent(
                self.now,
                what,
                session.id,
                wait.id if wait else 0,
                agent_id,
                wait.team_id if wait else 0,
                waited if what == EventKind.TAKEN else ZERO,
            )
        )
