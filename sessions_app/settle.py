"""The end of every verb: who becomes live, who gets the customer's next message, and where the desk shows it.

Nothing else writes controller, holder, epoch, tier, desk_order or waiting_since, but for the clock that goes on under a
flag (`oplog.flag`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from agents_app import presence
from agents_app.models import Agent
from messaging_app.models import Controller, Tier
from sessions_app import afterhours, oplog, unanswered
from sessions_app.asked_before import asked_before
from sessions_app.models import ChatSession
from sessions_app.states import LIVE, Origin, Override, Owner, Priority, Status, TransferKind, TransferStatus
from sessions_app.turn import Turn

_FAR = 10**14
"""Later than any waiting time in milliseconds: who does not wait is sorted behind who does, latest activity first."""

_ENDS = frozenset({"session.completed", "session.cancelled", "session.timed_out"})
"""With the last open session of a conversation end the participations in it: whoever was called in for this work does
not hear what the customer writes next week."""


_LEFT = ("the agent has left", "departure")
_ABSENT = ("the agent has not been heard of", "absence")


def settle(turn: Turn) -> None:
    """Give the turn to the next waiter if it is free, then derive all that follows from the rows."""
    _give_the_turn(turn)
    while turn.closed:  # what becomes an e-mail frees the turn
        afterhours.tell(turn, *turn.closed.pop(0))
        _give_the_turn(turn)
    unanswered.follow(turn)
    if not turn.sessions and any(operation.type in _ENDS for operation in turn.operations):
        oplog.end_participations(turn)
    conversation = turn.conversation
    had_turn, was_served = not unanswered.is_nobodys(conversation), conversation.controller == Controller.HUMAN
    controller, holder = controller_of(turn), _holder(turn.live)
    if (controller, holder) != (conversation.controller, conversation.holder):
        # Whoever owns it is no collaborator, neither now nor after handing it on.
        if owners := _agents_in(conversation.holder, holder):
            oplog.end_collaboration(turn, *owners, reason="owns the conversation")
        conversation.controller, conversation.holder = controller, holder
        conversation.epoch += 1
    unanswered.mind(turn, had_turn=had_turn)
    if controller == Controller.HUMAN:
        oplog.unflag(turn, oplog.SERVED)
        conversation.waiting_since = None
    elif controller == Controller.QUEUE or conversation.needs_human:
        kept = None if was_served else _waited_all_along(turn)
        conversation.waiting_since = conversation.waiting_since or kept or turn.now
    else:
        conversation.waiting_since = None
    conversation.tier = _tier(turn)
    conversation.desk_order = desk_order(conversation.waiting_since, conversation.last_activity_at)


def _waited_all_along(turn: Turn) -> datetime | None:
    """Since when a request for a human waits that no human's turn came between, but a bot's of a better rank or a flow's."""
    waiting = [s for s in turn.sessions if s.status == Status.PENDING and not s.is_robot]
    return min((asked.waiting_since for s in waiting if (asked := turn.transfer_of(s))), default=None)


def desk_order(waiting_since: datetime | None, last_activity_at: datetime | None) -> int:
    """The second and third key of the list in one number: longest wait first, then latest activity first."""
    if waiting_since:
        return int(waiting_since.timestamp() * 1000)
    return _FAR - (int(last_activity_at.timestamp() * 1000) if last_activity_at else 0)


def _give_the_turn(turn: Turn) -> None:
    """To the best-ranked waiter, then the oldest, if it is free. A manual one waits for an agent and holds robots back."""
    for session in turn.waiting[:1] if turn.live is None else ():
        if session.status == Status.PAUSED:
            resume(turn, session)
        elif session.is_robot:
            oplog.transition(turn, session, Status.ACTIVE, missed_from_seq=session.missed_from_seq)


