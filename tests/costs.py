"""What the hot calls cost, counted and not timed: statements that are sent to the database, and functions that are called.

Each call goes through the application as a WSGI server calls it, from the first byte to the last, with commits that are
real. What is counted is the same on a fast machine and on a slow one; `tests/costs.toml` has the figures (`make costs`).
"""

from __future__ import annotations

import gc
import json
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client

from agents_app.actors import agent_actor, client_actor, customer_actor
from agents_app.credentials.secrets import issue_key
from agents_app.models import Agent, ApiClient, Tenant
from config import pipeline
from config.wsgi import application
from messaging_app import relay
from messaging_app.detection.defaults import install
from messaging_app.thread import NewMessage
from sessions_app.actions import conversations, inbound, lifecycle, messages, takeovers, transfers

FILE = Path(__file__).with_name("costs.toml")
PYTHON = ".".join(map(str, sys.version_info[:2]))
CONVERSATIONS, MESSAGES, ROWS = 52, 52, 100
"""More than a page of 50 has, and the rows of a batch."""
TIMES = 2
"""Calls of which the cheaper one counts: the other may have met a clock's turn. One before them fills what is kept in memory."""
CSRF = "c" * 32
TEXT = "您好，请问这个订单什么时候发货？"

_number = count(1)


@dataclass(frozen=True, slots=True)
class Cost:
    statements: int
    """What is sent to the database, the ends of transactions included."""
    calls: int
    """Functions that are called, Python's own included."""


class Counter:
    """Counts in this thread, between `with` and its end."""

    def __init__(self) -> None:
        self.calls = self.statements = 0

    def __enter__(self) -> Counter:
        codes, builtins = _statements()

        def seen(frame: Any, event: str, argument: Any) -> None:
            if event == "call":
                self.calls += 1
                if frame.f_code in codes:
                    self.statements += 1
            elif event == "c_call":
                self.calls += 1
                if argument.__name__ in builtins and type(argument.__self__).__module__ in builtins[argument.__name__]:
                    self.statements += 1

        gc.collect()
        gc.disable()  # what it frees, and when, is no cost of the call
        sys.setprofile(seen)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        gc.enable()
        self.calls -= 2  # of this method, and setprofile's own


def _statements() -> tuple[set[Any], dict[str, tuple[str, ...]]]:
    """Where a statement leaves for the database, whoever sends it: functions by their code, and SQLite's by their names."""
    if connection.vendor == "postgresql":
        import psycopg

        # What goes together in one exchange counts one by one, but for a COMMIT behind it.
        return {
            function.__code__
            for function in (
                psycopg.Cursor.execute, psycopg.Cursor.executemany, psycopg.Connection.commit, psycopg.Connection.rollback,
                pipeline._as_wrapped,
            )
        }, {}  # fmt: skip
    if connection.vendor == "mysql":
        from pymysql.connections import Connection

        return {function.__code__ for function in (Connection.query, Connection.commit, Connection.rollback)}, {}
    own = ("sqlite3", "django.db.backends.sqlite3.base")
    return set(), dict.fromkeys(("execute", "executemany", "commit", "rollback"), own)


# --- Who calls, and what -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    expected: int = 200

    def environ(self) -> dict[str, Any]:
        path, _, query = self.path.partition("?")
        return {
            "REQUEST_METHOD": self.method, "PATH_INFO": path, "QUERY_STRING": query, "SCRIPT_NAME": "",
            "SERVER_NAME": "localhost", "SERVER_PORT": "80", "HTTP_HOST": "localhost", "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1", "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(self.body)),
            "wsgi.url_scheme": "http", "wsgi.input": BytesIO(self.body), "wsgi.errors": sys.stderr,
            "wsgi.version": (1, 0), "wsgi.multithread": True, "wsgi.multiprocess": True, "wsgi.run_once": False,
            **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in self.headers},
        }  # fmt: skip


