"""Who may read what (docs/rules.md, Who reads what). Every read of the API, events and sockets goes through here.

Agents read the whole tenant, notes included: the desk is shared. An integrator reads the tenant without the notes. A
bot reads the sessions it works or worked, up to their ends, and what is said around them while one is open or a guided
flow of its own is: a program that asks the customer something reads the answer. Customers and participants read one
conversation, as far as it was shared with them. What came before an end or a question is decided by arrival, never by a
sender's clock. An operation of no conversation (an agent's presence) is for agents and integrators only, who read all
conversations.
"""

from __future__ import annotations

from django.db.models import Exists, OuterRef, Q, QuerySet

from agents_app.actors import Actor, ActorKind
from agents_app.scopes import Scope
from messaging_app import thread
from messaging_app.attachments import rows as attached
from messaging_app.models import Conversation, Message, Operation
from messaging_app.models.attachments import Attachment
from sessions_app.errors import (
    NotFound,
)
from sessions_app.models import ChatSession, GuidedFlow, Participant, Transfer
from sessions_app.states import FLOW_OPEN, OPEN, ParticipantStatus

_WHOLE_TENANT = (ActorKind.AGENT, ActorKind.INTEGRATOR, ActorKind.SYSTEM)
FOR_OUTSIDERS = (
    "message.created",
    "message.delivery",
    "session.opened",
    "session.activated",
    "session.paused",
    "session.resumed",
    "session.completed",
    "session.cancelled",
    "session.timed_out",
    "transfer.requested",
    "transfer.accepted",
    "participant.joined",
    "participant.left",
    "participant.removed",
)
"""The types of event that customers and participants receive."""
_ENDS = ("session.completed", "session.cancelled", "session.timed_out")


def conversations(actor: Actor) -> QuerySet[Conversation]:
    rows = Conversation.objects.filter(tenant_id=actor.tenant_id)
    if actor.kind in _WHOLE_TENANT:
        return rows
    if actor.kind == ActorKind.BOT:
        return rows.filter(pk__in=_of_bot(actor).values("conversation_id"))
    if actor.kind == ActorKind.PARTICIPANT and _participant(actor) is None:
        return rows.none()
    return rows.filter(pk=actor.conversation_id or 0)


def sessions(actor: Actor) -> QuerySet[ChatSession]:
    rows = ChatSession.objects.filter(tenant_id=actor.tenant_id)
    if actor.kind in _WHOLE_TENANT:
        return rows
    if actor.kind == ActorKind.BOT:
        return rows.filter(bot_id=actor.pk)
    return rows.none()


def transfers(actor: Actor) -> QuerySet[Transfer]:
    rows = Transfer.objects.filter(tenant_id=actor.tenant_id)
    if actor.kind in _WHOLE_TENANT:
        return rows
    if actor.kind == ActorKind.BOT:
        return rows.filter(session_id__in=_of_bot(actor).values("pk"))
    return rows.none()


def flows(actor: Actor) -> QuerySet[GuidedFlow]:
    rows = GuidedFlow.objects.filter(tenant_id=actor.tenant_id)
    if actor.kind in _WHOLE_TENANT:
        return rows
    return rows.filter(client_id=actor.pk) if actor.kind == ActorKind.BOT else rows.none()


def messages(actor: Actor) -> QuerySet[Message]:
    """Messages that the actor may read, unordered: `thread` orders a conversation's. None without the scope to read."""
    rows = Message.objects.filter(tenant_id=actor.tenant_id)
    if not actor.may(Scope.READ):
        return rows.none()
    if actor.kind in (ActorKind.AGENT, ActorKind.SYSTEM):
        return rows
    rows = rows.filter(is_note=False)
    if actor.kind == ActorKind.INTEGRATOR:
        return rows
    if actor.kind == ActorKind.BOT:
        return rows.filter(_bot_messages(actor))
    if actor.kind == ActorKind.PARTICIPANT:
        participant = _participant(actor)
        return visible_to(participant) if participant else rows.none()
    return rows.filter(conversation_id=actor.conversation_id or 0)


def attachments(actor: Actor) -> QuerySet[Attachment]:
    """Attachments of messages that the actor may read, and its own unsent ones in conversations that it may read."""
    own = Q(message=None, pk__in=attached.by(actor).values("pk"), conversation__in=conversations(actor).values("pk"))
    rows = Attachment.objects.filter(tenant_id=actor.tenant_id)
    return rows.filter(Q(message__in=messages(actor).order_by().values("pk")) | own)


