"""The other people in a conversation: collaborating agents, and invited employees, departments and guests."""

from __future__ import annotations

from typing import Any

from agents_app import presence
from agents_app.actors import Actor, ActorKind
from agents_app.credentials.secrets import digest
from agents_app.models import Agent
from config import limits
from messaging_app import thread
from sessions_app.core import oplog
from sessions_app.core.locked_conversation import LockedConversation, Outcome
from sessions_app.errors import (
    AlreadyIn,
    Conflict,
    Forbidden,
    LinkIsOver,
    Malformed,
    NotAvailable,
    NotFound,
    OwnerCannotLeave,
)
from sessions_app.models import Participant
from sessions_app.notices import link
from sessions_app.rights import access
from sessions_app.states import HistoryMode, ParticipantStatus
from sessions_app.unit.unit_of_work import locked_conversation, verb

_IN = (ParticipantStatus.INVITED, ParticipantStatus.JOINED)


@verb
def invite_colleague(*, actor: Actor, conversation_id: int, agent_id: int) -> Outcome:
    """Bring another agent into a conversation that is being served. The colleague is in at once, and is no owner.

    The owner or a collaborator invites. Raises `NotServing`, `Forbidden`, `NotFound`, `AlreadyIn`, and `NotAvailable`
    for an agent who is not reachable.
    """
    with locked_conversation(actor, conversation_id) as locked:
        access.may_speak(locked)
        agent = Agent.objects.filter(pk=agent_id, tenant_id=actor.tenant_id, is_active=True).first()
        if agent is None:
            raise NotFound("There is no such agent.")
        if locked.live and locked.live.agent_id == agent.pk:
            raise AlreadyIn(f"{agent.name} serves this conversation.")
        if Participant.objects.filter(conversation_id=conversation_id, agent=agent, status__in=_IN).exists():
            raise AlreadyIn(f"{agent.name} is in this conversation already.")
        if not presence.reachable(locked.now).filter(pk=agent.pk).exists():
            raise NotAvailable(f"{agent.name} is not available now.")
        participant = Participant(
            role=Participant.Role.COLLABORATOR, agent=agent, name=agent.name, history=HistoryMode.ALL
        )
        oplog.add_participant(locked, participant, ParticipantStatus.JOINED)
    return locked.outcome(locked.live, participant_id=participant.pk)


@verb
def leave(*, actor: Actor, conversation_id: int) -> Outcome:
    """Leave a conversation that the actor collaborates in or was invited to. The owner cannot: `OwnerCannotLeave`."""
    with locked_conversation(actor, conversation_id) as locked:
        if access.owns(actor, locked.live):
            raise OwnerCannotLeave
        participant = _mine(locked)
        if participant.status == ParticipantStatus.LEFT:
            return locked.outcome(locked.live, participant_id=participant.pk, is_repeat=True)
        oplog.move_participant(locked, participant, ParticipantStatus.LEFT)
    return locked.outcome(locked.live, participant_id=participant.pk)


def _mine(locked: LockedConversation) -> Participant:
    key: dict[str, Any] = {"agent_id": locked.actor.id} if locked.actor.is_agent else {"pk": locked.actor.id}
    if not locked.actor.is_agent and locked.actor.kind != ActorKind.PARTICIPANT:
        raise Forbidden
    rows = Participant.objects.filter(conversation=locked.conversation, **key).order_by("-pk")
    participant = rows.filter(status=ParticipantStatus.JOINED).first() or rows.first()
    if participant is None or participant.status not in (ParticipantStatus.JOINED, ParticipantStatus.LEFT):
        raise NotFound("There is no such conversation.")
    return participant


@verb
def invite_participant(
    *,
    actor: Actor,
    conversation_id: int,
    name: str,
    role: str = Participant.Role.GUEST,
    contact: str = "",
    history: str = HistoryMode.NONE,
    history_count: int = 0,
) -> Outcome:
    """Invite somebody from outside the desk; the answer holds the link's one-time token, shown only here.

    If there is an address (`contact`), a notice with the link goes to it soon; the participant shows the result.
    `history` says what the participant will see: what comes after joining (`none`), all since the invitation
    (`from_now`), also the `last` n messages before joining (`history_count`), or `all`. Raises `Malformed`,
    `NotServing`, `Forbidden`.
    """
    if role not in Participant.Role.values or role == Participant.Role.COLLABORATOR:
        raise Malformed("role must be employee, department or guest.")
    if not name.strip():
        raise Malformed("A participant needs a name.")
    checked_history(history, history_count)
    with locked_conversation(actor, conversation_id) as locked:
        access.must_own(actor, locked.live)
        participant, token = add(
            locked, name=name, role=role, contact=contact, history=history, history_count=history_count
        )
    return locked.outcome(locked.live, participant_id=participant.pk, token=token)


