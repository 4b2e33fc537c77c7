"""What is read by statements that were built once is what the query sets say, for each reader and each subscription."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection

from agents_app.actors import Actor
from messaging_app import relay
from messaging_app.models import Message, Operation, StreamHead
from messaging_app.thread import NewMessage
from sessions_app.actions import messages
from sessions_app.events import subscription
from sessions_app.events.subscription import LIMIT, Subscription
from tests.cast import Cast, Chat


@pytest.fixture
def noted(chat: Chat) -> Chat:
    """A bot worked here, Ann serves, and there are a note and something that was said elsewhere."""
    chat.robot()
    chat.says("My order is late.")
    chat.escalate(reason="angry")
    chat.accept()
    messages.post_note(actor=chat.cast.ann, conversation_id=chat.id, words=NewMessage(content="SECRET note"))
    chat.cast.chat().says("Elsewhere.")
    return chat


def who(cast: Cast, name: str) -> Actor:
    return cast.ann if name == "ann" else cast.channel


@pytest.mark.parametrize("name", ["ann", "channel"])
@pytest.mark.parametrize(
    "asked",
    [
        lambda chat: Subscription(),
        lambda chat: Subscription(types=frozenset({"message.created", "session.*"})),
        lambda chat: Subscription(conversation_id=chat.id),
    ],
    ids=["everything", "some types", "one conversation"],
)
def test_a_page_is_the_same_by_a_statement_that_was_built_once(
    cast: Cast, others: Cast, noted: Chat, stamped: Callable[[], None], name: str, asked: Callable[[Chat], Subscription]
) -> None:
    others.chat().says("theirs")
    stamped()
    actor, wanted = who(cast, name), asked(noted)
    last = StreamHead.objects.get(tenant=cast.tenant).pos
    for after in range(last + 1):
        built = subscription.read(actor, wanted, after)
        assert built == subscription.read(actor, wanted, after, LIMIT + 1)  # by the query sets
        one = subscription.read(actor, wanted, after, 1)
        assert built.events[:1] == one.events


@pytest.mark.parametrize("name", ["ann", "channel"])
def test_a_message_alone_is_read_with_what_is_stored_now(
    cast: Cast, noted: Chat, stamped: Callable[[], None], name: str
) -> None:
    stamped()
    said = Message.objects.get(content="My order is late.")
    Message.objects.filter(pk=said.pk).update(content="")
    note = Message.objects.get(is_note=True)
    actor = who(cast, name)
    assert [row.content for row in subscription.texts_alike(actor, [said.pk])] == [""]
    assert [row.pk for row in subscription.texts_alike(actor, [note.pk])] == ([note.pk] if name == "ann" else [])


def test_another_tenants_message_is_nobodys(cast: Cast, others: Cast, stamped: Callable[[], None]) -> None:
    theirs = others.chat().says("theirs")
    pk = Message.objects.get(message_id=theirs.message_id).pk
    assert list(subscription.texts_alike(cast.ann, [pk])) == []
    assert len(list(subscription.texts_alike(others.ann, [pk]))) == 1


@pytest.mark.skipif(connection.vendor != "postgresql", reason="by two statements at once on PostgreSQL only")
def test_stamping_by_two_statements_at_once_gives_what_the_query_sets_give(
    cast: Cast, others: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "positions_if_free", lambda operations: ["NULL"] * len(operations))
    for some in (cast, others):
        for number in range(3):
            some.chat().says(f"{number}")
    assert relay._stamped_at_once(cast.tenant.pk) == relay._stamped(others.tenant.pk)
    monkeypatch.setattr(relay, "BATCH", 2)
    for some in (cast, others):
        some.chat().says("more")
        some.chat().says("and more")
        some.chat().says("and more than a batch")
    for _ in range(3):
        assert relay._stamped_at_once(cast.tenant.pk) == relay._stamped(others.tenant.pk)

    def stored(some: Cast) -> list[int | None]:
        rows = Operation.objects.filter(tenant=some.tenant).order_by("id")
        return list(rows.values_list("pos", flat=True))

    assert stored(cast) == stored(others) == list(range(1, len(stored(cast)) + 1))
    heads = {head.tenant_id: head.pos for head in StreamHead.objects.all()}
    assert heads[cast.tenant.pk] == heads[others.tenant.pk] == len(stored(cast))
