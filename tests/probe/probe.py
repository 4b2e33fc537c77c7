"""Asking: each question by each caller about each thing, undone at once, and the answer as one letter.

The letters are those of the rights matrix: + done, = let in but the state forbids it, k no valid credential, - forbidden,
0 as if it did not exist, l sent to the login. Anything else stands as its number.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django.http.cookie import SimpleCookie

from tests.probe.asked import Ask, Place
from tests.probe.world import CALLERS, World

LETTERS = {200: "+", 201: "+", 202: "+", 204: "+", 302: "+", 401: "k", 403: "-", 404: "0", 409: "="}
REFUSED = frozenset("k-0l")
KNOWN = REFUSED | frozenset("+=")
LOGINS = ("/login/", "/admin/login/")
FRAGMENT = {"HX-Request": "true"}
"""The desk is asked as its scripts ask it, and answers with a part of the page: that takes a quarter of the time."""
_ONCE = re.compile(r'name="csrfmiddlewaretoken" value="[^"]+"|nonce="[^"]+"|nonce-[\w+/=-]+')


@dataclass(frozen=True)
class Told:
    """The answer: its letter, and what it said without what is new in every answer."""

    letter: str
    text: str


@dataclass
class Cell:
    """What one caller was answered to one question, by whose things it was about."""

    ask: Ask
    who: str
    told: dict[str, Told]

    def __str__(self) -> str:
        return f"{self.ask} as {self.who}"

    @property
    def letters(self) -> dict[str, str]:
        return {where: told.letter for where, told in self.told.items()}


type Tries = Callable[[Ask, str], tuple[str, ...]]
"""About whose things one caller is let ask; nobody's where it is not asked at all."""


def cells(world: World, ask: Ask, tries: Tries) -> Iterator[Cell]:
    for who in CALLERS:
        told = {where: tell(world, ask, who, world.place(who, where, ask.state)) for where in tries(ask, who)}
        if told:
            yield Cell(ask, who, told)


def tell(world: World, ask: Ask, who: str, place: Place) -> Told:
    """Ask, and leave no trace: neither in the database nor with the caller's cookies."""
    client, path, body = world.client(who, ask.state), ask.path(place), ask.body(place)
    cookies = client.cookies.output()
    world.stand_still()
    fragment = FRAGMENT if path.startswith("/desk/") else None
    with transaction.atomic():
        if ask.method == "POST" and (ask.is_page or any(hasattr(value, "read") for value in body.values())):
            answer: Any = client.post(path, body, headers=fragment)
        else:
            sent = json.dumps(body) if ask.method in ("POST", "PATCH") else ""
            answer = client.generic(ask.method, path, sent, content_type="application/json", headers=fragment)
        told = Told(letter_of(answer), _said(answer, ask, path))
        transaction.set_rollback(True)
    connection.run_on_commit.clear()
    if client.cookies.output() != cookies:
        client.cookies = SimpleCookie(cookies.replace("Set-Cookie: ", "").replace("\r\n", "; "))
    answer.close()
    return told


def letter_of(answer: Any) -> str:
    if (answer.status_code == 302 and answer["Location"].startswith(LOGINS)) or "HX-Redirect" in answer:
        return "l"
    letter = LETTERS.get(answer.status_code, f"[{answer.status_code}]")
    return _of_many(answer) or letter if letter == "+" else letter


def _of_many(answer: Any) -> str:
    """What is done to many is answered 200 as a whole: of one, what became of that one."""
    if answer.request["PATH_INFO"] == "/api/v1/conversations/bulk":
        problem = json.loads(answer.content)["results"][0]["problem"]
        return LETTERS[problem["status"]] if problem else "+"
    if answer.request["PATH_INFO"] == "/desk/bulk/":
        return "0" if b">0 done." in answer.content else "+"
    return ""


def _said(answer: Any, ask: Ask, path: str) -> str:
    if answer.status_code < 400 or answer.streaming:
        return ""
    return _ONCE.sub("", answer.content.decode()).replace(path, ask.pattern)
