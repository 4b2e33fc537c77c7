"""T8: what let somebody in can be revoked, and every socket and stream that it opened ends, by one mechanism.

Each line of the table is one cause, each column one open connection: x ends, . stays. All are open at once, and the test
itself makes the registry check: nothing here depends on how fast the machine is.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack, suppress
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from agents_app.actors import Actor
from agents_app.api.authentication import Principal
from agents_app.connections import credential
from agents_app.connections.credential import authenticate, issue_ticket
from agents_app.connections.registry import CHECK_SECONDS, Close, Connections
from agents_app.credentials.secrets import issue_key
from agents_app.credentials.tokens import issue_token
from agents_app.models import Agent, Tenant
from messaging_app import live, relay
from sessions_app.actions import departure, participants
from sessions_app.queries import TRY_IT
from tests.api.world import login_of
from tests.cast import Cast, Chat
from tests.events.conftest import Socket, Stream, hub, socket, stream
from tests.events.served import embedded
from tests.joined.conftest import Guest
from tests.patience import PATIENCE

__all__ = ["hub"]

pytestmark = pytest.mark.django_db(transaction=True)

in_thread: Callable[..., Awaitable[Any]] = lambda work, *args, **kwargs: sync_to_async(work)(*args, **kwargs)  # noqa: E731

OWN = {"origin": "http://localhost"}
TABLE = """
                      desk  sue_socket sue_ticket sue_stream key_socket key_stream customer_socket customer_stream guest_socket guest_stream join_page try_it ann_desk
