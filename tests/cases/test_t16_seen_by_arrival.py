"""T16: what a reader may see, and from where, is decided by arrival (`seq`); a sender's time only orders what is shown."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from agents_app.actors import Actor
from agents_app.credentials.tokens import issue_token
from config import clock
from messaging_app import live, tasks
from messaging_app.batch import read_line
from messaging_app.models import Conversation, Message
from messaging_app.models.attachments import Attachment
from messaging_app.thread import NewMessage
from sessions_app.actions import batches, lifecycle, messages, participants
from sessions_app.actions import conversations as marks
from sessions_app.events import subscription
from sessions_app.models import Participant
from sessions_app.queries import aggregates, listing, matching_text
from sessions_app.queries.alerts import alerts_from, alerts_wanted
from sessions_app.queries.related import related
from sessions_app.queries.thread import thread_news, thread_page
from sessions_app.rights import visible
from tests.api.world import Caller, program
from tests.cast import Cast, Chat, Later
from tests.events.conftest import hub, socket
from tests.joined.conftest import Guest
from tests.joined.test_pages import said

__all__ = ["hub"]

pytestmark = pytest.mark.django_db


def ago(seconds: float) -> datetime:
    return clock.now() - timedelta(seconds=seconds)


def brought(chat: Chat, *rows: tuple[float, str]) -> None:
    """A batch of the channel's, in one operation: words of the customer, so many seconds ago."""
    conversation = chat.row
    lines = (
        json.dumps(
            {
                "message_id": f"{conversation.pk}-{conversation.seq}-{number}",
                "shop_id": conversation.shop_id,
                "account_id": conversation.account_id,
                "sender_type": "customer",
                "content": content,
                "timestamp": ago(seconds).isoformat(),
            }
        ).encode()
        for number, (seconds, content) in enumerate(rows)
    )
    report = batches.ingest_batch(
        actor=chat.cast.channel, rows=(read_line(number, line) for number, line in enumerate(lines, 1)), size=1000
    )
    assert report.accepted == len(rows), report
    assert chat.row.seq == conversation.seq + 1, "one operation records them all"


def invited(chat: Chat, **more: Any) -> Any:
    return participants.invite_participant(actor=chat.cast.ann, conversation_id=chat.id, name="Gus", **more)


def seen_everywhere(chat: Chat, guest: Guest) -> list[str]:
    """What is shown on the guest's page, in its news, and over the API: the same everywhere."""
    shown = said(guest.page())
    assert said(guest.news()) == shown
    listed = Caller(issue_token(chat.participant_actor(guest.pk))).get(f"conversations/{chat.id}/messages")
    assert [message["content"] for message in reversed(listed.json()["results"])] == shown
    return shown


def told(actor: Actor) -> list[str]:
    page = subscription.read(actor, subscription.Subscription(after=0), 0)
    return [event["message"]["content"] for event in page.events if event["type"] == "message.created"]


# --- A right is decided by arrival ---


@pytest.mark.parametrize(
    ("mode", "before"),
    [
        ({"history": "none"}, []),
        ({"history": "from_now"}, []),
        ({"history": "last", "history_count": 1}, ["two"]),
        ({"history": "all"}, ["one", "two"]),
    ],
    ids=["none", "from_now", "last", "all"],
)
def test_what_the_channel_brings_after_somebody_joined_is_shown_whatever_its_time(
    chat: Chat, later: Later, mode: dict[str, Any], before: list[str]
) -> None:
    """Seen: a lag of two seconds hid it from the guest for ever."""
    chat.serve()
    for words in ("one", "two"):
        chat.says(words)
        later(30)
    guest = Guest(invited(chat, **mode))
    seq = chat.row.seq
    assert seen_everywhere(chat, guest) == before
    chat.says("said before, came after", sent_at=ago(2))
    assert sorted(seen_everywhere(chat, guest)) == sorted([*before, "said before, came after"])
    assert said(guest.news(seq)) == ["said before, came after"], "an open page asks for what came since"
    assert "said before, came after" in told(chat.participant_actor(guest.pk))


