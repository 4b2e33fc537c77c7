"""Rows with a reserved id: they go with the commit, in their order, and give way to one that was stored meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, transaction

from config import reserved_ids, statements
from config.errors import TryAgain
from messaging_app import thread
from messaging_app.models import Conversation, Message
from messaging_app.thread import NewMessage
from sessions_app.actions import inbound, lifecycle
from sessions_app.models import ChatSession
from tests.cast import Cast, Chat
from tests.test_pipeline import exchanges

pytestmark = [
    pytest.mark.services,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("connection.vendor != 'postgresql'", reason="elsewhere nothing is reserved"),
]

KEY = {"platform": "default", "shop_id": "shop", "account_id": "new"}


def elsewhere[R](work: Callable[[], R]) -> R:
    """By another connection."""

    def run() -> R:
        try:
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(run).result()


def meanwhile(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, work: Callable[[], Any]) -> None:
    """Once, when this function is called, somebody else does that first."""
    whole = getattr(owner, name)
    is_done: list[bool] = []

    def overtaken(*args: Any, **kwargs: Any) -> Any:
        if not is_done:
            is_done.append(True)
            elsewhere(work)
        return whole(*args, **kwargs)

    monkeypatch.setattr(owner, name, overtaken)


def say(chat: Chat, text: str, message_id: str = "", **where: Any) -> Any:
    named = where or {"conversation_id": chat.id}
    return inbound.receive_message(
        actor=chat.cast.channel, words=NewMessage(content=text, message_id=message_id), **named
    )


def test_what_a_verb_makes_goes_with_its_commit(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    with exchanges(monkeypatch) as made:
        say(chat, "hello")
    locked, last = made[-2:]
    assert (locked, last[0], last[-1]) == (["SELECT"] * 3, "INSERT", "COMMIT")
    with exchanges(monkeypatch) as made:
        lifecycle.open_session(actor=chat.cast.bargain, robot=True, shop_id="shop", account_id="new")
    found, last = made[-2:]
    assert (found, last[:2], last[-1]) == (["SELECT"] * 4, ["INSERT", "INSERT"], "COMMIT")


def test_a_later_message_has_a_higher_id(chat: Chat) -> None:
    for number in range(3):
        say(chat, f"from here {number}")
        elsewhere(lambda number=number: say(chat, f"from elsewhere {number}"))  # type: ignore[misc]
    rows = Message.objects.filter(conversation_id=chat.id).order_by("seq")
    ids = list(rows.values_list("pk", flat=True))
    assert ids == sorted(ids)
    assert len(ids) == 6


def test_a_message_id_that_was_stored_meanwhile_is_answered_as_a_repeat(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = {"shop_id": "shop", "account_id": "somebody else"}
    meanwhile(monkeypatch, thread, "append", lambda: say(chat, "hello", "taken", **other))
    with pytest.raises(thread.MessageIdTaken):
        say(chat, "hello", "taken")
    assert Message.objects.filter(message_id="taken").count() == 1
    assert not Message.objects.filter(conversation_id=chat.id).exists()


def test_a_conversation_that_was_made_meanwhile_is_the_one(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(bot: Any) -> Any:
        return lifecycle.open_session(actor=bot, robot=True, **KEY)

    meanwhile(monkeypatch, lifecycle, "resolve_conflict", lambda: opened(cast.bargain))
    second = opened(cast.faq)
    assert Conversation.objects.filter(**KEY).count() == 1
    assert sorted(ChatSession.objects.values_list("conversation_id", "bot_id")) == [
        (second.conversation_id, cast.pk("bargain")),
        (second.conversation_id, cast.pk("faq")),
    ]


def test_for_a_conversation_that_is_there_no_id_is_spent(chat: Chat) -> None:
    row = chat.row
    where = {"shop_id": row.shop_id, "account_id": row.account_id, "platform": row.platform}
    before = _last(Conversation)
    say(chat, "hello", **where)
    assert _last(Conversation) == before


def test_what_is_left_over_is_given_to_nobody(chat: Chat) -> None:
    with statements.transaction_of_a_verb():
        reserved_ids.reserve(Message)
        assert statements.fetched("SELECT 1")
    assert reserved_ids.taken(connection, Message) is None


def test_one_id_is_for_one_row(chat: Chat) -> None:
    with statements.transaction_of_a_verb():
        reserved_ids.reserve(Message)
        assert statements.fetched("SELECT 1")
        assert reserved_ids.taken(connection, Message)
        assert reserved_ids.taken(connection, Message) is None


def test_within_another_transaction_nothing_is_reserved(chat: Chat) -> None:
    with transaction.atomic():
        with statements.transaction_of_a_verb():
            reserved_ids.reserve(Message)
            assert statements.fetched("SELECT 1")
            assert reserved_ids.taken(connection, Message) is None
        assert say(chat, "hello").message_id


def test_a_refused_row_is_told_by_its_own_words(chat: Chat) -> None:
    chat.says("hello")
    [first] = Message.objects.filter(conversation_id=chat.id)
    first.pk = None
    first.seq += 1

    def work() -> None:
        with statements.transaction_of_a_verb():
            reserved_ids.reserve(Message)
            assert statements.fetched("SELECT 1")
            statements.run_later("SELECT 1")
            statements.insert(first, unless_there="it is there")
            statements.run_later("SELECT 2")

    with pytest.raises(TryAgain, match="it is there"):
        work()
    assert connection.is_usable()


def _last(model: Any) -> Any:
    [[last]] = statements.fetched(f"SELECT last_value FROM {model._meta.db_table}_id_seq")
    return last
