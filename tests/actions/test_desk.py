"""The desk: marks that may be set twice, resolving, flags that stay until a human looked, and the order of the list."""

from __future__ import annotations

import pytest

from messaging_app.models import Conversation, ReadCursor, Tier
from sessions_app.actions import conversations, lifecycle
from sessions_app.states import Kind, Priority, Status
from tests.cast import Cast, Chat, Later, refused

MARKS = [
    (conversations.pin, conversations.unpin, "pinned_at", "conversation.pinned", "conversation.unpinned"),
    (conversations.todo, conversations.untodo, "todo_at", "conversation.todo_set", "conversation.todo_cleared"),
    (
        conversations.mark_urgent,
        conversations.unmark_urgent,
        "is_urgent",
        "conversation.urgent_set",
        "conversation.urgent_cleared",
    ),
]


@pytest.mark.parametrize(("mark", "unmark", "column", "marked", "unmarked"), MARKS, ids=["pin", "to do", "urgent"])
def test_a_mark_set_twice_is_set_and_recorded_once(
    chat: Chat, mark: object, unmark: object, column: str, marked: str, unmarked: str
) -> None:
    named = {"actor": chat.cast.ann, "conversation_id": chat.id}
    unmark(**named)  # type: ignore[operator]
    assert chat.event_types == []
    for _ in range(2):
        mark(**named)  # type: ignore[operator]
    assert getattr(chat.row, column)
    assert chat.event_types == [marked]
    for _ in range(2):
        unmark(**named)  # type: ignore[operator]
    assert not getattr(chat.row, column)
    assert chat.event_types == [marked, unmarked]
    assert chat.epoch == 0  # a mark is nobody's turn


def test_resolving_ends_what_one_serves_and_repeats_harmlessly(chat: Chat) -> None:
    chat.serve()
    conversations.mark_urgent(actor=chat.cast.ann, conversation_id=chat.id)
    live = chat.live.pk
    first = chat.resolve(reason="Refunded.")
    assert (first.session_id, first.status, first.controller) == (live, Status.COMPLETED, "none")
    assert (chat.row.tier, chat.row.is_urgent, chat.sessions[0].reason) == (Tier.RESOLVED, False, "Refunded.")
    seq = chat.row.seq
    again = chat.resolve()
    assert (again.is_repeat, again.session_id, again.status, chat.row.seq) == (True, live, Status.COMPLETED, seq)


@pytest.mark.parametrize("state", ["nothing", "bot", "queue", "manual waits", "cancelled"])
def test_only_what_is_served_is_resolved(chat: Chat, state: str) -> None:
    if state in ("bot", "queue"):
        chat.robot()
    if state == "queue":
        chat.escalate()
    if state == "manual waits":
        chat.escalate(chat.cast.channel)
    if state == "cancelled":
        lifecycle.cancel_session(actor=chat.cast.bargain, session_id=chat.robot().session_id or 0)
    refused("not_serving", chat.resolve)


def test_a_supervisor_resolves_for_an_agent_on_record(chat: Chat) -> None:
    chat.serve()
    chat.resolve(chat.cast.sue)
    assert [o.actor_name for o in chat.operations if o.type == "session.completed"] == ["Sue"]


def test_resolving_a_manual_session_lets_the_robot_go_on(chat: Chat) -> None:
    robot = chat.robot()
    chat.human()
    answer = chat.resolve()
    assert (answer.controller, chat.live.pk) == ("bot", robot.session_id)


# --- Flags ---


def test_a_flag_stays_until_a_human_has_looked(chat: Chat) -> None:
    cast = chat.cast
    chat.robot()
    conversations.raise_flag(actor=cast.bargain, conversation_id=chat.id, reason="Unsure.")
    for act in (
        chat.says,
        lambda: chat.speaks(cast.bargain),
        chat.sweep,
        lambda: conversations.pin(actor=cast.ann, conversation_id=chat.id),
    ):
        act()
        assert (chat.row.needs_human, chat.row.tier, chat.controller) == (True, Tier.NEEDS_HUMAN, "bot")
    lifecycle.complete_session(actor=cast.bargain, session_id=chat.live.pk)
    assert (chat.row.needs_human, chat.row.tier) == (True, Tier.NEEDS_HUMAN)
    conversations.acknowledge(actor=cast.ann, conversation_id=chat.id)
    assert (chat.row.needs_human, chat.row.need, chat.row.tier) == (False, {}, Tier.RESOLVED)


def test_a_flag_raised_twice_and_acknowledged_twice_is_recorded_once_each(chat: Chat) -> None:
    for _ in range(2):
        conversations.raise_flag(actor=chat.cast.channel, conversation_id=chat.id, reason="Unsure.")
    for _ in range(2):
        conversations.acknowledge(actor=chat.cast.ann, conversation_id=chat.id)
    assert chat.event_types == ["attention.raised", "attention.cleared"]


