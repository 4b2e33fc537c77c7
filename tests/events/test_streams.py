"""SSE and WebSocket as ASGI calls them: the same pages, from now or from a cursor, until somebody may not stay."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from threading import Event
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client

from agents_app.actors import Actor, ActorKind, agent_actor, client_actor, customer_actor
from agents_app.connections import credential
from agents_app.connections.registry import Close
from agents_app.credentials.secrets import issue_key
from agents_app.credentials.tokens import issue_token
from agents_app.models import Agent, ApiClient, Tenant
from messaging_app import follow, live, relay
from messaging_app.live import Hub
from messaging_app.thread import NewMessage
from sessions_app.actions import inbound, lifecycle, participants, presence
from sessions_app.api import streams
from sessions_app.core.locked_conversation import Outcome
from sessions_app.events import subscription
from tests.events.conftest import socket, stream
from tests.patience import PATIENCE, comes_true

pytestmark = pytest.mark.asyncio


class Shop:
    """What the tests act with. `says` and the others run in threads, with real commits."""

    def __init__(self) -> None:
        self.tenant = Tenant.objects.create(slug="shop", name="Shop")
        self.row = ApiClient.objects.create(tenant=self.tenant, name="channel", kind="integrator")
        self.secret = issue_key(self.row)
        user = get_user_model().objects.create_user("ann", password="demo")
        agent = Agent.objects.create(tenant=self.tenant, user=user, name="Ann", role="supervisor", max_load=99)
        self.ann = agent_actor(agent)
        self.browser = Client()
        self.browser.force_login(user)
        self.cookie = f"sessionid={self.browser.session.session_key}"
        self.conversation_id = self._says("first").conversation_id

    def _says(self, text: str, account: str = "customer") -> Outcome:
        said = inbound.receive_message(
            actor=client_actor(self.row), words=NewMessage(content=text), shop_id="shop", account_id=account
        )
        relay.stamp_all()
        return said

    async def says(self, text: str, account: str = "customer") -> Outcome:
        return await asyncio.to_thread(closing, self._says, text, account)

    async def declares(self, word: str) -> None:
        def declare() -> None:
            presence.declare_availability(actor=self.ann, availability=word)
            relay.stamp_all()

        await asyncio.to_thread(closing, declare)

    async def ticket(self, **by: Any) -> str:
        holder = await asyncio.to_thread(closing, lambda: credential.authenticate(**(by or self.bearer)))
        assert holder
        return await asyncio.to_thread(closing, credential.issue_ticket, holder)

    @property
    def bearer(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.secret}"}

    async def guest(self) -> Actor:
        def join() -> Actor:
            lifecycle.open_session(actor=self.ann, conversation_id=self.conversation_id, robot=False)
            invited = participants.invite_participant(actor=self.ann, conversation_id=self.conversation_id, name="Gus")
            joined = participants.join(tenant_id=self.tenant.pk, token=invited.token)
            return Actor(
                kind=ActorKind.PARTICIPANT,
                tenant_id=self.tenant.pk,
                id=joined.participant_id,
                conversation_id=self.conversation_id,
            )

        return await asyncio.to_thread(closing, join)


def closing(work: Callable[..., Any], *arguments: Any) -> Any:
    """Run in a thread that leaves no connection behind."""
    try:
        return work(*arguments)
    finally:
        connection.close()


@pytest.fixture
def shop(transactional_db: None) -> Shop:
    return Shop()


def content(event: Any) -> str:
    return str(event["message"]["content"])


# --- Server-sent events ------------------------------------------------------------------------------------------


async def test_a_stream_begins_now_tells_its_cursor_and_goes_on(hub: Hub, shop: Shop) -> None:
    async with stream(shop.secret) as client:
        assert client.status == 200
        assert client.headers["content-type"] == "text/event-stream"
        assert await client.block() == {"retry": "1000", "id": "1"}
        await shop.says("second")
        block = await client.block()
        assert (block["id"], block["event"]) == ("2", "message.created")
        assert content(json.loads(block["data"])) == "second"


@pytest.mark.parametrize("by", [{"after": "0"}, {"last_event_id": "0"}, {"after": "1", "last_event_id": "0"}])
async def test_a_stream_goes_on_from_the_cursor(hub: Hub, shop: Shop, by: dict[str, str]) -> None:
    await shop.says("second")
    async with stream(shop.secret, **by) as client:
        assert [content(await client.event()) for _ in range(2)] == ["first", "second"]


async def test_a_cursor_that_is_no_good_is_reset_to_now_and_the_stream_goes_on(hub: Hub, shop: Shop) -> None:
    async with stream(shop.secret, last_event_id="99") as client:
        assert await client.block() == {"retry": "1000", "id": "1", "event": "reset", "data": '{"cursor":"1"}'}
        await shop.says("second")
        assert content(await client.event()) == "second"


async def test_a_quiet_stream_has_a_heart_and_takes_the_cursor_along(hub: Hub, shop: Shop, settings: Any) -> None:
    settings.EVENT_HEARTBEAT = 0.2
    async with stream(shop.secret, types="session.*") as client:
        await client.block()
        await shop.says("not asked for")
        block = await client.block()
        while block["id"] == "1":
            block = await client.block()
        assert block == {"": "heartbeat", "id": "2"}


async def test_an_event_in_a_stream_is_the_one_that_polling_gives(hub: Hub, shop: Shop) -> None:
    def poll() -> Any:
        headers = {"Authorization": f"Bearer {shop.secret}"}
        return Client().get("/api/v1/events?after=0", headers=headers).json()["events"]

    async with stream(shop.secret, after=0) as client:
        assert [await client.event()] == await asyncio.to_thread(closing, poll)


async def test_an_agent_follows_by_the_login(hub: Hub, shop: Shop) -> None:
    async with stream(cookie=shop.cookie, after=0) as client:
        assert content(await client.event()) == "first"


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        ({}, 401, "not_authenticated"),
        ({"secret": "tdm_12345678_nothing"}, 401, "not_authenticated"),
        ({"secret": "mine", "after": "x"}, 400, "malformed"),
        ({"secret": "mine", "conversation": "4711"}, 404, "not_found"),
    ],
)
async def test_a_stream_that_is_refused_is_a_problem_in_words(
    hub: Hub, shop: Shop, request_: dict[str, str], status: int, code: str
) -> None:
    if request_.get("secret") == "mine":
        request_ = request_ | {"secret": shop.secret}
    async with stream(**request_) as client:
        assert (client.status, client.headers["content-type"]) == (status, "application/problem+json")
        assert (await client.problem())["code"] == code


async def test_a_page_of_another_origin_follows_where_the_tenant_allows_it(hub: Hub, shop: Shop) -> None:
    """A stream does not come through Django's middleware (A9)."""

    def allow() -> None:
        shop.tenant.allowed_origins = "https://shop.example"
        shop.tenant.save()

    async def read_by(secret: str, origin: str = "https://shop.example", cookie: str = "") -> tuple[int, str | None]:
        async with stream(secret, origin=origin, cookie=cookie) as client:
            assert client.headers["vary"] == "Origin"
            assert "access-control-allow-credentials" not in client.headers
            return client.status, client.headers.get("access-control-allow-origin")

    assert await read_by(shop.secret) == (200, None)
    await asyncio.to_thread(closing, allow)
    assert await read_by(shop.secret) == (200, "https://shop.example")
    assert await read_by(shop.secret, "https://elsewhere.example") == (200, None)
    assert await read_by("tdm_ended") == (401, "https://shop.example")
    assert await read_by("", cookie=shop.cookie) == (200, None)


