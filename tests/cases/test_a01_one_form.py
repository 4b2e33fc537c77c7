"""A1, A2, A3: transfers are named where they are raised; ids are text and times end in Z everywhere; a bot sends its epoch."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from config import buckets, wire_format
from messaging_app import relay
from sessions_app.events.catalogue import EVENT_TYPES
from sessions_app.events.schemas import Schema
from sessions_app.manager import AutoSessionManager
from sessions_app.models import Transfer
from sessions_app.states import TransferStatus
from tests.api.world import Caller, agent, program
from tests.cast import Cast, Chat, refused


@pytest.fixture(autouse=True)
def _nobody_has_called_yet() -> Iterator[None]:
    buckets.forget()
    yield
    buckets.forget()


def waiting_id(chat: Chat) -> str:
    return str(Transfer.objects.get(conversation_id=chat.id, status=TransferStatus.PENDING).pk)


# --- A1: transfers are named where they are raised ----------------------------------------------------------------


def test_a1_a_session_asked_for_while_a_bot_speaks_names_the_transfer(chat: Chat) -> None:
    chat.robot()
    answer = program(chat.cast, "channel").post("sessions", {"conversation_id": str(chat.id), "robot": False})
    assert (answer.status_code, answer.json()["rule"], answer.json()["transfer_id"]) == (201, "C6", waiting_id(chat))


def test_a1_so_does_one_that_waits_in_the_queue_and_one_that_an_agent_opens(chat: Chat) -> None:
    answer = program(chat.cast, "channel").post("sessions", {"conversation_id": str(chat.id), "robot": False})
    assert answer.json()["transfer_id"] == waiting_id(chat)
    other = chat.cast.chat()
    answer = agent(chat.cast, "ann").post("sessions", {"conversation_id": str(other.id), "robot": False})
    assert answer.json()["transfer_id"] == str(other.transfers[0].pk)


def test_a1_a_message_that_escalates_names_the_transfer_the_first_time_and_again(chat: Chat) -> None:
    chat.cast.rule("keyword", phrases=["human please"], effect="escalate")
    chat.robot()
    channel = program(chat.cast, "channel")
    said = {"conversation_id": str(chat.id), "content": "human please", "message_id": "m1"}
    first = channel.post("inbound", said).json()
    assert (first["controller"], first["transfer_id"]) == ("queue", waiting_id(chat))
    again = channel.post("inbound", said).json()
    assert (again["is_repeat"], again["transfer_id"]) == (True, first["transfer_id"])


def test_a1_a_bot_that_admits_failure_names_it_too(chat: Chat) -> None:
    chat.cast.rule("failure", phrases=["did not understand"], effect="escalate", threshold=1)
    chat.robot()
    answer = program(chat.cast, "bargain").post(
        "messages", {"conversation_id": str(chat.id), "content": "I did not understand.", "epoch": chat.epoch}
    )
    assert answer.json()["transfer_id"] == waiting_id(chat)


def test_a1_a_completion_that_needs_a_human_and_a_resumption_name_it(chat: Chat) -> None:
    session = chat.robot().session_id
    bot = program(chat.cast, "bargain")
    done = bot.post(f"sessions/{session}/complete", {"outcome": "needs_human"}).json()
    assert done["transfer_id"] == waiting_id(chat)
    again = bot.post(f"sessions/{session}/complete", {"outcome": "needs_human"}).json()
    assert (again["is_repeat"], again["transfer_id"]) == (True, done["transfer_id"])


def test_a1_a_message_that_raises_nothing_names_none(chat: Chat) -> None:
    chat.robot()
    said = {"conversation_id": str(chat.id), "content": "hello"}
    assert program(chat.cast, "channel").post("inbound", said).json()["transfer_id"] is None


def test_a1_the_facade_has_it(cast: Cast) -> None:
    manager = AutoSessionManager(tenant=cast.tenant.slug)
    made = manager.create_human_session(shop_id=1, user_id=2)
    assert made.transfer_id == Transfer.objects.get().pk


# --- A2: ids are text, times end in Z -----------------------------------------------------------------------------

_TIME = re.compile(r"\d{4}-\d\d-\d\dT")


def strays(value: Any, name: str = "") -> Iterator[str]:
    """Ids that are numbers, and times that do not end in Z, wherever they stand."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from strays(item, f"{name}.{key}")
    elif isinstance(value, list):
        for item in value:
            yield from strays(item, name)
    elif isinstance(value, str):
        if _TIME.match(value) and not value.endswith("Z"):
            yield f"{name} is {value}"
    elif isinstance(value, int) and not isinstance(value, bool):
        last = name.rsplit(".", 1)[-1]
        if last in ("id", "message", "mentions", "joined") or last.endswith("_id"):
            yield f"{name} is the number {value}"


def asked_of(caller: Caller, *paths: str) -> list[str]:
    wrong = []
    for path in paths:
        answer = caller.get(path)
        assert answer.status_code == 200, (path, answer.content[:200])
        wrong += [f"{path}: {stray}" for stray in strays(answer.json())]
    return wrong


