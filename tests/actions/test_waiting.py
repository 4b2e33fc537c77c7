"""Queue position and expected wait: measured from what agents did, for the places that could serve."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents_app.models import Agent
from messaging_app.models import Conversation
from sessions_app.models import Transfer
from sessions_app.queries.expected_wait import Waiting, waiting
from sessions_app.states import Kind
from tests.cast import Cast, Chat, Later
from tests.office import FRIDAYS, MONDAYS, berlin, calendar, office


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
    asked(
        cast, to_team_id=cast.team("Other", "ben").pk
    )  # of whom nobody is in the team, and so in front of nobody in it
    for chat in (first, second):
        later(1)  # the queue is in the order of whole milliseconds
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


def test_a_line_is_read_for_nobody_whose_wait_nobody_can_tell(cast: Cast) -> None:
    """Ten thousand in front cost what ten cost, while nothing is measured or nobody is there."""
    cast.policy(transfer_policy="requeue")
    cast.busy("ann", 1)
    cast.chat().queue()
    last = cast.chat().queue().row

    def is_read() -> bool:
        with CaptureQueriesContext(connection) as queries:
            waiting(last)
        return any("MIN(" in query["sql"] for query in queries.captured_queries)

    assert not is_read(), "nothing is measured"
    cast.change("ann", max_load=5)
    assert is_read(), "there are places, and whether one is left depends on the line"
    Agent.objects.filter(tenant=cast.tenant).update(last_seen_at=None)
    assert not is_read(), "nobody is there"


# --- Who can, and whether anybody does -----------------------------------------------------------------------------


def asked(cast: Cast, **more: object) -> Chat:
    chat = cast.chat()
    chat.robot()
    chat.escalate(**more)
    return chat


@pytest.mark.parametrize(
    ("skills", "seconds"), [({}, None), ({"zh": 2}, None), ({"zh": 3}, 0), ({"zh": 5, "returns": 1}, 0)]
)
def test_only_those_who_have_what_is_needed_count(cast: Cast, skills: dict[str, int], seconds: int | None) -> None:
    cast.change("ann", skills=skills)
    assert told(asked(cast, needs={"zh": 3})) == Waiting(1, seconds)


def test_what_the_team_needs_counts_too(cast: Cast) -> None:
    team = cast.team("Chinese", "ann")
    team.needs = {"zh": 1}
    team.save()
    chat = asked(cast, to_team_id=team.pk)
    assert told(chat) == Waiting(1, None)
    cast.change("ann", skills={"zh": 1})
    assert told(chat) == Waiting(1, 0)


def test_somebody_who_gets_nothing_new_is_nobody_to_wait_for(cast: Cast, later: Later) -> None:
    served(cast, later, 100)
    cast.change("ann", is_drained=True)
    assert told(cast.chat().queue()) == Waiting(1, None)


def test_a_free_place_that_nobody_takes_promises_nothing(cast: Cast, later: Later) -> None:
    """Ann is there and has room, and takes nothing for ten minutes."""
    cast.policy(transfer_policy="requeue")
    head = cast.chat().queue()
    later(600)
    cast.seen("ann")
    head.sweep()
    cast.change("ann", max_load=5)
    second = cast.chat().queue()
    for chat, place in ((head, 1), (second, 2)):
        found = told(chat)
        assert found is not None
        assert (found.position, found.seconds) == (place, pytest.approx(600, abs=15))
        assert found.seconds is not None
        assert found.seconds >= 600


def test_what_waits_for_another_team_says_nothing_of_this_one(cast: Cast, later: Later) -> None:
    asked(cast, to_team_id=cast.team("Empty").pk)
    later(200)
    cast.seen("ann")
    found = told(asked(cast, to_team_id=cast.team("Here", "ann").pk))
    assert found == Waiting(2, 0)


@pytest.mark.parametrize("in_front", ["anybody", "Ann", "a team of Ann's"])
@pytest.mark.parametrize("asks", ["a team of Ann's", "Ann"])
def test_whom_the_same_places_serve_is_in_front(cast: Cast, later: Later, in_front: str, asks: str) -> None:
    """Ann's one place is free, and three wait for it who have asked otherwise."""
    cast.policy(transfer_policy="requeue")
    for number in range(3):
        asked(cast, **whom(cast, in_front, f"team {number}"))
    later(250)
    cast.seen("ann")
    last = asked(cast, **whom(cast, asks, "the last"))
    assert told(last) == Waiting(4, None), "three for one place, and nothing measured"
    cast.change("ann", max_load=4)
    found = told(last)
    assert found is not None
    assert found.seconds is not None
    assert found.seconds >= 250, "nobody in front has been taken for so long"


