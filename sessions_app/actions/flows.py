"""Guided flows: an upstream program asked the customer something and, for a while, has the right to the answer."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, nullcontext, suppress
from hashlib import sha256
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from agents_app import loops
from agents_app.actors import Actor, ActorKind, system_actor
from config import clock, free_json
from config.db import lock_rows
from messaging_app import incoming
from sessions_app.core import oplog
from sessions_app.core.locked_conversation import LockedConversation, seconds
from sessions_app.errors import Conflict, FlowMoved, Forbidden, Malformed, NotFound
from sessions_app.models import GuidedFlow
from sessions_app.states import FLOW_OPEN, FlowStatus, Owner
from sessions_app.unit.unit_of_work import locked_conversation, verb

_MACHINES = (ActorKind.BOT, ActorKind.INTEGRATOR, ActorKind.SYSTEM)
LOOP = "flows"
MOST = 1000
"""Overdue flows that one call ends."""
CHANGES = ("pending_question", "missing_info", "last_candidate", "last_notification", "failed_reason")


@verb
def open_flow(
    *,
    actor: Actor,
    trigger_id: str,
    question: str,
    conversation_id: int | None = None,
    missing_info: list[str] | None = None,
) -> GuidedFlow:
    """Begin a flow, or return the one that this trigger of the same program began (`is_repeat`).

    The conversation may be bound later. Raises `Malformed`, `Forbidden`, and what `bind_flow` raises.
    """
    if actor.kind not in _MACHINES:
        raise Forbidden("Only programs run guided flows.")
    trigger_id = incoming.identifier(trigger_id, "trigger_id")
    if not question.strip():
        raise Malformed("A flow needs a question.")
    _check({"trigger_id": trigger_id, "question": question, "missing_info": missing_info or []})
    known = GuidedFlow.objects.filter(tenant_id=actor.tenant_id, client_id=actor.id, trigger_id=trigger_id)
    end_overdue(known)
    with locked_conversation(actor, conversation_id) if conversation_id is not None else nullcontext() as locked:
        if opened := known.first():
            return _repeated(opened)
        if locked:
            _must_have_the_turn(locked)
        now = locked.now if locked else clock.now()
        flow = GuidedFlow(
            tenant_id=actor.tenant_id,
            conversation_id=conversation_id,
            client_id=actor.id,
            trigger_id=trigger_id,
            pending_question=question,
            missing_info=missing_info or [],
            expires_at=now + seconds("FLOW_EXPIRY"),
        )
        try:
            with transaction.atomic():
                oplog.open_flow(locked, flow, now)
        except IntegrityError:  # the same trigger, just now, from another conversation or from none
            return _repeated(known.get())
    return flow


def _repeated(flow: GuidedFlow) -> GuidedFlow:
    flow.is_repeat = True
    return flow


def _must_have_the_turn(locked: LockedConversation) -> None:
    """A bot binds a flow only where its own session is live: a flow takes the customer's words. Raises `Conflict`."""
    actor, live = locked.actor, locked.live
    if actor.kind != ActorKind.BOT or (live and live.owner_kind == Owner.BOT and live.bot_id == actor.id):
        return
    raise Conflict("It is not this bot's turn in this conversation; a flow is bound where its session is live.")


def _check(sent: dict[str, Any]) -> None:
    """Raises `Malformed`, naming the place, for what cannot be stored."""
    try:
        for name, value in sent.items():
            free_json.check(value, name)
    except free_json.Unstorable as error:
        raise free_json.malformed(error) from None
    missing = sent.get("missing_info", [])
    if not isinstance(missing, list) or not all(isinstance(text, str) for text in missing):
        raise Malformed("missing_info is a list of texts.", errors={"missing_info": ["Send a list of texts."]})


def _flow(actor: Actor, flow_id: int) -> GuidedFlow:
    flow = GuidedFlow.objects.filter(pk=flow_id, tenant_id=actor.tenant_id).first()
    if flow is None or (actor.kind == ActorKind.BOT and flow.client_id != actor.id):
        raise NotFound("There is no such flow.")
    return flow


def end_overdue(rows: QuerySet[GuidedFlow]) -> int:
    """End the flows in `rows` whose lease or time is over, before they are read. Returns how many.

    A flow of a conversation ends with its other timers, under the conversation's lock; any other under its own row's.
    """
    overdue = _overdue(rows).order_by("pk").values_list("pk", "tenant_id", "conversation_id")[:MOST]
    return sum(_end(*row) for row in list(overdue))


def end_overdue_unbound() -> int:
    """For the clock: end overdue flows without a conversation, which no sweep finds. Returns how many."""
    overdue = _overdue(GuidedFlow.objects.filter(conversation=None)).filter(loops.not_put_off(LOOP, "pk"))
    rows = overdue.order_by("pk").values_list("tenant_id", "pk")[:MOST]
    return sum(loops.each(LOOP, list(rows), lambda tenant_id, flow_id: _end(flow_id, tenant_id, None)))


def _overdue(rows: QuerySet[GuidedFlow]) -> QuerySet[GuidedFlow]:
    now = clock.now()
    return rows.filter(Q(expires_at__lte=now) | Q(lease_until__lte=now), status__in=sorted(FLOW_OPEN))


