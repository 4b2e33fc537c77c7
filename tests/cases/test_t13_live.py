"""T13, T2.4, T2.5: what installations share is theirs apart, what cannot be read stops nobody, and state ends with its owner."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
import redis
from asgiref.sync import sync_to_async
from django.db import connections

from agents_app.actors import customer_actor
from agents_app.models import Tenant
from config.redis_link import link
from messaging_app import live, relay
from messaging_app.live import ChangeNotification, Hub, Listener
from messaging_app.presence_signals import REPLIES, PresenceSignal, Reader
from messaging_app.thread import NewMessage
from sessions_app.actions import inbound
from tests.faults.servers import Redis
from tests.patience import PATIENCE, comes_true, heard_at_last

pytestmark = [pytest.mark.xdist_group("redis"), pytest.mark.django_db(transaction=True)]
REDIS = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/0")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Hub:
    """A hub of the test's own event loop, and names in Redis that no other test has."""
    settings.REDIS_PREFIX = f"tandem-test-{os.getpid()}"
    made = Hub()
    monkeypatch.setattr(live, "hub", made)
    return made


@asynccontextmanager
async def at_work(hub: Hub, tenant_id: int = 1) -> AsyncIterator[Listener]:
    try:
        async with hub.listening(tenant_id) as listener:
            yield listener
    finally:
        await ended(hub)


async def ended(hub: Hub) -> None:
    for task in hub._tasks:
        task.cancel()
    await asyncio.gather(*hub._tasks, return_exceptions=True)
    await sync_to_async(connections.close_all)()


async def told(listener: Listener, hint: ChangeNotification, after: ChangeNotification | None = None) -> None:
    """Announced until it is heard: the subscription may only just be coming. The one before may come several times."""

    async def next_one() -> ChangeNotification:
        while (heard := await listener.next()) == after:
            pass
        return heard

    assert await heard_at_last(lambda: asyncio.to_thread(live.announce, [hint]), next_one) == hint


@pytest.mark.services
async def test_another_installation_on_the_same_server_hears_neither_hints_nor_signs(hub: Hub, settings: Any) -> None:
    settings.REDIS_URL = REDIS
    async with at_work(hub) as listener, hub.following_signals(1) as signs:
        await told(listener, ChangeNotification(1, 7, 3))
        settings.REDIS_PREFIX = "somebody-else"
        await asyncio.to_thread(live.announce, [ChangeNotification(1, 7, 4)])
        await live.send_signal(PresenceSignal(1, 7, "agent:3", "Ann", REPLIES))
        settings.REDIS_PREFIX = f"tandem-test-{os.getpid()}"
        # What came before would have been heard before.
        await told(listener, ChangeNotification(1, 7, 5), after=ChangeNotification(1, 7, 3))
        own = PresenceSignal(1, 7, "agent:4", "Ben", REPLIES)
        assert await heard_at_last(lambda: live.send_signal(own), signs.get) == own
        await live._layer_at(REDIS, "somebody-else").flush()


@pytest.mark.services
@pytest.mark.parametrize(
    "strange",
    [
        b"no json at all",
        json.dumps([[1, 7, 3, "one field more"]]).encode(),
        json.dumps([["1", 7, 3]]).encode(),
        json.dumps({"hints": []}).encode(),
        json.dumps(5).encode(),
    ],
)
async def test_a_hint_in_another_versions_form_is_skipped_and_the_next_one_heard(
    hub: Hub, settings: Any, strange: bytes
) -> None:
    settings.REDIS_URL = REDIS
    async with at_work(hub) as listener:
        await told(listener, ChangeNotification(1, 7, 3))
        client = redis.Redis.from_url(REDIS)
        await asyncio.to_thread(client.publish, live.hints_channel(), strange)
        await told(listener, ChangeNotification(1, 7, 4), after=ChangeNotification(1, 7, 3))


@pytest.mark.services
@pytest.mark.parametrize(
    "strange", [{"type": "sign", "sign": [1, 7]}, {"type": "other"}, {"sign": [1, 7, "a", "b", "x"]}]
)
async def test_a_sign_in_another_form_is_skipped_and_the_next_one_shown(
    hub: Hub, settings: Any, strange: dict[str, Any]
) -> None:
    settings.REDIS_URL = REDIS
    async with at_work(hub), hub.following_signals(1) as signs:
        sign = PresenceSignal(1, 7, "agent:3", "Ann", REPLIES)

        async def tells() -> None:
            await live._send(strange)
            await live.send_signal(sign)

        assert await heard_at_last(tells, signs.get) == sign


