"""The deadlines and warnings of a replayed conversation, and what is due: docs/rules.md, Clocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial

from sessions_app.core.record.replay.conversation import ReplayedConversation
from sessions_app.core.record.replay.replayed import ReplayedFlow, ReplayedSession, ReplayedTransfer
from sessions_app.states import LIVE, TERMINAL, Status


def give(replay: ReplayedConversation, session: ReplayedSession, was: tuple[str, int | None], at: datetime) -> None:
    """The fixed time of an agent's session runs from when the first agent got it, until none has it."""
    if session.owner[0] != "agent":
        session.human_until = None
    elif was[0] != "agent":
        session.human_until = at + replay.span("HUMAN_SESSION_TIMEOUT")


def _warning(replay: ReplayedConversation) -> timedelta:
    return min(replay.span("HUMAN_SESSION_WARNING"), replay.span("HUMAN_SESSION_TIMEOUT"))


def set_deadline(replay: ReplayedConversation, session: ReplayedSession, at: datetime) -> None:
    session.expires_at = _deadline(replay, session, at)
    set_warning(replay, session)


def set_warning(replay: ReplayedConversation, session: ReplayedSession) -> None:
    serves = session.agent is not None and session.expires_at
    session.warns_at = session.expires_at - _warning(replay) if serves and session.expires_at else None


def _deadline(replay: ReplayedConversation, session: ReplayedSession, at: datetime) -> datetime | None:
    if session.status in TERMINAL:
        return None
    if session.status not in LIVE:
        return at + replay.span("WAITING_SESSION_TIMEOUT")
    if session.owner[0] == "":
        opens_at = next((t.opens_at for t in replay.pending(session.id)), None)
        return (opens_at or at) + replay.span("WAITING_SESSION_TIMEOUT")
    if session.human_until:
        return max(session.human_until, at + _warning(replay))
    return at + replay.span("HISTORY_GAP" if session.is_found else "DEFAULT_SESSION_TIMEOUT")


def due(replay: ReplayedConversation, at: datetime) -> Iterator[tuple[str, Callable[[], bool]]]:
    """What is due at `at`: its name, and a function that says whether it has been applied by now.

    The first verb after a deadline applies it, in a transaction that does nothing else.
    """
    for transfer in replay.transfers.values():
        if transfer.status == "PENDING":
            if transfer.deadline and transfer.deadline <= at:
                yield f"transfer {transfer.id}", partial(_has_gone_on, transfer, transfer.deadline)
            elif transfer.offer_expires_at and transfer.offer_expires_at <= at:
                was = transfer.offer_expires_at
                yield (
                    f"the offer of transfer {transfer.id}",
                    partial(_is_not_offered, transfer, was),
                )
    for session in replay.sessions.values():
        if session.expires_at and session.expires_at <= at:
            ends = session.expires_at
            yield (
                f"session {session.id}",  # or has a new deadline, where its transfer went back to the bot
                partial(_is_over, session, ends),
            )
        elif session.warns_at and session.warns_at <= at:
            yield f"the warning of session {session.id}", partial(_is_warned, session, session.warns_at)
    for flow in replay.flows.values():
        if flow.blocks and min(flow.expires_at, flow.lease_until or flow.expires_at) <= at:
            yield f"flow {flow.id}", partial(_blocks_no_more, flow)


def fired(replay: ReplayedConversation, at: datetime, deadline: datetime | None, what: str) -> None:
    """A fault where this came before its deadline; else note how late it was."""
    if deadline is None or at < deadline:
        replay.fault(11, f"{what} fired at {at}, before its deadline {deadline}")
    else:
        replay.lateness = max(replay.lateness, at - deadline)


def _has_gone_on(transfer: ReplayedTransfer, was: datetime) -> bool:
    return transfer.status == "TIMED_OUT" or transfer.deadline != was


def _is_not_offered(transfer: ReplayedTransfer, was: datetime) -> bool:
    return transfer.offer_expires_at != was or transfer.status != "PENDING"


def _is_warned(session: ReplayedSession, was: datetime) -> bool:
    return session.warns_at != was


def _is_over(session: ReplayedSession, was: datetime) -> bool:
    return session.status == Status.TIMEOUT or session.expires_at != was


def _blocks_no_more(flow: ReplayedFlow) -> bool:
    return not flow.blocks
