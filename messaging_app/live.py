"""Live push: carries hints from whoever committed to the sockets of every process.

A hint holds ids only and may be lost: the truth is the stream, and whoever listens can always fetch since a number.
With Redis each process has one subscription that feeds its local queues; without it the hints stay in the process. In
both cases each process also looks at the stream once a second, so a lost hint costs latency and nothing else.

Signs of presence (`messaging_app.presence_signals`) are told by the channel layer, in which each process has one channel. There is
no stream behind them: a lost one is lost. Why hints and signs go different ways: docs/decisions/0003, 0019.
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
"""The group of the channel layer that every process's one channel is in."""
POLL_SECONDS = 1.0
LONGEST_PAUSE = 30.0
"""Seconds between two tries to hear of Redis again, at most."""
QUIET_SECONDS = 5.0
"""After which a silent Redis is asked whether it is there, and after which again it counts as gone."""
QUEUE_SIZE = 256
"""Hints a slow reader may fall behind before its socket is closed (4008); it resumes from its cursor."""


class ChangeNotification(NamedTuple):
    """`conversation_id` is None where something happened that is the tenant's and no conversation's."""

    tenant_id: int
    conversation_id: int | None
    seq: int


class Overflow(Exception):
    """The reader did not keep up."""


class Listener:
    """One socket's bounded queue. It is told of conversations only: its page shows nothing else."""

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


class Waiter:
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


def hints_channel() -> str:
    """Redis has one space of channels for all its databases and all who use it: ours begin with REDIS_PREFIX."""
    return f"{settings.REDIS_PREFIX}:hints"


class Hub:
    """The listeners of this process. Belongs to one event loop; `announce` may be called from any thread."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listeners: defaultdict[int, set[Listener]] = defaultdict(set)
        self._bells: dict[tuple[int, int | None], set[Waiter]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._seen: dict[int, int] = {}  # how far each tenant's stream was at the last look
        self.signs = PresenceSignals()

    @asynccontextmanager
    async def listening(self, tenant_id: int) -> AsyncIterator[Listener]:
        """Hear a tenant's hints while the block runs: of all that is stamped from here on."""
        self._start()
        listener = Listener()
        self._listeners[tenant_id].add(listener)  # before the head is read: what comes meanwhile is put into its queue
        try:
            if tenant_id not in self._seen:
                head = await database_sync_to_async(_head)(tenant_id)
                self._seen.setdefault(tenant_id, head)
            yield listener
        finally:
            self._listeners[tenant_id].discard(listener)
            if not self._listeners[tenant_id]:  # whoever comes next begins with what is then, not with what was missed
                del self._listeners[tenant_id]
                self._seen.pop(tenant_id, None)

    @asynccontextmanager
    async def following(self, tenant_id: int, *, conversation_id: int | None = None) -> AsyncIterator[Waiter]:
        """Be woken when a tenant's stream, or one conversation in it, has moved."""
        self._start()
        where, bell = (tenant_id, conversation_id), Waiter(conversation_id)
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

    def announce(self, hints: Iterable[ChangeNotification]) -> None:
        self._call(self._deliver, list(hints))

    def tell(self, sign: PresenceSignal) -> None:
        self._call(self.signs.put, sign)

    def _call[T](self, function: Callable[[T], None], what: T) -> None:
        loop = self._loop
        if loop is not None and loop.is_running():
            loop.call_soon_threadsafe(function, what)

    def _deliver(self, hints: Iterable[ChangeNotification]) -> None:
        for hint in hints:
            for bell in self._bells.get((hint.tenant_id, None), ()):
                bell.ring()
            if hint.conversation_id is None:
                registry.registry.check_soon()  # somebody may have been dismissed
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
            for hear in (self._hear_hints, self._hear_signs):
                self._tasks.append(loop.create_task(_supervised(hear)))

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
        """What was stamped since the last look. A tenant whose place is another one by then is left to the next look.

        While the stream is read its last listener may leave, which takes the place away, and others may come, with a place
        of their own: an old place, written back, would be where the next one begins.
        """
        seen = {tenant_id: self._seen[tenant_id] for tenant_id in self._listeners if tenant_id in self._seen}
        heads, hints = await database_sync_to_async(_news)(seen)
        are_the_same = {tenant_id for tenant_id in heads if self._seen.get(tenant_id) == seen[tenant_id]}
        self._seen |= {tenant_id: heads[tenant_id] for tenant_id in are_the_same}
        for hint in hints:
            for listener in tuple(self._listeners.get(hint.tenant_id, ())) if hint.tenant_id in are_the_same else ():
                listener.put(hint)

    async def _look_for_bells(self) -> None:
        """One query for all that follow a tenant, one for all that follow a conversation."""
        if not self._bells:
            return
        numbers = await database_sync_to_async(_numbers)(tuple(self._bells))
        for where, number in numbers.items():
            for bell in self._bells.get(where, ()):
                bell.look(number)

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
        """One channel for the whole process. A silence is broken by a word of our own, which has to come back."""
        layer = _layer()
        try:
            channel = await layer.new_channel()
            await layer.group_add(SIGNS, channel)
            is_asked = False
            coming = asyncio.ensure_future(layer.receive(channel))
            while True:
                await asyncio.wait({coming}, timeout=QUIET_SECONDS)
                if coming.done():
                    yield
                    is_asked = False
                    if sign := _sign(coming.result()):
                        self.signs.put(sign)
                    coming = asyncio.ensure_future(layer.receive(channel))
                elif is_asked:
                    raise TimeoutError("no answer")
                else:
                    is_asked = True
                    await _send({"type": "sign"})
        finally:
            with suppress(Exception):
                await layer.flush()  # a server that is gone may not be there to be told


