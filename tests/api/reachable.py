"""Which refusals an endpoint leads to, read off the code: what the functions it names raise, and those that they name.

An over-estimate: it knows no values. What is cut (`CUT`) settles the turn or looks after others, and refuses its caller nothing.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from django.conf import settings

from config.errors import DomainError

CUT = (
    "messaging_app.relay",
    "messaging_app.stream",
    "sessions_app.assignment",
    "sessions_app.queries.alerts",
    "sessions_app.queries.customer",
    "sessions_app.queries.history",
    "sessions_app.queries.listing",
    "sessions_app.queries.related",
    "sessions_app.queries.search",
    "sessions_app.queries.staff",
    "sessions_app.queries.thread",
    "sessions_app.promises.reply_deadlines",
    "sessions_app.unit.settle",
    "sessions_app.promises.sla",
    "sessions_app.actions.sweep",
    "sessions_app.unit.timers",
    "sessions_app.queries.expected_wait",
)


def _errors(of: type[DomainError] = DomainError) -> Iterator[tuple[str, str]]:
    for kind in of.__subclasses__():
        yield kind.__name__, kind.code
        yield from _errors(kind)


class Code:
    """The project's functions by their full names, and what each module calls things."""

    def __init__(self) -> None:
        self.errors = dict(_errors())
        self.functions: dict[str, tuple[str, ast.FunctionDef]] = {}
        self.names: dict[str, dict[str, str]] = {}
        for app in ("config", "agents_app", "messaging_app", "sessions_app"):
            for path in (settings.BASE_DIR / app).rglob("*.py"):
                self._read(path)

    def _read(self, path: Path) -> None:
        module = ".".join(path.relative_to(settings.BASE_DIR).with_suffix("").parts).removesuffix(".__init__")
        tree = ast.parse(path.read_text(encoding="utf-8"))
        self.names[module] = {
            alias.asname or alias.name: f"{node.module}.{alias.name}"
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module
            for alias in node.names
        }
        for node in tree.body:
            members = [(f"{node.name}.", node.body)] if isinstance(node, ast.ClassDef) else [("", [node])]
            for prefix, body in members:
                for one in body:
                    if isinstance(one, ast.FunctionDef):
                        self.functions[f"{module}.{prefix}{one.name}"] = module, one

    def named(self, module: str, node: ast.AST) -> str:
        """The function that a name stands for; empty where it is none of ours, or cut."""
        found = ""
        if isinstance(node, ast.Name):
            own = f"{module}.{node.id}"
            found = own if own in self.functions else self.names[module].get(node.id, "")
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found = f"{self.names[module].get(node.value.id, '')}.{node.attr}"
        found = self._where_it_stands(found)
        return found if found in self.functions and not found.startswith(CUT) else ""

    def _where_it_stands(self, name: str) -> str:
        """What a package hands on stands in a module of it."""
        while name and name not in self.functions:
            module, _, own = name.rpartition(".")
            name = self.names.get(module, {}).get(own, "")
        return name

    @cache  # noqa: B019 – one for the whole run
    def raised(self, function: str) -> frozenset[str]:
        """The codes of what a function raises, or makes for others to raise, and those of whatever it names."""
        codes: set[str] = set()
        seen, todo = {function}, [function]
        while todo:
            module, node = self.functions[todo.pop()]
            for part in ast.walk(node):
                name = part.id if isinstance(part, ast.Name) else part.attr if isinstance(part, ast.Attribute) else ""
                if name in self.errors and _is_used(part, node):
                    codes.add(self.errors[name])
                if (next_one := self.named(module, part)) and next_one not in seen:
                    seen.add(next_one)
                    todo.append(next_one)
        return frozenset(codes)


def _is_used(part: ast.AST, function: ast.FunctionDef) -> bool:
    """Not in what is caught: `except Busy` refuses nothing."""
    caught = [handler.type for handler in ast.walk(function) if isinstance(handler, ast.ExceptHandler) and handler.type]
    return all(part is not inner for kind in caught for inner in ast.walk(kind))
