"""Bodies are bounded before anything of them is kept, by address and credential; slow senders are ended.

The server is a real one (daphne, as `manage.py serve` runs it), and clients write to its socket; beside it the same application as
another ASGI server would call it, and as a WSGI server would.
"""

from __future__ import annotations

import asyncio
import io
import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from django.db import OperationalError

from agents_app import origins
from agents_app.api import allowed_origins
from config.body_limit import MAX_TARGET
from config.wsgi import application as wsgi
from tests.api.serving import Served
from tests.cast import Cast
from tests.patience import PATIENCE, until

MB = 1_000_000


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that waits long for what is on its way: who is slow here is the machine."""
    served = Served(tmp_path_factory.mktemp("bodies"), before=_allow_the_shops_page, REQUEST_HEADER_TIMEOUT="300")
    yield served
    served.stop()


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that waits a second for headers, and for a body a second and what 1,000 bytes a second take."""
    patience = {"REQUEST_HEADER_TIMEOUT": "1", "REQUEST_MIN_RATE": "1000"}
    served = Served(tmp_path_factory.mktemp("impatient"), before=_allow_the_shops_page, **patience)
    yield served
    served.stop()


SHOP = "https://shop.example"
"""The page of another origin that the tenant allows."""


def _allow_the_shops_page(served: Served) -> None:
    change = f"from agents_app.models import Tenant; Tenant.objects.update(allowed_origins={SHOP!r})"
    served.run("manage.py", "shell", "-c", change)