def checked_history(history: str, history_count: int) -> None:
    """Check how much is shared. Raises `Malformed`."""
    if history not in set(HistoryMode):
        raise Malformed(f"history must be one of {', '.join(HistoryMode)}.")
    if history == HistoryMode.LAST and history_count < 1:
        raise Malformed("history_count must be at least 1 when history is 'last'.")


def add(
    locked: LockedConversation, *, name: str, role: str, contact: str, history: str, history_count: int
) -> tuple[Participant, str]:
    """Invite one person, under the lock. Returns the participant and the link's token."""
    participant = Participant(
        role=role,
        name=name.strip()[: limits.MAX_NAME],
        contact=contact.strip()[: limits.MAX_CONTACT],
        history=history,
        history_count=history_count if history == HistoryMode.LAST else 0,
    )
    token = _new_link(participant)
    oplog.add_participant(locked, participant, ParticipantStatus.INVITED)
    return participant, token


@verb
def send_notice_again(*, actor: Actor, conversation_id: int, participant_id: int, contact: str = "") -> Outcome:
    """Send the notice once more, to a new address if one is named, with a new link: the old one ends.

    The owner or a supervisor, while the participant has not joined (`Conflict`). The outcome holds the new token.
    """
    with locked_conversation(actor, conversation_id) as locked:
        access.must_own(actor, locked.live)
        participant = _participant(locked, participant_id)
        if participant.status != ParticipantStatus.INVITED:
            raise Conflict(f"This participant has {participant.status} already.")
        participant.contact = contact.strip()[: limits.MAX_CONTACT] or participant.contact
        if not participant.contact:
            raise Malformed("There is no address to send to; name one.")
        token = _new_link(participant)
        oplog.invite_again(locked, participant)
    return locked.outcome(locked.live, participant_id=participant.pk, token=token)


def _new_link(participant: Participant) -> str:
    """Give the participant a link; returns its token."""
    participant.link_seed = link.new_seed()
    token = link.token_of(participant.link_seed)
    participant.token_hash = digest(token)
    return token


def _participant(locked: LockedConversation, participant_id: int) -> Participant:
    participant = Participant.objects.filter(pk=participant_id, conversation=locked.conversation).first()
    if participant is None:
        raise NotFound("There is no such participant.")
    return participant


@verb
def join(*, tenant_id: int, token: str) -> Outcome:
    """Join by the link's one-time token. Raises `LinkIsOver` for a second use as for an unknown token."""
    rows = Participant.objects.filter(tenant_id=tenant_id, token_hash=digest(token))
    participant = rows.first()
    if participant is None:
        raise LinkIsOver
    actor = as_actor(participant)
    with locked_conversation(actor, participant.conversation_id) as locked:
        participant = rows.first()  # again under the lock: of two who use the link at once, one is in
        if participant is None or participant.status != ParticipantStatus.INVITED:
            raise LinkIsOver
        _share(locked, participant)
        oplog.move_participant(locked, participant, ParticipantStatus.JOINED)
    return locked.outcome(locked.live, participant_id=participant.pk)


def as_actor(participant: Participant) -> Actor:
    """The actor of a participant, bound to the one conversation."""
    return Actor(
        kind=ActorKind.PARTICIPANT,
        tenant_id=participant.tenant_id,
        id=participant.pk,
        name=participant.name,
        conversation_id=participant.conversation_id,
    )


def _share(locked: LockedConversation, participant: Participant) -> None:
    """Set the operation from which a participant who joins now sees messages; `from_now` was set by the invitation.

    The last n messages are those that were stored last, without notes. A batch records many in one operation: of these,
    the last rows, which are in the order of their times.
    """
    if participant.history == HistoryMode.NONE:
        participant.history_from_seq = locked.conversation.seq + 1  # the joining itself
    elif participant.history == HistoryMode.LAST:
        messages = thread.messages(locked.conversation.pk, notes=False).order_by("-seq", "-id").values_list("seq", "pk")
        newest = list(messages[: participant.history_count])
        participant.history_from_seq, participant.history_from_id = (
            newest[-1] if newest else (locked.conversation.seq + 1, None)
        )


@verb
def remove_participant(*, actor: Actor, conversation_id: int, participant_id: int) -> Outcome:
    """The owner takes somebody out; an unused link stops working."""
    with locked_conversation(actor, conversation_id) as locked:
        access.must_own(actor, locked.live)
        participant = _participant(locked, participant_id)
        if participant.status == ParticipantStatus.REMOVED:
            return locked.outcome(locked.live, participant_id=participant.pk, is_repeat=True)
        if participant.status not in _IN:
            raise Conflict(f"This participant has {participant.status} already.")
        oplog.move_participant(locked, participant, ParticipantStatus.REMOVED)
    return locked.outcome(locked.live, participant_id=participant.pk)
