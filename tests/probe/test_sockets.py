"""The same probe at the sockets: every one of them, by every credential, about one's own, another's and another tenant's.

The table has what docs/events.md says: + let in, k closed with 4401, - with 4403, 0 with 4404. Whoever comes from a `page` sends
its cookies and the origin of our pages; from `elsewhere`, those of another site; a `program` sends its key or token and no
origin; with a `ticket` comes whoever was given one, and all others with one that is made up. The `stream` is no socket, but
the same events by the same rights; its refusals are the statuses that the codes are named for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.test import Client

from config import asgi, buckets
from messaging_app import live
from tests.api.matrix import SOCKETS
from tests.events.conftest import hub
from tests.patience import PATIENCE
from tests.probe.conftest import unhurried
from tests.probe.test_probe import MATRIX
from tests.probe.world import CALLERS, World

__all__ = ["hub"]

pytestmark = pytest.mark.django_db(transaction=True)

TABLE = """
                                                      nobody junk revoked customer guest bot channel integrator narrow agent supervisor admin operator dismissed browser visitor
page      /ws/desk/                                   k      k    k       k        k     k   k       k          k      +     +          +     -        -         k       k
page      /ws/events/                                 k      k    k       k        k     k   k       k          k      +     +          +     k        k         k       k
page      /ws/events/?conversation={conversation}     kkk    kkk  kkk     kkk      kkk   kkk kkk     kkk        kkk    ++0   ++0        ++0   kkk      kkk       kkk     kkk
page      /ws/joined/{joined}/                        kkk    kkk  kkk     kkk      kkk   kkk kkk     kkk        kkk    kkk   kkk        kkk   kkk      kkk       +kk     kkk
page      /ws/try-it/                                 -      -    -       -        -     -   -       -          -      -     -          -     -        -         -       +
page      /ws/nowhere/                                0      0    0       0        0     0   0       0          0      0     0          0     0        0         0       0
elsewhere /ws/desk/                                   -      -    -       -        -     -   -       -          -      -     -          -     -        -         -       -
elsewhere /ws/events/                                 -      -    -       -        -     -   -       -          -      -     -          -     -        -         -       -
elsewhere /ws/joined/{joined}/                        ---    ---  ---     ---      ---   --- ---     ---        ---    ---   ---        ---   ---      ---       ---     ---
elsewhere /ws/try-it/                                 -      -    -       -        -     -   -       -          -      -     -          -     -        -         -       -
elsewhere /ws/nowhere/                                0      0    0       0        0     0   0       0          0      0     0          0     0        0         0       0
program   /ws/desk/                                   k      k    k       k        k     k   k       k          k      k     k          k     k        k         k       k
program   /ws/events/                                 k      k    k       k        k     k   k       k          k      k     k          k     k        k         k       k
program   /ws/joined/{joined}/                        kkk    kkk  kkk     kkk      kkk   kkk kkk     kkk        kkk    kkk   kkk        kkk   kkk      kkk       kkk     kkk
program   /ws/try-it/                                 k      k    k       k        k     k   k       k          k      k     k          k     k        k         k       k
program   /ws/nowhere/                                0      0    0       0        0     0   0       0          0      0     0          0     0        0         0       0
ticket    /ws/events/                                 k      k    k       +        +     +   +       +          k      +     +          +     k        k         k       k
ticket    /ws/events/?conversation={conversation}     kkk    kkk  kkk     +00      +00   +00 +00     ++0        kkk    ++0   ++0        ++0   kkk      kkk       kkk     kkk
ticket    /ws/desk/                                   0      0    0       0        0     0   0       0          0      0     0          0     0        0         0       0
ticket    /ws/joined/{joined}/                        000    000  000     000      000   000 000     000        000    000   000        000   000      000       000     000
ticket    /ws/try-it/                                 0      0    0       0        0     0   0       0          0      0     0          0     0        0         0       0
stream    /api/v1/events                              k      k    k       +        +     +   +       +          -      +     +          +     k        k         k       k
stream    /api/v1/events?conversation={conversation}  kkk    kkk  kkk     +00      +00   +00 +00     ++0        ---    ++0   ++0        ++0   kkk      kkk       kkk     kkk
"""
_HEAD, *_LINES = TABLE.strip().splitlines()
ROWS = {(way, path): dict(zip(_HEAD.split(), cells, strict=True)) for way, path, *cells in map(str.split, _LINES)}
LETTERS = {4401: "k", 4403: "-", 4404: "0", 401: "k", 403: "-", 404: "0", 200: "+"}
ORIGINS = {"page": "http://localhost", "elsewhere": "https://shop.example"}


@pytest.fixture
def world(transactional_db: None, tmp_path: Path) -> Iterator[World]:
    with unhurried(tmp_path):
        yield World(("served",))
    buckets.forget()  # what was asked here counts for nobody after it


def test_the_table_has_every_socket_and_everybody() -> None:
    assert tuple(_HEAD.split()) == CALLERS
    routes = {str(route.pattern) for way_in in (asgi.by_login, asgi.by_ticket) for route in _routes(way_in)}
    tried = {path.partition("?")[0].removeprefix("/") for way, path in ROWS if way != "stream"}
    named = {path.replace("{joined}", "<int:participant_id>").replace("ws/nowhere/", "") for path in tried}
    assert named == routes == set(SOCKETS)


@pytest.mark.parametrize("path", ["/ws/nope/", "/ws/events", "/ws/joined/anna/", "/"])
@pytest.mark.parametrize("origin", ["", *ORIGINS.values()])
async def test_where_there_is_no_socket_everybody_is_told_so(path: str, origin: str) -> None:
    """A program that forgot the slash was told that its credential is not valid."""
    headers = [(b"origin", origin.encode())] if origin else []
    scope = {"type": "websocket", "path": path, "query_string": b"", "headers": headers}
    talk = ApplicationCommunicator(asgi.application, scope)
    await talk.send_input({"type": "websocket.connect"})
    told = [await talk.receive_output(PATIENCE) for _ in range(2)]
    assert [one.get("code") for one in told] == [None, 4404]
    await talk.send_input({"type": "websocket.disconnect", "code": 1000})
    await talk.wait(PATIENCE)


def _routes(application: Any) -> list[Any]:
    """Of the router behind whatever is put around it."""
    while not hasattr(application, "routes"):
        application = getattr(application, "application", None) or application.inner
    return list(application.routes)


def test_the_stream_is_open_to_whom_the_matrix_lets_poll() -> None:
    """And so is a socket with a ticket, but for whoever is given none."""
    for asked in ("events", "events?conversation={conversation}"):
        polled = MATRIX["GET", asked, "served"]
        assert polled == {who: ROWS["stream", f"/api/v1/{asked}"][who] for who in polled}
    for who, letters in ROWS["ticket", "/ws/events/?conversation={conversation}"].items():
        assert letters == ROWS["stream", "/api/v1/events?conversation={conversation}"][who].replace("-", "k")


async def test_every_socket_lets_in_whom_the_table_says_and_tells_nobody_what_exists_elsewhere(
    hub: live.Hub, world: World
) -> None:
    """What names nothing is answered as what is another tenant's."""
    wrong = []
    for (way, path), cells in ROWS.items():
        for who, letters in cells.items():
            expected = dict(zip(("own", "other", "foreign"), letters, strict=False))
            for where, letter in (expected | ({"nothing": letters[2]} if letters[2:] else {})).items():
                found = await _knock(world, way, path.format_map(world.place(who, where, "served")), who)
                if found != letter:
                    wrong.append(f"{way} {path} by {who}, {where}: {found}, not {letter}")
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)


