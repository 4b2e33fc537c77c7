"""The peers over HTTP: the same work asked of each in its own words, on one connection."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from itertools import count
from typing import Any
from uuid import uuid4

from rows.figures import Call
from rows.filling import TEXT, People
from rows.http_client import Http

OPS = ("open", "post", "list")
ASKED = "您好，请问这个订单什么时候发货？"
_number = count(random.randrange(10**9))


def encoded(body: Any) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()


class Peer:
    """A running server and who calls it. `batch` gives a body of so many rows, of a tenth as many conversations."""

    def __init__(self, name: str, port: int) -> None:
        self.name, self.port = name, port

    def calls(self) -> dict[str, Call]:
        raise NotImplementedError

    def batch_of(self, rows: int) -> bytes:
        raise NotImplementedError

    def send_batch(self, body: bytes) -> None:
        raise NotImplementedError

    def message(self, number: int) -> tuple[str, bytes]:
        """Path and body of a customer's message, each number to another conversation."""
        raise NotImplementedError

    @property
    def headers(self) -> dict[str, str]:
        """Of whoever brings it."""
        raise NotImplementedError


class Baseline(Peer):
    def __init__(self, port: int, ids: list[str]) -> None:
        super().__init__("baseline", port)
        self.ids = ids
        self._http = Http(port, self.headers)

    def calls(self) -> dict[str, Call]:
        ask = self._http.expect
        said = encoded({"sender": "agent", "content": TEXT})
        return {
            "open": lambda: ask(
                "POST", "/sessions", encoded({"shop_id": next(_number), "user_id": f"u{next(_number)}"})
            ),
            "post": lambda: ask("POST", f"/sessions/{random.choice(self.ids)}/messages", said),
            "list": lambda: ask("GET", "/sessions?status=active&limit=50"),
        }

    def batch_of(self, rows: int) -> bytes:
        chosen = random.sample(self.ids, max(1, rows // 10))
        return encoded(
            [
                {
                    "message_id": uuid4().hex, "session_id": random.choice(chosen), "sender": "user", "content": ASKED,
                    "sent_at": "2026-01-01T00:00:00Z",
                }
                for _ in range(rows)
            ]
        )  # fmt: skip

    def send_batch(self, body: bytes) -> None:
        self._http.expect("POST", "/messages/batch", body)

    def message(self, number: int) -> tuple[str, bytes]:
        path = f"/sessions/{self.ids[number % len(self.ids)]}/messages"
        return path, encoded({"sender": "user", "content": ASKED})

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": "Bearer perf", "Content-Type": "application/json"}


class Tandem(Peer):
    def __init__(self, name: str, port: int, people: People) -> None:
        super().__init__(name, port)
        self.people = people
        self.bot = Http(port, self.headers | {"Authorization": f"Bearer {people.bot}"})
        self.channel = Http(port, self.headers)

    def calls(self) -> dict[str, Call]:
        opens = lambda: self.bot.expect(  # noqa: E731
            "POST", "/api/v1/sessions", encoded({"shop_id": f"s{next(_number)}", "account_id": f"u{next(_number)}"})
        )
        return {
            "open": opens,
            "post": self.posting(lambda: random.choice(self.people.ids)),
            "list": lambda: self.channel.expect("GET", "/api/v1/conversations?limit=50"),
        }

    def posting(self, to: Callable[[], int]) -> Call:
        return lambda: self.channel.expect(
            "POST", "/api/v1/inbound", encoded({"conversation_id": str(to()), "content": TEXT})
        )

    def thread(self) -> bytes:
        return self.channel.expect("GET", f"/api/v1/conversations/{random.choice(self.people.ids)}/messages?limit=50")

    def batch_of(self, rows: int) -> bytes:
        accounts = [f"b{next(_number)}" for _ in range(max(1, rows // 10))]
        return encoded(
            {
                "rows": [
                    {
                        "message_id": uuid4().hex, "shop_id": "7", "account_id": random.choice(accounts),
                        "sender_type": "customer", "content": ASKED, "timestamp": "2026-01-01T00:00:00Z",
                    }
                    for _ in range(rows)
                ]
            }
        )  # fmt: skip

    def send_batch(self, body: bytes) -> None:
        self.channel.expect("POST", "/api/v1/batches", body)

    def message(self, number: int) -> tuple[str, bytes]:
        pk = self.people.ids[number % len(self.people.ids)]
        return "/api/v1/inbound", encoded({"conversation_id": str(pk), "content": ASKED})

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.people.channel}", "Content-Type": "application/json"}


BASELINE_ROWS = (
    """insert into b_session(id, shop_id, user_id, kind, status, priority, msg_count, last_at, created_at)
       select gen_random_uuid(), g, 'seed' || g, 'robot', 'active', 1 + g %% 4, 1, now() - make_interval(secs => g), now()
       from generate_series(1, %s) g""",
    """insert into b_message(message_id, session_id, sender, content, sent_at)
       select gen_random_uuid()::text, id, 'user', 'hello', last_at from b_session""",
    "insert into b_operation(session_id, op, actor, detail, at) select id, 'create', 'seed', '{}', now() from b_session",
)


def fill_baseline(url: str, size: int) -> list[str]:
    """As many sessions as ours, each with one message, in the tables that it has made at its start."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(BASELINE_ROWS[0], [size])
        for statement in BASELINE_ROWS[1:]:
            connection.execute(statement)
        connection.execute("vacuum analyze")
        return [str(row[0]) for row in connection.execute("select id from b_session limit 5000")]