class Wire:
    """A connection to which a test writes what it likes."""

    def __init__(self, served: Served) -> None:
        url = urlsplit(served.url)
        assert url.hostname
        assert url.port
        self.socket = socket.create_connection((url.hostname, url.port), timeout=PATIENCE)
        self.sent = 0

    def send(self, data: bytes) -> bool:
        """False once the other side takes nothing any more."""
        try:
            self.socket.sendall(data)
        except OSError:
            return False
        self.sent += len(data)
        return True

    def head(self, path: str, *headers: str, method: str = "POST") -> None:
        assert self.send("\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode())

    def has_answer(self) -> bool:
        self.socket.setblocking(False)
        try:
            return bool(self.socket.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return False
        finally:
            self.socket.settimeout(PATIENCE)

    def answer(self) -> tuple[int, str, bytes]:
        """Status, head and body, read until the connection ends."""
        read = bytearray()
        while piece := self.socket.recv(65536):
            read += piece
        head, _, body = bytes(read).partition(b"\r\n\r\n")
        return int(head.split(b" ", 2)[1]), head.decode().lower(), body


@pytest.fixture
def wire(served: Served) -> Iterator[Wire]:
    wire = Wire(served)
    yield wire
    wire.socket.close()


@pytest.fixture
def slow_wire(impatient: Served) -> Iterator[Wire]:
    wire = Wire(impatient)
    yield wire
    wire.socket.close()


@pytest.mark.parametrize("path", ["/login/", "/admin/login/", "/desk/", "/join/", "/nowhere/", "/desk/c/1/attach/"])
def test_t6_3_a_page_refuses_a_long_body_unread(wire: Wire, path: str) -> None:
    wire.head(path, f"Content-Length: {400 * MB}")
    status, head, body = wire.answer()
    assert status == 413
    assert "connection: close" in head
    assert b"at most 64,000 bytes" in body


@pytest.mark.parametrize("path", ["/login/", "/api/v1/inbound"])
def test_t6_3_a_body_in_chunks_is_refused_with_the_byte_that_is_too_many(wire: Wire, path: str) -> None:
    wire.head(path, "Transfer-Encoding: chunked")
    chunk = b"8000\r\n" + b"a" * 0x8000 + b"\r\n"
    while not wire.has_answer() and wire.sent < 50 * MB and wire.send(chunk):
        pass
    assert wire.answer()[0] == 413
    assert wire.sent < 20 * MB  # what lay in the sockets' buffers, and none of it on disk


@pytest.mark.parametrize("path", ["/api/v1/inbound", "/api/v1/batches", "/api/v1/conversations/1/attachments"])
def test_t6_3_the_api_takes_long_bodies_from_nobody(wire: Wire, path: str) -> None:
    wire.head(path, f"Content-Length: {5 * MB}", "Authorization: Bearer tdm_0_0")
    status, head, body = wire.answer()
    assert status == 413
    assert "application/problem+json" in head
    told = json.loads(body)
    assert told["code"] == "too_large"
    assert ("with a credential" in told["detail"]) is (path != "/api/v1/inbound")


def test_t6_3_a_credential_that_may_send_batches_and_files_sends_long_ones(served: Served) -> None:
    key = served.key("long", "integrator")
    rows = [
        {
            "message_id": f"m{n}",
            "shop_id": "s",
            "account_id": "a",
            "sender_type": "customer",
            "content": "x" * 4000,
            "timestamp": "2026-03-01T08:30:00Z",
        }
        for n in range(400)
    ]
    lines = "\n".join(json.dumps(row) for row in rows).encode()
    assert len(lines) > 1.5 * MB
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/x-ndjson"}
    with httpx.Client(base_url=served.url, headers=headers, timeout=PATIENCE) as client:
        stored = client.post("/api/v1/batches", content=lines)
        chunked = client.post("/api/v1/batches", content=(lines[at : at + 65536] for at in range(0, len(lines), 65536)))
        for answer in (stored, chunked):
            assert answer.status_code == 200, answer.text[:300]
            assert answer.json()["result"]["lines"] == 400
        refused = client.post("/api/v1/batches", content=b"x" * 51 * MB)
        assert (refused.status_code, refused.json()["detail"]) == (413, "A body has at most 50,000,000 bytes here.")
        assert client.post("/api/v1/inbound", content=b"x" * 2 * MB).status_code == 413


def test_t6_3_a_body_that_comes_too_slowly_is_ended(slow_wire: Wire) -> None:
    wire = slow_wire
    wire.head("/login/", "Content-Length: 5000")
    until(lambda: wire.has_answer() or not wire.send(b"a"))
    status, head, _ = wire.answer()
    assert (status, "connection: close" in head) == (408, True)
    assert wire.sent < 1000


def test_t6_3_headers_that_come_too_slowly_are_ended(slow_wire: Wire) -> None:
    wire = slow_wire
    assert wire.send(b"POST /login/ HTTP/1.1\r\n")
    until(lambda: wire.has_answer() or not wire.send(b"a"))
    assert wire.answer()[0] == 408


@pytest.mark.parametrize("path", [b"/login/", b"/api/v1/inbound"])
@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /login/?" + b"a" * 40_000, 414),
        (b"GET /login/ HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"a" * 40_000, 431),
        (b"GET /login/ HTTP/1.1\r\nHost: localhost\r\n" + b"X-Many: aaaaaaaaaaaaaaaaaaaa\r\n" * 1000, 431),
        (b"GET /login/ HTTP/1.1\r\nHost: localhost\r\n" + b"X: a\r\n" * 600, 431),
    ],
    ids=["address", "one header", "long headers", "many headers"],
)
def test_t6_3_address_and_headers_are_bounded(wire: Wire, head: bytes, status: int, path: bytes) -> None:
    wire.send(head.replace(b"/login/", path))
    told, headers, _ = wire.answer()
    assert (told, "application/problem+json" in headers) == (status, path.startswith(b"/api/"))


REFUSED: dict[str, tuple[int, str, tuple[str, ...]]] = {
    "a long body": (413, "/api/v1/inbound", (f"Content-Length: {5 * MB}",)),
    "a slow body": (408, "/api/v1/inbound", ("Content-Length: 5000",)),
    "a long address": (414, f"/api/v1/inbound?{'a' * MAX_TARGET}", ("Content-Length: 0", "Connection: close")),
    "a long header": (431, "/api/v1/inbound", ("Accept: */*", f"X-Long: {'a' * 40_000}")),
    "many headers": (431, "/api/v1/inbound", ("X: a",) * 600),
    "two lengths": (400, "/api/v1/inbound", ("Content-Length: 7", "Content-Length: 8")),
}


@pytest.mark.parametrize("way", REFUSED)
@pytest.mark.parametrize(("origin", "may_read"), [(SHOP, True), ("https://elsewhere.example", False)])
def test_a9_a_page_can_read_why_it_was_refused_before_anybody_asked_who_it_is(
    request: pytest.FixtureRequest, way: str, origin: str, may_read: bool
) -> None:
    wire: Wire = request.getfixturevalue("slow_wire" if way == "a slow body" else "wire")
    expected, path, more = REFUSED[way]
    wire.head(path, f"Origin: {origin}", "Authorization: Bearer tdm_0_0", *more)
    status, head, _ = wire.answer()
    assert status == expected
    assert "vary: origin" in head
    assert (f"access-control-allow-origin: {origin}" in head) is may_read
    assert ("retry-after" in head) is may_read  # by Access-Control-Expose-Headers


def test_a9_what_is_refused_before_its_headers_came_says_at_least_that_it_varies(wire: Wire) -> None:
    wire.send(b"GET /api/v1/inbound?" + b"a" * 40_000)
    status, head, _ = wire.answer()
    assert (status, "vary: origin" in head, "access-control" in head) == (414, True, False)


def test_a9_a_refused_page_of_ours_says_nothing_of_other_origins(wire: Wire) -> None:
    wire.head("/login/", f"Origin: {SHOP}", "Authorization: Bearer tdm_0_0", f"Content-Length: {400 * MB}")
    status, head, _ = wire.answer()
    assert (status, "access-control" in head) == (413, False)


BOUNDARY = "multipart/form-data; boundary=b"
UNREADABLE = {
    "multipart without a boundary": ("Content-Type: multipart/form-data", b"x" * 20, {400, 415}),
    "multipart that is none": (f"Content-Type: {BOUNDARY}", b"x" * 20, {400, 415}),
    "multipart without an end": (
        f"Content-Type: {BOUNDARY}",
        b'--b\r\nContent-Disposition: form-data; name="a"\r\n',
        {400, 415},
    ),
    "a header that is no word": ("X Y: 1", b"{}", {400}),
    "a header without a colon": ("Nothing", b"{}", {400}),
    "two lengths": ("Content-Length: 7", b"{}", {400}),
    "a length that is none": ("Content-Length: many", b"{}", {400}),
    "a chunk that is none": ("Transfer-Encoding: chunked", b"zz\r\n", {400}),
    "headers longer than daphne reads": (f"X-Long: {'a' * 8_000}\r\nX-Other: {'a' * 8_500}", b"{}", {431}),
}


@pytest.mark.parametrize("way", UNREADABLE)
@pytest.mark.parametrize("path", ["/api/v1/inbound", "/login/"])
def test_t7_4_what_the_server_itself_cannot_read_is_a_problem_under_api(wire: Wire, path: str, way: str) -> None:
    header, body, expected = UNREADABLE[way]
    length = [] if header.startswith("Transfer") else [f"Content-Length: {len(body)}"]
    wire.head(path, header, "Connection: close", *length)
    wire.send(body)
    status, head, told = wire.answer()
    if path.startswith("/api/"):
        assert status in expected | {401}
        assert "content-type: application/problem+json" in head
        assert json.loads(told)["status"] == status
    else:
        assert status in expected | {200, 403}
        assert b"<title>" in told


def test_an_address_that_is_no_text_is_a_problem_too(wire: Wire) -> None:
    wire.send("GET /api/v1/conversations/é?é HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    status, head, told = wire.answer()
    assert (status, "application/problem+json" in head, json.loads(told)["code"]) == (400, True, "malformed")


# --- A body in chunks --------------------------------------------------------------------------------------------


def in_chunks(body: bytes) -> Iterator[bytes]:
    return (body[at : at + 7] for at in range(0, len(body), 7))


def test_a_body_in_chunks_is_read_as_one_with_a_length(served: Served) -> None:
    """It was taken for none: `needs_human` for a session became 'success'."""
    held = {"Authorization": f"Bearer {served.key('chunks', 'integrator')}", "Content-Type": "application/json"}
    with httpx.Client(base_url=f"{served.url}/api/v1/", headers=held, timeout=PATIENCE) as client:
        said = json.dumps({"shop_id": "s", "account_id": "chunks", "content": "In pieces", "message_id": "c1"}).encode()
        told = client.post("inbound", content=in_chunks(said))
        assert told.status_code == 201, told.text
        again = client.post("inbound", content=said).json()
        assert again["is_repeat"] is True
        where = told.json()["conversation_id"]
        form = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\nwords\r\n--b--\r\n'
        kept = client.post(
            f"conversations/{where}/attachments", content=in_chunks(form), headers={"Content-Type": BOUNDARY}
        )
        assert (kept.status_code, kept.json()["size"]) == (201, 5), kept.text
    with httpx.Client(base_url=served.url, timeout=PATIENCE) as browser:
        browser.get("/login/")
        pair = f"csrfmiddlewaretoken={browser.cookies['csrftoken']}&username=nobody&password=wrong".encode()
        page = browser.post(
            "/login/", content=in_chunks(pair), headers={"Content-Type": "application/x-www-form-urlencoded"}
        )
        assert page.status_code == 200, "the form, with what is wrong: its token came"


def test_a_connection_that_is_kept_serves_one_request_after_the_other(served: Served) -> None:
    with httpx.Client(base_url=served.url, timeout=PATIENCE) as client:
        for _ in range(3):
            assert client.get("/login/").status_code == 200
            assert client.post("/api/v1/inbound", json={"content": "x" * 500_000}).status_code == 401


# --- Another ASGI server -----------------------------------------------------------------------------------------


def asked(
    path: str,
    pieces: list[bytes | float],
    *,
    query: bytes = b"",
    headers: tuple[tuple[bytes, bytes], ...] = (),
    client: str = "127.0.0.1",
) -> tuple[int, dict[bytes, bytes], bytes, int]:
    """What the application answers to a request whose body comes in these pieces, with pauses between them; how many it took."""
    from config.asgi import application

    told: list[Any] = []
    left = list(pieces)

    async def receive() -> dict[str, Any]:
        piece = left.pop(0) if left else 2 * PATIENCE  # the client stays, and says no more
        if isinstance(piece, float):
            await asyncio.sleep(piece)
            piece = left.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(left)}

    async def send(message: Any) -> None:
        told.append(message)

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "headers": [(b"host", b"localhost"), *headers],
        "client": (client, 1),
        "server": ("127.0.0.1", 80),
        "scheme": "http",
    }
    asyncio.run(asyncio.wait_for(application(scope, receive, send), PATIENCE))
    body = b"".join(message.get("body", b"") for message in told[1:])
    return told[0]["status"], dict(told[0]["headers"]), body, len(pieces) - len(left)


