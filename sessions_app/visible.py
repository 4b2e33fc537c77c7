"""Who may read what (design: reliability.md). Every read of the API, the events and the sockets goes through here.

Agents read the whole tenant, notes included: the desk is shared. An integrator reads the tenant without the notes. A
bot reads the sessions it works or worked, and what is said around them while one is open. Customers and participants
read one conversation, as far as it was shared with them. So an operation of no conversation (an agent's presence) is
for agents and integrators: who hears of some conversations only does not hear of it.
"""

from __future__ import annotations

from django.db.models import Q, QuerySet

from agents_app.actors import Actor, ActorKind
from agents_app.scopes import Scope
from messaging_app.attachments import rows as attached
from messaging_app.attachments.models import Attachment
from messaging_app.models import Conversation, Message, Operation
from sessions_app.actions.people import visible_to
from sessions_app.errors import NotFound
from sessions_app.models import ChatSession, GuidedFlow, Participant, Transfer
from sessions_app.states import OPEN, ParticipantStatus

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
"""The events that a customer or participant hears of."""


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
    """Messages in no particular order; `thread` puts a conversation's into theirs. None without the scope to read."""
    rows = Message.objects.filter(tenant_id=actor.tenant_id)
    if not actor.may(Scope.READ):
        return rows.none()
    if actor.kind in (ActorKind.AGENT, ActorKind.SYSTEM):
        return rows
    rows = rows.filter(is_note=False)
    if actor.kind == ActorKind.INTEGRATOR:
        return rows
    if actor.kind == ActorKind.BOT:
        return rows.filter(_near(actor))
    if actor.kind == ActorKind.PARTICIPANT:
        participant = _participant(actor)
        return visible_to(participant) if participant else rows.none()
    return rows.filter(conversation_id=actor.conversation_id or 0)


def attachments(actor: Actor) -> QuerySet[Attachment]:
    """With the messages that this actor may read; and its own that are not sent yet, where it is in the conversation."""
    own = Q(message=None, pk__in=attached.by(actor).values("pk"), conversation__in=conversations(actor).values("pk"))
    rows = Attachment.objects.filter(tenant_id=actor.tenant_id)
    return rows.filter(Q(message__in=messages(actor).order_by().values("pk")) | own)


def attachment(actor: Actor, attachment_id: int) -> Attachment:
    """Raises `NotFound`, also for what exists and is not this actor's to see."""
    row = attachments(actor).filter(pk=attachment_id).first()
    if row is None:
        raise NotFound("There is no such attachment.")
    return row


def operations(actor: Actor) -> QuerySet[Operation]:
    """A tenant's operations that this actor may hear of. Notes are told to agents only."""
    rows = Operation.objects.filter(tenant_id=actor.tenant_id)
    if actor.kind in (ActorKind.AGENT, ActorKind.SYSTEM):
        return rows
    rows = rows.exclude(type="message.created", data__is_note=True)
    if actor.kind == ActorKind.INTEGRATOR:
        return rows
    if actor.kind == ActorKind.BOT:
        return rows.filter(_near(actor))
    rows = rows.filter(conversation_id=actor.conversation_id or 0, type__in=FOR_OUTSIDERS)
    if actor.kind == ActorKind.CUSTOMER:
        return rows.exclude(type__startswith="participant.")
    participant = _participant(actor)
    if participant is None:
        return rows.none()
    return rows.filter(at__gte=participant.history_from) if participant.history_from else rows


def conversation(actor: Actor, conversation_id: int) -> Conversation:
    """Raises `NotFound`, also for what exists and is not this actor's to see."""
    row = conversations(actor).filter(pk=conversation_id).first()
    if row is None:
        raise NotFound("There is no such conversation.")
    return row


def _of_bot(actor: Actor) -> QuerySet[ChatSession]:
    return ChatSession.objects.filter(tenant_id=actor.tenant_id, bot_id=actor.pk)


def _near(actor: Actor) -> Q:
    """In a session of the bot's, or in a conversation where it has one open: it is told what it missed."""
    own = _of_bot(actor)
    return Q(session_id__in=own.values("pk")) | Q(
        conversation_id__in=own.filter(status__in=sorted(OPEN)).values("conversation_id")
    )


def _participant(actor: Actor) -> Participant | None:
    here = Participant.objects.filter(
        pk=actor.pk, tenant_id=actor.tenant_id, conversation_id=actor.conversation_id or 0
    )
    return here.filter(status=ParticipantStatus.JOINED).first()
