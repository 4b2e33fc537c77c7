"""Requests to move a conversation from one owner to another, and the answers. Every move has exactly one Transfer row.

Moves at once, without a request, are in `takeovers`.
"""

from __future__ import annotations

from typing import Any

from agents_app import skills
from agents_app.actors import Actor, ActorKind
from agents_app.models import Agent, Team
from agents_app.scopes import Scope
from sessions_app import assignment
from sessions_app.actions import conflicts, repeated_request
from sessions_app.core import oplog
from sessions_app.core.context_package import checked_extra, inherit
from sessions_app.core.locked_conversation import LockedConversation, Outcome, is_unclaimed
from sessions_app.errors import (
    AlreadyTaken,
    Conflict,
    Forbidden,
    GetsNothingNew,
    HumanServes,
    Malformed,
    NotFound,
    NoWayBack,
    TransferEnded,
)
from sessions_app.models import ChatSession, Transfer
from sessions_app.promises import after_hours
from sessions_app.rights import access
from sessions_app.rights.field_rights import by_role
from sessions_app.states import (
    Origin,
    Owner,
    Priority,
    Status,
    TaskType,
    TransferKind,
    TransferStatus,
    human_kind,
)
from sessions_app.unit import timers
from sessions_app.unit.unit_of_work import locked_conversation, verb


@verb
def request_transfer(
    *,
    actor: Actor,
    conversation_id: int,
    reason: str = "",
    trigger: str = "",
    to_team_id: int | None = None,
    to_agent_id: int | None = None,
    urgent: bool = False,
    needs: dict[str, int] | None = None,
    context: dict[str, Any] | None = None,
    expected_epoch: int | None = None,
) -> Outcome:
    """Ask for a human (escalation), or, from the human who serves, for another one (handover).

    A request that is repeated while it waits keeps its waiting clock; what is new is added (`repeated_request`). With
    no robot session to escalate, a manual one is opened and waits. The handover's sender serves on until it is
    accepted. `needs` are skills with the least level that an agent must have to be offered it. `context` may hold
    suggestion, promises, urgency, task_state. Raises `Malformed`, `Forbidden`, `HumanServes` when a human serves and
    another asks, `NotFound`, `Conflict`.
    """
    extra = checked_extra(context)
    with locked_conversation(actor, conversation_id, expected_epoch=expected_epoch) as locked:
        to = _recipients(locked, to_team_id, to_agent_id) | {"needs": _checked_needs(needs)}
        if actor.kind == ActorKind.CUSTOMER and locked.live and locked.live.is_human_served:
            return locked.outcome(locked.live, is_repeat=True)  # a human serves already
        if locked.live and locked.live.is_human_served:
            session = locked.live
            transfer = _ask_handover(
                locked, session, reason=reason, reason_by=actor.kind, trigger=trigger, extra=extra, **to
            )
        else:
            access.may_escalate(actor, locked.live)
            if actor.kind == ActorKind.CUSTOMER:
                trigger = "customer"
            session, transfer = raise_need(
                locked, reason=reason, reason_by=actor.kind, trigger=trigger, urgent=urgent, extra=extra, **to
            )
    return locked.outcome(session, transfer_id=transfer.pk)