def _end(flow_id: int, tenant_id: int, conversation_id: int | None) -> bool:
    if conversation_id:
        with locked_conversation(system_actor(tenant_id), conversation_id):
            return True
    with suppress(FlowMoved), transaction.atomic():  # somebody else was faster
        flow = lock_rows(_overdue(GuidedFlow.objects.filter(pk=flow_id, conversation=None))).first()
        if flow is None:
            return False
        now = clock.now()
        if flow.lease_until and flow.lease_until <= now:
            oplog.move_flow(None, flow, FlowStatus.FAILED, now, failed_reason="the rerun's lease ran out")
        else:
            oplog.move_flow(None, flow, FlowStatus.EXPIRED, now)
        return True
    return False


def _apply_due(flow: GuidedFlow) -> None:
    """End the flow if it is overdue, before the verb's own transaction: it stays ended when the verb is refused."""
    end_overdue(GuidedFlow.objects.filter(pk=flow.pk))


@verb
def bind_flow(*, actor: Actor, flow_id: int, conversation_id: int) -> GuidedFlow:
    """Tie a flow to its conversation, once; from then on a blocking flow gets the customer's words.

    A flow that is bound to it already is returned with `is_repeat`. Raises `Conflict` for another conversation, and
    where the live session is not the bot's; `NotFound` where the bot has had no session at all.
    """
    _apply_due(_flow(actor, flow_id))
    with locked_conversation(actor, conversation_id) as locked:
        flow = _flow(actor, flow_id)
        if flow.conversation_id == conversation_id:
            return _repeated(flow)
        _must_have_the_turn(locked)
        if flow.conversation_id is not None:
            raise Conflict("This flow is bound to another conversation.")
        unbound = GuidedFlow.objects.filter(pk=flow.pk, conversation=None, version=flow.version)
        if not unbound.update(conversation_id=conversation_id):  # an unbound flow moves without this lock
            raise FlowMoved(version=flow.version, status=flow.status)
        flow.conversation_id = conversation_id
        locked.place(flow)
        locked.record(
            "flow.bound",
            locked.live,
            flow_id=flow.pk,
            status=flow.status,
            expires_at=flow.expires_at.isoformat(),
            lease_until=flow.lease_until.isoformat() if flow.lease_until else None,
        )
    return flow


@verb
def move_flow(*, actor: Actor, flow_id: int, to: str, version: int, **changes: Any) -> GuidedFlow:
    """Move a flow, if it is still at `version`. A move to `rerunning` has a lease; blocking states expire.

    `changes` may set any of `CHANGES`. When a program sends its last move again, the flow is returned with `is_repeat`,
    whatever has moved it since. Raises `FlowMoved` with the present version,
    `IllegalTransition`, `Malformed`.
    """
    if to not in set(FlowStatus):
        raise Malformed(f"Unknown flow status {to!r}; use one of {', '.join(FlowStatus)}.")
    if unknown := set(changes) - set(CHANGES):
        raise Malformed(f"A flow has no {', '.join(sorted(unknown))}; it has {', '.join(CHANGES)}.")
    _check(changes)
    flow = _flow(actor, flow_id)
    _apply_due(flow)
    move = _digest(actor, to, version, changes)
    with _held(actor, flow) as locked:
        flow = _flow(actor, flow_id)
        if flow.last_move == move:
            return _repeated(flow)
        _must_be_at(flow, version, locked)
        oplog.move_flow(locked, flow, FlowStatus(to), locked.now if locked else clock.now(), last_move=move, **changes)
    return flow


@verb
def renew_flow(*, actor: Actor, flow_id: int, version: int) -> GuidedFlow:
    """Renew the whole lease of a rerun, for the program whose flow it is; never beyond the flow's expiry.

    It is no move: the version stays, so that a repeat only renews again. Raises `Forbidden`, `FlowMoved`,
    `IllegalTransition`.
    """
    flow = _flow(actor, flow_id)
    if flow.client_id != actor.id and not actor.is_system:
        raise Forbidden("Only the program whose flow it is renews its lease.")
    _apply_due(flow)
    with _held(actor, flow) as locked:
        flow = _flow(actor, flow_id)
        _must_be_at(flow, version, locked)
        oplog.renew_lease(locked, flow, locked.now if locked else clock.now())
    return flow


def _held(actor: Actor, flow: GuidedFlow) -> AbstractContextManager[LockedConversation | None]:
    """The conversation's lock. A flow without a conversation has none: it is written by compare-and-set alone."""
    if flow.conversation_id:
        return locked_conversation(actor, flow.conversation_id, known_only=False)
    return transaction.atomic()


def _must_be_at(flow: GuidedFlow, version: int, locked: LockedConversation | None) -> None:
    if flow.version != version or (flow.conversation_id and locked is None):  # moved, or bound since it was looked up
        raise FlowMoved(version=flow.version, status=flow.status)


def _digest(actor: Actor, to: str, version: int, changes: dict[str, Any]) -> str:
    """Identifies a requested move: from one version there is one move, so that only its repeat has the same digest."""
    request = [actor.kind, actor.id, to, version, changes]
    return sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