def attachment(actor: Actor, attachment_id: int) -> Attachment:
    """Raises `NotFound`, also for what exists and the actor may not read."""
    row = attachments(actor).filter(pk=attachment_id).first()
    if row is None:
        raise NotFound("There is no such attachment.")
    return row


def operations(actor: Actor) -> QuerySet[Operation]:
    """The tenant's operations that the actor may read. Notes are for agents only."""
    rows = Operation.objects.filter(tenant_id=actor.tenant_id)
    if actor.kind in (ActorKind.AGENT, ActorKind.SYSTEM):
        return rows
    rows = rows.exclude(type="message.created", data__is_note=True)
    if actor.kind == ActorKind.INTEGRATOR:
        return rows
    if actor.kind == ActorKind.BOT:
        return rows.filter(_bot_operations(actor))
    rows = rows.filter(conversation_id=actor.conversation_id or 0, type__in=FOR_OUTSIDERS)
    if actor.kind == ActorKind.CUSTOMER:
        return rows.exclude(type__startswith="participant.")
    participant = _participant(actor)
    if participant is None:
        return rows.none()
    since = participant.history_from_seq
    return rows if since is None else rows.filter(seq__gte=since)


def conversation(actor: Actor, conversation_id: int) -> Conversation:
    """Raises `NotFound`, also for what exists and the actor may not read."""
    row = conversations(actor).filter(pk=conversation_id).first()
    if row is None:
        raise no_conversation()
    return row


def no_conversation() -> NotFound:
    """The refusal of a conversation that does not exist, or that the actor may not read."""
    return NotFound("There is no such conversation.")


def _of_bot(actor: Actor) -> QuerySet[ChatSession]:
    return ChatSession.objects.filter(tenant_id=actor.tenant_id, bot_id=actor.pk)


def _bot_operations(actor: Actor) -> Q:
    """In a session of the bot's, in a conversation where it has one open, or while a flow of its own was open there."""
    own = _of_bot(actor)
    here = own.filter(status__in=sorted(OPEN)).values("conversation_id")
    return (
        Q(session_id__in=own.values("pk"))
        | Q(conversation_id__in=here)
        | Q(Exists(_flows_open_at(actor, OuterRef("at"))))
    )


def _bot_messages(actor: Actor) -> Q:
    """The same for messages. One that came after its session's end, grouped into it by time, was not for this bot."""
    own = _of_bot(actor)
    here = own.filter(status__in=sorted(OPEN)).values("conversation_id")
    ended = Operation.objects.filter(session_id=OuterRef("session_id"), type__in=_ENDS, seq__lt=OuterRef("seq"))
    during_flow = Operation.objects.filter(
        Exists(_flows_open_at(actor, OuterRef("at"))), conversation_id=OuterRef("conversation_id"), seq=OuterRef("seq")
    )
    in_time = Q(session_id__in=own.values("pk")) & ~Q(Exists(ended))
    return in_time | Q(conversation_id__in=here) | Q(Exists(during_flow))


def _flows_open_at(actor: Actor, moment: OuterRef) -> QuerySet[GuidedFlow]:
    """The bot's flows in a conversation that were open at a moment: from the question to their end."""
    own = GuidedFlow.objects.filter(tenant_id=actor.tenant_id, client_id=actor.pk)
    here = own.filter(conversation_id=OuterRef("conversation_id"), created_at__lte=moment)
    return here.filter(Q(status__in=sorted(FLOW_OPEN)) | Q(updated_at__gte=moment))


def _participant(actor: Actor) -> Participant | None:
    here = Participant.objects.filter(
        pk=actor.pk, tenant_id=actor.tenant_id, conversation_id=actor.conversation_id or 0
    )
    return here.filter(status=ParticipantStatus.JOINED).first()


def visible_to(participant: Participant) -> QuerySet[Message]:
    """What a participant may read, oldest first: the history as shared, never a note, nothing after leaving."""
    if participant.status != ParticipantStatus.JOINED:
        return Message.objects.none()
    rows = thread.messages(participant.conversation_id, notes=bool(participant.agent_id))
    since, first = participant.history_from_seq, participant.history_from_id
    if since is None:
        return rows
    rows = rows.filter(seq__gte=since)
    return rows if first is None else rows.filter(Q(seq__gt=since) | Q(pk__gte=first))
