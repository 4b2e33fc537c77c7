"""Every address, with every method it takes, by everybody, on what is theirs and what is not: the table in `matrix`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import batched
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection, transaction
from django.urls import URLPattern, URLResolver, get_resolver, resolve
from drf_spectacular.generators import SchemaGenerator

from config import asgi, buckets
from messaging_app.attachments import files
from tests.api import matrix
from tests.api.matrix import Row
from tests.api.world import STATES, Caller, Place, World, world
from tests.cast import Cast, snapshot

ROWS = matrix.rows()
CHUNKS = [
    pytest.param(state, chunk, id=f"{state}-{number}")
    for state in STATES
    for number, chunk in enumerate(batched([row for row in ROWS if row.state == state], 15), 1)
]
LETTERS = {200: "+", 201: "+", 202: "+", 204: "+", 409: "=", 401: "k", 403: "-", 404: "0"}
UNTOLD = {("foreign", "-"), ("foreign", "0"), ("other", "0")}
"""What is refused word for word like what does not exist: all of another tenant's, and what is not the caller's to know."""
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@pytest.fixture(autouse=True)
def _unhurried(settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """One caller makes hundreds of requests here; and the API's document takes a second to make, every time."""
    rates = {"caller": "1000000/min", "anonymous": "1000000/min"}
    settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"DEFAULT_THROTTLE_RATES": rates}
    settings.PAGE_RATE = settings.LOGIN_RATE = "1000000/min"
    settings.TRY_IT = settings.WEBHOOK_ALLOW_LOOPBACK = True
    settings.DIRECTORY = "agents_app.directory.Rows"
    settings.MEDIA_ROOT = tmp_path
    where = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path / "media"}}
    settings.STORAGES = settings.STORAGES | {"attachments": where}
    monkeypatch.setattr(files, "never_in_a_transaction", lambda: None)  # each request is undone
    monkeypatch.setattr(SchemaGenerator, "get_schema", lambda *_, **__: {"openapi": "3.1.1"})
    yield
    buckets.forget()


def _try(caller: Caller, row: Row, place: Place) -> tuple[str, bytes]:
    """Send it, and undo whatever it did if it was let do it. The cell's letter, and the answer word for word."""
    with transaction.atomic():
        answer = caller.send(row.method, row.path(place), row.body(place), form=row.is_page)
        letter = _letter(answer)
        if letter not in matrix.REFUSED:
            transaction.set_rollback(True)
    assert any(kept in answer.headers.get("Cache-Control", "") for kept in ("no-store", "private, no-cache"))
    text = b"" if answer.streaming else answer.content
    answer.close()
    return letter, text


def _none(complaints: list[str]) -> None:
    """Unlike a comparison, this shows all of them."""
    if complaints:
        pytest.fail("\n".join(complaints), pytrace=False)


def _letter(answer: Any) -> str:
    if answer.status_code == 302:
        return "l" if answer["Location"].startswith(("/login/", "/admin/login/")) else "+"
    return LETTERS.get(answer.status_code, str(answer.status_code))


def _cells(made: World, row: Row) -> Iterable[str]:
    """What is wrong with this row's answers, in words."""
    for role, cell in row.cells.items():
        for letter, where in zip(cell, row.places, strict=True):
            found, text = _try(made.callers[role], row, made.places[where])
            if found != letter:
                yield f"{role}, {where}: {found!r}, not {letter!r}: {text[:300]!r}"
            elif (where, letter) in UNTOLD and not row.is_page:
                missing = _try(made.callers[role], row, Place())
                if missing != (found, text):
                    yield f"{role}: what is of {where} is told from what does not exist: {text!r}, {missing!r}"


@pytest.mark.parametrize(("state", "chunk"), CHUNKS)
def test_everybody_is_answered_as_the_table_says_and_a_refusal_changes_nothing(
    cast: Cast, others: Cast, caplog: pytest.LogCaptureFixture, state: str, chunk: tuple[Row, ...]
) -> None:
    made, wrong = world(STATES[state], cast, others), []
    for row in chunk:
        before, hints = snapshot(), len(connection.run_on_commit)
        wrong += [f"{row.method} {row.pattern} by {complaint}" for complaint in _cells(made, row)]
        if len(connection.run_on_commit) != hints:
            wrong.append(f"{row.method} {row.pattern}: what was refused is announced")
        if snapshot() != before and not row.is_page:  # to open a page of the desk is a sign of life, refused or not
            wrong.append(f"{row.method} {row.pattern}: what was refused has changed something")
    _none(wrong)


