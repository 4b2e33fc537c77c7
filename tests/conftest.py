from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from config import clock
from tests.cast import Cast, Chat, Later, broken_invariants

HERE = Path(__file__).parent
CORE = (
    "actions",
    "attachments",
    "batches",
    # Of the cases found in use, those in which the database has a say.
    "cases/test_a10_marks.py",
    "cases/test_a11_echoes.py",
    "cases/test_t01_times.py",
    "cases/test_t03_free_json.py",
    "cases/test_t03_texts_of_programs.py",
    "cases/test_t04_who_brings.py",
    "cases/test_t04_who_said_it.py",
    "cases/test_t05_sent_again.py",
    "cases/test_t06_login.py",
    "cases/test_t06_rules.py",
    "cases/test_t06_sessions.py",
    "cases/test_t07_admin.py",
    "cases/test_t12_what_was_said.py",
    "joined",
    "live",
    "notices",
    "webhooks",
    "words",
    "test_analyser.py",
    "test_database_rules.py",
    "test_search.py",
    "test_states.py",
    "test_stream.py",
    # The desk's own reading; the rest of its pages asks the database nothing else.
    "workbench/test_beside.py",
    "workbench/test_command_bar.py",
    "workbench/test_drafts.py",
    "workbench/test_query_budget.py",
    "workbench/test_views_column.py",
)
"""What `make services` runs again on PostgreSQL and on MariaDB: the rules hold on every database.

Of these folders only what asks a database: a pure function says the same three times.
"""
RULES = (
    "actions/test_conflicts.py",
    "actions/test_departments.py",
    "actions/test_desk.py",
    "actions/test_flows.py",
    "actions/test_people.py",
    "actions/test_talk.py",
    "actions/test_transfers.py",
    "joined",
    "notices",
    "webhooks/test_endpoints.py",
    "words/test_bulk.py",
    "words/test_labels.py",
    "words/test_saved_views.py",
    "workbench",
    "test_states.py",
)
"""Of those what Python decides, in hundreds of cases: once on a database whose rows can be locked apart is enough.

MariaDB has the same verbs played by the model and by the fuzz of `make races`.
"""


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    if config.option.markexpr.startswith("services"):
        _mark_services(items)
    yield
    if hasattr(config, "workerinput") and config.option.loadgroup:
        _keep_groups_together(items)


def _mark_services(items: list[pytest.Item]) -> None:
    """Elsewhere these are quick tests on SQLite; a mark of their own would take them out of `make test`."""
    for item in items:
        path = item.path.relative_to(HERE)
        names = {path.parts[0], path.as_posix()}
        asked = {"db", "transactional_db"} & set(getattr(item, "fixturenames", ()))
        if names.isdisjoint(CORE) or item.get_closest_marker("slow"):
            continue
        if asked or item.get_closest_marker("django_db"):
            item.add_marker("services")
        if not names.isdisjoint(RULES):
            item.add_marker("first_database")


def _keep_groups_together(items: list[pytest.Item]) -> None:
    """pytest-xdist 3.8 puts a test's group behind its id, but where pytest 9.2 looks for it no more: without this, tests that
    share one Redis ran beside each other.
    """
    for item in items:
        if group := item.get_closest_marker("xdist_group"):
            its = f"@{group.args[0]}"
            if not item.nodeid.endswith(its):
                item._id = type(item.id).parse(item.nodeid + its)
            assert item.nodeid.endswith(its)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Say why a test is run once more; pytest-rerunfailures only says that it is. Workers have no say: their leader has."""
    if report.outcome == "rerun" and not os.environ.get("PYTEST_XDIST_WORKER"):  # type: ignore[comparison-overlap]
        print(f"\n{report.nodeid} is run once more, because of:\n{report.longreprtext}\n")


@pytest.fixture
def later() -> Iterator[Later]:
    """Move time by so many seconds: `later(301)`. Nothing in the tests sleeps."""
    yield Later()
    clock.offset = timedelta(0)


@pytest.fixture
def cast(db: None, later: Later) -> Iterator[Cast]:
    """One shop's desk. When the test is over, what it left in the database breaks no invariant of the domain."""
    yield Cast()
    assert list(broken_invariants()) == []


@pytest.fixture
def others(cast: Cast) -> Cast:
    """Another tenant's desk."""
    return Cast("elsewhere")


@pytest.fixture
def chat(cast: Cast) -> Chat:
    return cast.chat()


@pytest.fixture(scope="session", autouse=True)
def _codes_that_came() -> Iterator[set[str]]:
    """What any endpoint answered in any test and `sessions_app.api.refusals` does not declare for it."""
    from agents_app.rest import Endpoints
    from config.openapi import USUAL
    from sessions_app.api.refusals import CODES

    undeclared: set[str] = set()
    finalize = Endpoints.finalize_response

    def heard(self: Any, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = finalize(self, request, response, *args, **kwargs)
        code = response.data.get("code") if response.status_code >= 400 and isinstance(response.data, dict) else None
        if code and code not in USUAL.get(response.status_code, ()):
            action = getattr(self, "action", None) or ""
            called = getattr(getattr(self, action, None), "called", "") or action
            operation = f"{request.path.split('/')[3].replace('-', '_')}_{called}"
            if code not in CODES.get(operation, ()):
                undeclared.add(f"{operation}: {response.status_code} {code}")
        return response

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Endpoints, "finalize_response", heard)
        yield undeclared


@pytest.fixture(autouse=True)
def _every_code_is_declared(_codes_that_came: set[str]) -> Iterator[None]:
    """The API's document names the codes of each operation (A4): declare a new one in sessions_app/api/refusals.py."""
    yield
    came = sorted(_codes_that_came)
    _codes_that_came.clear()
    assert came == []
