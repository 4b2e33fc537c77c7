"""Opening, pausing, resuming and ending sessions. Who yields when one opens or resumes is decided in `conflicts`."""

from __future__ import annotations

from typing import Any, Literal

from agents_app.actors import Actor, ActorKind
from agents_app.models import Agent, ApiClient
from config import statements
from config.errors import Malformed
from config.free_json import checked_object
from messaging_app import incoming
from messaging_app.models import Conversation
from sessions_app.actions import conflicts, repeated_request
from sessions_app.actions.conflicts import ConflictDecision, resolve_conflict
from sessions_app.core import oplog
from sessions_app.core.context_package import inherit
from sessions_app.core.locked_conversation import ConversationKey, LockedConversation, Outcome
from sessions_app.errors import Conflict, Forbidden, HumanServes, IllegalTransition, LiveSessionExists, NotFound
from sessions_app.models import ChatSession
from sessions_app.promises import unanswered
from sessions_app.rights import access
from sessions_app.states import (
    OPEN,
    PRIORITY,
    TERMINAL,
    Kind,
    Override,
    Owner,
    Priority,
    Status,
    TaskType,
    TransferKind,
    human_kind,
    rank,
    robot_kind,
)
from sessions_app.unit.settle import resume, settle
from sessions_app.unit.unit_of_work import locked_conversation, verb

OnConflict = Literal["wait", "fail"]


@verb
def open_session(
    *,
    actor: Actor,
    robot: bool,
    conversation_id: int | None = None,
    shop_id: str = "",
    account_id: str = "",
    platform: str = "default",
    kind: str | None = None,
    task: str = TaskType.CONSULTATION,
    priority: int | None = None,
    on_conflict: OnConflict = "wait",
    urgent: bool = False,
    bot_id: int | None = None,
    previous_id: int | None = None,
    reason: str = "",
    context: dict[str, Any] | None = None,
) -> Outcome:
    """Open a robot or human session under the conflict rules; the answer names the rule that decided.

    The conversation is named by its id, or by its key, and created if it is new and the session opens.
    An agent's human session is the agent's at once; anybody else's waits in the queue. `on_conflict="fail"` turns
    'waits' into `LiveSessionExists`. A human session asked for while a robot is live escalates that robot (C6). A
    customer who has asked for a human already gets the session that a human serves, or that waits for one.
    A bot that has an open session of this type here already gets that one, unchanged.
    Raises `Malformed`, `Forbidden`, `HumanServes` (C7), `LiveSessionExists`, `NoCapacity`.
    """
    session_kind, task_type, own_priority = _checked(robot, kind, task, priority, urgent)
    context = checked_object(context, "context")
    access.may_open(actor, robot=robot)
    key = None if conversation_id is not None else ConversationKey.of(platform, shop_id, account_id)
    with locked_conversation(actor, conversation_id, key=key, known_only=False, makes=ChatSession) as locked:
        if actor.kind == ActorKind.CUSTOMER and (earlier := _human_session(locked)):
            waits = locked.transfer_of(earlier) if earlier.owner_kind == Owner.NOBODY else None
            if waits:
                repeated_request.merge(
                    locked, earlier, waits, repeated_request.Request(reason=reason, reason_by=actor.kind)
                )
            return locked.outcome(earlier, transfer_id=waits.pk if waits else None)
        bot = _bot(locked, bot_id) if robot else None
        if bot and (own := _open_already(locked, bot, session_kind, on_conflict)):
            return locked.outcome(own, is_repeat=True)
        if previous_id is not None:
            previous = locked.session(previous_id)
            if actor.kind == ActorKind.BOT and previous.bot_id != actor.id:
                raise NotFound("There is no such session.")
            if previous.status not in TERMINAL:
                raise Conflict("Only an ended session can be reopened.", session_id=previous.pk)
        session_rank = rank(session_kind, own_priority or PRIORITY[session_kind])
        decision = resolve_conflict(locked.live, locked.waiting, session_kind, session_rank, by_agent=actor.is_agent)
        locked.rule = decision.rule
        if decision.refuse:
            raise conflicts.refusal(locked, HumanServes)
        if robot and decision.status == Status.PENDING and on_conflict == "fail":
            raise conflicts.refusal(locked, LiveSessionExists)
        if decision.escalate and locked.live:
            if on_conflict == "fail":
                raise conflicts.refusal(locked, LiveSessionExists)
            session = locked.live
            conflicts.escalate(locked, session, reason=reason, reason_by=actor.kind, trigger=_trigger(actor))
        else:
            session = _open(
                locked,
                decision,
                session_kind,
                task_type,
                own_priority,
                bot,
                previous_id=previous_id,
                reason=reason,
                context=context,
            )
    return locked.outcome(session)


