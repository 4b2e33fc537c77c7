"""Asking again for what waits already: what is new is added to the transfer that waits, and recorded.

Urgency only rises. Needs are merged, each at the highest level; promises and reasons are added, to the session as to
the transfer (`sessions_app.core.context_package`); an addressee is set if there was none. Nothing that somebody asked
for is lost in silence, and a request without anything new changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agents_app import skills
from agents_app.actors import ActorKind
from agents_app.models import Agent, Team
from config import limits, statements
from sessions_app import assignment
from sessions_app.core.context_package import asked_again, say
from sessions_app.core.locked_conversation import LockedConversation
from sessions_app.errors import Malformed
from sessions_app.models import ChatSession, Transfer
from sessions_app.states import Priority


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The new request. An empty field adds nothing."""

    urgent: bool = False
    reason: str = ""
    reason_by: str = ActorKind.SYSTEM
    to_agent: Agent | None = None
    to_team: Team | None = None
    needs: Mapping[str, int] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)


def merge(locked: LockedConversation, session: ChatSession, transfer: Transfer, request: Request) -> bool:
    """Add what is new to a transfer that waits; True when anything was. An addressee is not replaced."""
    is_raised = request.urgent and _raise(locked, session)
    changes = {
        **_addressed(transfer, request),
        **_needed(transfer, request),
        **_context_changes(locked, session, transfer, request),
    }
    if not changes:
        return is_raised
    statements.update(transfer, "to_agent", "to_team", "needs", "context")
    locked.record("transfer.changed", session, transfer_id=transfer.pk, kind=transfer.kind, **changes)
    _look_at_the_offer(locked, transfer)
    return True


def _raise(locked: LockedConversation, session: ChatSession) -> bool:
    """Make the session an emergency, whatever its type; False if it is one already."""
    if session.priority == Priority.EMERGENCY:
        return False
    session.set_priority(Priority.EMERGENCY)
    statements.update(session, "priority", "rank")
    locked.record("session.priority_set", session, priority=session.priority, rank=session.rank)
    return True


def _addressed(transfer: Transfer, request: Request) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if transfer.to_agent is None and request.to_agent is not None:
        transfer.to_agent = request.to_agent
        changes["to_agent_id"] = request.to_agent.pk
    if transfer.to_team is None and request.to_team is not None:
        transfer.to_team = request.to_team
        changes["to_team_id"] = request.to_team.pk
    return changes


def _needed(transfer: Transfer, request: Request) -> dict[str, Any]:
    needs = skills.together(transfer.needs, request.needs)
    if needs == transfer.needs:
        return {}
    if len(needs) > skills.MOST:
        raise Malformed(f"At most {skills.MOST} skills are needed, with those that were asked for before.")
    transfer.needs = needs
    return {"needs": needs}


def _context_changes(
    locked: LockedConversation, session: ChatSession, transfer: Transfer, request: Request
) -> dict[str, Any]:
    """Add a new reason, and what the context adds. Earlier reasons stay, each with its actor."""
    package = transfer.context
    reason = request.reason.strip()[: limits.MAX_REASON]
    reason = (
        "" if reason in {transfer.reason, *(earlier["reason"] for earlier in package.get("reasons", []))} else reason
    )
    is_new = say(locked, session, request.extra, urgency=package.get("urgency"))
    if not (is_new or reason):
        return {}
    transfer.context = asked_again(package, session, reason=reason, reason_by=request.reason_by, at=locked.now)
    return {"reason": reason, "reason_by": str(request.reason_by) if reason else ""}


def _look_at_the_offer(locked: LockedConversation, transfer: Transfer) -> None:
    """Withdraw the open offer if the transfer does not fit its agent any more."""
    agent = transfer.offered_to
    if agent is None:
        return
    is_for_another = transfer.to_agent is not None and transfer.to_agent_id != agent.pk
    if is_for_another or skills.lacking(agent.skills, transfer.needs):
        assignment.withdraw_offer(locked, transfer, reason="more was asked for")
