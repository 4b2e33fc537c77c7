"""The customer's next message: stored, routed, examined and recorded in one transaction.

It fails closed: if the decision cannot be made, the transaction is undone and the caller gets an error; no bot speaks.
"""

from __future__ import annotations

from agents_app import presence
from agents_app.actors import Actor
from messaging_app import thread
from messaging_app.detection import detector_for
from messaging_app.detection.rules import ESCALATE
from messaging_app.models import Controller, Message
from messaging_app.thread import Words
from sessions_app import access, oplog
from sessions_app.actions import analysis, transfers
from sessions_app.actions.lifecycle import conversation_for
from sessions_app.actions.talk import act_on, again, keep_answer, say
from sessions_app.models import ChatSession
from sessions_app.settle import controller_of
from sessions_app.shape import taking, verb
from sessions_app.states import FlowStatus, Owner
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

    The conversation is named by its id, or by its key, and made if it is new. Empty text while a guided flow waits
    repeats the flow's question. A message id sent again answers as the first time. Raises `Malformed`, `Conflict`.
    """
    access.may_deliver(actor)
    if conversation_id is None:
        made = conversation_for(
            actor=actor, shop_id=shop_id, account_id=account_id, platform=platform, customer_name=customer_name
        )
        conversation_id = made.pk
    with taking(actor, conversation_id) as turn:
        if known := thread.find(turn.conversation, words.message_id):
            return again(turn, known)
        route = controller_of(turn)
        if route == Controller.FLOW and words.is_blank:
            return turn.outcome(turn.live, detail={"question": turn.flows[0].pending_question})
        thread.checked(words)
        session = turn.live or _queued(turn)
        message, said = say(turn, words, Message.Sender.CUSTOMER, session=session)
        if route == Controller.FLOW:
            _to_the_flow(turn, message)
        if route in (Controller.BOT, Controller.NONE, Controller.FLOW):
            _examine(turn, message)
            _relieve_a_dead_bot(turn)
        keep_answer(turn, said, session)
    waits = waiting(turn.conversation)
    return turn.outcome(
        turn.live or session,
        seq=message.seq,
        message_id=message.message_id,
        detail={"queue_position": waits.position, "expected_wait": waits.seconds} if waits else {},
    )


def _queued(turn: Turn) -> ChatSession | None:
    """The manual session that heads the line while nothing is live: what the customer says belongs to it."""
    return next((s for s in turn.waiting[:1] if not s.is_robot), None)


def _to_the_flow(turn: Turn, message: Message) -> None:
    """What answers a question with a picture alone is told by the picture's name."""
    flow = turn.flows[0]
    if flow.status == FlowStatus.WAITING:
        answer = message.content if message.content.strip() else turn.conversation.last_text
        oplog.move_flow(turn, flow, FlowStatus.RERUNNING, turn.now, answer=answer)


def _examine(turn: Turn, message: Message) -> None:
    need = detector_for(turn.conversation.tenant_id).customer_said(message.content, is_vip=turn.conversation.is_vip)
    if need:
        act_on(turn, need.as_dict())
    if need is None or need.effect != ESCALATE:
        analysis.ask_later(turn, message)


def _relieve_a_dead_bot(turn: Turn) -> None:
    """The customer waits for an answer that cannot come: a human is asked for at once."""
    live = turn.live
    if live and live.owner_kind == Owner.BOT and live.bot and not presence.is_alive(live.bot, turn.now):
        transfers.raise_need(turn, reason="the bot is not there", trigger="bot_dead")
