from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, connections

from agents_app import loops
from agents_app.models import Backoff
from config import clock
from messaging_app import detection
from sessions_app.actions import sweep
from sessions_app.core import wake
from tests import packages
from tests.cast import Cast, Chat, Later, broken_invariants, wrong_in_the_record
from tests.patience import PATIENCE
from tests.unguarded import let_tests_empty_the_record

let_tests_empty_the_record()
HERE = Path(__file__).parent
CORE = (
    "actions",
    "agent_tools",
    "attachments",
    "batches",
    # Of the cases found in use, those in which the database has a say.
    "cases/test_a10_marks.py",
    "cases/test_a11_echoes.py",
    "cases/test_t01_times.py",
    "cases/test_t02_one_row.py",
    "cases/test_t03_free_json.py",
    "cases/test_t03_texts_of_programs.py",
    "cases/test_t04_who_brings.py",
    "cases/test_t04_who_said_it.py",
    "cases/test_t05_sent_again.py",
    "cases/test_t06_login.py",
    "cases/test_t06_rules.py",
    "cases/test_t06_sessions.py",
    "cases/test_t07_admin.py",
    "cases/test_t09_forgetting.py",
    "cases/test_t09_held_against_the_rows.py",
    "cases/test_t09_keys_that_were_replaced.py",
    "cases/test_t09_the_record.py",
    "cases/test_t10_overnight.py",
    "cases/test_t10_the_drain.py",
    "cases/test_t10_waiting_without_growth.py",
    "cases/test_t11_capacity.py",
    "cases/test_t11_departure.py",
    "cases/test_t11_offers.py",
    "cases/test_t12_what_was_said.py",
    "cases/test_t15_lost_requests.py",
    "cases/test_t15_nameless_bots.py",
    "cases/test_t15_nobody_forgotten.py",
    "cases/test_t15_withdrawn.py",
    "cases/test_t16_seen_by_arrival.py",
    "cases/test_t17_the_package.py",
    "cases/test_t18_bots_that_come_back.py",
    "cases/test_t18_flows.py",
    "cases/test_t19_collaborators.py",
    "joined",
    "live",
    "notices",
    "webhooks",
    "test_analyser.py",
    "test_alike_operations.py",
    "test_bulk_rows.py",
    "test_compiled_query.py",
    "test_costs.py",
    "test_database_rules.py",
    "test_search.py",
    "test_statements.py",
    "test_states.py",
    "test_stream.py",
    # The desk's own reading; the rest of its pages asks the database nothing else.
    "workbench/test_command_bar.py",
    "workbench/test_details.py",
    "workbench/test_drafts.py",
    "workbench/test_query_budget.py",
    "workbench/test_views_column.py",
)
"""What runs again on PostgreSQL and on MariaDB: the rules hold on every database.

Of these folders only what asks a database: a pure function says the same three times.
"""
RULES = (
    "actions/test_after_hours.py",
    "actions/test_conflicts.py",
    "actions/test_departments.py",
    "actions/test_desk.py",
    "actions/test_flow_life.py",
    "actions/test_flows.py",
    "actions/test_hours_rules.py",
    "actions/test_lessons.py",
    "actions/test_messages.py",
    "actions/test_people.py",
    "actions/test_rights.py",
    "actions/test_transfers.py",
    "agent_tools/test_bulk.py",
    "agent_tools/test_canned.py",
    "agent_tools/test_labels.py",
    "agent_tools/test_saved_views.py",
    "attachments/test_api.py",
    "attachments/test_content.py",
    "attachments/test_pages.py",
    "cases/test_t03_texts_of_programs.py",
    "cases/test_t04_who_brings.py",
    "cases/test_t04_who_said_it.py",
    "cases/test_t06_rules.py",
    "cases/test_t07_admin.py",
    "cases/test_t09_keys_that_were_replaced.py",
    "cases/test_t12_what_was_said.py",
    "cases/test_t15_nameless_bots.py",
    "cases/test_t15_withdrawn.py",
    "cases/test_t17_the_package.py",
    "cases/test_t18_bots_that_come_back.py",
    "cases/test_t18_flows.py",
    "cases/test_t19_collaborators.py",
    "joined",
    "notices",
    "webhooks/test_endpoints.py",
    "workbench/test_details.py",
    "workbench/test_drafts.py",
    "test_analyser.py",
    "test_states.py",
)
"""Of those what Python decides, in hundreds of cases: `make test` has them on SQLite, `make slow` on the other two.

What is left, and so what `make services` runs, is what a database decides: locks, constraints, triggers, times, collation,
JSON, what is searched, how many queries. The verbs of the others are played there by the model and the fuzz of `make races`.
"""
FIRST = ("workbench",)
"""Of those what is the same SQL on both: on the first one only."""
LAYERS = ("browser", "races", "services", "slow")


