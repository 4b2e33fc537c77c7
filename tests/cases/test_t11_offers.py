"""T11: what everybody refused is offered again, and whoever does not answer is offered nothing more."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from agents_app.actors import Actor
from agents_app.models import PresenceChange, Team
from messaging_app.models import Operation
from sessions_app.actions import presence, sweep
from sessions_app.assignment.strategies import pause
from tests.api.world import login_of
from tests.cast import Cast, Chat, Later, refused


@pytest.fixture
def chat(cast: Cast) -> Chat:
    """It is offered to Ann and Ben, in turn."""
    cast.policy(transfer_policy="requeue")
    team = cast.team("Returns", "ann", "ben")
    Team.objects.filter(pk=team.pk).update(assignment="push", strategy="round_robin")
    return cast.chat()


def asks(chat: Chat) -> None:
    chat.robot()
    chat.escalate(to_team_id=Team.objects.get(name="Returns").pk)


def offered(chat: Chat) -> str:
    agent = chat.pending.offered_to
    return agent.name if agent else ""


def who(chat: Chat) -> Actor:
    return {"Ann": chat.cast.ann, "Ben": chat.cast.ben}[offered(chat)]


def passes(cast: Cast, later: Later, seconds: float) -> None:
    later(seconds)
    cast.seen()
    sweep.sweep_due()


# --- The second round ----------------------------------------------------------------------------------------------


def test_what_everybody_refused_is_offered_again_after_a_pause(chat: Chat, later: Later) -> None:
    asks(chat)
    for name in ("Ann", "Ben"):
        assert offered(chat) == name
        chat.decline(who(chat))
    assert offered(chat) == ""
    passes(chat.cast, later, 58)
    assert offered(chat) == ""
    passes(chat.cast, later, 4)
    assert (offered(chat), chat.pending.refused_by, chat.pending.offer_round) == ("Ann", [], 2)
    assert chat.pending.decisions.order_by("-pk")[0].why == "round_robin, round 2"
    renewed = next(o for o in chat.operations if o.type == "transfer.offers_renewed")
    assert renewed.data == {"transfer_id": chat.pending.pk, "round": 2}


def test_so_is_what_everybody_ignored(chat: Chat, later: Later) -> None:
    asks(chat)
    passes(chat.cast, later, 31)
    assert offered(chat) == "Ben"
    passes(chat.cast, later, 31)
    assert offered(chat) == ""
    passes(chat.cast, later, 61)
    assert offered(chat) == "Ann"


def test_each_round_rests_longer_and_none_longer_than_an_hour() -> None:
    from datetime import timedelta

    first = timedelta(seconds=60)
    assert [pause(first, n).total_seconds() for n in (1, 2, 3, 6, 7, 30_000)] == [60, 120, 240, 1920, 3600, 3600]


def test_an_empty_round_is_none_and_never_comes_back(chat: Chat, later: Later) -> None:
    """Both refused, then both left: nobody could have it, so there is nothing to begin anew, and nothing loops."""
    asks(chat)
    for _ in range(2):
        chat.decline(who(chat))
    chat.cast.change("ann", availability="break")
    chat.cast.change("ben", availability="offline")
    passes(chat.cast, later, 61)
    seq = chat.row.seq
    for _ in range(5):
        passes(chat.cast, later, 40)
    new = [o.type for o in chat.operations if o.seq > seq and not o.type.startswith("transfer.timed_out")]
    assert "transfer.offers_renewed" not in new
    assert chat.pending.next_round_at is None
    chat.cast.change("ben", availability="available")
    passes(chat.cast, later, 1)
    assert offered(chat) == "Ben", "as soon as somebody can"


def test_who_comes_in_between_need_not_wait_for_the_round(chat: Chat, later: Later) -> None:
    chat.cast.change("ben", availability="break")
    asks(chat)
    chat.decline(chat.cast.ann)
    assert chat.pending.next_round_at is not None
    presence.declare_availability(actor=chat.cast.ben, availability="available")
    sweep.sweep_due()
    assert (offered(chat), chat.pending.next_round_at) == ("Ben", None)


def test_without_anybody_who_refused_there_is_no_round(chat: Chat) -> None:
    for name in ("ann", "ben"):
        chat.cast.change(name, max_load=0)
    asks(chat)
    assert (offered(chat), chat.pending.next_round_at) == ("", None)


# --- Not responding ------------------------------------------------------------------------------------------------


@pytest.fixture
def alone(chat: Chat, settings: Any) -> Chat:
    """Only Ann is there; every offer is hers, and none comes a second time."""
    settings.TANDEM = settings.TANDEM | {"OFFER_ROUND_PAUSE": 3600}
    for name in ("ben", "cat", "sue"):
        chat.cast.change(name, availability="break")
    return chat


def ignores(cast: Cast, later: Later, times: int) -> None:
    for _ in range(times):
        chat = cast.chat()
        asks(chat)
        assert offered(chat) == "Ann"
        passes(cast, later, 31)


def test_whoever_ignores_three_in_a_row_is_not_responding(alone: Chat, later: Later) -> None:
    cast = alone.cast
    ignores(cast, later, 2)
    assert (cast.agent("ann").availability, cast.agent("ann").offers_ignored) == ("available", 2)
    ignores(cast, later, 1)
    assert (cast.agent("ann").availability, cast.agent("ann").offers_ignored) == ("not_responding", 0)
    other = cast.chat()
    asks(other)
    assert offered(other) == ""
    assert "not_responding" in other.pending.decisions.order_by("-pk")[0].candidates


def test_it_is_on_the_presence_log_and_an_event_for_whoever_supervises(alone: Chat, later: Later) -> None:
    ignores(alone.cast, later, 3)
    assert PresenceChange.objects.filter(agent=alone.cast.ann.pk).order_by("-pk")[0].availability == "not_responding"
    told = Operation.objects.filter(type="agent.presence").order_by("-pk")[0]
    assert (told.data["agent_id"], told.data["availability"]) == (alone.cast.ann.id, "not_responding")
    assert (told.data["is_reachable"], told.actor_kind) == (False, "system")


@pytest.mark.parametrize("answer", ["accept", "decline"])
def test_an_answer_begins_the_count_anew(alone: Chat, later: Later, answer: str) -> None:
    ignores(alone.cast, later, 2)
    chat = alone.cast.chat()
    asks(chat)
    {"accept": chat.accept, "decline": chat.decline}[answer](alone.cast.ann)
    assert alone.cast.agent("ann").offers_ignored == 0
    ignores(alone.cast, later, 2)
    assert alone.cast.agent("ann").availability == "available"


def test_nobody_declares_it(cast: Cast) -> None:
    for actor in (cast.ann, cast.sue):
        refused(
            "malformed",
            presence.declare_availability,
            actor=actor,
            availability="not_responding",
            agent_id=cast.agent("ann").pk,
        )


@pytest.mark.parametrize(("most", "word"), [(0, "available"), (1, "not_responding"), (5, "available")])
def test_how_many_is_a_setting(alone: Chat, later: Later, settings: Any, most: int, word: str) -> None:
    settings.TANDEM = settings.TANDEM | {"OFFERS_IGNORED": most}
    ignores(alone.cast, later, 1 if most == 1 else 4)
    assert alone.cast.agent("ann").availability == word


def test_what_was_declared_meanwhile_stays(alone: Chat, later: Later, settings: Any) -> None:
    """A break that began while the offer was open is a break: its offer was withdrawn, not ignored."""
    settings.TANDEM = settings.TANDEM | {"OFFERS_IGNORED": 1}
    chat = alone.cast.chat()
    asks(chat)
    presence.declare_availability(actor=alone.cast.ann, availability="break")
    passes(alone.cast, later, 31)
    assert alone.cast.agent("ann").availability == "break"


def test_the_desk_says_so_with_one_button_to_be_available_again(alone: Chat, later: Later) -> None:
    browser = Client()
    browser.force_login(login_of(alone.cast, "ann"))
    words = "You did not answer several offers in a row"
    assert words not in browser.get("/desk/").text
    ignores(alone.cast, later, 3)
    assert words in browser.get("/desk/").text
    assert words in browser.get("/desk/list/", headers={"HX-Request": "true"}).text, "without a reload"
    assert browser.post("/desk/presence/", {"availability": "available"}).status_code == 302
    assert alone.cast.agent("ann").availability == "available"
    assert words not in browser.get("/desk/").text
    assert browser.get("/api/v1/agents/me").json()["availability"] == "available"
