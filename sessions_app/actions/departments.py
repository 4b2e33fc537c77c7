"""Inviting a department: its members, as the directory names them, each with a link and a notice of their own."""

from __future__ import annotations

from agents_app import directory
from agents_app.actors import Actor
from agents_app.directory import Found, Person
from agents_app.models import Tenant
from sessions_app.actions import participants
from sessions_app.core.locked_conversation import Outcome
from sessions_app.errors import Forbidden
from sessions_app.models import Participant
from sessions_app.rights import access
from sessions_app.rights.field_rights import by_role
from sessions_app.states import HistoryMode, ParticipantStatus
from sessions_app.unit.unit_of_work import locked_conversation, verb


def search(*, actor: Actor, text: str = "") -> list[Found]:
    """Departments to invite, by name. Raises `Forbidden`, `NoDirectory`, `DirectoryFailed`."""
    if not actor.is_agent:
        raise Forbidden("Only agents look departments up.")
    return directory.search(_slug(actor), text)


@by_role
def invite_department(
    *,
    actor: Actor,
    conversation_id: int,
    department_id: str,
    history: str = HistoryMode.NONE,
    history_count: int = 0,
) -> Outcome:
    """Invite everybody of a department. The outcome's detail lists those `invited`, with tokens, and those `skipped`.

    The directory is queried between two transactions and never inside one: first it is checked that the actor may
    invite, then the members are read, then all are invited at once. An error in between invites nobody.
    """
    participants.checked_history(history, history_count)
    may_invite(actor=actor, conversation_id=conversation_id)
    return invite_members(
        actor=actor,
        conversation_id=conversation_id,
        members=directory.members_of(_slug(actor), department_id),
        history=history,
        history_count=history_count,
    )


def _slug(actor: Actor) -> str:
    return Tenant.objects.values_list("slug", flat=True).get(pk=actor.tenant_id)


@verb
def may_invite(*, actor: Actor, conversation_id: int) -> Outcome:
    """Check that the actor may invite people from outside; raises what `invite_participant` would. Changes nothing."""
    with locked_conversation(actor, conversation_id) as locked:
        access.must_own(actor, locked.live)
    return locked.outcome(locked.live)


@verb
def invite_members(
    *, actor: Actor, conversation_id: int, members: list[Person], history: str, history_count: int
) -> Outcome:
    """Invite all members in one transaction; those who are in or invited already, by their address, are skipped."""
    with locked_conversation(actor, conversation_id) as locked:
        access.must_own(actor, locked.live)
        inside = Participant.objects.filter(
            conversation=locked.conversation, status__in=(ParticipantStatus.INVITED, ParticipantStatus.JOINED)
        )
        known = {_known_by(name, contact) for name, contact in inside.values_list("name", "contact")}
        invited, skipped = [], []
        for member in members:
            if (key := _known_by(member.name, member.contact)) in known:
                skipped.append({"name": member.name, "reason": "already_in"})
                continue
            known.add(key)
            participant, token = participants.add(
                locked,
                name=member.name,
                role=Participant.Role.EMPLOYEE,
                contact=member.contact,
                history=history,
                history_count=history_count,
            )
            invited.append({"participant_id": participant.pk, "name": participant.name, "token": token})
    return locked.outcome(locked.live, detail={"invited": invited, "skipped": skipped})


def _known_by(name: str, contact: str) -> tuple[str, str]:
    """What people are told apart by: the address, or the name where there is no address."""
    address = contact.strip().casefold()
    return ("address", address) if address else ("name", name.strip().casefold())
