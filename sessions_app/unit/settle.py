"""The end of every verb: who becomes live, who gets the customer's next message, and where the desk shows it.

Nothing else writes controller, holder, epoch, tier, desk_order or waiting_since; only `oplog.flag` may set
waiting_since too.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from agents_app import presence
from messaging_app.models import Controller, Tier
from sessions_app.core import oplog
from sessions_app.core.capacity import load
from sessions_app.core.earlier_requests import earlier_requests
from sessions_app.core.locked_conversation import LockedConversation, is_unclaimed
from sessions_app.models import ChatSession
from sessions_app.promises import after_hours, unanswered
from sessions_app.states import Override, Owner, Priority, Status, TransferKind, TransferStatus

_FAR = 10**14
"""Milliseconds, later than any waiting time: what does not wait is sorted behind what does, latest activity first."""

_ENDS = frozenset({"session.completed", "session.cancelled", "session.timed_out"})
"""When one of these ends the last open session, the participations end too: whoever was called in for this work does
not read what the customer writes next week."""

_LEFT = ("the agent has left", "departure")
_ABSENT = ("the agent has not been heard of", "absence")
"""Reason and trigger of a reassignment."""


def settle(locked: LockedConversation) -> None:
    """Give the turn to the next waiter if it is free, then derive all that follows from the rows."""
    _give_the_turn(locked)
    while locked.closed:  # a session that becomes an e-mail frees the turn
        after_hours.tell(locked, *locked.closed.pop(0))
        _give_the_turn(locked)
    unanswered.follow(locked)
    if not locked.sessions and any(operation.type in _ENDS for operation in locked.operations):
        oplog.end_participations(locked)
    conversation = locked.conversation
    had_turn, was_served = not unanswered.nobody_can_answer(conversation), conversation.controller == Controller.HUMAN
    controller, holder = controller_of(locked), _holder(locked.live)
    if (controller, holder) != (conversation.controller, conversation.holder):
        # Whoever owns it is no collaborator, neither now nor after handing it on.
        if owners := _agents_in(conversation.holder, holder):
            oplog.end_collaboration(locked, *owners, reason="owns the conversation")
        conversation.controller, conversation.holder = controller, holder
        conversation.epoch += 1
    unanswered.update_flag(locked, had_turn=had_turn)
    if controller == Controller.HUMAN:
        oplog.unflag(locked, oplog.SERVED)
        conversation.waiting_since = None
    elif controller == Controller.QUEUE or conversation.needs_human:
        kept = None if was_served else _request_waiting_since(locked)
        conversation.waiting_since = conversation.waiting_since or kept or locked.now
    else:
        conversation.waiting_since = None
    conversation.tier = _tier(locked)
    conversation.desk_order = desk_order(conversation.waiting_since, conversation.last_activity_at)


def _request_waiting_since(locked: LockedConversation) -> datetime | None:
    """Since when a request for a human waits: a flow or a better-ranked bot may have had the turn since, no human."""
    waiting = [s for s in locked.sessions if s.status == Status.PENDING and not s.is_robot]
    return min((transfer.waiting_since for s in waiting if (transfer := locked.transfer_of(s))), default=None)


def desk_order(waiting_since: datetime | None, last_activity_at: datetime | None) -> int:
    """The second and third key of the list in one number: longest wait first, then latest activity first."""
    if waiting_since:
        return int(waiting_since.timestamp() * 1000)
    return _FAR - (int(last_activity_at.timestamp() * 1000) if last_activity_at else 0)


def _give_the_turn(locked: LockedConversation) -> None:
    """To the best-ranked, then oldest waiter, if it is free. A manual one waits for an agent and holds robots back."""
    for session in locked.waiting[:1] if locked.live is None else ():
        if session.status == Status.PAUSED:
            resume(locked, session)
        elif session.is_robot:
            oplog.transition(locked, session, Status.ACTIVE, missed_from_seq=session.missed_from_seq)


def resume(locked: LockedConversation, session: ChatSession) -> None:
    """Resume a session in the status that it was paused from.

    An agent's session comes back to the agent even when that is one too many; the override is recorded. One without an
    owner, or whose agent has left or is not heard of any more, is asked for again with its original waiting clock.
    """
    to = Status(session.paused_from)
    since = session.missed_from_seq
    if session.owner_kind == Owner.AGENT and session.agent_id:
        locked.lock_agents(session.agent_id)
        agent = locked.agent(session.agent_id)
        acts = locked.actor.is_agent and locked.actor.id == agent.pk  # whoever asks for the turn is there
        if agent.is_active and (acts or not presence.is_stale(agent, locked.now)):
            why = Override.CAME_BACK if load(agent) >= agent.max_load else Override.NONE
            oplog.transition(locked, session, to, missed_from_seq=since, override=bool(why), override_why=why.value)
            return
        oplog.transition(locked, session, to, owner=Owner.NOBODY, missed_from_seq=since)
        reason, trigger = _ABSENT if agent.is_active else _LEFT
        _repeat_request(locked, session, TransferKind.REASSIGNMENT, reason=reason, trigger=trigger)
        return
    oplog.transition(locked, session, to, missed_from_seq=since)
    if session.owner_kind == Owner.NOBODY and not is_unclaimed(session):
        _ask_again(locked, session)


def _ask_again(locked: LockedConversation, session: ChatSession) -> None:
    """Ask for a human again, for a session without an owner.

    An escalation that waited goes on waiting. Where an agent served before and left, there is no sender to go back to:
    it is a reassignment.
    """
    last = session.transfers.defer("context").order_by("-pk").first()
    was_served = last is not None and last.status == TransferStatus.ACCEPTED
    if not was_served:
        locked.conversation.waiting_since = last.waiting_since if last else locked.conversation.waiting_since
    if last and (was_served or last.kind == TransferKind.REASSIGNMENT):
        kind, (reason, trigger) = TransferKind.REASSIGNMENT, _LEFT
    else:
        kind, reason, trigger = TransferKind.ESCALATION, "waiting again after a pause", "resume"
    _repeat_request(locked, session, kind, reason=reason, trigger=trigger, was_served=was_served)


def _repeat_request(
    locked: LockedConversation,
    session: ChatSession,
    kind: TransferKind,
    *,
    reason: str,
    trigger: str,
    was_served: bool = True,
) -> None:
    """Ask the same team, for the same skills, with the earlier reasons; the same agent only if nobody served since."""
    before = earlier_requests(session)
    to_agent = None if was_served else before.to_agent
    request: dict[str, Any] = {"to_team": before.to_team, "to_agent": to_agent, "needs": before.needs}
    oplog.create_transfer(locked, session, kind, reason=reason, trigger=trigger, reasons=before.reasons, **request)


def controller_of(locked: LockedConversation) -> Controller:
    """A pure function of the locked rows (invariant 14); the order is that of docs/rules.md, The next message."""
    live = locked.live
    if live and live.owner_kind in (Owner.AGENT, Owner.SHOP):
        return Controller.HUMAN
    if live and live.owner_kind == Owner.NOBODY and not is_unclaimed(live):
        return Controller.QUEUE
    if live is None and any(s.status == Status.PENDING and not s.is_robot for s in locked.sessions):
        return Controller.QUEUE
    if locked.flows:
        return Controller.FLOW
    if live and live.owner_kind == Owner.BOT:
        return Controller.BOT
    return Controller.NONE


def _holder(live: ChatSession | None) -> str:
    """Who holds the turn, and with which session: words for another session are as stale as those of another owner."""
    return f"{live.pk}:{live.owner_kind}:{live.owner_id or ''}" if live else ""


def _agents_in(*holders: str) -> set[int]:
    """The ids of the agents among these holders."""
    parts = (holder.split(":") for holder in holders if holder)
    return {int(owner_id) for _, kind, owner_id in parts if kind == Owner.AGENT and owner_id}


def _tier(locked: LockedConversation) -> Tier:
    conversation = locked.conversation
    if not locked.sessions and not conversation.needs_human:
        return Tier.RESOLVED
    if conversation.is_urgent or any(s.priority == Priority.EMERGENCY for s in locked.sessions):
        return Tier.EMERGENCY
    if conversation.controller == Controller.QUEUE:
        return Tier.HAND_RAISED
    return Tier.NEEDS_HUMAN if conversation.needs_human else Tier.ACTIVE
