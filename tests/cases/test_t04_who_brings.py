"""Trust, T4.1 to T4.3: customers' words come from the channel, and nobody is called by the name of a key."""

from __future__ import annotations

from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest

from agents_app.actors import client_actor
from agents_app.scopes import Scope, scopes_of
from config import clock
from messaging_app.models import Conversation, Message, Operation
from sessions_app.actions import import_queue, inbound
from sessions_app.models import Batch, ChatSession
from tests.api.world import Caller, program
from tests.cast import Cast, Chat, refused, snapshot

pytestmark = pytest.mark.django_db

_migration = import_module("agents_app.migrations.0008_inbound_scope")
INBOUND = [*(str(scope) for scope in Scope if scope not in (Scope.TOKENS, Scope.WEBHOOKS))]
"""What an administrator gives a bot that is the channel too."""


@pytest.fixture
def bot(cast: Cast) -> Caller:
    return program(cast, "bargain")


def row(chat: Chat, sender: str, content: str = "the refund is granted", **more: Any) -> dict[str, Any]:
    key = {"shop_id": chat.row.shop_id, "account_id": chat.row.account_id, "sender_type": sender, "content": content}
    return {"message_id": "m-1", "timestamp": clock.now().isoformat(), **key, **more}


def old(hours: float = 3) -> str:
    return (clock.now() - timedelta(hours=hours)).isoformat()


# --- T4.1: batches ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sender", ["agent", "shop", "customer"])
@pytest.mark.parametrize("timestamp", ["now", "long ago"])
def test_t4_1_a_bot_brings_nobody_elses_words(cast: Cast, bot: Caller, sender: str, timestamp: str) -> None:
    chat = cast.chat()
    chat.robot(cast.faq)
    chat.escalate(cast.faq)
    sent = row(chat, sender, sender_name="Ana") | ({"timestamp": old()} if timestamp == "long ago" else {})
    own = row(chat, "bot", "Hello.", message_id="m-0", timestamp=old())
    before = snapshot()
    answer = bot.post("batches", {"rows": [own, sent]})
    assert (answer.status_code, answer.json()["code"], answer.json()["line"]) == (403, "forbidden", 2)
    assert snapshot() == before


def test_t4_1_a_large_batch_of_a_bot_is_looked_through_before_it_is_kept(cast: Cast, bot: Caller, chat: Chat) -> None:
    rows = [row(chat, "bot", f"{n}", message_id=f"m-{n}", timestamp=old()) for n in range(import_queue.SMALL)]
    answer = bot.post("batches", {"rows": [*rows, row(chat, "agent", message_id="last")]})
    assert (answer.status_code, answer.json()["line"]) == (403, import_queue.SMALL + 1)
    assert not Batch.objects.exists()


def test_t4_1_a_bots_history_is_its_own_answers_under_its_own_name(chat: Chat, cast: Cast, bot: Caller) -> None:
    chat.queue()
    sent = row(chat, "bot", "It is 40.", timestamp=old(), sender_id="7", sender_name="Ana")
    assert bot.post("batches", {"rows": [sent]}).json()["result"]["accepted"] == 1
    said = Message.objects.get()
    assert (said.sender_type, said.sender_id, said.sender_name) == ("bot", str(cast.bargain.id), "bargain")
    assert ChatSession.objects.get(pk=said.session_id).status == "COMPLETED"
    assert chat.controller == "queue"


def test_t4_1_what_a_bot_says_now_needs_the_turn_and_the_epoch(chat: Chat, cast: Cast, bot: Caller) -> None:
    epoch = chat.robot().epoch
    for wrong in (row(chat, "bot"), row(chat, "bot", epoch=epoch - 1)):
        assert bot.post("batches", {"rows": [wrong]}).status_code == 403
    good = row(chat, "bot", "It is 40.", epoch=epoch)
    assert bot.post("batches", {"rows": [good]}).json()["result"]["accepted"] == 1
    chat.escalate()
    assert bot.post("batches", {"rows": [row(chat, "bot", message_id="m-2", epoch=epoch)]}).status_code == 403
    again = bot.post("batches", {"rows": [good]})
    assert (again.status_code, again.json()["result"]["duplicate"]) == (200, 1)
    assert chat.said == ["It is 40."]


