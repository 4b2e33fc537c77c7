"""Sockets that carry hints: which conversation has moved, and to which operation. Never what was said.

A page that hears one refetches what it may see, under its own rights. Hints may be lost; a page that was away fetches
since the last number it has seen. Signs of presence go both ways: who looks at a conversation, and who types in it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from typing import Any, ClassVar

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings

from agents_app.actors import Actor, ActorKind, agent_actor, customer_actor
from agents_app.authentication import Principal
from agents_app.models import Agent
from agents_app.passes import Pass
from messaging_app import live
from messaging_app.models import Conversation
from messaging_app.signs import GONE, LOOKS, NOTES, REPLIES, Sign
from sessions_app import following, guests, queries
from sessions_app.actions import people, presence

COALESCE_SECONDS = 0.05
SIGN_SECONDS = 0.2
"""The pause after each sign that a page gives: one that gives too many is heard more slowly."""
NOT_LOGGED_IN = 4401
NOT_AN_AGENT = 4403
NOT_KEPT_UP = 4008


class HintConsumer(AsyncWebsocketConsumer):
    """A socket with tasks that forward the tenant's hints and signs. `pong` answers a page's `ping`."""

    gives: ClassVar[frozenset[str]] = frozenset({REPLIES, GONE})
    """The signs that this page's person may give."""
    actor: Actor | None = None
    at: int | None = None
    """The conversation that the person is at."""
    _tasks: tuple[asyncio.Task[None], ...] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._replying: set[str] = set()

    def begin(self, *work: Coroutine[Any, Any, None]) -> None:
        self._tasks = tuple(asyncio.create_task(one) for one in work)

    async def follow(self, tenant_id: int, only: int | None = None) -> None:
        try:
            async with live.hub.listening(tenant_id) as listener:
                await self.send(text_data='{"hello": true}')
                async for newest in _gathered(listener):
                    for conversation_id, seq in newest.items():
                        if only in (None, conversation_id):
                            await self.send(text_data=json.dumps({"conversation": conversation_id, "seq": seq}))
        except live.Overflow:
            await self.close(code=NOT_KEPT_UP)

    async def notice(self, tenant_id: int) -> None:
        async with live.hub.noticing(tenant_id) as signs:
            while True:
                await self.show(await signs.get())

    async def show(self, sign: Sign) -> None:
        does = "" if sign.who == _who(self.actor) else self.hears(sign)
        if does:
            told = {"conversation": sign.conversation_id, "who": sign.who, "name": sign.name, "does": does}
            await self.send(text_data=json.dumps({"sign": told}))

    def hears(self, sign: Sign) -> str:
        """What this page is told that somebody does; empty for nothing.

        Who is not of the desk is told that somebody writes to them, and that it is over: neither of looks nor of notes.
        """
        if sign.conversation_id != self.at:
            return ""
        if sign.does == REPLIES:
            self._replying.add(sign.who)
            return REPLIES
        if sign.who not in self._replying:
            return ""
        self._replying.remove(sign.who)
        return GONE

    async def disconnect(self, code: int) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.tell(GONE)

    async def refuse(self, code: int) -> None:
        """Accepted first, because a browser is not told why a handshake failed."""
        await self.accept()
        await self.close(code=code)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if text_data == "ping":
            await self.ping()
            return
        try:
            said = json.loads(text_data or "")
        except (ValueError, RecursionError):
            return  # nothing depends on a sign
        does = said.get("does") if isinstance(said, dict) else None
        if isinstance(does, str) and does in self.gives:
            await self.come_to(said.get("at"))
            await self.tell(does)
            await asyncio.sleep(SIGN_SECONDS)

    async def ping(self) -> None:
        await self.send(text_data='{"pong": true}')

    async def come_to(self, conversation_id: object) -> None:
        """The person turns to another conversation; where a page has but one, there is nowhere to go."""

    async def tell(self, does: str) -> None:
        if self.actor is None or self.at is None:
            return
        sign = Sign(self.actor.tenant_id, self.at, _who(self.actor), self.actor.name, does)
        await asyncio.to_thread(live.tell, sign)


def _who(actor: Actor | None) -> str:
    if actor is None:
        return ""
    return f"{actor.kind}:{actor.pk}" if actor.id else str(actor.kind)


async def _gathered(listener: live.Listener) -> AsyncIterator[dict[int | None, int]]:
    """What came within a moment, the newest operation of each conversation. Raises `Overflow`."""
    while True:
        hint = await listener.next()
        newest = {hint.conversation_id: hint.seq}
        with suppress(TimeoutError):
            async with asyncio.timeout(COALESCE_SECONDS):
                while True:
                    hint = await listener.next()
                    newest[hint.conversation_id] = max(hint.seq, newest.get(hint.conversation_id, 0))
        yield newest


