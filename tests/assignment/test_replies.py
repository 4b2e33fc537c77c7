"""Whoever has the turn must say something in time: an agent who took a conversation, a bot whose customer waits."""

from __future__ import annotations

from typing import Any

import pytest

from agents_app.models import ApiClient, Team
from config.celery import BEAT
from messaging_app.thread import NewMessage
from sessions_app.actions import messages, presence, silence, sweep, transfers
from sessions_app.errors import NotServing
from sessions_app.models import ChatSession
from tests.cast import Cast, Chat, Later, refused


def promised(cast: Cast, name: str = "bargain", **fields: int) -> None:
    """What is expected of a bot."""
    ApiClient.objects.filter(pk=cast.bot_row(name).pk).update(**fields)


@pytest.fixture
def team(cast: Cast) -> Team:
    """A team that wants a first reply within 40 seconds, and offers."""
    team = cast.team("Returns", "ann", "ben")
    Team.objects.filter(pk=team.pk).update(first_reply_timeout=40, assignment="push", strategy="round_robin")
    return Team.objects.get(pk=team.pk)


@pytest.fixture
def taken(chat: Chat, team: Team) -> Chat:
    """Ann has accepted what the team was asked."""
    chat.robot()
    chat.says("A human, please.")
    chat.escalate(to_team_id=team.pk)
    chat.accept(chat.cast.ann)
    return chat


# --- The first reply ---------------------------------------------------------------------------------------------


def test_without_a_first_reply_in_time_the_conversation_goes_to_somebody_else(taken: Chat, later: Later) -> None:
    cast = taken.cast
    later(39)
    sweep.sweep_due()
    assert taken.live.agent_id == cast.ann.id
    later(2)
    sweep.sweep_due()
    asked = taken.pending
    assert (asked.kind, asked.trigger, asked.refused_by) == ("reassignment", "no_reply", [cast.ann.id])
    assert asked.offered_to_id == cast.ben.id
    assert (taken.live.agent_id, taken.controller) == (None, "queue")
    taken.accept(cast.ben)
    assert taken.speaks(cast.ben).controller == "human"


def test_any_words_of_an_agent_are_a_reply_and_a_note_is_none(taken: Chat, later: Later) -> None:
    messages.post_note(actor=taken.cast.ann, conversation_id=taken.id, words=NewMessage(content="Let me see."))
    assert taken.live.reply_due_at is not None
    taken.speaks(taken.cast.ann)
    assert taken.live.reply_due_at is None
    later(3600)
    sweep.sweep_due()
    assert taken.live.agent_id == taken.cast.ann.id


def test_the_reply_is_due_even_if_no_sweeper_lives(taken: Chat, later: Later) -> None:
    """Whoever touches the conversation first applies it."""
    later(41)
    with pytest.raises(NotServing, match="Take the conversation first"):
        taken.speaks(taken.cast.ann)
    assert taken.controller == "queue"


def test_whoever_gets_it_by_handover_or_grab_has_the_whole_time(taken: Chat, later: Later) -> None:
    cast = taken.cast
    later(30)
    taken.grab(cast.ben)
    later(30)
    sweep.sweep_due()
    assert taken.live.agent_id == cast.ben.id
    later(11)
    sweep.sweep_due()
    assert taken.live.agent_id is None


def test_a_team_that_sets_no_time_waits_for_ever(chat: Chat, later: Later) -> None:
    team = chat.cast.team("Calm", "ann")
    chat.robot()
    chat.escalate(to_team_id=team.pk)
    chat.accept(chat.cast.ann)
    assert chat.live.reply_due_at is None


# --- The bot's turn ----------------------------------------------------------------------------------------------


