"""Stand-ins for other people's servers: real sockets on this machine, answers from the test, and what was asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseServer, StreamRequestHandler, ThreadingTCPServer
from threading import Event, Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.patience import PATIENCE


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


type Answers = Callable[[Asked], tuple[int, Any]]


@dataclass(slots=True)
class HttpStandIn:
    """`answers` says status and body (text, or something for JSON) to each request; `asked` keeps the requests.

    While `is_silent` a request gets no answer: it waits until the test is over.
    """

    answers: Answers = lambda asked: (200, {})
    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    is_silent: bool = False
    _over: Event = field(default_factory=Event)

    def answer(self, status: int, body: Any = None) -> None:
        """Say the same to everybody."""
        self.answers = lambda asked: (status, body)


@contextmanager
def http_stand_in() -> Iterator[HttpStandIn]:
    stand_in = HttpStandIn()

    class Handler(BaseHTTPRequestHandler):
        def handle_one(self) -> None:
            address = urlsplit(self.path)
            asked = Asked(
                self.command,
                address.path,
                dict(parse_qsl(address.query)),
                {name.lower(): value for name, value in self.headers.items()},
                self.rfile.read(int(self.headers.get("Content-Length") or 0)),
            )
            stand_in.asked.append(asked)
            if stand_in.is_silent:
                stand_in._over.wait(2 * PATIENCE)
            status, body = stand_in.answers(asked)
            data = (body if isinstance(body, str) else json.dumps(body)).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            if 300 <= status < 400:
                self.send_header("Location", f"{stand_in.url}/elsewhere")
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = handle_one  # noqa: N815 – the names http.server looks for

        def log_message(self, *args: Any) -> None:
            pass

    with _listening(_Http(("127.0.0.1", 0), Handler)) as port:
        stand_in.url = f"http://127.0.0.1:{port}"
        yield stand_in
        stand_in._over.set()


@dataclass(slots=True)
class MailStandIn:
    """A mail server that takes everything but for `refused` addresses; `mails` keeps what it took, headers and all."""

    port: int = 0
    mails: list[str] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    refusal: str = "550 no such mailbox here"
    is_silent: bool = False
    _over: Event = field(default_factory=Event)


@contextmanager
def mail_stand_in() -> Iterator[MailStandIn]:
    stand_in = MailStandIn()

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            if stand_in.is_silent:
                stand_in._over.wait(2 * PATIENCE)
                return
            self._say("220 stand-in")
            while line := self.rfile.readline().decode().strip():
                verb = line.split()[0].upper()
                if verb == "DATA":
                    self._say("354 go on")
                    lines = iter(lambda: self.rfile.readline().decode(), ".\r\n")
                    stand_in.mails.append("".join(lines).replace("\r\n", "\n"))
                    self._say("250 taken")
                elif verb == "RCPT" and any(address in line for address in stand_in.refused):
                    self._say(stand_in.refusal)
                else:
                    self._say("221 bye" if verb == "QUIT" else "250 well")

        def _say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

    with _listening(_Tcp(("127.0.0.1", 0), Handler)) as stand_in.port:
        yield stand_in
        stand_in._over.set()


class _Http(ThreadingHTTPServer):
    daemon_threads = False  # joined when the server closes: no test leaves a thread behind

    def handle_error(self, *args: Any) -> None:
        """Whoever asked did not wait for the answer: the test knows."""


class _Tcp(ThreadingTCPServer):
    def handle_error(self, *args: Any) -> None:
        """As above."""


@contextmanager
def _listening(server: BaseServer) -> Iterator[int]:
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1]  # type: ignore[index,misc]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def closed_port() -> int:
    """A port of this machine on which nobody listens."""
    with ThreadingTCPServer(("127.0.0.1", 0), StreamRequestHandler) as server:
        return int(server.server_address[1])
