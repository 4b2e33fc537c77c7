"""A program's call passes few layers, and is answered word for word as by all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import batched
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as configured
from django.core.handlers import base
from django.db import transaction
from django.test import Client
from django.utils.module_loading import import_string
from drf_spectacular.generators import SchemaGenerator

from config import short_way
from messaging_app.attachments import files
from tests.api import matrix
from tests.api.matrix import Row
from tests.api.world import STATES, Caller, Place, agent, program, world
from tests.cast import Cast, Chat

ROWS = [row for row in matrix.rows() if not row.is_page]
CHUNKS = [
    pytest.param(state, chunk, id=f"{state}-{number}")
    for state in STATES
    for number, chunk in enumerate(batched([row for row in ROWS if row.state == state], 15), 1)
]
STRANGE = {"Accept-Language": "ja", "Accept": "application/json;q=0.9", "Origin": "https://elsewhere.example"}
PROGRAMS: dict[str, dict[str, str]] = {"customer": STRANGE, "integrator": {}}
"""A token and a key, and headers that each sends besides."""
COUNTED = {"RateLimit-Remaining", "RateLimit-Reset"}
"""Headers that differ from one request to the next."""


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The layers that a request passes, by name, from the outermost."""
    names: list[str] = []

    def recorded(path: str) -> Any:
        made = import_string(path)
        if path not in configured.MIDDLEWARE:
            return made

        def factory(respond: Any) -> Callable[[Any], Any]:
            layer = made(respond)

            def run(request: Any) -> Any:
                names.append(path)
                return layer(request)

            for hook in ("process_view", "process_exception", "process_template_response"):
                if hasattr(layer, hook):
                    setattr(run, hook, getattr(layer, hook))
            return run

        return factory

    monkeypatch.setattr(base, "import_string", recorded)
    monkeypatch.setattr(short_way, "import_string", recorded)
    return names


@pytest.fixture
def _unhurried(settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rates = {"caller": "1000000/min", "anonymous": "1000000/min"}
    settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"DEFAULT_THROTTLE_RATES": rates}
    settings.DIRECTORY, settings.MEDIA_ROOT = "agents_app.directory.Rows", tmp_path
    settings.WEBHOOK_ALLOW_LOOPBACK = True
    where = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path / "media"}}
    settings.STORAGES = settings.STORAGES | {"attachments": where}
    monkeypatch.setattr(files, "never_in_a_transaction", lambda: None)  # each request is undone
    monkeypatch.setattr(SchemaGenerator, "get_schema", lambda *_, **__: {"openapi": "3.1.1"})


@pytest.fixture
def long_way(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bool], None]]:
    """Switch the short way off and on."""
    real = short_way.is_of_a_program

    def switch(is_long: bool) -> None:
        monkeypatch.setattr(short_way, "is_of_a_program", (lambda _: False) if is_long else real)

    yield switch
    switch(False)


ALWAYS = [
    "agents_app.api.cors.Cors",
    "config.caching.no_store",
    "config.middleware.api_in_json",
    "config.short_way.ShortWay",
]


def test_a_program_passes_only_what_it_needs_and_once_that_is_known_even_less(cast: Cast, passed: list[str]) -> None:
    bot = program(cast, "bargain")
    told = []
    for layers in (
        [*ALWAYS, *short_way.NEEDED, *short_way.NEEDED],
        [*ALWAYS, "config.middleware.connections_given_back"],
    ):
        answer = bot.get("teams")
        told.append((answer.status_code, {n: v for n, v in answer.headers.items() if n not in COUNTED}, answer.content))
        assert passed == layers
        passed.clear()
    assert told[0] == told[1]
    assert bot.get("teams/1").status_code == 404
    assert passed == [*ALWAYS, "config.middleware.connections_given_back", *short_way.NEEDED]


@pytest.mark.parametrize(
    "more",
    [
        {"HTTP_ACCEPT_LANGUAGE": "de"},
        {"HTTP_HOST": "elsewhere.example"},
        {"HTTP_X_FORWARDED_PROTO": "https"},
        {"secure": True},
        {"SERVER_NAME": "elsewhere.example"},
    ],
    ids=str,
)
def test_what_is_known_of_one_request_is_not_taken_for_another(
    cast: Cast, long_way: Callable[[bool], None], settings: Any, more: dict[str, Any]
) -> None:
    settings.SECURE_HSTS_SECONDS, settings.SECURE_PROXY_SSL_HEADER = 60, ("HTTP_X_FORWARDED_PROTO", "https")
    bot = program(cast, "bargain").client
    told = []
    for is_long in (True, False):
        long_way(is_long)
        for given in ({}, more, {}, more):
            answer = bot.get("/api/v1/teams", **given)
            headers = {name: value for name, value in answer.headers.items() if name not in COUNTED}
            told.append((answer.status_code, headers, answer.content))
    assert told[:4] == told[4:]


def test_a_login_passes_everything(chat: Chat, passed: list[str]) -> None:
    assert agent(chat.cast, "ann").get("teams").status_code == 200
    assert passed == configured.MIDDLEWARE


def test_a_bearer_beside_a_cookie_passes_everything(cast: Cast, passed: list[str]) -> None:
    """A browser has sent it: its login, if it is one, goes on as by any other page."""
    bot = program(cast, "bargain")
    bot.client.cookies["sessionid"] = "made-up"
    assert bot.get("teams").status_code == 200
    assert passed == configured.MIDDLEWARE


