"""Live push: carries change notifications, called hints, from the committing process to the sockets of every process.

A hint holds ids only and may be lost: the truth is the stream, from which a listener can always read since a number.
With Redis each process has one subscription that feeds its local queues; without it the hints stay in the process. In
both cases each process also looks at the stream once a second, so a lost hint costs latency and nothing else.

Presence signals, called signs (`messaging_app.presence_signals`), go through the channel layer, in which each process
has one channel. They are in no stream: a lost one is lost. Why hints and signs go different ways: docs/decisions/0003,
0019.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import cache
from types import NoneType
from typing import Any, NamedTuple

import redis
import redis.asyncio
from channels.db import database_sync_to_async
from django.conf import settings
from django.db.models import Max

from agents_app.connections import registry
from config.redis_link import Away, link
from messaging_app.models import Conversation, Operation, StreamHead
from messaging_app.presence_signals import COUNTS_FOR, GONE, PresenceSignal, PresenceSignals, Reader

log = logging.getLogger(__name__)

SIGNS = "signs"
"""The group of the channel layer to which every process adds its one channel."""
POLL_SECONDS = 1.0
LONGEST_PAUSE = 30.0
"""Seconds between two attempts to subscribe to Redis again, at most."""
QUIET_SECONDS = 5.0
"""After so long without a message Redis is sent a probe; after as long again without an answer it counts as gone."""
QUEUE_SIZE = 256
"""Hints a slow reader may fall behind before its socket is closed (4008); it resumes from its cursor."""


class ChangeNotification(NamedTuple):
    """Something changed, by ids. `conversation_id` is None for a change of the tenant alone."""

    tenant_id: int
    conversation_id: int | None
    seq: int


class Overflow(Exception):
    """The reader did not keep up."""


class Listener:
    """One socket's bounded queue. It gets hints about conversations only: its page shows nothing else."""

    def __init__(self) -> None:
        self._hints: asyncio.Queue[ChangeNotification] = asyncio.Queue(QUEUE_SIZE)
        self._full = False

    def put(self, hint: ChangeNotification) -> None:
        try:
            self._hints.put_nowait(hint)
        except asyncio.QueueFull:
            self._full = True

    async def next(self) -> ChangeNotification:
        """The next hint. Raises `Overflow` once the queue was full."""
        if self._full:
            raise Overflow
        return await self._hints.get()


class Follower:
    """Is told when a tenant's stream, or one conversation in it, has moved. It holds no hints: it reads the stream."""

    def __init__(self, conversation_id: int | None = None) -> None:
        self.conversation_id = conversation_id
        self._seen = -1

    def notify(self) -> None:
        raise NotImplementedError

    def observe(self, number: int) -> None:
        """Notify if the stream, or the conversation, has come farther than at the last call."""
        if number > self._seen:
            self._seen = number
            self.notify()


class Waiter(Follower):
    """One that somebody waits for."""

    def __init__(self, conversation_id: int | None = None) -> None:
        super().__init__(conversation_id)
        self._news = asyncio.Event()

    @property
    def is_notified(self) -> bool:
        return self._news.is_set()

    def notify(self) -> None:
        self._news.set()

    def clear(self) -> None:
        """Called before reading, so that a notification from now on is about something not read yet."""
        self._news.clear()

    async def wait(self, seconds: float) -> bool:
        """Wait for a notification; False when none came in time."""
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return False
        return True


def hints_channel() -> str:
    """The Redis channel of the hints. All databases and users of a Redis share its channels, hence the REDIS_PREFIX."""
    return f"{settings.REDIS_PREFIX}:hints"


