"""Speaking: as bot (fenced by the epoch), agent or participant; and private notes."""

from __future__ import annotations

from typing import Any

from agents_app.actors import Actor, ActorKind
from messaging_app import mentions, stream, thread
from messaging_app.attachments import rows as attachments
from messaging_app.detection import Detector, detector_for
from messaging_app.models import Controller, Message, Operation
from messaging_app.thread import Words
from sessions_app import access, oplog, unanswered
from sessions_app.actions import transfers
from sessions_app.errors import Forbidden, Malformed, StaleEpoch
from sessions_app.models import ChatSession
from sessions_app.settle import controller_of, settle
from sessions_app.shape import taking, verb
from sessions_app.states import Origin, Owner
from sessions_app.turn import Outcome, Turn


def say(
    turn: Turn,
    words: Words,
    sender_type: str,
    *,
    session: ChatSession | None,
    is_note: bool = False,
    is_late: bool = False,
    **data: Any,
) -> tuple[Message, Operation]:
    """Store what was said, with what the actor attached to it, and record it, under the lock.

    Idle clocks start anew; a note does not count as talk. Raises `AttachmentNotFound`, `AttachmentSent`.
    """
    attached = attachments.waiting(turn.conversation, words.attachments, actor=turn.actor)
    message = thread.append(
        turn.conversation,
        words,
        sender_type=sender_type,
        actor=turn.actor,
        seq=turn.conversation.seq + 1,
        now=turn.now,
        session_id=session.pk if session else None,
        is_note=is_note,
        is_late=is_late,
        attached=attached,
    )
    if is_late:
        data["is_history"] = True
    if sender_type in unanswered.ANSWERS and not is_note:
        asked = unanswered.named_by(turn.conversation, message.message_id)
        data |= {"answers_id": asked} if asked else {}
    if attached:
        data["attachments"] = [{"id": row.pk, "digest": row.sha256} for row in attached]
    operation = turn.record(
        "message.created",
        session,
        message=message.pk,
        message_id=message.message_id,
        sender_type=sender_type,
        is_note=is_note,
        digest=stream.content_digest(message.content),
        proof=stream.message_proof(message),
        **data,
    )
    if session and not is_note:
        _touch(turn, session, message)
    return message, operation


def _touch(turn: Turn, session: ChatSession, message: Message) -> None:
    session.message_count += 1
    session.first_message_at = min(session.first_message_at or message.sent_at, message.sent_at)
    session.last_message_at = max(session.last_message_at or message.sent_at, message.sent_at)
    session.last_activity_at = turn.now
    if session.origin == Origin.GROUPED:  # over with its gap, by the clock of its words: as a batch would find it
        session.expires_at = oplog.deadline(session, session.last_message_at, turn.policies)
    elif session.is_live and session.owner_kind in (Owner.BOT, Owner.SHOP):
        session.expires_at = turn.now + turn.policies.robot_session_timeout
    session.save(
        update_fields=[
            "message_count",
            "first_message_at",
            "last_message_at",
            "last_activity_at",
            "expires_at",
            "failed_answers",
        ]
    )


def keep_answer(turn: Turn, said: Operation, session: ChatSession | None) -> None:
    """Settle, and keep the answer with the operation, so that a repeat of this message can be given the same one.

    History is answered by nobody.
    """
    settle(turn)
    is_history = said.data.get("is_history", False)
    session = session if is_history else turn.live or session
    said.data["answer"] = {
        "controller": Controller.NONE.value if is_history else turn.conversation.controller,
        "epoch": turn.conversation.epoch,
        "rule": turn.rule,
        "session_id": session.pk if session else None,
        "status": session.status if session else "",
        "transfer_id": turn.raised_id,
    }


def again(turn: Turn, known: Message) -> Outcome:
    """The answer to a message that was sent before: as the first time, also when the turn has moved on."""
    said = Operation.objects.filter(conversation=turn.conversation, seq=known.seq).first()
    answer = {  # what came in a batch was answered by a report, not by a turn
        "controller": turn.conversation.controller,
        "epoch": turn.conversation.epoch,
        "session_id": known.session_id,
    } | (said.data.get("answer", {}) if said else {})
    return Outcome(
        conversation_id=turn.conversation.pk,
        seq=known.seq,
        **answer,
        message_id=known.message_id,
        is_repeat=True,
    )