@pytest.mark.django_db  # whose credential it is decides how long a body may be
def test_t6_3_any_asgi_server_is_refused_an_announced_body_unread() -> None:
    status, headers, _, taken = asked("/login/", [b"a"], headers=((b"content-length", b"400000000"),))
    assert (status, headers[b"connection"], taken) == (413, b"close", 0)


def test_t6_3_any_asgi_server_is_stopped_at_the_bound() -> None:
    status, headers, body, taken = asked("/api/v1/inbound", [b"a" * 100_000] * 100)
    assert (status, headers[b"content-type"]) == (413, b"application/problem+json")
    assert json.loads(body)["code"] == "too_large"
    assert taken == 11


@pytest.mark.parametrize(
    "pieces", [[2 * PATIENCE], [b"a", 2 * PATIENCE, b"b"], [b"a", 0.2] * 50], ids=["none", "one", "dripping"]
)
def test_t6_3_any_asgi_server_is_rid_of_slow_senders(settings: Any, pieces: list[bytes | float]) -> None:
    settings.REQUEST_HEADER_TIMEOUT = 0.3
    status, headers, _, taken = asked("/api/v1/inbound", [*pieces, b"end"])
    assert (status, headers[b"connection"]) == (408, b"close")
    assert taken <= len(pieces), "it was waited for to its end"


