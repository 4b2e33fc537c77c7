"""Sockets of pages: they send hints, that is which conversation has moved, and to which operation. Never what was said.

A page that gets a hint fetches what it may see, under its own rights. Hints may be lost; a page that was away fetches
since the last number it has seen. Presence signals go both ways: who looks at a conversation, and who types in it.

Each socket is in the registry of `agents_app.connections`, which closes it when its credential is revoked.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from functools import lru_cache
from typing import Any, ClassVar

from channels.consumer import get_handler_name
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings

from agents_app.actors import Actor, ActorKind, customer_actor
from agents_app.api.authentication import Principal
from agents_app.connections import credential, registry
from agents_app.connections.credential import ConnectionCredential
from agents_app.connections.registry import Close, Connection, TooManyConnections
from messaging_app import live
from messaging_app.models import Conversation
from messaging_app.presence_signals import GONE, LOOKS, NOTES, REPLIES, PresenceSignal
from sessions_app import queries
from sessions_app.actions import participants, presence
from sessions_app.queries import guest

log = logging.getLogger(__name__)

COALESCE_SECONDS = 0.05
SIGN_SECONDS = 0.2
"""Seconds of the pause after each signal of a page: one that sends too many is read more slowly."""


class HintConsumer(AsyncWebsocketConsumer):
    """A socket with tasks that forward the tenant's hints and presence signals. `pong` answers a page's `ping`."""

    channel_layer_alias = "none"  # hints and signals come by the hub: a socket needs no channel, and no Redis

    gives: ClassVar[frozenset[str]] = frozenset({REPLIES, GONE})
    """The presence signals that this page may send."""
    actor: Actor | None = None
    at: int | None = None
    """The id of the conversation that the person looks at."""
    connection: Connection | None = None
    _tasks: tuple[asyncio.Task[None], ...] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]  # channels is not annotated
        self._replying: set[str] = set()
        self._closing: asyncio.Task[None] | None = None

    async def __call__(self, *args: Any, **kwargs: Any) -> None:
        """However the socket ends, also by an error, its connection is taken out of the registry."""
        try:
            await super().__call__(*args, **kwargs)  # type: ignore[no-untyped-call]
        finally:
            self._stop()
            if self.connection:
                registry.registry.close(self.connection)

    async def dispatch(self, message: Any) -> None:
        """As Channels does it, but without a hop to a thread for each message: whatever queries here does so in a thread
        of its own, and closes old connections there.
        """
        await getattr(self, get_handler_name(message))(message)

    async def admit(self, holder: ConnectionCredential, *, is_allowed: Callable[[], bool] = lambda: True) -> bool:
        """Accept the socket for as long as its credential counts; False when there are too many, and it is closed."""
        try:
            self.connection = registry.registry.open(holder, end=self._revoked, is_allowed=is_allowed)
        except TooManyConnections:
            await self.refuse(Close.TOO_MANY)
            return False
        self.actor = holder.actor
        await self.accept()
        return True

    def begin(self, *work: Coroutine[Any, Any, None]) -> None:
        self._tasks = tuple(asyncio.create_task(self._or_close(each)) for each in work)

    async def _or_close(self, work: Coroutine[Any, Any, None]) -> None:
        """Close the socket if its task fails: a page waits at a silent one for ever, and returns to a closed one."""
        try:
            await work
        except Exception:
            log.exception("a socket was closed: it could not follow")
            await self.end(Close.TRY_AGAIN)

    def _revoked(self) -> None:
        """Nothing more is sent from now on, however long the closing takes."""
        self._stop()
        if self._closing is None:
            self._closing = asyncio.create_task(self.end(Close.NOT_AUTHENTICATED))

    def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def is_verified(self) -> bool:
        """Whether the socket's credential counts at this moment."""
        return self.connection is not None and await registry.registry.verified(self.connection)

    async def follow(self, tenant_id: int, only: int | None = None) -> None:
        try:
            async with live.hub.listening(tenant_id) as listener:
                await self.send(text_data='{"hello": true}')
                async for newest in _gathered(listener):
                    for conversation_id, seq in newest.items():
                        if only in (None, conversation_id):
                            await self.send(text_data=_moved(conversation_id, seq))
        except live.Overflow:
            await self.end(Close.NOT_READING)

    async def notice(self, tenant_id: int) -> None:
        async with live.hub.following_signals(tenant_id) as signs:
            while True:
                await self.show(await signs.get())

    async def show(self, signal: PresenceSignal) -> None:
        does = "" if signal.who == _who(self.actor) else self.hears(signal)
        if does:
            payload = {"conversation": signal.conversation_id, "who": signal.who, "name": signal.name, "does": does}
            await self.send(text_data=json.dumps({"sign": payload}))

    def hears(self, signal: PresenceSignal) -> str:
        """What the page shows of a signal; empty for nothing.

        Outside the desk a page learns that somebody writes a reply, and that it is over: neither of looks nor of notes.
        """
        if signal.conversation_id != self.at:
            return ""
        if signal.does == REPLIES:
            self._replying.add(signal.who)
            return REPLIES
        if signal.who not in self._replying:
            return ""
        self._replying.remove(signal.who)
        return GONE

    async def disconnect(self, code: int) -> None:
        self._stop()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.tell(GONE)

    async def refuse(self, code: Close) -> None:
        """Accepted first, because a browser is not told why a handshake failed."""
        await self.accept()
        await self.end(code)

    async def end(self, code: Close) -> None:
        await self.close(code=int(code), reason=code.reason)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if self.connection is None or self.connection.is_revoked:
            return
        if text_data == "ping":
            if await self.is_verified():
                await self.ping()
            return
        try:
            frame = json.loads(text_data or "")
        except (ValueError, RecursionError):
            return  # nothing depends on a signal
        does = frame.get("does") if isinstance(frame, dict) else None
        if isinstance(does, str) and does in self.gives:
            await self.come_to(frame.get("at"))
            await self.tell(does)
            await asyncio.sleep(SIGN_SECONDS)

    async def ping(self) -> None:
        await self.send(text_data='{"pong": true}')

    async def come_to(self, conversation_id: object) -> None:
        """The person turns to another conversation. Does nothing on a page that has only one."""

    async def tell(self, does: str) -> None:
        if self.actor is None or self.at is None:
            return
        signal = PresenceSignal(self.actor.tenant_id, self.at, _who(self.actor), self.actor.name, does)
        await live.send_signal(signal)


