"""A probe of who may do what, which knows nothing of the rights matrix and must come to the same letters.

It finds the addresses by itself (`addresses`), brings about a world of its own through the API (`world`), asks each question
(`asked`) by each of fourteen credentials and two browsers about their own things, another's and another tenant's, and then
holds each cell to the matrix, and all of them to what is so without any matrix.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from datetime import timedelta
from itertools import batched
from typing import Any

import pytest
from django.db import connection, transaction
from django.template import Template
from django.test.utils import _TestState
from drf_spectacular.generators import SchemaGenerator

from config import buckets, clock
from messaging_app.attachments import files
from tests.api.matrix import TABLE
from tests.probe.addresses import addresses, admin_addresses
from tests.probe.asked import Ask, asks
from tests.probe.conftest import unhurried
from tests.probe.probe import KNOWN, REFUSED, Cell, Told, Tries, cells, tell
from tests.probe.world import BROWSERS, CALLERS, KEYS_AND_TOKENS, LOGINLESS, Nothing, World, wheres

pytestmark = pytest.mark.django_db

ASKS = asks()
CHUNKS = [pytest.param(chunk, id=f"{chunk[0].method} {chunk[0].pattern}") for chunk in batched(ASKS, 6)]


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Made once; whatever is asked is undone, and the whole of it at the end."""
    with django_db_blocker.unblock(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "never_in_a_transaction", lambda: None)
        patch.setattr(Template, "_render", _TestState.saved_data.template_render)  # type: ignore[attr-defined]  # nobody looks into the contexts
        patch.setattr(SchemaGenerator, "get_schema", lambda *_, **__: {"openapi": "3.1.1"})  # a second to make
        patch.setattr(logging.root.manager, "disable", logging.CRITICAL)  # thousands of refusals, all of them expected
        with unhurried(tmp_path_factory.mktemp("probe")), transaction.atomic():
            made = World()
            gc.freeze()  # what was made until now is not looked through again, ten thousand times
            yield made
            gc.unfreeze()
            clock.offset = timedelta(0)
            transaction.set_rollback(True)
            connection.run_on_commit.clear()
        buckets.forget()


def _none(complaints: list[str]) -> None:
    if complaints:
        pytest.fail("\n".join(complaints), pytrace=False)


def test_there_is_a_question_for_every_address_and_method(world: World) -> None:
    there, asked = addresses(), {(ask.method, ask.address) for ask in ASKS}
    _none([f"no question in tests/probe/asked.py: {method} {address}" for method, address in sorted(there - asked)])
    _none([f"no such address: {method} {address}" for method, address in sorted(asked - there)])


@pytest.mark.parametrize("chunk", CHUNKS)
def test_everybody_is_answered_as_the_matrix_has_it_and_as_it_must_be(world: World, chunk: tuple[Ask, ...]) -> None:
    """Each cell of the matrix; of what it has not, whatever is likeliest to be wrong."""
    _none([complaint for ask in chunk for complaint in _complaints(world, ask, _likely)])


@pytest.mark.slow
@pytest.mark.parametrize("chunk", CHUNKS)
def test_so_is_everybody_about_everything(world: World, chunk: tuple[Ask, ...]) -> None:
    _none([complaint for ask in chunk for complaint in _complaints(world, ask, _all)])


def _complaints(world: World, ask: Ask, tries: Tries) -> Iterator[str]:
    found = {cell.who: cell for cell in cells(world, ask, tries)}
    missing: set[Told] = set()
    for cell in found.values():
        yield from _differing(cell)
        yield from (f"{cell}: {why}" for why in _unlawful(cell, found))
        if tries is _all:
            missing.clear()  # what nobody has, each is asked by itself
        yield from (f"{cell}: {why}" for why in _telling(world, cell, missing))


def _all(ask: Ask, who: str) -> tuple[str, ...]:
    return wheres(ask)


LIKELIEST = ("nobody", "bot", "narrow", "agent", "supervisor", "dismissed")
"""Who asks what the matrix has not: no credential, a program, one that may not, a person, one who may more, one not any more."""


def _likely(ask: Ask, who: str) -> tuple[str, ...]:
    """The quick suite's share, half of all. Whose credential is not taken here at all asks about its own only."""
    if (ask.method, ask.pattern, ask.state) not in MATRIX:
        return tuple(where for where in wheres(ask) if where != "other") if who in LIKELIEST else ()
    unknown = KEYS_AND_TOKENS if ask.is_page else LOGINLESS
    if who not in MATRIX_CALLERS and who in (*unknown, "junk", "revoked"):
        return ("own",)
    return wheres(ask)


# --- The matrix --------------------------------------------------------------------------------------------------


