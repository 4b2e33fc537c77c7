"""A11: what a bot or an agent said here, told back by the channel under its own id, is that message and no person's."""

from __future__ import annotations

from typing import Any

import pytest

from messaging_app.models import Controller, Message
from tests.api.world import Caller, program
from tests.cast import Cast, Chat, Later

SAID = "85.50, and that is my last word."


def echo(channel: Caller, chat: Chat, content: str, message_id: str) -> dict[str, Any]:
    body = {"conversation_id": str(chat.id), "content": content, "message_id": message_id, "echo": True}
    answer = channel.post("messages", body)
    assert answer.status_code in (200, 201), answer.content
    told: dict[str, Any] = answer.json()
    return told


@pytest.fixture
def channel(cast: Cast) -> Caller:
    return program(cast, "channel")


@pytest.fixture
def chat(cast: Cast) -> Chat:
    made = cast.chat()
    made.robot()
    made.says("How much?")
    return made


def ours(content: str = SAID) -> list[str]:
    return list(
        Message.objects.filter(content__contains=content[:5]).order_by("pk").values_list("sender_type", flat=True)
    )


def test_a11_an_echo_of_the_bots_words_doubles_nothing_and_silences_nobody(channel: Caller, chat: Chat) -> None:
    chat.speaks(chat.cast.bargain, SAID, "bot-1")
    epoch = chat.epoch
    answer = echo(channel, chat, f"  {SAID} ", "wx-1")
    assert (answer["message_id"], answer["is_repeat"], answer["controller"]) == ("bot-1", True, "bot")
    assert ours() == ["bot"]
    assert (chat.controller, chat.epoch) == (Controller.BOT, epoch)
    assert (chat.event_types[-1], chat.operations[-1].data["echo_id"]) == ("message.echoed", "wx-1")
    assert chat.speaks(chat.cast.bargain, "Shall I order it?").controller == Controller.BOT


def test_a11_the_same_echo_again_is_the_same_message_however_late(channel: Caller, chat: Chat, later: Later) -> None:
    chat.speaks(chat.cast.bargain, SAID, "bot-1")
    echo(channel, chat, SAID, "wx-1")
    written = len(chat.operations)
    later(1200)
    assert echo(channel, chat, SAID, "wx-1")["message_id"] == "bot-1"
    assert len(chat.operations) == written


def test_a11_an_echos_id_with_other_words_is_refused_and_not_dropped(channel: Caller, chat: Chat) -> None:
    """A person edits what the channel has told as an echo: said to be stored, the words would be lost."""
    chat.speaks(chat.cast.bargain, SAID, "bot-1")
    echo(channel, chat, SAID, "wx-1")
    written = len(chat.operations)
    body = {"conversation_id": str(chat.id), "content": "It is 30, for you.", "message_id": "wx-1", "echo": True}
    answer = channel.post("messages", body)
    assert (answer.status_code, answer.json()["code"]) == (409, "message_id_taken")
    assert len(chat.operations) == written


def test_a11_an_agents_words_come_back_too(channel: Caller, chat: Chat) -> None:
    chat.take()
    chat.speaks(chat.cast.ann, SAID, "ann-1")
    assert echo(channel, chat, SAID, "wx-1")["message_id"] == "ann-1"
    assert ours() == ["agent"]


def test_a11_each_message_comes_back_once(channel: Caller, chat: Chat) -> None:
    """Two equal answers have two echoes, in their order; the third is a person who says the same."""
    for number in (1, 2):
        chat.speaks(chat.cast.bargain, SAID, f"bot-{number}")
    assert [echo(channel, chat, SAID, f"wx-{n}")["message_id"] for n in (1, 2)] == ["bot-1", "bot-2"]
    assert echo(channel, chat, SAID, "wx-3")["message_id"] == "wx-3"
    assert ours() == ["bot", "bot", "shop"]
    assert chat.controller == Controller.HUMAN


@pytest.mark.parametrize(
    ("seconds", "content"), [(601, SAID), (0, f"{SAID} – Sent by Shop"), (0, SAID.upper()), (0, "How much?")]
)
def test_a11_other_words_or_late_ones_are_a_persons(
    channel: Caller, chat: Chat, later: Later, seconds: int, content: str
) -> None:
    """The customer's own words are nobody's of ours."""
    chat.speaks(chat.cast.bargain, SAID, "bot-1")
    later(seconds)
    assert echo(channel, chat, content, "wx-1")["controller"] == "human"
    assert chat.said[-1] == content


def test_a11_a_note_and_another_conversation_are_not_echoed(channel: Caller, chat: Chat) -> None:
    other = chat.cast.chat()
    other.robot()
    other.speaks(chat.cast.bargain, SAID, "bot-1")
    assert echo(channel, chat, SAID, "wx-1")["message_id"] == "wx-1"
    assert ours() == ["bot", "shop"]