@pytest.mark.parametrize("path", ["/login/", "/api/docs", "/api/v2/teams"])
def test_other_addresses_are_reached_through_everything(cast: Cast, passed: list[str], path: str) -> None:
    program(cast, "bargain").client.get(path)
    assert passed == configured.MIDDLEWARE


def test_what_a_program_passes_stands_in_the_order_of_all() -> None:
    places = [configured.MIDDLEWARE.index(name) for name in short_way.NEEDED]
    assert places == sorted(places)


def _answer(caller: Caller, row: Row, place: Place, **headers: str) -> tuple[int, dict[str, str], bytes]:
    caller.client.defaults |= {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
    with transaction.atomic():
        answer = caller.send(row.method, row.path(place), row.body(place))
        transaction.set_rollback(True)
    text = b"" if answer.streaming else answer.content
    answer.close()
    told = {name: value for name, value in answer.headers.items() if name not in COUNTED}
    return answer.status_code, told, text


@pytest.mark.usefixtures("_unhurried")
@pytest.mark.parametrize(("state", "chunk"), CHUNKS)
def test_both_ways_answer_with_the_same_status_and_headers(
    cast: Cast, others: Cast, long_way: Callable[[bool], None], state: str, chunk: tuple[Row, ...]
) -> None:
    made = world(STATES[state], cast, others)
    for row in chunk:
        for role, headers in PROGRAMS.items():
            told = []
            for is_long in (True, False):
                long_way(is_long)
                told.append(_answer(made.callers[role], row, made.places["own"], **headers))
            by_all, by_few = told
            assert by_few[:2] == by_all[:2], (row, role)
            if row.method == "GET":
                assert by_few[2] == by_all[2], (row, role)


@pytest.mark.parametrize(
    ("method", "path", "more"),
    [
        ("get", "/api/v1/nowhere", {}),
        ("get", "/api/v1/teams/", {}),
        ("post", "/api/v1/nowhere", {"data": "{}", "content_type": "application/json"}),
        ("put", "/api/v1/teams", {}),
        ("delete", "/api/v1/teams", {}),
        ("head", "/api/v1/teams", {}),
        ("options", "/api/v1/teams", {}),
        ("post", "/api/v1/inbound", {"data": "{", "content_type": "application/json"}),
        ("post", "/api/v1/inbound", {"data": "a=b", "content_type": "application/x-www-form-urlencoded"}),
        (
            "post",
            "/api/v1/inbound",
            {"data": "{}", "content_type": "application/json", "HTTP_CONTENT_ENCODING": "gzip"},
        ),
        ("get", "/api/v1/teams", {"HTTP_HOST": "elsewhere.example"}),
        ("get", "/api/v1/teams", {"HTTP_ACCEPT": "text/html"}),
        ("get", "/api/v1/teams", {"HTTP_ACCEPT_LANGUAGE": "zh-TW,zh;q=0.8"}),
        ("get", "/api/v1/teams?format=xml", {}),
        ("get", "/api/v1/teams?limit=0", {}),
        ("get", "/api/v1/health/live", {}),
        ("post", "/api/v1/health/live", {}),
        ("get", "/api/v1/asyncapi.yaml", {}),
        ("get", "/api/v1/teams\n", {}),
    ],
)
@pytest.mark.parametrize("secret", ["", "tdm_0_0", "nonsense"])
def test_both_ways_refuse_alike(
    cast: Cast, long_way: Callable[[bool], None], method: str, path: str, more: dict[str, Any], secret: str
) -> None:
    bearer = secret or program(cast, "channel").secret
    client = Client(headers={"Authorization": f"Bearer {bearer}"}, raise_request_exception=False)
    told = []
    for is_long in (True, False):
        long_way(is_long)
        answer = getattr(client, method)(path, **more)
        headers = {name: value for name, value in answer.headers.items() if name not in COUNTED}
        text = b"".join(answer) if answer.streaming else answer.content
        told.append((answer.status_code, headers, text))
    assert told[0] == told[1]


def test_a_failure_of_ours_is_answered_alike(
    cast: Cast, long_way: Callable[[bool], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise RuntimeError("ours")

    channel = program(cast, "channel")
    channel.client.raise_request_exception = False
    monkeypatch.setattr("sessions_app.api.agents.TeamEndpoints.get_queryset", fails)
    told = []
    for is_long in (True, False):
        long_way(is_long)
        answer = channel.get("teams")
        body = answer.json()
        told.append((answer.status_code, set(answer.headers), body["code"], set(body)))
    assert told[0] == told[1]
    assert told[0][0] == 500


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/*", "text/html, */*;q=0.1", None])
def test_whoever_takes_json_gets_it(cast: Cast, accept: str | None) -> None:
    headers = {} if accept is None else {"Accept": accept}
    answer = program(cast, "bargain").client.get("/api/v1/teams", headers=headers)
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/*"])
def test_a_format_that_there_is_not_is_not_found_whoever_asks(cast: Cast, accept: str) -> None:
    """It is refused before it is asked who calls, so for an invalid key too."""
    for secret in (program(cast, "bargain").secret, "tdm_0_0"):
        client = Client(headers={"Authorization": f"Bearer {secret}", "Accept": accept})
        answer = client.get("/api/v1/teams?format=xml")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
