"""What is due on a conversation, applied under its lock by whoever comes first: a verb or the sweeper.

Deadlines are columns. Firing twice is nothing, because each effect ends what was due.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from agents_app import presence
from agents_app.actors import ActorKind
from sessions_app import afterhours, assignment, oplog, sla
from sessions_app.asked_before import asked_before
from sessions_app.models import ChatSession, GuidedFlow, Transfer
from sessions_app.states import FLOW_OPEN, FlowStatus, Origin, Owner, Status, TransferKind, TransferStatus
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
        (_expire_flow, [*turn.flows, *turn.previews], "expires_at"),
        (_time_out_reply, turn.sessions, "reply_due_at"),
        (_warn_of_end, turn.sessions, "warns_at"),
        (sla.ring, turn.clocks, "wakes_at"),
        (_next_offer, turn.transfers, "offer_expires_at"),
        (_next_round, turn.transfers, "next_round_at"),
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


def unanswered(
    turn: Turn, transfer: Transfer, status: TransferStatus, *, reason: str, declined_by: int | None = None
) -> None:
    """A transfer that nobody accepted goes back to its sender, where there is one to go back to; else it is asked again.

    The conversation stays flagged as needing a human after an escalation. A waiting manual session and a reassignment
    have no sender. What the tenant chose decides where there is one, unless the customer was told that a human will answer.
    """
    session = turn.session(transfer.session_id)
    if session.owner_kind == Owner.AGENT:  # a handover: its sender has served all along
        oplog.end_transfer(turn, transfer, status, reason=reason)
    elif returns(turn, session, transfer):
        give_back(turn, session, transfer, status, reason=reason)
    else:
        oplog.ask_again(turn, transfer, reason=reason, declined_by=declined_by)


def returns(turn: Turn, session: ChatSession, transfer: Transfer) -> bool:
    """Whether what nobody accepts goes back to its sender."""
    if session.owner_kind == Owner.AGENT:
        return True
    by_policy = turn.tenant.transfer_policy == turn.tenant.TransferPolicy.RETURN
    return by_policy and can_go_back(turn, session, transfer) and not afterhours.is_promised(transfer)


def can_go_back(turn: Turn, session: ChatSession, transfer: Transfer) -> bool:
    """Whether an escalation has a bot to go back to: one that is there, or that says so itself."""
    bot = session.bot if session.is_robot and transfer.kind == TransferKind.ESCALATION else None
    return bot is not None and (
        (turn.actor.kind, turn.actor.id) == (ActorKind.BOT, bot.pk) or presence.is_alive(bot, turn.now)
    )


def give_back(turn: Turn, session: ChatSession, transfer: Transfer, status: TransferStatus, *, reason: str) -> None:
    """To its bot, which speaks again; the conversation stays flagged until a human has looked at it."""
    oplog.end_transfer(turn, transfer, status, reason=reason)
    oplog.flag(turn, _nobody_came(transfer))
    oplog.transition(turn, session, Status.ACTIVE, reason=reason, owner=Owner.BOT)


def _nobody_came(transfer: Transfer) -> dict[str, str]:
    by = transfer.context.get("reason_by", "")
    return {"effect": "flag", "kind": "unanswered", "reason": transfer.reason, "by_kind": by}


def _time_out_session(turn: Turn, session: ChatSession) -> None:
    """A request for a human that nobody answered does not end with its session: flagged, with its waiting clock, until
    a human has looked. That is so whoever spoke last, and whatever the tenant does with words that nobody answered.
    """
    if session not in turn.sessions:
        return  # ended by an effect before this one
    grouped = session.origin == Origin.GROUPED
    request = _request_of(turn, session)
    oplog.transition(turn, session, Status.TIMEOUT, reason="silence" if grouped else "nothing happened in time")
    if request:
        oplog.flag(turn, _nobody_came(request), waiting_since=request.waiting_since)


def _request_of(turn: Turn, session: ChatSession) -> Transfer | None:
    """By which a session waits for a human, though it is paused meanwhile. What is handed over is served all along."""
    if session.owner_kind != Owner.NOBODY:
        return None
    last = turn.transfer_of(session) or session.transfers.order_by("-pk").first()
    is_none = last is None or last.status == TransferStatus.ACCEPTED or last.kind == TransferKind.HANDOVER
    return None if is_none else last


def _warn_of_end(turn: Turn, session: ChatSession) -> None:
    if session in turn.sessions:  # not where its end came first, because nobody looked before
        oplog.warn_of_end(turn, session)


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
        before = asked_before(session)
        if waits := turn.transfer_of(session):
            oplog.end_transfer(turn, waits, TransferStatus.WITHDRAWN, reason="its sender did not reply in time")
        transfer = oplog.ask(
            turn,
            session,
            TransferKind.REASSIGNMENT,
            reason="no first reply in time",
            trigger="no_reply",
            needs=before.needs,
            refused_by=[session.agent_id],
            reasons=before.reasons,
        )
        oplog.change_owner(turn, session, Owner.NOBODY, transfer_id=transfer.pk)
    session.reply_due_at = None
    session.save(update_fields=["reply_due_at"])


def _fail_flow(turn: Turn, flow: GuidedFlow) -> None:
    if flow.status == FlowStatus.RERUNNING:
        oplog.move_flow(turn, flow, FlowStatus.FAILED, turn.now, failed_reason="the rerun's lease ran out")


def _expire_flow(turn: Turn, flow: GuidedFlow) -> None:
    if flow.status in FLOW_OPEN:
        oplog.move_flow(turn, flow, FlowStatus.EXPIRED, turn.now)


def _next_offer(turn: Turn, transfer: Transfer) -> None:
    if transfer.is_pending and transfer.offered_to_id:
        assignment.ignore(turn, transfer)


def _next_round(turn: Turn, transfer: Transfer) -> None:
    if transfer.is_pending and not transfer.offered_to_id:
        assignment.next_round(turn, transfer)


def _withdraw_offer(turn: Turn, transfer: Transfer) -> None:
    if transfer.is_pending and transfer.offered_to_id:
        assignment.withdraw_offer(turn, transfer, reason="the agent is not available any more, or full")
