"""What each caller is shown: lists, pages, filters; and what stays out of an answer that is not for its reader."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from messaging_app.models import Conversation
from messaging_app.thread import NewMessage
from sessions_app.actions import conversations as desk
from sessions_app.actions import messages
from tests.api.world import Caller, agent, bearer, program
from tests.cast import Cast, Chat

pytestmark = pytest.mark.django_db


def _results(caller: Caller, path: str, **query: Any) -> list[dict[str, Any]]:
    answer = caller.get(path, **query)
    assert answer.status_code == 200, answer.content
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


def _ids(caller: Caller, path: str, **query: Any) -> list[str]:
    return [row["id"] for row in _results(caller, path, **query)]


def _pages(caller: Caller, path: str) -> Iterator[list[str]]:
    """Follow `next` to the end, and never for a second time."""
    address: str | None = path
    followed: set[str] = set()
    while address:
        assert address not in followed, "the list goes in a circle"
        followed.add(address)
        answer = caller.get(address).json()
        yield [row["id"] for row in answer["results"]]
        address = answer["next"]


# --- Whose rows --------------------------------------------------------------------------------------------------


def test_lists_hold_what_the_reader_may_see(cast: Cast, others: Cast) -> None:
    mine, theirs, foreign = cast.chat(), cast.chat(), others.chat()
    for chat, bot in ((mine, cast.bargain), (theirs, cast.faq), (foreign, others.bargain)):
        chat.robot(bot)
        chat.escalate(bot)
    mine.accept()
    guest = bearer(mine.guest())
    everything = [str(theirs.id), str(mine.id)]
    shown: dict[str, tuple[Caller, list[str], int]] = {
        "agent": (agent(cast, "ben"), everything, 2),
        "supervisor": (agent(cast, "sue"), everything, 2),
        "integrator": (program(cast, "channel"), everything, 2),
        "bot": (program(cast, "bargain"), [str(mine.id)], 1),
        "customer": (bearer(mine.customer), [str(mine.id)], 0),
        "participant": (guest, [str(mine.id)], 0),
        "elsewhere": (agent(others, "sue"), [str(foreign.id)], 1),
    }
    for who, (caller, conversations, work) in shown.items():
        assert _ids(caller, "conversations") == conversations, who
        assert len(_ids(caller, "sessions")) == work, who
        assert len(_ids(caller, "transfers")) == work, who


def test_notes_are_for_agents_only(cast: Cast) -> None:
    chat = cast.chat().serve()
    guest = bearer(chat.guest(history="all"))
    messages.post_note(actor=cast.ben, conversation_id=chat.id, words=NewMessage(content="Watch out."))
    readers = [program(cast, "channel"), program(cast, "bargain"), bearer(chat.customer), guest]
    for caller in readers:
        assert not any(row["is_note"] for row in _results(caller, f"conversations/{chat.id}/messages"))
        assert not any(row["data"].get("is_note") for row in _results(caller, f"conversations/{chat.id}/timeline"))
        assert caller.get(f"conversations/{chat.id}").json()["last_text"] != "Watch out."
    assert [row["content"] for row in _results(agent(cast, "cat"), f"conversations/{chat.id}/messages")] == [
        "Watch out."
    ]
    missed = program(cast, "bargain").post(f"sessions/{chat.live.pk}/recover", {"after_seq": 0}).json()["missed"]
    assert missed
    assert not any(row["data"].get("is_note") for row in missed)


def test_a_guest_reads_from_the_moment_that_was_shared_and_no_last_words_before_it(cast: Cast) -> None:
    chat = cast.chat().serve()
    chat.says("My card is 1234.")
    gus = bearer(chat.guest(history="none"))
    assert _results(gus, f"conversations/{chat.id}/messages") == []
    assert "1234" not in gus.get(f"conversations/{chat.id}").content.decode()
    assert "1234" not in gus.get("conversations").content.decode()
    chat.speaks(cast.ann, "Welcome, Gus.")
    assert [row["content"] for row in _results(gus, f"conversations/{chat.id}/messages")] == ["Welcome, Gus."]


def test_the_desks_own_judgement_is_not_told_outside(cast: Cast) -> None:
    chat = cast.chat()
    chat.robot()
    desk.raise_flag(actor=cast.ann, conversation_id=chat.id, reason="A difficult one.")
    chat.escalate(reason="Rude customer.")
    chat.accept()
    desk.pin(actor=cast.ann, conversation_id=chat.id)
    desk.todo(actor=cast.ann, conversation_id=chat.id)
    for caller in (bearer(chat.customer), bearer(chat.guest(history="all"))):
        for path in ("", "/timeline", "/messages", "/participants"):
            text = caller.get(f"conversations/{chat.id}{path}").content.decode()
            assert "difficult" not in text, path
            assert "Rude" not in text, path
        row = caller.get(f"conversations/{chat.id}").json()
        assert (row["need"], row["pinned_at"], row["todo_at"], row["is_vip"]) == ({}, None, None, False)
    timeline = _results(agent(cast, "ben"), f"conversations/{chat.id}/timeline")
    assert "Rude customer." in [row["data"].get("reason") for row in timeline]


def test_how_to_reach_a_participant_is_for_agents_only(cast: Cast) -> None:
    chat = cast.chat().serve()
    guest = chat.guest(contact="gus@example.org")
    path = f"conversations/{chat.id}/participants"
    assert _results(agent(cast, "ann"), path)[0]["contact"] == "gus@example.org"
    for caller in (bearer(chat.customer), bearer(guest), program(cast, "bargain"), program(cast, "channel")):
        assert [(row["name"], row["contact"]) for row in _results(caller, path)] == [("Gus", "")]


# --- What must not be made ---------------------------------------------------------------------------------------


def test_who_may_not_open_a_session_makes_no_conversation_either(cast: Cast) -> None:
    before = cast.chat().row
    answer = agent(cast, "ann").post("sessions", {"shop_id": "new", "account_id": "new", "robot": True})
    assert answer.status_code == 403
    customer = bearer(cast.chat().customer)
    for path, body in (("sessions", {"robot": False}), ("inbound", {"content": "Hello?"})):
        assert customer.post(path, body | {"shop_id": "new", "account_id": "new"}).status_code == 404
        known = {"shop_id": before.shop_id, "account_id": before.account_id}
        assert customer.post(path, body | known).status_code == 404
    assert not type(before).objects.filter(shop_id="new").exists()


def test_a_customer_may_name_the_own_conversation_by_shop_and_account(chat: Chat) -> None:
    row = chat.row
    body = {"shop_id": row.shop_id, "account_id": row.account_id, "content": "Hello?"}
    assert bearer(chat.customer).post("inbound", body).json()["conversation_id"] == str(chat.id)


def test_a_heartbeat_is_of_whoever_sends_it(cast: Cast) -> None:
    """Guests and programs are numbered apart: a guest's token is no sign of life of the program with its number."""
    chat = cast.chat().serve()
    guest = chat.guest()
    assert bearer(guest).post("sessions/heartbeat").status_code == 403
    assert [cast.bot_row(name).last_seen_at for name in ("bargain", "faq", "follow_up", "channel")] == [None] * 4
    assert program(cast, "faq").post("sessions/heartbeat").status_code == 204
    assert cast.bot_row("faq").last_seen_at is not None
    assert cast.bot_row("bargain").last_seen_at is None


