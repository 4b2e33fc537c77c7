"""Presence: three facts, each on the presence log when it changes, and what follows from them."""

from __future__ import annotations

from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from agents_app.models import DECLARABLE, ApiClient, PresenceChange
from agents_app.presence import dead, is_alive, reachable
from config import clock
from sessions_app.actions import presence
from sessions_app.tasks import move_on_from_silent_agents, note_presence
from tests.cast import Cast, Later, refused


def presence_log(cast: Cast, name: str = "ann") -> list[tuple[str, bool, int, str]]:
    rows = PresenceChange.objects.filter(agent=cast.agent(name)).order_by("at", "pk")
    return list(rows.values_list("availability", "is_heard", "max_load", "by"))


def is_reachable(cast: Cast, name: str = "ann") -> bool:
    return reachable(clock.now()).filter(pk=cast.agent(name).pk).exists()


def test_what_an_agent_declares_is_kept_with_its_reason_and_since_when(cast: Cast, later: Later) -> None:
    presence.declare_availability(actor=cast.ann, availability="break", reason=" Lunch. ")
    first = cast.agent("ann")
    assert (first.availability, first.availability_reason) == ("break", "Lunch.")
    later(60)
    presence.declare_availability(actor=cast.ann, availability="break", reason="Lunch.")
    assert cast.agent("ann").availability_since == first.availability_since, "a repeat changes nothing"
    presence.declare_availability(actor=cast.ann, availability="training")
    assert presence_log(cast) == [("break", True, 10, "Ann"), ("training", True, 10, "Ann")]


@pytest.mark.parametrize("word", [word for word, _ in DECLARABLE if word != "available"])
def test_only_the_available_are_reachable(cast: Cast, word: str) -> None:
    presence.declare_availability(actor=cast.ann, availability=word)
    assert not is_reachable(cast)


def test_a_supervisor_declares_it_of_others_and_an_agent_does_not(cast: Cast) -> None:
    presence.declare_availability(actor=cast.sue, availability="busy", agent_id=cast.ann.pk, reason="In a meeting.")
    assert presence_log(cast) == [("busy", True, 10, "Sue")]
    refused("forbidden", presence.declare_availability, actor=cast.ben, availability="busy", agent_id=cast.ann.pk)
    refused("forbidden", presence.change_capacity, actor=cast.ben, agent_id=cast.ben.pk, max_load=99)
    refused("malformed", presence.change_capacity, actor=cast.sue, agent_id=cast.ben.pk, max_load=-1)


def test_what_a_supervisor_says_of_an_agent_is_no_heartbeat(cast: Cast, later: Later) -> None:
    later(61)
    presence.declare_availability(actor=cast.sue, availability="available", agent_id=cast.ann.pk)
    assert not is_reachable(cast)


def test_nobody_is_reached_in_another_tenant(cast: Cast, others: Cast) -> None:
    refused("not_found", presence.declare_availability, actor=cast.sue, availability="busy", agent_id=others.ann.pk)
    refused("not_found", presence.change_capacity, actor=cast.sue, agent_id=others.ann.pk, max_load=1)


def test_silence_and_the_return_are_noted_once_each(cast: Cast, later: Later) -> None:
    assert note_presence() == 4  # everybody's first line
    later(59)
    assert note_presence() == 0
    later(2)
    cast.seen("ben", "cat", "sue")
    assert note_presence() == 1
    assert note_presence() == 0
    later(100)
    presence.heartbeat(actor=cast.ann)
    presence.heartbeat(actor=cast.ann)
    assert presence_log(cast) == [
        ("available", True, 10, "clock"),
        ("available", False, 10, "clock"),
        ("available", True, 10, "heartbeat"),
    ]
    assert is_reachable(cast)


def test_a_background_tab_makes_nobody_offline(cast: Cast, later: Later) -> None:
    """Its heartbeat goes on, and says nothing of what was declared."""
    presence.declare_availability(actor=cast.ann, availability="available")
    for _ in range(40):
        later(50)
        presence.heartbeat(actor=cast.ann)
        note_presence()
    assert is_reachable(cast)
    assert presence_log(cast) == [("available", True, 10, "Ann")]


def test_a_change_past_the_verbs_is_noted_by_the_clock(cast: Cast) -> None:
    """The admin changes an agent's row."""
    note_presence()
    cast.change("ann", max_load=3)
    assert note_presence() == 1
    assert presence_log(cast)[-1] == ("available", True, 3, "clock")


def test_less_capacity_than_is_served_ends_nothing(cast: Cast) -> None:
    cast.busy("ann", 3)
    presence.change_capacity(actor=cast.sue, agent_id=cast.ann.pk, max_load=1)
    chat = cast.chat()
    chat.robot()
    refused("no_capacity", chat.take, cast.ann)
    cast.policy()
    presence.change_capacity(actor=cast.sue, agent_id=cast.ann.pk, max_load=10)


@pytest.mark.parametrize(("silence", "moved"), [(299, 0), (301, 1)])
def test_after_the_grace_time_the_sessions_move_on_to_the_team(
    cast: Cast, later: Later, silence: int, moved: int
) -> None:
    team = cast.team("Returns", "ann", "ben")
    team.assignment = "push"
    team.save()
    cast.change("ben", availability="away")
    chat = cast.chat()
    chat.robot()
    chat.escalate(to_team_id=team.pk)
    chat.accept(cast.ann)
    cast.change("ben", availability="available")
    later(silence)
    cast.seen("ben", "cat", "sue")
    assert move_on_from_silent_agents() == moved
    if moved:
        asked: Any = chat.pending
        assert (asked.kind, asked.to_team, asked.offered_to_id) == ("reassignment", team, cast.ben.id)


def test_an_id_that_no_agent_has_is_not_oneself(cast: Cast) -> None:
    refused("not_found", presence.declare_availability, actor=cast.sue, availability="busy", agent_id=0)


def test_the_dead_are_those_that_are_not_alive(cast: Cast) -> None:
    """One rule for one program and for all of them: `dead` looks only at those that can be dead at all."""
    now = clock.now()
    seen = (None, now - timedelta(seconds=61), now)
    ApiClient.objects.bulk_create(
        ApiClient(tenant=cast.tenant, name=str(number), is_active=active, heartbeat_timeout=beats, last_seen_at=at)
        for number, (active, beats, at) in enumerate(product((True, False), (0, 60), seen))
    )
    clients = list(ApiClient.objects.all())
    assert sorted(dead(now)) == sorted(client.pk for client in clients if not is_alive(client, now))
    assert 0 < len(dead(now)) < len(clients)
