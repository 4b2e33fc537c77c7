"""Queue position and expected wait: measured from what agents did, for the places that could serve."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents_app.models import Agent
from sessions_app.models import Transfer
from sessions_app.waiting import Waiting, waiting
from tests.cast import Cast, Chat, Later


@pytest.fixture(autouse=True)
def _one_agent_with_one_place(cast: Cast) -> None:
    """Ann alone is at her desk, and takes one conversation at a time."""
    Agent.objects.filter(tenant=cast.tenant).exclude(pk=cast.ann.pk).update(last_seen_at=None)
    cast.change("ann", max_load=1)


def served(cast: Cast, later: Later, seconds: float, how: str = "resolve", **asked: object) -> Chat:
    """Ann needs so long for one who waited."""
    chat = cast.chat()
    chat.robot()
    chat.escalate(**asked)
    cast.seen("ann")
    chat.accept()
    later(seconds)
    cast.seen("ann")
    {"resolve": chat.resolve, "release": chat.release, "reassign": chat.reassign}[how]()
    return chat


def told(chat: Chat) -> Waiting | None:
    return waiting(chat.row)


def test_who_does_not_wait_has_no_place(chat: Chat) -> None:
    chat.robot()
    assert told(chat) is None
    assert "queue_position" not in chat.says().detail


def test_a_free_place_is_now(chat: Chat) -> None:
    chat.queue()
    assert told(chat) == Waiting(1, 0)
    assert chat.says().detail == {"queue_position": 1, "expected_wait": 0}


def test_nothing_measured_is_unknown_and_not_nothing(cast: Cast, chat: Chat) -> None:
    cast.busy("ann", 1)
    chat.queue()
    assert told(chat) == Waiting(1, None)
    assert chat.says().detail == {"queue_position": 1, "expected_wait": None}


@pytest.mark.parametrize("how", ["resolve", "release"])
def test_the_mean_of_what_agents_needed(cast: Cast, later: Later, how: str) -> None:
    served(cast, later, 100, how)
    served(cast, later, 300, how)
    cast.busy("ann", 1)
    line = [cast.chat().queue() for _ in range(3)]
    for place, chat in enumerate(line, 1):
        found = told(chat)
        assert found is not None
        assert found.position == place
        assert found.seconds == pytest.approx(200 * place, abs=5 * place)


def test_an_agent_who_went_away_has_served_until_then(cast: Cast, later: Later) -> None:
    served(cast, later, 100, "reassign")
    (brought,) = Transfer.objects.exclude(served_until=None)
    assert (brought.kind, brought.accepted_by_id) == ("escalation", cast.ann.pk)


def test_a_handover_in_between_is_one_service(cast: Cast, later: Later) -> None:
    chat = cast.chat().queue()
    chat.accept()
    later(100)
    chat.hand_over(to_agent_id=cast.ben.id)
    chat.accept(cast.ben)
    later(100)
    chat.resolve(cast.ben)
    (brought,) = Transfer.objects.exclude(served_until=None)
    assert brought.kind == "escalation"
    assert brought.ended_at is not None
    assert brought.served_until is not None
    assert (brought.served_until - brought.ended_at).total_seconds() == pytest.approx(200, abs=5)


def test_what_the_shops_own_people_or_nobody_did_is_not_measured(cast: Cast, later: Later) -> None:
    answered = cast.chat().queue()
    answered.echo()
    later(1801)
    answered.sweep()
    timed_out = cast.chat().queue()
    later(301)
    timed_out.sweep()
    assert not Transfer.objects.exclude(served_until=None).exists()


def test_only_the_last_fifty_and_the_last_day_count(cast: Cast, later: Later) -> None:
    served(cast, later, 4000)
    for _ in range(50):
        served(cast, later, 60)
    cast.busy("ann", 1)
    chat = cast.chat().queue()
    found = told(chat)
    assert found is not None
    assert found.seconds == pytest.approx(60, abs=5)
    later(24 * 3600 + 60)
    cast.seen("ann")
    chat.sweep()
    assert told(cast.chat().queue()) == Waiting(1, None)


def test_a_team_is_measured_by_itself_and_waited_for_alone(cast: Cast, later: Later) -> None:
    team = cast.team("Returns", "ann")
    served(cast, later, 600, to_team_id=team.pk)
    served(cast, later, 60)
    cast.busy("ann", 1)
    first, second = cast.chat(), cast.chat()
    cast.chat().queue()  # waits for anybody, and is in front of nobody who waits for the team
    for chat in (first, second):
        chat.robot()
        chat.escalate(to_team_id=team.pk)
    assert [found.position for found in map(told, (first, second)) if found] == [2, 3]
    assert [found.seconds for found in map(told, (first, second)) if found] == [
        pytest.approx(600, abs=10),
        pytest.approx(1200, abs=20),
    ]
    other = cast.team("Empty")
    third = cast.chat()
    third.robot()
    third.escalate(to_team_id=other.pk)
    assert told(third) == Waiting(4, None), "nobody of that team is there"


def test_a_team_without_a_measure_of_its_own_takes_the_tenants(cast: Cast, later: Later) -> None:
    served(cast, later, 120)
    team = cast.team("New", "ann")
    cast.busy("ann", 1)
    chat = cast.chat()
    chat.robot()
    chat.escalate(to_team_id=team.pk)
    found = told(chat)
    assert found is not None
    assert found.seconds == pytest.approx(120, abs=5)


def test_another_tenants_line_and_agents_do_not_count(cast: Cast, others: Cast, later: Later) -> None:
    served(others, later, 900)
    others.chat().queue()
    cast.seen("ann")
    cast.busy("ann", 1)
    assert told(cast.chat().queue()) == Waiting(1, None)


def test_it_costs_the_same_however_long_the_line(cast: Cast, later: Later) -> None:
    costs = []
    for _ in range(2):
        for _ in range(5):
            served(cast, later, 60)
        cast.busy("ann", 1)
        cast.change("ann", max_load=Agent.objects.get(pk=cast.ann.pk).max_load + 1)
        chats = [cast.chat().queue() for _ in range(10)]
        last = chats[-1].row
        with CaptureQueriesContext(connection) as queries:
            waiting(last)
        costs.append(len(queries))
        cast.busy("ann", 1)
        cast.change("ann", max_load=Agent.objects.get(pk=cast.ann.pk).max_load + 1)
    assert costs[0] == costs[1] <= 5