def test_a2_ids_are_text_and_times_end_in_z_in_every_answer_and_every_bag(chat: Chat, later: Any) -> None:
    cast = chat.cast
    chat.cast.rule("keyword", phrases=["human please"], effect="flag")
    chat.robot(context={"id": 7, "at": "2026-03-01T00:00:00+00:00"})
    chat.says("human please")
    bot, ann, channel = program(cast, "bargain"), agent(cast, "ann"), program(cast, "channel")
    answers = [
        bot.post(f"conversations/{chat.id}/escalate", {"reason": "x"}),
        channel.post("inbound", {"conversation_id": str(chat.id), "content": "still here", "message_id": "m2"}),
    ]
    transfer = answers[0].json()["transfer_id"]
    answers += [
        ann.post(f"conversations/{chat.id}/take-over"),  # 409
        ann.post(f"transfers/{transfer}/accept"),
        bot.post("messages", {"conversation_id": str(chat.id), "content": "x", "epoch": 1}),  # 409
        bot.post("sessions", {"conversation_id": str(chat.id), "kind": "AUTO_FOLLOW_UP", "on_conflict": "fail"}),  # 409
        ann.post(f"conversations/{chat.id}/notes", {"content": "look, @Ben"}),
        ann.post(f"conversations/{chat.id}/transfer", {"to_agent_id": str(cast.agent("ben").pk)}),
        ann.post(f"conversations/{chat.id}/transfer", {"to_agent_id": str(cast.agent("cat").pk)}),  # 409
        agent(cast, "sue").post("conversations/bulk", {"ids": [str(chat.id)], "action": "pin"}),
        ann.post(f"conversations/{chat.id}/invite-colleague", {"agent_id": str(cast.agent("ben").pk)}),
    ]
    assert {409, 200, 201} <= {answer.status_code for answer in answers}
    assert [stray for answer in answers for stray in strays(answer.json())] == []
    relay.stamp(cast.tenant.pk)
    paths = ("events?after=0", "conversations", "sessions", "transfers", "agents", "mentions", "flows")
    here = [f"conversations/{chat.id}{part}" for part in ("", "/timeline", "/messages", "/participants")]
    wrong = [stray for stray in asked_of(ann, *paths, *here) if ".task_state." not in stray]
    assert [stray for stray in wrong if not stray.startswith("sessions: .results.context.")] == []
    recovered = bot.post(f"sessions/{chat.sessions[0].pk}/recover", {"after_seq": 0}).json()
    assert list(strays(recovered)) == []
    assert len(recovered["missed"]) > 5


def test_a2_a_bots_own_notes_are_left_as_they_are(chat: Chat) -> None:
    state = {"order_id": 7, "at": "2026-03-01T00:00:00+00:00"}
    chat.robot(context=state)
    chat.escalate()
    bot = program(chat.cast, "bargain")
    assert bot.get("sessions").json()["results"][0]["context"] == state
    assert bot.get("transfers").json()["results"][0]["context"]["task_state"] == state


def test_a2_what_is_stored_keeps_its_numbers(chat: Chat) -> None:
    """The record is held against its hash as it was written, also by versions of before."""
    chat.robot()
    transfer_id = chat.escalate().transfer_id
    told = next(operation.data for operation in chat.operations if operation.type == "transfer.requested")
    assert told["transfer_id"] == transfer_id


def test_a2_every_event_says_of_its_ids_that_they_are_text() -> None:
    wrong = []
    for type, event in EVENT_TYPES.items():
        wrong += [f"{type}: {name}" for name, schema in _members(event.schema()) if not _is_right(name, schema)]
    assert wrong == []


def _members(schema: Schema) -> Iterator[tuple[str, Schema]]:
    for name, its in schema.get("properties", {}).items():
        yield name, its
        yield from _members(its)
        yield from _members(its.get("items", {}))


def _is_right(name: str, schema: Schema) -> bool:
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    is_id = name == "id" or name.endswith("_id")
    is_time = name.endswith(("_at", "_until"))
    return not (is_id and "integer" in types) and not (is_time and schema.get("format") != "date-time")


@pytest.mark.parametrize(
    ("bag", "told"),
    [
        ({"transfer_id": 5, "load": 5, "seq": 5}, {"transfer_id": "5", "load": 5, "seq": 5}),
        ({"agent_id": None, "override": True}, {"agent_id": None, "override": True}),
        ({"mentions": [1, 2], "joined": [[3, 4]]}, {"mentions": ["1", "2"], "joined": [["3", "4"]]}),
        ({"created": [{"session_id": 9, "messages": 3}]}, {"created": [{"session_id": "9", "messages": 3}]}),
        ({"expires_at": "2026-03-01T10:00:00.5+02:00"}, {"expires_at": "2026-03-01T08:00:00.500000Z"}),
        ({"reason": "2026-03-01T10:00:00+00:00"}, {"reason": "2026-03-01T10:00:00+00:00"}),
    ],
)
def test_a2_the_one_encoder(bag: dict[str, Any], told: dict[str, Any]) -> None:
    assert wire_format.encode(bag) == told


# --- A3: a bot sends its epoch ------------------------------------------------------------------------------------


def test_a3_a_bot_that_sends_no_epoch_is_told_so(chat: Chat) -> None:
    chat.robot()
    bot = program(chat.cast, "bargain")
    answer = bot.post("messages", {"conversation_id": str(chat.id), "content": "x"})
    assert (answer.status_code, answer.json()["code"], list(answer.json()["errors"])) == (400, "malformed", ["epoch"])
    other = bot.post("messages", {"conversation_id": str(chat.id), "content": "x", "epoch": chat.epoch + 1})
    assert other.json()["code"] == "stale_epoch"
    assert chat.said == []
    refused("malformed", chat.speaks, chat.cast.bargain, epoch=None)


def test_a3_who_is_no_bot_needs_none(chat: Chat) -> None:
    chat.serve()
    answer = agent(chat.cast, "ann").post("messages", {"conversation_id": str(chat.id), "content": "x"})
    assert answer.status_code == 201