def _who(actor: Actor | None) -> str:
    if actor is None:
        return ""
    return f"{actor.kind}:{actor.pk}" if actor.id else str(actor.kind)


async def _gathered(listener: live.Listener) -> AsyncIterator[dict[int | None, int]]:
    """Hints by conversation, its newest operation: the first at once, then those of each `COALESCE_SECONDS` together.

    They are taken out of the queue as they come, so that a burst does not fill it. Raises `Overflow`.
    """
    newest: dict[int | None, int] = {}

    async def take() -> None:
        hint = await listener.next()
        newest[hint.conversation_id] = max(hint.seq, newest.get(hint.conversation_id, 0))

    while True:
        if not newest:
            await take()
        yield newest.copy()
        newest.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(COALESCE_SECONDS):
                while True:
                    await take()


@lru_cache
def _moved(conversation_id: int, seq: int) -> str:
    """What every page is sent of a hint, made once."""
    return json.dumps({"conversation": conversation_id, "seq": seq})


class DeskConsumer(HintConsumer):
    """An agent's desk: it gets hints of every conversation of the tenant. The ping is the agent's heartbeat."""

    gives = frozenset({LOOKS, REPLIES, NOTES, GONE})

    async def connect(self) -> None:
        user = self.scope.get("user")
        if user is None or not user.is_authenticated:
            await self.refuse(Close.NOT_AUTHENTICATED)
            return
        holder = await self._enter()
        if holder is None:
            await self.refuse(Close.FORBIDDEN)
        elif await self.admit(holder):
            self.begin(self.follow(holder.actor.tenant_id), self.notice(holder.actor.tenant_id))

    def hears(self, signal: PresenceSignal) -> str:
        """Signals of colleagues in the conversation that both look at; those of customers in all, for the list."""
        return signal.does if signal.conversation_id == self.at or signal.who == ActorKind.CUSTOMER else ""

    async def come_to(self, conversation_id: object) -> None:
        """Show at once who looks or types there; a conversation of another tenant counts as none."""
        if conversation_id == self.at:
            return
        await self.tell(GONE)
        self.at = await self._own(conversation_id)
        if self.actor is None or self.at is None:
            return
        for signal in live.hub.signs.of(self.actor.tenant_id, self.at):
            await self.show(signal)

    async def ping(self) -> None:
        if self.actor:
            await database_sync_to_async(presence.heartbeat)(actor=self.actor)
        await super().ping()

    @database_sync_to_async
    def _enter(self) -> ConnectionCredential | None:
        """The credential of an agent who has logged in; None for anybody else."""
        holder = credential.authenticate(session_key=self.scope["session"].session_key)
        if holder:
            presence.heartbeat(actor=holder.actor)
        return holder

    @database_sync_to_async
    def _own(self, conversation_id: object) -> int | None:
        if self.actor is None or type(conversation_id) is not int or conversation_id.bit_length() > 63:
            return None
        own = Conversation.objects.filter(tenant_id=self.actor.tenant_id, pk=conversation_id)
        return own.values_list("pk", flat=True).first()


