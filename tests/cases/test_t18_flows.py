"""T18: every flow ends, whoever looks; its program may renew a lease; the same move sent again is a repeat, another is 409."""

from __future__ import annotations

from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.db import connection

from config import clock
from config.clock import utc
from messaging_app import tasks
from sessions_app.actions import flows, lifecycle, sweep
from sessions_app.errors import FlowMoved
from sessions_app.models import GuidedFlow
from tests.api.world import program
from tests.cast import Cast, Chat, Later, refused

_migration = import_module("sessions_app.migrations.0015_flows_that_end")
LEASE, DAY = 120, 24 * 3600


def asks(chat: Chat, *, is_bound: bool = True, trigger: str = "t-1") -> GuidedFlow:
    if is_bound:
        chat.robot()
    where = chat.id if is_bound else None
    return flows.open_flow(actor=chat.cast.bargain, trigger_id=trigger, question="Which size?", conversation_id=where)


def moved(chat: Chat, flow: GuidedFlow, to: str, **more: Any) -> GuidedFlow:
    flow.refresh_from_db()
    return flows.move_flow(actor=chat.cast.bargain, flow_id=flow.pk, to=to, version=flow.version, **more)


def renewed(chat: Chat, flow: GuidedFlow, version: int = 2) -> GuidedFlow:
    return flows.renew_flow(actor=chat.cast.bargain, flow_id=flow.pk, version=version)


def status(flow: GuidedFlow) -> str:
    flow.refresh_from_db()
    return flow.status


# --- The lease is renewed ---


@pytest.mark.parametrize("is_bound", [True, False])
def test_a_program_that_works_longer_than_its_lease_renews_it(chat: Chat, later: Later, is_bound: bool) -> None:
    flow = asks(chat, is_bound=is_bound)
    moved(chat, flow, "rerunning")
    for _ in range(5):
        later(LEASE - 10)
        flow = renewed(chat, flow)
        assert flow.lease_until is not None
        assert (flow.lease_until - clock.now()).total_seconds() == pytest.approx(LEASE, abs=5)
        sweep.sweep_due()
        assert (status(flow), flow.version) == ("rerunning", 2)
    assert moved(chat, flow, "ready_preview").status == "ready_preview"
    assert chat.event_types.count("flow.renewed") == (5 if is_bound else 0)


@pytest.mark.parametrize("is_bound", [True, False])
def test_a_lease_that_ran_out_is_not_renewed(chat: Chat, later: Later, is_bound: bool) -> None:
    flow = asks(chat, is_bound=is_bound)
    moved(chat, flow, "rerunning")
    later(LEASE + 1)
    with pytest.raises(FlowMoved) as late:
        renewed(chat, flow)
    assert late.value.fields == {"version": 3, "status": "failed"}
    assert (status(flow), flow.failed_reason) == ("failed", "the rerun's lease ran out")


def test_renewing_has_an_end(chat: Chat, later: Later, settings: Any) -> None:
    """A program that renews and never comes to an end holds the customer's words no longer than the flow's expiry."""
    settings.TANDEM = settings.TANDEM | {"FLOW_EXPIRY": 300}
    flow = asks(chat)
    ends = moved(chat, flow, "rerunning").expires_at
    for _ in range(2):
        later(LEASE - 10)
        flow = renewed(chat, flow)
    assert flow.lease_until == ends
    later.until(ends, -5)
    assert renewed(chat, flow).lease_until == ends
    assert (sweep.sweep_due(), status(flow), chat.controller) == (0, "rerunning", "flow")
    later(6)
    assert (sweep.sweep_due(), status(flow), chat.controller) == (1, "failed", "bot")


@pytest.mark.parametrize("at", ["waiting_user_reply", "ready_preview", "ignored"])
def test_only_a_rerun_has_a_lease(chat: Chat, at: str) -> None:
    flow = asks(chat)
    for step in {"waiting_user_reply": [], "ready_preview": ["rerunning", "ready_preview"]}.get(at, [at]):
        moved(chat, flow, step)
    flow.refresh_from_db()
    refused("illegal_transition", renewed, chat, flow, flow.version)


