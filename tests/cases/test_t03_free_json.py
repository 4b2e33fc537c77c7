"""T3: free JSON that a database or an answer cannot hold is refused at the door, and stops no page once it is stored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import DatabaseError, connection, transaction
from django.test import Client

from config import buckets, free_json
from config.errors import Malformed
from config.http import ServerResponse, Unanswered
from messaging_app import stream
from messaging_app.models import Conversation, Message
from messaging_app.models.agent_tools import SavedView
from sessions_app.actions import flows
from sessions_app.manager import AutoSessionManager
from sessions_app.models import ChatSession, Transfer
from tests.api import matrix
from tests.api.world import Caller, Place, agent, program
from tests.cast import Cast, Chat, refused, snapshot

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/schemas/context-package-2.json").read_text())
FITS = jsonschema.Draft202012Validator(SCHEMA)


@pytest.fixture(autouse=True)
def _nobody_has_called_yet() -> Iterator[None]:
    buckets.forget()
    yield
    buckets.forget()


def post_text(caller: Caller, path: str, body: str) -> Any:
    """A body as it is written, which `json.dumps` would not write."""
    return caller.client.post(f"/api/v1/{path}", body, content_type="application/json")


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


# --- The door ----------------------------------------------------------------------------------------------------

BAD = {
    r'{"context": {"suggestion": "\ud800"}}': "context.suggestion",
    r'{"context": {"task_state": {"k": [1, 2, {"b": "x\u0000"}]}}}': "context.task_state.k[2].b",
    r'{"context": {"task_state": {"\ud800": 1}}}': r"context.task_state.\ud800",
    r'{"context": {"task_state": {"a\u0000": 1}}}': r"context.task_state.a\u0000",
    '{"context": {"task_state": {"k": 1e999}}}': "context.task_state.k",
    '{"context": {"task_state": {"k": [NaN]}}}': "context.task_state.k[0]",
    '{"context": {"task_state": {"k": -Infinity}}}': "context.task_state.k",
    '{"context": {"task_state": {"k": 9223372036854775808}}}': "context.task_state.k",
    '{"context": {"urgency": 9}}': "context.urgency",
    '{"context": {"urgency": "very high"}}': "context.urgency",
    '{"context": {"urgency": true}}': "context.urgency",
    '{"context": {"promises": "x"}}': "context.promises",
    '{"context": {"promises": ["x", 5]}}': "context.promises",
    '{"context": {"suggestion": []}}': "context.suggestion",
    '{"context": {"task_state": [1]}}': "context.task_state",
    '{"context": {"mood": "bad"}}': "context.mood",
    '{"context": "x"}': "context",
    r'{"reason": "\ud800"}': "reason",
    r'{"trigger": "x\u0000"}': "trigger",
    r'{"\ud800": 1}': r"\ud800",
    r'{"needs": {"\ud800": 3}}': r"needs.\ud800",
    json.dumps({"context": {"task_state": deep(40)}}): "context.task_state" + "[0]" * 15,
}


@pytest.mark.parametrize("body", BAD)
def test_t3_1_an_escalation_that_cannot_be_kept_is_refused_naming_the_place(chat: Chat, body: str) -> None:
    chat.robot()
    before, caller = snapshot(), program(chat.cast, "bargain")
    answer = post_text(caller, f"conversations/{chat.id}/escalate", body)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")
    assert list(answer.json()["errors"]) == [BAD[body]]
    assert snapshot()["sessions_app.Transfer"] == before["sessions_app.Transfer"]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (r'{"context": {"k": "\ud800"}}', "context.k"),
        (r'{"context": {"k\u0000": 1}}', r"context.k\u0000"),
        (r'{"context": {"k": "\u0000"}}', "context.k"),
        ('{"context": {"k": 1e999}}', "context.k"),
        ('{"context": {"k": [0, {"n": 18446744073709551616}]}}', "context.k[1].n"),
        (json.dumps({"context": {"k": "x" * free_json.MAX_BYTES}}), "context"),
        (json.dumps({"context": {str(n): n for n in range(free_json.MAX_KEYS + 1)}}), "context"),
        (json.dumps({"context": {"x" * 201: 1}}), "context." + "x" * 60),
        (json.dumps({"context": {"k": deep(20)}}), "context.k" + "[0]" * 15),
    ],
)
def test_t3_2_a_session_whose_task_state_cannot_be_kept_is_not_opened(chat: Chat, body: str, place: str) -> None:
    caller = program(chat.cast, "bargain")
    sent = json.loads(body) | {"conversation_id": str(chat.id)}
    answer = post_text(caller, "sessions", json.dumps(sent))
    assert answer.status_code == 400, answer.content[:200]
    assert list(answer.json()["errors"]) == [place]
    assert not ChatSession.objects.filter(conversation_id=chat.id).exists()


def test_t3_2_what_fits_is_kept_as_it_was_sent(chat: Chat) -> None:
    state = {"emoji": "🛒", "n": -(2**63), "f": 1.5, "none": None, "deep": deep(10), "名": ["x", True]}
    caller = program(chat.cast, "bargain")
    opened = caller.post("sessions", {"conversation_id": str(chat.id), "context": state})
    assert opened.status_code == 201
    assert caller.get(f"sessions/{opened.json()['session_id']}").json()["context"] == state
    caller.post(f"conversations/{chat.id}/escalate", {"context": {"promises": ["tea"], "urgency": None}})
    package = caller.get("transfers").json()["results"][0]["context"]
    assert (package["task_state"], package["promises"]) == (state, ["tea"])


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ('{"reason": "a", "reason": "b"}', 'the name "reason" stands twice'),
        (r'{"context": {"task_state": {"\ud800": 1, "\ud800": 2}}}', r'the name "\ud800" stands twice'),
        ("{", "JSON parse error"),
        (f'{{"context": {{"n": {"1" * 5_000}}}}}', "JSON parse error - a whole number has at most 64 bits"),
        (f'{{"reason": -{"1" * 5_000}}}', "JSON parse error - a whole number has at most 64 bits"),
        ('{"reason": "\xff"}', "JSON parse error"),
    ],
)
def test_t3_a_body_that_readers_disagree_about_is_refused(chat: Chat, body: str, told: str) -> None:
    chat.robot()
    caller = program(chat.cast, "bargain")
    sent = body.encode("latin-1")
    answer = caller.client.post(f"/api/v1/conversations/{chat.id}/escalate", sent, content_type="application/json")
    assert answer.status_code == 400
    assert told in answer.json()["detail"]


def test_t3_no_command_fails_for_a_body_that_cannot_be_kept(chat: Chat) -> None:
    """Each address of the API that takes JSON, by the table of rights; named by ids that no row has."""
    callers = [agent(chat.cast, "sue"), program(chat.cast, "channel")]
    rows = {(row.method, row.path(Place())) for row in matrix.rows() if row.method in ("POST", "PATCH")}
    assert len(rows) > 40
    for method, path in sorted(rows):
        if path.startswith("/"):
            continue
        for caller, body in product(
            callers, (r'{"\ud800": "\ud800"}', r'["\ud800"]', '{"a": NaN}', '{"a": 1e999}', '"\\u0000"')
        ):
            answer = caller.client.generic(method, f"/api/v1/{path}", body, content_type="application/json")
            assert 400 <= answer.status_code < 500, (path, body, answer.content[:300])


# --- The verbs, without a door -----------------------------------------------------------------------------------


def test_t3_verbs_and_facade_ask_the_same(chat: Chat) -> None:
    bad = {"k": float("nan")}
    error = refused("malformed", chat.robot, context=bad)
    assert error.fields["errors"] == {"context.k": ["A number must be finite."]}
    chat.robot()
    error = refused("malformed", chat.escalate, context={"promises": ["\ud800"]})
    assert list(error.fields["errors"]) == ["context.promises[0]"]
    refused("malformed", chat.escalate, needs={"\ud800": 3})
    refused(
        "malformed",
        flows.open_flow,
        actor=chat.cast.bargain,
        trigger_id="t",
        question="?",
        missing_info=["\ud800"],
    )
    manager = AutoSessionManager(tenant="shop")
    with pytest.raises(Malformed, match=r"context\.k"):
        manager.create_robot_session(shop_id=1, user_id=2, context={"k": object()})


def test_t3_forms_and_models_ask_the_same(cast: Cast) -> None:
    view = SavedView(tenant=cast.tenant, name="broken", filter={"search": "\x00"})
    with pytest.raises(ValidationError, match="NUL"):
        view.full_clean()
    session = ChatSession(context={"k": float("inf")})
    with pytest.raises(ValidationError, match="finite"):
        session.clean_fields(exclude=["tenant", "conversation", "kind", "rank", "priority", "status"])


def test_t3_an_answer_of_another_server_is_checked_before_it_is_kept() -> None:
    with pytest.raises(Unanswered, match=r"answer\.choices\[0\]"):
        ServerResponse(200, rb'{"choices": ["\ud800"]}').json()
    assert ServerResponse(200, '{"choices": ["é"]}'.encode()).json() == {"choices": ["é"]}


# --- Stored before -----------------------------------------------------------------------------------------------

PLANTED = (
    r'{"suggestion": "\ud800", "promises": ["\udfff"], "\ud800": 1}',
    r'{"suggestion": "x\u0000"}',
    '{"suggestion": [], "promises": "x", "urgency": "very high", "task_state": [1], "messages": "x", "history": 5}',
    '{"urgency": 1e999, "task_state": {"n": 1e999, "m": 123456789012345678901234567890}}',
    '{"messages": [{"content": 5}], "completeness": "much"}',
    json.dumps({"task_state": {"k": deep(90)}}),
    "[]",
    '"text"',
    "null",
    "5",
)
"""JSON that earlier versions, or somebody with the database, may have stored; not every database takes each."""


def plant(table: str, column: str, pk: Any, text: str) -> bool:
    """Write it by SQL; False where the database refuses it."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"UPDATE {table} SET {column} = %s WHERE id = %s", [text, pk])
    except DatabaseError:
        return False
    return True