nothing               .     .          .          .          .          .          .               .               .            .            .         .      .
logged_out            x     x          x          x          .          .          .               .               .            .            .         .      .
new_password          x     x          x          x          .          .          .               .               .            .            .         .      .
dismissed             x     x          x          x          .          .          .               .               .            .            .         .      .
login_deactivated     x     x          x          x          .          .          .               .               .            .            .         .      .
login_over            x     x          x          x          .          .          .               .               .            .            .         .      .
demoted               x     x          x          x          .          .          .               .               .            .            .         .      .
moved_to_other_tenant x     x          x          x          .          .          .               .               .            .            .         .      .
another_login         x     x          x          x          .          .          .               .               .            .            .         .      .
key_replaced          .     .          .          .          x          x          .               .               .            .            .         .      .
key_switched_off      .     .          .          .          x          x          .               .               .            .            .         .      .
scope_taken_away      .     .          .          .          x          x          .               .               .            .            .         .      .
kind_changed          .     .          .          .          x          x          .               .               .            .            .         .      .
scopes_widened        .     .          .          .          .          .          .               .               .            .            .         .      .
tokens_over           .     .          .          .          .          .          x               x               x            x            .         .      .
guest_removed         .     .          .          .          .          .          .               .               x            x            x         .      .
guest_left            .     .          .          .          .          .          .               .               x            x            x         .      .
work_ended            .     .          .          .          .          .          .               .               x            x            x         .      .
guests_browser_forgot .     .          .          .          .          .          .               .               .            .            x         .      .
visitor_forgot        .     .          .          .          .          .          .               .               .            .            .         x      .
try_it_switched_off   .     .          .          .          .          .          .               .               .            .            .         x      .
"""
_LINES = [line.split() for line in TABLE.strip().splitlines()]
KINDS = tuple(_LINES[0])
CELLS = {line[0]: dict(zip(KINDS, line[1:], strict=True)) for line in _LINES[1:]}


class Shop:
    """A conversation that Ann serves, with everybody who can be connected to it."""

    def __init__(self, cast: Cast, chat: Chat) -> None:
        self.cast, self.chat = cast, chat.serve()
        self.browsers = {name: Client() for name in ("sue", "ann")}
        for name, browser in self.browsers.items():
            browser.force_login(login_of(cast, name))
        self.user = login_of(cast, "sue")
        self.secret = issue_key(cast.bot_row("channel"))
        invited = participants.invite_participant(actor=cast.ann, conversation_id=chat.id, name="Gus")
        self.guest_browser = Guest(invited)
        self.guest: Actor = chat.participant_actor(invited.participant_id)
        self.visitor = Client()
        session = self.visitor.session
        session[TRY_IT] = {"account_id": chat.row.account_id, "conversation_id": chat.id}
        session.save()
        self.visitor.cookies["sessionid"] = session.session_key or ""

    def cookie(self, browser: Client) -> dict[str, str]:
        return {"cookie": f"sessionid={browser.cookies['sessionid'].value}"}

    def ticket(self, **by: Any) -> str:
        holder = authenticate(**by)
        assert holder
        return issue_ticket(holder)

    def say(self, text: str) -> None:
        self.chat.says(text)
        relay.stamp_all()

    # --- The connections ---

    async def open(self, kind: str, stack: AsyncExitStack) -> Socket | Stream:
        """One connection of this kind, which has begun."""
        sue, guest = self.cookie(self.browsers["sue"]), f"/ws/joined/{self.guest.pk}/"
        session_key = self.browsers["sue"].session.session_key if kind == "sue_ticket" else ""
        tokens = {"customer": issue_token(self.chat.customer), "guest": issue_token(self.guest), "key": self.secret}
        secret = tokens.get(kind.split("_", maxsplit=1)[0], "")
        if kind.endswith("_stream"):
            events = await stack.enter_async_context(stream(secret, **({} if secret else sue)))
            await events.block()
            return events
        if kind in ("customer_socket", "guest_socket", "key_socket", "sue_ticket"):
            by = {"session_key": session_key} if session_key else {"authorization": f"Bearer {secret}"}
            return await self._begun(stack, ticket=await in_thread(self.ticket, **by))
        paths = {
            "desk": {**sue, "path": "/ws/desk/"},
            "ann_desk": {**self.cookie(self.browsers["ann"]), "path": "/ws/desk/"},
            "sue_socket": sue,
            "join_page": {"cookie": self.guest_browser.cookie, "path": guest},
            "try_it": {**self.cookie(self.visitor), "path": "/ws/try-it/"},
        }
        return await self._begun(stack, **OWN, **paths[kind])

    async def _begun(self, stack: AsyncExitStack, **how: Any) -> Socket:
        line = await stack.enter_async_context(socket(**how))
        first = await line.frame()
        assert first.get("hello") or first.get("type") == "hello", first
        return line

    # --- The causes ---

    def nothing(self) -> None:
        pass

    def logged_out(self) -> None:
        assert self.browsers["sue"].post("/logout/").status_code == 302

    def new_password(self) -> None:
        self.user.set_password("another")
        self.user.save()

    def dismissed(self) -> None:
        departure.dismiss_agent(actor=self.cast.system, agent_id=self.cast.agent("sue").pk)

    def login_deactivated(self) -> None:
        self.user.is_active = False
        self.user.save()

    def login_over(self) -> None:
        key = self.browsers["sue"].cookies["sessionid"].value
        Session.objects.filter(session_key=key).update(expire_date=timezone.now() - timedelta(seconds=1))

    def demoted(self) -> None:
        self.cast.change("sue", role=Agent.Role.AGENT)

    def moved_to_other_tenant(self) -> None:
        self.cast.change("sue", tenant=Tenant.objects.create(slug="other", name="Other"))

    def another_login(self) -> None:
        """The agent is somebody else from now on."""
        self.cast.change("sue", user=get_user_model().objects.create_user("successor", password="x"))

    def key_replaced(self) -> None:
        issue_key(self.cast.bot_row("channel"))

    def key_switched_off(self) -> None:
        self.cast.change("channel", is_active=False)

    def scope_taken_away(self) -> None:
        """Not that of the events: what the texts need, for one, is another."""
        self.cast.change("channel", scopes=["events:read"])

    def kind_changed(self) -> None:
        self.cast.change("channel", kind="bot")

    def scopes_widened(self) -> None:
        """To what a key without scopes of its own has anyway, by name."""
        self.cast.change("channel", scopes=sorted(credential.scopes_of(self.cast.bot_row("channel"))))  # type: ignore[attr-defined]

    def guest_removed(self) -> None:
        participants.remove_participant(actor=self.cast.ann, conversation_id=self.chat.id, participant_id=self.guest.pk)

    def guest_left(self) -> None:
        participants.leave(actor=self.guest, conversation_id=self.chat.id)

    def work_ended(self) -> None:
        self.chat.resolve()

    def guests_browser_forgot(self) -> None:
        self.guest_browser.client.session.flush()

    def visitor_forgot(self) -> None:
        self.visitor.session.flush()


@pytest.fixture
def shop(cast: Cast, chat: Chat, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    settings.STATIC_ROOT, settings.TRY_IT = tmp_path, True
    monkeypatch.setattr("agents_app.connections.registry.CHECK_SECONDS", 3600)  # the tests check
    return Shop(cast, chat)


@pytest.fixture
def revoke(shop: Shop, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Awaitable[None]]:
    async def happen(cause: str) -> None:
        if cause == "tokens_over":
            over = time.time() + settings.TOKEN_LIFETIME + 1
            monkeypatch.setattr(credential, "time", SimpleNamespace(time=lambda: over))
        elif cause == "try_it_switched_off":
            settings.TRY_IT = False
        else:
            await in_thread(getattr(shop, cause))

    return happen


async def is_open(line: Socket | Stream) -> bool:
    """Whether it goes on: a socket answers a ping, a stream tells what is said next."""
    if isinstance(line, Socket):
        await line.say("ping")
        while "closed" not in (frame := await line.frame()):
            if frame.get("pong") or frame.get("type") == "pong":
                return True
        assert frame["closed"] == Close.NOT_AUTHENTICATED
        return False
    while block := await line.block():
        if "data" in block and (json.loads(block["data"]).get("message") or {}).get("content") == "after":
            return True
    return False


async def has_ended(line: Socket | Stream) -> bool:
    """Closed, without having been asked, and without a word of what was said afterwards."""
    if isinstance(line, Stream):
        return not await is_open(line)
    while "closed" not in (frame := await line.frame()):
        assert "after" not in json.dumps(frame)
    return bool(frame["closed"] == Close.NOT_AUTHENTICATED)


def registry() -> Connections:
    from agents_app.connections import registry as module

    return module.registry


@pytest.mark.parametrize("cause", CELLS)
async def test_t8_a_check_ends_what_was_revoked_and_nothing_else(
    hub: live.Hub, shop: Shop, revoke: Callable[[str], Awaitable[None]], cause: str
) -> None:
    async with AsyncExitStack() as stack:
        lines = {kind: await shop.open(kind, stack) for kind in KINDS}
        assert len(registry()) == len(KINDS)
        await revoke(cause)
        await registry().check()
        await in_thread(shop.say, "after")
        for kind, line in lines.items():
            ends = CELLS[cause][kind] == "x"
            assert await (has_ended(line) if ends else is_open(line)), f"{cause}, {kind}: {CELLS[cause][kind]} expected"


PINGED = {
    "desk": "logged_out",
    "sue_socket": "dismissed",
    "sue_ticket": "new_password",
    "key_socket": "key_replaced",
    "customer_socket": "tokens_over",
    "guest_socket": "guest_removed",
    "join_page": "guest_left",
    "try_it": "try_it_switched_off",
}


@pytest.mark.parametrize("kind", PINGED)
async def test_t8_a_ping_after_the_revocation_is_not_answered_though_nobody_has_checked(
    hub: live.Hub, shop: Shop, revoke: Callable[[str], Awaitable[None]], kind: str
) -> None:
    async with AsyncExitStack() as stack:
        line = await shop.open(kind, stack)
        assert await is_open(line)
        await revoke(PINGED[kind])
        assert not await is_open(line)


async def test_t8_a_revocation_on_record_is_checked_at_once_in_every_process_that_hears_of_it(
    hub: live.Hub, shop: Shop, revoke: Callable[[str], Awaitable[None]]
) -> None:
    """Nobody pings and no tick comes: what is the tenant's and no conversation's wakes the registry."""
    async with AsyncExitStack() as stack:
        line = await shop.open("desk", stack)
        await revoke("dismissed")
        hub.announce([live.ChangeNotification(shop.cast.tenant.pk, None, 0)])
        assert await has_ended(line)


async def test_t8_the_tick_ends_it_when_nobody_told(
    hub: live.Hub, shop: Shop, revoke: Callable[[str], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert CHECK_SECONDS <= 0.5  # so that a second is enough for the check and the closing too
    monkeypatch.setattr("agents_app.connections.registry.CHECK_SECONDS", CHECK_SECONDS)
    async with AsyncExitStack() as stack:
        lines = [await shop.open(kind, stack) for kind in ("desk", "sue_stream")]
        await revoke("logged_out")
        assert [await has_ended(line) for line in lines] == [True, True]


async def test_t8_a_database_that_is_away_ends_nobody_and_hides_no_revocation(
    hub: live.Hub, shop: Shop, revoke: Callable[[str], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = 1

    def sometimes(held: Any) -> Any:
        nonlocal failures
        if failures:
            failures -= 1
            raise OperationalError("gone away")
        return credential.which_are_revoked(held)

    monkeypatch.setattr("agents_app.connections.registry.CHECK_SECONDS", 0.01)
    async with AsyncExitStack() as stack:
        line = await shop.open("desk", stack)
        monkeypatch.setattr("agents_app.connections.registry.which_are_revoked", sometimes)
        assert await is_open(line)
        assert not failures
        failures = 1
        await revoke("logged_out")
        assert await has_ended(line)
    assert not failures


def test_t8_a_hundred_of_each_cost_as_many_queries_as_one_of_each(shop: Shop) -> None:
    def queries(guests: int) -> int:
        actors = [shop.guest, *(shop.chat.guest(name=f"guest {number}") for number in range(guests))]
        held = {authenticate(authorization=f"Bearer {issue_token(actor)}") for actor in (*actors, shop.chat.customer)}
        held |= {
            authenticate(authorization=f"Bearer {shop.secret}"),
            authenticate(session_key=shop.browsers["sue"].session.session_key),
        }
        held.add(
            credential.ConnectionCredential(
                principal=Principal(shop.guest), browser=shop.visitor.session.session_key or ""
            )
        )
        with CaptureQueriesContext(connection) as asked:
            assert credential.which_are_revoked({one for one in held if one}) == set()
        return len(asked)

    assert queries(0) == queries(100) == 5


# --- T6.5: how many ----------------------------------------------------------------------------------------------


async def test_t6_5_streams_and_sockets_of_a_key_are_bounded_and_the_open_ones_stay(
    hub: live.Hub, shop: Shop, settings: Any
) -> None:
    settings.STREAMS_PER_CREDENTIAL = 2
    async with AsyncExitStack() as stack:
        first = await shop.open("key_stream", stack)
        second = await shop.open("key_socket", stack)
        async with stream(shop.secret) as refused:
            assert refused.status == 429
            problem = await refused.problem()
            assert (problem["code"], problem["most"]) == ("too_many_connections", 2)
            assert (refused.headers["retry-after"], refused.headers["cache-control"]) == ("20", "no-store")
        async with socket(ticket=await in_thread(shop.ticket, authorization=f"Bearer {shop.secret}")) as refused_too:
            assert await refused_too.frame() == {"closed": Close.TOO_MANY}
        customer = await shop.open("customer_stream", stack)  # somebody else's are not counted
        await in_thread(shop.say, "after")
        assert [await is_open(line) for line in (first, second, customer)] == [True, True, True]
    async with AsyncExitStack() as stack:
        await shop.open("key_stream", stack)  # there is room again


@pytest.mark.parametrize("kind", ["desk", "join_page", "try_it"])
async def test_t6_5_so_are_those_of_a_page(hub: live.Hub, shop: Shop, settings: Any, kind: str) -> None:
    settings.STREAMS_PER_CREDENTIAL = 1
    async with AsyncExitStack() as stack:
        line = await shop.open(kind, stack)
        with pytest.raises(AssertionError, match=str(int(Close.TOO_MANY))):
            await shop.open(kind, stack)
        assert await is_open(line)


# --- A8: refused by a code that can be read ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"path": "/ws/events/"}, Close.NOT_AUTHENTICATED),
        ({"path": "/ws/events/", **OWN}, Close.NOT_AUTHENTICATED),
        ({"path": "/ws/events/", "ticket": "made-up"}, Close.NOT_AUTHENTICATED),
        ({"path": "/ws/events/", "origin": "https://evil.example"}, Close.FORBIDDEN),
        ({"path": "/ws/events/", "origin": "http://[bad"}, Close.FORBIDDEN),
        ({"path": "/ws/desk/"}, Close.NOT_AUTHENTICATED),
        ({"path": "/ws/desk/", **OWN}, Close.NOT_AUTHENTICATED),
        ({"path": "/ws/desk/", "origin": "https://evil.example"}, Close.FORBIDDEN),
        ({"path": "/ws/joined/1/"}, Close.NOT_AUTHENTICATED),
        ({"path": "/ws/joined/1/", **OWN}, Close.NOT_AUTHENTICATED),
        ({"path": "/ws/try-it/"}, Close.NOT_AUTHENTICATED),
        ({"path": "/ws/try-it/", **OWN}, Close.FORBIDDEN),
        ({"path": "/ws/nowhere/", **OWN}, Close.NOT_FOUND),
        ({"path": "/ws/desk/", "ticket": "made-up"}, Close.NOT_FOUND),
    ],
    ids=str,
)
async def test_a8_every_socket_that_is_refused_is_accepted_and_closed_with_a_code(
    hub: live.Hub, how: dict[str, Any], code: Close
) -> None:
    async with socket(**how) as line:
        assert await line.frame() == {"closed": code}


async def test_a8_a_login_that_is_no_agents_is_not_allowed_at_the_desk(hub: live.Hub, db: None) -> None:
    browser = Client()
    user = await in_thread(get_user_model().objects.create_user, "clerk", password="x")
    await in_thread(browser.force_login, user)
    cookie = f"sessionid={browser.cookies['sessionid'].value}"
    async with socket(cookie=cookie, path="/ws/desk/", **OWN) as line:
        assert await line.frame() == {"closed": Close.FORBIDDEN}


@pytest.mark.parametrize("end", ["guest_removed", "guest_left", "work_ended"])
def test_a8_a_token_whose_participation_has_ended_is_no_credential_any_more(shop: Shop, end: str) -> None:
    """401 at every address, as for a key that was switched off."""
    headers = {"Authorization": f"Bearer {issue_token(shop.guest)}"}
    asked = ("events", "conversations", f"conversations/{shop.chat.id}", f"conversations/{shop.chat.id}/messages")
    assert [Client().get(f"/api/v1/{path}", headers=headers).status_code for path in asked] == [200] * 4
    getattr(shop, end)()
    for path in asked:
        answer = Client().get(f"/api/v1/{path}", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated"), path
    sent = {"conversation_id": str(shop.chat.id), "content": "Still here?"}
    for path, body in (("messages", sent), ("events/tickets", {}), (f"conversations/{shop.chat.id}/leave", {})):
        answer = Client().post(f"/api/v1/{path}", body, content_type="application/json", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated"), path


# --- A real server -----------------------------------------------------------------------------------------------


@pytest.mark.services
@pytest.mark.first_database
def test_t8_a_real_server_closes_the_desk_and_the_streams_soon_after_a_logout_and_a_new_key(tmp_path: Path) -> None:
    """By two other processes' hands: a logout over HTTP, a key replaced by a command."""
    with embedded(tmp_path) as installation:
        installation.run(
            "from django.contrib.auth import get_user_model; from agents_app.models import Agent, Tenant; "
            "user = get_user_model().objects.create_user('maya', password='demo-demo'); "
            "Agent.objects.create(tenant=Tenant.objects.get(), user=user, name='Maya')"
        )
        url = installation.serve()
        with httpx.Client(base_url=url, timeout=PATIENCE) as browser, ExitStack() as stack:
            browser.get("/login/")
            form = {"username": "maya", "password": "demo-demo"}
            browser.post("/login/", data={**form, "csrfmiddlewaretoken": browser.cookies["csrftoken"]})
            cookie = f"sessionid={browser.cookies['sessionid']}"
            address = url.replace("http", "ws", 1)
            desk, events = (
                stack.enter_context(connect(f"{address}/ws/{path}/", additional_headers={"Cookie": cookie}, origin=url))  # type: ignore[call-overload]
                for path in ("desk", "events")
            )
            assert "hello" in json.loads(desk.recv(PATIENCE))
            assert json.loads(events.recv(PATIENCE))["type"] == "hello"
            headers = {"Authorization": f"Bearer {installation.people['key']}", "Accept": "text/event-stream"}
            keys = stack.enter_context(httpx.stream("GET", f"{url}/api/v1/events", headers=headers, timeout=PATIENCE))
            assert keys.status_code == 200

            browser.post("/logout/", data={"csrfmiddlewaretoken": browser.cookies["csrftoken"]})
            left = time.monotonic()
            for line in (desk, events):
                with suppress(ConnectionClosed):
                    while True:
                        line.recv(PATIENCE)
                assert line.close_code == Close.NOT_AUTHENTICATED
                assert line.close_reason == Close.NOT_AUTHENTICATED.reason
            print(f"\nclosed {time.monotonic() - left:.2f} s after the answer to the logout")

            installation.run(
                "from agents_app.credentials.secrets import issue_key; from agents_app.models import ApiClient; "
                f"issue_key(ApiClient.objects.get(key_prefix='{installation.people['key'].split('_')[1]}'))"
            )
            assert "event:" not in "".join(keys.iter_text())  # it ends, and nothing was told
