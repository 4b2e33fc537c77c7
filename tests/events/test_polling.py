"""GET /api/v1/events: a page behind a cursor, what was asked for, and clear words about a cursor that is no good."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from agents_app.models import ApiClient
from messaging_app.models import Operation
from tests.cast import Cast, Chat, Later

ADDRESS = "/api/v1/events"


@pytest.fixture
def ask(cast: Cast, key: Callable[[str], str]) -> Callable[..., Any]:
    """Ask as the channel's integrator."""
    client, secret = Client(), key("channel")

    def get(status: int = 200, *, last_event_id: str = "", **query: Any) -> Any:
        headers = {"Authorization": f"Bearer {secret}"} | ({"Last-Event-ID": last_event_id} if last_event_id else {})
        answer = client.get(ADDRESS, query, headers=headers)
        assert answer.status_code == status, answer.content
        return answer.json()

    return get


def test_without_a_cursor_it_begins_now_and_the_answer_says_where_that_is(
    chat: Chat, ask: Callable[..., Any], stamped: Callable[[], None]
) -> None:
    chat.says("before")
    now = ask()
    assert now["events"] == []
    assert now["has_more"] is False
    chat.says("after")
    page = ask(after=now["cursor"])
    assert [event["message"]["content"] for event in page["events"]] == ["after"]
    assert ask(after=page["cursor"])["events"] == []


def test_what_is_committed_is_there_at_once_without_a_relay(chat: Chat, ask: Callable[..., Any]) -> None:
    start = ask()["cursor"]
    chat.says()
    assert len(ask(after=start)["events"]) == 1
    assert not Operation.objects.filter(pos=None).exists()


def test_page_by_page_every_event_comes_once_in_order(cast: Cast, ask: Callable[..., Any]) -> None:
    chats = [cast.chat() for _ in range(3)]
    for number in range(4):
        for chat in chats:
            chat.says(f"{number}")
    cursor, seen, has_more = "0", [], True
    while has_more:
        page = ask(after=cursor, limit=5)
        assert len(page["events"]) <= 5
        seen += [event["pos"] for event in page["events"]]
        cursor, has_more = page["cursor"], page["has_more"]
    assert seen == list(Operation.objects.filter(tenant=cast.tenant).order_by("pos").values_list("pos", flat=True))
    assert len(seen) >= 12


def test_a_page_that_ends_where_the_stream_ends_has_no_more(chat: Chat, ask: Callable[..., Any]) -> None:
    chat.says("one")
    chat.says("two")
    assert [ask(after=0, limit=limit)["has_more"] for limit in (1, 2, 3)] == [True, False, False]


def test_an_event_says_what_happened_to_whom(chat: Chat, ask: Callable[..., Any]) -> None:
    chat.robot()
    said = chat.says("Is it still available?", "m-1")
    opened, message = ask(after=0)["events"][:2]
    assert opened["type"] == "session.opened"
    assert (opened["tenant"], opened["conversation_id"], opened["session_id"]) == (
        chat.cast.tenant.slug,
        str(chat.id),
        str(chat.live.pk),
    )
    assert opened["actor"] == {"kind": "bot", "id": str(chat.cast.bargain.id), "name": "bargain"}
    assert (opened["seq"], opened["pos"], opened["id"]) == (1, 1, f"evt_{chat.cast.tenant.pk}_1")
    assert "message" not in opened
    assert message["message"]["content"] == "Is it still available?"
    assert message["message"]["message_id"] == said.message_id == "m-1"
    assert message["message"]["sender_type"] == "customer"


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        ("message.created", {"message.created"}),
        ("session.*", {"session.opened"}),
        ("message.created, session.opened", {"message.created", "session.opened"}),
        ("transfer.requested", set()),
    ],
)
def test_only_the_types_asked_for_come_and_the_cursor_goes_past_the_rest(
    chat: Chat, ask: Callable[..., Any], types: str, expected: set[str]
) -> None:
    chat.robot()
    chat.says()
    page = ask(after=0, types=types)
    assert {event["type"] for event in page["events"]} == expected
    assert page["cursor"] == ask(after=0)["cursor"]


def test_one_conversation_only(cast: Cast, ask: Callable[..., Any]) -> None:
    chat, other = cast.chat(), cast.chat()
    chat.says()
    other.says()
    page = ask(after=0, conversation=chat.id)
    assert [event["conversation_id"] for event in page["events"]] == [str(chat.id)]
    assert page["cursor"] == ask(after=0)["cursor"]


