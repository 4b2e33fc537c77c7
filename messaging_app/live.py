"""Live push: carries hints from whoever committed to the sockets of every process.

A hint holds ids only and may be lost: the truth is the stream, and whoever listens can always fetch since a number.
With Redis each process has one subscription that feeds its local queues; without it the hints stay in the process. In
both cases each process also looks at the stream once a second, so a lost hint costs latency and nothing else.

Signs of presence (`messaging_app.signs`) go the same way. There is no stream behind them: a lost one is lost.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import redis
import redis.asyncio
from channels.db import database_sync_to_async
from django.conf import settings
from django.db.models import Max

from agents_app import connections
from config.redis_link import Away, link
from messaging_app.models import Conversation, Operation, StreamHead
from messaging_app.signs import Reader, Sign, Signs

log = logging.getLogger(__name__)

CHANNEL = "tandem:hints"
SIGNS = "tandem:signs"
POLL_SECONDS = 1.0
QUIET_SECONDS = 5.0
"""After which a silent Redis is asked whether it is there, and after which again it counts as gone."""
QUEUE_SIZE = 256
"""Hints a slow reader may fall behind before its socket is closed (4008); it resumes from its cursor."""


class Hint(NamedTuple):
    """`conversation_id` is None where something happened that is the tenant's and no conversation's."""

    tenant_id: int
    conversation_id: int | None
    seq: int


class Overflow(Exception):
    """The reader did not keep up."""


class Listener:
    """One socket's bounded queue. It is told of conversations only: its page shows nothing else."""

    def __init__(self) -> None:
        self._hints: asyncio.Queue[Hint] = asyncio.Queue(QUEUE_SIZE)
        self._full = False

    def put(self, hint: Hint) -> None:
        try:
            self._hints.put_nowait(hint)
        except asyncio.QueueFull:
            self._full = True

    async def next(self) -> Hint:
        """The next hint. Raises `Overflow` once the queue was full."""
        if self._full:
            raise Overflow
        return await self._hints.get()


class Bell:
    """What wakes a follower of the stream. It holds no hints: a follower reads all that is behind its own cursor."""

    def __init__(self, conversation_id: int | None) -> None:
        self.conversation_id = conversation_id
        self._news = asyncio.Event()
        self._seen = -1

    @property
    def has_rung(self) -> bool:
        return self._news.is_set()

    def ring(self) -> None:
        self._news.set()

    def look(self, number: int) -> None:
        """How far the stream, or the conversation, has come; rings if that is farther than at the last look."""
        if number > self._seen:
            self._seen = number
            self.ring()

    def still(self) -> None:
        """Called before reading: what rings from now on is news."""
        self._news.clear()

    async def rings(self, seconds: float) -> bool:
        """Wait for it; False when it did not ring for so long."""
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return False
        return True


class Hub:
    """The listeners of this process. Belongs to one event loop; `announce` may be called from any thread."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listeners: defaultdict[int, set[Listener]] = defaultdict(set)
        self._bells: dict[tuple[int, int | None], set[Bell]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._seen: dict[int, int] = {}  # how far each tenant's stream was at the last look
        self.signs = Signs()

    @asynccontextmanager
    async def listening(self, tenant_id: int) -> AsyncIterator[Listener]:
        """Hear a tenant's hints while the block runs: of all that is stamped from here on."""
        self._start()
        if tenant_id not in self._seen:
            head = await database_sync_to_async(_head)(tenant_id)
            self._seen.setdefault(tenant_id, head)
        listener = Listener()
        self._listeners[tenant_id].add(listener)
        try:
            yield listener
        finally:
            self._listeners[tenant_id].discard(listener)

    @asynccontextmanager
    async def following(self, tenant_id: int, *, conversation_id: int | None = None) -> AsyncIterator[Bell]:
        """Be woken when a tenant's stream, or one conversation in it, has moved."""
        self._start()
        where, bell = (tenant_id, conversation_id), Bell(conversation_id)
        self._bells.setdefault(where, set()).add(bell)
        try:
            yield bell
        finally:
            self._bells[where].remove(bell)
            if not self._bells[where]:
                del self._bells[where]

    @asynccontextmanager
    async def noticing(self, tenant_id: int) -> AsyncIterator[Reader]:
        """Hear a tenant's signs of presence while the block runs."""
        self._start()
        with self.signs.reading(tenant_id) as reader:
            yield reader

    def announce(self, hints: Iterable[Hint]) -> None:
        self._call(self._deliver, list(hints))

    def tell(self, sign: Sign) -> None:
        self._call(self.signs.put, sign)

    def _call[T](self, function: Callable[[T], None], what: T) -> None:
        loop = self._loop
        if loop is not None and loop.is_running():
            loop.call_soon_threadsafe(function, what)

    def _deliver(self, hints: Iterable[Hint]) -> None:
        for hint in hints:
            for bell in self._bells.get((hint.tenant_id, None), ()):
                bell.ring()
            if hint.conversation_id is None:
                connections.registry.check_soon()  # somebody may have been dismissed
                continue
            for listener in tuple(self._listeners.get(hint.tenant_id, ())):
                listener.put(hint)
            for bell in self._bells.get((hint.tenant_id, hint.conversation_id), ()):
                bell.look(hint.seq)

    def _start(self) -> None:
        """Begin to follow at the first socket: the loop is known only then."""
        loop = asyncio.get_running_loop()
        if self._loop is loop:
            return
        self._loop = loop
        self._tasks = [loop.create_task(self._poll())]
        if settings.REDIS_URL:
            self._tasks.append(loop.create_task(self._subscribe()))

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            self.signs.forget()
            for look in (self._look_for_listeners, self._look_for_bells):
                try:
                    await look()
                except Exception:
                    log.exception("could not look at the stream; trying again")

    async def _look_for_listeners(self) -> None:
        hints = await database_sync_to_async(_news)(self._seen, [t for t, who in self._listeners.items() if who])
        for hint in hints:
            for listener in tuple(self._listeners.get(hint.tenant_id, ())):
                listener.put(hint)

    async def _look_for_bells(self) -> None:
        """One query for all that follow a tenant, one for all that follow a conversation."""
        if not self._bells:
            return
        numbers = await database_sync_to_async(_numbers)(tuple(self._bells))
        for where, number in numbers.items():
            for bell in self._bells.get(where, ()):
                bell.look(number)

    async def _subscribe(self) -> None:
        while True:
            try:
                async with (
                    redis.asyncio.from_url(settings.REDIS_URL, socket_connect_timeout=QUIET_SECONDS) as client,
                    client.pubsub() as subscription,
                ):
                    await subscription.subscribe(CHANNEL, SIGNS)
                    async for message in _messages(subscription):
                        if message["channel"] == SIGNS.encode():
                            self.signs.put(Sign(*json.loads(message["data"])))
                        else:
                            self._deliver(Hint(*values) for values in json.loads(message["data"]))
            except (redis.RedisError, OSError, TimeoutError) as error:
                log.warning("no hints from Redis (%s); following the stream until it is back", error)
                await asyncio.sleep(POLL_SECONDS)


