"""Where webhooks are not sent: whatever an address says and a resolver answers, no connection leaves for it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from config.errors import DomainError
from messaging_app.models import WebhookEndpoint
from messaging_app.webhooks import endpoints, guard, post
from tests.cast import Cast, refused
from tests.webhooks.conftest import Hook, hooked, sent
from tests.webhooks.receivers import Receiver, answers, receiver

PUBLIC = "93.184.215.14"


class Wire:
    """All that leaves this process: to this machine really, to anywhere else only on paper."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tried: list[str] = []
        self.asked: list[str] = []
        # What a name server would be asked for; numbers and `localhost` are read by the system itself.
        self.names = {name: [["127.0.0.1"]] for name in ("localhost.", "127.0.0.1.", "1.2.3.4.5.6.7.8.9")}
        self._connect = socket.create_connection
        self._resolve = guard.resolve
        monkeypatch.setattr(socket, "create_connection", self._connected)
        monkeypatch.setattr(guard, "resolve", self._resolved)

    def knows(self, host: str, *answers: list[str]) -> None:
        """What the resolver says of a name, one answer after the other; the last one goes on."""
        self.names[host] = list(answers)

    def _resolved(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        told = self.names.get(host)
        if told is None:
            return self._resolve(host, port)
        return told.pop(0) if len(told) > 1 else told[0]

    def _connected(self, address: tuple[str, int], *args: Any, **kwargs: Any) -> socket.socket:
        self.tried.append(address[0])
        if not address[0].startswith(("127.", "::1")):
            raise ConnectionRefusedError("there is no network here")
        return self._connect(address, *args, **kwargs)


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    return Wire(monkeypatch)


@pytest.fixture
def target() -> Iterator[socket.socket]:
    """Something that listens on this machine and must not be reached."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        listening.setblocking(False)
        yield listening


@pytest.fixture
def strict(settings: Any) -> None:
    """As in production."""
    settings.WEBHOOK_ALLOW_LOOPBACK = False


def connections(target: socket.socket) -> int:
    """How many have connected: the kernel keeps them until somebody accepts."""
    count = 0
    while True:
        try:
            target.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1


def post_to(url: str) -> post.ReceiverResponse:
    with post.Post() as sender:
        return sender.send(url, {"webhook-id": "evt_1_1"}, b"{}")


# The addresses themselves; PORT is the one of something that listens here.
LITERAL = [
    "https://127.0.0.1:PORT/", "https://127.1:PORT/", "https://127.0.1:PORT/", "https://2130706433:PORT/",
    "https://0x7f000001:PORT/", "https://0x7f.0.0.1:PORT/", "https://017700000001:PORT/", "https://0177.0.0.1:PORT/",
    "https://0:PORT/", "https://0.0.0.0:PORT/", "https://127.0.0.1.:PORT/", "https://127.255.255.254:PORT/",
    "https://①②⑦.⓪.⓪.①:PORT/", "https://127。0。0。1:PORT/", "https://localhost:PORT/", "https://LOCALHOST:PORT/",
    "https://localhost.:PORT/", "https://[::1]:PORT/", "https://[::]:PORT/", "https://[::ffff:127.0.0.1]:PORT/",
    "https://[::ffff:7f00:1]:PORT/", "https://[::127.0.0.1]:PORT/", "https://[0:0:0:0:0:ffff:7f00:0001]:PORT/",
    "https://[64:ff9b::127.0.0.1]:PORT/", "https://[64:ff9b:1::7f00:1]:PORT/", "https://[2002:7f00:1::]:PORT/",
    "https://[2001:0:7f00:1::]:PORT/", "https://[fe80::1]:PORT/", "https://[fe80::1%25lo]:PORT/", "https://[fc00::1]/",
    "https://[fd00:ec2::254]/latest/meta-data/", "https://[fec0::1]/", "https://[ff02::1]/", "https://[2001:db8::1]/",
    "https://[3fff::1]/", "https://[100::1]/", "https://10.0.0.1/", "https://172.16.0.1/", "https://192.168.1.1/",
    "https://169.254.169.254/latest/meta-data/", "https://100.100.100.200/", "https://168.63.129.16/",
    "https://192.0.0.192/", "https://192.0.2.1/", "https://192.88.99.1/", "https://198.18.0.1/", "https://198.51.100.1/",
    "https://203.0.113.1/", "https://224.0.0.1/", "https://239.255.255.250/", "https://240.0.0.1/",
    "https://255.255.255.255/", "https://0.1.2.3/", "https://1.2.3.4.5.6.7.8.9:PORT/",
]  # fmt: skip
FORM = [
    "", " ", "127.0.0.1", "//127.0.0.1:PORT/", "https://", "https:///hook", "https:127.0.0.1:PORT", "https://:PORT/",
    "http://127.0.0.1:PORT/", "HTTP://127.0.0.1:PORT/", "ftp://127.0.0.1:PORT/", "file:///etc/passwd",
    "gopher://127.0.0.1:PORT/_x", "unix:///run/docker.sock", "javascript:alert(1)", "ws://127.0.0.1:PORT/",
    "https://user@127.0.0.1:PORT/", "https://user:pass@127.0.0.1:PORT/", "https://example.com@127.0.0.1:PORT/",
    "https://127.0.0.1:PORT\\@example.com/", "https://example.com\\@127.0.0.1:PORT/", "https://127.0.0.1:PORT/#x",
    "https://127.0.0.1:22/", "https://127.0.0.1:25/", "https://127.0.0.1:65536/", "https://127.0.0.1:-1/",
    "https://127.0.0.1:PORT/\r\nHost: x", "https://127.0.0.1\x00.example.com:PORT/", "https://127.0.0.1 :PORT/",
    "https://[::1:PORT/", "https://[v1.x]/", "https://%31%32%37.0.0.1:PORT/", "https://127.0.0.1%2f.example.com:PORT/",
]  # fmt: skip
# What a name may resolve to. One bad address among good ones is enough.
RESOLVED = [
    ["127.0.0.1"], ["::1"], ["0.0.0.0"], ["10.1.2.3"], ["169.254.169.254"], ["::ffff:127.0.0.1"], ["fe80::1%1"],
    ["fd00::1"], ["64:ff9b::7f00:1"], ["2002:7f00:1::1"], ["100.64.0.1"], ["224.0.0.251"], ["168.63.129.16"],
    [PUBLIC, "127.0.0.1"], ["127.0.0.1", PUBLIC], ["2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::1"],
    [PUBLIC, "10.0.0.1", PUBLIC], [], ["no address"],
]  # fmt: skip


def test_there_are_enough_of_them() -> None:
    assert len(LITERAL) + len(FORM) + len(RESOLVED) >= 100


@pytest.mark.parametrize("url", LITERAL + FORM)
def test_no_connection_leaves_for_a_hostile_address(strict: None, wire: Wire, target: socket.socket, url: str) -> None:
    answer = post_to(url.replace("PORT", str(target.getsockname()[1])))
    assert (answer.code, answer.is_success) == (None, False)
    assert answer.error
    assert (connections(target), wire.tried) == (0, [])


@pytest.mark.parametrize("found", RESOLVED, ids=str)
def test_no_connection_leaves_for_a_name_that_leads_inside(
    strict: None, wire: Wire, target: socket.socket, found: list[str]
) -> None:
    wire.knows("hooks.example.com", found)
    assert not post_to(f"https://hooks.example.com:{target.getsockname()[1]}/").is_success
    assert (connections(target), wire.tried, wire.asked) == (0, [], ["hooks.example.com"])


def test_a_rebinding_resolver_has_no_second_chance(strict: None, wire: Wire, target: socket.socket) -> None:
    """It tells something public when it is looked at, and this machine when it is connected to."""
    wire.knows("rebind.example.com", [PUBLIC], ["127.0.0.1"])
    url = f"https://rebind.example.com:{target.getsockname()[1]}/"
    assert "The connection failed" in post_to(url).error
    assert (wire.asked, wire.tried, connections(target)) == (["rebind.example.com"], [PUBLIC], 0)
    # The next attempt looks again, and is refused.
    assert post_to(url).error == "Webhooks are sent to public addresses only."
    assert (len(wire.asked), wire.tried, connections(target)) == (2, [PUBLIC], 0)


def test_without_the_guard_they_are_reached(wire: Wire, target: socket.socket) -> None:
    """The failing control: the same tests with the development setting find a connection."""
    port = target.getsockname()[1]
    for url in (f"https://127.0.0.1:{port}/", f"https://LOCALHOST:{port}/", f"https://localhost:{port}/"):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(post, "SECONDS", 0.1)
            assert not post_to(url).is_success  # nothing there speaks TLS
    assert connections(target) == 3
    assert wire.tried


def test_the_development_setting_opens_this_machine_and_no_other(wire: Wire) -> None:
    for address in ("10.0.0.1", "169.254.169.254", "192.168.1.1", "fd00::1", "0.0.0.0"):
        wire.knows("hooks.example.com", [address])
        assert post_to("http://hooks.example.com/").error == "Webhooks are sent to public addresses only."
    assert wire.tried == []


@pytest.mark.parametrize("address", [PUBLIC, "1.1.1.1", "8.8.8.8", "2606:4700:4700::1111", "2a00:1450:4001:82a::200e"])
def test_what_is_public_is_connected_to(strict: None, wire: Wire, address: str) -> None:
    """The other failing control: not everything is refused."""
    wire.knows("hooks.example.com", [address])
    post_to("https://hooks.example.com/")
    assert wire.tried == [address]


def test_one_address_that_is_down_leaves_the_others(wire: Wire) -> None:
    with receiver() as there:
        wire.knows("hooks.example.com", [PUBLIC, "127.0.0.1"])
        assert post_to(there.url.replace("127.0.0.1", "hooks.example.com")).code == 200
    assert wire.tried == [PUBLIC, "127.0.0.1"]


def test_a_redirect_leads_nowhere(wire: Wire, target: socket.socket, receivers: Callable[[], Receiver]) -> None:
    made = receivers()
    for status in (301, 302, 303, 307, 308):
        made.behaves = answers(status, Location=f"http://127.0.0.1:{target.getsockname()[1]}/")
        assert post_to(made.url).code == status
    assert (len(made.got), connections(target)) == (5, 0)


def test_no_proxy_of_the_environment_is_asked(
    wire: Wire, target: socket.socket, receivers: Callable[[], Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{target.getsockname()[1]}")
    assert post_to(receivers().url).code == 200
    assert connections(target) == 0


def test_no_cookie_is_kept(receivers: Callable[[], Receiver]) -> None:
    made = receivers()
    made.behaves = answers(200, Set_Cookie="a=b")
    with post.Post() as sender:
        for _ in range(2):
            sender.send(made.url, {}, b"{}")
    assert [got.headers.get("cookie") for got in made.got] == [None, None]


# --- The name is what is asked for and what the certificate must say ---


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A receiver's side of TLS, for hooks.example.com; the sender trusts who signed it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hooks.example.com")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hooks.example.com")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate, private = tmp_path / "certificate.pem", tmp_path / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, plain)
    )
    trusting = ssl.create_default_context(cafile=certificate)
    monkeypatch.setattr(post, "tls", lambda: trusting)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, private)
    return context


def test_the_name_goes_along_and_the_certificate_is_checked_by_it(wire: Wire, tls: ssl.SSLContext) -> None:
    names: list[str] = []
    tls.sni_callback = lambda _socket, name, _context: names.append(str(name))
    with receiver(tls) as there:
        for host in ("hooks.example.com", "other.example.com"):
            wire.knows(host, ["127.0.0.1"])
        port = there.url.split(":")[2]
        assert post_to(f"https://hooks.example.com:{port}").code == 200
        assert there.got[0].headers["host"] == f"hooks.example.com:{port.split('/')[0]}"
        assert "certificate verify failed" in post_to(f"https://other.example.com:{port}").error
        assert "certificate verify failed" in post_to(f"https://127.0.0.1:{port}").error
        assert len(there.got) == 1
    assert names[:2] == ["hooks.example.com", "other.example.com"]
    assert wire.tried == ["127.0.0.1"] * 3


def test_an_unknown_authority_is_not_trusted(wire: Wire, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    with receiver(tls) as there:
        assert "certificate verify failed" in post_to(there.url).error
        assert there.got == []


# --- Through the verbs ---


def test_what_can_be_seen_is_refused_when_it_is_entered(strict: None, cast: Cast) -> None:
    for url in [*FORM, *LITERAL, f"https://example.com/{'x' * 2000}"]:
        with pytest.raises(DomainError) as refusal:
            endpoints.create_endpoint(actor=cast.channel, url=url.replace("PORT", "8443"))
        assert refusal.value.code in {"address_refused", "malformed"}, url
    assert not WebhookEndpoint.objects.exists()


def test_a_name_that_leads_inside_fails_on_record(strict: None, cast: Cast, wire: Wire, target: socket.socket) -> None:
    wire.knows("inside.example.com", ["127.0.0.1"])
    url = f"https://inside.example.com:{target.getsockname()[1]}/"
    hook = hooked(cast.channel, Receiver(url=url))
    endpoints.ping(actor=hook.actor, endpoint_id=hook.id)
    assert sent() == 1
    assert (hook.only.status, hook.only.last_error) == ("failed", "Webhooks are sent to public addresses only.")
    assert connections(target) == 0


def test_an_address_is_not_changed_to_a_hostile_one(hook: Hook) -> None:
    for url in ("https://10.0.0.1/", "gopher://x/", "https://u:p@example.com/"):
        refused("address_refused", endpoints.change_endpoint, actor=hook.actor, endpoint_id=hook.id, url=url)