def _open(
    locked: LockedConversation,
    decision: ConflictDecision,
    kind: Kind,
    task: TaskType,
    priority: Priority | None,
    bot: ApiClient | None,
    *,
    previous_id: int | None,
    reason: str,
    context: dict[str, Any] | None,
) -> ChatSession:
    agent: Agent | None = None
    override = Override.NONE
    if locked.actor.is_agent and not kind.is_robot:
        locked.lock_agents(locked.actor.id)
        agent = locked.agent(locked.actor.id)
        override = access.must_have_room(locked, agent, override=kind == Kind.MANUAL_URGENT)
    live = locked.live
    if live and decision.preempt:
        conflicts.preempt(locked, live, reason=reason or f"yields to {kind}")
    elif live and decision.rule == "C0":
        conflicts.supersede(locked, live)
    assert decision.status is not None
    session = oplog.create_session(
        locked,
        kind=kind,
        task=task,
        status=decision.status,
        priority=priority,
        bot=bot,
        agent=agent,
        previous_id=previous_id,
        reason=reason,
        context=context,
    )
    if agent:
        oplog.record_transfer(locked, session, TransferKind.TAKEOVER, reason=reason, agent=agent, override=override)
    elif not kind.is_robot:
        oplog.create_transfer(
            locked,
            session,
            TransferKind.ESCALATION,
            reason=reason,
            reason_by=locked.actor.kind,
            trigger=_trigger(locked.actor),
        )
    return session


def _trigger(actor: Actor) -> str:
    return "customer" if actor.kind == ActorKind.CUSTOMER else "session asked for"


def _human_session(locked: LockedConversation) -> ChatSession | None:
    """The session that a human serves, or that waits for one; None where nobody has asked for a human."""
    if locked.live and locked.live.is_human_served:
        return locked.live
    return next((s for s in (locked.live, *locked.waiting) if s and locked.transfer_of(s)), None)


def _checked(
    robot: bool, kind: str | None, task: str, priority: int | None, urgent: bool
) -> tuple[Kind, TaskType, Priority | None]:
    try:
        task_type = TaskType(task)
    except ValueError:
        raise Malformed(f"Unknown task {task!r}; use one of {', '.join(TaskType)}.") from None
    try:
        session_kind = (
            Kind(kind) if kind else (robot_kind(task_type) if robot else human_kind(task_type, urgent=urgent))
        )
    except ValueError:
        raise Malformed(f"Unknown session type {kind!r}; use one of {', '.join(Kind)}.") from None
    if session_kind.is_robot != robot:
        raise Malformed(f"{session_kind} is no type of a {'robot' if robot else 'human'} session.")
    try:
        return session_kind, task_type, Priority(priority) if priority is not None else None
    except ValueError:
        raise Malformed(f"Unknown priority {priority!r}; use 1 (emergency) to 4 (low).") from None


def _bot(locked: LockedConversation, bot_id: int | None) -> ApiClient:
    """The bot that will work the session: the caller itself, or the one an integrator names."""
    if locked.actor.kind == ActorKind.BOT:
        if bot_id not in (None, locked.actor.id):
            raise Forbidden("A bot opens sessions as itself.", field="bot_id")
        bot_id = locked.actor.id
    if bot_id is None:
        raise Malformed("Name the bot that will work this session (bot_id).")
    return locked.bot(bot_id)


def _open_already(
    locked: LockedConversation, bot: ApiClient, kind: Kind, on_conflict: OnConflict
) -> ChatSession | None:
    """The bot's own open session of this type, which a repeat gets. None if it waits and `on_conflict` is `fail`."""
    own = next((s for s in locked.sessions if s.is_robot and s.bot_id == bot.pk and s.kind == kind), None)
    waits = own is not None and own.status in (Status.PENDING, Status.PAUSED)
    return None if waits and on_conflict == "fail" else own


def _must_be_open(session: ChatSession) -> None:
    if session.status not in OPEN:
        raise IllegalTransition(f"The session has ended ({session.status}).", status=session.status)


@verb
def activate_session(*, actor: Actor, session_id: int) -> Outcome:
    """Make a PENDING robot session ACTIVE if it is its turn; otherwise it goes on waiting, and the answer says so.

    Activating what is ACTIVE already answers the same. Raises `IllegalTransition` for a session that is neither.
    """
    with locked_conversation(actor, session_id=session_id) as locked:
        session = locked.session(session_id)
        access.may_drive(actor, session)
        if session.status == Status.ACTIVE:
            return locked.outcome(session, is_repeat=True)
        if session.status != Status.PENDING:
            raise IllegalTransition(f"Only a PENDING session is activated; this one is {session.status}.")
        settle(locked)
        locked.rule = "C0" if session.status == Status.ACTIVE else "C2"
    return locked.outcome(session)


