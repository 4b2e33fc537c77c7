"""Every address of the installation with the methods that it takes, read off Django's URL resolver.

An address is written with the names of the things in it: `conversations/{conversation}/notes` under `/api/v1/`, and
`/desk/c/{conversation}/say/` as it is for pages. What the desk does to a conversation shares one pattern, and is an
address for each verb. The admin's are apart: `admin_addresses`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from sessions_app.workbench.views import VERBS

V1 = "api/v1/"
ADMIN = "admin/"
NOTHING = 2**40
"""An id that no row has."""
_PART = re.compile(r"\(\?P<(?P<of_regex>\w+)>[^)]*\)|<(?:\w+:)?(?P<of_path>\w+)>")
_OF_COLLECTION = {
    "agents": "agent",
    "attachments": "attachment",
    "batches": "batch",
    "canned-replies": "reply",
    "conversations": "conversation",
    "flows": "flow",
    "labels": "label",
    "mentions": "mention",
    "saved-views": "view",
    "sessions": "session",
    "transfers": "transfer",
    "webhooks": "webhook",
}
_OF_NAME = {
    "attachment_id": "{attachment}",
    "conversation_id": "{conversation}",
    "delivery": "{delivery}",
    "participant": "{participant}",
    "participant_id": "{joined}",
    "reply_id": "{reply}",
    "token": "{link}",
    "verb": "{verb}",
    "view_id": "{view}",
    "component": "row",
    "state": "mine",
}
_ANY = ("GET", "POST")
"""Of an address that refuses no method: what reads and what writes."""


def addresses() -> set[tuple[str, str]]:
    """Method and address, without the admin's. Raises `LookupError` for a part of a pattern that has no name here."""
    found = set()
    for route, view in _walk(get_resolver().url_patterns):
        if route.startswith(ADMIN):
            continue
        for address in _addresses_of(route):
            found |= {(method, address) for method in _methods(view, address)}
    return found


def admin_addresses() -> list[str]:
    """With ids that no row has."""
    routes = (route for route, _ in _walk(get_resolver().url_patterns) if route.startswith(ADMIN))
    return sorted("/" + _PART.sub(_of_admin, _plain(route)) for route in routes)


def _of_admin(part: re.Match[str]) -> str:
    return "sessions_app" if part["of_regex"] == "app_label" else str(NOTHING)


def _walk(patterns: Any, before: str = "") -> Iterator[tuple[str, Callable[..., Any]]]:
    for pattern in patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield route, pattern.callback
        elif isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, route)


def _plain(route: str) -> str:
    return route.replace("^", "").replace("$", "").replace("\\Z", "")


def _addresses_of(route: str) -> list[str]:
    plain = _plain(route)
    if plain == "api/":  # whatever else is asked for under it
        return ["/api/nowhere"]
    its = plain.removeprefix(V1) if plain.startswith(V1) else f"/{plain}"

    def thing(part: re.Match[str]) -> str:
        name = part["of_regex"] or part["of_path"]
        if name == "pk":
            return f"{{{_OF_COLLECTION[its.partition('/')[0]]}}}"
        return _OF_NAME[name]

    try:
        address = _PART.sub(thing, its)
    except LookupError as unknown:
        raise LookupError(f"What is {unknown} in the address {route}? Give it a name in tests/probe.") from None
    return [address.replace("{verb}", verb) for verb in sorted(VERBS)] if "{verb}" in address else [address]


def _methods(view: Any, address: str) -> set[str]:
    """By REST framework's routes; else as the address says itself to a method that nothing takes."""
    if routed := getattr(view, "actions", None):
        return {method.upper() for method in routed} - {"HEAD"}
    answer = _client().generic("TRACE", path_of(address).format_map(_Anything()))
    allowed = set(answer.get("Allow", "").replace(" ", "").split(",")) - {"", "HEAD", "OPTIONS"}
    return allowed & {"GET", "POST", "PUT", "PATCH", "DELETE"} if answer.status_code == 405 else set(_ANY)


@cache
def _client() -> Client:
    """One for all: each new one looks through the static files."""
    return Client(raise_request_exception=False)


class _Anything(dict[str, int]):
    def __missing__(self, name: str) -> int:
        return NOTHING


def path_of(address: str) -> str:
    return address if address.startswith("/") else f"/{V1}{address}"
