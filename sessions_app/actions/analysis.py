"""Has the analyser examine customers' messages: after the commit, on a thread. A verb of its own applies the result.

Nothing waits for an analysis, and none is retried: one that is lost with its process, or finds no room or budget, costs
what the analyser would have seen in that one message. The rules have been applied by then, and the next message is
examined anew.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import partial

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from agents_app.actors import Actor, system_actor
from config.errors import DomainError
from config.threads import Threads
from messaging_app.detection import Need, analyser_for
from messaging_app.detection.rules import ESCALATE
from messaging_app.models import Controller, Message, Operation
from sessions_app.actions.messages import act_on
from sessions_app.core import oplog
from sessions_app.core.locked_conversation import LockedConversation, Outcome
from sessions_app.states import Owner
from sessions_app.unit.settle import controller_of
from sessions_app.unit.unit_of_work import locked_conversation, verb

log = logging.getLogger(__name__)

STILL_COUNTS = timedelta(minutes=1)
"""How long a message can still raise a need after the customer has written another one."""

_threads = Threads("analyser", threads=4, room=40)


def ask_later(locked: LockedConversation, message: Message) -> None:
    """Have a customer's message examined once it is committed, if the installation has an analyser."""
    if settings.ANALYSER_URL and message.content.strip():
        conversation = locked.conversation
        work = partial(examine, conversation.tenant_id, conversation.pk, message.seq, message.content)
        transaction.on_commit(partial(_hand_over, (conversation.pk, message.seq), work), robust=True)


def _hand_over(key: tuple[int, int], work: partial[None]) -> None:
    if not _threads.take(key, work):
        log.warning("analyser: no room for operation %s of conversation %s; the rules' answer stands", key[1], key[0])


def examine(tenant_id: int, conversation_id: int, seq: int, text: str) -> None:
    """Have the tenant's analyser examine a customer's message, and act on the need it detects. A refusal is logged."""
    analyser = analyser_for(tenant_id)
    need = analyser.customer_said(text, is_vip=False) if analyser else None
    if need is None:
        return
    try:
        act_on_analysis(actor=system_actor(tenant_id), conversation_id=conversation_id, seq=seq, need=need)
    except DomainError as error:
        log.warning("analyser: what was found in conversation %s could not be acted on: %s", conversation_id, error)


@verb
def act_on_analysis(*, actor: Actor, conversation_id: int, seq: int, need: Need) -> Outcome:
    """Flag or escalate the conversation for the need that the analyser detected in the customer's message `seq`.

    Does nothing where the message no longer counts: the outcome's detail `passed_over` says why.
    """
    with locked_conversation(actor, conversation_id) as locked:
        passed_over = _passed_over(locked, seq, need)
        if not passed_over:
            act_on(locked, need.as_dict())
    return locked.outcome(locked.live, detail={"passed_over": passed_over} if passed_over else {})


def _passed_over(locked: LockedConversation, seq: int, need: Need) -> str:
    """Why the message calls for no human any more; empty when it still does."""
    if controller_of(locked) in (Controller.HUMAN, Controller.QUEUE):
        return "a human has it, or will"
    since = Operation.objects.filter(conversation=locked.conversation, seq__gt=seq)
    served = Q(data__owner_kind=Owner.AGENT.value) | Q(data__owner_kind=Owner.SHOP.value)
    by_itself = Q(data__reason__in=(oplog.TAKEN_UP, oplog.ANSWERED))
    if since.filter(served | (Q(type="attention.cleared") & ~by_itself)).exists():
        return "a human has seen it since"
    operation = Operation.objects.get(conversation=locked.conversation, seq=seq)
    later_messages = since.filter(type="message.created", data__sender_type=Message.Sender.CUSTOMER.value)
    if locked.now - operation.at > STILL_COUNTS and later_messages.exists():
        return "the customer has gone on since"
    if locked.conversation.needs_human and need.effect != ESCALATE:
        return "it is flagged already"
    return ""