class Hub:
    """The listeners of this process. Belongs to one event loop; `announce` may be called from any thread."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listeners: defaultdict[int, set[Listener]] = defaultdict(set)
        self._followers: dict[tuple[int, int | None], set[Follower]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._seen: dict[int, int] = {}  # how far each tenant's stream was at the last look
        self.signs = PresenceSignals()

    @asynccontextmanager
    async def listening(self, tenant_id: int) -> AsyncIterator[Listener]:
        """A queue of a tenant's hints while the block runs: of all operations stamped from now on."""
        self._start()
        listener = Listener()
        self._listeners[tenant_id].add(listener)  # before the head is read: hints that come meanwhile are queued
        try:
            if tenant_id not in self._seen:
                head = await database_sync_to_async(_head)(tenant_id)
                self._seen.setdefault(tenant_id, head)
            yield listener
        finally:
            self._listeners[tenant_id].discard(listener)
            if not self._listeners[tenant_id]:  # the next listener begins at the head of that time
                del self._listeners[tenant_id]
                self._seen.pop(tenant_id, None)

    @asynccontextmanager
    async def following(self, tenant_id: int, *, conversation_id: int | None = None) -> AsyncIterator[Waiter]:
        """A waiter that is notified when a tenant's stream, or one conversation in it, has moved."""
        waiter = Waiter(conversation_id)
        self.add(tenant_id, waiter)
        try:
            yield waiter
        finally:
            self.remove(tenant_id, waiter)

    def add(self, tenant_id: int, follower: Follower) -> None:
        """Notify a follower from now on, until it is removed."""
        self._start()
        self._followers.setdefault((tenant_id, follower.conversation_id), set()).add(follower)

    def remove(self, tenant_id: int, follower: Follower) -> None:
        key = (tenant_id, follower.conversation_id)
        self._followers[key].remove(follower)
        if not self._followers[key]:
            del self._followers[key]

    @asynccontextmanager
    async def following_signals(self, tenant_id: int) -> AsyncIterator[Reader]:
        """A queue of a tenant's presence signals while the block runs."""
        self._start()
        with self.signs.reading(tenant_id) as reader:
            yield reader

    def announce(self, hints: Iterable[ChangeNotification]) -> None:
        self._call(self._deliver, list(hints))

    def send_signal(self, sign: PresenceSignal) -> None:
        self._call(self.signs.put, sign)

    def _call[T](self, function: Callable[[T], None], argument: T) -> None:
        loop = self._loop
        if loop is not None and loop.is_running():
            loop.call_soon_threadsafe(function, argument)

    def _deliver(self, hints: Iterable[ChangeNotification]) -> None:
        for hint in hints:
            for follower in self._followers.get((hint.tenant_id, None), ()):
                follower.notify()
            if hint.conversation_id is None:
                registry.registry.check_soon()  # somebody may have been dismissed
                continue
            for listener in tuple(self._listeners.get(hint.tenant_id, ())):
                listener.put(hint)
            for follower in self._followers.get((hint.tenant_id, hint.conversation_id), ()):
                follower.observe(hint.seq)

    def _start(self) -> None:
        """Start the background tasks at the first use: the event loop is known only then."""
        loop = asyncio.get_running_loop()
        if self._loop is loop:
            return
        self._loop = loop
        self._tasks = [loop.create_task(self._poll())]
        if settings.REDIS_URL:
            for hear in (self._hear_hints, self._hear_signs):
                self._tasks.append(loop.create_task(_supervised(hear)))

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            self.signs.forget()
            for look in (self._look_for_listeners, self._notify_followers):
                try:
                    await look()
                except Exception:
                    log.exception("could not look at the stream; trying again")

    async def _look_for_listeners(self) -> None:
        """Deliver what was stamped since the last look. A tenant whose position has changed meanwhile has to wait.

        While the stream is read, a tenant's last listener may leave, which removes the position, and others may come,
        with a newer one. If the old position were written back, the next listener would begin there.
        """
        seen = {tenant_id: self._seen[tenant_id] for tenant_id in self._listeners if tenant_id in self._seen}
        heads, hints = await database_sync_to_async(_news)(seen)
        are_the_same = {tenant_id for tenant_id in heads if self._seen.get(tenant_id) == seen[tenant_id]}
        self._seen |= {tenant_id: heads[tenant_id] for tenant_id in are_the_same}
        for hint in hints:
            for listener in tuple(self._listeners.get(hint.tenant_id, ())) if hint.tenant_id in are_the_same else ():
                listener.put(hint)

    async def _notify_followers(self) -> None:
        """One query for all that follow a tenant, one for all that follow a conversation."""
        if not self._followers:
            return
        numbers = await database_sync_to_async(_numbers)(tuple(self._followers))
        for key, number in numbers.items():
            for follower in self._followers.get(key, ()):
                follower.observe(number)

    async def _hear_hints(self) -> AsyncIterator[None]:
        async with (
            redis.asyncio.from_url(settings.REDIS_URL, socket_connect_timeout=QUIET_SECONDS) as client,
            client.pubsub() as subscription,
        ):
            await subscription.subscribe(hints_channel())
            async for message in _messages(subscription):
                yield
                self._deliver(_hints(message["data"]))

    async def _hear_signs(self) -> AsyncIterator[None]:
        """Receive signs, by one channel for the process. After a silence it sends a probe, which has to come back."""
        layer = _layer()
        try:
            channel = await layer.new_channel()
            await layer.group_add(SIGNS, channel)
            is_probed = False
            incoming = asyncio.ensure_future(layer.receive(channel))
            while True:
                await asyncio.wait({incoming}, timeout=QUIET_SECONDS)
                if incoming.done():
                    yield
                    is_probed = False
                    if sign := _sign(incoming.result()):
                        self.signs.put(sign)
                    incoming = asyncio.ensure_future(layer.receive(channel))
                elif is_probed:
                    raise TimeoutError("no answer")
                else:
                    is_probed = True
                    await _send({"type": "sign"})
        finally:
            with suppress(Exception):
                await layer.flush()  # fails when the server is gone


