"""Python code of a template's part: one function that writes what its nodes would, and looks up each name once.

A row of the list is a hundred nodes, each of which asks for its variable anew and calls the next. The function does the
same in one go for what is usual: a name, attributes of a plain object, text that is escaped, a condition that is a name
alone. Whatever is unusual (a name that is missing, what can be called, a mapping of its own kind, a filter) is left to the
node itself, which is there still. The names are found once for a call, so a part has no node that could set one.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

from django.template.base import Node, NodeList, TextNode
from django.template.defaulttags import ForNode

type _Render = Callable[[Any], str]


class Unusual(Exception):
    """Raised where a node has to find its value itself."""


class Coded(Node):
    """Nodes that are rendered by one function; `nodelist` has them still."""

    child_nodelists = ("nodelist",)

    def __init__(self, nodelist: NodeList, render: _Render) -> None:
        self.nodelist = nodelist
        its: Any = self
        its.render_annotated = its.render = render


_MISSING = object()
_PLAIN: set[type] = set()
"""Types whose objects have attributes alone: no entries, and they cannot be called."""


def in_code(nodelist: Any, kinds: Kinds) -> Any:
    """The nodes as one, if all of them are of the kinds that set no name; else the nodes as they are."""
    if len(nodelist) < 2 or not all(kinds.sets_no_name(node) for node in nodelist):
        return nodelist
    writer = _Writer(kinds)
    writer.nodes(nodelist, 1)
    return NodeList([Coded(nodelist, writer.function())])


class Kinds:
    """Which of the compiled nodes are understood: `output` and `condition` have a variable, `constants` and others none."""

    def __init__(self, output: Any, condition: Any, constant: Any, partial: Any) -> None:
        self.output, self.condition, self.constant, self.partial = output, condition, constant, partial

    def sets_no_name(self, node: Any) -> bool:
        """A loop and a partial keep the names that are set within to themselves."""
        if isinstance(node, self.condition):
            return all(self.sets_no_name(inner) for _, _, nodes in node.branches for inner in nodes)
        return isinstance(node, (TextNode, Coded, self.output, self.constant, self.partial)) or type(node) is ForNode


class _Writer:
    """Writes the function's text. Its globals hold the nodes by number."""

    def __init__(self, kinds: Kinds) -> None:
        self._kinds = kinds
        self._lines: list[str] = []
        self._roots: dict[str, str] = {}
        self._globals: dict[str, Any] = {
            "escape": escape, "plain": _PLAIN, "step": _step, "find": _find, "fits": _fits, "Unusual": Unusual, "shown": _shown,
        }  # fmt: skip

    def function(self) -> _Render:
        roots = [f"    {local} = find(context, {name!r})" for name, local in self._roots.items()]
        head = [
            "def render(context):",
            "    parts = []",
            "    write = parts.append",
            "    is_escaped = context.autoescape",
        ]
        text = "\n".join([*head, *roots, *self._lines, "    return ''.join(parts)"])
        exec(compile(text, "<template>", "exec"), self._globals)  # noqa: S102  # nosec B102 – names of our own templates
        render: _Render = self._globals["render"]
        return render

    def nodes(self, nodelist: Any, depth: int) -> None:
        for node in nodelist:
            if isinstance(node, TextNode):
                self._line(depth, f"write({node.s!r})")
            elif isinstance(node, self._kinds.condition):
                self._condition(node, depth)
            elif isinstance(node, self._kinds.output) and node.variable is not None:
                self._output(node, depth)
            else:
                self._line(depth, f"write({self._named(node)}.render_annotated(context))")
        if not len(nodelist):
            self._line(depth, "pass")

    def _output(self, node: Any, depth: int) -> None:
        name = self._named(node)
        self._line(depth, "try:")
        self._value(node.variable, depth + 1)
        self._line(depth, "except (AttributeError, KeyError, Unusual):")
        self._line(depth + 1, f"write({name}.render_annotated(context))")
        self._line(depth, "else:")
        self._line(depth + 1, "if type(value) is str:")
        self._line(depth + 2, "write(escape(value) if is_escaped else value)")
        self._line(depth + 1, "else:")
        self._line(depth + 2, f"write(shown({name}, value, context))")

    def _condition(self, node: Any, depth: int) -> None:
        for place, (variable, test, inner) in enumerate(node.branches):
            if variable is not None:
                self._line(depth, "try:")
                self._value(variable, depth + 1)
                self._line(depth + 1, "if callable(value):")
                self._line(depth + 2, "raise Unusual")
                self._line(depth, "except (AttributeError, KeyError, Unusual):")
                self._line(depth + 1, f"value = fits({self._named(node)}, {place}, context)")
            elif test is not None:
                self._line(depth, f"value = fits({self._named(node)}, {place}, context)")
            else:
                self._line(depth, "value = True")
            self._line(depth, "if value:")
            self.nodes(inner, depth + 1)
            self._line(depth, "else:")
            depth += 1
        self._line(depth, "pass")

    def _value(self, variable: Any, depth: int) -> None:
        root = self._roots.setdefault(variable.root, f"root{len(self._roots)}")
        self._line(depth, f"value = {root}")
        for name in variable.rest:
            got = f"value.{name}" if name.isidentifier() else f"getattr(value, {name!r})"
            self._line(depth, f"value = {got} if type(value) in plain else step(value, {name!r})")
        if not variable.rest:
            self._line(depth, "if value is missing:")
            self._line(depth + 1, "raise Unusual")
            self._globals["missing"] = _MISSING

    def _named(self, node: Any) -> str:
        name = f"node{len(self._globals)}"
        self._globals[name] = node
        return name

    def _line(self, depth: int, text: str) -> None:
        self._lines.append("    " * depth + text)


# --- What the function calls -------------------------------------------------------------------------------------


def _find(context: Any, name: str) -> Any:
    for names in reversed(context.dicts):
        if name in names:
            return names[name]
    return _MISSING


def _step(value: Any, name: str) -> Any:
    kind = type(value)
    if kind is dict:
        return value[name]
    if value is _MISSING or hasattr(kind, "__getitem__") or callable(value):
        raise Unusual
    _PLAIN.add(kind)
    return getattr(value, name)


def _fits(node: Any, place: int, context: Any) -> Any:
    return node.fits(place, context)


def _shown(node: Any, value: Any, context: Any) -> str:
    return str(node.render_annotated(context)) if callable(value) else str(node.shown(value, context))