def pytest_configure() -> None:
    """Production's hasher takes a third of a second for each password, on purpose; no test is about how long."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Each worker collects by itself: for a layer, only files that can hold something of it are read."""
    layer = _layer(config)
    if not layer or collection_path.suffix != ".py" or not collection_path.is_relative_to(HERE):
        return None
    return None if _names(collection_path, layer) or _runs_again(collection_path, layer) else True


def _runs_again(path: Path, layer: str) -> bool:
    """Does the layer run this file's tests that ask the database, though they have no mark?"""
    if layer == "slow":
        return _within(path, RULES)
    return layer == "services" and _within(path, CORE) and not _within(path, RULES)


def _layer(config: pytest.Config) -> str:
    """The one that is run (`bin/marked`), or nothing for the quick tests."""
    first, *_ = config.option.markexpr.split() or [""]
    return first if first in LAYERS else ""


@cache
def _names(path: Path, mark: str) -> bool:
    return mark in path.read_text(encoding="utf-8")


def _within(path: Path, chosen: tuple[str, ...]) -> bool:
    """Is this file of the tests among those that are chosen by name or by folder?"""
    its = path.relative_to(HERE)
    return its.parts[0] in chosen or its.as_posix() in chosen


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    if layer := _layer(config):
        _mark_again(items, layer)
    else:
        _hold_marks_to_be_named(items)
    yield
    if hasattr(config, "workerinput") and config.option.loadgroup:
        _keep_groups_together(items)


