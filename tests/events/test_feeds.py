"""Those who follow alike are one feed: what comes is read once for all, and each gets all of it, once and in order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from threading import Event
from typing import Any

import pytest

from agents_app.connections import credential
from messaging_app import follow
from messaging_app.follow import Feed, Page, Reader
from messaging_app.live import Hub
from sessions_app.api import streams
from sessions_app.events import subscription
from tests.events.conftest import socket, stream
from tests.events.test_streams import Shop, content
from tests.patience import PATIENCE, comes_true

pytestmark = pytest.mark.asyncio
STREAMS = 6


@pytest.fixture
def shop(transactional_db: None) -> Shop:
    return Shop()


async def test_an_event_is_read_once_for_all_who_follow_alike(
    hub: Hub, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []
    read = subscription.read

    def counted(*arguments: Any) -> Page:
        page = read(*arguments)
        reads.extend(event["pos"] for event in page.events)
        return page

    monkeypatch.setattr(subscription, "read", counted)
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(stream(shop.secret)) for _ in range(STREAMS)]
        one_more = await stack.enter_async_context(socket(ticket=await shop.ticket()))
        for client in clients:
            await client.block()
        await one_more.frame()
        (feed,) = follow._feeds.values()
        await comes_true(lambda: len(feed._waiting) == STREAMS + 1)
        await shop.says("second")
        assert [content(await client.event()) for client in clients] == ["second"] * STREAMS
        assert content((await one_more.frame())["event"]) == "second"
    assert reads == [2]


async def test_who_may_read_other_things_is_another_feed(hub: Hub, shop: Shop) -> None:
    async with (
        stream(shop.secret) as program,
        stream(cookie=shop.cookie) as agent,
        stream(shop.secret, types="session.*"),
    ):
        await program.block()
        await agent.block()
        assert len(follow._feeds) == 3
    assert not follow._feeds


async def test_those_who_connect_at_once_share_a_look_at_their_credential_and_one_at_where_now_is(
    hub: Hub, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a restart all come at once: not each may ask the database, and nobody shares a look that has begun before."""
    looks: list[str] = []
    authenticate, start = credential.authenticate, follow.start

    def counted(**by: Any) -> Any:
        looks.append("who")
        return authenticate(**by)

    def begun(*arguments: Any) -> int:
        looks.append("where")
        return start(*arguments)

    monkeypatch.setattr(credential, "authenticate", counted)
    monkeypatch.setattr(streams, "start", begun)
    go_on = Event()
    follow.signing_on.submit(go_on.wait, PATIENCE)
    async with AsyncExitStack() as stack:
        coming = [asyncio.create_task(stack.enter_async_context(stream(shop.secret))) for _ in range(STREAMS)]
        await comes_true(lambda: len(asyncio.all_tasks()) > STREAMS * 2)  # each has its client and its application
        for _ in range(100):
            await asyncio.sleep(0)  # they have come as far as they come without a thread
        go_on.set()
        clients = await asyncio.gather(*coming)
        assert [await client.block() for client in clients] == [{"retry": "1000", "id": "1"}] * STREAMS
        assert looks == ["who", "where"]
        await stack.enter_async_context(stream(shop.secret))
        assert looks == ["who", "where", "who", "where"]


# --- Without a database ------------------------------------------------------------------------------------------


class Told:
    """A stream of numbers that grows: a page has three at most."""

    def __init__(self) -> None:
        self.head = 0
        self.feed = Feed(self.read, "all", None)

    def read(self, after: int) -> Page:
        end = min(after + 3, self.head)
        return Page([{"pos": pos} for pos in range(after + 1, end + 1)], end, has_more=end < self.head)

    def grow(self, count: int) -> None:
        self.head += count
        self.feed.notify()


async def turns(count: int) -> None:
    """Let others have so many turns of the loop."""
    for _ in range(count):
        await asyncio.sleep(0)


@asynccontextmanager
async def following(told: Told, seen: list[int], chance: random.Random, *, is_behind: bool) -> AsyncIterator[None]:
    """A client that takes a page at once, or slowly, or is written to at once, as chance has it."""

    def write(page: Page) -> bool:
        if chance.random() < 0.5:
            return False
        seen.extend(event["pos"] for event in page.events)
        return True

    after = 0 if is_behind else told.head

    async def run() -> None:
        async for page in follow.follow(told.feed, after=after, is_behind=is_behind, write=write):
            for event in page.events:
                await turns(chance.choice([0, 0, 5, 20]))
                seen.append(event["pos"])

    task = asyncio.create_task(run())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("seed", range(8))
async def test_whoever_joins_whenever_and_reads_however_slowly_gets_everything_once_in_order(seed: int) -> None:
    chance, told = random.Random(seed), Told()
    seen: list[tuple[int, list[int]]] = []
    async with AsyncExitStack() as stack:
        for _ in range(60):
            if chance.random() < 0.3:
                is_behind = chance.random() < 0.5
                seen.append((0 if is_behind else told.head, []))
                await stack.enter_async_context(following(told, seen[-1][1], chance, is_behind=is_behind))
            told.grow(chance.choice([1, 1, 1, 2, 7]))
            await turns(chance.choice([1, 1, 5, 30]))
        expected = [list(range(start + 1, told.head + 1)) for start, _ in seen]
        await comes_true(lambda: all(len(got) >= len(wanted) for (_, got), wanted in zip(seen, expected, strict=True)))
    assert [got for _, got in seen] == expected


async def test_whoever_is_being_ended_is_told_nothing_more_not_even_in_the_same_turn() -> None:
    written: list[Page] = []

    def write(page: Page) -> bool:
        written.append(page)
        return True

    reader = Reader(0, write)
    waiting = asyncio.create_task(reader.wait())
    await asyncio.sleep(0)
    page = Page([{"pos": 1}], 1, has_more=False)
    assert reader.pass_on(page)
    waiting.cancel()
    assert not reader.pass_on(Page([{"pos": 2}], 2, has_more=False))
    assert written == [page]


async def test_a_mistake_in_reading_ends_those_who_wait_and_not_in_silence() -> None:
    told = Told()

    def fails(after: int) -> Page:
        raise ValueError("a bug of ours")

    told.feed._read = fails
    pages = follow.follow(told.feed, after=0, is_behind=False)
    with pytest.raises(ValueError, match="a bug of ours"):
        await asyncio.wait_for(anext(pages), PATIENCE)
