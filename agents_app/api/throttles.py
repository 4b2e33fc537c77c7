"""How often one caller may call: counted by credential, and reported in the RateLimit headers."""

from __future__ import annotations

from math import ceil
from typing import Any

from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.throttling import BaseThrottle

from agents_app.api.authentication import principal_of
from config import buckets
from config.buckets import Rate, Taken

_ATTRIBUTE = "tandem_throttle"
"""Of a request: the throttle that counted it."""


class PerCaller(BaseThrottle):
    """API_RATE requests by one key, token or agent; whoever has none is counted by address, at ANONYMOUS_RATE."""

    rate: Rate
    taken: Taken

    def allow_request(self, request: Request, view: Any) -> bool:
        caller = principal_of(request)
        kind, key = ("caller", caller.key) if caller else ("anonymous", self.get_ident(request))
        self.rate = buckets.rate_of(str(api_settings.DEFAULT_THROTTLE_RATES[kind]))
        self.taken = buckets.take(f"{kind}:{key}", self.rate)
        setattr(request, _ATTRIBUTE, self)  # for the headers of the answer
        return self.taken.is_allowed

    def wait(self) -> float:
        return self.taken.wait


def address_of(request: Any) -> str:
    """The caller's address, as the proxies that we trust report it."""
    return str(BaseThrottle().get_ident(request))


def tell(request: Any, response: Any) -> None:
    """Set the RateLimit headers: the limit, the requests that are left, and the seconds until there are more."""
    throttle: PerCaller | None = getattr(request, _ATTRIBUTE, None)
    if throttle is None:
        return
    response.headers["RateLimit-Limit"] = str(throttle.rate.most)
    response.headers["RateLimit-Remaining"] = str(throttle.taken.left)
    response.headers["RateLimit-Reset"] = str(max(1, ceil(throttle.taken.wait)))
