"""Moves a conversation at once, without asking its next owner: taken over, grabbed, released, put back in the queue."""

from __future__ import annotations

from typing import Any

from agents_app import presence
from agents_app.actors import Actor, ActorKind
from agents_app.models import Team
from messaging_app.models import Operation
from sessions_app.actions import lifecycle
from sessions_app.actions.transfers import team_named
from sessions_app.core import oplog
from sessions_app.core.earlier_requests import earlier_requests
from sessions_app.core.locked_conversation import LockedConversation, Outcome
from sessions_app.errors import Conflict, Malformed, NoBot, NotServing
from sessions_app.models import ChatSession, Transfer
from sessions_app.rights import access
from sessions_app.states import Owner, Status, TransferKind, TransferStatus
from sessions_app.unit.unit_of_work import locked_conversation, verb


@verb
def take_over(
    *, actor: Actor, conversation_id: int, reason: str = "", override: bool = False, expected_epoch: int | None = None
) -> Outcome:
    """Take a conversation from the bot. Raises `AlreadyTaken` when a human has it, `NotServing`, `NoCapacity`."""
    access.must_be_agent(actor)
    with locked_conversation(actor, conversation_id, expected_epoch=expected_epoch) as locked:
        live = locked.live
        if live and access.owns(actor, live):
            return locked.outcome(live, is_repeat=True)
        if live and live.is_human_served:
            raise access.lost_to(live)
        if live is None or live.owner_kind != Owner.BOT:
            raise NotServing("No bot is speaking in this conversation; accept what waits, or open a session.")
        locked.lock_agents(actor.id)
        agent = locked.agent(actor.id)
        needed = access.must_have_room(locked, agent, override=override)
        transfer = oplog.record_transfer(
            locked, live, TransferKind.TAKEOVER, reason=reason, agent=agent, override=needed
        )
        oplog.transition(locked, live, Status.TRANSFERRED, reason=reason, owner=Owner.AGENT, agent=agent)
    return locked.outcome(live, transfer_id=transfer.pk)


@verb
def grab(
    *, actor: Actor, conversation_id: int, reason: str, override: bool = False, expected_epoch: int | None = None
) -> Outcome:
    """Take a conversation from the human who serves it, with a reason.

    Raises `Malformed` without a reason, `NotServing`, `Conflict` for one's own, `NoCapacity`, `StaleEpoch`.
    """
    access.must_be_agent(actor)
    if not reason.strip():
        raise Malformed("Say why you take this conversation from a colleague.")
    with locked_conversation(actor, conversation_id, expected_epoch=expected_epoch) as locked:
        live = locked.live
        if live is None or not live.is_human_served:
            number = None if live and live.owner_kind == Owner.BOT else (3011 if locked.sessions else 3002)
            raise NotServing("Nobody is serving this conversation; accept it, or take it over.", legacy_code=number)
        if access.owns(actor, live):
            raise Conflict("You are serving this conversation already.", legacy_code=3012)
        locked.lock_agents(actor.id, live.agent_id)
        agent = locked.agent(actor.id)
        needed = access.must_have_room(locked, agent, override=override)
        if waits := locked.transfer_of(live):
            oplog.end_transfer(locked, waits, TransferStatus.WITHDRAWN, reason=f"grabbed by {agent.name}")
        transfer = oplog.record_transfer(locked, live, TransferKind.GRAB, reason=reason, agent=agent, override=needed)
        oplog.change_owner(locked, live, Owner.AGENT, agent, transfer_id=transfer.pk)
    return locked.outcome(live, transfer_id=transfer.pk)


@verb
def release_to_bot(
    *,
    actor: Actor,
    conversation_id: int,
    summary: str = "",
    force: bool = False,
    expected_epoch: int | None = None,
) -> Outcome:
    """Give the conversation back to its bot, with what the bot missed and the human's `summary`.

    A manual session ends, and the robot session that waited resumes. Raises `NoBot` when no bot can take it; with
    `force` it is returned, or the manual session ended, all the same.
    """
    with locked_conversation(actor, conversation_id, expected_epoch=expected_epoch) as locked:
        live = locked.live
        if _released_already(locked):
            return locked.outcome(live, is_repeat=True)
        if live and live.owner_kind == Owner.SHOP:
            access.must_be_agent(actor)
        else:
            access.must_own(actor, live)
        assert live is not None
        if not force and not _bot_can_take(locked, live):
            raise NoBot
        if waits := locked.transfer_of(live):
            oplog.end_transfer(locked, waits, TransferStatus.WITHDRAWN, reason="released to the bot")
        transfer = oplog.record_transfer(locked, live, TransferKind.RETURN, reason=summary)
        if live.is_robot:
            live.failed_answers = 0
            oplog.transition(
                locked, live, Status.ACTIVE, reason=summary, owner=Owner.BOT, missed_from_seq=_relieved_at(live)
            )
        else:
            lifecycle.complete(locked, live, outcome="success", reason=summary)
    return locked.outcome(locked.live or live, transfer_id=transfer.pk)


