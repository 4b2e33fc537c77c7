"""Who yields to whom: the rules C0 to C7, and what gives way (docs/rules.md, Conflicts)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from agents_app.actors import ActorKind
from sessions_app.core import oplog
from sessions_app.core.locked_conversation import LockedConversation
from sessions_app.errors import Conflict
from sessions_app.models import ChatSession
from sessions_app.rights import access
from sessions_app.states import Kind, Origin, Owner, Status, TransferKind


@dataclass(frozen=True, slots=True)
class ConflictDecision:
    """What the conflict rules say: the status to open in, or an escalation, and whether the live session yields."""

    rule: str
    status: Status | None = None
    preempt: bool = False
    escalate: bool = False
    refuse: bool = False


def resolve_conflict(
    live: ChatSession | None, waiting: list[ChatSession], kind: Kind, wanted_rank: int, *, by_agent: bool
) -> ConflictDecision:
    """Who yields (docs/rules.md, Conflicts), as a pure function of the locked rows.

    A live session that was only found in the messages is nobody's announced work: it counts as nothing live, unless
    somebody of the shop is speaking in it.
    """
    robot = kind.is_robot
    manual = Status.ACTIVE if by_agent else Status.PENDING
    if live is None or (live.origin == Origin.GROUPED and live.owner_kind != Owner.SHOP):
        better_waits = any(s.rank <= wanted_rank for s in waiting)
        if not robot:
            return ConflictDecision("C0", manual)
        return ConflictDecision("C0", Status.PENDING if better_waits else Status.ACTIVE)
    if kind == Kind.MANUAL_URGENT:
        return ConflictDecision("C4", Status.ACTIVE, preempt=True)
    human_side = live.owner_kind != Owner.BOT  # an agent, the shop's own people, or the queue
    if human_side:
        return ConflictDecision("C2", Status.PENDING) if robot else ConflictDecision("C7", refuse=True)
    if not robot:
        return (
            ConflictDecision("C1", Status.ACTIVE, preempt=True) if by_agent else ConflictDecision("C6", escalate=True)
        )
    if wanted_rank < live.rank:
        return ConflictDecision("C3", Status.ACTIVE, preempt=True)
    return ConflictDecision("C3", Status.PENDING)


def preempt(locked: LockedConversation, live: ChatSession, *, reason: str) -> None:
    """Pause the live session for a better one; it resumes by itself. Its bot learns of it from the operation."""
    oplog.transition(locked, live, Status.PAUSED, reason=reason, preempted=True)


def supersede(locked: LockedConversation, live: ChatSession) -> None:
    """An announced session takes the place of one that was only found in the messages."""
    oplog.transition(locked, live, Status.COMPLETED, reason="an announced session took its place")


def escalate(locked: LockedConversation, session: ChatSession, *, reason: str, trigger: str, **to: Any) -> Any:
    """C6: the robot's session waits for a human, and the bot is fenced out by the new epoch."""
    locked.rule = locked.rule or "C6"
    transfer = oplog.create_transfer(locked, session, TransferKind.ESCALATION, reason=reason, trigger=trigger, **to)
    oplog.transition(locked, session, Status.TRANSFERRED, reason=reason, owner=Owner.NOBODY)
    return transfer


def refusal(locked: LockedConversation, error: type[Conflict]) -> Conflict:
    """The error for an actor whose session is refused, with the session that is in the way."""
    live = locked.waiting[0] if locked.rule == "C0" else locked.live  # nothing live: the head of the line is in the way
    assert live is not None
    return error(
        rule=locked.rule,
        live_session_id=live.pk,
        owner_kind=live.owner_kind or "queue",
        # a bot may not know whose session it is
        owner_name="" if locked.actor.kind == ActorKind.BOT else access.visible_owner_name(locked.actor, live),
        may_end_at=live.expires_at.isoformat() if live.expires_at else None,
    )
