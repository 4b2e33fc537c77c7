"""One piece of work in a process of its own, on a database of its own; prints its result as JSON, on the last line.

python benchmarks/rows/part.py fill|desk|layers|sweep|writers DATABASE_URL ARGUMENTS_IN_JSON
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any, TextIO

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import quantile, set_up
from rows import filling

BEGUN = "begun"
"""The first line of a piece of work that says when it begins."""


def begun(work: str, url: str, **arguments: Any) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, work, url, json.dumps(arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str], within: float) -> Any:
    try:
        told, _ = process.communicate(timeout=within)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise
    if process.returncode:
        raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
    return json.loads(told.splitlines()[-1])


def run(work: str, url: str, within: float, **arguments: Any) -> Any:
    return ended(begun(work, url, **arguments), within)


def fill(size: int) -> dict[str, Any]:
    return filling.fill(size).as_dict()


def desk(cookies: dict[str, str], rounds: int, calls: int) -> dict[str, Any]:
    """Server time of the desk's page for each of these logins, through the application and without a socket, in turns."""
    _as_in_production()
    from rows.figures import in_turns, times

    asks = {name: partial(_asked, "GET", "/desk/", HTTP_COOKIE=cookie) for name, cookie in cookies.items()}
    taken = in_turns(asks, rounds, calls)
    middles = {name: [round(quantile(one, 0.5) * 1000, 3) for one in of] for name, of in taken.items()}
    return {"times": times(taken), "p50_ms_by_round": middles}


def layers(people: dict[str, Any], times: int) -> dict[str, dict[str, float]]:
    """Percent of the time of each call by layer."""
    _as_in_production()
    from rows.layers import shares
    from rows.peers import Tandem, encoded

    tandem = Tandem("in process", 0, filling.People(**people))
    number, v1 = count(1), "/api/v1/"
    bot, channel = (f"Bearer {people[name]}" for name in ("bot", "channel"))
    asks = {
        "open a session": lambda: ("POST", "sessions", bot, encoded({"shop_id": "profile", "account_id": f"p{next(number)}"})),
        "a customer's message": lambda: (
            "POST", "inbound", channel,
            encoded({"conversation_id": str(people["ids"][next(number) % len(people["ids"])]), "content": filling.TEXT}),
        ),
        "list of 50": lambda: ("GET", "conversations?limit=50", channel, b""),
        "batch of 100": lambda: ("POST", "batches", channel, tandem.batch_of(100)),
        "batch of 1,000": lambda: ("POST", "batches", channel, tandem.batch_of(1000)),
    }  # fmt: skip

    def call(ask: Callable[[], tuple[str, str, str, bytes]]) -> None:
        method, path, key, body = ask()
        _asked(method, v1 + path, body, HTTP_AUTHORIZATION=key)

    found = {name: shares(partial(call, ask), times) for name, ask in asks.items()}
    page = partial(_asked, "GET", "/desk/", HTTP_COOKIE=people["viewer"])
    return found | {"the desk's page": shares(page, times)}


def _as_in_production() -> None:
    warnings.filterwarnings("ignore", "No directory at", UserWarning)
    from config import preload

    preload.load()


def _asked(method: str, path: str, body: bytes = b"", **headers: str) -> None:
    """A request, as a WSGI server hands it to the application."""
    from config.wsgi import application

    path, _, query = path.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query, "SCRIPT_NAME": "", "SERVER_NAME": "localhost",
        "SERVER_PORT": "80", "HTTP_HOST": "localhost", "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(body)), "HTTP_X_CSRFTOKEN": filling.CSRF,
        "wsgi.url_scheme": "http", "wsgi.input": BytesIO(body), "wsgi.errors": sys.stderr, **headers,
    }  # fmt: skip
    statuses: list[str] = []

    def start_response(status: str, headers: Any, error: Any = None) -> Callable[[bytes], None]:
        statuses.append(status)
        return lambda piece: None

    answer = application(environ, start_response)
    content = b"".join(answer)
    getattr(answer, "close", lambda: None)()
    assert statuses[0].startswith("20"), (statuses, content[:300])


def sweep() -> int:
    """Sweep until nothing is due. Says when it begins, so that nobody takes its imports for work."""
    from sessions_app.actions.sweep import sweep_due

    print(BEGUN, flush=True)
    swept = 0
    while done := sweep_due():
        swept += done
    return swept


def writers(conversation_id: int, count: int, seconds: float) -> int:
    """As many processes say something as the customer of one conversation, each as soon as its last message is stored."""
    _as_in_production()
    from django.db import connection

    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]  # each process makes its own
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
    begin = time.time() + 1
    pipes = [_forked(partial(_said_until, conversation_id, begin, begin + seconds)) for _ in range(count)]
    return sum(int(pipe.readline()) for pipe in pipes)


def _forked(work: Callable[[], int]) -> TextIO:
    reads, writes = os.pipe()
    if os.fork() == 0:
        os.write(writes, b"%d\n" % work())
        os._exit(0)
    os.close(writes)
    return os.fdopen(reads)


def _said_until(conversation_id: int, begin: float, end: float) -> int:
    from agents_app.actors import customer_actor
    from agents_app.models import Tenant
    from messaging_app.models import Conversation
    from messaging_app.thread import NewMessage
    from sessions_app.actions.inbound import receive_message

    tenant = Tenant.objects.get(pk=Conversation.objects.values_list("tenant_id", flat=True).get(pk=conversation_id))
    customer, said = customer_actor(tenant), 0
    time.sleep(max(0.0, begin - time.time()))
    while time.time() < end:
        receive_message(actor=customer, conversation_id=conversation_id, words=NewMessage(content=filling.TEXT))
        said += 1
    return said


WORKS: dict[str, Callable[..., Any]] = {
    "fill": fill,
    "desk": desk,
    "layers": layers,
    "sweep": sweep,
    "writers": writers,
}

if __name__ == "__main__":
    set_up(sys.argv[2])
    print(json.dumps(WORKS[sys.argv[1]](**json.loads(sys.argv[3]))))