READS = ("conversations", "sessions", "transfers", "flows", "agents", "teams", "saved-views", "events?after=0")


@pytest.mark.damaged
def test_t3_stored_rows_that_cannot_be_shown_stop_no_list_and_no_page(cast: Cast) -> None:
    """Beside the broken ones stands another, which is shown as ever; and the work on the broken ones goes on."""
    whole = cast.chat()
    whole.robot(context={"k": "fine"})
    whole.escalate(context={"suggestion": "Fine."})
    broken = [_broken(cast, text) for text in PLANTED]
    if connection.vendor == "sqlite":  # the others refuse some of it themselves
        assert all(planted for _, planted in broken)
    assert any(planted for _, planted in broken)
    ann, admin = agent(cast, "ann"), admin_of(cast)
    for path in READS:
        assert_shown(ann.client, f"/api/v1/{path}")
    sessions = {row["id"]: row for row in ann.get("sessions").json()["results"]}
    assert sessions[str(whole.sessions[0].pk)]["context"] == {"k": "fine"}
    assert_shown(ann.client, "/desk/?view=queue")
    assert_shown(admin, "/admin/sessions_app/transfer/")
    assert_shown(admin, f"/admin/sessions_app/chatsession/{broken[0][0].sessions[0].pk}/change/")
    for chat, _ in broken:
        session, transfer = chat.sessions[0], chat.pending
        for path in (f"transfers/{transfer.pk}", f"sessions/{session.pk}", f"conversations/{chat.id}"):
            assert_shown(ann.client, f"/api/v1/{path}")
        assert_shown(ann.client, f"/desk/c/{chat.id}/")
        assert_shown(admin, f"/admin/sessions_app/transfer/{transfer.pk}/change/")
        chat.accept(cast.ann)