async def _messages(subscription: redis.asyncio.client.PubSub) -> AsyncIterator[dict[str, Any]]:
    """What is published. A server that says nothing is asked whether it is there; raises `TimeoutError` when it is not.

    Without the question, a server that hangs, or whose machine is gone, would be listened to for ever.
    """
    is_asked = False
    while True:
        message = await subscription.get_message(timeout=QUIET_SECONDS)
        if message is not None:
            is_asked = False
            if message["type"] == "message":
                yield message
        elif is_asked:
            raise TimeoutError("no answer")
        else:
            await subscription.ping()
            is_asked = True


def _head(tenant_id: int) -> int:
    return StreamHead.objects.filter(tenant_id=tenant_id).values_list("pos", flat=True).first() or 0


def _news(seen: dict[int, int], tenants: list[int]) -> list[Hint]:
    """What was stamped since the last look, the newest operation of each conversation."""
    heads = dict(StreamHead.objects.filter(tenant_id__in=tenants).values_list("tenant_id", "pos"))
    hints: list[Hint] = []
    for tenant_id, head in heads.items():
        after = seen.get(tenant_id, head)
        if head > after:
            news: Any = Operation.objects.filter(tenant_id=tenant_id, pos__gt=after, pos__lte=head)
            news = news.filter(conversation__isnull=False)
            newest = news.order_by().values_list("conversation_id").annotate(Max("seq"))
            hints += (Hint(tenant_id, conversation_id, seq) for conversation_id, seq in newest)
    seen |= heads  # only now: a look that failed is made again
    return hints


def _numbers(followed: Iterable[tuple[int, int | None]]) -> dict[tuple[int, int | None], int]:
    """How far each tenant's stream is stamped, and each of the conversations that somebody follows."""
    tenants = {tenant_id for tenant_id, conversation_id in followed if conversation_id is None}
    of = {conversation_id: tenant_id for tenant_id, conversation_id in followed if conversation_id is not None}
    numbers: dict[tuple[int, int | None], int] = {}
    if tenants:
        heads = StreamHead.objects.filter(tenant_id__in=tenants).values_list("tenant_id", "pos")
        numbers |= {(tenant_id, None): pos for tenant_id, pos in heads}
    if of:
        rows = Conversation.objects.filter(pk__in=of).values_list("pk", "seq")
        numbers |= {(of[pk], pk): seq for pk, seq in rows}
    return numbers


hub = Hub()


def check() -> None:
    """Raises when Redis does not answer."""
    if link().is_away:
        raise Away
    link().client.ping()


def announce(hints: Iterable[Hint]) -> None:
    """Tell every process's sockets. Called after commit; never raises, because a hint may be lost."""
    hints = list(hints)
    if not _published(CHANNEL, hints):
        hub.announce(hints)


def tell(sign: Sign) -> None:
    """Tell every process's sockets of a sign. Never raises, because it may be lost."""
    if not _published(SIGNS, sign):
        hub.tell(sign)


def _published(channel: str, what: Any) -> bool:
    """Whether Redis has it, and hands it to every process, this one too."""
    if not settings.REDIS_URL:
        return False
    try:
        link().run(lambda client: client.publish(channel, json.dumps(what)))
    except Away:
        return False  # readers of the stream will find what is in it
    return True