def pytest_collection_finish(session: pytest.Session) -> None:
    """What was collected stays to the end: Python need not look through it again and again for what can be freed. And what
    one test leaves is small: it is looked through every 20,000 new objects instead of every 700.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


def _mark_again(items: list[pytest.Item], layer: str) -> None:
    """Elsewhere these are quick tests on SQLite; a mark of their own would take them out of `make test`."""
    for item in items:
        asked = {"db", "transactional_db"} & set(getattr(item, "fixturenames", ()))
        if not _runs_again(item.path, layer) or item.get_closest_marker("slow"):
            continue
        if asked or item.get_closest_marker("django_db"):
            item.add_marker(layer)
        if _within(item.path, FIRST):
            item.add_marker("first_database")


def _hold_marks_to_be_named(items: list[pytest.Item]) -> None:
    """A layer does not read a file that does not name it: a mark that comes from elsewhere would be lost there in silence."""
    for path, mark in {(item.path, mark.name) for item in items for mark in item.iter_markers() if mark.name in LAYERS}:
        if not _names(path, mark):
            raise pytest.UsageError(
                f"{path}: has tests marked {mark}; name the mark in this file, or no layer reads it"
            )


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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """When a test is over, each transfer that it stored has a context package that fits its published schema (T17)."""
    yield
    asked = {"db", "transactional_db"} & set(getattr(item, "fixturenames", ()))
    if not (asked or item.get_closest_marker("django_db")) or item.get_closest_marker("damaged"):
        return
    from django.db import connection

    if connection.connection is None or connection.needs_rollback:
        return  # it asked the database nothing, or broke its transaction on purpose
    if rows := packages.stored():
        _validated[item.nodeid] = len(rows)
        assert packages.invalid(rows) == []


_validated: dict[str, int] = {}


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if _validated:
        told = f"{sum(_validated.values())} transfers of {len(_validated)} tests have a package that fits its schema"
        terminalreporter.write_line(told)
    for report in terminalreporter.stats.get("passed", ()):
        for name, text in report.user_properties:
            if name == "cheaper":
                terminalreporter.write_line(text)
    layer = _layer(config)
    if not layer and connection.vendor == "sqlite":
        terminalreporter.write_line(
            "SQLite has no row locks: one that is missing is noticed by `make races`, not here."
        )
    path = os.environ.get("TEST_SUMMARY")
    if path and not os.environ.get("PYTEST_XDIST_WORKER"):  # a worker has a summary of its own
        counted = ", ".join(text for text, _ in terminalreporter.build_summary_stats_line()[0])
        again = [f"  once more: {report.nodeid}" for report in terminalreporter.stats.get("rerun", ())]
        with Path(path).open("a", encoding="utf-8") as summary:
            print(f"{layer or 'test'} on {connection.vendor}: {counted}", *again, sep="\n", file=summary)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Say why a test is run once more; pytest-rerunfailures only says that it is. Workers have no say: their leader has."""
    if report.outcome == "rerun" and not os.environ.get("PYTEST_XDIST_WORKER"):  # type: ignore[comparison-overlap]
        print(f"\n{report.nodeid} is run once more, because of:\n{report.longreprtext}\n")


@pytest.fixture(scope="module", autouse=True)
def _leave_the_server_its_connections() -> Iterator[None]:
    """A file's pool keeps what its rivals held, fifty of the hundred that a server has, and the next files race beside it."""
    yield
    if connection.vendor == "postgresql":
        connections.close_all()
        connection.close_pool()  # type: ignore[attr-defined]


@pytest.fixture
def later() -> Iterator[Later]:
    """Move time by so many seconds: `later(301)`. Nothing in the tests sleeps."""
    yield Later()
    clock.offset = timedelta(0)


@pytest.fixture(autouse=True)
def _woken_at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """At its commit, whatever wakes the drain of a queue runs it there and then, in the test's own thread and connection.

    A test of the thread that does it in production asks for `the_real_waker`.
    """
    if "the_real_waker" not in request.fixturenames:
        monkeypatch.setattr(wake, "wake", sweep.settle_offers_and_drain)


@pytest.fixture(autouse=True)
def _edited_rules_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, an edit counts from the next message on."""
    monkeypatch.setattr(detection, "PATIENCE", PATIENCE)


@pytest.fixture
def the_real_waker() -> Iterator[None]:
    """The queue is drained by a thread, which needs commits that are seen elsewhere (`transactional_db`)."""
    yield
    wake.stop(10)
    wake.begin_anew()


@pytest.fixture
def cast(db: None, later: Later, request: pytest.FixtureRequest) -> Iterator[Cast]:
    """One shop's desk. When the test is over, what it left in the database breaks no invariant of the domain, and of the
    verbs' own tests agrees with the record (T9); and nothing has failed in a loop, whose guard would hide it. A test in which
    something is meant to fail asks for `failures_are_meant`.
    """
    yield Cast()
    assert list(broken_invariants()) == []
    if request.path.parent.name in ("actions", "batches", "joined"):
        assert list(wrong_in_the_record()) == []
    if "failures_are_meant" not in request.fixturenames:
        assert (loops.failures(), list(Backoff.objects.values_list("loop", "key", "error"))) == ({}, [])


@pytest.fixture
def failures_are_meant() -> None:
    """Items fail in this test on purpose."""


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
    from agents_app.api.viewsets import Endpoints
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
