"""Redis as something that may be away: nothing waits long for it, and nothing depends on it.

The first request that fails, or takes longer than REDIS_TIMEOUT, marks Redis as away. From then on this process sends
it nothing, so that no commit is slowed; a thread pings it once a second until it is back.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from os import getpid
from threading import Lock, Thread, local
from typing import Any

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError
from redis.retry import Retry

log = logging.getLogger(__name__)

PROBE_SECONDS = 1.0
"""Seconds between two pings while Redis is away."""


class Away(Exception):
    """Redis is away: the request has failed, or was not sent."""


def impatient(timeout: float) -> dict[str, Any]:
    """Options of a connection that is given one try. The client's own default is four, with seconds between them."""
    return {"socket_timeout": timeout, "socket_connect_timeout": timeout, "retry": Retry(NoBackoff(), 0)}


def problem_of(url: str) -> str:
    """What the client finds wrong with an address, without connecting; empty if it accepts it."""
    try:
        redis.ConnectionPool.from_url(url).make_connection()
    except (TypeError, ValueError, redis.RedisError) as error:
        return str(error).removesuffix(".")
    return ""


class Link:
    """One Redis server, as this process sees it: its client, and whether it is away (a circuit breaker)."""

    def __init__(self, url: str, timeout: float) -> None:
        self.client = redis.Redis.from_url(url, **impatient(timeout))
        self._lock = Lock()
        self._is_away = False
        self._probe_thread: Thread | None = None
        self._own = local()

    @property
    def is_away(self) -> bool:
        if self._is_away and not (self._probe_thread and self._probe_thread.is_alive()):
            self._start_probe()  # a fork has no copy of its parent's thread
        return self._is_away

    def run[R](self, work: Callable[[redis.Redis], R]) -> R:
        """What `work` returns for the client. Raises `Away`: at once, if Redis is known to be away."""
        if self.is_away:
            raise Away
        try:
            return work(self.client)
        except (redis.RedisError, OSError) as error:
            self.failed(error)
            raise Away from error

    def command(self, *words: bytes) -> Any:
        """The answer to one command, over a connection that is this thread's own: the client's way costs three times as much
        as Redis does. Raises redis's `NoScriptError` for a script that the server has not seen, and `Away` as `run` does.
        """
        connection = self._send(words)
        with self._noticing():
            return connection.read_response()

    def tell(self, *words: bytes) -> None:
        """Send a command for whose answer nobody waits: this thread reads it before its next command. Raises `Away` as `run`
        does; that the server has failed at this one is noticed then.
        """
        self._send(words)
        self._own.unread += 1

    def _send(self, words: Sequence[bytes]) -> Any:
        """The thread's connection, over which the command was sent."""
        if self.is_away:
            raise Away
        with self._noticing():
            connection = self._own_connection()
            connection.send_packed_command([_packed(words)])
        return connection

    @contextmanager
    def _noticing(self) -> Iterator[None]:
        try:
            yield
        except NoScriptError:
            raise
        except (redis.RedisError, OSError) as error:
            self.failed(error)
            raise Away from error

    def _own_connection(self) -> Any:
        """The thread's connection; a new one after a fork, or where the server has ended it meanwhile."""
        connection = getattr(self._own, "connection", None)
        if connection is None or self._own.process != getpid():
            connection = self._own.connection = self.client.connection_pool.make_connection()
            self._own.process, self._own.unread = getpid(), 0
            return connection
        unread, self._own.unread = self._own.unread, 0
        if connection.is_connected:
            for _ in range(unread):
                connection.read_response()
            if _has_been_ended(connection):
                connection.disconnect()  # the next command connects again
        return connection

    def failed(self, error: Exception) -> None:
        """Mark Redis as away, because a request to it has failed."""
        with self._lock:
            if self._is_away:
                return
            self._is_away = True
        log.warning("Redis is away (%s: %s); going on without it", type(error).__name__, error)
        self._start_probe()

    def _start_probe(self) -> None:
        with self._lock:
            if not (self._probe_thread and self._probe_thread.is_alive()):
                self._probe_thread = Thread(target=self._probe, name="redis-probe", daemon=True)
                self._probe_thread.start()

    def _probe(self) -> None:
        while True:
            time.sleep(PROBE_SECONDS)
            try:
                self.client.ping()
            except (redis.RedisError, OSError):
                continue
            self._is_away = False
            log.warning("Redis is back")
            return


def _has_been_ended(connection: Any) -> bool:
    """Whether there is something to read where nothing was asked: the end, as a rule."""
    try:
        return bool(connection.can_read(timeout=0))
    except (redis.RedisError, OSError):
        return True


def _packed(words: Sequence[bytes]) -> bytes:
    """A command as it goes over the wire: https://redis.io/docs/latest/develop/reference/protocol-spec/#arrays."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


@cache
def _link(url: str, timeout: float) -> Link:
    return Link(url, timeout)


def link() -> Link:
    """The link to REDIS_URL."""
    return _link(settings.REDIS_URL, settings.REDIS_TIMEOUT)