async def test_an_address_asked_for_as_json_is_djangos(hub: Hub, shop: Shop) -> None:
    scope = {"type": "http", "method": "GET", "path": "/api/v1/events", "headers": [(b"accept", b"*/*")]}
    assert not streams.is_stream(scope)
    assert streams.is_stream(scope | {"headers": [(b"accept", b"text/event-stream, */*")]})
    assert not streams.is_stream(scope | {"method": "POST", "headers": [(b"accept", b"text/event-stream")]})


@pytest.mark.parametrize(
    ("accept", "is_stream"),
    [
        ("text/event-stream", True),
        ("TEXT/EVENT-STREAM", True),
        ("text/event-stream;charset=utf-8", True),
        ("text/*", True),
        ("text/event-stream, application/problem+json", True),
        ("text/event-stream, application/json", True),  # as much wanted, and named first
        ("application/json, text/event-stream", False),
        ("application/json;q=0.5, text/event-stream", True),
        ("application/json, text/event-stream;q=0.1", False),
        ("application/json;Q=0.1, text/event-stream;Q=0.5", True),
        ("text/event-stream;q=0.5, */*", False),
        ("text/event-stream;q=0.5, */*;q=0.1", True),
        ("text/event-stream;q=0", False),
        ("text/event-stream;q=0, application/json", False),
        ("text/event-stream;q=0, text/*", False),
        ("application/json;q=0, */*", True),
        ("application/json;q=0, text/event-stream;q=0", False),
        ("text/event-stream-of-others", False),
        ("", False),
        ("text/event-stream;" + "a" * 12_000, False),
        (",;=/q", False),
    ],
)
async def test_accept_is_read_by_the_rules(accept: str, is_stream: bool) -> None:
    scope = {"type": "http", "method": "GET", "path": "/api/v1/events", "headers": [(b"accept", accept.encode())]}
    assert streams.is_stream(scope) is is_stream