def test_another_version_or_another_program_renews_nothing(chat: Chat) -> None:
    flow = asks(chat)
    moved(chat, flow, "rerunning")
    refused("flow_moved", renewed, chat, flow, 1)
    refused("not_found", flows.renew_flow, actor=chat.cast.faq, flow_id=flow.pk, version=2)
    refused("forbidden", flows.renew_flow, actor=chat.cast.channel, flow_id=flow.pk, version=2)
    refused("forbidden", flows.renew_flow, actor=chat.cast.ann, flow_id=flow.pk, version=2)


def test_a_lease_is_renewed_over_the_api_and_again(chat: Chat, later: Later) -> None:
    flow = asks(chat)
    moved(chat, flow, "rerunning")
    bot, leases = program(chat.cast, "bargain"), []
    for _ in range(2):
        later(30)
        answer = bot.post(f"flows/{flow.pk}/renew", {"version": 2})
        assert (answer.status_code, answer.json()["version"], answer.json()["is_repeat"]) == (200, 2, False)
        leases.append(answer.json()["lease_until"])
    assert leases[0] < leases[1]
    assert bot.post(f"flows/{flow.pk}/renew", {"version": 1}).json()["code"] == "flow_moved"


# --- Every flow ends ---


@pytest.mark.parametrize("is_bound", [True, False])
@pytest.mark.parametrize(
    ("steps", "seconds", "ends"),
    [
        ([], DAY, "expired"),
        (["rerunning"], LEASE, "failed"),
        (["rerunning", "ready_preview"], DAY, "expired"),
    ],
)
def test_the_sweep_ends_what_is_overdue_bound_or_not(
    chat: Chat, later: Later, steps: list[str], seconds: int, ends: str, is_bound: bool
) -> None:
    flow = asks(chat, is_bound=is_bound)
    for step in steps:
        moved(chat, flow, step)
    before = status(flow)
    later(seconds - 5)
    sweep.sweep_due()
    assert status(flow) == before
    later(6)
    assert sweep.sweep_due() == 1
    assert (status(flow), sweep.sweep_due()) == (ends, 0)
    if is_bound:
        assert (chat.event_types[-1], chat.operations[-1].data["after"]) == ("flow.moved", ends)


def test_a_preview_has_its_own_time_and_each_rerun_gives_it_anew(chat: Chat, later: Later, settings: Any) -> None:
    settings.TANDEM = settings.TANDEM | {"FLOW_PREVIEW_EXPIRY": 600}
    flow = asks(chat)
    for _ in range(3):
        moved(chat, flow, "rerunning")
        moved(chat, flow, "ready_preview")
        later(590)
        sweep.sweep_due()
        assert status(flow) == "ready_preview"
    later(11)
    with pytest.raises(FlowMoved):
        moved(chat, flow, "applied")
    assert status(flow) == "expired"


def test_a_preview_that_expires_leaves_the_turn_where_it_is(chat: Chat, later: Later) -> None:
    flow = asks(chat)
    moved(chat, flow, "rerunning")
    moved(chat, flow, "ready_preview")
    later(DAY + 1)
    chat.robot()
    epoch = chat.epoch
    sweep.sweep_due()
    assert (status(flow), chat.controller, chat.epoch) == ("expired", "bot", epoch)


@pytest.mark.parametrize("by", ["its id", "its trigger", "the list", "opening it again", "binding it"])
@pytest.mark.parametrize("is_bound", [True, False])
def test_whoever_asks_for_an_overdue_flow_finds_it_ended(chat: Chat, later: Later, by: str, is_bound: bool) -> None:
    """No sweeper has come by."""
    flow = asks(chat, is_bound=is_bound)
    later(DAY + 1)
    if by == "binding it":
        chat.robot()  # its session has idled out meanwhile
    bot = program(chat.cast, "bargain")
    told = {
        "its id": lambda: bot.get(f"flows/{flow.pk}").json(),
        "its trigger": lambda: bot.get("flows?trigger_id=t-1").json()["results"][0],
        "the list": lambda: bot.get("flows?status=expired").json()["results"][0],
        "opening it again": lambda: bot.post("flows", {"trigger_id": "t-1", "question": "Which size?"}).json(),
        "binding it": lambda: bot.post(f"flows/{flow.pk}/bind", {"conversation_id": str(chat.id)}).json(),
    }[by]()
    assert (told["id"], told["status"], told["version"]) == (str(flow.pk), "expired", 2)


