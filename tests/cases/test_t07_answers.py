"""T7.4 and T7.2: whatever is sent to the API, and whatever breaks below it, the answer is JSON with the right status."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connection
from django.urls import URLPattern, URLResolver, get_resolver
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from config import buckets
from sessions_app.actions import inbound
from sessions_app.workbench import views
from tests.api.world import Caller, agent, program
from tests.cast import Cast, Chat

PROBLEM = "application/problem+json"
FORM = "multipart/form-data; boundary=x"


@pytest.fixture(autouse=True)
def _nobody_has_called_yet() -> Iterator[None]:
    buckets.forget()
    yield
    buckets.forget()


def refused(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert (answer.status_code, answer["Content-Type"]) == (status, PROBLEM), answer.content[:300]
    told: dict[str, Any] = answer.json()
    assert (told["status"], told["code"]) == (status, code)
    return told


# --- T7.4: bodies, hosts, codings --------------------------------------------------------------------------------


def test_t7_4_an_unknown_host_is_told_so(cast: Cast) -> None:
    for path in ("/api/v1/conversations", "/api/nowhere", "/api/v1/health/live", "/api/docs"):
        bot = program(cast, "bargain")
        refused(bot.client.get(path, headers={"Host": "elsewhere.example"}), 400, "unknown_host")


@pytest.mark.parametrize("body", [b"--x\r\n", b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--x--\r\n'])
def test_t7_4_a_form_where_json_is_wanted_is_of_the_wrong_type(cast: Cast, body: bytes) -> None:
    ann, bot = agent(cast, "ann", csrf=True).client, program(cast, "bargain").client
    ann.cookies["csrftoken"] = token = "t" * 32
    for client in (ann, bot):
        answer = client.post("/api/v1/sessions", body, content_type=FORM, headers={"X-CSRFToken": token})
        refused(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize("path", ["batches", "inbound", "sessions"])
def test_t7_4_a_compressed_body_is_refused_and_not_taken_for_text(cast: Cast, path: str) -> None:
    answer = program(cast, "channel").client.post(
        f"/api/v1/{path}",
        b"\x1f\x8b\x08",
        content_type="application/x-ndjson" if path == "batches" else "application/json",
        headers={"Content-Encoding": "gzip"},
    )
    refused(answer, 415, "unsupported_media_type")
    assert answer["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("kind", ["application/json", FORM, "application/x-www-form-urlencoded"])
def test_t7_4_a_body_that_is_too_long_is_413_or_of_the_wrong_type(cast: Cast, kind: str) -> None:
    for caller in (program(cast, "bargain"), agent(cast, "ann")):
        answer = caller.client.post("/api/v1/sessions", b'{"a":"' + b"x" * 2_700_000 + b'"}', content_type=kind)
        assert (answer.status_code, answer["Content-Type"]) == (413 if "json" in kind else 415, PROBLEM)


def test_t7_4_a_login_without_its_csrf_token_is_refused_in_json(cast: Cast) -> None:
    ann = agent(cast, "ann", csrf=True)
    refused(ann.post("sessions", {}), 403, "forbidden")
    refused(ann.client.post("/api/docs", {}), 403, "forbidden")


def test_t7_4_a_length_that_is_no_number_is_no_fault_of_ours(cast: Cast) -> None:
    answer = program(cast, "bargain").client.generic("POST", "/api/v1/sessions", b"{}", CONTENT_LENGTH="ten")
    assert (answer.status_code, answer["Content-Type"]) == (400, PROBLEM)


# --- Every path, method, type and host ---------------------------------------------------------------------------


def _paths(resolver: URLResolver | None = None, before: str = "/") -> Iterator[str]:
    """Every address under /api/, with an id that is none's in each variable part."""
    for entry in (resolver or get_resolver()).url_patterns:
        path = before + _filled(str(entry.pattern))
        if isinstance(entry, URLPattern):
            if path.startswith("/api/"):
                yield path
        else:
            yield from _paths(entry, path)


def _filled(pattern: str) -> str:
    return re.sub(r"\(\?P<\w+>[^)]*\)|<[^>]*>", "1099511627776", pattern).strip("^$").replace("\\", "")


PATHS = [*sorted(set(_paths())), "/api/v1/sessions/", "/api/v1/", "/api/%00", "/api/v1/conversations/x%2fy"]
TYPES = {"application/json", PROBLEM, "application/x-ndjson", "application/vnd.oai.openapi+json", "application/yaml"}
DOCUMENTS = {"/api/docs", "/api/docs/errors"}


@pytest.fixture
def callers(cast: Cast) -> dict[str, Caller]:
    known = {"key": program(cast, "channel"), "login": agent(cast, "sue")}
    return {"nobody": Caller(), "wrong": Caller("tdm_wrong")} | known


@settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    path=some.sampled_from(PATHS),
    method=some.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"]),
    kind=some.sampled_from(["application/json", FORM, "text/html", "application/x-www-form-urlencoded", "", "?"]),
    body=some.sampled_from([b"", b"{}", b"{", b"\xff\xfe", b"[[[[", b"--x\r\n", b"a=b&c", b'{"a":1,"a":2}']),
    host=some.sampled_from(["testserver", "testserver", "elsewhere.example", "a b", ""]),
    accept=some.sampled_from(["*/*", "text/html", "text/html,*/*;q=0.1", "image/png"]),
    who=some.sampled_from(["nobody", "key", "wrong", "login"]),
    query=some.sampled_from(["", "?cursor=%ff", "?limit=x", "?a=%00"]),
)
def test_t7_4_every_answer_under_the_api_is_json(
    cast: Cast,
    callers: dict[str, Caller],
    path: str,
    method: str,
    kind: str,
    body: bytes,
    host: str,
    accept: str,
    who: str,
    query: str,
) -> None:
    buckets.forget()
    cast.tenant.refresh_from_db()  # PostgreSQL ends what is idle in a transaction
    answer = callers[who].client.generic(
        method, path + query, body, content_type=kind, headers={"Host": host, "Accept": accept}
    )
    if answer.streaming:
        b"".join(answer)  # a document is a file, closed at its end
    told = answer.headers.get("Content-Type", "").partition(";")[0]
    assert answer.status_code < 500, answer.content[:300]
    if answer.status_code >= 400:
        assert told == PROBLEM
        if method != "HEAD":
            assert answer.json()["status"] == answer.status_code
    elif path in DOCUMENTS:
        assert told == "text/html"
    elif path == "/api/v1/metrics":
        assert told == "text/plain"
    elif answer.status_code < 300 and answer.status_code != 204:
        assert told in TYPES, (path, told)


# --- T7.2: what breaks below -------------------------------------------------------------------------------------


def _lost() -> Exception:
    error = OperationalError("consuming input failed: server closed the connection unexpectedly")
    error.__cause__ = psycopg.OperationalError("server closed the connection unexpectedly")
    return error


@pytest.fixture
def broken(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every query for conversations fails, as it does when the connection is cut."""

    def fail(*args: Any, **kwargs: Any) -> Any:
        raise _lost()

    monkeypatch.setattr(inbound, "receive_message", fail)
    with connection.execute_wrapper(partial(_no_conversations, _lost())):
        yield


def _no_conversations(error: Exception, execute: Any, sql: str, *rest: Any) -> Any:
    """Around every statement: one for conversations fails."""
    if 'FROM "messaging_app_conversation"' in sql:
        raise error
    return execute(sql, *rest)


def test_t7_2_a_lost_connection_is_503_with_retry_after(chat: Chat, broken: None) -> None:
    channel = program(chat.cast, "channel")
    for answer in (
        channel.get("conversations"),
        channel.post("inbound", {"platform": "x", "shop_id": "s", "account_id": "a", "content": "Hello?"}),
    ):
        refused(answer, 503, "busy")
        assert answer["Retry-After"] == "1"


def test_t7_4_a_mistake_of_ours_is_500_in_json_with_an_id_that_the_log_has(
    chat: Chat, caplog: pytest.LogCaptureFixture
) -> None:
    channel = program(chat.cast, "channel")
    channel.client.raise_request_exception = False
    with connection.execute_wrapper(partial(_no_conversations, ZeroDivisionError())):
        told = refused(channel.get("conversations"), 500, "internal_error")
    assert any(told["error_id"] in record.getMessage() and record.exc_info for record in caplog.records)
    assert "ZeroDivision" not in json.dumps(told)


@pytest.mark.parametrize("debug", [True, False])
def test_t7_4_not_even_while_developing_is_there_html(chat: Chat, settings: Any, debug: bool) -> None:
    settings.DEBUG = debug
    channel = program(chat.cast, "channel")
    refused(channel.client.get("/api/v1/conversations", headers={"Host": "elsewhere.example"}), 400, _code(debug))
    refused(channel.client.get("/api/nowhere"), 404, "not_found")


def _code(debug: bool) -> str:
    return "malformed" if debug else "unknown_host"


def test_t7_2_a_page_says_that_it_cannot_now(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise _lost()

    ann = agent(chat.cast, "ann").client
    ann.raise_request_exception = False
    monkeypatch.setattr(views, "look", fail)
    answer = ann.get("/desk/")
    assert (answer.status_code, answer["Retry-After"]) == (503, "1")
    assert "One moment, please" in answer.content.decode()
    part = ann.get("/desk/", headers={"HX-Request": "true"})
    assert (part.status_code, part["Content-Type"]) == (503, "text/plain; charset=utf-8")
