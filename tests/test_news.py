"""What is new in a conversation since an operation: each reader is given what it may read, and once more, as it is now,
what an operation names that it has had."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents_app.actors import Actor
from messaging_app.events import CHANGES_MESSAGE, MESSAGE_CREATED
from messaging_app.models import Message
from messaging_app.thread import NewMessage
from sessions_app.actions import messages
from sessions_app.events.catalogue import EVENT_TYPES
from sessions_app.models import Participant
from sessions_app.queries import customer_page, thread_news
from sessions_app.queries import guest as guests
from tests.cast import Cast, Chat


def told(items: Any) -> list[tuple[str, bool]]:
    """The words, and whether the reader has had them before."""
    return [(item.message.content, item.is_again) for item in items if item.message]


class Readers:
    """Ann at the desk, a guest who has joined, and the customer."""

    def __init__(self, chat: Chat, guest: Actor) -> None:
        self.chat = chat
        self.guest_id = guest.pk

    def desk(self, after: int, **more: Any) -> Any:
        return thread_news(actor=self.chat.cast.ann, conversation_id=self.chat.id, after=after, **more)

    def guest(self, after: int, **more: Any) -> Any:
        return guests.guest_news(Participant.objects.get(pk=self.guest_id), after=after, **more)

    def customer(self, after: int, **more: Any) -> Any:
        where = {"tenant_id": self.chat.cast.tenant.pk, "conversation_id": self.chat.id}
        return customer_page(**where, after=after, **more)


@pytest.fixture
def readers(chat: Chat) -> Readers:
    chat.serve()
    return Readers(chat, chat.guest(history="all"))


def changed(chat: Chat, was: str, now: str) -> None:
    """The channel tells back what was said, and its row is another by now, as after any operation that changes one."""
    chat.echo(was)
    assert chat.event_types[-1] == "message.echoed"
    Message.objects.filter(conversation_id=chat.id, content=was).update(content=now)


def test_new_words_are_given_to_whoever_may_read_them(chat: Chat, readers: Readers) -> None:
    after = chat.row.seq
    chat.says("one")
    messages.post_note(actor=chat.cast.ann, conversation_id=chat.id, words=NewMessage(content="between us"))
    chat.speaks(chat.cast.ann, "two")
    assert told(readers.desk(after).items) == [("one", False), ("between us", False), ("two", False)]
    for read in (readers.guest, readers.customer):
        assert told(read(after).items) == [("one", False), ("two", False)]
        assert told(read(chat.row.seq).items) == []


def test_what_an_operation_names_comes_once_more_as_it_is_now(chat: Chat, readers: Readers) -> None:
    chat.speaks(chat.cast.ann, "It costs 85.")
    after = chat.row.seq
    changed(chat, "It costs 85.", "It costs 58.")
    for read in (readers.desk, readers.guest, readers.customer):
        assert told(read(after).items) == [("It costs 58.", True)]
        assert told(read(chat.row.seq).items) == []


def test_whoever_has_not_had_the_words_is_given_them_as_new(chat: Chat, readers: Readers) -> None:
    after = chat.row.seq
    chat.speaks(chat.cast.ann, "It costs 85.")
    changed(chat, "It costs 85.", "It costs 58.")
    for read in (readers.desk, readers.guest, readers.customer):
        assert told(read(after).items) == [("It costs 58.", False)]


def test_words_that_a_guest_may_not_read_do_not_come_when_they_are_named(chat: Chat) -> None:
    chat.serve()
    chat.speaks(chat.cast.ann, "It costs 85.")
    readers = Readers(chat, chat.guest(history="none"))
    after = chat.row.seq
    changed(chat, "It costs 85.", "It costs 58.")
    assert told(readers.guest(after).items) == []
    assert told(readers.customer(after).items) == [("It costs 58.", True)]


def test_whoever_is_far_behind_is_told_so(chat: Chat, readers: Readers) -> None:
    after = chat.row.seq
    for number in range(3):
        chat.says(f"{number}.")
    for read in (readers.desk, readers.guest):
        assert (read(after, limit=2).is_behind, told(read(after, limit=2).items)) == (True, [])
        assert not read(after, limit=3).is_behind
    assert told(readers.customer(after, limit=2).items) == [("1.", False), ("2.", False)]  # there the newest are shown


def test_a_line_that_comes_again_costs_no_query_more_than_a_new_one(chat: Chat, readers: Readers) -> None:
    def costs(read: Callable[[int], Any], after: int) -> int:
        with CaptureQueriesContext(connection) as asked:
            assert told(read(after).items)
        return len(asked)

    after = chat.row.seq
    chat.speaks(chat.cast.ann, "It costs 85.")
    read_by = (readers.desk, readers.guest, readers.customer)
    new = [costs(read, after) for read in read_by]
    after = chat.row.seq
    changed(chat, "It costs 85.", "It costs 58.")
    assert [costs(read, after) for read in read_by] == new


def test_what_is_no_word_costs_no_look_at_the_words(chat: Chat, readers: Readers) -> None:
    after = chat.row.seq
    chat.release()
    with CaptureQueriesContext(connection) as asked:
        assert [item.operation.type for item in readers.desk(after).items if item.operation] != []
    of_messages = f"SELECT {connection.ops.quote_name(Message._meta.db_table)}"
    assert not [query for query in asked if query["sql"].startswith(of_messages)]


@pytest.mark.parametrize("type", [type for type, its in EVENT_TYPES.items() if "message" in its.has])
def test_an_operation_that_names_a_message_is_one_that_pages_and_search_follow(type: str, cast: Cast) -> None:
    """Another one would leave the old words on every open page, and in the index."""
    assert type == MESSAGE_CREATED or type in CHANGES_MESSAGE