def _released_already(locked: LockedConversation) -> bool:
    """Whether the last move of the conversation was the actor's own release, and no human has had it since."""
    if locked.live and locked.live.owner_kind != Owner.BOT:
        return False
    last = Transfer.objects.filter(conversation=locked.conversation).order_by("-pk").first()
    by = (last.kind, last.from_kind, last.from_id) if last else None
    return by == (TransferKind.RETURN, locked.actor.kind, locked.actor.id)


def _bot_can_take(locked: LockedConversation, live: ChatSession) -> bool:
    session = live if live.is_robot else next((s for s in locked.waiting if s.is_robot), None)
    return bool(session and session.bot and presence.is_alive(session.bot, locked.now))


def _relieved_at(session: ChatSession) -> int:
    """The `seq` of the operation by which the bot last lost its turn: what it missed comes after."""
    lost = Operation.objects.filter(session_id=session.pk, type="session.transferred").order_by("-id")
    return lost.values_list("seq", flat=True).first() or 0


@verb
def reassign(
    *,
    actor: Actor,
    conversation_id: int,
    reason: str,
    to_team_id: int | None = None,
    from_agent_id: int | None = None,
) -> Outcome:
    """Take a conversation from an absent agent and put it in the queue (C5). It stays live; nothing said is lost.

    With `from_agent_id` only if that agent still has it. Raises `NotServing`, `Forbidden`.
    """
    access.must_be_supervisor(actor)
    with locked_conversation(actor, conversation_id) as locked:
        locked.rule = "C5"
        live = locked.live
        waits = locked.transfer_of(live) if live and live.owner_kind == Owner.NOBODY else None
        if waits and waits.kind == TransferKind.REASSIGNMENT and from_agent_id is None:
            return locked.outcome(live, transfer_id=waits.pk, is_repeat=True)
        if live is None or live.owner_kind != Owner.AGENT or from_agent_id not in (None, live.agent_id):
            raise NotServing
        to_team = team_named(locked, to_team_id)
        why: dict[str, Any] = {"reason": reason, "reason_by": actor.kind, "trigger": "absence"}
        transfer = move_on(locked, live, to_team=to_team, is_put_back=not actor.is_system, **why)
    return locked.outcome(live, transfer_id=transfer.pk)


def move_on(
    locked: LockedConversation,
    session: ChatSession,
    *,
    reason: str,
    trigger: str,
    reason_by: str = ActorKind.SYSTEM,
    to_team: Team | None = None,
    is_put_back: bool = False,
) -> Transfer:
    """C5: request an absent agent's session again. It stays live, without an owner.

    The addressee of the agent's own pending handover is kept, unless a team is named, or somebody puts the session back
    in the queue by hand (`is_put_back`). The skills and reasons of earlier requests are kept (`earlier_requests`).
    """
    waits = locked.transfer_of(session)
    is_handed_on = waits is not None and to_team is None and not is_put_back
    before = earlier_requests(session, handover=waits if is_handed_on else None)
    if waits:
        oplog.end_transfer(locked, waits, TransferStatus.WITHDRAWN, reason=reason)
    to: dict[str, Any] = (
        {"to_team": before.to_team, "to_agent": before.to_agent} if is_handed_on else {"to_team": to_team}
    )
    why: dict[str, Any] = {"reason": reason, "reason_by": reason_by, "trigger": trigger, "reasons": before.reasons}
    transfer = oplog.create_transfer(locked, session, TransferKind.REASSIGNMENT, needs=before.needs, **to, **why)
    oplog.change_owner(locked, session, Owner.NOBODY, transfer_id=transfer.pk)
    return transfer
