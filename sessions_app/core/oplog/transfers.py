"""Transfers: asked for, asked again, made at once, ended."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from agents_app import service_hours
from agents_app.actors import ActorKind
from agents_app.models import Agent, Team
from agents_app.skills import Skills
from config import limits, statements
from sessions_app.core.context_package import package, say
from sessions_app.core.locked_conversation import LockedConversation, pause_after
from sessions_app.errors import IllegalTransition
from sessions_app.models import ChatSession, Transfer
from sessions_app.states import (
    Origin,
    Override,
    Owner,
    TransferKind,
    TransferStatus,
)


def create_transfer(
    locked: LockedConversation,
    session: ChatSession,
    kind: TransferKind,
    *,
    reason: str = "",
    trigger: str = "",
    to_agent: Agent | None = None,
    to_team: Team | None = None,
    needs: Skills | None = None,
    refused_by: Sequence[int | None] = (),
    extra: dict[str, Any] | None = None,
    reason_by: str = ActorKind.SYSTEM,
    reasons: Sequence[dict[str, str]] = (),
) -> Transfer:
    """Request a move: a PENDING transfer with its deadline and context package. The waiting clock is the original one.

    `reason_by` is the kind of actor who gave the reason: a customer's is shown as the customer's. `extra` is what the
    actor says about the work; it stays with the session. `reasons` are those of earlier requests that this one repeats
    (`earlier_requests`). Raises `Malformed` where too much is said.

    A request that names neither agent nor team goes to the session's team, else to the tenant's default team. Outside
    service hours the deadline counts from the opening, and `after_hours` does the rest when the verb settles.
    """
    _mark_opened(session)
    say(locked, session, extra or {})
    why: dict[str, Any] = {"reason": reason, "reason_by": reason_by, "trigger": trigger, "reasons": reasons}
    transfer = _new(locked, session, kind, TransferStatus.PENDING, **why)
    if to_agent is None and to_team is None:
        to_team = session.team or locked.tenant.default_team
    transfer.to_agent, transfer.to_team = to_agent, to_team
    transfer.needs, transfer.refused_by = dict(needs or {}), list(refused_by)
    if kind != TransferKind.HANDOVER:  # between agents: who asks is there
        _apply_service_hours(locked, session, transfer)
    transfer.deadline = _after_opening(locked, transfer) or locked.now + locked.policies.transfer_timeout
    statements.insert(transfer)
    locked.transfers.append(transfer)
    locked.record(
        "transfer.requested",
        session,
        transfer_id=transfer.pk,
        kind=kind.value,
        reason=reason,
        reason_by=transfer.context["reason_by"],
        trigger=trigger,
        to_agent_id=to_agent.pk if to_agent else None,
        to_team_id=to_team.pk if to_team else None,
        **_clocks(transfer),
    )
    return transfer


def readdress(locked: LockedConversation, transfer: Transfer, *, reason: str) -> None:
    """The one agent who was asked cannot answer: ask the team, or the tenant's queue, with a whole time-out left."""
    session = _address_to_team(locked, transfer)
    transfer.deadline = max(transfer.deadline or locked.now, locked.now + locked.policies.transfer_timeout)
    statements.update(transfer, "to_agent", "to_team", "deadline")
    locked.record(
        "transfer.readdressed",
        session,
        transfer_id=transfer.pk,
        kind=transfer.kind,
        reason=reason,
        to_team_id=transfer.to_team_id,
        deadline=transfer.deadline.isoformat(timespec="microseconds"),
    )


def ask_again(locked: LockedConversation, transfer: Transfer, *, reason: str, declined_by: int | None = None) -> None:
    """Keep an unanswered transfer waiting: for everybody, with its original waiting clock and package.

    Its deadline is set anew (`pause_after`), and agents who refused it are asked once more, except the one who has just
    declined it (`declined_by`). An offer that is open stays.
    """
    session = _address_to_team(locked, transfer)
    transfer.asked_again += 1
    transfer.refused_by, transfer.next_round_at = [declined_by] if declined_by else [], None
    _apply_service_hours(locked, session, transfer)
    is_closed = not transfer.is_open_at(locked.now)
    pause = pause_after(transfer.asked_again, locked.policies.transfer_timeout)
    transfer.deadline = (_after_opening(locked, transfer) if is_closed else None) or locked.now + pause
    statements.update(
        transfer, "asked_again", "to_agent", "to_team", "refused_by", "next_round_at", "opens_at", "deadline"
    )
    locked.record(
        "transfer.asked_again",
        session,
        transfer_id=transfer.pk,
        kind=transfer.kind,
        reason=reason,
        times=transfer.asked_again,
        waiting_since=transfer.waiting_since.isoformat(),
        declined_by=declined_by,
        to_team_id=transfer.to_team_id,
        **_clocks(transfer),
    )


def _address_to_team(locked: LockedConversation, transfer: Transfer) -> ChatSession:
    """Address it to its own team, else the session's, else the tenant's default. Returns its session."""
    session = locked.session(transfer.session_id)
    transfer.to_agent = None
    transfer.to_team = transfer.to_team or session.team or locked.tenant.default_team
    return session


