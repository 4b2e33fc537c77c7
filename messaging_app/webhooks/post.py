"""One request to one endpoint: signed, bounded in time and size, never redirected.

`httpcore` is used directly: it has no redirects, cookies, proxies or decompression that would have to be switched off.
"""

from __future__ import annotations

import base64
import logging
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from ssl import SSLContext
from time import monotonic
from types import TracebackType
from typing import Self

import httpcore
import httpx
from standardwebhooks import Webhook

from config import limits
from messaging_app.webhooks import guard

log = logging.getLogger(__name__)

SECONDS = 10.0
"""From the connection to the end of the answer. Only the resolver may take longer."""
KEPT = 1000
"""Bytes of an answer that the log keeps."""
MOST_READ = limits.MAX_ANSWER
"""Bytes of an answer's body that are read. A longer answer counts, and ends the connection. Headers: 100 KiB (h11)."""

_HEADERS = {"Content-Type": "application/json", "User-Agent": "Tandem-Webhooks/1", "Accept-Encoding": "identity"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverResponse:
    """How an attempt went. `code` is None when there was no answer; `error` says why it is no success."""

    code: int | None = None
    error: str = ""
    text: str = ""
    retry_after: str = ""
    milliseconds: int = 0

    @property
    def is_success(self) -> bool:
        return self.code is not None and 200 <= self.code < 300 and not self.error


def new_secret() -> str:
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


def signed(keys: Iterable[str], *, id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The headers of the Standard Webhooks scheme, with one signature for each secret."""
    return {
        "webhook-id": id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(Webhook(key).sign(id, at, body.decode()) for key in keys),
    }


@cache
def tls() -> SSLContext:
    """Checks certificates by name against the usual authorities, whatever the environment variables say."""
    return httpx.create_ssl_context(trust_env=False)


class Post:
    """Sends requests to one endpoint, over one connection while it lasts. For one thread."""

    def __enter__(self) -> Self:
        self._network = guard.Network()
        self._pool = httpcore.ConnectionPool(ssl_context=tls(), max_connections=1, network_backend=self._network)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.close()

    def send(self, address: str, headers: dict[str, str], body: bytes) -> ReceiverResponse:
        """Send one request. Never raises: a failure is in the answer's `error`."""
        start = monotonic()
        code, text, retry_after, error = None, "", "", ""
        try:
            url = guard.checked(address)
            self._network.allow(SECONDS)
            with self._pool.stream(
                "POST",
                httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=list((_HEADERS | headers | {"Host": url.netloc.decode()}).items()),
                content=body,
            ) as response:
                code = response.status
                received = {name.lower(): value for name, value in response.headers}
                retry_after = received.get(b"retry-after", b"").decode("latin-1")[:100]
                text, error = _beginning(response)
        except Exception as failure:
            error = _reason(failure)
        if code is not None:
            error = _verdict(code, error)
        took = round((monotonic() - start) * 1000)
        return ReceiverResponse(code=code, error=error, text=text, retry_after=retry_after, milliseconds=took)


def _verdict(code: int, cut: str) -> str:
    """What is wrong with an answer of this status; empty for a success. `cut` says why it broke off before its end.

    A receiver that broke off may have died on the way, so the event is sent again; the receiver knows it by its id.
    """
    if 300 <= code < 400:
        return f"HTTP {code}: redirects are not followed"
    if not 200 <= code < 300:
        return f"HTTP {code}"
    return f"HTTP {code}, but the answer was cut off. {cut}"[: limits.MAX_DELIVERY_ERROR] if cut else ""


def _beginning(response: httpcore.Response) -> tuple[str, str]:
    """The first `KEPT` bytes of an answer, as text that every database stores, and why it broke off, or "".

    It is read up to `MOST_READ` bytes.
    """
    kept, read, cut = b"", 0, ""
    try:
        for chunk in response.iter_stream():
            kept = (kept + chunk)[:KEPT]
            read += len(chunk)
            if read > MOST_READ:
                break
    except Exception as failure:
        cut = _reason(failure)
    return kept.decode(errors="replace").replace("\x00", "\ufffd"), cut


def _reason(failure: Exception) -> str:
    if isinstance(failure, guard.AddressRefused):
        return str(failure)
    if isinstance(failure, httpcore.TimeoutException):
        return f"No answer within {SECONDS:g} s"
    if isinstance(failure, httpcore.NetworkError | httpcore.ProtocolError):
        return f"The connection failed: {failure}"[: limits.MAX_DELIVERY_ERROR]
    log.error("a webhook could not be sent", exc_info=failure)
    return f"Not sent: {type(failure).__name__}"
