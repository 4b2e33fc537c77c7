"""T4 and T7: a flow is its program's own, and takes the words of nobody else's customer. An id of 0 names nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from config import buckets
from sessions_app.actions import flows
from sessions_app.models import GuidedFlow
from sessions_app.states import FlowStatus, Kind
from tests.api.world import agent, program
from tests.cast import Cast, Chat, refused


@pytest.fixture(autouse=True)
def _nobody_has_called_yet() -> Iterator[None]:
    buckets.forget()
    yield
    buckets.forget()


def asking(**more: Any) -> dict[str, Any]:
    return {"trigger_id": "order-7", "question": "Which size?"} | more


# --- T4.2: where a flow may be bound -----------------------------------------------------------------------------


def test_t4_2_a_bot_binds_no_flow_where_another_works(chat: Chat) -> None:
    """It is not told that there is such a conversation: the answer is that for one that does not exist."""
    chat.robot(chat.cast.faq)
    epoch, bot = chat.epoch, program(chat.cast, "bargain")
    here = bot.post("flows", asking(conversation_id=str(chat.id)))
    nowhere = bot.post("flows", asking(conversation_id=str(2**40)))
    assert (here.status_code, here.json()) == (404, nowhere.json())
    flow = bot.post("flows", asking()).json()
    bound = bot.post(f"flows/{flow['id']}/bind", {"conversation_id": str(chat.id)})
    assert (bound.status_code, bound.json()) == (404, nowhere.json())
    assert (chat.controller, chat.epoch) == ("bot", epoch), "the other bot goes on"


@pytest.mark.parametrize("state", ["paused", "queued", "served", "ended", "pending"])
def test_t4_2_nor_where_its_own_session_is_not_live(chat: Chat, state: str) -> None:
    if state == "pending":
        chat.robot(chat.cast.faq)
    chat.robot(kind=Kind.AUTO_FOLLOW_UP if state == "pending" else Kind.AUTO_BARGAIN)
    if state in ("queued", "served"):
        chat.escalate()
    if state == "served":
        chat.accept()
    if state == "paused":
        chat.human(chat.cast.ann)
    if state == "ended":
        chat.take()
        chat.resolve()
    before = chat.controller
    bot = program(chat.cast, "bargain")
    answer = bot.post("flows", asking(conversation_id=str(chat.id)))
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert (chat.controller, GuidedFlow.objects.count()) == (before, 0)


def test_t4_2_where_its_session_is_live_it_does_and_so_does_an_integrator(chat: Chat) -> None:
    chat.robot()
    bot = program(chat.cast, "bargain")
    assert bot.post("flows", asking(conversation_id=str(chat.id))).status_code == 201
    assert chat.controller == "flow"
    other = chat.cast.chat()
    channel = program(chat.cast, "channel")
    assert channel.post("flows", asking(conversation_id=str(other.id))).status_code == 201


# --- T4.4: whose trigger it is -----------------------------------------------------------------------------------


def test_t4_4_two_bots_with_one_trigger_have_a_flow_each(cast: Cast) -> None:
    bargain, faq = program(cast, "bargain"), program(cast, "faq")
    first = bargain.post("flows", asking(question="Which size?"))
    second = faq.post("flows", asking(question="Which street?"))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["id"] != second.json()["id"]
    assert second.json()["pending_question"] == "Which street?"
    again = faq.post("flows", asking(question="Which street?"))
    assert (again.status_code, again.json()["id"]) == (200, second.json()["id"])
    assert [answer.json()["is_repeat"] for answer in (first, second, again)] == [False, False, True]
    assert {row["id"] for row in faq.get("flows", trigger_id="order-7").json()["results"]} == {second.json()["id"]}


def test_t4_4_the_database_keeps_a_program_to_one_flow_for_a_trigger(cast: Cast) -> None:
    from django.db import IntegrityError, transaction

    flow = flows.open_flow(actor=cast.bargain, trigger_id="t", question="?")
    flow.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        flow.save(force_insert=True)


def test_t12_a_trigger_is_one_id_however_it_was_typed_by_the_facade_too(cast: Cast) -> None:
    first = flows.open_flow(actor=cast.bargain, trigger_id=" café ", question="?")
    assert first.trigger_id == "café"
    again = flows.open_flow(actor=cast.bargain, trigger_id="cafe\u0301", question="?")
    assert (again.pk, again.is_repeat) == (first.pk, True)
    for wrong in ("", " ", "a\x00b", "x" * 192):
        refused("malformed", flows.open_flow, actor=cast.bargain, trigger_id=wrong, question="?")


# --- Moves sent again --------------------------------------------------------------------------------------------


def test_t5_the_same_move_sent_again_is_a_repeat(chat: Chat) -> None:
    chat.robot()
    flow = flows.open_flow(actor=chat.cast.bargain, trigger_id="t", question="?", conversation_id=chat.id)
    assert flows.bind_flow(actor=chat.cast.bargain, flow_id=flow.pk, conversation_id=chat.id).is_repeat
    bot = program(chat.cast, "bargain")
    move = {"to": "rerunning", "version": 1, "last_candidate": "XL"}
    first = bot.post(f"flows/{flow.pk}/move", move).json()
    assert (first["is_repeat"], first["version"]) == (False, 2)
    seq = chat.row.seq
    again = bot.post(f"flows/{flow.pk}/move", move).json()
    assert again == first | {"is_repeat": True}
    assert chat.row.seq == seq
    for other in ({"last_candidate": "S"}, {"to": "failed"}, {"version": 3}):
        answer = bot.post(f"flows/{flow.pk}/move", move | other)
        assert (answer.status_code, answer.json()["code"]) == (409, "flow_moved"), other
    assert GuidedFlow.objects.get(pk=flow.pk).status == FlowStatus.RERUNNING


# --- T7.5: an id of 0 --------------------------------------------------------------------------------------------


def test_t7_5_an_id_of_0_names_nothing(chat: Chat) -> None:
    """Neither 'none' nor 'all': wherever an id is asked for."""
    chat.robot()
    bot, ann, channel = program(chat.cast, "bargain"), agent(chat.cast, "sue"), program(chat.cast, "channel")
    assert bot.post("flows", asking(conversation_id="0")).status_code == 404
    for caller in (bot, ann, channel):
        assert caller.get("events", conversation="0", after="0").status_code == 404
        assert caller.client.get(
            "/api/v1/events?conversation=0", headers={"Accept": "text/event-stream"}
        ).status_code in (404, 406)
        for path in ("conversations/0", "sessions/0", "transfers/0", "flows/0", "conversations/0/messages"):
            assert caller.get(path).status_code == 404, path
    for path, body in (
        ("sessions", {"conversation_id": "0", "robot": False}),
        ("inbound", {"conversation_id": "0", "content": "x"}),
        ("tokens", {"conversation_id": "0"}),
        (f"conversations/{chat.id}/escalate", {"to_agent_id": "0"}),
        (f"conversations/{chat.id}/escalate", {"to_team_id": "0"}),
        ("sessions", {"conversation_id": str(chat.id), "bot_id": "0"}),
        ("sessions", {"conversation_id": str(chat.id), "robot": False, "previous_id": "0"}),
    ):
        assert channel.post(path, body).status_code == 404, (path, body)
    for query in ({"conversation_id": "0"}, {"agent_id": "0"}, {"label": "0"}):
        path = "sessions" if "conversation_id" in query else "conversations"
        assert ann.get(path, **query).json()["results"] == [], query
    assert ann.get("conversations", saved_view="0").status_code == 404
    for name in ("team_id", "owner"):
        answer = ann.post("saved-views", {"name": name, "filter": {name: "0"}})
        assert answer.status_code == 400, name
    view = {"name": "x", "filter": {"labels": ["0"]}}
    assert ann.post("saved-views", view).status_code == 400
    for path in (f"conversations/{chat.id}/label", f"conversations/{chat.id}/unlabel"):
        assert ann.post(path, {"label_id": "0"}).status_code == 404


def test_t7_5_a_filter_whose_team_is_a_number_is_refused(cast: Cast) -> None:
    from sessions_app.queries import view_filters

    refused("malformed", view_filters.checked, {"team_id": 0}, tenant_id=cast.tenant.pk)
    refused("malformed", view_filters.checked, {"team_id": []}, tenant_id=cast.tenant.pk)
