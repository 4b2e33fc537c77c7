"""What is due on a conversation, applied under its lock by whoever comes first: a verb or the sweeper.

Deadlines are columns. Firing twice is harmless, because each effect ends what was due.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from agents_app import presence
from agents_app.actors import ActorKind
from config import statements
from sessions_app import assignment
from sessions_app.core import oplog
from sessions_app.core.earlier_requests import earlier_requests
from sessions_app.core.locked_conversation import LockedConversation
from sessions_app.models import ChatSession, GuidedFlow, Transfer
from sessions_app.promises import after_hours, sla
from sessions_app.states import FLOW_OPEN, FlowStatus, Origin, Owner, Status, TransferKind, TransferStatus

type _Effect = Callable[[LockedConversation, Any], None]


def apply_due(locked: LockedConversation) -> bool:
    """Apply every due timer of the conversation; True when there was one.

    Each is looked at again just before it fires: an effect before it may have ended its row, or set its deadline anew.
    So a session whose transfer goes back to its bot has its whole time again, even if the session was due as well.
    """
    timers: tuple[tuple[_Effect, Sequence[Any], str], ...] = (
        (_time_out_transfer, locked.transfers, "deadline"),
        (_time_out_session, locked.sessions, "expires_at"),
        (_fail_flow, locked.flows, "lease_until"),
        (_expire_flow, [*locked.flows, *locked.previews], "expires_at"),
        (_time_out_reply, locked.sessions, "reply_due_at"),
        (_warn_of_end, locked.sessions, "warns_at"),
        (sla.wake_clock, locked.clocks, "wakes_at"),
        (_next_offer, locked.transfers, "offer_expires_at"),
        (_next_round, locked.transfers, "next_round_at"),
    )
    due = [(effect, row, name) for effect, rows, name in timers for row in rows if _is_due(locked, row, name)]
    lapsed = [transfer for transfer in locked.transfers if assignment.is_lapsed(locked, transfer)]
    for effect, row, name in due:
        if _is_due(locked, row, name):
            effect(locked, row)
    for transfer in lapsed:
        _withdraw_offer(locked, transfer)
    return bool(due or lapsed)


def _is_due(locked: LockedConversation, row: Any, name: str) -> bool:
    deadline: datetime | None = getattr(row, name)
    return deadline is not None and deadline <= locked.now


def _time_out_transfer(locked: LockedConversation, transfer: Transfer) -> None:
    settle_unanswered_transfer(locked, transfer, TransferStatus.TIMED_OUT, reason="nobody accepted in time")


def settle_unanswered_transfer(
    locked: LockedConversation,
    transfer: Transfer,
    status: TransferStatus,
    *,
    reason: str,
    declined_by: int | None = None,
) -> None:
    """A transfer that nobody accepted goes back to its sender, if there is one to go back to; else it is asked again.

    The conversation stays flagged as needing a human after an escalation. A waiting manual session and a reassignment
    have no sender. Else the tenant's `transfer_policy` decides, unless the customer was promised a human.
    """
    session = locked.session(transfer.session_id)
    if session.owner_kind == Owner.AGENT:  # a handover: its sender has served all along
        oplog.end_transfer(locked, transfer, status, reason=reason)
    elif goes_back_to_sender(locked, session, transfer):
        give_back(locked, session, transfer, status, reason=reason)
    else:
        oplog.ask_again(locked, transfer, reason=reason, declined_by=declined_by)


def goes_back_to_sender(locked: LockedConversation, session: ChatSession, transfer: Transfer) -> bool:
    """Whether the transfer goes back to its sender if nobody accepts it."""
    if session.owner_kind == Owner.AGENT:
        return True
    by_policy = locked.tenant.transfer_policy == locked.tenant.TransferPolicy.RETURN
    return by_policy and can_go_back(locked, session, transfer) and not after_hours.is_promised(transfer)


def can_go_back(locked: LockedConversation, session: ChatSession, transfer: Transfer) -> bool:
    """Whether an escalation has a bot to go back to: one that is alive, or is the actor."""
    bot = session.bot if session.is_robot and transfer.kind == TransferKind.ESCALATION else None
    return bot is not None and (
        (locked.actor.kind, locked.actor.id) == (ActorKind.BOT, bot.pk) or presence.is_alive(bot, locked.now)
    )


def give_back(
    locked: LockedConversation, session: ChatSession, transfer: Transfer, status: TransferStatus, *, reason: str
) -> None:
    """Return the session to its bot, which speaks again; the conversation stays flagged until a human has looked."""
    oplog.end_transfer(locked, transfer, status, reason=reason)
    oplog.flag(locked, _unanswered_need(transfer))
    oplog.transition(locked, session, Status.ACTIVE, reason=reason, owner=Owner.BOT)


def _unanswered_need(transfer: Transfer) -> dict[str, str]:
    by = transfer.context.get("reason_by", "")
    return {"effect": "flag", "kind": "unanswered", "reason": transfer.reason, "by_kind": by}


def _time_out_session(locked: LockedConversation, session: ChatSession) -> None:
    """End the session. A request for a human that nobody answered outlives it: the conversation is flagged, with its
    waiting clock, until a human has looked, whoever spoke last and whatever the tenant does with unanswered words.
    """
    if session not in locked.sessions:
        return  # ended by an effect before this one
    grouped = session.origin == Origin.GROUPED
    request = _request_of(locked, session)
    oplog.transition(locked, session, Status.TIMEOUT, reason="silence" if grouped else "nothing happened in time")
    if request:
        oplog.flag(locked, _unanswered_need(request), waiting_since=request.waiting_since)


def _request_of(locked: LockedConversation, session: ChatSession) -> Transfer | None:
    """The transfer by which a session waits for a human, even while paused; a handover is none: its sender serves."""
    if session.owner_kind != Owner.NOBODY:
        return None
    last = locked.transfer_of(session) or session.transfers.order_by("-pk").first()
    is_none = last is None or last.status == TransferStatus.ACCEPTED or last.kind == TransferKind.HANDOVER
    return None if is_none else last


def _warn_of_end(locked: LockedConversation, session: ChatSession) -> None:
    if session in locked.sessions:  # it may have ended just now, where nobody looked in time
        oplog.warn_of_end(locked, session)


def _time_out_reply(locked: LockedConversation, session: ChatSession) -> None:
    """Whoever has the turn has not replied: a bot's session is escalated (C6), an agent's reassigned (C5)."""
    if session not in locked.sessions or session.reply_due_at is None:
        return
    if session.owner_kind == Owner.BOT:
        locked.rule = "C6"
        oplog.create_transfer(
            locked, session, TransferKind.ESCALATION, reason="the bot did not answer in time", trigger="bot_silent"
        )
        oplog.transition(locked, session, Status.TRANSFERRED, reason="bot_silent", owner=Owner.NOBODY)
    elif session.owner_kind == Owner.AGENT:
        locked.rule = "C5"
        before = earlier_requests(session)
        if pending := locked.transfer_of(session):
            oplog.end_transfer(locked, pending, TransferStatus.WITHDRAWN, reason="its sender did not reply in time")
        transfer = oplog.create_transfer(
            locked,
            session,
            TransferKind.REASSIGNMENT,
            reason="no first reply in time",
            trigger="no_reply",
            needs=before.needs,
            refused_by=[session.agent_id],
            reasons=before.reasons,
        )
        oplog.change_owner(locked, session, Owner.NOBODY, transfer_id=transfer.pk)
    session.reply_due_at = None
    statements.update(session, "reply_due_at")


def _fail_flow(locked: LockedConversation, flow: GuidedFlow) -> None:
    if flow.status == FlowStatus.RERUNNING:
        oplog.move_flow(locked, flow, FlowStatus.FAILED, locked.now, failed_reason="the rerun's lease ran out")


def _expire_flow(locked: LockedConversation, flow: GuidedFlow) -> None:
    if flow.status in FLOW_OPEN:
        oplog.move_flow(locked, flow, FlowStatus.EXPIRED, locked.now)


def _next_offer(locked: LockedConversation, transfer: Transfer) -> None:
    if transfer.is_pending and transfer.offered_to_id:
        assignment.ignore(locked, transfer)


def _next_round(locked: LockedConversation, transfer: Transfer) -> None:
    if transfer.is_pending and not transfer.offered_to_id:
        assignment.next_round(locked, transfer)


def _withdraw_offer(locked: LockedConversation, transfer: Transfer) -> None:
    if transfer.is_pending and transfer.offered_to_id:
        assignment.withdraw_offer(locked, transfer, reason="the agent is not available any more, or full")