async def test_an_agents_presence_comes_in_its_place_among_what_is_said(hub: Hub, shop: Shop) -> None:
    async with stream(shop.secret) as client:
        await client.block()
        await shop.declares("busy")
        await shop.says("second")
        await shop.declares("available")
        told = [await client.event() for _ in range(3)]
    assert [(event["pos"], event["type"]) for event in told] == [
        (2, "agent.presence"),
        (3, "message.created"),
        (4, "agent.presence"),
    ]
    assert [event["conversation_id"] for event in told] == [None, str(shop.conversation_id), None]
    assert [told[place]["data"]["availability"] for place in (0, 2)] == ["busy", "available"]


async def test_a_stream_of_one_conversation_has_nothing_of_presence(hub: Hub, shop: Shop) -> None:
    """Neither for a customer's token nor for a program that asks for one conversation."""
    customer = customer_actor(shop.tenant, shop.conversation_id)
    secret = await asyncio.to_thread(closing, issue_token, customer)
    async with stream(secret) as theirs, stream(shop.secret, conversation=shop.conversation_id) as asked:
        for client in (theirs, asked):
            await client.block()
        await shop.declares("busy")
        await shop.says("second")
        assert [content(await client.event()) for client in (theirs, asked)] == ["second", "second"]


# --- WebSocket ---------------------------------------------------------------------------------------------------


async def test_a_socket_with_a_ticket_says_hello_and_tells_events(hub: Hub, shop: Shop) -> None:
    async with socket(ticket=await shop.ticket()) as client:
        assert await client.frame() == {"type": "hello", "cursor": "1"}
        await shop.says("second")
        frame = await client.frame()
        assert (frame["type"], frame["cursor"], content(frame["event"])) == ("event", "2", "second")
        await client.say('{"type": "ping"}')
        assert await client.frame() == {"type": "pong"}


async def test_a_socket_goes_on_from_the_cursor_with_what_was_asked_for(hub: Hub, shop: Shop) -> None:
    await shop.says("somebody else", account="another")
    async with socket(ticket=await shop.ticket(), after=0, conversation=shop.conversation_id) as client:
        await client.frame()
        assert content((await client.frame())["event"]) == "first"
        await shop.says("somebody else again", account="another")
        await shop.says("second")
        assert content((await client.frame())["event"]) == "second"


async def test_a_socket_is_told_of_presence_at_once(hub: Hub, shop: Shop) -> None:
    async with socket(ticket=await shop.ticket(), types="agent.*") as client:
        await client.frame()
        await shop.says("not asked for")
        await shop.declares("busy")
        frame = await client.frame()
    assert (frame["cursor"], frame["event"]["type"]) == ("3", "agent.presence")
    assert frame["event"]["data"]["before"] is None


async def test_a_socket_is_told_of_a_reset(hub: Hub, shop: Shop) -> None:
    async with socket(ticket=await shop.ticket(), after=99) as client:
        assert [await client.frame() for _ in range(2)] == [
            {"type": "hello", "cursor": "1"},
            {"type": "reset", "cursor": "1"},
        ]


