"""Where webhooks may go, and the only place that connects there.

An address is given by somebody else, so it could name this machine, its neighbours or a cloud's metadata. Names are
therefore resolved here, once for each connection; unless every address is public nothing is connected to, and what is
connected to is the address that was looked at, so a resolver that changes its mind has no second chance.
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
"""A name as it is asked for, with or without the dot of the root."""
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
    """True for an address that anybody on the Internet could be reached at."""
    address = ipaddress.ip_address(text)
    if settings.WEBHOOK_ALLOW_LOOPBACK and address.is_loopback:
        return True
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not address.is_multicast and not any(address in net for net in _NOT_PUBLIC_V4)
    if address.scope_id is not None or address not in _PUBLIC_V6:
        return False
    return address.is_global and not any(address in net for net in _NOT_PUBLIC_V6)


def checked(text: str) -> httpx.URL:
    """The address, if its form is allowed and its host may be public, as far as can be seen without looking it up: what its
    name stands for is known only when it is sent to.

    Raises `AddressRefused`.
    """
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise AddressRefused("This is no address.") from error
    if url.scheme != "https" and not (url.scheme == "http" and settings.WEBHOOK_ALLOW_LOOPBACK):
        raise AddressRefused("The address must begin with https://.")
    host = url.raw_host.decode("ascii", "replace")  # as it is asked for: `host` would decode what may be no IDNA
    is_host = bool(_NAME.fullmatch(host)) and len(host.rstrip(".")) <= _MOST_LETTERS
    if not (is_host or _is_literal(host)) or url.userinfo or url.fragment or text != text.strip() or "\\" in text:
        raise AddressRefused("The address must have a host, and neither a user, a password nor a fragment.")
    if url.port is not None and url.port not in {80, 443} and not 1024 <= url.port <= 65535:
        raise AddressRefused("The port must be 443, 80, or 1024 and above.")
    if not (is_public(host) if _is_literal(host) else _may_be_public(host)):
        raise AddressRefused("Webhooks are sent to public addresses only.")
    return url


def _may_be_public(name: str) -> bool:
    """False for a name that stands for nothing on the Internet, and for a number that passes for a name.

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
    """What the system's resolver says; it also reads the numbers that pass for names (`127.1`, `0x7f000001`)."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def public_addresses(host: str, port: int) -> list[str]:
    """A name's addresses, if all of them are public. Raises `AddressRefused`, or a connection's error for no name."""
    try:
        found = list(dict.fromkeys(resolve(host, port)))
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError("the name cannot be resolved") from error
    if not found or not all(map(is_public, found)):
        raise AddressRefused("Webhooks are sent to public addresses only.")
    return found[:MOST_ADDRESSES]


class Stream(httpcore.NetworkStream):
    """A connection whose every step ends by the deadline of its `Network`, however slowly the other side drips."""

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
    """Connects to public addresses only. One thread's; `allow` begins the time of one request."""

    def __init__(self) -> None:
        self._plain = httpcore.SyncBackend()
        self._deadline = 0.0

    def allow(self, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds until the deadline. Raises a time-out after it."""
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