def _broken(cast: Cast, text: str) -> tuple[Chat, bool]:
    """A conversation that waits for Ann, with this JSON wherever JSON is; and whether the database took it."""
    chat = cast.chat()
    chat.robot()
    chat.says("Hello?")
    chat.escalate(to_agent_id=cast.agent("ann").pk)
    flow = flows.open_flow(actor=cast.bargain, trigger_id=f"trigger {chat.id}", question="?")
    places = (
        ("sessions_app_chatsession", "context", chat.sessions[0].pk),
        ("sessions_app_chatsession", "said", chat.sessions[0].pk),
        ("sessions_app_transfer", "context", chat.pending.pk),
        ("sessions_app_transfer", "needs", chat.pending.pk),
        ("sessions_app_guidedflow", "missing_info", flow.pk),
        ("messaging_app_conversation", "need", chat.id),
    )
    taken = [plant(table, column, pk, text) for table, column, pk in places]
    return chat, any(taken)


@pytest.mark.parametrize(
    "text", ['{"search": "\\ud800"}', '{"labels": "x", "team_id": "y", "tier": [1e999]}', "5", '{"zh": "x"}']
)
def test_t3_stored_settings_that_cannot_be_shown_stop_no_list_and_no_page(cast: Cast, text: str) -> None:
    chat, team = cast.chat(), cast.team("Sales", "ann")
    view = SavedView.objects.create(tenant=cast.tenant, agent_id=cast.agent("ann").pk, name="Mine", filter={})
    plant("messaging_app_savedview", "filter", view.pk, text)
    plant("agents_app_agent", "skills", cast.agent("ben").pk, text)
    plant("agents_app_team", "needs", team.pk, text)
    cast.policy(assignment="push")
    chat.queue()
    ann, admin = agent(cast, "ann"), admin_of(cast)
    for path in ("saved-views", f"saved-views/{view.pk}", "agents", "teams", f"conversations?saved_view={view.pk}"):
        assert_shown(ann.client, f"/api/v1/{path}")
    assert_shown(ann.client, f"/desk/?saved={view.pk}")
    assert_shown(admin, f"/admin/agents_app/agent/{cast.agent('ben').pk}/change/")
    assert_shown(admin, f"/admin/messaging_app/savedview/{view.pk}/change/")