async def _knock(world: World, way: str, path: str, who: str) -> str:
    """Come by this way, and go again: the letter of what was answered."""
    client = world.client(who, "served")
    if way == "ticket":
        ticket = await sync_to_async(_ticket)(client)
        path += f"{'&' if '?' in path else '?'}ticket={ticket}"
    scope = _scope(way, path, client)
    talk = ApplicationCommunicator(asgi.application, scope)
    is_stream = way == "stream"
    begun = {"type": "http.request", "body": b"", "more_body": False} if is_stream else {"type": "websocket.connect"}
    await talk.send_input(begun)
    answer = await talk.receive_output(PATIENCE)
    if is_stream:
        found = LETTERS.get(answer["status"], str(answer["status"]))
    else:
        assert answer["type"] == "websocket.accept", "refused before it was accepted: nobody is told why"
        first = await talk.receive_output(PATIENCE)
        is_in = first["type"] == "websocket.send" and "hello" in first["text"]
        found = "+" if is_in else LETTERS.get(first.get("code", 0), str(first))
    await talk.send_input({"type": "http.disconnect"} if is_stream else {"type": "websocket.disconnect", "code": 1000})
    await talk.wait(PATIENCE)
    return found


def _ticket(client: Client) -> str:
    given = client.post("/api/v1/events/tickets", content_type="application/json")
    return str(json.loads(given.content)["ticket"]) if given.status_code == 201 else "made-up"


def _scope(way: str, path: str, client: Client) -> dict[str, Any]:
    plain, _, query = path.partition("?")
    cookie = client.cookies.get("sessionid")
    sent = {
        "origin": ORIGINS.get(way, ""),
        "cookie": f"sessionid={cookie.value}" if cookie and way != "ticket" else "",
        "authorization": str(client.defaults.get("HTTP_AUTHORIZATION", "")),
        "accept": "text/event-stream" if way == "stream" else "",
    }
    return {
        "type": "http" if way == "stream" else "websocket",
        "method": "GET",
        "path": plain,
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in sent.items() if value],
    }
