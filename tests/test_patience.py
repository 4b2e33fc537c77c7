"""No test races the clock of the machine (`tests/patience.py`), as far as that can be read off the syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import patience

HERE = Path(__file__).parent
LEAST = 60
"""Seconds under which a limit is a bet on how fast the machine is."""
MAY_SLEEP = {
    "patience.py",
    # Programs of their own that play somebody who takes time: a rate, a pause for thought, how long a fault lasts.
    "events/clients.py",
    "events/test_kills.py",
    "events/test_pace.py",
    "events/writer.py",
    "faults/at_desk.py",
    "faults/below.py",
    "faults/hasty.py",
    "faults/kill.py",
    "races/arena.py",
    "races/mutants.py",
    "races/player.py",
    "races/stamping.py",
    # What is tested is a pause, and longer changes nothing.
    "cases/test_a6_slow_readers.py",
    "cases/test_t06_bodies.py",
}
MAY_BE_SHORT = {
    "attachments/test_s3.py",  # to connect to an address at which nobody listens
}
CLIENTS = {"Client", "AsyncClient", "get", "post", "put", "request", "stream"}


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _of(node: ast.expr) -> str:
    return _name(node.value) if isinstance(node, ast.Attribute) else ""


def _is_short(node: ast.expr | None) -> bool:
    return (
        isinstance(node, ast.Constant)
        and isinstance(node.value, int | float)
        and not isinstance(node.value, bool)
        and 0 < node.value < LEAST
    )


def _is_a_poll(seconds: ast.expr) -> bool:
    """Less than two seconds is the pause between two looks, and no limit: nothing fails when it is over."""
    return isinstance(seconds, ast.Constant) and isinstance(seconds.value, int | float) and seconds.value < 2


def sleeps(tree: ast.AST) -> Iterator[int]:
    """A pause for a time: `sleep(0)`, which lets others run, is none."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _name(node.func) == "sleep" and _of(node.func) in {"time", "asyncio", ""}:
            (seconds,) = node.args
            if not (isinstance(seconds, ast.Constant) and seconds.value == 0):
                yield node.lineno


def short_limits(tree: ast.AST) -> Iterator[int]:
    """A limit that is a small number; and a client of HTTP that is given none, whose own is five seconds."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = _name(node.func)
        limits = [keyword.value for keyword in node.keywords if keyword.arg in {"timeout", "connect_timeout"}]
        if (called in {"join", "timeout", "settimeout"} and node.args) or (
            called == "wait" and _of(node.func) and node.args and not _is_a_poll(node.args[0])
        ):
            limits.append(node.args[0])
        elif called in {"wait_for", "receive_output"} and node.args:
            limits.append(node.args[-1])
        if any(map(_is_short, limits)):
            yield node.lineno
        if _of(node.func) == "httpx" and called in CLIENTS and not limits:
            yield node.lineno


TREES = {
    path.relative_to(HERE).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted(HERE.rglob("*.py"))
    if not {"browser", "vendor", "data"} & set(path.relative_to(HERE).parts)
}
"""Pages in a browser have a patience of their own, by Playwright (`tests/browser/conftest.py`)."""


@pytest.mark.parametrize("path", [path for path in TREES if path not in MAY_SLEEP])
def test_no_test_sleeps(path: str) -> None:
    assert list(sleeps(TREES[path])) == []


@pytest.mark.parametrize("path", [path for path in TREES if path not in MAY_BE_SHORT])
def test_no_limit_is_a_bet_on_the_machine(path: str) -> None:
    assert list(short_limits(TREES[path])) == []


def test_whoever_may_does() -> None:
    """An exception that is not needed any more is taken out of the list."""
    assert [path for path in sorted(MAY_SLEEP) if not list(sleeps(TREES[path]))] == []
    assert [path for path in sorted(MAY_BE_SHORT) if not list(short_limits(TREES[path]))] == []
    assert patience.PATIENCE >= LEAST


@pytest.mark.parametrize("code", ["time.sleep(0.1)", "asyncio.sleep(seconds)", "sleep(1)"])
def test_a_pause_is_seen(code: str) -> None:
    assert list(sleeps(ast.parse(code)))


@pytest.mark.parametrize(
    "code",
    [
        "event.wait(5)",
        "asyncio.wait_for(listener.next(), 0.1)",
        "thread.join(3)",
        "asyncio.timeout(5)",
        "line.settimeout(20)",
        "socket.create_connection(where, timeout=5)",
        "subprocess.run(command, timeout=30)",
        "httpx.get(url)",
        "httpx.Client(base_url=url)",
    ],
)
def test_a_short_limit_is_seen(code: str) -> None:
    assert list(short_limits(ast.parse(code)))


@pytest.mark.parametrize(
    "code",
    ["asyncio.sleep(0)", "event.wait(PATIENCE)", "' '.join(words)", "os.wait()", "httpx.get(url, timeout=PATIENCE)"],
)
def test_what_is_no_bet_is_let_pass(code: str) -> None:
    assert [*sleeps(ast.parse(code)), *short_limits(ast.parse(code))] == []
