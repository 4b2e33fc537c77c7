"""Receivers of webhooks: real HTTP servers on this machine, well-behaved and otherwise."""

from __future__ import annotations

import json
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

from standardwebhooks import Webhook

from tests.patience import PATIENCE


@dataclass(frozen=True, slots=True)
class Got:
    """One webhook as it arrived."""

    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def signatures(self) -> list[str]:
        return self.headers["webhook-signature"].split(" ")

    def is_signed_with(self, secret: str) -> bool:
        """Whatever the time: the library's own check refuses what is older than five minutes."""
        at = datetime.fromtimestamp(int(self.headers["webhook-timestamp"]), UTC)
        return Webhook(secret).sign(self.id, at, self.body.decode()) in self.signatures


type Manner = Callable[["Receiver", BaseHTTPRequestHandler], None]


def answers(status: int, body: bytes = b"", **headers: str) -> Manner:
    def manner(receiver: Receiver, request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(body)

    return manner


@dataclass(slots=True, eq=False)
class Receiver:
    """Answers each request in the manner of `behaves`; `got` keeps what came, whatever was answered."""

    url: str = ""
    behaves: Manner = field(default=answers(200))
    got: list[Got] = field(default_factory=list)
    over: Event = field(default_factory=Event)

    @property
    def ids(self) -> list[str]:
        return [got.id for got in self.got]

    @property
    def positions(self) -> list[int]:
        return [got.json["data"]["pos"] for got in self.got]


def hangs(receiver: Receiver, request: BaseHTTPRequestHandler) -> None:
    """No answer at all, until the test is over."""
    receiver.over.wait(2 * PATIENCE)
    request.close_connection = True


def drips(receiver: Receiver, request: BaseHTTPRequestHandler) -> None:
    """A byte now and then: each read succeeds, and the answer never ends."""
    try:
        for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 10_000:
            request.wfile.write(bytes([byte]))
            request.wfile.flush()
            if receiver.over.wait(0.02):
                break
    except OSError:
        pass
    request.close_connection = True


def resets(receiver: Receiver, request: BaseHTTPRequestHandler) -> None:
    """The connection ends with a reset instead of an answer."""
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.connection.close()
    request.close_connection = True


def babbles(receiver: Receiver, request: BaseHTTPRequestHandler) -> None:
    """Something that is no HTTP."""
    request.wfile.write(b"220 mail.example ESMTP\r\n")
    request.close_connection = True


def never_ends(receiver: Receiver, request: BaseHTTPRequestHandler) -> None:
    """A success, with an answer that goes on for ever."""
    request.send_response(200)
    request.end_headers()
    try:
        while not receiver.over.is_set():
            request.wfile.write(b"a\x00" * 32_768)
    except OSError:
        pass
    request.close_connection = True


@contextmanager
def receiver(context: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            made.got.append(Got({name.lower(): value for name, value in self.headers.items()}, body))
            made.behaves(made, self)

        def finish(self) -> None:
            with suppress(OSError):  # the connection is gone, as it should be
                super().finish()

        def log_message(self, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # senders that give up are what many tests are about

    server = Server(("127.0.0.1", 0), Handler)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    made.url = f"{'https' if context else 'http'}://127.0.0.1:{server.server_port}/hook"
    try:
        yield made
    finally:
        made.over.set()
        server.shutdown()
        thread.join()
        server.server_close()