@verb
def pause_session(*, actor: Actor, session_id: int, reason: str = "", expected_epoch: int | None = None) -> Outcome:
    """Pause an ACTIVE session until `resume_session`; whoever waits becomes live meanwhile. Harmless to repeat.

    Raises `Forbidden`, and `IllegalTransition` in another status, and for a bot whose preempted session waits for a
    human: on hold, nobody would see any more that a human was asked for.
    """
    with locked_conversation(actor, session_id=session_id, expected_epoch=expected_epoch) as locked:
        session = locked.session(session_id)
        access.may_drive(actor, session)
        if session.status != Status.PAUSED:
            _must_be_open(session)
            if session.status != Status.ACTIVE:  # TRANSFERRED is paused by MANUAL_URGENT only
                raise IllegalTransition(f"Only an ACTIVE session can be paused; this one is {session.status}.")
            session.on_hold = True
            oplog.transition(locked, session, Status.PAUSED, reason=reason, preempted=False)
        elif not session.on_hold:  # preempted: from now on it does not resume by itself
            _must_not_wait_for_a_human(locked, session)
            hold(locked, session, True)
    return locked.outcome(session)


def hold(locked: LockedConversation, session: ChatSession, is_held: bool) -> None:
    """Set whether a paused session waits for `resume_session` or only for its turn, on record."""
    session.on_hold = is_held
    statements.update(session, "on_hold")
    if is_held:
        locked.record("session.held", session)
    else:
        locked.record("session.hold_ended", session)


@verb
def resume_session(*, actor: Actor, session_id: int) -> Outcome:
    """Ask for the turn back. It is given at once if it is free, or held by a robot of lesser rank (C3).

    A human comes back over any robot (C1). Otherwise the session waits for its turn, and the answer's status is still
    PAUSED. Resuming what is live already answers the same.
    """
    with locked_conversation(actor, session_id=session_id) as locked:
        session = locked.session(session_id)
        access.may_drive(actor, session)
        if session.is_live:
            return locked.outcome(session, is_repeat=True)
        if session.status != Status.PAUSED:
            _must_be_open(session)
            raise IllegalTransition(f"Only a PAUSED session resumes; this one is {session.status}.")
        if session.on_hold:
            hold(locked, session, False)
        live = locked.live
        if live and live.owner_kind == Owner.BOT and (not session.is_robot or session.rank < live.rank):
            locked.rule = "C3" if session.is_robot else "C1"
            conflicts.preempt(locked, live, reason="yields to a session that resumes")
            if not session.is_robot:
                inherit(session, live)
        if locked.live is None and (not session.is_robot or locked.waiting[0] is session):
            locked.rule = locked.rule or ("" if session.is_robot else "C1")
            resume(locked, session)
    return locked.outcome(session)


OUTCOMES = ("success", "failed", "needs_human")
_NOT_ITS_TURN = "Only the bot whose turn it is asks for a human by this; a human serves already, or the session waits."
_WAITS_FOR_A_HUMAN = (
    "A human was asked for here, and the session waits for one: it is not this bot's to end or to hold."
)


@verb
def complete_session(
    *,
    actor: Actor,
    session_id: int,
    outcome: str = "success",
    reason: str = "",
    expected_epoch: int | None = None,
) -> Outcome:
    """End a live session. `needs_human` escalates a bot's instead (C6); what waits already waits on.

    The same outcome again answers as the first time. Raises `Malformed`, `Forbidden`, and `IllegalTransition` also for
    another outcome than the session ended with, for `needs_human` where it cannot be asked for any more, and for a bot
    whose session waits for a human.
    """
    if outcome not in OUTCOMES:
        raise Malformed(f"Unknown outcome {outcome!r}; use one of {', '.join(OUTCOMES)}.")
    with locked_conversation(actor, session_id=session_id, expected_epoch=expected_epoch) as locked:
        session = locked.session(session_id)
        access.may_drive(actor, session)
        if session.status == Status.COMPLETED and session.outcome == outcome:
            return locked.outcome(session, is_repeat=True)
        if session.status in TERMINAL:
            ending = f"{session.status}, {session.outcome}" if session.outcome else session.status
            raise IllegalTransition(
                f"The session has ended ({ending}).", status=session.status, outcome=session.outcome
            )
        if outcome == "needs_human" and (waits := locked.transfer_of(session)) and session.owner_kind == Owner.NOBODY:
            locked.rule = "C6"
            repeated_request.merge(
                locked, session, waits, repeated_request.Request(reason=reason, reason_by=actor.kind)
            )
            return locked.outcome(session, transfer_id=waits.pk)
        if outcome == "needs_human":
            if session.owner_kind != Owner.BOT or session.status != Status.ACTIVE:
                raise IllegalTransition(_NOT_ITS_TURN, status=session.status, owner_kind=session.owner_kind)
            conflicts.escalate(locked, session, reason=reason, reason_by=actor.kind, trigger="bot")
        else:
            _must_not_wait_for_a_human(locked, session)
            read = session.is_human_served and unanswered.is_read(locked)
            complete(locked, session, outcome=outcome, reason=reason, set_aside=read)
    return locked.outcome(session)


