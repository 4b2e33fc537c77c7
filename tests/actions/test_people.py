"""The other people in a conversation: colleagues, guests with a link, and how much they see."""

from __future__ import annotations

from typing import Any

import pytest

from agents_app.credentials.secrets import digest
from messaging_app.thread import NewMessage
from sessions_app.actions import messages, participants, presence
from sessions_app.models import Participant
from sessions_app.rights import visible
from sessions_app.states import ParticipantStatus
from tests.cast import Cast, Chat, Later, refused


def invite(chat: Chat, name: str = "ben", by: str = "ann") -> Any:
    cast = chat.cast
    return participants.invite_colleague(actor=getattr(cast, by), conversation_id=chat.id, agent_id=cast.agent(name).pk)


# --- Colleagues ---


def test_an_invited_colleague_is_in_at_once_and_may_speak_and_is_no_owner(chat: Chat) -> None:
    cast = chat.cast
    chat.serve()
    epoch = chat.epoch
    refused("forbidden", chat.speaks, cast.ben)
    invite(chat)
    chat.speaks(cast.ben, "I can help with that.")
    assert (chat.live.agent_id, chat.epoch, chat.event_types[-2]) == (cast.ann.id, epoch, "collaborator.joined")
    refused("forbidden", chat.resolve, cast.ben)
    refused("forbidden", chat.release, cast.ben)


def test_a_collaborator_may_invite_another(chat: Chat) -> None:
    chat.serve()
    invite(chat)
    invite(chat, "cat", by="ben")
    chat.speaks(chat.cast.cat)


@pytest.mark.parametrize(
    ("whom", "code"),
    [
        ("ann", "already_in"),
        ("ben", "already_in"),
        ("gone", "not_found"),
        ("nobody", "not_found"),
        ("abroad", "not_found"),
        ("asleep", "not_available"),
        ("offline", "not_available"),
    ],
)
def test_who_cannot_be_invited(chat: Chat, others: Cast, later: Later, whom: str, code: str) -> None:
    cast = chat.cast
    chat.serve()
    invite(chat)
    cast.hire("gone", is_active=False)
    cast.hire("asleep", last_seen_at=None)
    cast.hire("offline", availability="offline")
    agent_id = {"nobody": 10**9, "abroad": others.agent("ann").pk}.get(whom) or cast.agent(whom).pk
    refused(code, participants.invite_colleague, actor=cast.ann, conversation_id=chat.id, agent_id=agent_id)


@pytest.mark.parametrize("state", ["nothing", "bot", "queue", "ended"])
def test_colleagues_are_invited_only_where_somebody_serves(chat: Chat, state: str) -> None:
    if state != "nothing":
        chat.robot()
    if state == "queue":
        chat.escalate()
    if state == "ended":
        chat.take()
        chat.resolve()
    refused("not_serving", invite, chat)


def test_a_colleague_leaves_and_speaks_no_more(chat: Chat) -> None:
    cast = chat.cast
    chat.serve()
    invite(chat)
    participants.leave(actor=cast.ben, conversation_id=chat.id)
    refused("forbidden", chat.speaks, cast.ben)
    assert participants.leave(actor=cast.ben, conversation_id=chat.id).is_repeat
    refused("not_found", participants.leave, actor=cast.cat, conversation_id=chat.id)
    invite(chat)  # and may be asked again
    chat.speaks(cast.ben)


def test_the_owner_cannot_leave(chat: Chat) -> None:
    chat.serve()
    refused("owner_cannot_leave", participants.leave, actor=chat.cast.ann, conversation_id=chat.id)


def test_a_colleague_may_be_removed_by_the_owner(chat: Chat) -> None:
    chat.serve()
    there = invite(chat)
    removed = {"conversation_id": chat.id, "participant_id": there.participant_id}
    refused("forbidden", participants.remove_participant, actor=chat.cast.ben, **removed)
    participants.remove_participant(actor=chat.cast.ann, **removed)
    refused("forbidden", chat.speaks, chat.cast.ben)
    assert participants.remove_participant(actor=chat.cast.ann, **removed).is_repeat


def test_who_grabs_a_conversation_one_collaborates_in_is_its_owner(chat: Chat) -> None:
    cast = chat.cast
    chat.serve()
    invite(chat)
    chat.grab(cast.ben)
    refused("owner_cannot_leave", participants.leave, actor=cast.ben, conversation_id=chat.id)


# --- Guests ---


def guest_link(chat: Chat, **more: Any) -> Any:
    return participants.invite_participant(actor=chat.cast.ann, conversation_id=chat.id, name="Gus", **more)


def test_a_link_lets_one_person_in_once(chat: Chat) -> None:
    cast = chat.cast
    chat.serve()
    invited = guest_link(chat)
    assert digest(invited.token) == Participant.objects.get().token_hash  # only the digest is kept
    assert invited.token not in str([o.data for o in chat.operations])
    joined = participants.join(tenant_id=cast.tenant.pk, token=invited.token)
    assert joined.participant_id == invited.participant_id
    refused("not_found", participants.join, tenant_id=cast.tenant.pk, token=invited.token)
    used = Participant.objects.get()
    assert (used.status, used.token_hash) == (ParticipantStatus.JOINED, None)
    assert chat.event_types[-2:] == ["participant.invited", "participant.joined"]


