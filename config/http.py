"""Requests to other servers: bounded in time and size, never inside a transaction, no secret in an error's text."""

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
        """The body as JSON. Raises `Unanswered` when it is not JSON, or holds what cannot be stored."""
        try:
            answer = json.loads(self.body)
            free_json.check(answer, "answer")
        except free_json.Unstorable as error:
            raise Unanswered(f"the answer cannot be kept: {error}") from None
        except (ValueError, RecursionError):
            raise Unanswered("the answer is no JSON") from None
        return answer


def never_in_a_transaction() -> None:
    """Call this before any request to another server: no lock and no pooled connection is held while it takes its time.

    Gives the pool its connection back. Raises `RuntimeError` inside a transaction.
    """
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
    """Send one request, and read the response, MAX_ANSWER bytes at most. `content` is JSON. Redirects are not followed.

    `timeout`, in seconds, bounds each wait, and the reading of the whole body. Raises `Unanswered`.
    """
    never_in_a_transaction()
    default_headers = {"Content-Type": "application/json"} if content is not None else {}
    try:
        with (
            httpx.Client(timeout=timeout, verify=_tls()) as client,
            client.stream(
                method, url, headers=default_headers | dict(headers or {}), params=params, content=content
            ) as answer,
        ):
            return ServerResponse(answer.status_code, _body(answer, timeout))
    except httpx.TimeoutException:
        raise Unanswered(f"no answer within {timeout:g} s") from None
    except httpx.ConnectError as error:
        raise Unanswered(f"the server cannot be reached: {error}") from None
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        raise Unanswered(f"the server cannot be asked: {type(error).__name__}") from None


def _body(answer: httpx.Response, timeout: float) -> bytes:
    deadline = time.monotonic() + timeout
    body = bytearray()
    for piece in answer.iter_bytes():
        body += piece
        if len(body) > MAX_ANSWER:
            raise Unanswered("the answer is too long")
        if time.monotonic() > deadline:
            raise Unanswered(f"no whole answer within {timeout:g} s")
    return bytes(body)


@cache
def _tls() -> ssl.SSLContext:
    """Made once: reading the certificates takes longer than most requests."""
    return httpx.create_ssl_context()