def test_another_tenants_things_are_never_done_nor_told_of() -> None:
    """Of the table itself: no letter of the last column says that something of another tenant's was there."""
    for row in ROWS:
        if "foreign" in row.places:
            assert {cell[-1] for cell in row.cells.values()} <= set(matrix.REFUSED), row.pattern


# --- Nothing is missing ------------------------------------------------------------------------------------------


def _walk(patterns: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    for pattern in patterns:
        route = before + str(pattern.pattern).removeprefix("^")
        if isinstance(pattern, URLPattern):
            yield route, pattern.callback
        elif isinstance(pattern, URLResolver) and pattern.app_name != "admin":
            yield from _walk(pattern.url_patterns, route)


def _route(row: Row) -> str:
    return resolve(row.path(Place()).partition("?")[0]).route


ROUTES = dict(_walk(get_resolver().url_patterns))
BY_ROUTE = {_route(row): row for row in ROWS}
COVERED = {(_route(row), row.method) for row in ROWS}


def test_every_address_stands_in_the_table() -> None:
    _none([f"no line: {route}" for route in sorted(set(ROUTES) - set(BY_ROUTE))])
    _none([f"no such address: {route}" for route in sorted(set(BY_ROUTE) - set(ROUTES))])


def test_every_endpoint_stands_in_the_table_with_each_of_its_methods() -> None:
    taken = {
        (route, method.upper())
        for route, view in ROUTES.items()
        for method in getattr(view, "actions", {})
        if method != "head"
    }
    _none([f"no line: {method} {route}" for route, method in sorted(taken - COVERED)])


def test_no_address_takes_a_method_that_is_not_in_the_table(cast: Cast, others: Cast) -> None:
    """Asked by a supervisor with a login: nobody may try more."""
    made = world(STATES["served"], cast, others)
    taken = []
    for route, row in BY_ROUTE.items():
        if row.pattern in matrix.ANY_METHOD:
            continue
        for method in {*METHODS, "OPTIONS"} - {method for covered, method in COVERED if covered == route}:
            with transaction.atomic():
                answer = made.callers["supervisor"].send(method, row.path(made.places["own"]))
                transaction.set_rollback(True)
            if answer.status_code != 405:
                taken.append(f"{method} {row.pattern}: {answer.status_code}")
            answer.close()
    _none(taken)


def test_every_socket_stands_in_the_table() -> None:
    routes = [str(route.pattern) for route in asgi.by_login.routes]
    assert set(routes) == set(matrix.SOCKETS)


# --- The admin, by its own resolver ------------------------------------------------------------------------------


FOR_EVERYBODY = ("/admin/login/", "/admin/logout/", "/admin/jsi18n/")


def _admin_pages() -> list[str]:
    """Every address of the admin, with ids that no row has."""
    pages = []
    for pattern in admin.site.get_urls():
        nested = pattern.url_patterns if isinstance(pattern, URLResolver) else [pattern]
        before = str(pattern.pattern) if isinstance(pattern, URLResolver) else ""
        pages += [_filled(f"/admin/{before}{page.pattern}") for page in nested]
    return sorted({page for page in pages if page not in FOR_EVERYBODY})


def _filled(route: str) -> str:
    for part, value in (
        ("<path:object_id>", "1"),
        ("<int:content_type_id>", "1"),
        ("<id>", "1"),
        ("<app_label>", "sessions_app"),
    ):
        route = route.replace(part, value)
    return route.replace("\\Z", "").replace("^", "").replace("$", "")


def test_the_admin_lets_in_nobody_without_a_staff_login(cast: Cast, others: Cast) -> None:
    """Keys and tokens are no logins, and an agent's login opens the desk only. `tests/admin` asks who sees what inside."""
    made = world(STATES["served"], cast, others)
    before, entered = snapshot(), []
    for page in _admin_pages():
        for role in made.callers if page == "/admin/" else ("anonymous", "integrator", "admin"):
            for method in ("GET", "POST"):
                answer = made.callers[role].send(method, page, {}, form=True)
                if _letter(answer) not in matrix.REFUSED:
                    entered.append(f"{method} {page} by {role}: {answer.status_code}")
    _none(entered)
    assert snapshot() == before