def test_a_used_a_withdrawn_a_foreign_and_an_invented_link_are_refused_alike(chat: Chat, others: Cast) -> None:
    chat.serve()
    used, withdrawn, foreign = (guest_link(chat) for _ in range(3))
    participants.join(tenant_id=chat.cast.tenant.pk, token=used.token)
    participants.remove_participant(
        actor=chat.cast.ann, conversation_id=chat.id, participant_id=withdrawn.participant_id
    )
    tries = [
        (chat.cast.tenant.pk, used.token),
        (chat.cast.tenant.pk, withdrawn.token),
        (others.tenant.pk, foreign.token),
        (chat.cast.tenant.pk, "invented"),
    ]
    said = {str(refused("not_found", participants.join, tenant_id=tenant, token=token)) for tenant, token in tries}
    assert len(said) == 1


def test_a_guest_speaks_after_joining_and_not_after_leaving_or_removal(chat: Chat) -> None:
    cast = chat.cast
    chat.serve()
    invited = guest_link(chat)
    guest = chat.participant_actor(invited.participant_id)
    refused("not_found", chat.speaks, guest)
    participants.join(tenant_id=cast.tenant.pk, token=invited.token)
    chat.speaks(guest, "Hello from the warehouse.")
    participants.leave(actor=guest, conversation_id=chat.id)
    refused("not_found", chat.speaks, guest)

    second = chat.guest()
    participants.remove_participant(actor=cast.ann, conversation_id=chat.id, participant_id=second.pk)
    refused("not_found", chat.speaks, second)
    assert chat.said == ["Hello from the warehouse."]


def test_a_guest_is_bound_to_the_conversation_of_the_link(chat: Chat) -> None:
    chat.serve()
    guest = chat.guest()
    other = chat.cast.chat().serve()
    refused("not_found", other.speaks, guest)
    refused("not_found", participants.leave, actor=guest, conversation_id=other.id)


@pytest.mark.parametrize(
    "wrong",
    [
        {"role": "owner"},
        {"role": "collaborator"},
        {"history": "some"},
        {"name": " "},
        {"history": "last", "history_count": 0},
    ],
    ids=str,
)
def test_what_is_no_invitation_is_refused(chat: Chat, wrong: dict[str, Any]) -> None:
    chat.serve()
    refused(
        "malformed",
        participants.invite_participant,
        **({"actor": chat.cast.ann, "conversation_id": chat.id, "name": "Gus"} | wrong),
    )


@pytest.mark.parametrize(
    ("mode", "sees"),
    [
        ({"history": "none"}, ["after joining"]),
        ({"history": "from_now"}, ["after inviting", "after joining"]),
        ({"history": "last", "history_count": 2}, ["second", "after inviting", "after joining"]),
        ({"history": "last", "history_count": 99}, ["first", "second", "after inviting", "after joining"]),
        ({"history": "all"}, ["first", "second", "after inviting", "after joining"]),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_a_guest_sees_the_history_as_shared_and_never_a_note(
    chat: Chat, later: Later, mode: dict[str, Any], sees: list[str]
) -> None:
    cast = chat.cast
    chat.serve()

    def time_passes_and(content: str) -> None:
        later(10)
        chat.says(content)
        messages.post_note(actor=cast.ann, conversation_id=chat.id, words=NewMessage(content=f"note: {content}"))
        later(10)

    time_passes_and("first")
    time_passes_and("second")
    invited = guest_link(chat, **mode)
    guest = Participant.objects.get(pk=invited.participant_id)
    assert list(visible.visible_to(guest)) == []  # nothing before joining
    time_passes_and("after inviting")
    participants.join(tenant_id=cast.tenant.pk, token=invited.token)
    time_passes_and("after joining")
    guest.refresh_from_db()
    assert [m.content for m in visible.visible_to(guest)] == sees
    participants.leave(actor=chat.participant_actor(guest.pk), conversation_id=chat.id)
    guest.refresh_from_db()
    assert list(visible.visible_to(guest)) == []


def test_a_colleague_sees_all_and_the_notes(chat: Chat) -> None:
    cast = chat.cast
    chat.serve()
    chat.says("first")
    messages.post_note(actor=cast.ann, conversation_id=chat.id, words=NewMessage(content="note"))
    there = invite(chat)
    seen = visible.visible_to(Participant.objects.get(pk=there.participant_id))
    assert [m.content for m in seen] == ["first", "note"]


def test_presence_is_three_facts_that_are_not_mixed(chat: Chat, later: Later) -> None:
    """Lesson 14: a background tab is not offline, and a heartbeat says nothing of availability."""
    cast = chat.cast
    chat.serve()
    presence.declare_availability(actor=cast.ben, availability="break")
    presence.heartbeat(actor=cast.ben)
    assert cast.agent("ben").availability == "break"
    refused("not_available", invite, chat)
    presence.declare_availability(actor=cast.ben, availability="available")
    later(59)
    invite(chat)
    later(2)
    refused("not_available", invite, chat, "cat")
    presence.heartbeat(actor=cast.cat)
    cast.change("ann", last_seen_at=None)
    invite(chat, "cat")
    refused("malformed", presence.declare_availability, actor=cast.ben, availability="dead")
    refused("forbidden", presence.declare_availability, actor=cast.bargain, availability="busy")