def test_t4_1_the_turn_is_asked_for_once_more_under_the_lock(
    chat: Chat, cast: Cast, bot: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A human stepped in between the look at the batch and its storing."""
    epoch = chat.robot().epoch
    monkeypatch.setattr(
        import_queue, "must_be_allowed", lambda *args: chat.take() if chat.controller == "bot" else None
    )
    told = bot.post("batches", {"rows": [row(chat, "bot", epoch=epoch)]}).json()["result"]
    assert (told["accepted"], [(one["line"], one["code"]) for one in told["rejections"]]) == (0, [(1, "stale_epoch")])


def test_t4_1_an_integrator_brings_whatever_was_said(chat: Chat, cast: Cast) -> None:
    rows = [row(chat, sender, sender, message_id=sender) for sender in ("agent", "shop", "bot", "customer")]
    assert program(cast, "channel").post("batches", {"rows": rows}).json()["result"]["accepted"] == 4


@pytest.mark.parametrize("small", [True, False])
def test_t4_1_an_integrator_that_is_not_the_channel_brings_no_customers_words(
    chat: Chat, cast: Cast, small: bool
) -> None:
    """A key without `inbound:write` is refused at `inbound`; a batch is no way around that."""
    cast.change("channel", scopes=["messages:write"])
    channel = program(cast, "channel")
    rows = [row(chat, "bot", f"{n}", message_id=f"m-{n}") for n in range(2 if small else import_queue.SMALL)]
    before = snapshot()
    answer = channel.post("batches", {"rows": [*rows, row(chat, "customer", message_id="last")]})
    assert (answer.status_code, answer.json()["code"], answer.json()["line"]) == (403, "forbidden", len(rows) + 1)
    assert "inbound:write" in answer.json()["detail"]
    assert (snapshot(), Batch.objects.exists()) == (before, False)
    others = [*rows, row(chat, "agent", message_id="agent"), row(chat, "shop", message_id="shop")][-3:]
    told = channel.post("batches", {"rows": others}).json()["result"]
    assert (told["accepted"], told["rejected"]) == (3, 0)


# --- T4.2: inbound ---------------------------------------------------------------------------------------------------


def test_t4_2_with_its_usual_scopes_a_bot_delivers_nothing_for_customers(chat: Chat, cast: Cast, bot: Caller) -> None:
    chat.robot()
    before = snapshot()
    for conversation in (chat, cast.chat("elsewhere")):
        answer = bot.post("inbound", {"conversation_id": str(conversation.id), "content": "I want a refund"})
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        before = snapshot() if conversation is chat else before
    assert bot.post("inbound", {"shop_id": "s", "account_id": "new", "content": "hello"}).status_code == 403
    assert not Message.objects.exists()
    assert Scope.INBOUND not in scopes_of(cast.bot_row("bargain"))
    assert Scope.INBOUND in scopes_of(cast.bot_row("channel"))
    refused("forbidden", chat_says, cast, chat, "bargain")


def chat_says(cast: Cast, chat: Chat, name: str) -> Any:
    from messaging_app.thread import NewMessage

    actor = client_actor(cast.bot_row(name))
    return inbound.receive_message(actor=actor, conversation_id=chat.id, words=NewMessage(content="hello"))


def test_t4_2_a_bot_that_is_the_channel_too_delivers_and_it_says_so(chat: Chat, cast: Cast, bot: Caller) -> None:
    cast.change("bargain", scopes=INBOUND)
    cast.rule("keyword", phrases=["human please"], effect="escalate")
    chat.robot(cast.faq)  # another bot's: a need that is found in the words is no request of who brings them
    answer = bot.post("inbound", {"conversation_id": str(chat.id), "content": "human please"})
    assert (answer.status_code, answer.json()["controller"]) == (201, "queue")
    told = Operation.objects.get(conversation_id=chat.id, type="message.created")
    assert (told.actor_kind, told.actor_id, told.data["sender_type"]) == ("bot", cast.bargain.id, "customer")
    brought = bot.post("batches", {"rows": [row(chat, "customer", "hello?")]}).json()["result"]
    assert brought["accepted"] == 1
    grouped = Operation.objects.filter(conversation_id=chat.id, type="messages.grouped").latest("seq")
    assert (grouped.actor_kind, grouped.actor_id) == ("bot", cast.bargain.id)
    assert bot.post("batches", {"rows": [row(chat, "agent", message_id="m-9")]}).status_code == 403


def test_t4_2_an_integrator_that_was_given_scopes_before_still_delivers_and_a_bot_does_not(cast: Cast) -> None:
    """What the migration does, which runs where there are keys already."""
    from django.apps import apps

    for name in ("channel", "bargain"):
        cast.change(name, scopes=["messages:write"])
    _migration.keep_delivering(apps, None)
    assert cast.bot_row("channel").scopes == ["messages:write", "inbound:write"]
    assert (cast.bot_row("bargain").scopes, cast.bot_row("faq").scopes) == (["messages:write"], [])


# --- T4.3: names -----------------------------------------------------------------------------------------------------


def shown(cast: Cast, chat: Chat) -> list[str]:
    """Who spoke, as the API, the events and the rows tell it."""
    channel = program(cast, "channel")
    page = channel.get(f"conversations/{chat.id}/messages").json()["results"]
    events = channel.get("events", after=0, conversation=chat.id).json()["events"]
    told = [one["message"]["sender_name"] for one in events if one["type"] == "message.created"]
    assert [one["sender_name"] for one in reversed(page)] == told
    return told


def test_t4_3_a_customer_is_called_by_the_customers_name_or_not_at_all(cast: Cast) -> None:
    channel = program(cast, "channel")
    key = {"shop_id": "lamps", "account_id": "li"}
    first = channel.post("inbound", key | {"content": "one"}).json()
    channel.post("inbound", key | {"content": "two", "customer_name": "Li Wei"})
    channel.post("inbound", key | {"content": "three"})
    channel.post("inbound", key | {"content": "four", "sender_name": "Li's brother"})
    chat = Chat(cast, int(first["conversation_id"]))
    assert shown(cast, chat) == ["", "Li Wei", "Li Wei", "Li's brother"]


def test_t4_3_the_shops_people_are_not_called_by_the_keys_name_either(chat: Chat, cast: Cast) -> None:
    body = {"conversation_id": str(chat.id), "echo": True}
    channel = program(cast, "channel")
    channel.post("messages", body | {"content": "one"})
    channel.post("messages", body | {"content": "two", "sender_name": "Rosa"})
    assert shown(cast, chat) == ["", "Rosa"]


def test_t4_3_an_agent_is_called_by_the_credential_whatever_the_body_says(chat: Chat, cast: Cast) -> None:
    from tests.api.world import agent

    chat.human()
    body = {"conversation_id": str(chat.id), "content": "Hello.", "sender_name": "The Boss"}
    assert agent(cast, "ann").post("messages", body).status_code == 403
    del body["sender_name"]
    assert agent(cast, "ann").post("messages", body).status_code == 201
    assert shown(cast, chat) == ["Ann"]


def test_t4_3_the_desk_and_the_customer_see_no_name_of_a_key(chat: Chat, cast: Cast) -> None:
    from django.test import Client

    from tests.api.world import login_of

    body = {"conversation_id": str(chat.id), "content": "hello there"}
    cast.program("key-of-the-channel", "integrator")
    program(cast, "key-of-the-channel").post("inbound", body)
    desk = Client()
    desk.force_login(login_of(cast, "ann"))
    page = desk.get(f"/desk/c/{chat.id}/").content.decode()
    assert "hello there" in page
    assert "key-of-the-channel" not in page
    assert Conversation.objects.get(pk=chat.id).title in page