class World:
    """A shop with a bot, a channel and an agent who is logged in; conversations of each kind, made by the verbs."""

    def __init__(self) -> None:
        self.tenant = Tenant.objects.create(slug="costs", name="Costs")
        install(self.tenant)
        self.channel = ApiClient.objects.create(tenant=self.tenant, name="channel", kind=ApiClient.Kind.INTEGRATOR)
        self.helper = ApiClient.objects.create(tenant=self.tenant, name="helper")
        self.channel_key, self.bot_key = issue_key(self.channel), issue_key(self.helper)
        there = {"availability": Agent.Availability.AVAILABLE, "last_seen_at": datetime.now(UTC), "is_heard": True}
        user = get_user_model().objects.create_user("maya@costs")
        self.agent = Agent.objects.create(tenant=self.tenant, user=user, name="Maya", max_load=1000, **there)
        browser = Client()
        browser.force_login(user)
        session = browser.cookies[settings.SESSION_COOKIE_NAME].value
        self.cookie = f"{settings.SESSION_COOKIE_NAME}={session}; {settings.CSRF_COOKIE_NAME}={CSRF}"
        self.bot, self.maya = client_actor(self.helper), agent_actor(self.agent)
        self.customer = customer_actor(self.tenant)
        for _ in range(CONVERSATIONS):
            self.with_bot()
        self.long = self.served()
        for number in range(MESSAGES):
            self.hears(self.long) if number % 2 else messages.post_message(
                actor=self.maya, conversation_id=self.long, words=NewMessage(content=TEXT)
            )
        self.quiet, self.empty = self.with_bot(), self.conversation()
        self.queued()
        conversations.resolve(actor=self.maya, conversation_id=self.served())
        while relay.stamp(self.tenant.pk):
            pass

    def conversation(self) -> int:
        made = lifecycle.conversation_for(actor=self.bot, shop_id="shop", account_id=f"account-{next(_number):05}")
        return int(made.pk)

    def with_bot(self) -> int:
        """A conversation in which the bot is live and the customer has said something."""
        pk = self.conversation()
        lifecycle.open_session(actor=self.bot, conversation_id=pk, robot=True)
        self.hears(pk)
        return pk

    def hears(self, pk: int) -> None:
        inbound.receive_message(actor=self.customer, conversation_id=pk, words=NewMessage(content=TEXT))

    def served(self) -> int:
        pk = self.with_bot()
        takeovers.take_over(actor=self.maya, conversation_id=pk)
        return pk

    def queued(self) -> int:
        """The transfer of a conversation that waits for a human."""
        pk = self.with_bot()
        asked = transfers.request_transfer(actor=self.bot, conversation_id=pk, reason="a human, please")
        assert asked.transfer_id
        return asked.transfer_id

    # --- Whose request ---

    def channel_asks(self, method: str, path: str, body: Any = None, **more: Any) -> Request:
        return self._asks((("authorization", f"Bearer {self.channel_key}"),), method, f"/api/v1/{path}", body, **more)

    def bot_asks(self, method: str, path: str, body: Any = None, **more: Any) -> Request:
        return self._asks((("authorization", f"Bearer {self.bot_key}"),), method, f"/api/v1/{path}", body, **more)

    def maya_asks(self, method: str, path: str, body: Any = None, *, part: bool = False, **more: Any) -> Request:
        headers = (("cookie", self.cookie), ("x-csrftoken", CSRF), *((("hx-request", "true"),) if part else ()))
        return self._asks(headers, method, path, body, **more)

    def _asks(
        self, headers: tuple[tuple[str, str], ...], method: str, path: str, body: Any, expected: int = 200
    ) -> Request:
        sent = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
        return Request(method, path, sent, headers, expected)

    def batch(self, number: int) -> Request:
        """100 messages of ten customers; the same number is the same batch."""
        rows = [
            {
                "message_id": f"batch-{number:05}-{place:03}", "shop_id": "shop", "account_id": f"batch-{number:05}-{place % 10}",
                "sender_type": "customer", "content": TEXT, "timestamp": f"2026-01-01T00:{place % 60:02}:00Z",
            }
            for place in range(ROWS)
        ]  # fmt: skip
        return self.channel_asks("POST", "batches", {"rows": rows})


