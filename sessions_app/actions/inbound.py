"""The customer's next message: stored, routed, examined and recorded in one transaction.

It fails closed: if the decision cannot be made, the transaction is undone and the caller gets an error; no bot speaks.
"""

from __future__ import annotations

from agents_app import presence
from agents_app.actors import Actor, ActorKind
from messaging_app import stream, thread
from messaging_app.detection import Detector, detector_for
from messaging_app.detection.rules import ESCALATE
from messaging_app.incoming import person_name
from messaging_app.models import Controller, Message
from messaging_app.thread import NewMessage
from sessions_app.actions import analysis, late_messages, transfers
from sessions_app.actions.messages import act_on, append_message, keep_answer, replayed_outcome
from sessions_app.core import oplog
from sessions_app.core.locked_conversation import ConversationKey, LockedConversation, Outcome
from sessions_app.models import ChatSession
from sessions_app.queries.expected_wait import waiting
from sessions_app.rights import access
from sessions_app.states import FlowStatus, Origin, Owner
from sessions_app.unit.settle import controller_of
from sessions_app.unit.unit_of_work import locked_conversation, verb


@verb
def receive_message(
    *,
    actor: Actor,
    words: NewMessage,
    conversation_id: int | None = None,
    shop_id: str = "",
    account_id: str = "",
    platform: str = "default",
    customer_name: str = "",
) -> Outcome:
    """Store and route a customer's message. The outcome says who gets it (controller, session, epoch, queue position).

    The conversation is named by its id, or by its key, and created if it is new and the message is stored. Empty text
    while a guided flow waits repeats the flow's question. A message id sent again answers as the first time. A message
    that comes later than `LATE_MESSAGE` after it was sent is history, which nobody has to answer. Raises `Malformed`,
    `MessageIdTaken`.
    """
    access.may_deliver(actor)
    customer_name = customer_name or (actor.name if actor.kind == ActorKind.CUSTOMER else "")
    words = thread.normalized(words)
    detector = detector_for(actor.tenant_id)
    key = None
    if conversation_id is None:
        key = ConversationKey.of(platform, shop_id, account_id, customer_name=customer_name)
    with locked_conversation(actor, conversation_id, key=key, known_only=False, makes=Message) as locked:
        if known := thread.find(locked.conversation, words, sender_type=Message.Sender.CUSTOMER, actor=actor):
            return replayed_outcome(locked, known)
        is_late = late_messages.is_late(locked, words)
        route = Controller.NONE if is_late else controller_of(locked)
        if route == Controller.FLOW and words.is_blank:
            return locked.outcome(locked.live, is_repeat=False, detail={"question": locked.flows[0].pending_question})
        words = thread.checked(words)
        _name(locked, customer_name, is_late=is_late)
        if is_late:
            return late_messages.as_history(locked, words, Message.Sender.CUSTOMER)
        session = _session_for(locked, words)
        message, operation = append_message(locked, words, Message.Sender.CUSTOMER, session=session)
        if route == Controller.FLOW:
            _to_the_flow(locked, message)
        if route in (Controller.BOT, Controller.NONE, Controller.FLOW):
            _examine(locked, message, detector)
            _relieve_a_dead_bot(locked)
        keep_answer(locked, operation, session)
    waits = waiting(locked.conversation)
    return locked.outcome(
        locked.live or session,
        seq=message.seq,
        message_id=message.message_id,
        detail={"queue_position": waits.position, "expected_wait": waits.seconds} if waits else {},
    )


def _name(locked: LockedConversation, customer_name: str, *, is_late: bool) -> None:
    """Store the customer's newest name from the channel. An empty one erases nothing; a late message replaces none."""
    name, conversation = person_name(customer_name), locked.conversation
    if not name or name == conversation.customer_name or locked.actor.kind == ActorKind.CUSTOMER:
        return
    if is_late and conversation.customer_name:
        return
    before, conversation.customer_name = conversation.customer_name, name
    locked.record(
        "customer.renamed",
        digest=stream.content_digest(name),
        replaces=stream.content_digest(before) if before else "",
    )


def _session_for(locked: LockedConversation, words: NewMessage) -> ChatSession | None:
    """The session of the message. None for one sent before the live grouped session began: grouping places it later."""
    live = locked.live
    if live and live.origin == Origin.GROUPED and words.sent_at and live.first_message_at:
        return live if words.sent_at >= live.first_message_at else None
    return live or _queued(locked)


def _queued(locked: LockedConversation) -> ChatSession | None:
    """The manual session at the head of the queue while nothing is live: the customer's messages belong to it."""
    return next((s for s in locked.waiting[:1] if not s.is_robot), None)


def _to_the_flow(locked: LockedConversation, message: Message) -> None:
    """Give the waiting flow its answer; an attachment without text is given by its name."""
    flow = locked.flows[0]
    if flow.status == FlowStatus.WAITING:
        answer = message.content if message.content.strip() else locked.conversation.last_text
        oplog.move_flow(locked, flow, FlowStatus.RERUNNING, locked.now, answer=answer)


def _examine(locked: LockedConversation, message: Message, detector: Detector) -> None:
    need = detector.customer_said(message.content, is_vip=locked.conversation.is_vip)
    if need:
        act_on(locked, need.as_dict())
    if need is None or need.effect != ESCALATE:
        analysis.ask_later(locked, message)


def _relieve_a_dead_bot(locked: LockedConversation) -> None:
    """Ask for a human at once where the live session's bot is dead: its answer cannot come."""
    live = locked.live
    if live and live.owner_kind == Owner.BOT and live.bot and not presence.is_alive(live.bot, locked.now):
        transfers.raise_need(locked, reason="the bot is not there", trigger="bot_dead")
