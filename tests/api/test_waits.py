"""What the API says of how long a customer waits: until somebody is there, and against what was promised."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from config.clock import utc
from sessions_app.actions import sweep
from tests.api.world import Caller, agent, bearer, program
from tests.cast import Cast, Chat, Later
from tests.office import FRIDAYS, MINUTE, MONDAYS, berlin, levels, office

pytestmark = pytest.mark.django_db
OPENS = berlin(MONDAYS["spring"], "09:00")


def _ids(caller: Caller, **query: Any) -> set[int]:
    answer = caller.get("conversations", **query)
    assert answer.status_code == 200, answer.content
    return {int(row["id"]) for row in answer.json()["results"]}


@pytest.fixture
def closed(chat: Chat, later: Later) -> Chat:
    office(chat.cast)
    later.until(berlin(FRIDAYS["spring"], "18:00"))
    return chat


def test_everybody_who_waits_is_told_when_it_opens(closed: Chat, cast: Cast) -> None:
    cast.rule("keyword", phrases=["a human"])
    closed.robot()
    channel = program(cast, "channel")
    body = {"conversation_id": str(closed.id), "content": "Get me a human!"}
    answer = channel.post("inbound", body).json()
    assert answer["detail"] == {"opens_at": utc(OPENS), "queue_position": 1, "expected_wait": None}
    assert channel.post("inbound", body | {"content": "Hello?"}).json()["detail"]["opens_at"] == utc(OPENS)
    transfer = channel.get(f"transfers/{closed.pending.pk}").json()
    assert transfer["opens_at"] == "2026-03-30T07:00:00Z"
    for caller in (channel, bearer(closed.customer), agent(cast, "ann")):
        assert caller.get(f"conversations/{closed.id}").json()["opens_at"] == "2026-03-30T07:00:00Z"
        assert [row["opens_at"] for row in caller.get("conversations").json()["results"]] == ["2026-03-30T07:00:00Z"]


def test_who_waits_for_nobody_or_for_somebody_who_is_there_is_told_no_opening(
    closed: Chat, cast: Cast, later: Later
) -> None:
    channel = program(cast, "channel")
    closed.robot()
    assert channel.get(f"conversations/{closed.id}").json()["opens_at"] is None
    closed.escalate()
    later.until(OPENS, MINUTE)
    assert channel.get(f"conversations/{closed.id}").json()["opens_at"] is None
    told = closed.says().detail
    assert told["queue_position"] == 1
    assert told["expected_wait"] >= MINUTE, "nobody has taken it for so long"


def test_what_became_an_email_says_so(closed: Chat, cast: Cast, settings: Any) -> None:
    settings.EMAIL_URL = "memory://"
    cast.policy(after_hours="email", email="desk@example.org")
    closed.robot()
    answer = program(cast, "bargain").post(f"conversations/{closed.id}/escalate", {"reason": "refund"}).json()
    assert (answer["status"], answer["controller"]) == ("COMPLETED", "none")
    assert answer["detail"] == {"after_hours": "email", "opens_at": utc(OPENS)}


def test_a_session_has_its_clocks(chat: Chat, cast: Cast, later: Later) -> None:
    levels(cast, first_response=10 * MINUTE, resolution=60 * MINUTE)
    chat.serve()
    later(MINUTE)
    chat.speaks(cast.ann)
    caller = agent(cast, "ann")
    first, resolution = caller.get(f"sessions/{chat.live.pk}").json()["clocks"]
    assert (first["kind"], first["state"], first["target"]) == ("first_response", "met", 600)
    assert 60 <= first["spent"] < 65
    assert (resolution["kind"], resolution["state"], resolution["due_at"]) == ("resolution", "paused", None)
    assert caller.get("sessions").json()["results"][0]["clocks"] == [first, resolution]


def test_conversations_are_found_by_their_service_level(cast: Cast, later: Later) -> None:
    levels(cast, first_response=10 * MINUTE)
    late, near, fresh, answered = (cast.chat() for _ in range(4))
    for started, served in ((0, late), (0, answered), (2 * MINUTE, near), (7 * MINUTE, fresh)):
        later(started)
        served.serve()
    later(2 * MINUTE)
    sweep.sweep_due()
    answered.speaks(cast.ann)
    caller = agent(cast, "ann")
    assert _ids(caller, sla="breached") == {late.id}
    assert _ids(caller, sla="warned") == {near.id}
    assert caller.get("conversations", sla="slow").status_code == 400
    assert bearer(late.customer).get("conversations", sla="breached").status_code == 403, "the desk's own judgement"


def test_another_tenants_are_not_found(cast: Cast, others: Cast, later: Later) -> None:
    levels(others, first_response=MINUTE)
    others.chat().serve()
    later(2 * MINUTE)
    sweep.sweep_due()
    assert _ids(agent(cast, "ann"), sla="breached") == set()
    assert len(_ids(agent(others, "ann"), sla="breached")) == 1


@pytest.mark.parametrize("path", ["conversations", "sessions"])
def test_a_list_costs_the_same_however_many_wait(closed: Chat, cast: Cast, path: str) -> None:
    levels(cast, first_response=600, resolution=3600)
    caller = agent(cast, "ann")

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert caller.get(path).status_code == 200
        return len(queries)

    closed.queue()
    cost()
    alone = cost()
    for _ in range(5):
        cast.chat().queue()
    assert cost() == alone