def _clocks(transfer: Transfer) -> dict[str, str | None]:
    return {
        "opens_at": transfer.opens_at.isoformat() if transfer.opens_at else None,
        "deadline": transfer.deadline.isoformat(timespec="microseconds") if transfer.deadline else None,
    }


def _apply_service_hours(locked: LockedConversation, session: ChatSession, transfer: Transfer) -> None:
    """Outside service hours note when they begin, and let a waiting session's time count from then.

    A request repeated in the same closure changes nothing: the customer is not told again, and it gets no more time.
    """
    closure = service_hours.closure(service_hours.service_hours_of(locked.tenant, transfer.to_team), locked.now)
    if closure is None or (closure.opens_at == transfer.opens_at and not closure.becomes_email):
        return
    locked.closed.append((transfer, closure))
    transfer.opens_at = closure.opens_at
    expires_at = session.expires_at if session.owner_kind == Owner.NOBODY else None
    if closure.opens_at and expires_at and expires_at > locked.now:
        session.expires_at = closure.opens_at + min(expires_at - locked.now, locked.policies.waiting_session_timeout)
        statements.update(session, "expires_at")


def _after_opening(locked: LockedConversation, transfer: Transfer) -> datetime | None:
    """The deadline of a request made outside service hours: one time-out after the opening, and one for each before it.

    None where it is open. No request waits for longer than its session, so no more are counted than fit into that.
    """
    if transfer.opens_at is None:
        return None
    timeout = locked.policies.transfer_timeout
    most = max(1, locked.policies.waiting_session_timeout // timeout) if timeout else 1
    earlier = Transfer.objects.filter(
        tenant_id=transfer.tenant_id, status=TransferStatus.PENDING, to_team=transfer.to_team
    ).exclude(kind=TransferKind.HANDOVER)
    if transfer.pk:
        earlier = earlier.filter(pk__lt=transfer.pk)
    return transfer.opens_at + timeout * min(earlier[:most].count() + 1, most)


def record_transfer(
    locked: LockedConversation,
    session: ChatSession,
    kind: TransferKind,
    *,
    reason: str = "",
    agent: Agent | None = None,
    override: Override = Override.NONE,
) -> Transfer:
    """Record an immediate move: a transfer that is ACCEPTED at once."""
    _mark_opened(session)
    transfer = _new(locked, session, kind, TransferStatus.ACCEPTED, reason=reason, reason_by=locked.actor.kind)
    transfer.to_agent = transfer.accepted_by = agent
    transfer.ended_at = locked.now
    transfer.is_override = bool(override)
    statements.insert(transfer)
    locked.record(
        "transfer.accepted",
        session,
        transfer_id=transfer.pk,
        kind=kind.value,
        reason=reason,
        agent_id=agent.pk if agent else None,
        override=bool(override),
        override_why=override.value,
    )
    return transfer


def _mark_opened(session: ChatSession) -> None:
    """Somebody moves a session that was grouped from messages: from now on grouping leaves it alone."""
    if session.origin == Origin.GROUPED:
        session.origin = Origin.OPENED
        statements.update(session, "origin")


def _new(
    locked: LockedConversation,
    session: ChatSession,
    kind: TransferKind,
    status: TransferStatus,
    *,
    reason: str,
    reason_by: str,
    trigger: str = "",
    reasons: Sequence[dict[str, str]] = (),
) -> Transfer:
    sender = session.agent if session.owner_kind == Owner.AGENT else session.bot
    return Transfer(
        tenant_id=session.tenant_id,
        conversation=locked.conversation,
        session=session,
        kind=kind,
        status=status,
        from_kind=session.owner_kind or locked.actor.kind.value,
        from_id=session.owner_id,
        from_name=(sender.name if sender else locked.actor.name)[: limits.MAX_NAME],
        reason=reason[: limits.MAX_REASON],
        trigger=trigger[: limits.MAX_TRIGGER],
        context=package(locked, session, reason=reason, reason_by=reason_by, trigger=trigger, reasons=reasons),
        requested_at=locked.now,
        waiting_since=locked.conversation.waiting_since or locked.now,
    )


def end_transfer(
    locked: LockedConversation,
    transfer: Transfer,
    status: TransferStatus,
    *,
    reason: str = "",
    agent: Agent | None = None,
    override: Override = Override.NONE,
) -> None:
    """End an unanswered transfer, exactly once. Raises `IllegalTransition` when it has ended already."""
    if transfer.status != TransferStatus.PENDING or status == TransferStatus.PENDING:
        raise IllegalTransition(f"A transfer cannot go from {transfer.status} to {status}.")
    transfer.status = status
    transfer.accepted_by = agent
    transfer.ended_at = locked.now
    transfer.end_reason = reason[: limits.MAX_REASON]
    transfer.is_override = bool(override)
    transfer.offered_to = transfer.offer_expires_at = None
    statements.update(transfer)
    locked.transfers.remove(transfer)
    locked.record(
        f"transfer.{status.lower()}",
        transfer.session,
        transfer_id=transfer.pk,
        kind=transfer.kind,
        reason=reason,
        agent_id=agent.pk if agent else None,
        override=bool(override),
        override_why=override.value,
    )