async def _supervised(hear: Callable[[], AsyncIterator[None]]) -> None:
    """Hear for ever: whatever ends it is logged, and it is begun again after a pause, which grows until something is heard."""
    pause = POLL_SECONDS
    while True:
        try:
            async for _ in hear():
                pause = POLL_SECONDS
        except Exception as error:  # what is not Redis's is a fault of ours, and stops nobody from hearing the rest
            told = isinstance(error, (redis.RedisError, OSError, TimeoutError))
            log.warning("%s: nothing is heard from Redis (%r)", hear.__name__, error, exc_info=None if told else error)
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


def _hints(data: bytes) -> list[ChangeNotification]:
    """The hints of a message. What another version says in another form is skipped: the stream has it."""
    try:
        told = json.loads(data)
    except ValueError:
        told = None
    hints = [ChangeNotification(*values) for values in told if _fits(values, _HINT)] if isinstance(told, list) else []
    if not isinstance(told, list) or len(hints) < len(told):
        log.warning("hints that cannot be read: %.200r", data)
    return hints


_HINT: tuple[tuple[type, ...], ...] = ((int,), (int, NoneType), (int,))
_SIGN: tuple[tuple[type, ...], ...] = ((int,), (int,), (str,), (str,), (str,))
"""The types of each field of what Redis brings, which nothing behind this door looks at again."""


def _fits(values: Any, fields: Sequence[tuple[type, ...]]) -> bool:
    """Whether it is a list of just these types. True is no number."""
    if not isinstance(values, list) or len(values) != len(fields):
        return False
    return all(type(value) in types for value, types in zip(values, fields, strict=True))


def _sign(message: Mapping[str, Any]) -> PresenceSignal | None:
    """The sign in a message of the layer; None for a word that only asks whether somebody hears, or for another version's."""
    told: Any = message.get("sign")
    return PresenceSignal(*told) if _fits(told, _SIGN) and told[-1] in (GONE, *COUNTS_FOR) else None


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


def _news(seen: Mapping[int, int]) -> tuple[dict[int, int], list[ChangeNotification]]:
    """How far each of these tenants is stamped, and what was since `seen`: the newest operation of each conversation."""
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


def announce(hints: Iterable[ChangeNotification]) -> None:
    """Tell every process's sockets. Called after commit; never raises, because a hint may be lost."""
    hints = list(hints)
    if not _published(hints):
        hub.announce(hints)


def _published(hints: list[ChangeNotification]) -> bool:
    """Whether Redis has them, and hands them to every process, this one too."""
    if not settings.REDIS_URL:
        return False
    try:
        link().run(lambda client: client.publish(hints_channel(), json.dumps(hints)))
    except Away:
        return False  # readers of the stream will find what is in it
    return True


async def tell(sign: PresenceSignal) -> None:
    """Tell every process's sockets of a sign. Never raises, because it may be lost."""
    if not (settings.REDIS_URL and await _send({"type": "sign", "sign": list(sign)})):
        hub.tell(sign)


async def _send(message: dict[str, Any]) -> bool:
    """Whether the layer took it. A server that does not answer counts as away for everything else too."""
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
    """Only this file uses one, so none stands in CHANNEL_LAYERS, which would give each socket a subscription of its own."""
    return _layer_at(settings.REDIS_URL, settings.REDIS_PREFIX)


@cache
def _layer_at(url: str, prefix: str) -> Any:
    from channels_redis.pubsub import RedisPubSubChannelLayer  # not loaded where there is no Redis

    return RedisPubSubChannelLayer(
        hosts=[{"address": url, "socket_connect_timeout": QUIET_SECONDS}], prefix=f"{prefix}:"
    )