async def _supervised(hear: Callable[[], AsyncIterator[None]]) -> None:
    """Run a receiver for ever: a failure is logged, and it starts again after a pause, which grows until it succeeds."""
    task, pause = asyncio.current_task(), POLL_SECONDS
    while True:
        try:
            async for _ in hear():
                pause = POLL_SECONDS
        except Exception as error:  # what is not Redis's failure is a bug of ours, and must not end it
            is_redis = isinstance(error, (redis.RedisError, OSError, TimeoutError))
            log.warning(
                "%s: nothing is heard from Redis (%r)", hear.__name__, error, exc_info=None if is_redis else error
            )
        if task is not None and task.cancelling():
            raise asyncio.CancelledError  # a clean-up on its way here, such as the layer's `flush`, may have swallowed it
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


def _hints(data: bytes) -> list[ChangeNotification]:
    """The hints of a message. One in the form of another version is skipped: the stream has the change."""
    try:
        received = json.loads(data)
    except ValueError:
        received = None
    rows = received if isinstance(received, list) else []
    hints = [ChangeNotification(*values) for values in rows if _fits(values, _HINT)]
    if not isinstance(received, list) or len(hints) < len(received):
        log.warning("hints that cannot be read: %.200r", data)
    return hints


_HINT: tuple[tuple[type, ...], ...] = ((int,), (int, NoneType), (int,))
_SIGN: tuple[tuple[type, ...], ...] = ((int,), (int,), (str,), (str,), (str,))
"""The types of each field in a message from Redis. Nothing checks them again after this file."""


def _fits(values: Any, fields: Sequence[tuple[type, ...]]) -> bool:
    """Whether it is a list with exactly these types of values. True is no number."""
    if not isinstance(values, list) or len(values) != len(fields):
        return False
    return all(type(value) in types for value, types in zip(values, fields, strict=True))


def _sign(message: Mapping[str, Any]) -> PresenceSignal | None:
    """The sign in a message of the layer; None for a probe, and for one in the form of another version."""
    values: Any = message.get("sign")
    return PresenceSignal(*values) if _fits(values, _SIGN) and values[-1] in (GONE, *COUNTS_FOR) else None


async def _messages(subscription: redis.asyncio.client.PubSub) -> AsyncIterator[dict[str, Any]]:
    """The published messages. A silent server is sent a ping; raises `TimeoutError` when it does not answer.

    Without the ping, this would wait for ever for a server that hangs, or whose machine is gone.
    """
    is_pinged = False
    while True:
        message = await subscription.get_message(timeout=QUIET_SECONDS)
        if message is not None:
            is_pinged = False
            if message["type"] == "message":
                yield message
        elif is_pinged:
            raise TimeoutError("no answer")
        else:
            await subscription.ping()
            is_pinged = True


