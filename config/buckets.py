"""How often something may happen: a bucket for each key, filled evenly, and empty when it may not happen now.

A rate of 60/min is a bucket of sixty that gets one a second: at most sixty at once, and sixty a minute for as long as it
takes. One number is kept of each bucket, the moment at which it is full again (the generic cell rate algorithm), so what
a request costs does not depend on the rate. It is read and written in one step, so requests at once never get more
than there is: in Redis by a script on the server's own clock, without Redis or while it is away in the process's own memory.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from functools import cache
from threading import Lock

from django.conf import settings
from redis.exceptions import NoScriptError

from config.redis_link import Away, link

MOST_KEPT = 20_000
"""Buckets in memory that are not full, each of about 200 bytes. Beyond that those are forgotten of which the least was taken."""
_PERIODS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_MICRO = 1_000_000
# A moment has sixteen digits in microseconds, as many as a number of Lua holds exactly; by itself it would print fourteen.
_TAKE = b"""
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local full_at = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now) + tonumber(ARGV[1])
local is_allowed = full_at - now <= tonumber(ARGV[2])
if is_allowed then
    redis.call('SET', KEYS[1], string.format('%.17g', full_at), 'PX', math.ceil((full_at - now) / 1000))
end
return {is_allowed and 1 or 0, string.format('%.17g', full_at - now)}
"""
_DIGEST = hashlib.sha1(_TAKE, usedforsecurity=False).hexdigest().encode()
_SLACK = 1e-6
"""Seconds by which rounding may make a bucket look emptier than it is."""


@dataclass(frozen=True, slots=True)
class Rate:
    """`most` in `seconds`, such as 60 in 60."""

    most: int
    seconds: int

    @property
    def interval(self) -> float:
        """Seconds until a bucket has one more."""
        return self.seconds / self.most


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one request. `wait` is in seconds: until there is one, for whoever got none; until there is one more."""

    is_allowed: bool
    left: int
    wait: float


@cache
def rate_of(text: str) -> Rate:
    """A rate as the settings have it: `60/min`. The first letter of the period counts (`Environment.rate` checks the word)."""
    number, _, period = text.partition("/")
    return Rate(int(number), _PERIODS[period[0]])


def take(key: str, rate: Rate) -> Taken:
    """Take one out of the bucket of this name, if there is one."""
    is_allowed, missing = _take(key, rate)
    if not is_allowed:
        return Taken(False, 0, missing - rate.seconds)
    left = max(0, int((rate.seconds - missing + _SLACK) / rate.interval))
    return Taken(True, left, missing - (rate.most - left - 1) * rate.interval)


def forget() -> None:
    """Fill all buckets, those of this process and those in Redis."""
    _own.clear()
    if settings.REDIS_URL:
        try:
            link().run(lambda server: [server.delete(key) for key in server.scan_iter(_name("*"))])
        except Away:
            return


def _take(key: str, rate: Rate) -> tuple[bool, float]:
    """Whether one was taken, and in how many seconds the bucket is full again once it is."""
    if settings.REDIS_URL:
        try:
            return _in_redis(key, rate)
        except Away:
            pass
    return _own.take(key, rate)


def _name(key: str) -> str:
    return f"{settings.REDIS_PREFIX}:bucket:{key}"


def _in_redis(key: str, rate: Rate) -> tuple[bool, float]:
    """By the script, which is sent by its digest; as a whole to a server that has not seen it."""
    figures = rate.interval * _MICRO, (rate.seconds + _SLACK) * _MICRO
    asked = (b"1", _name(key).encode(), *(b"%r" % figure for figure in figures))
    try:
        is_allowed, missing = link().command(b"EVALSHA", _DIGEST, *asked)
    except NoScriptError:
        is_allowed, missing = link().command(b"EVAL", _TAKE, *asked)
    return bool(is_allowed), float(missing) / _MICRO


class Memory:
    """The buckets of one process, by its own clock."""

    def __init__(self) -> None:
        self._full_at: dict[str, float] = {}
        self._lock = Lock()

    def take(self, key: str, rate: Rate) -> tuple[bool, float]:
        with self._lock:
            now = time.monotonic()
            full_at = max(self._full_at.get(key, now), now) + rate.interval
            is_allowed = full_at - now <= rate.seconds + _SLACK
            if is_allowed:
                if len(self._full_at) >= MOST_KEPT and key not in self._full_at:
                    self._make_room(now)
                self._full_at[key] = full_at
            return is_allowed, full_at - now

    def clear(self) -> None:
        with self._lock:
            self._full_at.clear()

    def _make_room(self, now: float) -> None:
        """Forget those that are full, and of the others as many as leave half."""
        kept = sorted((at, key) for key, at in self._full_at.items() if at > now)[-MOST_KEPT // 2 :]
        self._full_at = {key: at for at, key in kept}


_own = Memory()