def resume(turn: Turn, session: ChatSession) -> None:
    """Back to the status it was paused from.

    A human's session comes back to the human even when that makes one too many, on record; one that nobody owned, or
    whose owner has left meanwhile or is not heard of any more, is asked for again with the original waiting clock.
    """
    to = Status(session.paused_from)
    since = session.missed_from_seq
    if session.owner_kind == Owner.AGENT and session.agent_id:
        turn.lock_agents(session.agent_id)
        agent = turn.agent(session.agent_id)
        acts = turn.actor.is_agent and turn.actor.id == agent.pk  # whoever asks for the turn is there
        if agent.is_active and (acts or not presence.is_silent(agent, turn.now)):
            why = Override.CAME_BACK if load(agent) >= agent.max_load else Override.NONE
            oplog.transition(turn, session, to, missed_from_seq=since, override=bool(why), override_why=why.value)
            return
        oplog.transition(turn, session, to, owner=Owner.NOBODY, missed_from_seq=since)
        reason, trigger = _ABSENT if agent.is_active else _LEFT
        _ask_for_the_same(turn, session, TransferKind.REASSIGNMENT, reason=reason, trigger=trigger)
        return
    oplog.transition(turn, session, to, missed_from_seq=since)
    if session.owner_kind == Owner.NOBODY and not is_unclaimed(session):
        _ask_again(turn, session)


def _ask_again(turn: Turn, session: ChatSession) -> None:
    """What waited goes on waiting; what an agent served who left during the pause has no sender to go back to."""
    last = session.transfers.defer("context").order_by("-pk").first()
    was_served = last is not None and last.status == TransferStatus.ACCEPTED
    if not was_served:
        turn.conversation.waiting_since = last.waiting_since if last else turn.conversation.waiting_since
    if last and (was_served or last.kind == TransferKind.REASSIGNMENT):
        kind, (reason, trigger) = TransferKind.REASSIGNMENT, _LEFT
    else:
        kind, reason, trigger = TransferKind.ESCALATION, "waiting again after a pause", "resume"
    _ask_for_the_same(turn, session, kind, reason=reason, trigger=trigger, was_served=was_served)


def _ask_for_the_same(
    turn: Turn, session: ChatSession, kind: TransferKind, *, reason: str, trigger: str, was_served: bool = True
) -> None:
    """Of the same team, with the same skills and the reasons of before; of the one agent asked who had not answered yet."""
    before = asked_before(session)
    to_agent = None if was_served else before.to_agent
    told: dict[str, Any] = {"to_team": before.to_team, "to_agent": to_agent, "needs": before.needs}
    oplog.ask(turn, session, kind, reason=reason, trigger=trigger, reasons=before.reasons, **told)


def load(agent: Agent) -> int:
    """An agent's load: live sessions owned, counted, never a counter that drifts. Lock the agent's row first."""
    return ChatSession.objects.filter(agent=agent, owner_kind=Owner.AGENT, status__in=sorted(LIVE)).count()


def is_unclaimed(session: ChatSession) -> bool:
    """A stretch that was found in the messages and in which nobody of the shop has spoken yet: nobody's turn."""
    return session.origin == Origin.GROUPED and session.owner_kind == Owner.NOBODY


def controller_of(turn: Turn) -> Controller:
    """A pure function of the locked rows (invariant 14); the order is that of docs/rules.md, The next message."""
    live = turn.live
    if live and live.owner_kind in (Owner.AGENT, Owner.SHOP):
        return Controller.HUMAN
    if live and live.owner_kind == Owner.NOBODY and not is_unclaimed(live):
        return Controller.QUEUE
    if live is None and any(s.status == Status.PENDING and not s.is_robot for s in turn.sessions):
        return Controller.QUEUE
    if turn.flows:
        return Controller.FLOW
    if live and live.owner_kind == Owner.BOT:
        return Controller.BOT
    return Controller.NONE


def _holder(live: ChatSession | None) -> str:
    """Who holds the turn, and with which session: an answer to another session's words is as stale as another owner's."""
    return f"{live.pk}:{live.owner_kind}:{live.owner_id or ''}" if live else ""


def _agents_in(*holders: str) -> set[int]:
    """The agents who are holders."""
    parts = (holder.split(":") for holder in holders if holder)
    return {int(owner_id) for _, kind, owner_id in parts if kind == Owner.AGENT and owner_id}


def _tier(turn: Turn) -> Tier:
    conversation = turn.conversation
    if not turn.sessions and not conversation.needs_human:
        return Tier.RESOLVED
    if conversation.is_urgent or any(s.priority == Priority.EMERGENCY for s in turn.sessions):
        return Tier.EMERGENCY
    if conversation.controller == Controller.QUEUE:
        return Tier.HAND_RAISED
    return Tier.NEEDS_HUMAN if conversation.needs_human else Tier.ACTIVE