def complete(
    locked: LockedConversation, session: ChatSession, *, outcome: str, reason: str, set_aside: bool = False
) -> None:
    """Complete a session under the lock. `set_aside`: the customer's last message needs no answer."""
    session.outcome = outcome
    data: dict[str, Any] = {"set_aside": True} if set_aside else {}
    oplog.transition(locked, session, Status.COMPLETED, reason=reason, outcome=outcome, **data)


@verb
def cancel_session(*, actor: Actor, session_id: int, reason: str = "") -> Outcome:
    """Give up a session in any open status. Repeating it answers as the first time. Raises `Forbidden`, and
    `IllegalTransition` for one that has ended otherwise, and for a bot whose session waits for a human."""
    with locked_conversation(actor, session_id=session_id) as locked:
        session = locked.session(session_id)
        access.may_drive(actor, session)
        if session.status == Status.CANCELLED:
            return locked.outcome(session, is_repeat=True)
        _must_not_wait_for_a_human(locked, session)
        oplog.transition(locked, session, Status.CANCELLED, reason=reason)
    return locked.outcome(session)


def _must_not_wait_for_a_human(locked: LockedConversation, session: ChatSession) -> None:
    """No bot ends or holds a session in which a human was asked for. Raises `IllegalTransition`."""
    status = session.paused_from if session.status == Status.PAUSED else session.status
    if locked.actor.kind == ActorKind.BOT and status == Status.TRANSFERRED:
        raise IllegalTransition(_WAITS_FOR_A_HUMAN, status=session.status, owner_kind=session.owner_kind)


@verb
def expire_due(*, actor: Actor, conversation_id: int) -> Outcome:
    """Apply what is due on a conversation, for the sweeper; every other verb does so before its own work."""
    with locked_conversation(actor, conversation_id) as locked:
        pass
    return locked.outcome()


@verb
def set_priority(*, actor: Actor, session_id: int, priority: int) -> Outcome:
    """Raise or lower one session's priority; its rank follows the priority first and the type second.

    Raises `Malformed`, `Forbidden`, `IllegalTransition` for a session that has ended.
    """
    _, _, new_priority = _checked(True, None, TaskType.CONSULTATION, priority, False)
    with locked_conversation(actor, session_id=session_id) as locked:
        session = locked.session(session_id)
        access.may_drive(actor, session)
        _must_be_open(session)
        before = session.rank
        session.set_priority(new_priority)
        if session.rank == before:
            return locked.outcome(session, is_repeat=True)
        statements.update(session, "priority", "rank")
        locked.record("session.priority_set", session, priority=session.priority, rank=session.rank)
    return locked.outcome(session)


def conversation_for(
    *, actor: Actor, shop_id: str, account_id: str, platform: str = "default", customer_name: str = ""
) -> Conversation:
    """Find or create the conversation between an account and a shop. Raises `Malformed` for an invalid key.

    A verb names it by its `ConversationKey` instead, so that a refused verb creates none. An actor bound to one
    conversation creates none, and finds no other: `NotFound`.
    """
    platform, shop_id, account_id = incoming.conversation_key(platform, shop_id, account_id)
    if actor.conversation_id is not None:
        own = Conversation.objects.filter(pk=actor.conversation_id, tenant_id=actor.tenant_id)
        bound = own.filter(platform=platform, shop_id=shop_id, account_id=account_id).first()
        if bound is None:
            raise NotFound("There is no such conversation.")
        return bound
    conversation, _ = Conversation.objects.get_or_create(
        tenant_id=actor.tenant_id,
        platform=platform,
        shop_id=shop_id,
        account_id=account_id,
        defaults={"customer_name": incoming.person_name(customer_name)},
    )
    return conversation