def test_a_bot_that_lets_a_customer_wait_loses_the_conversation_to_a_human(chat: Chat, later: Later) -> None:
    promised(chat.cast, turn_timeout=20)
    chat.robot()
    assert chat.live.reply_due_at is None, "nobody waits yet"
    chat.says("Is it still available?")
    epoch = chat.epoch
    later(15)
    chat.says("Hello?")
    later(6)
    sweep.sweep_due()
    assert (chat.pending.trigger, chat.controller) == ("bot_silent", "queue")
    refused("stale_epoch", chat.speaks, chat.cast.bargain, epoch=epoch)


def test_a_bot_that_answers_in_time_goes_on(chat: Chat, later: Later) -> None:
    promised(chat.cast, turn_timeout=20)
    chat.robot()
    for _ in range(3):
        chat.says()
        later(19)
        chat.speaks(chat.cast.bargain)
        later(600)
        sweep.sweep_due()
    assert chat.controller == "bot"


def test_a_bot_that_gets_its_turn_back_owes_an_answer_if_the_customer_spoke_last(chat: Chat, later: Later) -> None:
    promised(chat.cast, turn_timeout=20)
    chat.robot()
    chat.take()
    chat.says("And the colour?")
    chat.release()
    assert chat.live.reply_due_at is not None
    chat.take()
    assert chat.live.reply_due_at is None
    chat.speaks(chat.cast.ann)
    chat.release()
    assert chat.live.reply_due_at is None


def test_a_paused_bot_owes_nothing(chat: Chat, later: Later) -> None:
    promised(chat.cast, turn_timeout=20)
    chat.robot()
    chat.says()
    chat.human(chat.cast.ann)
    assert not ChatSession.objects.filter(
        conversation_id=chat.id, bot__isnull=False, reply_due_at__isnull=False
    ).exists()


# --- The bot's life ----------------------------------------------------------------------------------------------


@pytest.fixture
def watched(chat: Chat) -> Chat:
    """A bot at work that promised a heartbeat a minute."""
    promised(chat.cast, heartbeat_timeout=60)
    presence.heartbeat(actor=chat.cast.bargain)
    chat.robot()
    return chat


def test_where_a_customer_waits_for_a_dead_bot_a_human_is_asked_for(watched: Chat, later: Later) -> None:
    watched.says()
    later(59)
    assert silence.escalate_from_dead_bots() == 0
    later(2)
    assert silence.escalate_from_dead_bots() == 1
    assert (watched.pending.trigger, watched.controller) == ("bot_dead", "queue")
    assert silence.escalate_from_dead_bots() == 0


def test_where_nobody_waits_it_is_left_until_the_customer_writes(watched: Chat, later: Later) -> None:
    later(61)
    assert silence.escalate_from_dead_bots() == 0
    assert watched.controller == "bot"
    assert watched.says("Hello?").controller == "queue"
    assert watched.pending.trigger == "bot_dead"


def test_a_bot_that_is_heard_of_again_works_on(watched: Chat, later: Later) -> None:
    later(300)
    presence.heartbeat(actor=watched.cast.bargain)
    assert watched.says("Hello?").controller == "bot"


def test_nothing_is_released_to_a_dead_bot(watched: Chat, later: Later) -> None:
    watched.take()
    later(61)
    refused("no_bot", watched.release)
    assert watched.release(force=True).controller == "bot"


def test_a_bot_that_promised_nothing_counts_as_alive(chat: Chat, later: Later) -> None:
    chat.robot()
    chat.says()
    later(600)
    assert silence.escalate_from_dead_bots() == 0
    assert chat.says().controller == "bot"


def test_the_clocks_call_what_watches() -> None:
    named: set[Any] = {task for task, _ in BEAT.values()}
    for task in ("escalate_from_dead_bots", "note_presence", "move_on_from_silent_agents", "forget_decisions"):
        assert f"sessions_app.tasks.{task}" in named


def test_a_dead_bots_customer_is_not_asked_for_twice(watched: Chat, later: Later) -> None:
    watched.says()
    transfers.request_transfer(actor=watched.cast.channel, conversation_id=watched.id, reason="asked")
    later(61)
    assert silence.escalate_from_dead_bots() == 0
    assert len(watched.transfers) == 1
