"""When a session ends by itself, and when its owner is warned of it."""

from __future__ import annotations

from datetime import datetime, timedelta

from agents_app.policies import Policies
from sessions_app.core.locked_conversation import LockedConversation
from sessions_app.models import ChatSession, Transfer
from sessions_app.states import (
    LIVE,
    TERMINAL,
    Origin,
    Owner,
    Status,
)


def deadline(
    session: ChatSession, now: datetime, policies: Policies, transfer: Transfer | None = None
) -> datetime | None:
    """When a session times out, if nothing more happens (docs/rules.md, Clocks).

    - A robot's session, and one served in the shop's own app: when it has been idle (`robot_session_timeout`).
    - An agent's: a fixed time after agents got it, pauses included (`human_session_timeout`), never before its warning.
    - One that waits: after `waiting_session_timeout`, which counts from the opening of service where that is to come.
    - One that was grouped from messages: after `history_gap`.

    None for a session that has ended.
    """
    if session.status in TERMINAL:
        return None
    if session.status not in LIVE:
        return now + policies.waiting_session_timeout
    if session.owner_kind == Owner.AGENT:
        return max(session.human_until or now + policies.human_session_timeout, now + _warning(policies))
    if session.owner_kind == Owner.NOBODY and (session.status == Status.TRANSFERRED or session.origin == Origin.OPENED):
        opens_at = transfer.opens_at if transfer else None
        return (opens_at or now) + policies.waiting_session_timeout  # its transfer's deadline comes first
    return now + (policies.history_gap if session.origin == Origin.GROUPED else policies.robot_session_timeout)


def _warning(policies: Policies) -> timedelta:
    """How long before the end of an agent's session its owner is warned."""
    return min(policies.human_session_warning, policies.human_session_timeout)


def _set_deadline(locked: LockedConversation, session: ChatSession) -> None:
    """Set when the session ends by itself, and when its owner is warned."""
    session.expires_at = deadline(session, locked.now, locked.policies, locked.transfer_of(session))
    _set_warning(locked, session)


def _set_warning(locked: LockedConversation, session: ChatSession) -> None:
    serves = session.is_live and session.owner_kind == Owner.AGENT
    session.warns_at = session.expires_at - _warning(locked.policies) if serves and session.expires_at else None
