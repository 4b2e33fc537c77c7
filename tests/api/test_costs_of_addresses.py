"""No address, of the API or of a page, asks the database more often than `tests/costs.toml` says (`make costs`).

Each line of the rights matrix is asked for by the first who is let in, in its state, and undone. Few rows are there, so what
is held is that nobody adds a query; that many rows cost no more than few is `tests/workbench/test_query_budget.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests import costs
from tests.api.matrix import Row
from tests.api.test_rights_matrix import ROWS, _try
from tests.api.test_rights_matrix import _unhurried as _unhurried  # noqa: PLC0414 – a fixture
from tests.api.world import STATES, World, world
from tests.cast import Cast

OF_THE_PROCESS = {"metrics", "health/ready"}
"""What they look for depends on what ran before in this process."""


def let_in(row: Row) -> str:
    """The first role that may ask this of what is its own, or nothing."""
    return next((role for role, cell in row.cells.items() if cell[0] == "+"), "")


def counted(made: World, state: str) -> Iterator[tuple[str, int]]:
    """What each line's request asks, the second time: the first fills what is kept in memory."""
    for row in ROWS:
        if row.state != state or row.pattern in OF_THE_PROCESS or not (role := let_in(row)):
            continue
        _try(made.callers[role], row, made.places[row.places[0]])
        with CaptureQueriesContext(connection) as asked:
            _try(made.callers[role], row, made.places[row.places[0]])
        yield f"{row.method} {row.pattern}, {role}, {state}", len(asked)


@pytest.mark.parametrize("state", STATES)
def test_no_address_asks_the_database_more_than_its_figure(
    cast: Cast, others: Cast, record_property: Callable[[str, object], None], state: str
) -> None:
    found = dict(counted(world(STATES[state], cast, others), state))
    if os.environ.get("WRITE_COSTS"):
        kept = {
            name: cost for name, cost in costs.figures().get("addresses", {}).items() if not name.endswith(f", {state}")
        }
        costs.write("addresses", kept | found)
    held = {name: cost for name, cost in costs.figures()["addresses"].items() if name.endswith(f", {state}")}
    assert {name: cost for name, cost in found.items() if cost > held.get(name, 0)} == {}
    assert found.keys() == held.keys()
    if less := [name for name, cost in found.items() if cost < held[name]]:
        record_property("cheaper", f"cheaper than tests/costs.toml says, lower it by `make costs`: {'; '.join(less)}")