def hot_calls(world: World) -> dict[str, Callable[[], Request]]:
    """By name what makes the next request; what that takes is not counted."""
    place = {"shop_id": "shop"}
    say = {"content": TEXT}
    return {
        # What is read, in the world as it was made: first, because what is written is in the lists from then on
        "list of 50": lambda: world.channel_asks("GET", "conversations?limit=50"),
        "a conversation": lambda: world.channel_asks("GET", f"conversations/{world.long}"),
        "50 messages": lambda: world.channel_asks("GET", f"conversations/{world.long}/messages?limit=50"),
        "50 operations": lambda: world.channel_asks("GET", f"conversations/{world.long}/timeline?limit=50"),
        "50 sessions": lambda: world.channel_asks("GET", "sessions?limit=50"),
        "transfers": lambda: world.channel_asks("GET", "transfers?limit=50"),
        "50 events": lambda: world.channel_asks("GET", "events?after=0&limit=50"),
        "no events": lambda: world.channel_asks("GET", "events?limit=50"),
        "nobody's key": lambda: Request(
            "GET", "/api/v1/conversations", headers=(("authorization", "Bearer tdm_none_none"),), expected=401
        ),
        "is it ready": lambda: Request("GET", "/api/v1/health/ready"),
        "the desk": lambda: world.maya_asks("GET", "/desk/"),
        "the desk's list": lambda: world.maya_asks("GET", "/desk/list/", part=True),
        "the desk's list, mine": lambda: world.maya_asks("GET", "/desk/list/?view=mine", part=True),
        "search of the list": lambda: world.maya_asks("GET", "/desk/list/?q=account-00001", part=True),
        "the thread, a whole page": lambda: world.maya_asks("GET", f"/desk/c/{world.long}/"),
        "the thread": lambda: world.maya_asks("GET", f"/desk/c/{world.long}/", part=True),
        "an empty thread": lambda: world.maya_asks("GET", f"/desk/c/{world.empty}/", part=True),
        "nothing new": lambda: world.maya_asks("GET", f"/desk/c/{world.long}/news/?seq=999999", part=True),
        # What programs write
        "open a session": lambda: world.bot_asks(
            "POST", "sessions", {**place, "account_id": f"new-{next(_number):05}"}, expected=201
        ),
        "open again, in a conversation that is there": lambda: world.bot_asks(
            "POST", "sessions", {"conversation_id": str(world.conversation())}, expected=201
        ),
        "a customer's message": lambda: world.channel_asks(
            "POST", "inbound", {"conversation_id": str(world.quiet), **say}, expected=201
        ),
        "a customer's first message": lambda: world.channel_asks(
            "POST", "inbound", {**place, "account_id": f"new-{next(_number):05}", **say}, expected=201
        ),
        "a customer's message to an agent": lambda: world.channel_asks(
            "POST", "inbound", {"conversation_id": str(world.long), **say}, expected=201
        ),
        "a bot's message": lambda: world.bot_asks(
            "POST", "messages", {"conversation_id": str(world.quiet), "epoch": 1, **say}, expected=201
        ),
        "ask for a human": lambda: world.bot_asks("POST", f"conversations/{world.with_bot()}/escalate", {}),
        "batch of 100": lambda: world.batch(next(_number)),
        "the same batch again": lambda: world.batch(0),
        # What agents write
        "an agent's message": lambda: world.maya_asks(
            "POST", "/api/v1/messages", {"conversation_id": str(world.long), **say}, expected=201
        ),
        "accept a transfer": lambda: world.maya_asks("POST", f"/api/v1/transfers/{world.queued()}/accept", {}),
        "take over": lambda: world.maya_asks("POST", f"/api/v1/conversations/{world.with_bot()}/take-over", {}),
        "resolve": lambda: world.maya_asks("POST", f"/api/v1/conversations/{world.served()}/resolve", {}),
    }


def cost_of(call: Callable[[], Request]) -> Cost:
    """The least that one of several such requests costs, after one that is not counted."""
    _answered(call(), nullcontext())
    costs = []
    for _ in range(TIMES):
        counter = Counter()
        _answered(call(), counter)
        costs.append(Cost(counter.statements, counter.calls))
    return Cost(min(cost.statements for cost in costs), min(cost.calls for cost in costs))


def _answered(request: Request, counting: AbstractContextManager[object]) -> None:
    environ, answered = request.environ(), []

    def start_response(status: str, headers: Any, error: Any = None) -> Callable[[bytes], None]:
        answered.append(status)
        return lambda piece: None

    with counting:
        body = application(environ, start_response)
        content = b"".join(body)
        getattr(body, "close", lambda: None)()
    assert answered[0].startswith(str(request.expected)), (request.method, request.path, answered, content[:500])


# --- The figures -------------------------------------------------------------------------------------------------


def figures() -> dict[str, Any]:
    return tomllib.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}


def write(kind: str, held: dict[str, int], vendor: str = "") -> None:
    """Put what was counted into the file, in place of what it said of this kind (on this database)."""
    kept = figures()
    if vendor:
        kept.setdefault(kind, {})[vendor] = held
    else:
        kept[kind] = held
    if kind == "calls":
        kept["python"] = PYTHON
    fresh = FILE.with_suffix(".new")  # others may be reading it
    fresh.write_text("\n".join(_lines(kept)) + "\n", encoding="utf-8")
    fresh.replace(FILE)


def _lines(kept: dict[str, Any]) -> Iterator[str]:
    yield "# What each hot call and each address may cost (tests/costs.py). Made by `make costs`; docs/testing.md says when."
    yield "# Calls of functions are held on SQLite by this version of Python: another one's library makes others."
    yield f'python = "{kept.pop("python", PYTHON)}"'
    for kind, tables in kept.items():
        by_vendor = {f"{kind}.{vendor}": of for vendor, of in sorted(tables.items()) if isinstance(of, dict)}
        for title, table in (by_vendor or {kind: tables}).items():
            yield f"\n[{title}]"
            yield from (f"{json.dumps(name)} = {figure}" for name, figure in table.items())