class TryItConsumer(HintConsumer):
    """The customer's side of the one conversation that the visitor's Django session names."""

    async def connect(self) -> None:
        conversation = await self._conversation() if settings.TRY_IT else None
        if conversation is None:
            await self.refuse(Close.FORBIDDEN)
            return
        actor = customer_actor(conversation.tenant, conversation.pk)
        holder = ConnectionCredential(principal=Principal(actor), browser=self.scope["session"].session_key or "")
        if await self.admit(holder, is_allowed=lambda: bool(settings.TRY_IT)):
            self.at = conversation.pk
            self.begin(self.follow(conversation.tenant_id, only=conversation.pk), self.notice(conversation.tenant_id))

    @database_sync_to_async
    def _conversation(self) -> Conversation | None:
        played = Conversation.objects.filter(pk=queries.played(self.scope["session"]) or 0)
        return played.select_related("tenant").first()


class JoinedConsumer(HintConsumer):
    """A participant's page. It learns that the conversation has moved, and nothing more.

    Each time the credential is verified first, so that a removal closes the socket before it sends anything.
    """

    async def connect(self) -> None:
        holder = await self._enter(self.scope["url_route"]["kwargs"]["participant_id"])
        if holder is None:
            await self.refuse(Close.NOT_AUTHENTICATED)
        elif await self.admit(holder):
            self.at = holder.actor.conversation_id
            self.begin(self._attend(holder.actor), self.notice(holder.actor.tenant_id))

    async def _attend(self, actor: Actor) -> None:
        async with live.hub.following(actor.tenant_id, conversation_id=actor.conversation_id) as waiter:
            await self.send(text_data='{"hello": true}')
            while True:
                waiter.clear()
                if not await self.is_verified():
                    return  # the socket is being closed
                await self.send(text_data='{"moved": true}')
                await asyncio.sleep(COALESCE_SECONDS)  # what moves meanwhile is told together
                while not await waiter.wait(settings.EVENT_HEARTBEAT):
                    pass

    @database_sync_to_async
    def _enter(self, participant_id: int) -> ConnectionCredential | None:
        """The credential of the participant whose link this browser used. It ends with the browser's session too."""
        session = self.scope["session"]
        participant = guest.joined(session, participant_id)
        if participant is None:
            return None
        holder = ConnectionCredential(
            principal=Principal(participants.as_actor(participant)), browser=session.session_key
        )
        return None if credential.which_are_revoked({holder}) else holder


class NowhereConsumer(AsyncWebsocketConsumer):
    """Any other address: closed with the reason, instead of an error in the log."""

    async def connect(self) -> None:
        await self.accept()
        await self.close(code=int(Close.NOT_FOUND), reason=Close.NOT_FOUND.reason)