def test_t6_3_a_body_has_an_end_however_steadily_it_comes(settings: Any) -> None:
    settings.REQUEST_BODY_TIMEOUT = 0.5
    assert asked("/api/v1/inbound", [b"a" * 1000, 0.1] * 50 + [b"end"])[0] == 408


def test_t6_3_any_asgi_servers_address_and_headers_are_bounded() -> None:
    assert asked("/api/v1/inbound", [b""], query=b"a" * MAX_TARGET)[0] == 414
    assert asked("/api/v1/inbound", [b""], headers=((b"x-long", b"a" * 40_000),))[0] == 431


PAGE = ((b"origin", SHOP.encode()), (b"authorization", b"Bearer tdm_0_0"))


@pytest.fixture
def shops_page(cast: Cast) -> Iterator[None]:
    """The tenant allows it, and it is in memory: the refusals below ask no database."""
    cast.tenant.allowed_origins = SHOP
    cast.tenant.save()
    origins.forget()
    allowed_origins.read()
    yield
    origins.forget()


@pytest.mark.parametrize("pieces", [[b"a" * 100_000] * 100, [5.0, b"end"]], ids=["413", "408"])
def test_a9_any_asgi_servers_refusals_can_be_read_by_the_shops_page(
    shops_page: None, settings: Any, pieces: list[bytes | float]
) -> None:
    settings.REQUEST_HEADER_TIMEOUT = 0.3
    status, headers, _, _ = asked("/api/v1/messages", pieces, headers=PAGE)
    assert status in (413, 408)
    assert (headers[b"access-control-allow-origin"], headers[b"vary"]) == (SHOP.encode(), b"Origin")
    bare = asked("/api/v1/messages", pieces)[1]  # from no page, without a bearer
    assert (b"access-control-allow-origin" in bare, bare[b"vary"]) == (False, b"Origin")


