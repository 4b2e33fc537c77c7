"""Messages that the shop's own people sent in the channel's own app, not by Tandem."""

from __future__ import annotations

from agents_app.actors import Actor, ActorKind
from messaging_app import thread
from messaging_app.models import Message
from messaging_app.thread import NewMessage
from sessions_app.actions import echo_detection, late_messages
from sessions_app.actions.messages import append_message, keep_answer, replayed_outcome
from sessions_app.core import oplog
from sessions_app.core.locked_conversation import LockedConversation, Outcome
from sessions_app.errors import Forbidden
from sessions_app.models import ChatSession
from sessions_app.states import Origin, Owner, Status, TransferKind, TransferStatus
from sessions_app.unit.unit_of_work import locked_conversation, verb


@verb
def echo_message(*, actor: Actor, conversation_id: int, words: NewMessage) -> Outcome:
    """Store what a person answered in the shop's own app, as the channel reports it: the bot loses the turn at once.

    The session goes to the shop's people: from the bot as a takeover, from the queue as an accept. An agent who serves
    keeps it. It idles out like a robot's session, because nobody there can press 'resolve'. A message that a bot or an
    agent sent from here a moment ago is that message again (`echo_detection`). One that comes later than `LATE_MESSAGE`
    after it was sent is history: nobody of the shop is there now. Raises `Forbidden`, `Malformed`, `MessageIdTaken`.
    """
    if actor.kind not in (ActorKind.INTEGRATOR, ActorKind.SYSTEM):
        raise Forbidden("Only the channel's integrator reports what was said in the shop's own app.")
    words = thread.checked(words)
    with locked_conversation(actor, conversation_id) as locked:
        if known := thread.find(locked.conversation, words, sender_type=Message.Sender.SHOP, actor=actor):
            return replayed_outcome(locked, known)
        if ours := echo_detection.recognized(locked, words):
            return replayed_outcome(locked, ours)
        if late_messages.is_late(locked, words):
            return late_messages.as_history(locked, words, Message.Sender.SHOP)
        session = locked.live or next((s for s in locked.waiting[:1] if not s.is_robot), None)
        if session and session.owner_kind != Owner.AGENT:
            _to_the_shop(locked, session)
        message, operation = append_message(locked, words, Message.Sender.SHOP, session=session)
        keep_answer(locked, operation, locked.live)
    return locked.outcome(locked.live, seq=message.seq, message_id=message.message_id)


def _to_the_shop(locked: LockedConversation, session: ChatSession) -> None:
    if session.owner_kind == Owner.SHOP:
        return
    if transfer := locked.transfer_of(session):
        oplog.end_transfer(locked, transfer, TransferStatus.ACCEPTED, reason="answered in the shop's own app")
    if session.owner_kind == Owner.BOT and session.origin == Origin.OPENED:
        oplog.record_transfer(locked, session, TransferKind.TAKEOVER, reason="answered in the shop's own app")
        oplog.transition(locked, session, Status.TRANSFERRED, owner=Owner.SHOP)
    elif session.status == Status.PENDING:
        oplog.transition(locked, session, Status.ACTIVE, owner=Owner.SHOP)
    else:
        oplog.change_owner(locked, session, Owner.SHOP)
