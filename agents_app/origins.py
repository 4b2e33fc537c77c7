"""The other sites whose pages may call the API with a tenant's tokens: origins, as a browser names them.

Cached in memory for KEPT_FOR seconds, because every request of such a page needs them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

MOST = 20
"""Origins of one tenant, at most. Each is a site that somebody has to look after."""
KEPT_FOR = 10.0
"""Seconds that a change may take to count, in each process."""
_LOCAL = ("localhost", "127.0.0.1", "[::1]")
_PORTS = {"http": 80, "https": 443}

type Origins = Mapping[int, frozenset[str]]

_known: tuple[float, Origins] = (float("-inf"), {})


def normalize(text: str) -> list[str]:
    """The origins of a text, one a line, as browsers send them: `https://shop.example`, `https://shop.example:8443`.

    Lower case, without the scheme's own port, each once. Plain http only from this machine, which is for development.
    Raises Django's `ValidationError` that names the line.
    """
    origins = list(dict.fromkeys(_origin(line.strip()) for line in text.splitlines() if line.strip()))
    if len(origins) > MOST:
        raise ValidationError(_("At most %(most)s origins."), params={"most": MOST})
    return origins


def _origin(line: str) -> str:
    refused = ValidationError(
        _("%(line)s is no origin: write https:// and the host name, with the port if it has one, and nothing else."),
        params={"line": line[:100]},
    )
    try:
        parts = urlsplit(line.lower().removesuffix("/"))
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise refused from None
    name = f"[{host}]" if ":" in host else host
    plain = parts.scheme == "http" and name in _LOCAL
    written = f"{parts.scheme}://{name}" + (f":{port}" if port is not None else "")
    is_host = host.isascii() and all(part and part.replace("-", "").isalnum() for part in host.strip(".").split("."))
    if not (is_host or name == "[::1]") or not (parts.scheme == "https" or plain) or not line.isascii():
        raise refused
    if line.lower().removesuffix("/") != written:
        raise refused
    return f"{parts.scheme}://{name}" + (f":{port}" if port not in (None, _PORTS[parts.scheme]) else "")


def known() -> Origins | None:
    """The origins that each tenant allows; None where they have to be read from the database again."""
    until, origins = _known
    return origins if time.monotonic() < until else None


def keep(origins: Origins) -> None:
    """Cache what was read from the database, for KEPT_FOR seconds."""
    global _known  # noqa: PLW0603 – replaced as a whole, which is atomic
    _known = (time.monotonic() + KEPT_FOR, origins)


def forget() -> None:
    """Drop the cache, because a tenant was saved in this process."""
    global _known  # noqa: PLW0603
    _known = (float("-inf"), {})
