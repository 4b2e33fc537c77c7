"""Who looks at a conversation and who types in it is told over the sockets, to those whom it concerns, and kept nowhere."""

from __future__ import annotations

import json
import os
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.test import Client

from agents_app.actors import agent_actor
from messaging_app import live, presence_signals
from messaging_app.models import Conversation, Operation
from messaging_app.presence_signals import GONE, LOOKS, NOTES, REPLIES, PresenceSignal, PresenceSignals
from sessions_app.actions import participants, takeovers
from sessions_app.queries import TRY_IT
from tests.events.conftest import Socket, hub, socket
from tests.joined.conftest import Guest
from tests.patience import heard_at_last
from tests.workbench.conftest import Desk

__all__ = ["hub"]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("redis")]
REDIS = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/0")


def cookie(client: Client) -> str:
    return f"sessionid={client.cookies['sessionid'].value}"


def desk_socket(client: Client) -> AbstractAsyncContextManager[Socket]:
    return socket(cookie(client), "http://localhost", "/ws/desk/")


async def gives(line: Socket, at: object, does: object) -> None:
    await line.say(json.dumps({"at": at, "does": does}))


async def sign(line: Socket) -> dict[str, Any]:
    """The next sign; hints, which come when a look at the stream finds something, are passed over."""
    while True:
        if found := (frame := await line.frame()).get("sign"):
            return dict(found)
        assert "closed" not in frame


async def hears_nothing(line: Socket) -> None:
    """What was sent before the answer to a ping would have come before it."""
    await line.say("ping")
    while (frame := await line.frame()) != {"pong": True}:
        assert "sign" not in frame


async def comes(line: Socket, at: object) -> None:
    """Look at a conversation, and be there: who comes meanwhile may be told twice, as known already and as new."""
    await gives(line, at, LOOKS)
    await hears_nothing(line)


def playing(conversation: Conversation) -> Client:
    """A browser whose visitor plays the customer of a conversation."""
    client = Client()
    session = client.session
    session[TRY_IT] = {"account_id": conversation.account_id, "conversation_id": conversation.pk}
    session.save()
    client.cookies["sessionid"] = session.session_key or ""
    return client


def told(conversation: Conversation, who: str, name: str, does: str) -> dict[str, Any]:
    return {"conversation": conversation.pk, "who": who, "name": name, "does": does}


async def test_who_comes_to_a_conversation_sees_who_is_there_and_is_seen(
    hub: live.Hub, desk: Desk, maya: Client, jun: Client
) -> None:
    conversation = await sync_to_async(desk.queued)()
    jun_is, maya_is = (f"agent:{desk.agents[name].pk}" for name in ("jun", "maya"))
    async with desk_socket(maya) as first, desk_socket(jun) as second:
        await comes(first, conversation.pk)
        await gives(second, conversation.pk, LOOKS)
        assert await sign(second) == told(conversation, maya_is, "Maya", LOOKS)
        assert await sign(first) == told(conversation, jun_is, "Jun", LOOKS)
        await gives(second, conversation.pk, NOTES)
        assert await sign(first) == told(conversation, jun_is, "Jun", NOTES)
        await gives(second, None, GONE)
        assert await sign(first) == told(conversation, jun_is, "Jun", GONE)


async def test_whoever_closes_the_page_is_gone(hub: live.Hub, desk: Desk, maya: Client, jun: Client) -> None:
    conversation = await sync_to_async(desk.queued)()
    async with desk_socket(maya) as first:
        await comes(first, conversation.pk)
        async with desk_socket(jun) as second:
            await gives(second, conversation.pk, LOOKS)
            assert (await sign(first))["does"] == LOOKS
        assert (await sign(first))["does"] == GONE


async def test_who_is_elsewhere_hears_the_customer_and_no_colleague(
    hub: live.Hub, desk: Desk, maya: Client, jun: Client
) -> None:
    conversation = await sync_to_async(desk.queued)()
    customer = await sync_to_async(playing)(conversation)
    async with (
        desk_socket(maya) as elsewhere,
        desk_socket(jun) as there,
        socket(cookie(customer), "http://localhost", "/ws/try-it/") as shopper,
    ):
        await elsewhere.say("ping")
        await gives(there, conversation.pk, REPLIES)
        await hears_nothing(elsewhere)
        await shopper.say('{"does": "replies"}')
        assert await sign(elsewhere) == told(conversation, "customer", "", REPLIES)


async def test_the_customer_hears_of_replies_and_neither_of_notes_nor_of_looks(
    hub: live.Hub, desk: Desk, maya: Client
) -> None:
    conversation = await sync_to_async(desk.queued)()
    customer = await sync_to_async(playing)(conversation)
    async with desk_socket(maya) as agent, socket(cookie(customer), "http://localhost", "/ws/try-it/") as shopper:
        for secret in (LOOKS, NOTES):
            await gives(agent, conversation.pk, secret)
        await hears_nothing(agent)  # what it gave has been told to whom it may concern
        await hears_nothing(shopper)
        for said, heard in ((REPLIES, REPLIES), (LOOKS, GONE)):
            await gives(agent, conversation.pk, said)
            assert (await sign(shopper))["does"] == heard
        await gives(agent, conversation.pk, NOTES)
        await hears_nothing(agent)
        await hears_nothing(shopper)


