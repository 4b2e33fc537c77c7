"""What is due on a conversation, applied under its lock by whoever comes first: a verb or the sweeper.

Deadlines are columns. Firing twice is nothing, because each effect ends what was due.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from agents_app.actors import ActorKind
from sessions_app import assignment, oplog, sla
from sessions_app.models import ChatSession, GuidedFlow, Transfer
from sessions_app.states import FlowStatus, Origin, Owner, Status, TransferKind, TransferStatus
from sessions_app.turn import Turn

type _Effect = Callable[[Turn, Any], None]


def apply_due(turn: Turn) -> bool:
    """Apply every due timer of the conversation; True when there was one.

    Each is looked at again just before it fires: an effect before it may have ended its row, or set its deadline anew. A
    session whose transfer comes back to its bot has its whole time again, though nobody looked before both were over.
    """
    timers: tuple[tuple[_Effect, Sequence[Any], str], ...] = (
        (_time_out_transfer, turn.transfers, "deadline"),
        (_time_out_session, turn.sessions, "expires_at"),
        (_fail_flow, turn.flows, "lease_until"),
        (_expire_flow, turn.flows, "expires_at"),
        (_time_out_reply, turn.sessions, "reply_due_at"),
        (sla.ring, turn.clocks, "wakes_at"),
        (_next_offer, turn.transfers, "offer_expires_at"),
    )
    due = [(effect, row, name) for effect, rows, name in timers for row in rows if _is_over(turn, row, name)]
    lapsed = [transfer for transfer in turn.transfers if assignment.is_lapsed(turn, transfer)]
    for effect, row, name in due:
        if _is_over(turn, row, name):
            effect(turn, row)
    for transfer in lapsed:
        _withdraw_offer(turn, transfer)
    return bool(due or lapsed)


def _is_over(turn: Turn, row: Any, name: str) -> bool:
    deadline: datetime | None = getattr(row, name)
    return deadline is not None and deadline <= turn.now


def _time_out_transfer(turn: Turn, transfer: Transfer) -> None:
    unanswered(turn, transfer, TransferStatus.TIMED_OUT, reason="nobody accepted in time")


def unanswered(turn: Turn, transfer: Transfer, status: TransferStatus, *, reason: str) -> None:
    """A transfer that nobody accepted goes back to its sender, or to the queue where there is no sender to go back to.

    The conversation stays flagged as needing a human after an escalation. A waiting manual session and a reassignment
    have no sender: they are asked for again, as are all where the tenant chose `requeue`.
    """
    session = next(s for s in turn.sessions if s.pk == transfer.session_id)
    oplog.end_transfer(turn, transfer, status, reason=reason)
    if session.owner_kind == Owner.AGENT:
        return  # a handover: its sender has served all along
    goes_back = session.is_robot and session.bot_id is not None and transfer.kind == TransferKind.ESCALATION
    if goes_back and turn.tenant.transfer_policy == turn.tenant.TransferPolicy.RETURN:
        by = transfer.context.get("reason_by", "")
        oplog.flag(turn, {"effect": "flag", "kind": "unanswered", "reason": transfer.reason, "by_kind": by})
        oplog.transition(turn, session, Status.ACTIVE, reason=reason, owner=Owner.BOT)
    else:
        oplog.ask(
            turn,
            session,
            TransferKind(transfer.kind),
            reason=transfer.reason,
            reason_by=transfer.context.get("reason_by", ActorKind.SYSTEM),
            trigger=transfer.trigger,
            to_team=transfer.to_team,
            needs=transfer.needs,
        )


def _time_out_session(turn: Turn, session: ChatSession) -> None:
    if session not in turn.sessions:
        return  # ended by an effect before this one
    grouped = session.origin == Origin.GROUPED
    oplog.transition(turn, session, Status.TIMEOUT, reason="silence" if grouped else "nothing happened in time")


def _time_out_reply(turn: Turn, session: ChatSession) -> None:
    """Whoever has the turn has said nothing: a bot's session is escalated (C6), an agent's goes to somebody else (C5)."""
    if session not in turn.sessions or session.reply_due_at is None:
        return
    if session.owner_kind == Owner.BOT:
        turn.rule = "C6"
        oplog.ask(turn, session, TransferKind.ESCALATION, reason="the bot did not answer in time", trigger="bot_silent")
        oplog.transition(turn, session, Status.TRANSFERRED, reason="bot_silent", owner=Owner.NOBODY)
    elif session.owner_kind == Owner.AGENT:
        turn.rule = "C5"
        if waits := turn.transfer_of(session):
            oplog.end_transfer(turn, waits, TransferStatus.WITHDRAWN, reason="its sender did not reply in time")
        transfer = oplog.ask(
            turn,
            session,
            TransferKind.REASSIGNMENT,
            reason="no first reply in time",
            trigger="no_reply",
            refused_by=[session.agent_id],
        )
        oplog.change_owner(turn, session, Owner.NOBODY, transfer_id=transfer.pk)
    session.reply_due_at = None
    session.save(update_fields=["reply_due_at"])


def _fail_flow(turn: Turn, flow: GuidedFlow) -> None:
    if flow.status == FlowStatus.RERUNNING:
        oplog.move_flow(turn, flow, FlowStatus.FAILED, turn.now, failed_reason="the rerun's lease ran out")


def _expire_flow(turn: Turn, flow: GuidedFlow) -> None:
    if flow in turn.flows:
        oplog.move_flow(turn, flow, FlowStatus.EXPIRED, turn.now)


def _next_offer(turn: Turn, transfer: Transfer) -> None:
    if transfer.is_pending and transfer.offered_to_id:
        assignment.refuse(turn, transfer, reason="not answered in time")


def _withdraw_offer(turn: Turn, transfer: Transfer) -> None:
    if transfer.is_pending and transfer.offered_to_id:
        assignment.withdraw_offer(turn, transfer, reason="the agent is not available any more, or full")
