"""Sessions: opened, moved from status to status, given to another owner."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from agents_app.models import Agent, ApiClient
from agents_app.policies import Policies
from config import bulk_rows, limits, statements
from messaging_app.models import Conversation
from sessions_app.core.context_package import opening, taken_over
from sessions_app.core.locked_conversation import LockedConversation
from sessions_app.core.oplog.deadlines import _set_deadline, _set_warning, deadline
from sessions_app.core.oplog.transfers import end_transfer
from sessions_app.errors import IllegalTransition
from sessions_app.models import ChatSession, Transfer
from sessions_app.states import (
    GROUPED_OPENING,
    LIVE,
    OPENING,
    TERMINAL,
    Kind,
    Origin,
    Owner,
    Priority,
    Status,
    TaskType,
    TransferKind,
    TransferStatus,
    allowed,
)

_BROUGHT = (TransferKind.ESCALATION, TransferKind.TAKEOVER, TransferKind.REASSIGNMENT)
"""The kinds of transfer that bring a session to an agent from a bot or from the queue."""
_ENDED = {Status.COMPLETED: "completed", Status.CANCELLED: "cancelled", Status.TIMEOUT: "timed_out"}


def owner_fields(session: ChatSession) -> dict[str, Any]:
    return {"owner_kind": session.owner_kind, "owner_id": session.owner_id}


def create_session(
    locked: LockedConversation,
    *,
    kind: Kind,
    task: TaskType,
    status: Status,
    priority: Priority | None = None,
    bot: ApiClient | None = None,
    bot_id: int | None = None,
    agent: Agent | None = None,
    previous_id: int | None = None,
    reason: str = "",
    context: dict[str, Any] | None = None,
) -> ChatSession:
    """Open a session in `status`, ACTIVE or PENDING; raises `IllegalTransition` for another.

    A human's session takes over what was said in the sessions that yield to it.
    """
    if status not in OPENING:
        raise IllegalTransition(f"A session cannot open as {status}.")
    session = bulk_rows.fresh(
        ChatSession,
        {"conversation": locked.conversation} | {name: it for name, it in (("bot", bot), ("agent", agent)) if it},
        tenant_id=locked.conversation.tenant_id,
        kind=kind,
        task=task,
        status=status,
        **({} if bot else {"bot_id": bot_id}),
        owner_kind=Owner.BOT if kind.is_robot else (Owner.AGENT if agent else Owner.NOBODY),
        previous_id=previous_id,
        opened_at=locked.now,
        activated_at=locked.now if status == Status.ACTIVE else None,
        last_activity_at=locked.now,
        missed_from_seq=None if status == Status.ACTIVE else locked.conversation.seq,
        reason=reason[: limits.MAX_REASON],
        context=context or {},
        said=taken_over(opening(context or {}, by=locked.actor, at=locked.now), *_said_before(locked, kind)),
    )
    if agent:
        session.human_until = locked.now + locked.policies.human_session_timeout
    session.set_priority(priority)
    _set_deadline(locked, session)
    statements.insert(session)
    locked.sessions.append(session)
    locked.record(
        "session.opened",
        session,
        kind=kind.value,
        status=status.value,
        rank=session.rank,
        opened_at=session.opened_at.isoformat(timespec="microseconds"),
        **owner_fields(session),
    )
    return session


def _said_before(locked: LockedConversation, kind: Kind) -> list[dict[str, Any]]:
    """What was said in the live and paused sessions, which yield to a human's session; nothing for a robot's."""
    at_work = (s for s in locked.sessions if s.is_live or s.status == Status.PAUSED)
    return [] if kind.is_robot else [s.said for s in at_work]


def create_grouped_session(
    conversation: Conversation,
    *,
    status: Status,
    is_robot: bool,
    owner: Owner,
    first: datetime,
    last: datetime,
    policies: Policies,
) -> ChatSession:
    """A session made for grouped messages, not stored yet: ended if they are history, ACTIVE if they are fresh.

    Its times are those of its messages, whenever they are grouped. Raises `IllegalTransition` for another status.
    """
    if status not in GROUPED_OPENING:
        raise IllegalTransition(f"A session cannot be found as {status}.")
    kind = Kind.AUTO_ASSISTANT if is_robot else Kind.MANUAL_CUSTOMER_SERVICE
    session = bulk_rows.fresh(
        ChatSession,
        {"conversation": conversation},
        tenant_id=conversation.tenant_id,
        kind=kind,
        origin=Origin.GROUPED,
        status=status,
        owner_kind=owner,
        opened_at=first,
        activated_at=first,
        last_activity_at=last,
        ended_at=last if status in TERMINAL else None,
        first_message_at=first,
        last_message_at=last,
    )
    session.set_priority()
    session.expires_at = deadline(session, last, policies)
    return session


def transition(
    locked: LockedConversation,
    session: ChatSession,
    to: Status,
    *,
    reason: str = "",
    owner: Owner | None = None,
    agent: Agent | None = None,
    **data: Any,
) -> None:
    """Move a session along `states.TRANSITIONS`, with a new owner where one is named. Raises `IllegalTransition`.

    A session that stops being live takes its unanswered transfer with it (WITHDRAWN).
    """
    before = Status(session.status)
    if not allowed(before, to):
        raise IllegalTransition(
            f"A session cannot go from {before} to {to}.", session_id=session.pk, status=before.value
        )
    if to not in LIVE and (transfer := locked.transfer_of(session)):
        end_transfer(locked, transfer, TransferStatus.WITHDRAWN, reason=f"session {to.lower()}")
    if before in LIVE and (to in TERMINAL or owner not in (None, Owner.AGENT)):
        _note_end_of_service(locked, session)
    session.status = to
    if owner is not None:
        _set_owner(locked, session, owner, agent)
    if to == Status.PAUSED:
        session.paused_from = before
        session.missed_from_seq = locked.conversation.seq
    if to in LIVE:
        session.activated_at = session.activated_at or locked.now
        session.last_activity_at = locked.now
    if to in TERMINAL:
        session.ended_at = locked.now
        session.reason = reason[: limits.MAX_REASON] or session.reason
        locked.sessions.remove(session)
    _set_deadline(locked, session)
    statements.update(session)
    locked.record(
        f"session.{event_word(before, to)}",
        session,
        before=before.value,
        after=to.value,
        reason=reason,
        **owner_fields(session),
        **data,
    )


def event_word(before: Status, to: Status) -> str:
    """The last part of the event's type for a change of status: `resumed` of `session.resumed`."""
    if to in _ENDED:
        return _ENDED[to]
    if before == Status.PAUSED:
        return "resumed"
    if to == Status.ACTIVE:
        return "activated" if before == Status.PENDING else "returned"
    return "paused" if to == Status.PAUSED else "transferred"


