"""Speaking: as bot (fenced by the epoch), agent or participant; and private notes."""

from __future__ import annotations

from typing import Any

from agents_app.actors import Actor, ActorKind
from config import statements
from messaging_app import stream, thread
from messaging_app.agent_tools import mentions
from messaging_app.attachments import rows as attachments
from messaging_app.detection import Detector, detector_for
from messaging_app.models import Controller, Message, Operation
from messaging_app.thread import NewMessage
from sessions_app.actions import transfers
from sessions_app.core import oplog
from sessions_app.core.locked_conversation import LockedConversation, Outcome
from sessions_app.errors import Forbidden, Malformed, StaleEpoch
from sessions_app.models import ChatSession
from sessions_app.promises import unanswered
from sessions_app.rights import access
from sessions_app.states import Origin, Owner
from sessions_app.unit.settle import controller_of, settle
from sessions_app.unit.unit_of_work import locked_conversation, verb


def append_message(
    locked: LockedConversation,
    words: NewMessage,
    sender_type: str,
    *,
    session: ChatSession | None,
    is_note: bool = False,
    is_late: bool = False,
    **data: Any,
) -> tuple[Message, Operation]:
    """Store a message with the files that the actor attached, and record it, under the lock. Returns both rows.

    The session's idle clock starts anew, except for a note. Raises `AttachmentNotFound`, `AttachmentSent`.
    """
    attached = attachments.waiting(locked.conversation, words.attachments, actor=locked.actor)
    message = thread.append(
        locked.conversation,
        words,
        sender_type=sender_type,
        actor=locked.actor,
        seq=locked.conversation.seq + 1,
        now=locked.now,
        session_id=session.pk if session else None,
        is_note=is_note,
        is_late=is_late,
        attached=attached,
    )
    if is_late:
        data["is_history"] = True
    if sender_type in unanswered.ANSWERS and not is_note:
        answers_id = unanswered.answered_message_id(locked.conversation, message.message_id)
        data |= {"answers_id": answers_id} if answers_id else {}
    if attached:
        data["attachments"] = [{"id": row.pk, "digest": row.sha256} for row in attached]
    operation = locked.record(
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
        _touch(locked, session, message)
    return message, operation


def _touch(locked: LockedConversation, session: ChatSession, message: Message) -> None:
    session.message_count += 1
    session.first_message_at = min(session.first_message_at or message.sent_at, message.sent_at)
    session.last_message_at = max(session.last_message_at or message.sent_at, message.sent_at)
    session.last_activity_at = locked.now
    if session.origin == Origin.GROUPED:  # ends a gap after its last message was sent, as if a batch had brought it
        session.expires_at = oplog.deadline(session, session.last_message_at, locked.policies)
    elif session.is_live and session.owner_kind in (Owner.BOT, Owner.SHOP):
        session.expires_at = locked.now + locked.policies.robot_session_timeout
    statements.update(
        session,
        "message_count",
        "first_message_at",
        "last_message_at",
        "last_activity_at",
        "expires_at",
        "failed_answers",
    )


def keep_answer(locked: LockedConversation, operation: Operation, session: ChatSession | None) -> None:
    """Settle, and store the answer in the operation, so that a repeat of this message can be given the same one.

    Nobody answers history: its controller is NONE.
    """
    settle(locked)
    is_history = operation.data.get("is_history", False)
    session = session if is_history else locked.live or session
    operation.data["answer"] = {
        "controller": Controller.NONE.value if is_history else locked.conversation.controller,
        "epoch": locked.conversation.epoch,
        "rule": locked.rule,
        "session_id": session.pk if session else None,
        "status": session.status if session else "",
        "transfer_id": locked.raised_id,
    }


def replayed_outcome(locked: LockedConversation, known: Message) -> Outcome:
    """The answer to a message that was sent before: as the first time, also when the turn has moved on."""
    operation = Operation.objects.filter(conversation=locked.conversation, seq=known.seq).first()
    answer = {  # a message of a batch has no answer of its own: the batch had a report
        "controller": locked.conversation.controller,
        "epoch": locked.conversation.epoch,
        "session_id": known.session_id,
    } | (operation.data.get("answer", {}) if operation else {})
    return Outcome(
        conversation_id=locked.conversation.pk,
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
def post_message(*, actor: Actor, conversation_id: int, words: NewMessage, epoch: int | None = None) -> Outcome:
    """Say something as the bot that owns the live session, as its agent or a collaborator, or as a participant.

    A bot names the `epoch` it was given, or is `Malformed`: if the turn has moved since, `StaleEpoch` is raised and
    nothing is stored.
    A message id sent again answers as the first time. What a customer says comes in by `receive_message`.
    Raises `Malformed`, `MessageIdTaken`, `Forbidden`, and for an agent `NotServing` where no human serves.
    """
    words = thread.checked(words)
    sender = _SENDERS.get(actor.kind)
    if sender is None:
        raise Forbidden("Only bots, agents and participants speak here.")
    if actor.kind == ActorKind.BOT and epoch is None:
        problem = "A bot sends the epoch that it was given with what it answers."
        raise Malformed(f"epoch: {problem}", errors={"epoch": [problem]})
    detector = detector_for(actor.tenant_id) if actor.kind == ActorKind.BOT else None
    with locked_conversation(actor, conversation_id, makes=Message) as locked:
        if known := thread.find(locked.conversation, words, sender_type=sender, actor=actor):
            return replayed_outcome(locked, known)
        if detector:
            message, operation = _as_bot(locked, words, epoch, detector)
        elif actor.kind == ActorKind.AGENT:
            access.may_speak(locked)
            message, operation = append_message(locked, words, Message.Sender.AGENT, session=locked.live)
        else:
            message, operation = _as_participant(locked, words)
        keep_answer(locked, operation, locked.live)
    return locked.outcome(locked.live, seq=message.seq, message_id=message.message_id)


def _as_bot(
    locked: LockedConversation, words: NewMessage, epoch: int | None, detector: Detector
) -> tuple[Message, Operation]:
    live, conversation = locked.live, locked.conversation
    if not speaks(locked, epoch):
        raise StaleEpoch(epoch=conversation.epoch, controller=conversation.controller)
    assert live is not None
    live.failed_answers = live.failed_answers + 1 if detector.admits_failure(words.content) else 0
    message, operation = append_message(locked, words, Message.Sender.BOT, session=live, epoch=epoch)
    if live.failed_answers and (need := detector.failed(live.failed_answers)):
        act_on(locked, need.as_dict())
    return message, operation


def speaks(locked: LockedConversation, epoch: int | None) -> bool:
    """Whether the acting bot has the turn, and `epoch` is the present one."""
    live = locked.live
    is_own = live is not None and live.owner_kind == Owner.BOT and live.bot_id == locked.actor.id
    return is_own and controller_of(locked) == Controller.BOT and epoch == locked.conversation.epoch


def _as_participant(locked: LockedConversation, words: NewMessage) -> tuple[Message, Operation]:
    access.must_be_in(locked)
    return append_message(locked, words, Message.Sender.PARTICIPANT, session=locked.live)


def act_on(locked: LockedConversation, need: dict[str, Any]) -> None:
    """A need of a human was detected: flag the conversation, and escalate it where the rule says so."""
    oplog.flag(locked, need)
    if need["effect"] == "escalate":
        transfers.raise_need(locked, reason=need.get("rule", ""), trigger=need["kind"])


@verb
def post_note(*, actor: Actor, conversation_id: int, words: NewMessage) -> Outcome:
    """Write a private note: any agent of the tenant may, and only agents read it. Agents it names get a mention."""
    access.must_be_agent(actor)
    words = thread.checked(words)
    with locked_conversation(actor, conversation_id, makes=Message) as locked:
        if known := thread.find(locked.conversation, words, sender_type=Message.Sender.AGENT, actor=actor):
            return replayed_outcome(locked, known)
        mentioned = mentions.named(words.content, tenant_id=actor.tenant_id, by=actor.id)
        data: dict[str, Any] = {"mentions": mentioned} if mentioned else {}
        message, operation = append_message(
            locked, words, Message.Sender.AGENT, session=locked.live, is_note=True, **data
        )
        mentions.store(message, mentioned)
        keep_answer(locked, operation, locked.live)
    return locked.outcome(locked.live, seq=message.seq, message_id=message.message_id)