class DeskConsumer(HintConsumer):
    """An agent's desk: hears of every conversation of the tenant. The ping is the agent's heartbeat."""

    gives = frozenset({LOOKS, REPLIES, NOTES, GONE})

    async def connect(self) -> None:
        user = self.scope.get("user")
        if user is None or not user.is_authenticated:
            await self.refuse(NOT_LOGGED_IN)
            return
        actor = await self._here(user.pk)
        if actor is None:
            await self.refuse(NOT_AN_AGENT)
            return
        self.actor = actor
        await self.accept()
        self.begin(self.follow(actor.tenant_id), self.notice(actor.tenant_id))

    def hears(self, sign: Sign) -> str:
        """Of colleagues, at the conversation that both look at; of customers everywhere, for the list."""
        return sign.does if sign.conversation_id == self.at or sign.who == ActorKind.CUSTOMER else ""

    async def come_to(self, conversation_id: object) -> None:
        """What is done there already is shown at once; of a conversation of another tenant nothing is."""
        if conversation_id == self.at:
            return
        await self.tell(GONE)
        self.at = await self._own(conversation_id)
        if self.actor is None or self.at is None:
            return
        for sign in live.hub.signs.of(self.actor.tenant_id, self.at):
            await self.show(sign)

    async def ping(self) -> None:
        """Whoever was logged out or dismissed meanwhile hears nothing more."""
        if not await self._is_logged_in():
            await self.close(code=NOT_LOGGED_IN)
        elif await self._here(self.scope["user"].pk) is None:
            await self.close(code=NOT_AN_AGENT)
        else:
            await super().ping()

    @database_sync_to_async
    def _here(self, user_id: Any) -> Actor | None:
        agent = Agent.objects.filter(user_id=user_id, user__is_active=True, is_active=True).first()
        if agent is None:
            return None
        actor = agent_actor(agent)
        presence.heartbeat(actor=actor)
        return actor

    @database_sync_to_async
    def _own(self, conversation_id: object) -> int | None:
        if self.actor is None or type(conversation_id) is not int or conversation_id.bit_length() > 63:
            return None
        own = Conversation.objects.filter(tenant_id=self.actor.tenant_id, pk=conversation_id)
        return own.values_list("pk", flat=True).first()

    @database_sync_to_async
    def _is_logged_in(self) -> bool:
        session = self.scope["session"]
        return bool(session.session_key and session.exists(session.session_key))


class TryItConsumer(HintConsumer):
    """The customer's side of the one conversation that the visitor's Django session names."""

    async def connect(self) -> None:
        found = await self._conversation() if settings.TRY_IT else None
        if found is None:
            await self.refuse(NOT_AN_AGENT)
            return
        self.actor, self.at = customer_actor(found.tenant), found.pk
        await self.accept()
        self.begin(self.follow(found.tenant_id, only=found.pk), self.notice(found.tenant_id))

    @database_sync_to_async
    def _conversation(self) -> Conversation | None:
        played = Conversation.objects.filter(pk=queries.played(self.scope["session"]) or 0)
        return played.select_related("tenant").first()


class JoinedConsumer(HintConsumer):
    """A participant's page. It is told that the conversation has moved, and closed within a second of the end.

    Each hint is held against the participant's row first, so that a removal closes the socket before it says anything.
    """

    async def connect(self) -> None:
        holder = await self._enter(self.scope["url_route"]["kwargs"]["participant_id"])
        if holder is None:
            await self.refuse(NOT_AN_AGENT)
            return
        self.actor, self.at = holder.actor, holder.actor.conversation_id
        await self.accept()
        self.begin(self._attend(holder), self.notice(holder.actor.tenant_id))

    async def _attend(self, holder: Pass) -> None:
        actor = holder.actor
        async with live.hub.following(
            actor.tenant_id, holder=holder, lapsed=following.lapsed, conversation_id=actor.conversation_id
        ) as bell:
            bell.when_lapsed = bell.ring
            await self.send(text_data='{"hello": true}')
            while True:
                bell.still()
                if await database_sync_to_async(following.lapsed)({holder}):
                    await self.close(code=NOT_AN_AGENT)
                    return
                await self.send(text_data='{"moved": true}')
                while not await bell.rings(settings.EVENT_HEARTBEAT):
                    pass
                await asyncio.sleep(COALESCE_SECONDS)

    async def ping(self) -> None:
        """A browser that has forgotten who it was, by a logout or an ended session, hears nothing more."""
        session = self.scope["session"]
        if await database_sync_to_async(session.exists)(session.session_key):
            await super().ping()
        else:
            await self.close(code=NOT_AN_AGENT)

    @database_sync_to_async
    def _enter(self, participant_id: int) -> Pass | None:
        participant = guests.joined(self.scope["session"], participant_id)
        holder = Pass(principal=Principal(people.as_actor(participant))) if participant else None
        return None if holder is None or following.lapsed({holder}) else holder


class NowhereConsumer(AsyncWebsocketConsumer):
    """Any other address: refused, instead of an error in the log."""

    async def connect(self) -> None:
        await self.close()
