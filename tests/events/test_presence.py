"""agent.presence: one event for each change of presence, in the tenant's stream, for whoever may see the desk."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.test import Client

from agents_app.actors import Actor
from agents_app.credentials.tokens import issue_token
from agents_app.models import Agent, PresenceChange
from messaging_app import live, search, stream
from messaging_app.models import Operation
from sessions_app.actions import presence, recovery
from sessions_app.events import subscription
from sessions_app.events.subscription import Subscription
from tests.cast import Cast, Chat, Later, refused
from tests.unguarded import delete_operations

ADDRESS = "/api/v1/events"


@pytest.fixture
def told(stamped: Callable[[], None]) -> Callable[..., list[dict[str, Any]]]:
    """All that an actor is told, from the first position on."""

    def events(actor: Actor, **asked: Any) -> list[dict[str, Any]]:
        stamped()
        return subscription.read(actor, Subscription(**asked), 0, 500).events

    return events


@pytest.fixture
def noted(cast: Cast) -> Cast:
    """Everybody's first line is written, and told."""
    assert presence.note_changes() == 4
    return cast


def recorded() -> list[Operation]:
    return list(Operation.objects.filter(type="agent.presence").order_by("pk"))


def declare(actor: Actor, word: str, **more: Any) -> None:
    presence.declare_availability(actor=actor, availability=word, **more)


# --- One change, one event ---


def on_a_break(cast: Cast, later: Later) -> None:
    declare(cast.ann, "break", reason="Lunch.")


def away(cast: Cast, later: Later) -> None:
    """The others are heard of meanwhile."""
    later(61)
    cast.seen("ben", "cat", "sue")
    presence.note_changes()