@pytest.mark.parametrize("history", ["none", "from_now"])
def test_what_was_there_before_is_not_shown_whatever_its_time(chat: Chat, history: str) -> None:
    """Seen: a row stamped ten minutes after the joining was. Senders' times are bounded now; rows of before are not."""
    chat.serve()
    brought(chat, (60, "a row"))
    chat.says("a message")
    Message.objects.filter(conversation_id=chat.id).update(sent_at=clock.now() + timedelta(minutes=10))
    guest = Guest(invited(chat, history=history))
    assert seen_everywhere(chat, guest) == []
    page = subscription.read(chat.participant_actor(guest.pk), subscription.Subscription(after=0), 0)
    assert [event["type"] for event in page.events] == ["participant.joined"], "nor what happened before"


def test_history_that_is_brought_after_somebody_joined_is_shown_at_its_time(chat: Chat) -> None:
    chat.serve()
    guest = Guest(invited(chat))
    chat.says("now")
    seq = chat.row.seq
    brought(chat, (86_400, "yesterday"), (30, "a moment ago"))
    assert seen_everywhere(chat, guest) == ["yesterday", "a moment ago", "now"]
    assert said(guest.news(seq)) == ["yesterday", "a moment ago"]


# MariaDB's full-text index shows a row once it is committed, even to the transaction that wrote it.
@pytest.mark.django_db(transaction=connection.vendor == "mysql")
def test_a_file_and_the_search_go_with_the_words(chat: Chat) -> None:
    chat.serve()
    chat.says("umbrella, from before")
    early = Message.objects.get(content__startswith="umbrella")
    Message.objects.update(sent_at=clock.now() + timedelta(minutes=10))
    guest = chat.guest()
    chat.says("parasol, come late", sent_at=ago(5))
    late = Message.objects.get(content__startswith="parasol")
    a_file = {"tenant": chat.cast.tenant, "conversation_id": chat.id, "size": 1, "created_at": clock.now()}
    for message in (early, late):
        its = {"storage_key": message.message_id, "client_id": message.message_id, "sha256": "0" * 64}
        Attachment.objects.create(**a_file, **its, message=message, name="a.png", media_type="image/png")
    assert [row.message_id for row in visible.attachments(guest)] == [late.pk]
    tasks.stamp()
    tasks.index_search()
    here = Conversation.objects.filter(pk=chat.id)
    assert not matching_text(guest, here, "umbrella").exists()
    assert matching_text(guest, here, "parasol").exists()


# --- A bot whose session is over ---


def heard_by_bot(chat: Chat, session: int) -> list[str]:
    """What a bot is told of the conversation: the same at each of its doors."""
    bot = program(chat.cast, "bargain")
    tasks.stamp()
    listed = bot.get(f"conversations/{chat.id}/messages").json()["results"]
    words = [message["content"] for message in sorted(listed, key=lambda message: (message["seq"], int(message["id"])))]
    told = bot.post(f"sessions/{session}/recover", {}).json()["messages"]
    events = bot.get("events", after="0").json()["events"]
    heard = [event["message"]["content"] for event in events if event["type"] == "message.created" and event["message"]]
    assert [message["content"] for message in told] == heard
    assert [content for content in words if content in heard] == heard
    return words


@pytest.mark.parametrize("door", ["a batch", "live, as history"])
def test_a_bot_does_not_read_what_came_after_its_session_though_it_was_said_in_it(
    chat: Chat, later: Later, door: str
) -> None:
    """Seen: by its time it was put into the ended session, and so the bot read what came to a human."""
    session = chat.robot().session_id or 0
    chat.says("One")
    later(60)
    chat.says("Two")
    later(60)
    lifecycle.complete_session(actor=chat.cast.bargain, session_id=session)
    if door == "a batch":
        later(5)
        chat.human()
        later(60)
        brought(chat, (130, "My card is 4111"))
    else:
        later(36_000)
        chat.human()
        chat.says("My card is 4111", sent_at=ago(36_070))
    assert Message.objects.get(content="My card is 4111").session_id == session, "where it belongs by its time"
    assert heard_by_bot(chat, session) == ["One", "Two"]