def change_owner(
    locked: LockedConversation, session: ChatSession, owner: Owner, agent: Agent | None = None, **data: Any
) -> None:
    """Give a live session to somebody else, or to nobody, without a change of status."""
    was = owner_fields(session)
    was_agents = session.owner_kind == Owner.AGENT
    if owner != Owner.AGENT:
        _note_end_of_service(locked, session)
    _set_owner(locked, session, owner, agent)
    if was_agents and owner == Owner.AGENT:  # the time goes on, and the new owner is warned of its end
        _set_warning(locked, session)
    else:
        _set_deadline(locked, session)
    statements.update(session)
    locked.record(
        "ownership.changed",
        session,
        was_kind=was["owner_kind"],
        was_id=was["owner_id"],
        **owner_fields(session),
        **data,
    )


def _note_end_of_service(locked: LockedConversation, session: ChatSession) -> None:
    """Agents stop serving a session: note when, on the transfer that brought it to them (`served_until`).

    A handover or a grab in between belongs to the same service.
    """
    if session.owner_kind != Owner.AGENT:
        return
    began = Transfer.objects.filter(session=session, kind__in=_BROUGHT, accepted_by__isnull=False).order_by("-pk")
    transfer = began.first()
    if transfer and transfer.served_until is None:
        transfer.served_until = locked.now
        statements.update(transfer, "served_until")


def _set_owner(locked: LockedConversation, session: ChatSession, owner: Owner, agent: Agent | None) -> None:
    if owner != Owner.AGENT:
        session.agent, session.human_until = None, None
    else:
        session.agent = agent
        if session.owner_kind != Owner.AGENT:
            session.human_until = locked.now + locked.policies.human_session_timeout
    session.owner_kind = owner


def warn_of_end(locked: LockedConversation, session: ChatSession) -> None:
    """Record the warning, once, that the session ends soon by itself."""
    session.warns_at = None
    statements.update(session, "warns_at")
    expires_at = session.expires_at.isoformat(timespec="microseconds") if session.expires_at else ""
    locked.record("session.ending_soon", session, expires_at=expires_at, **owner_fields(session))