CHANGES: dict[str, tuple[Any, Any, dict[str, Any], tuple[str, str]]] = {
    "another availability": (
        None,
        lambda cast, later: declare(cast.ann, "training"),
        {"availability": "training", "is_reachable": False},
        ("agent", "Ann"),
    ),
    "another reason": (
        on_a_break,
        lambda cast, later: declare(cast.ann, "break", reason="Still lunch."),
        {"availability": "break", "reason": "Still lunch."},
        ("agent", "Ann"),
    ),
    "available again": (
        on_a_break,
        lambda cast, later: declare(cast.ann, "available"),
        {"availability": "available", "reason": "", "is_reachable": True},
        ("agent", "Ann"),
    ),
    "declared by a supervisor": (
        None,
        lambda cast, later: declare(cast.sue, "busy", agent_id=cast.ann.pk),
        {"availability": "busy"},
        ("agent", "Sue"),
    ),
    "fallen silent": (None, away, {"is_heard": False, "is_reachable": False}, ("system", "system")),
    "come back": (
        away,
        lambda cast, later: presence.heartbeat(actor=cast.ann),
        {"is_heard": True, "is_reachable": True},
        ("agent", "Ann"),
    ),
    "back with another availability": (
        away,
        lambda cast, later: declare(cast.ann, "busy"),
        {"availability": "busy", "is_heard": True, "is_reachable": False},
        ("agent", "Ann"),
    ),
    "declared of somebody who is silent and not noted as that": (
        lambda cast, later: later(61),
        lambda cast, later: declare(cast.sue, "busy", agent_id=cast.ann.pk),
        {"availability": "busy", "is_heard": False},
        ("agent", "Sue"),
    ),
    "another capacity": (
        None,
        lambda cast, later: presence.change_capacity(actor=cast.sue, agent_id=cast.ann.pk, max_load=3),
        {"max_load": 3, "is_reachable": True},
        ("agent", "Sue"),
    ),
    "changed in the admin": (
        lambda cast, later: cast.change("ann", max_load=4),
        lambda cast, later: presence.note_changes(),
        {"max_load": 4},
        ("system", "system"),
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_of_presence_is_one_event_beside_one_line_of_the_presence_log(
    noted: Cast, later: Later, change: str
) -> None:
    prepare, happens, after, by = CHANGES[change]
    if prepare:
        prepare(noted, later)
    known, lines = len(recorded()), PresenceChange.objects.count()
    happens(noted, later)
    [event] = recorded()[known:]
    assert PresenceChange.objects.count() == lines + 1
    assert event.data | after == event.data
    assert (event.data["agent_id"], event.data["name"]) == (noted.ann.id, "Ann")
    assert (event.actor_kind, event.actor_name) == by
    before = [o.data for o in recorded()[:known] if o.data["agent_id"] == noted.ann.id][-1]
    assert event.data["before"] == {
        name: before[name] for name in ("availability", "reason", "is_heard", "max_load", "is_drained")
    }


NOTHING: dict[str, Callable[[Cast, Later], Any]] = {
    "a heartbeat": lambda cast, later: presence.heartbeat(actor=cast.ann),
    "a heartbeat in time": lambda cast, later: (later(59), presence.heartbeat(actor=cast.ann)),
    "a bot's heartbeat": lambda cast, later: presence.heartbeat(actor=cast.bargain),
    "the same declared again": lambda cast, later: declare(cast.ann, "available"),
    "the same capacity": lambda cast, later: presence.change_capacity(
        actor=cast.sue, agent_id=cast.ann.pk, max_load=10
    ),
    "another look of the clock": lambda cast, later: presence.note_changes(),
    "the heartbeat of somebody dismissed": lambda cast, later: (
        cast.change("ann", is_active=False),
        presence.heartbeat(actor=cast.ann),
    ),
}


@pytest.mark.parametrize("what", NOTHING)
def test_what_changes_nothing_is_no_event(noted: Cast, later: Later, what: str) -> None:
    known = len(recorded())
    NOTHING[what](noted, later)
    assert len(recorded()) == known


def test_silence_is_told_once_and_so_is_the_return(noted: Cast, later: Later) -> None:
    known = len(recorded())
    away(noted, later)
    assert presence.note_changes() == 0
    presence.heartbeat(actor=noted.ann)
    presence.heartbeat(actor=noted.ann)
    assert [event.data["is_heard"] for event in recorded()[known:]] == [False, True]


def test_who_is_dismissed_is_told_of_when_nothing_is_heard_any_more(noted: Cast, later: Later) -> None:
    noted.change("ann", is_active=False)
    away(noted, later)
    last = recorded()[-1].data
    assert (last["agent_id"], last["is_heard"], last["is_reachable"]) == (noted.ann.id, False, False)


def test_a_new_agent_is_told_of_with_nothing_before(noted: Cast) -> None:
    known = len(recorded())
    dan = noted.hire("dan", max_load=2)
    assert presence.note_changes() == 1
    [event] = recorded()[known:]
    assert event.data == {
        "agent_id": dan.id,
        "name": "Dan",
        "availability": "available",
        "reason": "",
        "is_heard": True,
        "max_load": 2,
        "is_drained": False,
        "is_reachable": True,
        "before": None,
    }


def test_a_refused_change_and_one_that_is_rolled_back_tell_nothing(noted: Cast) -> None:
    known = len(recorded())
    refused("forbidden", presence.change_capacity, actor=noted.ben, agent_id=noted.ben.pk, max_load=3)
    with transaction.atomic():
        declare(noted.ann, "busy")
        assert len(recorded()) == known + 1
        transaction.set_rollback(True)
    assert len(recorded()) == known
    assert noted.agent("ann").availability == "available"


def test_where_the_event_cannot_be_written_nothing_has_changed(noted: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that dies at the worst moment: after the rows, before the operation."""

    def dies(operations: list[Operation]) -> None:
        raise ConnectionError

    with monkeypatch.context() as patched:
        patched.setattr(stream, "write", dies)
        with pytest.raises(ConnectionError):
            declare(noted.ann, "busy")
    assert noted.agent("ann").availability == "available"


@pytest.mark.usefixtures("failures_are_meant")
def test_one_agent_who_cannot_be_noted_keeps_no_other_from_it(
    noted: Cast, later: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    from config.errors import Busy

    looked_at = presence._noted

    def held_up(tenant_id: int, agent_id: int) -> bool:
        if agent_id == noted.ann.id:
            raise Busy
        return looked_at(tenant_id, agent_id)

    later(61)
    with monkeypatch.context() as patched:
        patched.setattr(presence, "_noted", held_up)
        assert presence.note_changes() == 3
    later(1.5)
    assert presence.note_changes() == 1


# --- In the stream ---


def test_it_stands_in_the_stream_as_it_happened_among_what_happens_in_conversations(
    cast: Cast, told: Callable[..., Any]
) -> None:
    chat = cast.chat()
    chat.robot()
    declare(cast.ann, "busy", reason="In a meeting.")
    chat.says("Hello?")
    declare(cast.ann, "available")
    events = told(cast.ben)
    assert [event["type"] for event in events] == [
        "session.opened",
        "agent.presence",
        "message.created",
        "agent.presence",
    ]
    assert [event["pos"] for event in events] == [1, 2, 3, 4]
    assert [event["seq"] for event in events] == [1, 1, 2, 1]
    first = events[1]
    assert (first["conversation_id"], first["session_id"]) == (None, None)
    assert first["actor"] == {"kind": "agent", "id": str(cast.ann.id), "name": "Ann"}
    assert first["id"] == f"evt_{cast.tenant.pk}_2"
    assert events[3]["data"]["before"]["reason"] == "In a meeting."


@pytest.mark.parametrize(
    ("asked", "types"),
    [
        ({"types": "agent.presence"}, ["agent.presence"]),
        ({"types": "agent.*"}, ["agent.presence"]),
        ({"types": "session.*"}, ["session.opened"]),
        ({"types": "agent.*,session.*"}, ["session.opened", "agent.presence"]),
        ({"conversation": "its"}, ["session.opened"]),
        ({"conversation": "its", "types": "agent.*"}, []),
    ],
    ids=str,
)
def test_it_is_polled_by_its_type_and_left_out_where_a_conversation_is_asked_for(
    chat: Chat, key: Callable[[str], str], asked: dict[str, str], types: list[str]
) -> None:
    chat.robot()
    declare(chat.cast.ann, "busy")
    query = asked | {"after": "0"} | ({"conversation": str(chat.id)} if "conversation" in asked else {})
    answer = Client().get(ADDRESS, query, headers={"Authorization": f"Bearer {key('channel')}"})
    assert answer.status_code == 200, answer.content
    assert [event["type"] for event in answer.json()["events"]] == types


# --- Who is told ---


def test_agents_and_integrators_are_told_and_nobody_of_another_tenant(
    cast: Cast, others: Cast, told: Callable[..., Any]
) -> None:
    declare(cast.ann, "busy")
    for actor in (cast.ann, cast.ben, cast.sue, cast.channel):
        assert [event["data"]["agent_id"] for event in told(actor)] == [str(cast.ann.id)]
    assert told(others.ann) == told(others.channel) == []


def test_whoever_hears_of_some_conversations_only_is_not_told(chat: Chat, told: Callable[..., Any]) -> None:
    """A bot at work here, the customer, and two guests: one of them saw all there is to see."""
    cast = chat.cast
    chat.robot()
    chat.take()
    guests = [chat.guest(history=history) for history in ("all", "none")]
    declare(cast.ann, "break", reason="SECRET")
    presence.change_capacity(actor=cast.sue, agent_id=cast.ann.pk, max_load=3)
    for actor in (cast.bargain, cast.faq, chat.customer, *guests):
        for asked in ({}, {"types": frozenset({"agent.*"})}, {"conversation_id": chat.id}):
            events = told(actor, **asked)
            assert "agent.presence" not in {event["type"] for event in events}
            assert "SECRET" not in str(events)
    assert {event["type"] for event in told(cast.bargain)} >= {"session.opened"}, "the failing control"


def test_a_conversations_token_gives_no_presence_away(chat: Chat) -> None:
    chat.says("Hello?")
    declare(chat.cast.ann, "busy")
    headers = {"Authorization": f"Bearer {issue_token(chat.customer)}"}
    for query in ({"after": "0"}, {"after": "0", "types": "agent.presence"}):
        answer = Client().get(ADDRESS, query, headers=headers)
        assert answer.status_code == 200
        assert "agent.presence" not in {event["type"] for event in answer.json()["events"]}


def test_what_a_bot_missed_and_a_conversations_timeline_have_none_of_it(chat: Chat) -> None:
    cast = chat.cast
    session = chat.robot().session_id or 0
    declare(cast.ann, "busy")
    chat.says("Hello?")
    truth = recovery.recover(actor=cast.bargain, session_id=session)
    assert [operation.type for operation in truth.missed] == ["session.opened", "message.created"]
    assert chat.event_types == ["session.opened", "message.created"]


# --- Hints ---


def test_a_hint_of_it_wakes_who_follows_the_tenant_and_nobody_who_follows_a_conversation(
    noted: Cast, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    hints: list[live.ChangeNotification] = []
    monkeypatch.setattr(live, "announce", hints.extend)
    with django_capture_on_commit_callbacks(execute=True):
        declare(noted.ann, "busy")
    assert hints == [live.ChangeNotification(noted.tenant.pk, None, 1)]

    hub, listener = live.Hub(), live.Listener()
    waiters = {where: live.Waiter(where) for where in (None, 1)}
    hub._listeners[noted.tenant.pk].add(listener)
    hub._followers = {(noted.tenant.pk, where): {waiter: lambda held: ()} for where, waiter in waiters.items()}
    hub._deliver(hints)
    assert {where: waiter.is_notified for where, waiter in waiters.items()} == {None: True, 1: False}
    assert listener._hints.empty(), "a page that shows conversations has nothing to fetch"


def test_whoever_looks_for_lost_hints_finds_those_of_conversations(chat: Chat, stamped: Callable[[], None]) -> None:
    tenant_id = chat.cast.tenant.pk
    chat.robot()
    stamped()
    seen = {tenant_id: live._head(tenant_id)}
    declare(chat.cast.ann, "busy")
    stamped()
    seen, hints = live._news(seen)
    assert hints == []
    chat.says()
    declare(chat.cast.ann, "available")
    stamped()
    seen, hints = live._news(seen)
    assert hints == [live.ChangeNotification(tenant_id, chat.id, 2)]
    assert live._news(seen) == (seen, [])


# --- The record ---


def test_search_passes_over_it(chat: Chat, stamped: Callable[[], None]) -> None:
    declare(chat.cast.ann, "busy")
    chat.says("The lamp is broken.")
    declare(chat.cast.ann, "available")
    stamped()
    while search.index_some():
        pass
    assert search.behind() == {}


def checked() -> tuple[int, str]:
    out = StringIO()
    try:
        call_command("check_stream", stdout=out, stderr=StringIO())
    except SystemExit as end:
        return int(str(end.code)), out.getvalue()
    return 0, out.getvalue()


def test_the_audit_finds_out_when_one_is_changed_or_gone(chat: Chat, stamped: Callable[[], None]) -> None:
    declare(chat.cast.ann, "busy")
    chat.says()
    declare(chat.cast.ann, "available")
    chat.says()
    stamped()
    assert checked() == (0, "1 conversations checked, 0 wrong.\n")
    first, second = recorded()
    with transaction.atomic():
        delete_operations(pk=second.pk)
        told = "tenant shop: the stream: expected 4 operations with a position, found 3\n"
        assert checked() == (1, f"{told}1 conversations checked, 1 wrong.\n")
        transaction.set_rollback(True)
    if connection.vendor != "sqlite":
        return  # elsewhere a trigger goes in other words, or for good
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("DROP TRIGGER operation_fixed")
        Operation.objects.filter(pk=first.pk).update(data=first.data | {"availability": "offline"})
        told = f"tenant shop: operation {first.pk}, of no conversation: expected as it was written, found "
        told += "does not fit the one before it\n"
        assert checked() == (1, f"{told}1 conversations checked, 1 wrong.\n")
        transaction.set_rollback(True)


def test_the_chain_of_one_names_its_tenant(cast: Cast, others: Cast) -> None:
    declare(cast.ann, "busy")
    [event] = recorded()
    assert stream.first_broken_link([event]) is None
    event.tenant_id = others.tenant.pk
    assert stream.first_broken_link([event]) is event


def test_the_events_after_a_snapshot_give_the_agents_of_a_fresh_one(noted: Cast, later: Later) -> None:
    """Invariant 10, for whoever has read GET agents and follows from there."""
    names = ("availability", "reason", "is_heard", "max_load")
    client = {pk: (word, reason, heard, room) for pk, word, reason, heard, room in agents()}
    known = len(recorded())
    declare(noted.ben, "break", reason="Lunch.")
    away(noted, later)
    presence.change_capacity(actor=noted.sue, agent_id=noted.ann.pk, max_load=2)
    presence.heartbeat(actor=noted.ann)
    declare(noted.sue, "busy")
    for event in recorded()[known:]:
        client[event.data["agent_id"]] = tuple(event.data[name] for name in names)
    assert client == {pk: (word, reason, heard, room) for pk, word, reason, heard, room in agents()}


def agents() -> list[tuple[Any, ...]]:
    facts = ("pk", "availability", "availability_reason", "is_heard", "max_load")
    return list(Agent.objects.values_list(*facts))