def test_asking_for_flows_ends_nobody_elses(chat: Chat, others: Cast, later: Later) -> None:
    flow = asks(chat, is_bound=False)
    later(DAY + 1)
    program(others, "bargain").get("flows")
    program(chat.cast, "faq").get(f"flows/{flow.pk}")
    assert status(flow) == "waiting_user_reply"


def test_previews_that_waited_before_there_was_a_deadline_have_a_day(chat: Chat, later: Later) -> None:
    flow = asks(chat)
    moved(chat, flow, "rerunning")
    moved(chat, flow, "ready_preview")
    GuidedFlow.objects.update(expires_at=clock.now() - timedelta(days=90))
    _migration.give_previews_a_day(apps, connection.schema_editor())
    assert (sweep.sweep_due(), status(flow)) == (0, "ready_preview")
    later(DAY + 1)
    sweep.sweep_due()
    assert status(flow) == "expired"


# --- The same move sent again ---


@pytest.mark.parametrize("is_bound", [True, False])
def test_the_same_move_sent_again_is_answered_again(chat: Chat, is_bound: bool) -> None:
    flow = asks(chat, is_bound=is_bound)
    bot, path = program(chat.cast, "bargain"), f"flows/{flow.pk}/move"
    moves: list[dict[str, Any]] = [
        {"to": "rerunning"},
        {"to": "waiting_user_reply", "pending_question": "Which colour?", "missing_info": ["colour"]},
        {"to": "rerunning"},
        {"to": "ready_preview", "last_candidate": "c-7"},
        {"to": "applied"},
    ]
    for version, move in enumerate(moves, start=1):
        for is_repeat in (False, True, True):
            answer = bot.post(path, move | {"version": version})
            assert answer.status_code == 200, answer.content
            assert [answer.json()[name] for name in ("status", "version", "is_repeat")] == [
                move["to"],
                version + 1,
                is_repeat,
            ]
    assert chat.event_types.count("flow.moved") == (5 if is_bound else 0)


def test_another_move_from_the_same_version_is_refused(chat: Chat) -> None:
    flow = asks(chat)
    moved(chat, flow, "rerunning", last_candidate="c-7")
    bot, path = program(chat.cast, "bargain"), f"flows/{flow.pk}/move"
    for other in (
        {"to": "ignored", "last_candidate": "c-7"},
        {"to": "rerunning", "last_candidate": "c-8"},
        {"to": "rerunning"},
        {"to": "rerunning", "last_candidate": "c-7", "failed_reason": "x"},
    ):
        answer = bot.post(path, other | {"version": 1})
        assert (answer.status_code, answer.json()["code"], answer.json()["version"]) == (409, "flow_moved", 2), other


def test_the_move_that_another_program_made_is_no_repeat_of_mine(chat: Chat) -> None:
    flow = asks(chat)
    moved(chat, flow, "rerunning")
    same = {"flow_id": flow.pk, "to": "rerunning", "version": 1}
    refused("flow_moved", flows.move_flow, actor=chat.cast.channel, **same)
    assert flows.move_flow(actor=chat.cast.bargain, **same).is_repeat


def test_the_move_that_the_customer_made_is_no_repeat_of_mine(chat: Chat) -> None:
    """The answer moves the flow just as its program would; who moved it is another matter."""
    flow = asks(chat)
    chat.says("Large.")
    assert (status(flow), flow.version) == ("rerunning", 2)
    refused("flow_moved", flows.move_flow, actor=chat.cast.bargain, flow_id=flow.pk, to="rerunning", version=1)


def test_the_end_that_the_clock_made_is_no_repeat_of_mine(chat: Chat, later: Later) -> None:
    flow = asks(chat, is_bound=False)
    later(DAY + 1)
    sweep.sweep_due()
    refused("flow_moved", flows.move_flow, actor=chat.cast.bargain, flow_id=flow.pk, to="expired", version=1)