@pytest.mark.parametrize("looks", ["take", "accept", "open"])
def test_serving_is_looking(chat: Chat, looks: str) -> None:
    chat.robot()
    conversations.raise_flag(actor=chat.cast.bargain, conversation_id=chat.id)
    if looks == "accept":
        chat.escalate()
    {"take": chat.take, "accept": chat.accept, "open": chat.human}[looks]()
    assert (chat.row.needs_human, chat.event_types.count("attention.cleared")) == (False, 1)


def test_waiting_is_counted_from_the_flag_on(chat: Chat, later: Later) -> None:
    chat.robot()
    conversations.raise_flag(actor=chat.cast.bargain, conversation_id=chat.id)
    since = chat.row.waiting_since
    later(60)
    chat.escalate()
    assert since is not None
    assert (chat.row.waiting_since, chat.pending.waiting_since) == (since, since)


# --- Reading ---


def test_reading_moves_forward_only_and_is_no_change_of_the_turn(chat: Chat, others: Cast) -> None:
    cast = chat.cast
    for _ in range(3):
        chat.says()
    seq = chat.row.seq
    for read in (2, 3, 1):
        conversations.mark_read(actor=cast.ann, conversation_id=chat.id, seq=read)
    assert ReadCursor.objects.get().seq == 3
    conversations.mark_read(actor=cast.ben, conversation_id=chat.id, seq=1)
    assert ReadCursor.objects.count() == 2
    assert chat.row.seq == seq


# --- The order of the list ---


def listed(cast: Cast) -> list[int]:
    return list(
        Conversation.objects.filter(tenant=cast.tenant)
        .order_by("tier", "desk_order", "pk")
        .values_list("pk", flat=True)
    )


def test_the_list_is_ordered_by_tier_then_waiting_time_then_last_activity(cast: Cast, later: Later) -> None:
    names = (
        "urgent", "urgent and quiet", "queued first", "queued later", "flagged first", "flagged later",
        "spoken to last", "spoken to before", "resolved last", "resolved before",
    )  # fmt: skip
    chats = {name: cast.chat(name) for name in names}

    # built in an order that is none of the list's
    for name in ("resolved before", "resolved last"):
        chats[name].says()
        chats[name].human()
        chats[name].speaks(cast.ann)
        chats[name].resolve()
        later(10)
    for name in ("flagged first", "flagged later"):
        chats[name].robot()
        conversations.raise_flag(actor=cast.bargain, conversation_id=chats[name].id)
        later(10)
    for name in ("spoken to before", "spoken to last"):
        chats[name].robot()
        chats[name].says()
        later(10)
    chats["queued first"].queue()
    later(10)
    chats["queued later"].escalate(cast.channel)
    later(10)
    chats["queued later"].says("I said something last, and wait less long.")
    later(10)
    chats["urgent and quiet"].human(cast.ben)
    conversations.mark_urgent(actor=cast.ben, conversation_id=chats["urgent and quiet"].id)
    later(10)
    chats["urgent"].escalate(cast.channel, urgent=True)

    by_id = {chat.id: name for name, chat in chats.items()}
    assert [by_id[pk] for pk in listed(cast)] == list(names)


@pytest.mark.parametrize(
    ("prepare", "tier"),
    [
        (lambda c: None, Tier.RESOLVED),
        (lambda c: c.says(), Tier.RESOLVED),
        (lambda c: c.robot(), Tier.ACTIVE),
        (lambda c: c.robot(priority=Priority.EMERGENCY), Tier.EMERGENCY),
        (lambda c: c.serve(), Tier.ACTIVE),
        (lambda c: c.queue(), Tier.HAND_RAISED),
        (lambda c: c.escalate(c.cast.channel), Tier.HAND_RAISED),
        (lambda c: (c.serve(), c.reassign()), Tier.HAND_RAISED),
        (lambda c: c.opens(c.cast.ann, Kind.MANUAL_URGENT), Tier.EMERGENCY),
        (lambda c: (c.queue(), c.withdraw(c.cast.sue)), Tier.NEEDS_HUMAN),
        (lambda c: (c.serve(), c.resolve()), Tier.RESOLVED),
    ],
    ids=[
        "new",
        "spoken",
        "bot",
        "raised bot",
        "served",
        "queue",
        "manual waits",
        "reassigned",
        "emergency",
        "came back",
        "resolved",
    ],
)
def test_each_conversation_is_in_its_tier(chat: Chat, prepare: object, tier: Tier) -> None:
    prepare(chat)  # type: ignore[operator]
    assert chat.row.tier == tier