MATRIX_CALLERS = ("nobody", "customer", "guest", "bot", "integrator", "agent", "supervisor", "admin")
"""The columns of the matrix, by the probe's names."""


def _matrix() -> dict[tuple[str, str, str], dict[str, str]]:
    """By method, pattern and state. Of people who joined by a browser the matrix has the same lines."""
    lines = (line.split() for line in TABLE.strip().splitlines() if line.strip() and not line.startswith("#"))
    return {
        (method, pattern.replace("/joined/{participant}/", "/joined/{joined}/"), state): dict(
            zip(MATRIX_CALLERS, its, strict=True)
        )
        for state, method, pattern, *its in lines
    }


MATRIX = _matrix()


def _differing(cell: Cell) -> Iterator[str]:
    ask = cell.ask
    expected = MATRIX.get((ask.method, ask.pattern, ask.state), {}).get(cell.who, "")
    if len(expected) > len(cell.told):
        yield f"{cell}: the matrix knows of more than the probe asks about: {expected}"
    for (where, told), letter in zip(cell.told.items(), expected, strict=False):
        if told.letter != letter:
            yield f"{cell} on {where}: matrix {letter}, probe {told.letter} {told.text[:200]}"


def test_the_probe_asks_whatever_the_matrix_has() -> None:
    asked = {(ask.method, ask.pattern, ask.state) for ask in ASKS}
    _none([f"the probe does not ask: {' '.join(line)}" for line in sorted(set(MATRIX) - asked)])


# --- What is so without any matrix -------------------------------------------------------------------------------


def _unlawful(cell: Cell, found: dict[str, Cell]) -> Iterator[str]:
    """What no table needs to say: nothing fails, tenants are apart, and whoever is not known gets as far as nobody."""
    ask, letters = cell.ask, cell.letters
    if unknown := [told for told in cell.told.values() if told.letter not in KNOWN]:
        yield f"{unknown[0].letter}: {unknown[0].text[:300]}"
    if letters.get("foreign", "0") not in REFUSED:
        yield f"on another tenant's: {letters['foreign']}"
    if (other := found.get(_answered_like(ask, cell.who))) and not letters.items() <= other.letters.items():
        yield f"{letters}, and as {other.who} {other.letters}"
    nobodys = found["nobody"].letters["own"]
    if cell.who in ("operator", "dismissed") and nobodys == "l" and not set(letters.values()) <= REFUSED:
        yield f"let in without an agent behind the login: {letters}"
    if cell.who == "narrow" and ask.writes and nobodys != "+" and "+" in letters.values():
        yield f"writes, and may only read: {letters}"


def _answered_like(ask: Ask, who: str) -> str:
    """Whose answers somebody's must be, whatever these are."""
    if who in ("junk", "revoked") or (who in KEYS_AND_TOKENS if ask.is_page else who in LOGINLESS):
        return "nobody"
    if who in BROWSERS and not ask.address.startswith(("/join/", "/joined/", "/try-it/")):
        return "nobody"
    if who == "dismissed":
        return "operator"
    if who == "admin" and "webhooks" not in ask.pattern:
        return "supervisor"
    if who == "channel" and ask.pattern not in ("inbound", "batches?customer"):
        return "bot"
    return ""


def _telling(world: World, cell: Cell, missing: set[Told]) -> Iterator[str]:
    """A refusal of what is not the caller's to know is word for word that of what does not exist: one of `missing`.

    Of their own tenant agents know every conversation, and the desk shows with a refusal what is so now.
    """
    for where, told in cell.told.items():
        is_hidden = where == "foreign" or (where == "other" and told.letter == "0" and not cell.ask.is_page)
        if is_hidden and told.letter in "0-" and told not in missing:
            missing.add(said := tell(world, cell.ask, cell.who, Nothing()))
            if told != said:
                yield f"what is of {where} is told from what does not exist: {told}, {said}"


# --- The admin ---------------------------------------------------------------------------------------------------


FOR_EVERYBODY = ("/admin/login/", "/admin/logout/", "/admin/jsi18n/")


def test_only_the_operator_enters_the_admin(world: World) -> None:
    """Everybody knocks at its door; at each page behind it an administrator whose login is for the desk, and nobody."""
    pages = [page for page in admin_addresses() if page not in FOR_EVERYBODY]
    tries = [(method, "/admin/", who) for who in CALLERS for method in ("GET", "POST")]
    tries += [line for page in pages for line in (("GET", page, "admin"), ("POST", page, "nobody"))]
    wrong = []
    for method, page, who in tries:
        told = tell(world, Ask(method, page, "served"), who, Nothing())
        if told.letter != ("+" if who == "operator" else "l"):
            wrong.append(f"{method} {page} as {who}: {told.letter}")
    _none(wrong)
