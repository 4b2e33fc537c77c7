"""How the API says no: one form for every refusal, stable codes, the predecessor's numbers."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

import pytest

from config.api import problem_of
from config.errors import DomainError
from sessions_app.api.error_catalogue import CATALOGUE
from sessions_app.errors import FlowMoved, IllegalTransition, LiveSessionExists
from tests.api.world import Caller, agent, bearer, program
from tests.cast import Cast, Chat

MEMBERS = {"type", "title", "status", "detail", "code"}


def _subclasses(of: type[DomainError]) -> set[type[DomainError]]:
    direct = {kind for kind in of.__subclasses__() if not kind.__module__.startswith("tests")}
    return direct | {kind for child in direct for kind in _subclasses(child)}


@pytest.mark.parametrize("kind", sorted(_subclasses(DomainError), key=attrgetter("__name__")))
def test_every_refusal_of_the_domain_has_the_form_and_its_line_in_the_catalogue(kind: type[DomainError]) -> None:
    status, body, _ = problem_of(kind("In words.")) or (0, {}, {})
    assert {(code.code, code.status) for code in CATALOGUE if code.code == kind.code} == {(kind.code, status)}
    assert set(body) - {"legacy_code"} == MEMBERS
    assert (body["status"], body["code"], body["detail"]) == (kind.status, kind.code, "In words.")
    assert body["type"] == f"/api/docs/errors#{kind.code}"


def test_a_session_or_flows_status_is_told_under_its_own_name() -> None:
    for error in (IllegalTransition(status="PAUSED"), FlowMoved(version=3, status="ignored")):
        status, body, _ = problem_of(error) or (0, {}, {})
        assert (status, body["status"], body["session_status"]) == (409, 409, error.fields["status"])


@pytest.mark.parametrize("name", sorted(MEMBERS - {"status"}))
def test_no_field_takes_the_place_of_a_standard_member(name: str) -> None:
    _, body, _ = problem_of(LiveSessionExists("In words.", **{name: "mine"})) or (0, {}, {})
    assert "mine" not in body.values()


def test_what_is_no_refusal_is_no_problem() -> None:
    assert problem_of(ZeroDivisionError()) is None


# --- By HTTP -----------------------------------------------------------------------------------------------------


def _refused(answer: Any, status: int, code: str) -> dict[str, Any]:
    told: dict[str, Any] = answer.json()
    assert (answer.status_code, told["status"], told["code"]) == (status, status, code), told
    assert answer["Content-Type"] == "application/problem+json"
    assert set(told) >= MEMBERS
    return told


@pytest.mark.django_db
def test_what_is_wrong_with_a_body_is_said_field_by_field(cast: Cast) -> None:
    bot = program(cast, "bargain")
    told = _refused(bot.post("sessions", {"task": "bargain", "priority": 9, "colour": "red"}), 400, "malformed")
    assert set(told["errors"]) >= {"colour"}
    told = _refused(bot.post("sessions", {"conversation_id": "1", "task": "bargain", "priority": 9}), 400, "malformed")
    assert set(told["errors"]) == {"task", "priority"}


@pytest.mark.django_db
@pytest.mark.parametrize("body", [b"{", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"content": NaN}'])
def test_what_is_no_object_is_malformed(cast: Cast, body: bytes) -> None:
    answer = program(cast, "channel").client.post("/api/v1/inbound", body, content_type="application/json")
    _refused(answer, 400, "malformed")


@pytest.mark.django_db
def test_the_frameworks_own_refusals_speak_alike(cast: Cast) -> None:
    bot = program(cast, "bargain")
    _refused(bot.client.delete("/api/v1/inbound"), 405, "method_not_allowed")
    _refused(bot.client.get("/api/v1/sessions", headers={"Accept": "text/csv"}), 406, "not_acceptable")
    _refused(bot.client.post("/api/v1/messages", "a=b", content_type="text/plain"), 415, "unsupported_media_type")
    _refused(bot.get("nowhere"), 404, "not_found")
    _refused(Caller().get("sessions"), 401, "not_authenticated")


@pytest.mark.django_db
def test_an_address_that_is_none_is_told_to_whoever_writes_there_too() -> None:
    _refused(Caller(csrf=True).post("nowhere", {}), 404, "not_found")


# --- The predecessor's numbers (seed 001) ------------------------------------------------------------------------


def _ended(chat: Chat) -> None:
    chat.human()
    chat.resolve()


def _full(chat: Chat) -> None:
    chat.robot()
    chat.cast.change("ben", max_load=0)


LEGACY: dict[int, tuple[str, Callable[[Chat], Any], str, dict[str, Any], int]] = {
    3002: ("ben", _ended, "grab", {"reason": "Mine."}, 409),
    3003: ("ben", lambda chat: None, "nobody", {}, 404),
    3005: ("ben", _full, "take-over", {}, 409),
    3011: ("ben", lambda chat: chat.queue(), "grab", {"reason": "Mine."}, 409),
    3012: ("ann", lambda chat: chat.serve(), "grab", {"reason": "Mine."}, 409),
    3013: ("ben", lambda chat: chat.robot(), "grab", {"reason": "Mine."}, 409),
    3027: ("ben", lambda chat: chat.serve(), "resolve", {}, 403),
}
"""Number → who, in what state of the conversation, tries what."""


@pytest.mark.django_db
@pytest.mark.parametrize("number", LEGACY)
def test_the_predecessors_clients_are_told_its_numbers(chat: Chat, number: int) -> None:
    who, prepare, verb, body, status = LEGACY[number]
    prepare(chat)
    path = f"conversations/{2**40}/pin" if verb == "nobody" else f"conversations/{chat.id}/{verb}"
    answer = agent(chat.cast, who).post(path, body)
    assert (answer.status_code, answer.json().get("legacy_code")) == (status, number), answer.content


@pytest.mark.django_db
def test_the_catalogue_names_the_numbers() -> None:
    assert {int(n) for code in CATALOGUE for n in code.legacy.split(", ") if n} == set(LEGACY)


@pytest.mark.django_db
def test_a_bot_that_was_fenced_out_is_told_the_present_epoch(chat: Chat) -> None:
    chat.robot()
    bot, epoch = program(chat.cast, "bargain"), chat.epoch
    chat.take()
    body = {"conversation_id": str(chat.id), "content": "25 for you.", "epoch": epoch}
    told = _refused(bot.post("messages", body), 409, "stale_epoch")
    assert (told["epoch"], told["controller"]) == (chat.epoch, "human")
    assert chat.said == []


@pytest.mark.django_db
def test_a_customer_may_not_learn_from_a_refusal_what_is_elsewhere(cast: Cast, others: Cast) -> None:
    carla = bearer(cast.chat().customer)
    texts = {carla.get(f"conversations/{pk}").content for pk in (cast.chat().id, others.chat().id, 2**40)}
    assert len(texts) == 1
