"""How often one caller may call: counted by credential, and reported in the RateLimit headers."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.throttling import BaseThrottle, SimpleRateThrottle

from agents_app.api.authentication import principal_of

_ATTRIBUTE = "tandem_throttle"
"""Of a request: the throttle that counted it."""


class PerCaller(SimpleRateThrottle):
    """API_RATE requests by one key, token or agent; whoever has none is counted by address, at ANONYMOUS_RATE."""

    def __init__(self) -> None:
        """Nothing to prepare: the rate depends on the request."""

    def allow_request(self, request: Request, view: Any) -> bool:
        is_authenticated = principal_of(request) is not None
        self.rate = str(api_settings.DEFAULT_THROTTLE_RATES["caller" if is_authenticated else "anonymous"])
        self.num_requests, self.duration = self.parse_rate(self.rate)
        setattr(request, _ATTRIBUTE, self)  # for the headers of the answer
        return bool(super().allow_request(request, view))

    def get_cache_key(self, request: Request, view: Any) -> str:
        caller = principal_of(request)
        return f"throttle:caller:{caller.key}" if caller else f"throttle:address:{self.get_ident(request)}"


def address_of(request: Any) -> str:
    """The caller's address, as the proxies that we trust report it."""
    return str(BaseThrottle().get_ident(request))


def tell(request: Any, response: Any) -> None:
    """Set the RateLimit headers: the limit, the requests that are left, and the seconds until there are more."""
    throttle = getattr(request, _ATTRIBUTE, None)
    if throttle is None or not getattr(throttle, "now", None):
        return
    left = max(0, throttle.num_requests - len(throttle.history))
    reset = throttle.duration - (throttle.now - throttle.history[-1]) if throttle.history else throttle.duration
    response.headers["RateLimit-Limit"] = str(throttle.num_requests)
    response.headers["RateLimit-Remaining"] = str(left)
    response.headers["RateLimit-Reset"] = str(int(reset) + 1)