def assert_shown(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200, (path, answer.content[:300])
    answer.content.decode()


def admin_of(cast: Cast) -> Client:
    client = Client()
    client.force_login(get_user_model().objects.create_superuser(f"root of {cast.tenant.slug}"))
    return client


def test_t3_an_event_without_its_data_stops_no_reader(chat: Chat) -> None:
    chat.says("one")
    with transaction.atomic():
        conversation = Conversation.objects.get(pk=chat.id)
        entry = stream.entry(conversation, actor=chat.cast.system, type="message.created", at=conversation.created_at)
        stream.seal(conversation, [entry])
        conversation.save()
        stream.write([entry])
    chat.says("two")
    ann = agent(chat.cast, "ann")
    events = ann.get("events?after=0").json()["events"]
    if connection.vendor == "sqlite":  # elsewhere the relay gives the positions
        assert [event["message"] and event["message"]["content"] for event in events] == ["one", None, "two"]
    assert ann.get(f"conversations/{chat.id}/timeline").status_code == 200
    assert ann.client.get(f"/desk/c/{chat.id}/").status_code == 200


@pytest.mark.skipif(connection.vendor != "sqlite", reason="the others hold no text where a time is")
def test_t3_a_message_whose_time_cannot_be_read_stops_no_reader(chat: Chat) -> None:
    """Its event comes without a time, as the message does in the thread's list; all others come as ever."""
    for words in ("one", "two", "three"):
        chat.says(words)
    assert plant("messaging_app_message", "sent_at", Message.objects.get(content="two").pk, "garbage")
    ann = agent(chat.cast, "ann")
    for reader in (ann, program(chat.cast, "channel")):
        told = [event["message"] for event in reader.get("events?after=0").json()["events"]]
        assert [(m["content"], bool(m["sent_at"])) for m in told] == [("one", True), ("two", False), ("three", True)]
    assert_shown(ann.client, f"/api/v1/conversations/{chat.id}/messages")
    chat.robot()
    chat.escalate()
    package = chat.pending.context
    FITS.validate(package)
    assert [said["content"] for said in package["messages"]] == ["one", "three"]


# --- The package -------------------------------------------------------------------------------------------------


def test_t3_every_package_that_is_stored_fits_its_schema(chat: Chat, later: Any) -> None:
    chat.robot(context={"product": "kettle"})
    chat.says("How much?")
    chat.escalate(
        reason="floor",
        context={"suggestion": "41", "promises": ["tea"], "urgency": 1, "task_state": {"a": {"b": [1]}}},
    )
    chat.accept()
    chat.hand_over(to_agent_id=chat.cast.ben.id)
    stored = [transfer.context for transfer in Transfer.objects.all()]
    assert len(stored) == 2
    for package in stored:
        FITS.validate(package)
