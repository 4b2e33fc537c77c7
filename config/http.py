"""Asking another server: bounded in time and size, never inside a transaction, and nothing secret in what is told of it."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx
from django.db import connection

from config import free_json, limits

MAX_ANSWER = limits.MAX_ANSWER
"""Bytes. Longer than any answer we ask for."""


class Unanswered(Exception):
    """No usable answer; the text says why. It never holds the address or a header: both may carry secrets."""


@dataclass(frozen=True, slots=True)
class ServerResponse:
    status: int
    body: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> Any:
        """Raises `Unanswered` when it is none, or holds what cannot be stored."""
        try:
            answer = json.loads(self.body)
            free_json.check(answer, "answer")
        except free_json.Unstorable as error:
            raise Unanswered(f"the answer cannot be kept: {error}") from None
        except (ValueError, RecursionError):
            raise Unanswered("the answer is no JSON") from None
        return answer


def never_in_a_transaction() -> None:
    """Neither a lock nor a connection of the pool is held while somebody else's server takes its time."""
    if connection.in_atomic_block:
        raise RuntimeError("No network inside a transaction.")
    if connection.settings_dict["OPTIONS"].get("pool"):
        connection.close()


def ask(
    method: str,
    url: str,
    *,
    timeout: float,
    headers: Mapping[str, str] | None = None,
    params: Mapping[str, str] | None = None,
    content: bytes | None = None,
) -> ServerResponse:
    """One request and its whole answer; JSON is what `content` holds. Redirects are not followed.

    `timeout` bounds each wait, and from the first to the last byte of the answer. Raises `Unanswered`.
    """
    never_in_a_transaction()
    told = {"Content-Type": "application/json"} if content is not None else {}
    try:
        with (
            httpx.Client(timeout=timeout, verify=_tls()) as client,
            client.stream(method, url, headers=told | dict(headers or {}), params=params, content=content) as answer,
        ):
            return ServerResponse(answer.status_code, _body(answer, timeout))
    except httpx.TimeoutException:
        raise Unanswered(f"no answer within {timeout:g} s") from None
    except httpx.ConnectError as error:
        raise Unanswered(f"the server cannot be reached: {error}") from None
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        raise Unanswered(f"the server cannot be asked: {type(error).__name__}") from None


def _body(answer: httpx.Response, timeout: float) -> bytes:
    ends = time.monotonic() + timeout
    body = bytearray()
    for piece in answer.iter_bytes():
        body += piece
        if len(body) > MAX_ANSWER:
            raise Unanswered("the answer is too long")
        if time.monotonic() > ends:
            raise Unanswered(f"no whole answer within {timeout:g} s")
    return bytes(body)


@cache
def _tls() -> ssl.SSLContext:
    """Made once: reading the certificates takes longer than most requests."""
    return httpx.create_ssl_context()
