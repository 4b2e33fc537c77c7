"""A simulated hour at the desk, with every strategy: nobody has too much, nobody away is asked, nothing waits for no reason."""

from __future__ import annotations

from typing import Any

import pytest

from agents_app.models import Team
from sessions_app.actions import sweep
from sessions_app.assignment import choice
from tests.assignment.simulate import simulate
from tests.strategies import STRATEGIES

SMALL = {"agents": 8, "conversations": 24, "hours": 0.1}


@pytest.fixture(autouse=True)
def _patient(settings: Any) -> None:
    """Silence has tests of its own."""
    settings.TANDEM = settings.TANDEM | {"AGENT_AWAY_AFTER": 86_400, "AGENT_GONE_AFTER": 86_400}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_short_day_at_a_small_desk(strategy: str) -> None:
    report = simulate(strategy, **SMALL)
    assert report.faults == []
    assert (report.arrived, report.left_waiting) == (24, 0)
    assert report.taken >= 24
    assert report.explained == report.offers


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("strategy", Team.Strategy.values)
def test_two_thousand_conversations_and_two_hundred_agents(strategy: str) -> None:
    report = simulate(strategy, agents=200, conversations=2000, hours=4)
    print(report.told())
    assert report.faults == []
    assert (report.arrived, report.left_waiting, report.explained) == (2000, 0, report.offers)


# --- The simulation finds what it is there to find ---------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_queue_that_is_not_drained_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "drain", lambda tenant_id: 0)
    report = simulate("least_loaded", agents=3, conversations=24, hours=0.1)
    assert any("somebody was free for it" in fault for fault in report.faults)


@pytest.mark.django_db(transaction=True)
def test_an_offer_to_who_is_not_there_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    judged = choice._own_verdict
    monkeypatch.setattr(choice, "_own_verdict", lambda candidate: "full" if judged(candidate) == "full" else "")
    report = simulate("round_robin", agents=6, conversations=40, hours=1)
    assert any("was offered something, being" in fault for fault in report.faults)