def test_the_header_of_a_stream_wins_over_the_parameter(chat: Chat, ask: Callable[..., Any]) -> None:
    chat.says("one")
    chat.says("two")
    assert [e["message"]["content"] for e in ask(after=0, last_event_id="1")["events"]] == ["two"]


@pytest.mark.parametrize(
    "query",
    [
        {"after": "x"}, {"after": "-1"}, {"after": "1" * 19}, {"limit": 0}, {"limit": 501}, {"limit": "many"},
        {"types": "message.creatde"}, {"types": "nothing.*"}, {"conversation": "x"},
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_malformed(chat: Chat, ask: Callable[..., Any], query: dict[str, Any]) -> None:
    assert ask(400, **query)["code"] == "malformed"


def test_another_tenants_conversation_is_not_found_like_one_that_never_was(
    chat: Chat, others: Cast, ask: Callable[..., Any]
) -> None:
    theirs = ask(404, conversation=others.chat().id)
    assert theirs == ask(404, conversation=10**17)


def test_a_cursor_older_than_what_is_kept_is_gone_and_the_answer_says_where_to_go_on(
    chat: Chat, ask: Callable[..., Any], later: Later, settings: Any
) -> None:
    chat.says("long ago")
    later(settings.EVENT_RETENTION + 1)
    chat.says("now")
    gone = ask(410, after=0)
    assert gone["code"] == "cursor_gone"
    assert gone["cursor"] == "3"  # that somebody waits was told before it
    told = [event for event in ask(after=1)["events"] if event["type"] == "message.created"]
    assert [event["message"]["content"] for event in told] == ["now"]


def test_a_cursor_at_the_head_never_grows_old(chat: Chat, ask: Callable[..., Any], later: Later, settings: Any) -> None:
    chat.says()
    later(settings.EVENT_RETENTION * 2)
    assert ask(after=1)["events"] == []


def test_a_cursor_ahead_of_the_stream_is_none_of_ours(chat: Chat, ask: Callable[..., Any]) -> None:
    chat.says()
    assert ask(410, after=77)["cursor"] == "1"


def test_a_key_needs_the_scope(cast: Cast, key: Callable[[str], str]) -> None:
    secret = key("channel")
    ApiClient.objects.filter(name="channel").update(scopes=["messages:write"])
    answer = Client().get(ADDRESS, headers={"Authorization": f"Bearer {secret}"})
    assert (answer.status_code, answer.json()["scope"]) == (403, "events:read")


def test_nobody_is_told_nothing(cast: Cast) -> None:
    assert Client().get(ADDRESS).status_code == 401


def test_where_no_stream_is_served_asking_for_one_is_refused_in_words(cast: Cast, key: Callable[[str], str]) -> None:
    """By WSGI: the streams are ASGI's."""
    headers = {"Authorization": f"Bearer {key('channel')}", "Accept": "text/event-stream"}
    answer = Client().get(ADDRESS, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")


def test_the_document_of_all_events_is_served(db: None) -> None:
    answer = Client().get("/api/v1/asyncapi.yaml")
    assert answer.status_code == 200
    assert b"".join(answer).startswith(b"# Made from")


@pytest.mark.skipif(connection.vendor == "sqlite", reason="positions are given at once there")
def test_what_lies_beyond_one_look_comes_with_the_next(
    chat: Chat, ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from messaging_app import follow

    monkeypatch.setattr(follow.relay, "BATCH", 2)  # type: ignore[attr-defined]
    monkeypatch.setattr(follow, "STAMPED_AT_ONCE", 1)
    for number in range(5):
        chat.says(f"{number}")
    cursor, seen, has_more = "0", 0, True
    while has_more:
        page = ask(after=cursor)
        seen += len(page["events"])
        cursor, has_more = page["cursor"], page["has_more"]
    assert seen == 5


def test_a_look_goes_through_a_window_only(
    chat: Chat, ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sessions_app.events import subscription

    monkeypatch.setattr(subscription, "WINDOW", 2)
    for number in range(5):
        chat.says(f"{number}")
    chat.robot()
    page = ask(after=0, types="session.opened")
    assert (page["events"], page["cursor"], page["has_more"]) == ([], "2", True)
    assert ask(after=4, types="session.opened")["events"]