# --- Pages -------------------------------------------------------------------------------------------------------


def test_pages_hold_each_row_once_while_new_ones_come_in(cast: Cast) -> None:
    chats = [cast.chat() for _ in range(7)]
    ann, seen = agent(cast, "ann"), []
    for page in _pages(ann, "conversations?limit=3"):
        seen += page
        cast.chat()
    assert seen == [str(chat.id) for chat in reversed(chats)]


def test_one_can_turn_back(cast: Cast) -> None:
    for _ in range(5):
        cast.chat()
    ann = agent(cast, "ann")
    first = ann.get("conversations?limit=2").json()
    second = ann.get(first["next"]).json()
    assert ann.get(second["previous"]).json()["results"] == first["results"]
    assert first["previous"] is None


def test_a_thread_is_paged_though_much_was_said_in_one_moment(chat: Chat) -> None:
    moment = chat.row.created_at
    for number in range(7):
        chat.says(f"Word {number}", sent_at=moment)
    pages = list(_pages(agent(chat.cast, "ann"), f"conversations/{chat.id}/messages?limit=3"))
    assert [len(page) for page in pages] == [3, 3, 1]
    assert len({pk for page in pages for pk in page}) == 7


def test_a_thread_is_paged_to_its_end_though_thousands_were_said_in_one_moment(cast: Cast) -> None:
    """A day that a shop hands in without times of day is one moment."""
    lines = [
        {"message_id": f"m{n}", "shop_id": "lamps", "account_id": "li", "sender_type": "customer", "content": f"Word {n}",
         "timestamp": "2026-03-01T00:00:00Z"}
        for n in range(1_300)
    ]  # fmt: skip
    channel = program(cast, "channel")
    for at in range(0, 1_300, 400):
        told = channel.post("batches", {"rows": lines[at : at + 400]}).json()
        assert told["result"]["rejected"] == 0, told
    where = f"conversations/{Conversation.objects.get(account_id='li').pk}/messages?limit=200"
    ann = agent(cast, "ann")
    pages = list(_pages(ann, where))
    assert [len(page) for page in pages] == [200] * 6 + [100]
    assert len({pk for page in pages for pk in page}) == 1_300
    last = ann.get(ann.get(where).json()["next"]).json()
    assert [row["id"] for row in ann.get(last["previous"]).json()["results"]] == pages[0]


