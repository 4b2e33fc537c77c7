"""What the shop's own people said in the channel's own app, past us."""

from __future__ import annotations

from agents_app.actors import Actor, ActorKind
from messaging_app import thread
from messaging_app.models import Message
from messaging_app.thread import Words
from sessions_app import oplog
from sessions_app.actions import echoes, history
from sessions_app.actions.talk import again, keep_answer, say
from sessions_app.errors import Forbidden
from sessions_app.models import ChatSession
from sessions_app.shape import taking, verb
from sessions_app.states import Origin, Owner, Status, TransferKind, TransferStatus
from sessions_app.turn import Outcome, Turn


@verb
def echo_message(*, actor: Actor, conversation_id: int, words: Words) -> Outcome:
    """A person answered from the shop's own app, and the channel tells us: the bot falls silent at once.

    The session goes to the shop's people: from the bot as a takeover, from the queue as an accept. An agent who serves
    is not disturbed. It idles out like a robot's session, because nobody there can press 'resolve'. What a bot or an agent
    said here a moment ago and the channel tells back is that message again (`echoes`). What comes later than `LATE_MESSAGE`
    after it was said is history: nobody of the shop is there now.
    """
    if actor.kind not in (ActorKind.INTEGRATOR, ActorKind.SYSTEM):
        raise Forbidden("Only the channel's integrator reports what was said in the shop's own app.")
    words = thread.checked(words)
    with taking(actor, conversation_id) as turn:
        if known := thread.find(turn.conversation, words, sender_type=Message.Sender.SHOP, actor=actor):
            return again(turn, known)
        if ours := echoes.recognized(turn, words):
            return again(turn, ours)
        if history.is_late(turn, words):
            return history.as_history(turn, words, Message.Sender.SHOP)
        session = turn.live or next((s for s in turn.waiting[:1] if not s.is_robot), None)
        if session and session.owner_kind != Owner.AGENT:
            _to_the_shop(turn, session)
        message, said = say(turn, words, Message.Sender.SHOP, session=session)
        keep_answer(turn, said, turn.live)
    return turn.outcome(turn.live, seq=message.seq, message_id=message.message_id)


def _to_the_shop(turn: Turn, session: ChatSession) -> None:
    if session.owner_kind == Owner.SHOP:
        return
    if transfer := turn.transfer_of(session):
        oplog.end_transfer(turn, transfer, TransferStatus.ACCEPTED, reason="answered in the shop's own app")
    if session.owner_kind == Owner.BOT and session.origin == Origin.OPENED:
        oplog.move(turn, session, TransferKind.TAKEOVER, reason="answered in the shop's own app")
        oplog.transition(turn, session, Status.TRANSFERRED, owner=Owner.SHOP)
    elif session.status == Status.PENDING:
        oplog.transition(turn, session, Status.ACTIVE, owner=Owner.SHOP)
    else:
        oplog.change_owner(turn, session, Owner.SHOP)