def whom(cast: Cast, named: str, team: str) -> dict[str, object]:
    if named == "anybody":
        return {}
    return {"to_agent_id": cast.ann.pk} if named == "Ann" else {"to_team_id": cast.team(team, "ann").pk}


def test_who_has_just_declined_is_nobody_to_wait_for(cast: Cast) -> None:
    cast.policy(transfer_policy="requeue")
    chat = asked(cast, to_agent_id=cast.ann.pk)
    assert told(chat) == Waiting(1, 0)
    chat.decline(cast.ann)
    assert told(chat) == Waiting(1, None)
    cast.seen("ben")
    cast.change("ben", max_load=3)
    assert told(chat) == Waiting(1, 0), "a colleague may take it"


@pytest.mark.parametrize("whose", ["the tenant's", "the team's"])
def test_whoever_asked_just_before_the_closing_is_told_nothing_while_it_is_closed(
    cast: Cast, later: Later, whose: str
) -> None:
    cast.policy(transfer_policy="requeue")
    team = cast.team("Returns", "ann")
    if whose == "the tenant's":
        office(cast)
    else:
        team.calendar = calendar(cast)
        team.save()
    later.until(berlin(FRIDAYS["spring"], "16:59"))
    cast.seen("ann")
    chat = asked(cast, to_team_id=team.pk)
    assert told(chat) == Waiting(1, 0)
    later(180)
    cast.seen("ann")
    assert chat.pending.opens_at is None
    assert told(chat) == Waiting(1, None)


def test_while_it_is_closed_nobody_knows(cast: Cast, later: Later) -> None:
    office(cast)
    later.until(berlin(FRIDAYS["spring"], "18:00"))
    cast.seen("ann")
    chat = cast.chat().queue()
    assert told(chat) == Waiting(1, None)
    later.until(berlin(MONDAYS["spring"], "09:00"), 60)
    cast.seen("ann")
    found = told(chat)
    assert found is not None
    assert found.seconds == pytest.approx(60, abs=15), "the night does not count"


# --- Who is in front, exactly --------------------------------------------------------------------------------------


def test_who_asked_twice_is_one_in_front(cast: Cast, later: Later) -> None:
    team = cast.team("Returns", "ann")
    cast.policy(default_team=team, transfer_policy="requeue")
    served(cast, later, 600, to_team_id=team.pk)
    cast.busy("ann", 1)
    first = cast.chat()
    for kind in (Kind.MANUAL_CUSTOMER_SERVICE, Kind.MANUAL_COMPLAINT):
        first.opens(cast.channel, kind)
    assert Transfer.objects.filter(conversation_id=first.id, status="PENDING").count() == 2
    found = told(asked(cast, to_team_id=team.pk))
    assert found is not None
    assert (found.position, found.seconds) == (2, pytest.approx(1200, abs=10))


def test_of_those_who_asked_in_the_same_millisecond_each_has_a_place(cast: Cast) -> None:
    chats = [cast.chat().queue() for _ in range(3)]
    Conversation.objects.filter(pk__in=[chat.id for chat in chats]).update(desk_order=1)
    assert [found.position for found in map(told, chats) if found] == [1, 2, 3]


def test_a_team_that_serves_as_many_as_it_may_has_no_place_whatever_its_members_have(cast: Cast, later: Later) -> None:
    team = cast.team("Small", "ann")
    team.capacity = 1
    team.save()
    cast.change("ann", max_load=5)
    served(cast, later, 600, to_team_id=team.pk)
    chat = asked(cast, to_team_id=team.pk)
    assert told(chat) == Waiting(1, 0)
    chat.accept()
    found = told(asked(cast, to_team_id=team.pk))
    assert found is not None
    assert found.seconds == pytest.approx(600, abs=10), "Ann has four places left, and the team none"