def _head(tenant_id: int) -> int:
    return StreamHead.objects.filter(tenant_id=tenant_id).values_list("pos", flat=True).first() or 0


def _news(seen: Mapping[int, int]) -> tuple[dict[int, int], list[ChangeNotification]]:
    """The head of each of these tenants' streams, and a hint for each conversation that has moved since `seen`."""
    heads = dict(StreamHead.objects.filter(tenant_id__in=list(seen)).values_list("tenant_id", "pos"))
    hints: list[ChangeNotification] = []
    for tenant_id, head in heads.items():
        if head > seen[tenant_id]:
            news: Any = Operation.objects.filter(tenant_id=tenant_id, pos__gt=seen[tenant_id], pos__lte=head)
            news = news.filter(conversation__isnull=False)
            newest = news.order_by().values_list("conversation_id").annotate(Max("seq"))
            hints += (ChangeNotification(tenant_id, conversation_id, seq) for conversation_id, seq in newest)
    return heads, hints


def _numbers(followed: Iterable[tuple[int, int | None]]) -> dict[tuple[int, int | None], int]:
    """The position of each followed tenant's stream, and the `seq` of each followed conversation."""
    tenants = {tenant_id for tenant_id, conversation_id in followed if conversation_id is None}
    tenant_of = {conversation_id: tenant_id for tenant_id, conversation_id in followed if conversation_id is not None}
    numbers: dict[tuple[int, int | None], int] = {}
    if tenants:
        heads = StreamHead.objects.filter(tenant_id__in=tenants).values_list("tenant_id", "pos")
        numbers |= {(tenant_id, None): pos for tenant_id, pos in heads}
    if tenant_of:
        rows = Conversation.objects.filter(pk__in=tenant_of).values_list("pk", "seq")
        numbers |= {(tenant_of[pk], pk): seq for pk, seq in rows}
    return numbers


hub = Hub()


def check() -> None:
    """Raises `Away` or a `RedisError` when Redis does not answer."""
    if link().is_away:
        raise Away
    link().client.ping()


def announce(hints: Iterable[ChangeNotification]) -> None:
    """Send hints to the sockets of every process. Called after commit; never raises, because a hint may be lost."""
    hints = list(hints)
    if not _published(hints):
        hub.announce(hints)


def _published(hints: list[ChangeNotification]) -> bool:
    """Publish the hints; True when they are on their way to Redis. It delivers them to every process, this one too."""
    if not settings.REDIS_URL:
        return False
    try:
        link().tell(b"PUBLISH", hints_channel().encode(), json.dumps(hints).encode())
    except Away:
        return False  # every process finds the operations at its next look at the stream
    return True


async def send_signal(sign: PresenceSignal) -> None:
    """Send a sign to the sockets of every process. Never raises, because it may be lost."""
    if not (settings.REDIS_URL and await _send({"type": "sign", "sign": list(sign)})):
        hub.send_signal(sign)


async def _send(message: dict[str, Any]) -> bool:
    """Send to every process; True when the layer took it. A server that fails here counts as away everywhere."""
    if link().is_away:
        return False
    try:
        async with asyncio.timeout(settings.REDIS_TIMEOUT):
            await _layer().group_send(SIGNS, message)
    except (redis.RedisError, OSError, TimeoutError) as error:
        link().failed(error)
        return False
    return True


def _layer() -> Any:
    """The channel layer. CHANNEL_LAYERS has none, because there each socket would get a subscription of its own."""
    return _layer_at(settings.REDIS_URL, settings.REDIS_PREFIX)


@cache
def _layer_at(url: str, prefix: str) -> Any:
    from channels_redis.pubsub import RedisPubSubChannelLayer  # not loaded where there is no Redis

    return RedisPubSubChannelLayer(
        hosts=[{"address": url, "socket_connect_timeout": QUIET_SECONDS}], prefix=f"{prefix}:"
    )
