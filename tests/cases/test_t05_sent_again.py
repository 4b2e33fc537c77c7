"""Trust, T5.1 and T5.2: an id names one message. The same message again is a repeat; another under its id is refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from config import clock
from messaging_app.models import Message
from sessions_app.manager import AutoSessionManager
from tests.api.world import Caller, agent, program
from tests.cast import Cast, Chat, snapshot

pytestmark = pytest.mark.django_db


@pytest.fixture
def channel(cast: Cast) -> Caller:
    return program(cast, "channel")


def inbound(caller: Caller, chat: Chat, content: str, message_id: str = "X", **more: Any) -> Any:
    return caller.post(
        "inbound", {"conversation_id": str(chat.id), "content": content, "message_id": message_id, **more}
    )


def is_taken(answer: Any) -> bool:
    return (answer.status_code, answer.json()["code"]) == (409, "message_id_taken")


def row(chat: Chat, content: str, sender: str = "customer", message_id: str = "X", hours: float = 3) -> dict[str, Any]:
    key = {"shop_id": chat.row.shop_id, "account_id": chat.row.account_id, "platform": chat.row.platform}
    when = (clock.now() - timedelta(hours=hours)).isoformat()
    return {**key, "message_id": message_id, "content": content, "sender_type": sender, "timestamp": when}


def test_t5_1_a_customers_words_do_not_vanish_behind_a_bots_id(chat: Chat, cast: Cast, channel: Caller) -> None:
    epoch = chat.robot().epoch
    body = {"conversation_id": str(chat.id), "content": "It is 40.", "message_id": "X", "epoch": epoch}
    bot = program(cast, "bargain")
    assert bot.post("messages", body).status_code == 201
    before = snapshot()
    assert is_taken(inbound(channel, chat, "I want a human"))
    assert is_taken(inbound(channel, chat, "It is 40."))
    assert snapshot() == before
    assert bot.post("messages", body).json()["is_repeat"]


def test_t5_1_the_same_words_in_another_conversation_are_another_message(cast: Cast, channel: Caller) -> None:
    one, two = cast.chat(), cast.chat()
    assert inbound(channel, one, "hello").status_code == 201
    assert is_taken(inbound(channel, two, "hello"))
    assert two.said == []


def test_t5_1_by_another_of_the_same_kind_it_is_another_message(chat: Chat, cast: Cast) -> None:
    chat.human()
    body = {"content": "Look.", "message_id": "X"}
    ann, ben = agent(cast, "ann"), agent(cast, "ben")
    assert ann.post(f"conversations/{chat.id}/notes", body).status_code == 201
    assert is_taken(ben.post(f"conversations/{chat.id}/notes", body))
    assert ann.post(f"conversations/{chat.id}/notes", body).json()["is_repeat"]


def test_t5_2_an_edited_text_is_not_dropped_in_silence(chat: Chat, channel: Caller) -> None:
    inbound(channel, chat, "Two lamps")
    assert is_taken(inbound(channel, chat, "Three lamps"))
    assert is_taken(inbound(channel, chat, ""))
    assert chat.said == ["Two lamps"]


def test_t5_1_an_id_is_the_same_however_it_is_written(chat: Chat, channel: Caller) -> None:
    assert inbound(channel, chat, "hello", "caf\u00e9").status_code == 201
    for spelling in (" caf\u00e9", "cafe\u0301", "cafe\u0301\n"):
        assert inbound(channel, chat, "hello", spelling).json()["is_repeat"], ascii(spelling)
        assert is_taken(inbound(channel, chat, "bye", spelling)), ascii(spelling)
    told = channel.post("batches", {"rows": [row(chat, "hello", message_id=" cafe\u0301 ")]}).json()["result"]
    assert (told["accepted"], told["duplicate"], told["rejections"]) == (0, 1, [])


def test_t5_1_the_echo_of_a_bots_own_words_under_its_id_is_that_message(
    chat: Chat, cast: Cast, channel: Caller
) -> None:
    epoch = chat.robot().epoch
    body = {"conversation_id": str(chat.id), "content": "It is 40.", "message_id": "X"}
    program(cast, "bargain").post("messages", body | {"epoch": epoch})
    assert channel.post("messages", body | {"echo": True}).json()["is_repeat"]
    assert is_taken(channel.post("messages", body | {"echo": True, "content": "I am here."}))
    assert (chat.said, chat.controller) == (["It is 40."], "bot")


# --- Batches ---------------------------------------------------------------------------------------------------------


def brings(channel: Caller, *rows: dict[str, Any]) -> dict[str, Any]:
    return channel.post("batches", {"rows": list(rows)}).json()["result"]


@pytest.mark.parametrize("hours", [3, 0.01], ids=["history", "fresh"])
def test_t5_1_in_a_batch_it_is_a_duplicate_and_told_by_line(
    chat: Chat, cast: Cast, channel: Caller, hours: float
) -> None:
    inbound(channel, chat, "hello")
    elsewhere = cast.chat()
    told = brings(
        channel,
        row(chat, "hello", hours=hours),
        row(chat, "bye", hours=hours),
        row(chat, "hello", "bot", hours=hours),
        row(elsewhere, "hello", hours=hours),
        row(chat, "new", message_id="Y", hours=hours),
        row(chat, "newer", message_id="Y", hours=hours),
        row(chat, "new", message_id="Y", hours=hours),
    )
    assert (told["lines"], told["accepted"], told["duplicate"], told["rejected"]) == (7, 1, 6, 0)
    assert [(one["line"], one["code"]) for one in told["rejections"]] == [
        (line, "message_id_taken") for line in (2, 3, 4, 6)
    ]
    assert all(one["reason"].startswith("message_id_taken") for one in told["rejections"])
    assert chat.said == ["hello", "new"]
    assert elsewhere.said == []


def test_t5_1_what_is_told_does_not_depend_on_the_cut(cast: Cast, channel: Caller, chat: Chat) -> None:
    rows = [row(chat, "one", message_id="A"), row(chat, "two", message_id="A"), row(chat, "one", message_id="A")]
    whole = brings(channel, *rows)
    single = [brings(channel, {**one, "message_id": "B"}) for one in rows]
    assert whole["duplicate"] == sum(told["duplicate"] for told in single) == 2
    assert len(whole["rejections"]) == sum(len(told["rejections"]) for told in single) == 1


def test_t5_1_a_taken_id_makes_no_conversation(chat: Chat, channel: Caller) -> None:
    from messaging_app.models import Conversation

    inbound(channel, chat, "hello")
    before = Conversation.objects.count()
    assert brings(channel, row(chat, "hello") | {"account_id": "nobody yet"})["duplicate"] == 1
    assert Conversation.objects.count() == before


def test_t5_1_files_and_the_facade_tell_it_too(chat: Chat, channel: Caller, tmp_path: Any) -> None:
    import json
    from io import StringIO

    from django.core.management import call_command

    inbound(channel, chat, "hello")
    told = AutoSessionManager("shop").process_chat_messages([row(chat, "bye")])
    assert (told.duplicate_count, told.rejected_count) == (1, 0)
    assert told.errors[0].startswith("row 1: message_id_taken")
    file, rejects = tmp_path / "chat.ndjson", tmp_path / "bad"
    file.write_text(json.dumps(row(chat, "bye")))
    call_command("ingest", str(file), "--tenant", "shop", "--rejects", str(rejects), "--json", stdout=StringIO())
    (line,) = map(json.loads, rejects.read_text().splitlines())
    assert (line["line"], line["code"]) == (1, "message_id_taken")
    assert json.loads(line["row"])["content"] == "bye"


def test_t5_1_what_a_batch_brought_may_be_said_once_more_by_the_bot(chat: Chat, cast: Cast, channel: Caller) -> None:
    """The channel's name of the bot is not the bot's own: type, conversation and words decide."""
    epoch = chat.robot().epoch
    brings(channel, row(chat, "It is 40.", "bot", hours=0.01) | {"sender_id": "the bargain bot"})
    body = {"conversation_id": str(chat.id), "content": "It is 40.", "message_id": "X", "epoch": epoch}
    assert program(cast, "bargain").post("messages", body).json()["is_repeat"]
    assert Message.objects.count() == 1
