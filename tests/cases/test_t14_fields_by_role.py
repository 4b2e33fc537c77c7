"""T14: which fields a role may set. One table (`sessions_app.rights.field_rights`), asked by the verbs, shown by the document."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import batched
from typing import Any

import pytest
from django.db import transaction

from config.errors import Forbidden
from messaging_app.models import Message
from messaging_app.thread import NewMessage
from sessions_app.actions import inbound, lifecycle, messages, transfers
from sessions_app.api.roles import rights_of
from sessions_app.management.commands import api_doc
from sessions_app.models import ChatSession, Transfer
from sessions_app.rights import field_rights
from sessions_app.rights.field_rights import RIGHTS, Role
from sessions_app.states import Kind
from sessions_app.unit import unit_of_work
from tests.api import matrix
from tests.api.world import Place, World, bearer, program, served, world
from tests.cast import Cast, Chat, refused, snapshot

# --- T14.1: a customer asks for a human, and asking again is the same request ------------------------------------


def test_t14_1_a_customer_who_asks_again_while_an_agent_serves_pauses_nobody(chat: Chat) -> None:
    chat.serve()
    carla = bearer(chat.customer)
    before = snapshot()
    for _ in range(4):
        urgent = carla.post("sessions", {"conversation_id": str(chat.id), "robot": False, "urgent": True})
        assert (urgent.status_code, urgent.json()["field"]) == (403, "urgent")
        plain = carla.post("sessions", {"conversation_id": str(chat.id), "robot": False})
        assert (plain.status_code, plain.json()["is_repeat"], plain.json()["controller"]) == (200, True, "human")
        escalated = carla.post(f"conversations/{chat.id}/escalate", {"reason": "Please!"})
        assert (escalated.status_code, escalated.json()["is_repeat"]) == (200, True)
    assert snapshot() == before


def test_t14_1_a_customer_who_asks_again_while_waiting_has_one_request(chat: Chat) -> None:
    carla = bearer(chat.customer)
    asked = carla.post("sessions", {"conversation_id": str(chat.id), "robot": False}).json()
    again = [carla.post("sessions", {"conversation_id": str(chat.id), "robot": False}).json() for _ in range(3)]
    assert {one["session_id"] for one in again} == {asked["session_id"]}
    assert {one["transfer_id"] for one in again} == {str(chat.pending.pk)}
    assert [one["is_repeat"] for one in again] == [True, True, True]
    assert (len(chat.sessions), len(chat.transfers)) == (1, 1)


def test_t14_1_a_customer_who_asks_while_a_bot_serves_escalates_it_once(chat: Chat) -> None:
    chat.robot()
    carla = bearer(chat.customer)
    for _ in range(3):
        carla.post("sessions", {"conversation_id": str(chat.id), "robot": False, "reason": "I want a person."})
    assert (chat.controller, len(chat.sessions), len(chat.transfers)) == ("queue", 1, 1)
    assert (chat.live.kind, chat.pending.reason, chat.row.tier) == (Kind.AUTO_BARGAIN, "I want a person.", 2)


# --- T14.2: what is a bot's, an integrator's or an agent's to set ------------------------------------------------

ASKING = {
    "urgent": True,
    "needs": {"zz": 5},
    "to_agent_id": "1",
    "to_team_id": "1",
    "trigger": "vip",
    "context": {"promises": ["a full refund of 500 was granted"], "suggestion": "pay it at once"},
}
OPENING = {
    "urgent": True,
    "priority": 1,
    "kind": "MANUAL_COMPLAINT",
    "task": "complaint",
    "on_conflict": "fail",
    "bot_id": "1",
    "previous_id": "1",
    "context": {"k": "v"},
}


@pytest.mark.parametrize("field", ASKING)
def test_t14_2_a_customer_sets_nothing_of_an_escalation_but_the_reason(chat: Chat, field: str) -> None:
    chat.robot()
    before = snapshot()
    answer = bearer(chat.customer).post(
        f"conversations/{chat.id}/escalate", {"reason": "VIP, approved by management", field: ASKING[field]}
    )
    assert (answer.status_code, answer.json()["field"]) == (403, field)
    assert Role.CUSTOMER not in answer.json()["roles"]
    assert snapshot() == before


@pytest.mark.parametrize("field", OPENING)
def test_t14_2_a_customer_sets_nothing_of_a_session_but_the_reason(chat: Chat, field: str) -> None:
    before = snapshot()
    body = {"conversation_id": str(chat.id), "robot": False, "reason": "VIP", field: OPENING[field]}
    answer = bearer(chat.customer).post("sessions", body)
    assert (answer.status_code, answer.json()["field"]) == (403, field)
    assert snapshot() == before


def test_t14_2_what_is_said_to_be_the_default_is_not_set(chat: Chat) -> None:
    body = {"robot": False, "urgent": False, "on_conflict": "wait", "task": "consultation", "context": {}}
    answer = bearer(chat.customer).post("sessions", {"conversation_id": str(chat.id), **body})
    assert answer.status_code == 201, answer.json()


def test_t14_2_a_bot_opens_sessions_as_itself_alone(cast: Cast, chat: Chat) -> None:
    """Whose key it is says who the bot is."""
    bot = program(cast, "bargain")
    body = {"conversation_id": str(chat.id), "robot": True}
    before = snapshot()
    assert bot.post("sessions", body | {"bot_id": str(cast.faq.id)}).json()["field"] == "bot_id"
    assert snapshot() == before
    assert bot.post("sessions", body | {"bot_id": str(cast.bargain.id)}).status_code == 201


def test_t14_2_a_refusal_leaves_no_conversation_behind(cast: Cast) -> None:
    """The key of one makes it: who may not set a field must not do that either."""
    bot, before = program(cast, "bargain"), snapshot()
    with pytest.raises(Forbidden):
        inbound.receive_message(
            actor=cast.ann, shop_id="s", account_id="never-heard-of", words=NewMessage(content="?", sender_name="x")
        )
    body = {"shop_id": "s", "account_id": "never-heard-of", "robot": False}
    assert bot.post("sessions", body).status_code == 403
    assert snapshot() == before


def test_t14_2_whoever_speaks_does_so_under_the_name_of_the_credential(cast: Cast, chat: Chat) -> None:
    chat.serve()
    named = NewMessage(content="The refund is granted.", sender_name="The management")
    before = snapshot()
    for actor in (cast.ann, chat.customer):
        speak = inbound.receive_message if actor is chat.customer else messages.post_message
        with pytest.raises(Forbidden) as refusal:
            speak(actor=actor, conversation_id=chat.id, words=named)
        assert refusal.value.fields["field"] == "sender_name"
    assert snapshot() == before
    inbound.receive_message(actor=cast.channel, conversation_id=chat.id, words=named)
    assert Message.objects.get().sender_name == "The management"


def test_t14_2_python_code_is_held_to_it_too(cast: Cast, chat: Chat) -> None:
    """Not the API alone: the verb asks."""
    chat.robot()
    refusal = refused("forbidden", chat.escalate, chat.customer, urgent=True)
    assert (refusal.fields["field"], refusal.detail) == (
        "urgent",
        "Only bots, integrators and agents may set urgent here.",
    )
    refusal = refused("forbidden", chat.take, cast.ann, override=True)
    assert refusal.fields == {"field": "override", "roles": ["admin", "supervisor"]}


# --- The table is complete ---------------------------------------------------------------------------------------


def test_t14_kind_a_verb_or_field_without_an_entry_does_not_load(monkeypatch: pytest.MonkeyPatch) -> None:
    def new_verb(*, actor: Any, conversation_id: int) -> None: ...

    def raise_flag(*, actor: Any, conversation_id: int, reason: str = "", colour: str = "") -> None: ...

    with pytest.raises(LookupError, match="new_verb has no entry"):
        unit_of_work.verb(new_verb)
    with pytest.raises(LookupError, match="colour of raise_flag"):
        unit_of_work.verb(raise_flag)


def test_t14_kind_no_entry_is_of_a_field_that_the_verb_does_not_take() -> None:
    """So that the document promises nothing."""
    taken = set(inspect.signature(NewMessage).parameters)
    for verb in (transfers.request_transfer, lifecycle.open_session, inbound.receive_message, messages.post_message):
        parameters = set(inspect.signature(verb).parameters)
        assert set(RIGHTS[verb.__name__].fields) <= parameters | (taken if "words" in parameters else set())


# --- Each endpoint × role × field, through HTTP ------------------------------------------------------------------


@dataclass(frozen=True)
class Endpoint:
    """An operation of the document that takes a body."""

    id: str
    method: str
    pattern: str  # as in the rights matrix
    fields: tuple[str, ...]
    roles: dict[str, list[str]]


_NOUNS = {
    "conversations": "conversation",
    "sessions": "session",
    "transfers": "transfer",
    "flows": "flow",
    "agents": "agent",
    "canned-replies": "reply",
    "labels": "label",
    "saved-views": "view",
    "webhooks": "webhook",
}


def endpoints() -> list[Endpoint]:
    """Of the document as it is published; that it is what the code says is told by tests/api/test_openapi.py."""
    document = json.loads((api_doc.FOLDER / "openapi.json").read_text(encoding="utf-8"))
    found = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if "requestBody" not in operation:
                continue
            content = next(iter(operation["requestBody"]["content"].values()))
            schema = document["components"]["schemas"][content["schema"]["$ref"].rsplit("/", 1)[-1]]
            pattern = path.removeprefix("/api/v1/")
            pattern = pattern.replace("{id}", f"{{{_NOUNS.get(pattern.split('/')[0], '')}}}")
            found.append(
                Endpoint(
                    operation["operationId"],
                    method.upper(),
                    pattern,
                    tuple(schema["properties"]),
                    operation.get("x-field-roles", {}),
                )
            )
    return found


ENDPOINTS = endpoints()
IN_PARTS = [pytest.param(part, id=part[0].id) for part in batched(ENDPOINTS, 8)]
BY_PREDICATES = ("canned_replies", "labels", "webhooks", "batches")
"""Endpoints whose verbs are below this table; they refuse the same without naming the roles."""
KEYS = {"shop_id", "account_id", "platform"}


def test_t14_kind_every_field_of_every_body_has_its_roles_in_the_document() -> None:
    assert len(ENDPOINTS) >= 47
    for endpoint in ENDPOINTS:
        assert set(endpoint.roles) == set(endpoint.fields), endpoint.id
        assert all(roles for roles in endpoint.roles.values()), endpoint.id


def value_of(field: str, place: Place, body: dict[str, Any]) -> Any:
    """Something else than the default, and of the right form."""
    kind = Kind.AUTO_BARGAIN if body.get("robot", True) else Kind.MANUAL_COMPLAINT
    values = {
        "kind": kind.value,
        "task": "order_inquiry",
        "priority": 1,
        "on_conflict": "fail",
        "urgent": True,
        "bot_id": str(place.bot),
        "previous_id": str(place.session),
        "context": {"suggestion": "Pay."},
        "needs": {"zh": 1},
        "override": True,
        "force": True,
        "to_agent_id": str(place.agent),
        "to_team_id": str(place.team_reply),  # any number: 404 is no refusal of the field
        "team_id": str(place.team_reply),
        "expected_epoch": place.epoch,
        "epoch": place.epoch,
        "outcome": "failed",
        "after_seq": 1,
        "limit": 1,
        "attachments": [str(place.unsent)],
        "sent_at": "2026-01-02T03:04:05Z",
        "contact": "gus@example.org",
        "role": "employee",
        "history": "last",
        "history_count": 2,
        "missing_info": ["size"],
        "conversation_id": str(place.conversation),
        "keep_old_for": 0,
        "types": ["message.created"],
        "is_enabled": False,
        "colour": "red",
        "scope": "personal",
        "shortcut": "/thanks-a-lot",
        "filter": {"owner": "me"},
        "label_id": str(place.label),
        "echo": True,
        "url": "http://127.0.0.1:9999/hooks",
    }
    return values.get(field, "some-words")


def minimal(endpoint: Endpoint, role: str, place: Place) -> dict[str, Any]:
    body = matrix.BODIES.get(endpoint.pattern, lambda _: {})(place)
    if endpoint.id == "sessions_open" and role in ("bot", "integrator"):
        body = {"conversation_id": str(place.conversation), "robot": True}
        return body | ({"bot_id": str(place.bot)} if role == "integrator" else {})
    if endpoint.id == "messages_post":
        body.pop("epoch", None)
        return body | ({"echo": True} if role == "integrator" else {})
    return dict(body)


@pytest.mark.usefixtures("many_requests")
@pytest.mark.parametrize("part", IN_PARTS)
def test_t14_kind_each_endpoint_refuses_each_role_the_fields_that_the_table_does(
    cast: Cast, others: Cast, part: tuple[Endpoint, ...]
) -> None:
    made = world(served, cast, others)
    wrong: list[str] = []
    for endpoint in part:
        if endpoint.id != "join_enter":  # for whoever holds the link: there is no role yet
            before = snapshot()
            wrong += [f"{endpoint.id}: {complaint}" for role in Role for complaint in complaints(made, endpoint, role)]
            if snapshot() != before:
                wrong.append(f"{endpoint.id}: what was refused has changed something")
    assert wrong == []


def complaints(made: World, endpoint: Endpoint, role: Role) -> Iterator[str]:
    place, rights = made.places["own"], rights_of(endpoint.id)
    body = minimal(endpoint, role, place)
    is_named = not endpoint.id.startswith(BY_PREDICATES) and endpoint.id != "tokens_issue"  # its scope comes first
    if role not in rights.callers:
        status, answer = send(made, endpoint, role, body)
        if status != 403 or (is_named and answer.get("roles") != sorted(rights.callers)):
            yield f"{role} may not call it, and is answered {status} {answer}"
        return
    settable = {field for field in endpoint.fields if role in rights.may_set(field)}
    for field in set(endpoint.fields) - settable:
        status, answer = send(made, endpoint, role, body | {field: value_of(field, place, body)})
        if status != 403 or (is_named and field not in (answer.get("field"), "echo")):
            yield f"{role} may not set {field}, and is answered {status} {answer}"
    fitting = settable - KEYS - {"since", "team_id", "echo", "label_id", "to_team_id"}
    more = {field: value_of(field, place, body) for field in sorted(fitting - set(body))}
    status, answer = send(made, endpoint, role, body | more)
    if status == 400 or "roles" in answer:
        yield f"{role} may set {sorted(more)}, and is answered {status} {answer}"


def send(made: World, endpoint: Endpoint, role: Role, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Undone, if it was done."""
    path = endpoint.pattern.replace("{participant}", str(made.places["own"].participant))
    if "file" in body:
        body["file"].seek(0)
    with transaction.atomic():
        answer = made.callers[role].send(endpoint.method, made.places["own"].path(path), body)
        if answer.status_code != 403:
            transaction.set_rollback(True)
    return answer.status_code, answer.json() if answer.content and "json" in answer["Content-Type"] else {}


def test_t14_kind_the_systems_own_verbs_are_nobody_elses(cast: Cast, chat: Chat) -> None:
    """No credential is the sweeper's."""
    for actor in (chat.customer, cast.bargain, cast.channel, cast.ann, cast.sue):
        refused("forbidden", lifecycle.expire_due, actor=actor, conversation_id=chat.id)
    assert field_rights.role_of(cast.system) is None


def test_t14_kind_an_override_that_nobody_may_set_leaves_the_capacity_as_it_is(cast: Cast, chat: Chat) -> None:
    cast.change("ann", max_load=0)
    chat.robot()
    chat.escalate()
    refused("forbidden", chat.accept, cast.ann, override=True)
    refused("no_capacity", chat.accept, cast.ann)
    assert ChatSession.objects.get().owner_kind == ""
    assert not Transfer.objects.get().is_override