async def test_a_quiet_socket_has_a_heart(hub: Hub, shop: Shop, settings: Any) -> None:
    settings.EVENT_HEARTBEAT = 0.1
    async with socket(ticket=await shop.ticket()) as client:
        await client.frame()
        assert await client.frame() == {"type": "heartbeat", "cursor": "1"}


async def test_a_ticket_opens_one_socket(hub: Hub, shop: Shop) -> None:
    ticket = await shop.ticket()
    async with socket(ticket=ticket) as client:
        await client.frame()
        async with socket(ticket=ticket) as second:
            assert await second.frame() == {"closed": Close.NOT_AUTHENTICATED}


async def test_a_login_opens_a_socket_from_our_own_pages_only(hub: Hub, shop: Shop) -> None:
    async with socket(cookie=shop.cookie, origin="http://localhost") as client:
        assert (await client.frame())["type"] == "hello"
    for origin, code in (("https://evil.example", Close.FORBIDDEN), ("", Close.NOT_AUTHENTICATED)):
        async with socket(cookie=shop.cookie, origin=origin) as client:
            assert await client.frame() == {"closed": code}


async def test_a_login_does_not_come_along_with_a_ticket_that_is_no_good(hub: Hub, shop: Shop) -> None:
    async with socket(cookie=shop.cookie, origin="https://evil.example", ticket="made-up") as client:
        assert await client.frame() == {"closed": Close.NOT_AUTHENTICATED}


@pytest.mark.parametrize(
    ("query", "code"), [({"after": "x"}, Close.MALFORMED), ({"conversation": 4711}, Close.NOT_FOUND)]
)
async def test_a_socket_that_is_refused_is_closed_with_a_code(
    hub: Hub, shop: Shop, query: dict[str, Any], code: int
) -> None:
    async with socket(ticket=await shop.ticket(), **query) as client:
        assert await client.frame() == {"closed": code}


# --- Until somebody may not stay ---------------------------------------------------------------------------------


async def test_a_new_key_closes_sockets_and_streams_of_the_old_one_and_no_others(hub: Hub, shop: Shop) -> None:
    async with (
        stream(shop.secret) as events,
        socket(ticket=await shop.ticket()) as frames,
        socket(cookie=shop.cookie, origin="http://localhost") as another,
    ):
        await events.block()
        assert (await frames.frame())["type"] == (await another.frame())["type"] == "hello"
        await asyncio.to_thread(closing, issue_key, shop.row)
        assert await frames.frame() == {"closed": Close.NOT_AUTHENTICATED}
        assert await events.block() == {}
        await shop.says("second")
        assert content((await another.frame())["event"]) == "second"


async def test_whoever_logs_out_hears_nothing_more(hub: Hub, shop: Shop) -> None:
    async with socket(cookie=shop.cookie, origin="http://localhost") as client, stream(cookie=shop.cookie) as events:
        await client.frame()
        await events.block()
        await asyncio.to_thread(closing, shop.browser.logout)
        assert await client.frame() == {"closed": Close.NOT_AUTHENTICATED}
        assert await events.block() == {}


async def test_a_participant_who_is_removed_hears_nothing_more_not_even_that(hub: Hub, shop: Shop) -> None:
    gus = await shop.guest()
    async with stream(issue_token(gus)) as client:
        await client.block()
        await asyncio.to_thread(
            closing,
            lambda: participants.remove_participant(
                actor=shop.ann, conversation_id=shop.conversation_id, participant_id=gus.pk
            ),
        )
        assert await client.block() == {}


async def test_a_customers_stream_is_woken_by_its_own_conversation_only(hub: Hub, shop: Shop) -> None:
    rung: list[int] = []
    customer = customer_actor(shop.tenant, shop.conversation_id)
    async with stream(issue_token(customer), after=0) as client:
        assert content(await client.event()) == "first"
        (waiter,) = hub._followers[shop.tenant.pk, shop.conversation_id]
        await comes_true(lambda: waiter._seen >= 1)  # the hub has taken its first look
        async with hub.following(shop.tenant.pk) as everything:
            everything.clear()
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(waiter, "notify", lambda: rung.append(1))
                await shop.says("somebody else", account="another")
                assert await everything.wait(PATIENCE)  # the same hint has reached every waiter that it is for
        assert rung == []
        await shop.says("second")
        assert content(await client.event()) == "second"


