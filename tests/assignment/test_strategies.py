"""Who is asked first, and why not the others: the pure decision, strategy by strategy."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents_app import skills
from agents_app.models import Agent, Team
from sessions_app.assignment.choice import VERDICTS, choose, verdict
from sessions_app.assignment.strategies import STRATEGIES, Candidate, Case

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
CASE = Case(transfer_id=1, conversation_id=1, strategy="least_loaded", pool=(7,))


def agent(number: int, **facts: Any) -> Candidate:
    """Somebody who is there, with room, in team 7."""
    given: dict[str, Any] = {"availability": "available", "is_heard": True, "busy": 0, "max_load": 4, "weights": {7: 1}}
    return Candidate(agent_id=number, **given | facts)


def ago(minutes: float) -> datetime:
    return NOON - timedelta(minutes=minutes)


def asked(case: Case, *candidates: Candidate) -> list[int]:
    return [candidate.agent_id for candidate in choose(case, candidates).order]


# --- The order ---------------------------------------------------------------------------------------------------

ORDERS: dict[str, tuple[str, dict[str, Any], list[Candidate], list[int]]] = {
    "round robin: longest without an offer first, never asked before all": (
        "round_robin",
        {},
        [agent(1, last_offer_at=ago(1)), agent(2, last_offer_at=ago(9)), agent(3, busy=3)],
        [3, 2, 1],
    ),
    "least loaded: by the share of the room that is used, not by the number": (
        "least_loaded",
        {},
        [agent(1, busy=1, max_load=2), agent(2, busy=2, max_load=10), agent(3, busy=3, max_load=4)],
        [2, 1, 3],
    ),
    "least loaded: equals in turn": (
        "least_loaded",
        {},
        [agent(1, last_offer_at=ago(1)), agent(2, last_offer_at=ago(2)), agent(3)],
        [3, 2, 1],
    ),
    "longest idle: whoever has nothing to do, then since when": (
        "longest_idle",
        {},
        [agent(1, idle_since=ago(5)), agent(2, idle_since=ago(50)), agent(3, busy=1, idle_since=ago(500)), agent(4)],
        [4, 2, 1, 3],
    ),
    "best skilled: by the levels in what is needed": (
        "best_skilled",
        {"needs": {"zh": 2, "returns": 1}},
        [
            agent(1, skills={"zh": 2, "returns": 2, "en": 5}),
            agent(2, skills={"zh": 5, "returns": 1}),
            agent(3, skills={"zh": 2, "returns": 1}),
        ],
        [2, 1, 3],
    ),
    "best skilled: equals by load": (
        "best_skilled",
        {"needs": {"zh": 1}},
        [agent(1, skills={"zh": 3}, busy=1), agent(2, skills={"zh": 3})],
        [2, 1],
    ),
    "sticky: the one the customer knows, though others have more room": (
        "sticky",
        {"last_agent_id": 2},
        [agent(1), agent(2, busy=3), agent(3, busy=1)],
        [2, 1, 3],
    ),
    "sticky: by load where nobody is known": ("sticky", {}, [agent(1, busy=1), agent(2)], [2, 1]),
    "weighted: in proportion to the weights": (
        "weighted",
        {},
        [agent(1, offers_today=3), agent(2, offers_today=5, weights={7: 2}), agent(3, offers_today=9, weights={7: 3})],
        [2, 3, 1],
    ),
    "weighted: another team's weight does not count": (
        "weighted",
        {},
        [agent(1, offers_today=3, weights={7: 1, 8: 9}), agent(2, offers_today=2)],
        [2, 1],
    ),
}


@pytest.mark.parametrize("name", ORDERS)
def test_a_strategy_puts_those_who_fit_in_order(name: str) -> None:
    strategy, more, candidates, expected = ORDERS[name]
    assert asked(replace(CASE, strategy=strategy, **more), *candidates) == expected


def test_every_strategy_that_can_be_chosen_exists_and_is_tried_here() -> None:
    assert set(STRATEGIES) == set(Team.Strategy.values) == {row[0] for row in ORDERS.values()}


def test_over_a_day_the_weights_are_kept_to() -> None:
    people = [agent(1), agent(2, weights={7: 2}), agent(3, weights={7: 5})]
    for _ in range(800):
        chosen = choose(replace(CASE, strategy="weighted"), people).chosen
        assert chosen is not None
        chosen.offers_today += 1
    assert [one.offers_today for one in people] == [100, 200, 500]


# --- Why not -----------------------------------------------------------------------------------------------------

NOT: dict[str, tuple[Candidate, dict[str, Any]]] = {
    **{word: (agent(1, availability=word), {}) for word in Agent.Availability.values if word != "available"},
    "unheard": (agent(1, is_heard=False), {}),
    "drained": (agent(1, is_drained=True), {}),
    "full": (agent(1, busy=4), {}),
    "refused": (agent(1), {"refused_by": frozenset({1})}),
    "lacks": (agent(1, skills={"zh": 2}), {"needs": {"zh": 3}}),
    "fits": (agent(1, skills={"zh": 3}), {"needs": {"zh": 3}}),
}


@pytest.mark.parametrize("word", NOT)
def test_each_is_judged_by_the_first_reason_that_counts(word: str) -> None:
    candidate, more = NOT[word]
    case = replace(CASE, **more)
    assert verdict(case, candidate) == word
    choice = choose(case, [candidate])
    assert choice.verdicts == {word: [(1, candidate.busy, candidate.max_load)]}
    assert bool(choice.chosen) == (word == "fits")


def test_every_verdict_is_tried_here() -> None:
    assert {*VERDICTS, *Agent.Availability.values} - {"available"} == set(NOT)


def test_who_is_in_none_of_the_teams_is_not_looked_at() -> None:
    choice = choose(CASE, [agent(1, weights={8: 1}), agent(2)])
    assert choice.verdicts == {"fits": [(2, 0, 4)]}
    assert asked(replace(CASE, pool=()), agent(1, weights={})) == [1]  # no team: everybody


def test_a_full_team_takes_nothing_though_somebody_is_free() -> None:
    choice = choose(replace(CASE, obstacle="team full"), [agent(1)])
    assert choice.chosen is None
    assert choice.verdicts == {"fits": [(1, 0, 4)]}


people = st.lists(
    st.builds(
        agent,
        st.integers(1, 50),
        availability=st.sampled_from(Agent.Availability.values),
        is_heard=st.booleans(),
        busy=st.integers(0, 5),
        max_load=st.integers(0, 5),
        skills=st.dictionaries(st.sampled_from(["zh", "en"]), st.integers(1, 5)),
        last_offer_at=st.none() | st.integers(0, 99).map(ago),
        idle_since=st.none() | st.integers(0, 99).map(ago),
        offers_today=st.integers(0, 9),
    ),
    max_size=12,
    unique_by=lambda candidate: candidate.agent_id,
)
cases = st.builds(
    replace,
    st.just(CASE),
    strategy=st.sampled_from(Team.Strategy.values),
    needs=st.dictionaries(st.sampled_from(["zh", "en"]), st.integers(1, 5)),
    refused_by=st.frozensets(st.integers(1, 50), max_size=3),
    last_agent_id=st.none() | st.integers(1, 50),
)


@given(cases, people)
def test_whoever_is_chosen_may_have_it_and_the_order_of_the_rows_does_not_matter(
    case: Case, candidates: list[Candidate]
) -> None:
    choice = choose(case, candidates)
    assert choice.order == choose(case, candidates[::-1]).order
    told = [agent_id for some in choice.verdicts.values() for agent_id, _, _ in some]
    assert sorted(told) == sorted(candidate.agent_id for candidate in candidates), "each is explained once"
    for chosen in choice.order:
        assert chosen.availability == "available"
        assert chosen.is_heard
        assert chosen.busy < chosen.max_load
        assert chosen.agent_id not in case.refused_by
        assert all(chosen.skills.get(name, 0) >= level for name, level in case.needs.items())


# --- Skills ------------------------------------------------------------------------------------------------------


def test_skills_are_written_one_a_line() -> None:
    assert skills.read("Returns 3\n\n  zh   5\nbig orders 1") == {"returns": 3, "zh": 5, "big orders": 1}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("returns", "Line 1 needs a skill and its level"),
        ("zh 5\nreturns three", "'returns' must be a whole number from 1 to 5"),
        ("returns 6", "from 1 to 5"),
        ("returns 0", "from 1 to 5"),
        ("x" * 51 + " 1", "1 to 50 characters"),
    ],
)
def test_what_is_no_skill_is_said_so(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        skills.read(text)


def test_needs_of_team_and_conversation_are_put_together() -> None:
    assert skills.together({"zh": 2, "returns": 1}, {"zh": 4}) == {"zh": 4, "returns": 1}
    assert skills.lacking({"zh": 3}, {"zh": 4, "en": 1}) == {"zh": 4, "en": 1}
