"""No hot call costs more than its figure: in statements on every database, in calls of functions on SQLite.

The clock has no say. A call that became dearer on purpose gets its new figure by `make costs`, which the review sees; one
that became cheaper by a tenth is named at the end of the run, so that its figure is lowered too.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection

from messaging_app.models import Message
from sessions_app.api.conversations import ConversationEndpoints
from sessions_app.api.responses import ConversationResponse
from sessions_app.core import wake
from tests import costs
from tests.costs import Cost, World

ROOM, WORTH_SAYING = 1.05, 0.90

type Record = Callable[[str, object], None]


@pytest.fixture
def world(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> World:
    """Commits are real, so that what is done after them counts; the queue is drained by another thread, as in production."""
    monkeypatch.setattr(wake, "wake", lambda tenant_id: True)
    cache.clear()
    return World()


def dearer(found: dict[str, Cost], *, calls: bool) -> dict[str, str]:
    """What costs more than its figure, or has none."""
    held = costs.figures()
    statements = held["statements"][connection.vendor]
    wrong = {}
    for name, cost in found.items():
        if cost.statements > statements.get(name, 0):
            wrong[name] = f"{cost.statements} statements, at most {statements.get(name, 0)}"
        elif calls and cost.calls > held["calls"].get(name, 0) * ROOM:
            wrong[name] = f"{cost.calls} calls, {held['calls'].get(name, 0)} and 5 % of room"
    return wrong


def cheaper(found: dict[str, Cost], *, calls: bool) -> list[str]:
    held = costs.figures()
    statements = held["statements"][connection.vendor]
    return [
        name
        for name, cost in found.items()
        if cost.statements < statements.get(name, 0)
        or (calls and cost.calls < held["calls"].get(name, 0) * WORTH_SAYING)
    ]


def holds_calls() -> bool:
    return connection.vendor == "sqlite" and costs.figures().get("python") == costs.PYTHON


def test_no_hot_call_costs_more_than_its_figure(world: World, record_property: Record) -> None:
    found = {name: costs.cost_of(call) for name, call in costs.hot_calls(world).items()}
    if os.environ.get("WRITE_COSTS"):
        costs.write("statements", {name: cost.statements for name, cost in found.items()}, connection.vendor)
        if connection.vendor == "sqlite":
            costs.write("calls", {name: cost.calls for name, cost in found.items()})
    assert dearer(found, calls=holds_calls()) == {}
    assert costs.figures()["statements"][connection.vendor].keys() == found.keys()
    if less := cheaper(found, calls=holds_calls()):
        record_property("cheaper", f"cheaper than tests/costs.toml says, lower it by `make costs`: {', '.join(less)}")


def test_a_query_more_and_a_loop_more_are_noticed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list asks once more whether something is there; then it renders each of its rows twice."""

    def asking(*args: Any, **kwargs: Any) -> Any:
        Message.objects.exists()
        return listed(*args, **kwargs)

    def twice(*args: Any, **kwargs: Any) -> Any:
        rendered(*args, **kwargs)
        return rendered(*args, **kwargs)

    listed, rendered, name = ConversationEndpoints.list, ConversationResponse.to_representation, "list of 50"
    call = costs.hot_calls(world)[name]
    assert dearer({name: costs.cost_of(call)}, calls=holds_calls()) == {}
    with monkeypatch.context() as patch:
        patch.setattr(ConversationEndpoints, "list", asking)
        assert "statements" in dearer({name: costs.cost_of(call)}, calls=False)[name]
    if holds_calls():
        monkeypatch.setattr(ConversationResponse, "to_representation", twice)
        assert "calls" in dearer({name: costs.cost_of(call)}, calls=True)[name]