_SENDERS = {
    ActorKind.BOT: Message.Sender.BOT,
    ActorKind.AGENT: Message.Sender.AGENT,
    ActorKind.PARTICIPANT: Message.Sender.PARTICIPANT,
}


@verb
def post_message(*, actor: Actor, conversation_id: int, words: Words, epoch: int | None = None) -> Outcome:
    """Say something as the bot that owns the live session, as its agent or a collaborator, or as a participant.

    A bot names the `epoch` it was given, or is `Malformed`: if the turn has moved since, `StaleEpoch` is raised and nothing
    is stored.
    A message id sent again answers as the first time. What a customer says comes in by `receive_message`.
    Raises `Malformed`, `MessageIdTaken` and what the rights are.
    """
    words = thread.checked(words)
    sender = _SENDERS.get(actor.kind)
    if sender is None:
        raise Forbidden("Only bots, agents and participants speak here.")
    if actor.kind == ActorKind.BOT and epoch is None:
        wanted = "A bot sends the epoch that it was given with what it answers."
        raise Malformed(f"epoch: {wanted}", errors={"epoch": [wanted]})
    detector = detector_for(actor.tenant_id) if actor.kind == ActorKind.BOT else None
    with taking(actor, conversation_id) as turn:
        if known := thread.find(turn.conversation, words, sender_type=sender, actor=actor):
            return again(turn, known)
        if detector:
            message, said = _as_bot(turn, words, epoch, detector)
        elif actor.kind == ActorKind.AGENT:
            access.may_speak(turn)
            message, said = say(turn, words, Message.Sender.AGENT, session=turn.live)
        else:
            message, said = _as_participant(turn, words)
        keep_answer(turn, said, turn.live)
    return turn.outcome(turn.live, seq=message.seq, message_id=message.message_id)


def _as_bot(turn: Turn, words: Words, epoch: int | None, detector: Detector) -> tuple[Message, Operation]:
    live, conversation = turn.live, turn.conversation
    if not speaks(turn, epoch):
        raise StaleEpoch(epoch=conversation.epoch, controller=conversation.controller)
    assert live is not None
    live.failed_answers = live.failed_answers + 1 if detector.admits_failure(words.content) else 0
    message, said = say(turn, words, Message.Sender.BOT, session=live, epoch=epoch)
    if live.failed_answers and (need := detector.failed(live.failed_answers)):
        act_on(turn, need.as_dict())
    return message, said


def speaks(turn: Turn, epoch: int | None) -> bool:
    """Whether this bot has the turn, and was told so in this epoch."""
    live = turn.live
    is_its = live is not None and live.owner_kind == Owner.BOT and live.bot_id == turn.actor.id
    return is_its and controller_of(turn) == Controller.BOT and epoch == turn.conversation.epoch


def _as_participant(turn: Turn, words: Words) -> tuple[Message, Operation]:
    access.must_be_in(turn)
    return say(turn, words, Message.Sender.PARTICIPANT, session=turn.live)


def act_on(turn: Turn, need: dict[str, Any]) -> None:
    """A need of a human was detected: flag the conversation, and escalate it where the rule says so."""
    oplog.flag(turn, need)
    if need["effect"] == "escalate":
        transfers.raise_need(turn, reason=need.get("rule", ""), trigger=need["kind"])


@verb
def post_note(*, actor: Actor, conversation_id: int, words: Words) -> Outcome:
    """A private note: any agent of the tenant writes it, agents only read it. Whom it names finds it under mentions."""
    access.must_be_agent(actor)
    words = thread.checked(words)
    with taking(actor, conversation_id) as turn:
        if known := thread.find(turn.conversation, words, sender_type=Message.Sender.AGENT, actor=actor):
            return again(turn, known)
        named = mentions.named(words.content, tenant_id=actor.tenant_id, by=actor.id)
        told: dict[str, Any] = {"mentions": named} if named else {}
        message, said = say(turn, words, Message.Sender.AGENT, session=turn.live, is_note=True, **told)
        mentions.keep(message, named)
        keep_answer(turn, said, turn.live)
    return turn.outcome(turn.live, seq=message.seq, message_id=message.message_id)
