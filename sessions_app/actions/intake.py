"""The customer's next message: stored, routed, examined and recorded in one transaction.

It fails closed: if the decision cannot be made, the transaction is undone and the caller gets an error; no bot speaks.
"""

from __future__ import annotations

from functools import partial

from agents_app import presence
from agents_app.actors import Actor, ActorKind
from messaging_app import stream, thread
from messaging_app.detection import Detector, detector_for
from messaging_app.detection.rules import ESCALATE
from messaging_app.incoming import person_name
from messaging_app.models import Controller, Message
from messaging_app.thread import Words
from sessions_app import access, oplog
from sessions_app.actions import analysis, history, transfers
from sessions_app.actions.lifecycle import conversation_for
from sessions_app.actions.talk import act_on, again, keep_answer, say
from sessions_app.models import ChatSession
from sessions_app.settle import controller_of
from sessions_app.shape import taking, verb
from sessions_app.states import FlowStatus, Origin, Owner
from sessions_app.turn import Outcome, Turn
from sessions_app.waiting import waiting


@verb
def receive_message(
    *,
    actor: Actor,
    words: Words,
    conversation_id: int | None = None,
    shop_id: str = "",
    account_id: str = "",
    platform: str = "default",
    customer_name: str = "",
) -> Outcome:
    """A customer said something. The answer's controller says who gets it, with session, epoch, and place in the queue.

    The conversation is named by its id, or by its key, and made if it is new and the words are stored. Empty text while a
    guided flow waits repeats the flow's question. A message id sent again answers as the first time. What comes later than
    `LATE_MESSAGE` after it was said is history, which nobody is asked to answer. Raises `Malformed`, `MessageIdTaken`.
    """
    access.may_deliver(actor)
    customer_name = customer_name or (actor.name if actor.kind == ActorKind.CUSTOMER else "")
    words = thread.normalized(words)
    detector = detector_for(actor.tenant_id)
    by_key = partial(
        conversation_for,
        actor=actor,
        shop_id=shop_id,
        account_id=account_id,
        platform=platform,
        customer_name=customer_name,
    )
    with taking(actor, conversation_id, by_key=by_key, known_only=False) as turn:
        if known := thread.find(turn.conversation, words, sender_type=Message.Sender.CUSTOMER, actor=actor):
            return again(turn, known)
        is_late = history.is_late(turn, words)
        route = Controller.NONE if is_late else controller_of(turn)
        if route == Controller.FLOW and words.is_blank:
            return turn.outcome(turn.live, is_repeat=False, detail={"question": turn.flows[0].pending_question})
        words = thread.checked(words)
        _name(turn, customer_name, is_late=is_late)
        if is_late:
            return history.as_history(turn, words, Message.Sender.CUSTOMER)
        session = _session_for(turn, words)
        message, said = say(turn, words, Message.Sender.CUSTOMER, session=session)
        if route == Controller.FLOW:
            _to_the_flow(turn, message)
        if route in (Controller.BOT, Controller.NONE, Controller.FLOW):
            _examine(turn, message, detector)
            _relieve_a_dead_bot(turn)
        keep_answer(turn, said, session)
    waits = waiting(turn.conversation)
    return turn.outcome(
        turn.live or session,
        seq=message.seq,
        message_id=message.message_id,
        detail={"queue_position": waits.position, "expected_wait": waits.seconds} if waits else {},
    )


def _name(turn: Turn, customer_name: str, *, is_late: bool) -> None:
    """The channel's newest name of the customer counts. None erases nothing, and neither does an old message's."""
    name, conversation = person_name(customer_name), turn.conversation
    if not name or name == conversation.customer_name or turn.actor.kind == ActorKind.CUSTOMER:
        return
    if is_late and conversation.customer_name:
        return
    before, conversation.customer_name = conversation.customer_name, name
    turn.record(
        "customer.renamed",
        digest=stream.content_digest(name),
        replaces=stream.content_digest(before) if before else "",
    )


def _session_for(turn: Turn, words: Words) -> ChatSession | None:
    """Whose work these words belong to. What a stretch that was only found does not reach is put in its place later."""
    live = turn.live
    if live and live.origin == Origin.GROUPED and words.sent_at and live.first_message_at:
        return live if words.sent_at >= live.first_message_at else None
    return live or _queued(turn)


def _queued(turn: Turn) -> ChatSession | None:
    """The manual session that heads the line while nothing is live: what the customer says belongs to it."""
    return next((s for s in turn.waiting[:1] if not s.is_robot), None)


def _to_the_flow(turn: Turn, message: Message) -> None:
    """What answers a question with a picture alone is told by the picture's name."""
    flow = turn.flows[0]
    if flow.status == FlowStatus.WAITING:
        answer = message.content if message.content.strip() else turn.conversation.last_text
        oplog.move_flow(turn, flow, FlowStatus.RERUNNING, turn.now, answer=answer)


def _examine(turn: Turn, message: Message, detector: Detector) -> None:
    need = detector.customer_said(message.content, is_vip=turn.conversation.is_vip)
    if need:
        act_on(turn, need.as_dict())
    if need is None or need.effect != ESCALATE:
        analysis.ask_later(turn, message)


def _relieve_a_dead_bot(turn: Turn) -> None:
    """The customer waits for an answer that cannot come: a human is asked for at once."""
    live = turn.live
    if live and live.owner_kind == Owner.BOT and live.bot and not presence.is_alive(live.bot, turn.now):
        transfers.raise_need(turn, reason="the bot is not there", trigger="bot_dead")
