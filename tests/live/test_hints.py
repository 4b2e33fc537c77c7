"""A hint tells every socket of a tenant that a conversation has moved; a lost one costs a second and nothing else."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from threading import Thread
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, connections

from agents_app.actors import customer_actor
from agents_app.models import Tenant
from messaging_app import live, relay
from messaging_app.live import ChangeNotification, Hub, Listener, Overflow
from messaging_app.thread import NewMessage
from sessions_app import consumers
from sessions_app.actions import inbound
from tests.patience import PATIENCE, heard_at_last

pytestmark = [pytest.mark.xdist_group("redis"), pytest.mark.django_db(transaction=True)]
REDIS = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/0")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    """A hub of the test's own event loop."""
    made = Hub()
    monkeypatch.setattr(live, "hub", made)
    return made


@asynccontextmanager
async def listening(hub: Hub, tenant_id: int) -> AsyncIterator[Listener]:
    async with hub.listening(tenant_id) as listener:
        yield listener
    for task in hub._tasks:
        task.cancel()
    await asyncio.gather(*hub._tasks, return_exceptions=True)
    await sync_to_async(connections.close_all)()  # that of the follower's thread: the test's database is dropped later


async def heard(listener: Listener) -> ChangeNotification:
    return await asyncio.wait_for(listener.next(), PATIENCE)


async def test_a_hint_from_any_thread_reaches_the_tenants_listeners_and_no_others(hub: Hub, settings: Any) -> None:
    settings.REDIS_URL = ""
    async with listening(hub, 1) as mine, hub.listening(2) as others:
        Thread(target=live.announce, args=([ChangeNotification(1, 7, 3)],)).start()
        assert await heard(mine) == ChangeNotification(1, 7, 3)
        hub.announce([ChangeNotification(2, 8, 4)])
        assert await heard(others) == ChangeNotification(2, 8, 4), "what was the other tenant's would have come before"


async def test_a_reader_that_does_not_keep_up_is_told_so(hub: Hub, settings: Any) -> None:
    settings.REDIS_URL = ""
    async with listening(hub, 1) as slow:
        hub._deliver(ChangeNotification(1, 1, n) for n in range(live.QUEUE_SIZE + 1))
        with pytest.raises(Overflow):
            await slow.next()


async def test_a_page_is_told_at_once_and_of_what_follows_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumers, "COALESCE_SECONDS", 2 * PATIENCE)
    listener = Listener()
    gathered = consumers._gathered(listener)
    listener.put(ChangeNotification(1, 7, 3))
    assert await asyncio.wait_for(anext(gathered), PATIENCE) == {7: 3}
    monkeypatch.setattr(consumers, "COALESCE_SECONDS", 0.05)
    for hint in (ChangeNotification(1, 7, 5), ChangeNotification(1, 8, 1), ChangeNotification(1, 7, 4)):
        listener.put(hint)
    assert await asyncio.wait_for(anext(gathered), PATIENCE) == {7: 5, 8: 1}


async def test_a_burst_that_is_longer_than_the_queue_closes_no_page_that_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    listener, last = Listener(), 4 * live.QUEUE_SIZE
    told: list[int] = []

    async def read() -> None:
        async for newest in consumers._gathered(listener):
            told.append(newest[7])
            if newest[7] == last:
                return

    reading = asyncio.create_task(read())
    for seq in range(1, last + 1):
        listener.put(ChangeNotification(1, 7, seq))
        if seq % 100 == 0:
            await asyncio.sleep(0)
    await asyncio.wait_for(reading, PATIENCE)
    assert told == sorted(told)
    assert len(told) < last / 10


async def test_what_a_page_says_takes_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    def hop() -> None:
        raise AssertionError("a thread was asked")

    monkeypatch.setattr("channels.consumer.aclose_old_connections", hop)
    page = consumers.DeskConsumer()
    await page.dispatch({"type": "websocket.receive", "text": "nonsense"})
    with pytest.raises(AttributeError):
        await page.dispatch({"type": "nobody.knows"})


@pytest.fixture
def tenant(transactional_db: None) -> Tenant:
    return Tenant.objects.create(slug="live", name="Live")


async def test_what_no_hint_told_of_is_found_in_the_stream_from_the_first_moment_on(
    hub: Hub, settings: Any, tenant: Tenant
) -> None:
    settings.REDIS_URL = ""
    said = await asyncio.to_thread(_say, tenant, "before")
    async with listening(hub, tenant.pk) as listener:
        hub._loop = None  # the hint is lost on its way
        again = await asyncio.to_thread(_say, tenant, "after")
        hint = await heard(listener)
    assert (hint.conversation_id, hint.seq) == (said.conversation_id, again.seq)


def _say(tenant: Tenant, text: str) -> Any:
    try:
        said = inbound.receive_message(
            actor=customer_actor(tenant), words=NewMessage(content=text), shop_id="shop", account_id="customer"
        )
        relay.stamp_all()
        return said
    finally:
        connection.close()


@pytest.mark.services
async def test_over_redis_a_hint_reaches_the_listeners_of_another_process(hub: Hub, settings: Any) -> None:
    settings.REDIS_URL = REDIS
    async with listening(hub, 1) as listener:
        # What another process does: it knows this hub only by way of Redis.
        found = await heard_at_last(
            lambda: asyncio.to_thread(live.announce, [ChangeNotification(1, 7, 3)]), listener.next
        )
        assert found == ChangeNotification(1, 7, 3)


@pytest.mark.services
async def test_without_redis_a_verb_goes_on_and_its_own_process_still_hears(hub: Hub, settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    async with listening(hub, 1) as listener:
        await asyncio.to_thread(live.announce, [ChangeNotification(1, 7, 4)])
        assert await heard(listener) == ChangeNotification(1, 7, 4)


async def test_a_receiver_whose_clean_up_swallows_the_cancellation_ends_all_the_same() -> None:
    """The layer's `flush` does, when it is under way as the process ends: without this it would never end."""
    listens = asyncio.Event()

    async def swallows() -> AsyncIterator[None]:
        with suppress(asyncio.CancelledError):
            listens.set()
            await asyncio.Event().wait()
        raise OSError("Redis is gone")
        yield

    receiver = asyncio.create_task(live._supervised(swallows))
    await listens.wait()
    receiver.cancel()
    done, _ = await asyncio.wait({receiver}, timeout=PATIENCE)
    assert done == {receiver}
    assert receiver.cancelled()