def test_a_repeat_is_known_though_the_flow_has_gone_on_by_itself(chat: Chat, later: Later) -> None:
    """The answer to the move was lost; before it was sent again the customer answered, or the lease ran out."""
    flow = asks(chat)
    moved(chat, flow, "rerunning")
    asked = {"flow_id": flow.pk, "to": "waiting_user_reply", "version": 2, "pending_question": "Which colour?"}
    flows.move_flow(actor=chat.cast.bargain, **asked)
    chat.says("Blue.")
    again = flows.move_flow(actor=chat.cast.bargain, **asked)
    assert (again.is_repeat, again.status, again.version, again.answer) == (True, "rerunning", 4, "Blue.")
    later(LEASE + 1)
    again = flows.move_flow(actor=chat.cast.bargain, **asked)
    assert (again.is_repeat, again.status, again.version) == (True, "failed", 5)


def test_a_move_that_was_refused_is_not_remembered(chat: Chat) -> None:
    flow = asks(chat)
    for _ in range(2):
        refused("illegal_transition", moved, chat, flow, "applied")


def test_a_flow_is_told_with_its_deadlines(chat: Chat) -> None:
    flow = asks(chat, is_bound=False)
    moved(chat, flow, "rerunning")
    preview = moved(chat, flow, "ready_preview")
    told = program(chat.cast, "bargain").get(f"flows/{flow.pk}").json()
    assert (told["expires_at"][:19], told["lease_until"]) == (utc(preview.expires_at)[:19], None)


# --- Who asked hears the answer, though its session is over ---


def heard(chat: Chat) -> tuple[list[str], list[str]]:
    """What the bot reads of the conversation, and of which flow's moves it hears: at each of its doors the same words."""
    bot = program(chat.cast, "bargain")
    tasks.stamp()
    listed = bot.get(f"conversations/{chat.id}/messages").json()["results"]
    words = [message["content"] for message in sorted(listed, key=lambda message: message["seq"])]
    truth = bot.post(f"sessions/{chat.sessions[0].pk}/recover", {}).json()
    events = bot.get("events", after="0").json()["events"]
    said = [event["message"]["content"] for event in events if event["type"] == "message.created"]
    assert words == [message["content"] for message in truth["messages"]] == said
    return words, [event["data"]["after"] for event in events if event["type"] == "flow.moved"]


def test_whose_flow_outlives_its_session_reads_the_answer_and_hears_of_it(chat: Chat, later: Later) -> None:
    """Seen: a flow waits for a day, its bot's session for half an hour; then the bot heard of nothing any more."""
    flow = asks(chat)
    later(2_000)
    sweep.sweep_due()
    assert not chat.has_live
    chat.says("M, please")
    chat.says("Or L")
    assert (status(flow), heard(chat)) == ("rerunning", (["M, please", "Or L"], ["rerunning"]))


def test_it_reads_from_the_question_to_the_flows_end_and_no_further(chat: Chat, later: Later) -> None:
    chat.says("Before anybody came")
    chat.robot()
    lifecycle.complete_session(actor=chat.cast.bargain, session_id=chat.live.pk)
    chat.human()
    chat.says("To a human, before the question")
    chat.resolve()
    flow = asks(chat)
    later(2_000)
    sweep.sweep_due()
    chat.says("M, please")
    later(LEASE + 1)
    sweep.sweep_due()
    assert status(flow) == "failed"
    later(1)
    chat.human()
    chat.says("To a human, after it")
    chat.says("Said before its end, came after it", sent_at=clock.now() - timedelta(seconds=60))
    assert heard(chat) == (["M, please"], ["rerunning", "failed"])


def test_another_bot_and_a_key_that_does_not_read_hear_nothing_of_it(chat: Chat, later: Later) -> None:
    chat.robot(chat.cast.faq)
    lifecycle.complete_session(actor=chat.cast.faq, session_id=chat.live.pk)
    asks(chat)
    chat.says("M, please")
    assert program(chat.cast, "faq").get(f"conversations/{chat.id}/messages").json()["results"] == []
    chat.cast.change("bargain", scopes=["flows:write", "events:read", "sessions:write"])
    blind = program(chat.cast, "bargain")
    assert b"M, please" not in blind.get("events", after="0").content
    assert b"M, please" not in blind.post(f"sessions/{chat.live.pk}/recover", {}).content
