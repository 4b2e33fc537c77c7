"""Where webhooks may go, and the only place that connects there.

An address is given by somebody else, so it could name this machine, its neighbours or a cloud's metadata. Names are
therefore resolved here, once for each connection. It connects only if all addresses of the name are public, and to one
of the addresses that were checked, so a resolver that then gives another answer (DNS rebinding) has no effect.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import time
from collections.abc import Iterable
from typing import Any

import httpcore
import httpx
from django.conf import settings

from config.errors import Malformed

CONNECT_SECONDS = 3.0
"""For one of a name's addresses, so that a broken one leaves time for the next."""
MOST_ADDRESSES = 4

# What `ipaddress` calls global, and still must not be reached: the old 6to4 relays, the IETF's own block, and the
# address at which Azure's machines meet their host.
_NOT_PUBLIC_V4 = [ipaddress.IPv4Network(net) for net in ("192.88.99.0/24", "192.0.0.0/24", "168.63.129.16/32")]
# Global unicast is 2000::/3; mapped, translated (NAT64), local and multicast addresses all lie outside of it. Inside,
# 6to4 and Teredo carry an IPv4 address, and the last one is for documentation.
_PUBLIC_V6 = ipaddress.IPv6Network("2000::/3")
_NOT_PUBLIC_V6 = [ipaddress.IPv6Network(net) for net in ("2002::/16", "2001::/23", "3fff::/20")]

_LABEL = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?")
"""A host name in ASCII, with or without the final dot."""
_MOST_LETTERS = 253
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
"""What a resolver may read as a part of an IPv4 address, where it stands last (WHATWG URL, "ends in a number")."""
# Special-use names (RFC 6761, 6762, 7686, 8375, 9476), and what ICANN keeps for private networks or never delegates.
_NOT_PUBLIC_NAMES = frozenset({
    "alt", "arpa", "corp", "home", "internal", "intranet", "invalid", "lan", "local", "localdomain", "localhost", "mail",
    "onion", "private", "svc", "test",
})  # fmt: skip


class AddressRefused(Malformed):
    code, message = "address_refused", "Webhooks are not sent to this address."


def is_public(text: str) -> bool:
    """True for an IP address that belongs to the public Internet."""
    address = ipaddress.ip_address(text)
    if settings.WEBHOOK_ALLOW_LOOPBACK and address.is_loopback:
        return True
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not address.is_multicast and not any(address in net for net in _NOT_PUBLIC_V4)
    if address.scope_id is not None or address not in _PUBLIC_V6:
        return False
    return address.is_global and not any(address in net for net in _NOT_PUBLIC_V6)


def checked(text: str) -> httpx.URL:
    """The address, if its form is allowed and its host may be public. Raises `AddressRefused`.

    Nothing is resolved here: the addresses of a name are checked at each connection.
    """
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise AddressRefused("This is no address.") from error
    if url.scheme != "https" and not (url.scheme == "http" and settings.WEBHOOK_ALLOW_LOOPBACK):
        raise AddressRefused("The address must begin with https://.")
    host = url.raw_host.decode("ascii", "replace")  # the ASCII form: `host` would decode what may be no IDNA
    is_host = bool(_NAME.fullmatch(host)) and len(host.rstrip(".")) <= _MOST_LETTERS
    if not (is_host or _is_literal(host)) or url.userinfo or url.fragment or text != text.strip() or "\\" in text:
        raise AddressRefused("The address must have a host, and neither a user, a password nor a fragment.")
    if url.port is not None and url.port not in {80, 443} and not 1024 <= url.port <= 65535:
        raise AddressRefused("The port must be 443, 80, or 1024 and above.")
    if not (is_public(host) if _is_literal(host) else _may_be_public(host)):
        raise AddressRefused("Webhooks are sent to public addresses only.")
    return url


def _may_be_public(name: str) -> bool:
    """False for a name that is not public on the Internet, and for a number that a resolver would take for an address.

    `127.1`, `0x7f.1` and `2130706433` are this machine to many resolvers; an IPv4 address is written as four decimals.
    """
    *before, last = name.rstrip(".").split(".")
    if _NUMBER.fullmatch(last):
        return False
    if settings.WEBHOOK_ALLOW_LOOPBACK and last == "localhost":
        return True
    return bool(before) and last not in _NOT_PUBLIC_NAMES


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def resolve(host: str, port: int) -> list[str]:
    """The addresses that the system's resolver gives; it also takes numbers for addresses (`127.1`, `0x7f000001`)."""
    return [str(address[4][0]) for address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def public_addresses(host: str, port: int) -> list[str]:
    """A name's first addresses, if all are public. Raises `AddressRefused`, or `ConnectError` if it has none."""
    try:
        addresses = list(dict.fromkeys(resolve(host, port)))
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError("the name cannot be resolved") from error
    if not addresses or not all(map(is_public, addresses)):
        raise AddressRefused("Webhooks are sent to public addresses only.")
    return addresses[:MOST_ADDRESSES]


class Stream(httpcore.NetworkStream):
    """A connection whose every step ends by the deadline of its `Network`, however slowly the other side sends."""

    def __init__(self, stream: httpcore.NetworkStream, network: Network) -> None:
        self._stream = stream
        self._network = network

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._network.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._network.left())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return Stream(self._stream.start_tls(ssl_context, server_hostname, self._network.left()), self._network)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class Network(httpcore.NetworkBackend):
    """Connects to public addresses only. For one thread; `allow` sets the deadline of one request."""

    def __init__(self) -> None:
        self._plain = httpcore.SyncBackend()
        self._deadline = 0.0

    def allow(self, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds until the deadline. Raises `ReadTimeout` after it."""
        seconds = self._deadline - time.monotonic()
        if seconds <= 0:
            raise httpcore.ReadTimeout("the time is over")
        return seconds

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failure: Exception = httpcore.ConnectTimeout("the time is over")
        for address in public_addresses(host, port):
            try:
                return Stream(self._plain.connect_tcp(address, port, min(CONNECT_SECONDS, self.left())), self)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    def connect_unix_socket(self, *args: Any, **kwargs: Any) -> httpcore.NetworkStream:
        raise AddressRefused

    def sleep(self, seconds: float) -> None:
        raise AssertionError("retries are the schedule's")