def raise_need(
    locked: LockedConversation,
    *,
    reason: str,
    trigger: str,
    urgent: bool = False,
    extra: dict[str, Any] | None = None,
    to_agent: Agent | None = None,
    to_team: Team | None = None,
    needs: dict[str, int] | None = None,
    reason_by: str = ActorKind.SYSTEM,
) -> tuple[ChatSession, Transfer]:
    """Escalate what is live, or open a manual session that waits; what is new is added to what waits already (C6).

    Checks no rights of the actor: a detected need is nobody's request. Returns the session and its pending transfer.
    """
    locked.rule = "C6"
    live = locked.live
    for session in filter(None, [live, *locked.waiting]):
        if waits := locked.transfer_of(session):
            request = repeated_request.Request(
                urgent=urgent,
                reason=reason,
                reason_by=reason_by,
                to_agent=to_agent,
                to_team=to_team,
                needs=needs or {},
                extra=extra or {},
            )
            repeated_request.merge(locked, session, waits, request)
            return session, waits
    details: dict[str, Any] = {"to_agent": to_agent, "to_team": to_team, "needs": needs, "extra": extra}
    details["reason_by"] = reason_by
    # A grouped session is not escalated: it has no bot to fence, and grouping may still join it.
    if live and live.owner_kind == Owner.BOT and live.origin == Origin.OPENED:
        if urgent and live.priority != Priority.EMERGENCY:
            live.set_priority(Priority.EMERGENCY)
            locked.record("session.priority_set", live, priority=live.priority, rank=live.rank)
        return live, conflicts.escalate(locked, live, reason=reason, trigger=trigger, **details)
    if live:
        conflicts.supersede(locked, live)
    session = oplog.create_session(
        locked,
        kind=human_kind(TaskType.CONSULTATION, urgent=urgent),
        task=TaskType.CONSULTATION,
        status=Status.PENDING,
        reason=reason,
    )
    return session, oplog.create_transfer(
        locked, session, TransferKind.ESCALATION, reason=reason, trigger=trigger, **details
    )


def _ask_handover(locked: LockedConversation, session: ChatSession, **request: Any) -> Transfer:
    if session.owner_kind == Owner.SHOP or not locked.actor.is_agent:
        raise HumanServes(owner_name=access.visible_owner_name(locked.actor, session))
    access.must_own(locked.actor, session)
    agent = request.get("to_agent")
    if agent and agent.pk == session.agent_id:
        raise Conflict("The conversation is with this agent already.")
    waits = locked.transfer_of(session)
    if (
        waits
        and (agent or request.get("to_team"))
        and (waits.to_agent, waits.to_team) == (agent, request.get("to_team"))
    ):
        additions = {name: request[name] for name in ("reason", "reason_by", "needs", "extra")}
        repeated_request.merge(locked, session, waits, repeated_request.Request(**additions))
        return waits
    if waits:
        raise Conflict("A handover of this conversation waits for an answer; withdraw it first.", transfer_id=waits.pk)
    if agent is None and request.get("to_team") is None:
        raise Malformed("Name the team or the agent to hand over to.")
    return oplog.create_transfer(locked, session, TransferKind.HANDOVER, **request)


def _checked_needs(needs: dict[str, int] | None) -> dict[str, int]:
    try:
        return skills.checked(needs or {})
    except ValueError as error:
        raise Malformed(f"needs: {error}") from None


def _recipients(locked: LockedConversation, team_id: int | None, agent_id: int | None) -> dict[str, Any]:
    tenant_id = locked.conversation.tenant_id
    agent = None
    if agent_id is not None:
        agent = Agent.objects.filter(pk=agent_id, tenant_id=tenant_id, is_active=True).first()
        if agent is None:
            raise NotFound("There is no such agent.")
        if agent.is_drained:
            raise GetsNothingNew(f"{agent.name} gets nothing new for now; ask a team, or somebody else.")
    return {"to_agent": agent, "to_team": team_named(locked, team_id)}


def team_named(locked: LockedConversation, team_id: int | None) -> Team | None:
    if team_id is None:
        return None
    team = Team.objects.filter(pk=team_id, tenant_id=locked.conversation.tenant_id).first()
    if team is None:
        raise NotFound("There is no such team.")
    return team


@by_role
def hand_over(
    *,
    actor: Actor,
    conversation_id: int,
    to_agent_id: int | None = None,
    to_team_id: int | None = None,
    reason: str = "",
    expected_epoch: int | None = None,
) -> Outcome:
    """Ask another agent or team to take over what the actor serves; the actor serves on until it is accepted."""
    access.must_be_agent(actor)
    return request_transfer(
        actor=actor,
        conversation_id=conversation_id,
        to_agent_id=to_agent_id,
        to_team_id=to_team_id,
        reason=reason,
        trigger="handover",
        expected_epoch=expected_epoch,
    )


