"""Service levels: how soon a customer is answered and helped, against what was promised.

No verb knows of them. When a verb closes, `follow` reads the operations it has made and starts, pauses and ends clocks;
`wake_clock` records that one is nearly, or already, too late. A clock keeps the targets it began with.

| clock | starts | is met | pauses |
|---|---|---|---|
| first response | a human is asked for, or takes the session | by an agent's first words to the customer | while PAUSED |
| next response | the customer writes while an agent serves | by the agent's next words | while PAUSED |
| resolution | as the first response | when the session is completed | while PAUSED, or the agent spoke last |

A session that returns to its bot, is cancelled, times out or becomes an e-mail stops its clocks: not met, not late.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from agents_app.hours import ALWAYS, Hours
from agents_app.models import SlaPolicy
from agents_app.service_hours import ServiceHours, service_hours_of
from config import statements
from messaging_app.models import Message, Operation
from sessions_app.core.locked_conversation import LockedConversation
from sessions_app.models import ChatSession, SlaClock
from sessions_app.promises.after_hours import EMAIL
from sessions_app.states import Kind, Owner, Status

_Clock = SlaClock.Kind
_State = SlaClock.State
_ANSWERS = (Message.Sender.AGENT, Message.Sender.SHOP)


# --- What a verb has done ----------------------------------------------------------------------------------------


def follow(locked: LockedConversation) -> None:
    """Start, pause and end clocks as the operations of this verb say, in their order."""
    for operation in tuple(locked.operations):
        if operation.session_id and (effect := _EFFECTS.get(operation.type)):
            effect(locked, operation)


def _begins(locked: LockedConversation, operation: Operation) -> None:
    """A human is asked for, or takes over: when a robot's session is TRANSFERRED, or a human's opens."""
    session = _session(locked, operation.session_id)
    opened_for_a_bot = operation.type == "session.opened" and Kind(operation.data["kind"]).is_robot
    if session is None or opened_for_a_bot or session.owner_kind == Owner.SHOP:
        return
    service_hours = _service_hours(locked, session)
    if service_hours.sla:
        _start(locked, session, _Clock.FIRST_RESPONSE, service_hours, service_hours.sla)
        _start(locked, session, _Clock.RESOLUTION, service_hours, service_hours.sla)


def _said(locked: LockedConversation, operation: Operation) -> None:
    if operation.data["is_note"]:
        return
    sender = operation.data["sender_type"]
    if sender in _ANSWERS:
        for clock in _clocks(locked, operation):
            if clock.kind == _Clock.RESOLUTION:
                _pause(clock, locked.now, awaits_customer=True)
            else:
                _end(locked, clock, _State.MET)
    elif sender == Message.Sender.CUSTOMER:
        for clock in locked.clocks:  # of a session that was preempted, too: the customer has spoken
            clock.awaits_customer = False
            _go_on(locked, clock)
        session = _session(locked, operation.session_id)
        if session and session.is_live and session.owner_kind == Owner.AGENT:
            _customer_waits(locked, session, {clock.kind for clock in _clocks(locked, operation)})


def _customer_waits(locked: LockedConversation, session: ChatSession, running: set[str]) -> None:
    """Start the next response with the customer's first unanswered words, unless the first response still runs."""
    if {_Clock.FIRST_RESPONSE, _Clock.NEXT_RESPONSE} & running:
        return
    service_hours = _service_hours(locked, session)
    if service_hours.sla:
        _start(locked, session, _Clock.NEXT_RESPONSE, service_hours, service_hours.sla)


def _paused(locked: LockedConversation, operation: Operation) -> None:
    for clock in _clocks(locked, operation):
        _pause(clock, locked.now, awaits_customer=clock.awaits_customer)


def _resumed(locked: LockedConversation, operation: Operation) -> None:
    for clock in _clocks(locked, operation):
        _go_on(locked, clock)


def _completed(locked: LockedConversation, operation: Operation) -> None:
    """The customer was helped, unless by an e-mail that somebody has yet to answer."""
    helped = operation.data.get("outcome") != EMAIL
    for clock in _clocks(locked, operation):
        _end(locked, clock, _State.MET if helped and clock.kind == _Clock.RESOLUTION else _State.STOPPED)


def _stopped(locked: LockedConversation, operation: Operation) -> None:
    for clock in _clocks(locked, operation):
        _end(locked, clock, _State.STOPPED)


_EFFECTS: dict[str, Callable[[LockedConversation, Operation], None]] = {
    "session.opened": _begins,
    "session.transferred": _begins,
    "message.created": _said,
    "session.paused": _paused,
    "session.resumed": _resumed,
    "session.completed": _completed,
    "session.returned": _stopped,
    "session.cancelled": _stopped,
    "session.timed_out": _stopped,
}


