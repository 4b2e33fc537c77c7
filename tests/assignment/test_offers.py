"""Offers as they are made: to one agent at a time, with a countdown, by the team's strategy, on record."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from agents_app.models import Agent, Team
from sessions_app.actions import lifecycle, presence, sweep, transfers
from sessions_app.assignment import explanations
from sessions_app.assignment.teams import Teams
from sessions_app.models import AssignmentDecision
from sessions_app.tasks import forget_decisions
from tests.cast import Cast, Chat, Later, refused

type Line = Callable[..., Team]


@pytest.fixture
def line(cast: Cast) -> Line:
    """Make a team that wants offers."""

    def make(*members: str, name: str = "Returns", **fields: Any) -> Team:
        team = cast.team(name, *members)
        given = {"assignment": "push", "strategy": "round_robin"} | fields
        Team.objects.filter(pk=team.pk).update(**given)
        return Team.objects.get(pk=team.pk)

    return make


def asks(cast: Cast, team: Team | None, **more: Any) -> Chat:
    """A conversation that waits for this team."""
    chat = cast.chat()
    chat.robot()
    chat.escalate(**({"to_team_id": team.pk} if team else {}), **more)
    return chat


def offered(chat: Chat) -> str:
    agent = chat.pending.offered_to
    return agent.name if agent else ""


def last_decision(chat: Chat) -> AssignmentDecision:
    return chat.pending.decisions.order_by("-pk")[0]


# --- To whom -----------------------------------------------------------------------------------------------------


def test_the_teams_strategy_names_the_agent(cast: Cast, line: Line) -> None:
    team = line("ann", "ben", "cat")
    assert [offered(asks(cast, team)) for _ in range(4)] == ["Ann", "Ben", "Cat", "Ann"]


def test_an_open_offer_counts_as_load(cast: Cast, line: Line) -> None:
    cast.change("ann", max_load=1)
    team = line("ann")
    first, second = asks(cast, team), asks(cast, team)
    assert (offered(first), offered(second)) == ("Ann", "")
    assert last_decision(second).candidates == {"full": [[cast.ann.id, 1, 1]]}


def test_whoever_is_offered_something_has_the_skills_that_team_and_conversation_need(cast: Cast, line: Line) -> None:
    cast.change("ann", skills={"zh": 5})
    cast.change("ben", skills={"zh": 2, "returns": 3})
    cast.change("cat", skills={"zh": 4, "returns": 2})
    team = line("ann", "ben", "cat", needs={"returns": 2})
    assert offered(asks(cast, team, needs={"zh": 3})) == "Cat"
    assert offered(asks(cast, team, needs={"zh": 5})) == ""


@pytest.mark.parametrize("needs", [{"zh": 9}, {"zh": 0}, {"": 3}])
def test_needs_that_are_none_are_refused(chat: Chat, needs: dict[str, int]) -> None:
    chat.robot()
    assert "needs:" in str(refused("malformed", chat.escalate, needs=needs))


def test_a_customer_meets_the_agent_of_last_time(cast: Cast, line: Line) -> None:
    team = line("ann", "ben", "cat", strategy="sticky")
    chat = asks(cast, team)
    for actor in (cast.ann, cast.ben):
        if chat.pending.offered_to_id == actor.id:
            chat.decline(actor)
    chat.accept(cast.cat)
    chat.release(cast.cat)
    chat.escalate(to_team_id=team.pk)
    assert offered(chat) == "Cat"
    chat.decline(cast.cat)
    assert offered(chat) in ("Ann", "Ben")


def test_who_has_been_idle_longest_is_asked_first(cast: Cast, line: Line, later: Later) -> None:
    team = line("ann", "ben", strategy="longest_idle")
    for actor in (cast.ann, cast.ben):
        lifecycle.open_session(actor=actor, conversation_id=(chat := cast.chat()).id, robot=False)
        later(10)
        chat.resolve(actor)
    assert offered(asks(cast, team)) == "Ann"
    other = cast.chat()
    other.robot()
    other.take(cast.ben)
    other.release(cast.ben)
    later(5)
    assert last_decision(asks(cast, team)).candidates["fits"][0][0] == cast.ben.id


def test_weights_share_the_work(cast: Cast, line: Line) -> None:
    team = line("ann", "ben", strategy="weighted")
    team.memberships.filter(agent=cast.agent("ben")).update(weight=2)
    names = [offered(asks(cast, team)) for _ in range(6)]
    assert (names.count("Ann"), names.count("Ben")) == (2, 4)


def test_what_names_no_team_goes_to_the_tenants_own(cast: Cast, line: Line) -> None:
    team = line("cat")
    cast.policy(default_team=team)
    chat = asks(cast, None)
    assert (chat.pending.to_team, offered(chat)) == (team, "Cat")
    manual = cast.chat()
    lifecycle.open_session(actor=cast.channel, conversation_id=manual.id, robot=False)
    assert manual.pending.to_team == team


def test_a_team_pulls_or_is_offered_as_its_own_setting_says_or_the_tenants(cast: Cast, line: Line) -> None:
    assert offered(asks(cast, line("ann", assignment="pull"))) == ""
    assert offered(asks(cast, line("ann", name="as the tenant", assignment=""))) == ""
    cast.policy(assignment="push")
    assert offered(asks(cast, line("ann", name="as the tenant too", assignment=""))) == "Ann"
    assert offered(asks(cast, line("ann", name="pulls", assignment="pull"))) == ""


# --- How long ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("own", "seconds"), [(None, 30), (12, 12)])
def test_an_offer_has_the_teams_countdown(cast: Cast, line: Line, own: int | None, seconds: int) -> None:
    chat = asks(cast, line("ann", offer_timeout=own))
    assert (chat.pending.offer_expires_at - chat.pending.requested_at).total_seconds() == seconds  # type: ignore[operator]


def test_an_offer_that_runs_out_goes_to_the_next_by_the_sweep_alone(cast: Cast, line: Line, later: Later) -> None:
    chat = asks(cast, line("ann", "ben"))
    later(31)
    sweep.sweep_due()
    assert (offered(chat), chat.pending.refused_by) == ("Ben", [cast.ann.id])


@pytest.mark.parametrize("why", ["declared away", "silent", "full"])
def test_an_offer_to_somebody_who_cannot_take_it_any_more_goes_to_the_next(
    cast: Cast, line: Line, later: Later, why: str
) -> None:
    """Not refused: the agent may be asked again."""
    cast.change("ann", max_load=1)
    chat = asks(cast, line("ann", "ben", offer_timeout=600))
    assert offered(chat) == "Ann"
    if why == "declared away":
        presence.declare_availability(actor=cast.ann, availability="break")
    elif why == "full":
        lifecycle.open_session(actor=cast.ann, conversation_id=cast.chat().id, robot=False)
    else:
        later(61)
        cast.seen("ben")
    sweep.sweep_due()
    assert (offered(chat), chat.pending.refused_by) == ("Ben", [])
    assert "transfer.offer_withdrawn" in chat.event_types


# --- When somebody is free again ---------------------------------------------------------------------------------

type Frees = Callable[[Cast, Chat], object]
FREES: dict[str, Frees] = {
    "resolve": lambda cast, chat: chat.resolve(cast.ann),
    "release": lambda cast, chat: chat.release(cast.ann),
    "grab": lambda cast, chat: chat.grab(cast.sue),
    "time-out": lambda cast, chat: Later()(8 * 3600 + 1),
    "capacity": lambda cast, chat: presence.change_capacity(actor=cast.sue, agent_id=cast.ann.pk, max_load=2),
    "presence": lambda cast, chat: presence.declare_availability(actor=cast.ben, availability="available"),
    "an agent hired": lambda cast, chat: cast.change("ben", availability="available"),
}


@pytest.mark.parametrize("what", FREES)
def test_what_waits_is_offered_as_soon_as_somebody_is_free(
    cast: Cast, line: Line, what: str, django_capture_on_commit_callbacks: Any
) -> None:
    """At the commit of what made room; what no verb knows of, and what a lost process left, by the next sweep."""
    cast.policy(transfer_policy="requeue")
    cast.change("ann", max_load=1)
    cast.change("ben", availability="training")
    busy = cast.chat()
    busy.robot()
    busy.take(cast.ann)
    waits = asks(cast, line("ann", "ben"))
    assert offered(waits) == ""
    with django_capture_on_commit_callbacks(execute=True):
        FREES[what](cast, busy)
        cast.seen()
    by_the_verb = what not in ("time-out", "an agent hired")
    assert bool(offered(waits)) == by_the_verb
    sweep.sweep_due()
    assert offered(waits)


def test_the_queue_is_offered_in_the_order_of_the_desk(cast: Cast, line: Line, later: Later) -> None:
    cast.change("ann", availability="break")
    team = line("ann")
    first = asks(cast, team)
    later(5)
    second = asks(cast, team)
    later(5)
    urgent = asks(cast, team, urgent=True)
    for expected in (urgent, first, second):
        cast.change("ann", availability="available")
        sweep.sweep_due()
        assert offered(expected) == "Ann"
        expected.accept(cast.ann)
        expected.resolve(cast.ann)
        cast.change("ann", availability="break")


def test_nobody_is_offered_more_than_there_is_room_for(cast: Cast, line: Line) -> None:
    """However many wait when somebody comes."""
    for name in ("ann", "ben"):
        cast.change(name, availability="away", max_load=2)
    team = line("ann", "ben")
    chats = [asks(cast, team) for _ in range(7)]
    for name in ("ann", "ben"):
        cast.change(name, availability="available")
    assert sweep.drain(cast.tenant.pk) == 4
    assert sweep.drain(cast.tenant.pk) == 0
    assert sorted(filter(None, map(offered, chats))) == ["Ann", "Ann", "Ben", "Ben"]


def test_another_tenants_queue_is_not_touched(cast: Cast, others: Cast, line: Line) -> None:
    others.policy(assignment="push")
    team = line("ann")
    cast.change("ann", availability="away")
    chat = asks(cast, team)
    cast.change("ann", availability="available")
    assert sweep.drain(others.tenant.pk) == 0
    assert offered(chat) == ""


# --- Overflow and capacity of the team ---------------------------------------------------------------------------


def test_after_a_wait_a_conversation_is_offered_to_another_team_too(cast: Cast, line: Line, later: Later) -> None:
    third = line("cat", name="third")
    second = line("ben", name="second", overflow_to=third, overflow_after=60)
    first = line("ann", name="first", overflow_to=second, overflow_after=60)
    for name in ("ann", "ben"):
        cast.change(name, availability="break")
    chat = asks(cast, first)
    refused("forbidden", chat.accept, cast.ben)
    later(59)
    cast.seen()
    sweep.sweep_due()
    assert offered(chat) == ""
    later(2)
    sweep.sweep_due()
    assert offered(chat) == ""
    assert last_decision(chat).candidates == {"break": [[cast.ann.id, 0, 10]]}
    later(60)
    cast.seen()
    sweep.sweep_due()
    assert offered(chat) == "Cat"
    assert last_decision(chat).why == "round_robin, overflow"
    chat.accept(cast.cat)
    assert chat.live.team == first


def test_whoever_is_in_the_team_that_it_overflowed_to_may_take_it(cast: Cast, line: Line, later: Later) -> None:
    second = line("ben", name="second", assignment="pull")
    first = line("ann", name="first", assignment="pull", overflow_to=second, overflow_after=60)
    chat = asks(cast, first)
    refused("forbidden", chat.accept, cast.ben)
    later(61)
    cast.seen()
    chat.accept(cast.ben)


def test_teams_that_overflow_to_each_other_end_somewhere(cast: Cast, line: Line, later: Later) -> None:
    first, second = line("ann", name="first"), line("ben", name="second")
    for one, other in ((first, second), (second, first)):
        Team.objects.filter(pk=one.pk).update(overflow_to=other, overflow_after=1)
    teams = Teams.of(cast.tenant.pk)
    assert teams.pool(first.pk, timedelta(0)) == (first.pk,)
    assert teams.pool(first.pk, timedelta(hours=1)) == (first.pk, second.pk)


def test_a_team_serves_no_more_than_its_own_capacity(cast: Cast, line: Line) -> None:
    team = line("ann", "ben", capacity=2)
    first, second, third = (asks(cast, team) for _ in range(3))
    assert offered(third) == ""
    assert last_decision(third).why == "team full"
    for chat in (first, second):
        chat.accept(next(a for a in (cast.ann, cast.ben) if a.id == chat.pending.offered_to_id))
    sweep.sweep_due()
    assert offered(third) == ""
    first.resolve(cast.sue)
    sweep.sweep_due()
    assert offered(third)


# --- Explained ---------------------------------------------------------------------------------------------------


def test_every_decision_says_who_was_looked_at_and_why_not(cast: Cast, line: Line) -> None:
    cast.change("ben", availability="training")
    cast.change("cat", max_load=0)
    chat = asks(cast, line("ann", "ben", "cat"))
    [decision] = explanations.decisions(cast.sue, chat.pending)
    assert (decision.chosen_id, decision.strategy, decision.why) == (cast.ann.id, "round_robin", "round_robin")
    assert {(c.name, c.verdict) for c in decision.candidates} == {
        ("Ann", "fits"),
        ("Ben", "training"),
        ("Cat", "full"),
    }
    told = next(o for o in chat.operations if o.type == "transfer.offered")
    assert told.data["decision_id"] == decision.id
    chat.decline(cast.ann)
    newest = explanations.decisions(cast.sue, chat.pending)[0]
    assert (newest.chosen_id, newest.why) == (None, "nobody fits")
    assert ("Ann", "refused") in {(c.name, c.verdict) for c in newest.candidates}


def test_the_same_answer_nobody_is_kept_once(cast: Cast, line: Line, later: Later) -> None:
    cast.change("ann", availability="break")
    chat = asks(cast, line("ann"))
    for _ in range(3):
        chat.sweep()
        sweep.sweep_due()
    assert chat.pending.decisions.count() == 1
    cast.change("ann", availability="training")
    chat.sweep()
    assert chat.pending.decisions.count() == 2


def test_old_decisions_are_forgotten(cast: Cast, line: Line, later: Later) -> None:
    asks(cast, line("ann"))
    assert forget_decisions() == 0
    later(30 * 24 * 3600 + 1)
    assert forget_decisions() == 1


def test_bots_and_customers_are_not_told_of_peoples_work(cast: Cast, line: Line) -> None:
    chat = asks(cast, line("ann"))
    for actor in (cast.bargain, chat.customer):
        refused("forbidden", explanations.decisions, actor, chat.pending)
    assert explanations.decisions(cast.channel, chat.pending)


def test_an_agent_may_take_what_waits_though_nothing_can_be_offered(cast: Cast, line: Line) -> None:
    chat = asks(cast, line("ann", needs={"zh": 5}))
    assert offered(chat) == ""
    assert transfers.accept_transfer(actor=cast.ann, transfer_id=chat.pending.pk).controller == "human"
    assert Agent.objects.get(pk=cast.ann.id).last_offer_at is None