@verb
def accept_transfer(
    *,
    actor: Actor,
    transfer_id: int,
    override: bool = False,
    expected_epoch: int | None = None,
) -> Outcome:
    """Take what waits: an escalation, a handover, a reassignment. Accepting one's own again answers the same.

    Raises `TransferEnded`, `AlreadyTaken` with the winner's name, `NoCapacity`, `Forbidden` when it is addressed to
    somebody else.
    """
    access.must_be_agent(actor)
    with locked_conversation(actor, transfer_id=transfer_id, expected_epoch=expected_epoch) as locked:
        transfer = _pending(locked, transfer_id)
        if transfer.accepted_by_id == actor.id:
            return locked.outcome(transfer.session, transfer_id=transfer.pk, is_repeat=True)
        _must_be_pending(actor, transfer)
        _may_accept(locked, transfer)
        session = locked.session(transfer.session_id)
        locked.lock_agents(actor.id, session.agent_id)
        agent = locked.agent(actor.id)
        needed = access.must_have_room(locked, agent, override=override)
        assignment.answered(locked, agent.pk)
        live = locked.live
        if live and live is not session:
            if live.is_human_served:
                raise HumanServes(owner_name=access.owner_name(live))
            if live.owner_kind == Owner.BOT:
                locked.rule = "C1"
                conflicts.preempt(locked, live, reason="a human session begins")
                inherit(session, live, transfer)
            elif is_unclaimed(live):
                conflicts.supersede(locked, live)
            else:
                raise Conflict("Another session of this conversation waits for a human; accept that one first.")
        oplog.end_transfer(locked, transfer, TransferStatus.ACCEPTED, agent=agent, override=needed)
        session.team = transfer.to_team or session.team
        if session.status == Status.PENDING:
            oplog.transition(locked, session, Status.ACTIVE, owner=Owner.AGENT, agent=agent)
        else:
            oplog.change_owner(locked, session, Owner.AGENT, agent, transfer_id=transfer.pk)
    return locked.outcome(session, transfer_id=transfer.pk)


def _pending(locked: LockedConversation, transfer_id: int) -> Transfer:
    for transfer in locked.transfers:
        if transfer.pk == transfer_id:
            return transfer
    return Transfer.objects.select_related("accepted_by", "session").get(pk=transfer_id)


def _must_be_pending(actor: Actor, transfer: Transfer) -> None:
    if transfer.status == TransferStatus.ACCEPTED and transfer.accepted_by:
        name = transfer.accepted_by.name if actor.may(Scope.READ) else ""
        raise AlreadyTaken(f"{name or 'Somebody else'} has taken this conversation.", owner_name=name)
    if not transfer.is_pending:
        raise TransferEnded(f"This transfer has ended ({transfer.status.lower()}).", status=transfer.status)


def _may_accept(locked: LockedConversation, transfer: Transfer) -> None:
    """Only whom it is addressed or offered to; a supervisor may accept any. Raises `Forbidden`."""
    actor = locked.actor
    if actor.is_supervisor:
        return
    if transfer.to_agent_id and transfer.to_agent_id != actor.id:
        raise Forbidden("This transfer is addressed to another agent.")
    if transfer.to_team_id and not assignment.may_have(locked, transfer, actor.pk):
        raise Forbidden("This transfer is addressed to a team you are not in.")
    if transfer.offered_to_id and transfer.offered_to_id != actor.id:
        raise Forbidden("This conversation is being offered to another agent.")
    if transfer.kind == TransferKind.HANDOVER and transfer.from_id == actor.id:
        raise Forbidden("You cannot accept your own handover; withdraw it.")