async def test_a_participant_is_seen_typing_and_sees_who_replies(
    hub: live.Hub, desk: Desk, maya: Client, jun: Client
) -> None:
    def invite(conversation: Conversation) -> Guest:
        actor = agent_actor(desk.agents["maya"])
        takeovers.take_over(actor=actor, conversation_id=conversation.pk, reason="asked for")
        return Guest(participants.invite_participant(actor=actor, conversation_id=conversation.pk, name="Gus"))

    conversation = await sync_to_async(desk.with_bot)()
    guest = await sync_to_async(invite)(conversation)
    async with (
        desk_socket(maya) as agent,
        socket(guest.cookie, "http://localhost", f"/ws/joined/{guest.pk}/") as visitor,
    ):
        await gives(agent, conversation.pk, REPLIES)
        assert (await sign(visitor))["name"] == "Maya"
        await visitor.say('{"does": "replies", "at": 1}')
        assert await sign(agent) == told(conversation, f"participant:{guest.pk}", "Gus", REPLIES)
        await visitor.say('{"does": "looks"}')  # not a guest's to give
        await hears_nothing(agent)


async def test_another_shop_hears_nothing_and_is_not_let_in(hub: live.Hub, desk: Desk, maya: Client) -> None:
    def abroad() -> Client:
        other = Desk("abroad")
        other.hire("eve")
        return other.browser("eve")

    conversation = await sync_to_async(desk.queued)()
    eve = await sync_to_async(abroad)()
    async with desk_socket(maya) as own, desk_socket(eve) as other:
        await gives(own, conversation.pk, LOOKS)
        await gives(other, conversation.pk, LOOKS)
        await gives(own, conversation.pk, REPLIES)
        await hears_nothing(own)  # what it gave has been told to whom it may concern
        await hears_nothing(other)
        await hears_nothing(own)


@pytest.mark.parametrize(
    "nonsense",
    [
        "",
        "{",
        "[]",
        "7",
        '{"does": 3}',
        '{"does": ["looks"]}',
        '{"at": "1", "does": "looks"}',
        f'{{"at": {10**30}, "does": "looks"}}',
        "[" * 100_000,
    ],
)
async def test_nonsense_is_dropped_and_the_socket_lives(hub: live.Hub, desk: Desk, maya: Client, nonsense: str) -> None:
    async with desk_socket(maya) as line:
        await line.say(nonsense)
        await hears_nothing(line)


async def test_nothing_of_it_is_kept(hub: live.Hub, desk: Desk, maya: Client, jun: Client) -> None:
    conversation = await sync_to_async(desk.queued)()
    before = await Operation.objects.filter(conversation=conversation).acount()
    async with desk_socket(maya) as first, desk_socket(jun) as second:
        await comes(first, conversation.pk)
        await gives(second, conversation.pk, REPLIES)
        assert (await sign(first))["does"] == REPLIES
    assert await Operation.objects.filter(conversation=conversation).acount() == before


async def test_what_is_not_told_again_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(presence_signals, "monotonic", lambda: now)
    board = PresenceSignals()
    for does, who in ((LOOKS, "agent:1"), (REPLIES, "agent:2")):
        board.put(PresenceSignal(1, 7, who, who, does))
    now += presence_signals.COUNTS_FOR[REPLIES]
    assert [one.who for one in board.of(1, 7)] == ["agent:1"]
    now += presence_signals.COUNTS_FOR[LOOKS]
    board.forget()
    assert not board._known


async def test_a_reader_that_does_not_keep_up_misses_some_and_holds_up_nobody() -> None:
    board = PresenceSignals()
    with board.reading(1) as slow:
        for number in range(3 * presence_signals.BEHIND_MOST):
            board.put(PresenceSignal(1, number, "customer", "", REPLIES))
        assert slow.qsize() == presence_signals.BEHIND_MOST


@pytest.mark.services
async def test_over_redis_a_sign_reaches_the_desks_of_another_process(
    hub: live.Hub, desk: Desk, maya: Client, jun: Client, settings: Any
) -> None:
    settings.REDIS_URL = REDIS
    conversation = await sync_to_async(desk.queued)()
    async with desk_socket(maya) as line:
        await comes(line, conversation.pk)
        # What another process does: it knows this hub only by way of Redis.
        jun_replies = PresenceSignal(desk.tenant.pk, conversation.pk, "agent:9999", "Jun", REPLIES)
        found = await heard_at_last(lambda: live.send_signal(jun_replies), lambda: sign(line))
        assert found["name"] == "Jun"