def test_a9_any_asgi_servers_long_addresses_and_headers_too(shops_page: None) -> None:
    long = ((b"x-long", b"a" * 40_000),)
    for status, query, more in ((414, b"a" * MAX_TARGET, ()), (431, b"", long), (400, b"\xff", ())):
        told, headers, _, _ = asked("/api/v1/inbound", [b""], query=query, headers=(*PAGE, *more))
        assert (told, headers[b"access-control-allow-origin"]) == (status, SHOP.encode())


def test_a9_a_refusal_is_given_while_the_origins_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise OperationalError

    origins.forget()
    monkeypatch.setattr(allowed_origins, "read", away)
    status, headers, _, _ = asked("/api/v1/inbound", [b""], query=b"a" * MAX_TARGET, headers=PAGE)
    assert (status, headers[b"vary"], b"access-control-allow-origin" in headers) == (414, b"Origin", False)


@pytest.mark.parametrize(
    ("client", "status"), [("127.0.0.1", 401), ("::1", 401), ("::ffff:127.0.0.1", 401), ("10.0.0.7", 403)]
)
def test_t6_2_with_the_development_key_no_other_machine_is_answered(db: None, client: str, status: int) -> None:
    """Whatever the server is bound to, and whatever Host the client names."""
    assert asked("/api/v1/inbound", [b"{}"], client=client)[0] == status


# --- WSGI --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "length"), [("/login/", 64_001), ("/api/v1/batches", MB + 1)])
def test_t6_3_wsgi_refuses_before_it_reads(db: None, path: str, length: int) -> None:
    class Unread(io.BytesIO):
        def read(self, *_: Any) -> bytes:
            raise AssertionError("read")

    told: list[Any] = []
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "CONTENT_LENGTH": str(length),
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "HTTP_HOST": "localhost",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.input": Unread(),
        "wsgi.url_scheme": "http",
    }
    b"".join(wsgi(environ, lambda status, headers: told.append((status, dict(headers)))))
    assert told[0][0].startswith("413 ")
    assert told[0][1]["Connection"] == "close"


def test_wsgi_refuses_a_body_in_chunks_instead_of_taking_it_for_none(shops_page: None) -> None:
    told: list[Any] = []
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/api/v1/inbound",
        "HTTP_TRANSFER_ENCODING": "chunked",
        "HTTP_ORIGIN": SHOP,
        "HTTP_AUTHORIZATION": "Bearer tdm_0_0",
        "REMOTE_ADDR": "127.0.0.1",
    }
    body = b"".join(wsgi(environ, lambda status, headers: told.append((status, dict(headers)))))
    assert (told[0][0], json.loads(body)["code"]) == ("411 Length Required", "length_required")
    assert (told[0][1]["Access-Control-Allow-Origin"], told[0][1]["Vary"]) == (SHOP, "Origin")