async def test_a_fault_of_ours_while_hearing_is_logged_and_hearing_begins_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(live, "POLL_SECONDS", 0.0)
    begun = 0

    async def hears() -> AsyncIterator[None]:
        nonlocal begun
        begun += 1
        if begun < 3:
            raise TypeError("a fault of ours")
        await asyncio.Event().wait()
        yield

    task = asyncio.create_task(live._supervised(hears))
    for _ in range(100):
        await asyncio.sleep(0)
    task.cancel()
    assert begun == 3
    assert "a fault of ours" in caplog.text


@pytest.mark.parametrize(
    "strange",
    [
        [1, 7, None],
        [None, 7, 3],
        [1, [7], 3],
        [1, 7, True],
        [1, 7, 3, 4],
        [1, 7],
        {"tenant_id": 1},
        5,
        "abc",
        None,
    ],
)
async def test_t2_4_a_strange_hint_is_left_out_and_those_beside_it_are_heard(hub: Hub, strange: Any) -> None:
    hints = live._hints(json.dumps([[1, 7, 3], strange, [1, None, 0]]).encode())
    assert hints == [ChangeNotification(1, 7, 3), ChangeNotification(1, None, 0)]
    async with hub.following(1, conversation_id=7) as waiter:
        hub._deliver(hints)
        assert waiter.is_notified
    await ended(hub)


@pytest.mark.parametrize(
    "strange",
    [
        [[1], 7, "agent:3", "Ann", REPLIES],
        [1, [7], "agent:3", "Ann", REPLIES],
        [1, 7, ["agent:3"], "Ann", REPLIES],
        [1, 7, "agent:3", {"first": "Ann"}, REPLIES],
        [1, 7, "agent:3", "Ann", [REPLIES]],
        [1, None, "agent:3", "Ann", REPLIES],
        [True, 7, "agent:3", "Ann", REPLIES],
        ["1", 7, "agent:3", "Ann", REPLIES],
        [1, 7, "agent:3", "Ann", "dances"],
        {"tenant_id": 1},
        "signs",
    ],
)
def test_t2_4_a_sign_with_a_field_of_another_type_is_none(strange: Any) -> None:
    assert live._sign({"type": "sign", "sign": strange}) is None


@pytest.mark.services
async def test_sockets_need_no_subscription_of_their_own(hub: Hub, settings: Any) -> None:
    """However many listen: one subscription of hints in the process, and one of signs."""
    settings.REDIS_URL = REDIS
    client = redis.Redis.from_url(REDIS)
    async with (
        at_work(hub) as listener,
        hub.listening(1),
        hub.listening(2),
        hub.following_signals(1),
        hub.following_signals(2),
    ):
        await told(listener, ChangeNotification(1, 7, 3))
        sign = PresenceSignal(1, 7, "agent:3", "Ann", REPLIES)
        async with hub.following_signals(1) as signs:
            assert await heard_at_last(lambda: live.send_signal(sign), signs.get) == sign
        mine = f"{settings.REDIS_PREFIX}:*"
        channels = await asyncio.to_thread(client.pubsub_channels, mine)
        assert sorted(name.decode().split(":")[1].split(".")[0] for name in channels) == [  # type: ignore[union-attr]
            "__group__signs",
            "hints",
            "specific",
        ]


