"""A7: a webhook is delivered when its receiver has answered to the end, and an address that cannot be public is refused when it
is entered."""

from __future__ import annotations

from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from messaging_app.models import WebhookEndpoint
from messaging_app.webhooks import guard, post
from tests.api.world import program
from tests.cast import Cast, Later
from tests.patience import PATIENCE
from tests.webhooks.conftest import Hook, hook, receivers, sent
from tests.webhooks.receivers import Manner, Receiver, answers, never_ends

__all__ = ["hook", "receivers"]

pytestmark = pytest.mark.django_db

WAIT = 0.4
"""Seconds that a receiver is given here which would answer for ever, instead of ten."""


@pytest.fixture(autouse=True)
def _loopback(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.WEBHOOK_ALLOW_LOOPBACK = True
    monkeypatch.setattr(post, "SECONDS", PATIENCE)


def raw(*parts: bytes, pause: float = 0.0, again: bool = False) -> Manner:
    """Answers these bytes, one part after the other; `again` repeats the last one for as long as somebody reads it."""

    def manner(receiver: Receiver, request: BaseHTTPRequestHandler) -> None:
        request.close_connection = True
        with suppress(OSError):
            for part in parts:
                request.wfile.write(part)
                receiver.over.wait(pause)
            while again and not receiver.over.wait(pause):
                request.wfile.write(parts[-1])

    return manner


OK = b"HTTP/1.1 200 OK\r\n"
CUT = {
    "drips its body past the time": (raw(OK + b"Content-Length: 5000\r\n\r\n", b"x", pause=0.02, again=True), 200),
    "drips a chunked body": (
        raw(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", pause=0.02, again=True),
        200,
    ),
    "is silent after its head": (raw(OK + b"Content-Length: 2\r\n\r\n", pause=5), 200),
    "hangs up in the middle": (raw(OK + b"Content-Length: 100\r\n\r\n", b"half"), 200),
    "hangs up in the middle of a chunk": (raw(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"ff\r\nhalf"), 200),
    "sends a chunk that is none": (raw(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"zz\r\nhalf"), 200),
    "drips its head": (raw(OK, b"X: y\r\n", pause=0.02, again=True), None),
    "sends a head without end": (raw(OK, b"X-Flood: " + b"y" * 8000 + b"\r\n", again=True), None),
    "sends one header without end": (raw(OK + b"X-Flood: ", b"y" * 8000, again=True), None),
    "says for ever that it goes on": (raw(b"HTTP/1.1 100 Continue\r\n\r\n" * 50, pause=0.005, again=True), None),
}


@pytest.mark.parametrize(("manner", "code"), CUT.values(), ids=CUT.keys())
def test_a7_an_answer_that_is_cut_off_is_no_delivery_and_is_tried_again(
    hook: Hook, cast: Cast, later: Later, manner: Manner, code: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    cast.chat().says()
    hook.receiver.behaves = manner
    with monkeypatch.context() as impatient:
        impatient.setattr(post, "SECONDS", WAIT)
        sent()
    cut = hook.deliveries[0]
    assert (cut.status, cut.last_code) == ("pending", code)
    assert cut.last_error
    if code:
        assert cut.last_error.startswith("HTTP 200, but the answer was cut off.")
    assert cut.next_attempt_at is not None
    hook.receiver.behaves = answers(200)
    later(600)
    sent()
    assert hook.statuses == ["delivered"] * len(hook.deliveries)
    assert hook.receiver.ids.count(cut.event_id) == 2


@pytest.mark.parametrize(
    "manner",
    [
        answers(200),
        answers(204),
        answers(200, b"thank you"),
        raw(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        raw(b"HTTP/1.0 200 OK\r\n\r\nuntil the end of the connection"),
        never_ends,
    ],
    ids=["empty", "204", "a body", "chunks", "HTTP 1.0", "longer than is read"],
)
def test_a7_what_is_answered_to_the_end_or_longer_than_is_read_is_delivered(
    hook: Hook, cast: Cast, manner: Manner
) -> None:
    hook.receiver.behaves = manner
    cast.chat().says()
    sent()
    assert set(hook.statuses) == {"delivered"}


def test_a7_the_log_keeps_what_came_before_the_cut(hook: Hook, cast: Cast) -> None:
    cast.chat().says()
    hook.receiver.behaves = raw(OK + b"Content-Length: 100\r\n\r\n", b"database error in line 3")
    sent()
    assert hook.deliveries[0].log[-1]["answer"] == "database error in line 3"


# --- What is refused when it is entered --------------------------------------------------------------------------

ADDRESSES = [
    # This machine, by every name it has
    "https://localhost/", "https://LOCALHOST/", "https://localhost./", "https://a.localhost/", "https://localhost:8443/x",
    "https://localhost.localdomain/", "https://127.0.0.1/", "https://127.0.0.1./", "https://127.8.9.10/", "https://0.0.0.0/",
    # Numbers that pass for names: decimal, hexadecimal, octal, short, mixed
    "https://2130706433/", "https://0x7f000001/", "https://0x7f.1/", "https://0x7f.0.0.1/", "https://017700000001/",
    "https://0177.0.0.1/", "https://127.1/", "https://127.0.1/", "https://0/", "https://0x0/", "https://0x/",
    "https://1.2.3.4.5/", "https://256.256.256.256/", "https://8.8.8.8.0x8/", "https://3232235777/", "https://0xa9fea9fe/",
    "https://2852039166/", "https://169.254.43518/", "https://00000177.0.0.1/", "https://0X7F.1/", "https://example.0x7f/",
    # IPv6, and IPv4 wrapped in it
    "https://[::1]/", "https://[::]/", "https://[0:0:0:0:0:0:0:1]/", "https://[::ffff:127.0.0.1]/", "https://[::ffff:a9fe:a9fe]/",
    "https://[::127.0.0.1]/", "https://[64:ff9b::7f00:1]/", "https://[64:ff9b:1::7f00:1]/", "https://[2002:7f00:1::]/",
    "https://[2002:a9fe:a9fe::1]/", "https://[2001:0:7f00:1::]/", "https://[fe80::1]/", "https://[fe80::1%25eth0]/",
    "https://[fc00::1]/", "https://[fd00:ec2::254]/", "https://[fec0::1]/", "https://[ff02::1]/", "https://[2001:db8::1]/",
    # Private, shared, link-local, metadata, reserved
    "https://10.0.0.1/", "https://172.16.0.1/", "https://172.31.255.255/", "https://192.168.0.1/", "https://100.64.0.1/",
    "https://169.254.169.254/latest/meta-data/", "https://100.100.100.200/", "https://168.63.129.16/", "https://192.0.0.192/",
    "https://198.18.0.1/", "https://224.0.0.1/", "https://255.255.255.255/", "https://240.0.0.1/", "https://192.0.2.1/",
    "https://metadata.google.internal/", "https://metadata/", "https://instance-data/", "https://kubernetes.default.svc/",
    # Names of private networks
    "https://printer.local/", "https://db.internal/", "https://nas.lan/", "https://router.home.arpa/", "https://box.home/",
    "https://wiki.corp/", "https://x.intranet/", "https://y.private/", "https://mail/", "https://db/", "https://x.test/",
    "https://x.invalid/", "https://x.onion/", "https://DB.Internal./",
    # Tricks of the form
    "https://user@hooks.example.com/", "https://user:pass@hooks.example.com/", "https://hooks.example.com@127.0.0.1/",
    "https://hooks.example.com:22/", "https://hooks.example.com:25/", "https://hooks.example.com:0/",
    "https://hooks.example.com:65536/", "https://hooks.example.com\\@127.0.0.1/", "https://hooks.example.com#@127.0.0.1/",
    "http://hooks.example.com/", "ftp://hooks.example.com/", "//hooks.example.com/", "https://", "https:///x", "x",
    "https://a..b/", "https://.example.com/", "https://-a.example.com/", "https://hooks.example.com../", "https://*.example.com/",
    f"https://{'a' * 64}.example.com/", f"https://{'a.' * 130}com/",
    # IDNA: what normalises to an address or a dot, and what is no IDNA at all
    "https://①②⑦.⓪.⓪.①/", "https://127。0。0。1/", "https://localhost。/", "https://ｌｏｃａｌｈｏｓｔ/", "https://xn--/",
    "https://exa\u200bmple.com/", "https://hooks.example.com%2f.evil.example/", "https://hooks%00.example.com/",
]  # fmt: skip
PUBLIC = [
    "https://hooks.example.com/", "https://hooks.example.com./path?x=1", "https://hooks.example.com:8443/x",
    "https://8.8.8.8/", "https://[2606:4700:4700::1111]/", "https://bücher.example.com/", "https://xn--bcher-kva.example.com/",
    "https://1password.com/", "https://example.com1/", "https://1.example.com/", "https://a_b.example.com/", "https://local.example.com/",
    "https://xn--a.com/",
]  # fmt: skip


@pytest.fixture
def strict(settings: Any) -> None:
    """As in production."""
    settings.WEBHOOK_ALLOW_LOOPBACK = False


@pytest.mark.parametrize("address", ADDRESSES)
def test_a7_an_address_that_cannot_be_public_is_refused_when_entered(strict: None, cast: Cast, address: str) -> None:
    answer = program(cast, "channel").post("webhooks", {"url": address})
    assert (answer.status_code, answer.json()["code"]) in {(400, "address_refused"), (400, "malformed")}, answer.content
    with pytest.raises(guard.AddressRefused):
        guard.checked(address)
    assert not WebhookEndpoint.objects.exists()


@pytest.mark.parametrize("address", PUBLIC)
def test_a7_an_address_that_may_be_public_is_taken(strict: None, cast: Cast, address: str) -> None:
    answer = program(cast, "channel").post("webhooks", {"url": address})
    assert answer.status_code == 201, answer.content


def test_a7_nor_may_a_webhook_be_changed_to_one(strict: None, cast: Cast) -> None:
    channel = program(cast, "channel")
    made = channel.post("webhooks", {"url": "https://hooks.example.com/"}).json()
    for address in ("https://localhost/", "https://2130706433/", "https://0x7f.1/", "https://[::1]/"):
        answer = channel.send("PATCH", f"webhooks/{made['id']}", {"url": address})
        assert (answer.status_code, answer.json()["code"]) == (400, "address_refused")
    assert WebhookEndpoint.objects.get().url == "https://hooks.example.com/"


def test_a7_for_development_this_machine_may_be_named_and_no_other(cast: Cast) -> None:
    for address in ("http://localhost:8001/", "https://localhost/", "http://127.0.0.1:8001/", "http://[::1]:8001/"):
        assert guard.checked(address)
    for address in ("http://127.1:8001/", "http://db.internal/", "http://10.0.0.1/", "http://2130706433/"):
        with pytest.raises(guard.AddressRefused):
            guard.checked(address)
