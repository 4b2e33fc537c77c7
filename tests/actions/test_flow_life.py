"""A flow's end by its clocks: the sweeper applies it, the bot has the turn again, and is told what it missed."""

from __future__ import annotations

import pytest

from agents_app.actors import Actor
from sessions_app.actions import flows, lifecycle, recovery, sweep
from sessions_app.models import GuidedFlow
from sessions_app.states import Kind
from tests.cast import Chat, Later, refused


def asks(chat: Chat, bot: Actor | None = None) -> GuidedFlow:
    """The bot at work asks for a size."""
    return flows.open_flow(
        actor=bot or chat.cast.bargain,
        trigger_id="size",
        question="Which size?",
        conversation_id=chat.id,
        missing_info=["size"],
    )


def status(flow: GuidedFlow) -> str:
    flow.refresh_from_db()
    return str(flow.status)


def test_a_lease_that_runs_out_gives_the_turn_back_and_the_bot_is_told_what_it_missed(chat: Chat, later: Later) -> None:
    bot = chat.cast.bargain
    session = chat.robot().session_id or 0
    known = chat.row.seq
    epoch = chat.epoch
    flow = asks(chat)
    chat.says("Large.")
    later(119)
    assert (sweep.sweep_due(), status(flow), chat.controller) == (0, "rerunning", "flow")
    later(2)
    assert (sweep.sweep_due(), status(flow), chat.controller) == (1, "failed", "bot")
    refused("stale_epoch", chat.speaks, bot, epoch=epoch)
    truth = recovery.recover(actor=bot, session_id=session, after_seq=known)
    assert (truth.state, truth.epoch) == ("yours", chat.epoch)
    assert [operation.type for operation in truth.missed] == [
        "flow.opened",
        "message.created",
        "flow.moved",
        "flow.moved",
    ]
    chat.speaks(bot, "Large it is.", epoch=truth.epoch)
    assert asks(chat).pk == flow.pk, "the same trigger finds what has become of it"


def test_a_customer_who_never_answers_has_the_flow_expire_after_a_day(chat: Chat, later: Later) -> None:
    chat.robot()
    flow = asks(chat)
    for _ in range(4):
        later(6 * 3600 - 2)
        sweep.sweep_due()
        assert (status(flow), chat.controller) == ("waiting_user_reply", "flow")
    assert not chat.has_live, "the bot's own session has idled out meanwhile"
    later(10)
    assert sweep.sweep_due() == 1
    assert (status(flow), chat.controller, chat.event_types[-1]) == ("expired", "none", "flow.moved")
    chat.robot()
    assert chat.says("Large, after all.").controller == "bot"


def test_each_question_starts_the_day_anew_and_each_rerun_its_lease(chat: Chat, later: Later) -> None:
    bot = chat.cast.bargain
    chat.robot()
    flow = asks(chat)
    later(20 * 3600)
    sweep.sweep_due()
    for _ in range(3):
        chat.says("Hm.")
        later(110)
        flow.refresh_from_db()
        flows.move_flow(
            actor=bot, flow_id=flow.pk, to="waiting_user_reply", version=flow.version, pending_question="Which size?"
        )
        later(20 * 3600)
        sweep.sweep_due()
        assert status(flow) == "waiting_user_reply"
    assert chat.says(" ").detail == {"question": "Which size?"}


@pytest.mark.parametrize("ends", ["the lease", "the day"])
def test_without_a_sweeper_whoever_comes_first_applies_it(chat: Chat, later: Later, ends: str) -> None:
    chat.robot()
    flow = asks(chat)
    if ends == "the lease":
        chat.says("Large.")
    later(121 if ends == "the lease" else 24 * 3600 + 1)
    assert chat.says("Anybody there?").controller == ("bot" if ends == "the lease" else "none")
    assert status(flow) == ("failed" if ends == "the lease" else "expired")


def test_a_human_who_takes_over_and_leaves_finds_the_flow_where_it_was(chat: Chat) -> None:
    """A flow keeps its right to the answer while a human serves; afterwards it has the customer's next words again."""
    chat.robot()
    flow = asks(chat)
    chat.human()
    assert chat.says("I would rather talk to you.").controller == "human"
    chat.resolve()
    assert (status(flow), chat.controller) == ("waiting_user_reply", "flow")
    assert chat.says("Large.").controller == "flow"
    assert status(flow) == "rerunning"


def test_a_bot_that_was_preempted_meanwhile_is_not_woken_by_its_flow(chat: Chat) -> None:
    """The flow's end moves the controller; whose session is live is another matter."""
    first = chat.robot(chat.cast.follow_up, Kind.AUTO_FOLLOW_UP)
    flow = asks(chat, chat.cast.follow_up)
    chat.robot()  # of better rank
    flow.refresh_from_db()
    flows.move_flow(actor=chat.cast.follow_up, flow_id=flow.pk, to="ignored", version=flow.version)
    assert chat.controller == "bot"
    assert chat.live.bot_id == chat.cast.bargain.pk
    assert chat.session(first).status == "PAUSED"
    lifecycle.complete_session(actor=chat.cast.bargain, session_id=chat.live.pk)
    assert chat.session(first).status == "ACTIVE"