@pytest.mark.services
@pytest.mark.parametrize("fault", ["restarted", "hanging"])
async def test_after_redis_was_away_hints_and_signs_are_heard_again(
    hub: Hub, settings: Any, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(live, "QUIET_SECONDS", 0.3)
    monkeypatch.setattr(live, "POLL_SECONDS", 0.1)
    with Redis() as server:
        settings.REDIS_URL = server.url
        async with at_work(hub) as listener, hub.following_signals(1) as signs:
            await told(listener, ChangeNotification(1, 7, 3))
            await shown(signs, PresenceSignal(1, 7, "agent:3", "Ann", REPLIES))
            if fault == "restarted":
                await asyncio.to_thread(server.stop)
            else:
                server.hang()
            while not link().is_away:
                await live.send_signal(PresenceSignal(1, 7, "agent:4", "Ben", REPLIES))  # whoever tells finds it out
            await comes_true(
                lambda: "agent:4" in {sign.who for sign in hub.signs.of(1, 7)}, "its own process is told all the same"
            )
            if fault == "restarted":
                await asyncio.to_thread(server.start)
            else:
                server.go_on()
            await comes_true(lambda: not link().is_away, "Redis is back, and nobody has noticed")
            await told(listener, ChangeNotification(1, 7, 4), after=ChangeNotification(1, 7, 3))
            await shown(signs, PresenceSignal(1, 7, "agent:5", "Cat", REPLIES))


async def shown(signs: Reader, wanted: PresenceSignal) -> None:
    """Told by way of Redis until it comes back from there."""

    async def comes() -> bool:
        while await signs.get() != wanted:
            pass
        return True

    assert await heard_at_last(lambda: live._send({"type": "sign", "sign": list(wanted)}), comes)


@pytest.fixture
def tenant(transactional_db: None) -> Tenant:
    return Tenant.objects.create(slug="live", name="Live")


def _much_happens(tenant: Tenant, conversations: int) -> None:
    try:
        for number in range(conversations):
            inbound.receive_message(
                actor=customer_actor(tenant),
                words=NewMessage(content="Hello?"),
                shop_id="shop",
                account_id=f"c{number}",
            )
        relay.stamp_all()
    finally:
        connections.close_all()


async def test_t2_5_who_comes_after_everybody_had_left_begins_with_the_present(
    hub: Hub, settings: Any, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.REDIS_URL = ""
    monkeypatch.setattr(live, "QUEUE_SIZE", 20)
    try:
        async with hub.listening(tenant.pk):
            pass
        assert not hub._listeners
        assert not hub._seen
        hub._loop, loop = None, hub._loop  # the hints of what follows are lost
        await asyncio.to_thread(_much_happens, tenant, 30)
        hub._loop = loop
        async with hub.listening(tenant.pk) as listener:
            await hub._look_for_listeners()
            assert listener._hints.empty()
    finally:
        await ended(hub)


@pytest.mark.parametrize("comes", ["after the look", "during the look"])
async def test_t2_5_a_look_under_way_gives_no_place_back_to_a_tenant_that_everybody_has_left(
    hub: Hub, settings: Any, tenant: Tenant, monkeypatch: pytest.MonkeyPatch, comes: str
) -> None:
    settings.REDIS_URL = ""
    monkeypatch.setattr(live, "QUEUE_SIZE", 20)
    monkeypatch.setattr(live, "POLL_SECONDS", 1000.0)  # the looks are the test's own
    news, has_begun, may_read = live._news, threading.Event(), threading.Event()

    def held(seen: Mapping[int, int]) -> Any:
        has_begun.set()
        may_read.wait(PATIENCE)
        return news(seen)

    monkeypatch.setattr(live, "_news", held)
    try:
        await asyncio.to_thread(_much_happens, tenant, 1)
        async with hub.listening(tenant.pk):
            look = asyncio.create_task(hub._look_for_listeners())
            await asyncio.to_thread(has_begun.wait, PATIENCE)
        if comes == "after the look":
            may_read.set()
            await look
        hub._loop, loop = None, hub._loop  # the hints of what follows are lost
        await asyncio.to_thread(_much_happens, tenant, 30)
        hub._loop = loop
        # Both read in the one thread for the database: the look goes on as soon as who comes waits behind it.
        asyncio.get_running_loop().call_soon(may_read.set)
        async with hub.listening(tenant.pk) as listener:
            await look
            await hub._look_for_listeners()
            assert listener._hints.empty()
            await asyncio.to_thread(_much_happens, tenant, 1)
            assert (await asyncio.wait_for(listener.next(), PATIENCE)).tenant_id == tenant.pk
    finally:
        may_read.set()
        await ended(hub)


async def test_what_happens_while_somebody_comes_is_heard(hub: Hub, settings: Any, tenant: Tenant) -> None:
    settings.REDIS_URL = ""
    try:
        async with hub.listening(tenant.pk) as listener:
            await asyncio.to_thread(_much_happens, tenant, 1)
            assert (await asyncio.wait_for(listener.next(), PATIENCE)).tenant_id == tenant.pk
    finally:
        await ended(hub)