@verb
def decline_transfer(*, actor: Actor, transfer_id: int, reason: str = "") -> Outcome:
    """Decline a transfer addressed to oneself: it goes back to its sender, or waits on for everybody where there is no
    sender, or the tenant wants it so. An offer goes on to the next agent.

    A transfer that waits for everybody is not one agent's to decline (`Forbidden`), nor a supervisor's if it would only
    wait on (`NoWayBack`). Raises `AlreadyTaken`, `TransferEnded`.
    """
    access.must_be_agent(actor)
    with locked_conversation(actor, transfer_id=transfer_id) as locked:
        transfer = _pending(locked, transfer_id)
        is_addressed = transfer.to_agent_id == actor.id or actor.is_supervisor
        if is_addressed and transfer.status == TransferStatus.DECLINED:
            return locked.outcome(locked.session(transfer.session_id), transfer_id=transfer.pk, is_repeat=True)
        _must_be_pending(actor, transfer)
        if transfer.offered_to_id == actor.id:
            assignment.refuse(locked, transfer, reason=reason)
            assignment.answered(locked, actor.pk)
        elif actor.id in transfer.refused_by and transfer.to_agent_id is None:
            return locked.outcome(locked.session(transfer.session_id), transfer_id=transfer.pk, is_repeat=True)
        elif is_addressed:
            if transfer.to_agent_id is None and not timers.goes_back_to_sender(
                locked, locked.session(transfer.session_id), transfer
            ):
                raise NoWayBack("It waits in the queue for everybody; nobody has to say no to it.")
            to = transfer.to_agent_id
            timers.settle_unanswered_transfer(locked, transfer, TransferStatus.DECLINED, reason=reason, declined_by=to)
        else:
            raise Forbidden("This transfer is not addressed to you.")
    return locked.outcome(locked.session(transfer.session_id), transfer_id=transfer.pk)


@verb
def withdraw_transfer(*, actor: Actor, transfer_id: int, reason: str = "") -> Outcome:
    """Withdraw one's own request: a bot its escalation, an agent the handover, a supervisor or integrator any.

    Whatever the tenant's policy for unanswered transfers is, it is really withdrawn: an escalation goes back to its
    bot, if that is there, and a human session that waits ends as CANCELLED. Raises `NoWayBack` for a reassignment,
    which has nobody to go back to, and where the customer was told that a human will answer, except for a supervisor.
    """
    with locked_conversation(actor, transfer_id=transfer_id) as locked:
        transfer = _pending(locked, transfer_id)
        is_sender = transfer.from_id == actor.id and transfer.from_kind == actor.kind
        is_allowed = is_sender or actor.is_supervisor or actor.is_system or actor.kind == ActorKind.INTEGRATOR
        if is_allowed and transfer.status == TransferStatus.WITHDRAWN:
            return locked.outcome(locked.session(transfer.session_id), transfer_id=transfer.pk, is_repeat=True)
        _must_be_pending(actor, transfer)
        if not is_allowed:
            raise Forbidden("Only the one who asked for a transfer withdraws it.")
        session = locked.session(transfer.session_id)
        _withdraw(locked, session, transfer, reason=reason)
    return locked.outcome(session, transfer_id=transfer.pk)


def _withdraw(locked: LockedConversation, session: ChatSession, transfer: Transfer, *, reason: str) -> None:
    if session.owner_kind == Owner.AGENT:  # a handover: its sender has served all along
        oplog.end_transfer(locked, transfer, TransferStatus.WITHDRAWN, reason=reason)
        return
    if not locked.actor.is_supervisor and after_hours.is_promised(transfer):
        raise NoWayBack("The customer was told that a human will answer; only a supervisor may take that back.")
    if timers.can_go_back(locked, session, transfer):
        timers.give_back(locked, session, transfer, TransferStatus.WITHDRAWN, reason=reason)
    elif session.status == Status.PENDING:
        oplog.end_transfer(locked, transfer, TransferStatus.WITHDRAWN, reason=reason)
        oplog.transition(locked, session, Status.CANCELLED, reason=reason)
    elif session.is_robot and transfer.kind == TransferKind.ESCALATION:
        raise NoWayBack("Its bot is not there to take it back: the customer waits for a human.")
    else:
        raise NoWayBack