@pytest.mark.parametrize("limit", ["0", "-1", "201", "many", "1.5", ""])
def test_a_page_has_1_to_200_rows(cast: Cast, limit: str) -> None:
    answer = agent(cast, "ann").get("conversations", limit=limit)
    assert (answer.status_code, set(answer.json()["errors"])) == (400, {"limit"})


@pytest.mark.parametrize("told", ["nonsense", "", "p=abc", "p=%00", "o=-1", "r=x"])
@pytest.mark.parametrize("path", ["conversations", "agents", "messages"])
def test_a_cursor_that_names_no_place_is_malformed_and_never_an_error_of_ours(chat: Chat, path: str, told: str) -> None:
    chat.says()
    where = f"conversations/{chat.id}/messages" if path == "messages" else path
    cursor = b64encode(told.encode()).decode() if "=" in told else told
    answer = agent(chat.cast, "ann").get(where, cursor=cursor)
    assert answer.status_code in ((200, 400) if path == "agents" else (400,) if told else (200, 400))


# --- Filters -----------------------------------------------------------------------------------------------------


def test_conversations_are_found_by_what_they_are(cast: Cast) -> None:
    served, waiting, quiet = cast.chat().serve(), cast.chat().queue(), cast.chat("li.wei")
    ann = agent(cast, "ann")
    found = {
        "controller=human": [served],
        "controller=human&controller=queue": [waiting, served],
        "owner_kind=agent": [served],
        f"agent_id={cast.ann.id}": [served],
        "mine=true": [served],
        "mine=false": [quiet, waiting],
        "account_id=li.wei": [quiet],
        "account_id=Li.Wei": [],
        "shop_id=shop-1": [quiet, waiting, served],
        "platform=other": [],
        "needs_human=true": [],
    }
    for query, chats in found.items():
        assert _ids(ann, f"conversations?{query}") == [str(chat.id) for chat in chats], query


def test_sessions_transfers_and_flows_are_found_by_what_they_are(cast: Cast) -> None:
    served, waiting = cast.chat().serve(), cast.chat().queue()
    channel = program(cast, "channel")
    channel.post("flows", {"trigger_id": "t-1", "question": "Which?"})
    assert _ids(channel, f"sessions?conversation_id={served.id}") == [str(served.live.pk)]
    assert len(_ids(channel, "sessions?status=TRANSFERRED")) == 2
    assert _ids(channel, "sessions?kind=MANUAL_URGENT") == []
    assert _ids(channel, "transfers?status=PENDING") == [str(waiting.pending.pk)]
    assert len(_ids(channel, "transfers?kind=takeover&kind=escalation")) == 2
    assert len(_ids(channel, "flows?trigger_id=t-1&status=waiting_user_reply")) == 1
    assert _ids(channel, "flows?trigger_id=t-2") == []


@pytest.mark.parametrize(
    "query",
    ["conversations?controller=nobody", "conversations?mine=perhaps", "conversations?agent_id=x", "sessions?status=active",
     "sessions?conversation_id=1e5", "transfers?kind=gift", "flows?status=", "conversations?search=%00"],
)  # fmt: skip
def test_a_filter_that_means_nothing_is_malformed(cast: Cast, query: str) -> None:
    answer = agent(cast, "ann").get(query)
    assert (answer.status_code, answer.json().get("code")) in ((400, "malformed"), (200, None))
    assert answer.status_code == 400 or query == "flows?status="


@pytest.mark.parametrize("name", ["shop_id", "account_id", "platform"])
def test_availability_is_asked_for_a_shop_and_an_account(cast: Cast, name: str) -> None:
    bot = program(cast, "bargain")
    place = {"shop_id": "shop-1", "account_id": "li.wei"}
    assert bot.get("conversations/availability", **place).json()["available"] is True
    chat = cast.chat("li.wei").serve()
    taken = bot.get("conversations/availability", **place).json()
    assert (taken["available"], taken["conflicting_session_id"], taken["owner_name"]) == (
        False,
        str(chat.live.pk),
        "Ann",
    )
    assert bot.get("conversations/availability", **place | {name: "\x00"}).status_code == 400


# --- Cost --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["conversations", "sessions", "transfers", "flows", "agents", "teams", "thread"])
def test_a_list_costs_the_same_however_long_it_is(cast: Cast, path: str) -> None:
    chat = cast.chat().serve()
    ann = agent(cast, "ann")
    where = f"conversations/{chat.id}/timeline" if path == "thread" else path

    def cost() -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert ann.get(where).status_code == 200
        return len(queries)

    def more(number: int) -> None:
        cast.chat().serve() if number % 2 else cast.chat().queue()
        cast.hire(f"extra-{number}")
        cast.team(f"team-{number}", "ann", "ben")
        chat.says()
        program(cast, "channel").post("flows", {"trigger_id": f"t-{number}", "question": "Which?"})

    more(0)
    before = cost()
    for number in range(1, 5):
        more(number)
    assert cost() == before