def test_a_bot_reads_what_came_late_while_its_session_lasted(chat: Chat, later: Later) -> None:
    session = chat.robot().session_id or 0
    chat.says("One")
    later(60)
    chat.says("Late", sent_at=ago(40))
    lifecycle.complete_session(actor=chat.cast.bargain, session_id=session)
    assert heard_by_bot(chat, session) == ["One", "Late"]


# --- The last n ---


def test_the_last_one_of_four_of_one_second_is_one(chat: Chat) -> None:
    """Seen: all four."""
    chat.serve()
    at = ago(1)
    for words in ("one", "two", "three", "four"):
        chat.says(words, sent_at=at)
    assert seen_everywhere(chat, Guest(invited(chat, history="last", history_count=1))) == ["four"]


@pytest.mark.parametrize(
    ("count", "sees"), [(1, ["30 s"]), (2, ["2 h", "30 s"]), (3, ["2 h, too", "2 h", "30 s"]), (4, None), (99, None)]
)
def test_the_last_n_are_counted_inside_a_batch_too(chat: Chat, count: int, sees: list[str] | None) -> None:
    """One operation records a batch: of its rows the last by their times, whichever session each went into."""
    chat.serve()
    brought(chat, (7_150, "2 h"), (30, "30 s"), (86_400, "a day"), (7_200, "2 h, too"))
    everything = ["a day", "2 h, too", "2 h", "30 s"]
    assert seen_everywhere(chat, Guest(invited(chat, history="last", history_count=count))) == (sees or everything)


def test_the_last_n_reach_over_a_batch_and_what_was_said_live(chat: Chat, later: Later) -> None:
    chat.serve()
    brought(chat, (50, "row 1"), (40, "row 2"))
    chat.says("live 1")
    chat.says("live 2")
    guest = Guest(invited(chat, history="last", history_count=3))
    later(5)
    chat.says("after")
    assert seen_everywhere(chat, guest) == ["row 2", "live 1", "live 2", "after"]


def test_the_last_n_are_those_that_came_last(chat: Chat) -> None:
    """Decided at the joining, of what a guest may see: notes do not count."""
    chat.serve()
    chat.says("said now")
    late = invited(chat, history="last", history_count=1)
    brought(chat, (3_600, "said an hour ago, came last"))
    for _ in range(3):
        messages.post_note(actor=chat.cast.ann, conversation_id=chat.id, words=NewMessage(content="a note"))
    assert seen_everywhere(chat, Guest(late)) == ["said an hour ago, came last"]


def test_of_nothing_the_last_n_are_nothing(chat: Chat) -> None:
    chat.serve()
    guest = Guest(invited(chat, history="last", history_count=3))
    assert seen_everywhere(chat, guest) == []
    chat.says("late", sent_at=ago(60))
    assert seen_everywhere(chat, guest) == ["late"]


# --- What the desk has read, and what is new to it ---


def test_what_came_late_is_unread_though_it_was_said_before_what_was_read(cast: Cast, chat: Chat) -> None:
    """The row, and the call to another window: both compared the operation of what was said last."""
    chat.serve()
    chat.says("read already")
    marks.mark_read(actor=cast.ann, conversation_id=chat.id, seq=chat.row.seq)
    assert not is_unread(cast.ann, chat)
    chat.says("came late", sent_at=ago(20))
    newest = Message.objects.get(content="came late").seq
    assert is_unread(cast.ann, chat)
    assert related(cast.ann, [chat.id])[chat.id].heard == newest
    asked = aggregates.read(cast.tenant.pk, alerts_wanted(cast.ann))
    assert alerts_from(asked)["unread"] == f"{chat.id}:{newest}"