async def test_a_lost_hint_costs_a_second_and_nothing_else(hub: Hub, shop: Shop) -> None:
    for secret in (shop.secret, issue_token(customer_actor(shop.tenant, shop.conversation_id))):
        async with stream(secret) as client:
            await client.block()
            loop, hub._loop = hub._loop, None  # the hint is lost on its way
            await shop.says("quietly")
            hub._loop = loop
            assert content(await client.event()) == "quietly"


async def test_who_does_not_read_is_closed(hub: Hub, shop: Shop, settings: Any) -> None:
    settings.EVENT_PATIENCE = 0.1
    sent: list[dict[str, Any]] = []
    incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    incoming.put_nowait({"type": "websocket.connect"})

    async def send(message: Any) -> None:
        sent.append(message)
        if message["type"] == "websocket.send" and "event" in message["text"]:
            await asyncio.Event().wait()  # the buffer is full and stays so

    ticket = await shop.ticket()
    scope = {"type": "websocket", "path": "", "headers": [], "query_string": f"ticket={ticket}&after=0".encode()}
    await asyncio.wait_for(streams.event_socket(scope, incoming.get, send), PATIENCE)
    assert (sent[-1]["type"], sent[-1]["code"]) == ("websocket.close", Close.NOT_READING)


async def test_nothing_is_left_behind_when_all_have_gone(hub: Hub, shop: Shop) -> None:
    async with stream(shop.secret), socket(ticket=await shop.ticket()) as client:
        await client.frame()
        assert hub._followers
    assert not hub._followers
    assert not follow._looks


# --- Looking together --------------------------------------------------------------------------------------------


async def test_those_who_read_alike_look_once_and_who_comes_later_looks_again(hub: Hub, shop: Shop) -> None:
    looks: list[int] = []

    def read(after: int) -> follow.Page:
        looks.append(after)
        return subscription.read(client_actor(shop.row), subscription.Subscription(), after)

    pages = await asyncio.gather(*(follow._shared(read, 0, "all") for _ in range(50)))
    assert len(looks) == 1
    assert all(page is pages[0] for page in pages)
    await follow._shared(read, 0, "all")
    await asyncio.gather(follow._shared(read, 0, "all"), follow._shared(read, 1, "all"), follow._shared(read, 0, "few"))
    assert looks == [0, 0, 0, 1, 0]


async def test_a_look_that_has_begun_is_not_joined_because_it_may_have_missed_the_news(hub: Hub, shop: Shop) -> None:
    begun, go_on = Event(), Event()
    looks: list[int] = []

    def read(after: int) -> follow.Page:
        looks.append(after)
        begun.set()
        go_on.wait(PATIENCE)
        return follow.Page([], after, False)

    first = asyncio.create_task(follow._shared(read, 0, "all"))
    await asyncio.to_thread(begun.wait, PATIENCE)
    second = asyncio.create_task(follow._shared(read, 0, "all"))
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(first, second)
    assert looks == [0, 0]


async def test_a_database_that_is_away_for_a_moment_ends_no_stream(
    hub: Hub, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db import OperationalError

    read, failures = subscription.read, 1

    def sometimes(*arguments: Any) -> follow.Page:
        nonlocal failures
        if failures:
            failures -= 1
            raise OperationalError("gone away")
        return read(*arguments)

    monkeypatch.setattr(subscription, "read", sometimes)
    async with stream(shop.secret, after=0) as client:
        assert content(await client.event()) == "first"


async def test_the_bells_look_costs_two_queries_for_all(hub: Hub, shop: Shop, django_assert_num_queries: Any) -> None:
    def look() -> dict[Any, int]:
        with django_assert_num_queries(2):
            return live._numbers([(shop.tenant.pk, None), (shop.tenant.pk, shop.conversation_id)])

    numbers = await sync_to_async(look)()
    assert numbers == {(shop.tenant.pk, None): 1, (shop.tenant.pk, shop.conversation_id): 1}
