"""The socket of the join page: it tells that something moved, and is closed when the participation ends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from agents_app.connections import registry
from messaging_app import live
from sessions_app.actions import participants
from tests.cast import Chat
from tests.events.conftest import Socket, socket
from tests.joined.conftest import Guest, Invite

pytestmark = pytest.mark.django_db(transaction=True)

type Does = Callable[..., Awaitable[Any]]
in_thread: Does = lambda work, *args, **kwargs: sync_to_async(work)(*args, **kwargs)  # noqa: E731


def enter(chat: Chat, invite: Invite) -> Guest:
    chat.serve()
    return Guest(invite())


async def opened(line: Socket) -> None:
    assert await line.frame() == {"hello": True}
    assert await line.frame() == {"moved": True}


def address(guest: Guest) -> dict[str, str]:
    return {"path": f"/ws/joined/{guest.pk}/", "cookie": guest.cookie, "origin": "http://localhost"}


async def test_it_tells_that_something_was_said_and_not_what(hub: live.Hub, chat: Chat, invite: Invite) -> None:
    guest = await in_thread(enter, chat, invite)
    async with socket(**address(guest)) as line:
        await opened(line)
        await in_thread(chat.says, "secret")
        assert await line.frame() == {"moved": True}
        await line.say("ping")
        assert await line.frame() == {"pong": True}


async def test_removed_it_is_closed_at_once(
    hub: live.Hub, chat: Chat, invite: Invite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what is on record, and not by one of the looks that come by the clock."""
    monkeypatch.setattr(registry, "CHECK_SECONDS", 3600)
    monkeypatch.setattr(live, "POLL_SECONDS", 3600.0)
    guest = await in_thread(enter, chat, invite)
    async with socket(**address(guest)) as line:
        await opened(line)
        await in_thread(
            participants.remove_participant, actor=chat.cast.ann, conversation_id=chat.id, participant_id=guest.pk or 0
        )
        assert await line.frame() == {"closed": 4401}


async def test_removed_it_is_closed_although_the_hint_was_lost(hub: live.Hub, chat: Chat, invite: Invite) -> None:
    guest = await in_thread(enter, chat, invite)
    async with socket(**address(guest)) as line:
        await opened(line)
        loop, hub._loop = hub._loop, None  # nothing is announced; what looks once a second still looks
        await in_thread(chat.resolve)
        assert await line.frame() == {"closed": 4401}
        hub._loop = loop


async def test_a_browser_that_forgets_who_it_was_hears_nothing_more(hub: live.Hub, chat: Chat, invite: Invite) -> None:
    guest = await in_thread(enter, chat, invite)
    async with socket(**address(guest)) as line:
        await opened(line)
        await in_thread(guest.client.session.flush)
        await line.say("ping")
        assert await line.frame() == {"closed": 4401}


@pytest.mark.parametrize("who", ["nobody", "another guest", "removed"])
async def test_who_is_not_let_in(hub: live.Hub, chat: Chat, invite: Invite, who: str) -> None:
    guest = await in_thread(enter, chat, invite)
    asked = address(guest)
    if who == "nobody":
        asked |= {"cookie": ""}
    elif who == "another guest":
        other = await in_thread(lambda: Guest(invite(name="Gil")))
        asked |= {"cookie": other.cookie}
    else:
        await in_thread(
            participants.remove_participant, actor=chat.cast.ann, conversation_id=chat.id, participant_id=guest.pk or 0
        )
    async with socket(**asked) as line:
        assert await line.frame() == {"closed": 4401}