def _session(locked: LockedConversation, session_id: int | None) -> ChatSession | None:
    """None when it has ended by now."""
    return next((session for session in locked.sessions if session.pk == session_id), None)


def _clocks(locked: LockedConversation, operation: Operation) -> list[SlaClock]:
    return [clock for clock in locked.clocks if clock.session_id == operation.session_id]


def _service_hours(locked: LockedConversation, session: ChatSession) -> ServiceHours:
    """The service hours whose targets count: those of the team that was asked last, else the tenant's."""
    transfer = (
        locked.transfer_of(session)
        or session.transfers.select_related("to_team").defer("context").order_by("-pk").first()
    )
    return service_hours_of(locked.tenant, transfer.to_team if transfer else None)


# --- One clock ---------------------------------------------------------------------------------------------------


def _start(
    locked: LockedConversation,
    session: ChatSession,
    kind: SlaClock.Kind,
    service_hours: ServiceHours,
    policy: SlaPolicy,
) -> None:
    seconds: int | None = getattr(policy, kind)
    runs = any(clock.session_id == session.pk and clock.kind == kind for clock in locked.clocks)
    if seconds is None or runs:
        return
    clock = SlaClock(
        tenant_id=session.tenant_id,
        conversation=locked.conversation,
        session=session,
        policy=policy,
        calendar=service_hours.calendar if policy.counts == SlaPolicy.Counts.BUSINESS else None,
        kind=kind,
        target=timedelta(seconds=seconds),
        warn_after=timedelta(seconds=seconds) * policy.warn_at / 100,
        started_at=locked.now,
    )
    _run(clock, locked.now)
    locked.clocks.append(clock)


def _run(clock: SlaClock, now: datetime) -> None:
    hours = _hours(clock)
    clock.state, clock.running_since, clock.paused_at = _State.RUNNING, now, None
    clock.due_at = hours.after(now, clock.target - clock.spent)
    warns = not clock.warned_at and clock.warn_after < clock.target
    clock.wakes_at = hours.after(now, clock.warn_after - clock.spent) if warns else clock.due_at
    statements.store(clock)


def _hours(clock: SlaClock) -> Hours:
    return clock.calendar.hours if clock.calendar else ALWAYS


def _count(clock: SlaClock, now: datetime) -> None:
    if clock.running_since:
        clock.spent += _hours(clock).open_between(clock.running_since, now)
    clock.running_since = clock.wakes_at = None


def _pause(clock: SlaClock, now: datetime, *, awaits_customer: bool) -> None:
    """A clock that is too late already stays so, and is not paused."""
    clock.awaits_customer = awaits_customer
    if clock.state == _State.RUNNING:
        _count(clock, now)
        clock.state, clock.paused_at, clock.due_at = _State.PAUSED, now, None
        statements.store(clock)


def _go_on(locked: LockedConversation, clock: SlaClock) -> None:
    if clock.state != _State.PAUSED:
        return
    session = _session(locked, clock.session_id)
    if session and session.status != Status.PAUSED and not clock.awaits_customer:
        _run(clock, locked.now)
    else:
        statements.update(clock, "awaits_customer")


def _end(locked: LockedConversation, clock: SlaClock, state: SlaClock.State) -> None:
    """`state` is how it ends if it is not too late already."""
    _count(clock, locked.now)
    clock.ended_at, clock.paused_at = locked.now, None
    locked.clocks.remove(clock)
    if clock.state != _State.BREACHED:
        clock.state = state
    statements.store(clock)
    if clock.state == _State.MET:
        locked.record("sla.met", clock.session, **_event_data(clock))


def wake_clock(locked: LockedConversation, clock: SlaClock) -> None:
    """Record that the clock is nearly too late, or that it is. Each once."""
    if clock not in locked.clocks or not clock.wakes_at or clock.wakes_at > locked.now:
        return
    if clock.due_at and clock.due_at <= locked.now:
        clock.state, clock.breached_at, clock.wakes_at = _State.BREACHED, locked.now, None
        statements.store(clock)
        locked.record("sla.breached", clock.session, **_event_data(clock))
    else:
        clock.warned_at, clock.wakes_at = locked.now, clock.due_at
        statements.store(clock)
        locked.record("sla.warned", clock.session, **_event_data(clock))


def _event_data(clock: SlaClock) -> dict[str, Any]:
    return {
        "clock_id": clock.pk,
        "kind": str(clock.kind),
        "target": int(clock.target.total_seconds()),
        "due_at": clock.due_at.isoformat() if clock.due_at else None,
    }