def is_unread(actor: Actor, chat: Chat) -> bool:
    [row] = listing.list_page(actor=actor, view=listing.View.MINE).rows
    assert row.id == chat.id
    return row.is_unread


def test_an_open_page_of_the_desk_is_brought_what_came_late_in_the_order_it_was_said(cast: Cast, chat: Chat) -> None:
    chat.serve()
    chat.says("second")
    seq = chat.row.seq
    chat.says("first", sent_at=ago(20))
    news = thread_news(actor=cast.ann, conversation_id=chat.id, after=seq)
    assert [item.message.content for item in news.items if item.message] == ["first"]
    page = thread_page(actor=cast.ann, conversation_id=chat.id)
    assert [item.message.content for item in page.items if item.message] == ["first", "second"]


# --- The socket of the joined page ---


@pytest.mark.django_db(transaction=True)
async def test_the_socket_tells_of_it_and_the_page_is_brought_it(hub: live.Hub, chat: Chat) -> None:
    in_thread: Any = lambda work, *args, **kwargs: sync_to_async(work)(*args, **kwargs)  # noqa: E731
    await in_thread(chat.serve)
    guest = await in_thread(lambda: Guest(invited(chat)))
    seq = (await in_thread(lambda: chat.row)).seq
    async with socket(path=f"/ws/joined/{guest.pk}/", cookie=guest.cookie, origin="http://localhost") as line:
        assert [await line.frame(), await line.frame()] == [{"hello": True}, {"moved": True}]
        await in_thread(lambda: chat.says("late", sent_at=ago(30)))
        assert await line.frame() == {"moved": True}
    assert said(await in_thread(guest.news, seq)) == ["late"]


# --- Rows of before ---


def test_the_migration_takes_the_times_of_those_who_are_in_to_operations(transactional_db: None) -> None:
    """There with times, back with operations; nobody sees more than was shared, and the last n are n."""
    cast = Cast()
    chat = cast.chat().serve()
    at = ago(2)
    for words in ("one", "two"):
        chat.says(words, sent_at=at)
    brought(chat, (60, "row 1"), (50, "row 2"))
    waits = invited(chat, history="from_now")
    guests = {
        name: participants.join(tenant_id=cast.tenant.pk, token=invited(chat, **mode).token).participant_id
        for name, mode in {
            "none": {"history": "none"},
            "from_now": {"history": "from_now"},
            "last": {"history": "last", "history_count": 1},
            "last 3": {"history": "last", "history_count": 3},
            "all": {"history": "all"},
        }.items()
    }
    chat.says("after", sent_at=ago(1))
    leaves = MigrationExecutor(connection).loader.graph.leaf_nodes()
    kept = sharing()
    assert kept[waits.participant_id or 0][0] is not None
    try:
        executor = MigrationExecutor(connection)
        state = executor.migrate([("sessions_app", "0009_flow_trigger_of_its_client")])
        rows = state.apps.get_model("sessions_app", "Participant")._default_manager
        assert rows.filter(history_from=None).count() == 1, "who sees all"
        for name in ("last", "last 3"):  # what was kept before: the time of the oldest that was shared
            oldest = Message.objects.filter(conversation_id=chat.id).order_by("-seq", "-id")[1].sent_at
            rows.filter(pk=guests[name]).update(history_from=oldest)
    finally:
        executor = MigrationExecutor(connection)
        executor.migrate(leaves)
    assert sharing() == kept
    sees = {
        name: [m.content for m in visible.visible_to(Participant.objects.get(pk=pk)).order_by("seq", "id")]
        for name, pk in guests.items()
    }
    everything = ["one", "two", "row 1", "row 2", "after"]
    assert sees == {
        "none": ["after"],
        "from_now": ["after"],
        "last": ["row 2", "after"],
        "last 3": ["two", "row 1", "row 2", "after"],
        "all": everything,
    }


def sharing() -> dict[int, tuple[int | None, int | None]]:
    rows = Participant.objects.values_list("pk", "history_from_seq", "history_from_id")
    return {pk: (seq, first) for pk, seq, first in rows}
