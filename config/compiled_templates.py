"""Templates that do little work: what is the same for everybody is put together once, and the rest is looked up at once.

The engine's own templates, parsed and rendered by the framework; this loader goes over each when it is loaded.

- Text, translations, addresses without arguments, static files and limits that follow each other become one text for
  each language (`Constant`).
- A filter that rows need does no more than a row asks for (`config.quick_filters`).
- A variable is looked up by what its value is, instead of by trying an entry, an attribute and an index one after the
  other (`QuickVariable`); plain text and whole numbers are written at once (`QuickOutput`).
- A partial of a fixed name is put where it is included (`Inlined`), if nothing in it needs a template of its own.
- A partial and the body of a loop become one function of Python (`config.template_code`), if they set no name.

Whatever is unusual, a missing name for example, goes the framework's own way: what is rendered is the same, to the byte
(tests/workbench/test_compiled_templates.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from django.conf import settings
from django.template import TemplateDoesNotExist
from django.template.base import (
    FilterExpression,
    Node,
    NodeList,
    TextNode,
    Variable,
    VariableDoesNotExist,
    VariableNode,
    render_value_in_context,
)
from django.template.defaulttags import (
    CommentNode,
    CycleNode,
    ForNode,
    IfChangedNode,
    IfNode,
    LoadNode,
    ResetCycleNode,
    TemplateLiteral,
    URLNode,
)
from django.template.library import SimpleNode
from django.template.loader_tags import BlockNode, ExtendsNode, IncludeNode
from django.template.loaders import cached
from django.templatetags.i18n import TranslateNode
from django.templatetags.static import StaticNode
from django.urls import get_script_prefix
from django.utils.safestring import SafeString
from django.utils.translation import get_language

from config.quick_filters import quicker
from config.template_code import Coded, Kinds, in_code
from config.template_limits import limit

_NEED_A_TEMPLATE: tuple[type[Node], ...] = (BlockNode, ExtendsNode, CycleNode, ResetCycleNode, IfChangedNode)
"""What keeps something between two renderings of one template, or belongs to its blocks."""

_FROM = ("django.template.loaders.filesystem.Loader", "django.template.loaders.app_directories.Loader")


def _is_ours(template: Any) -> bool:
    """Those of packages (the admin's theme, whose partials include themselves) stay as they are."""
    place = Path(template.origin.name)
    return not place.is_absolute() or place.is_relative_to(settings.BASE_DIR / "templates")


class Loader(cached.Loader):
    """The framework's cached loader; of its templates ours are compiled when they are loaded."""

    def __init__(self, engine: Any, loaders: Any = _FROM) -> None:
        super().__init__(engine, loaders)

    def get_template(self, template_name: str, skip: Any = None) -> Any:
        key = self.cache_key(template_name, skip)
        is_new = key not in self.get_template_cache
        template = super().get_template(template_name, skip)
        if is_new and _is_ours(template):
            template.nodelist = _compiled(template.nodelist, self.engine)
        return template


# --- Nodes -------------------------------------------------------------------------------------------------------


class Constant(Node):
    """Nodes that give the same for everybody who reads the same language."""

    child_nodelists = ()

    def __init__(self, nodes: list[Node]) -> None:
        self.nodes = nodes
        self._texts: dict[tuple[str | None, str], str] = {}

    def render_annotated(self, context: Any) -> str:
        try:
            key = context.tandem_reader
        except AttributeError:  # asked once for a page: no template of ours changes the language
            key = context.tandem_reader = get_language(), get_script_prefix()
        text = self._texts.get(key)
        if text is None:
            text = self._texts[key] = "".join(str(node.render_annotated(context)) for node in self.nodes)
        return text

    render = render_annotated


class QuickOutput(Node):
    """`{{ … }}` as the framework writes it."""

    child_nodelists = ()

    def __init__(self, node: VariableNode) -> None:
        self.node, self.filter_expression = node, node.filter_expression
        variable = node.filter_expression.var
        self.variable = variable if isinstance(variable, QuickVariable) and not self.filter_expression.filters else None

    def render_annotated(self, context: Any) -> str:
        if self.variable is None:
            value = self.filter_expression.resolve(context)
        else:
            try:
                value = self.variable.resolve(context)
            except VariableDoesNotExist:
                return str(self.node.render_annotated(context))
        return self.shown(value, context)

    def shown(self, value: Any, context: Any) -> str:
        kind = type(value)
        if kind is str:
            return escape(value) if context.autoescape else value
        if kind is SafeString:
            return str(value)
        if kind is int and not settings.USE_THOUSAND_SEPARATOR:
            return str(value)
        return str(render_value_in_context(value, context))

    render = render_annotated


class QuickIf(IfNode):
    """`{% if … %}`: a name alone is asked for its value at once, whatever else is tested as the framework tests it."""

    def __init__(self, node: IfNode) -> None:
        super().__init__(node.conditions_nodelists)
        self.branches = [(_name_alone(test), test, inner) for test, inner in node.conditions_nodelists]

    def render_annotated(self, context: Any) -> str:
        for place, (_, _, inner) in enumerate(self.branches):
            if self.fits(place, context):
                return str(inner.render(context))
        return ""

    render = render_annotated

    def fits(self, place: int, context: Any) -> Any:
        """Whether the branch at this place is shown, if none before it is."""
        variable, test, _ = self.branches[place]
        if test is None:
            return True
        try:
            return test.eval(context) if variable is None else variable.resolve(context)
        except VariableDoesNotExist:
            return None


def _name_alone(test: Any) -> QuickVariable | None:
    expression: Any = test.value if isinstance(test, TemplateLiteral) else None
    if expression is None or expression.filters:
        return None
    return expression.var if isinstance(expression.var, QuickVariable) else None


class QuickVariable(Variable):
    """A variable that is no literal. The value at each step tells how to go on; what is unusual is left to the framework."""

    __slots__ = ("rest", "root")

    def __init__(self, var: str) -> None:
        super().__init__(var)
        path: Any = self.lookups
        self.root, self.rest = path[0], path[1:]

    def resolve(self, context: Any) -> Any:
        for names in reversed(context.dicts):
            if self.root in names:
                value = names[self.root]
                break
        else:
            return super().resolve(context)
        try:
            for name in self.rest:
                if callable(value):
                    return super().resolve(context)
                kind = type(value)
                if kind is dict:
                    value = value[name]
                elif hasattr(kind, "__getitem__"):
                    return super().resolve(context)
                else:
                    value = getattr(value, name)
        except (AttributeError, KeyError):
            return super().resolve(context)
        return super().resolve(context) if callable(value) else value


class Inlined(Node):
    """A partial where it is included, with the names that it gets."""

    child_nodelists = ("nodelist",)

    def __init__(self, node: IncludeNode, nodelist: NodeList) -> None:
        self.nodelist = in_code(nodelist, KINDS)
        self.extra_context = node.extra_context

    def render(self, context: Any) -> str:
        values = {name: expression.resolve(context) for name, expression in self.extra_context.items()}
        with context.push(**values):
            rendered: str = self.nodelist.render(context)
            return rendered


KINDS = Kinds(output=QuickOutput, condition=QuickIf, constant=Constant, partial=Inlined)


# --- Going over a template ---------------------------------------------------------------------------------------


def _compiled(nodelist: NodeList, engine: Any) -> NodeList:
    """The nodes with their parts compiled, in a list of the same kind."""
    done: list[Node] = []
    for node in nodelist:
        compiled = _of_node(node, engine)
        if isinstance(compiled, Constant) and done and isinstance(done[-1], Constant):
            done[-1] = _like(done[-1], Constant([*done[-1].nodes, *compiled.nodes]))
        else:
            done.append(compiled)
    result = type(nodelist)(map(_plain_if_text, done))
    result.contains_nontext = nodelist.contains_nontext
    return result


def _of_node(node: Node, engine: Any) -> Node:
    if isinstance(node, (Constant, QuickOutput, QuickIf, Inlined, Coded)):
        return node
    if _is_constant(node):
        return _like(node, Constant([node]))
    if type(node) is VariableNode:
        _quicken(node.filter_expression)
        return _like(node, QuickOutput(node))
    _compile_parts(node, engine)
    if isinstance(node, IfNode):
        node.conditions_nodelists = [(test, _compiled(inner, engine)) for test, inner in node.conditions_nodelists]
        for test, _ in node.conditions_nodelists:
            _quicken_test(test)
        return _like(node, QuickIf(node))
    if type(node) is IncludeNode and (nodelist := _included(node, engine)) is not None:
        if len(nodelist) == 1 and isinstance(nodelist[0], (Constant, TextNode)) and not node.extra_context:
            return _of_node(nodelist[0], engine)
        return _like(node, Inlined(node, nodelist))
    return node


def _compile_parts(node: Any, engine: Any) -> None:
    for value in _parts(vars(node)):
        if isinstance(value, FilterExpression):
            _quicken(value)
    for name in node.child_nodelists:
        if isinstance(inner := vars(node).get(name), NodeList):
            setattr(node, name, _compiled(inner, engine))
    if type(node) is ForNode:
        node.nodelist_loop = in_code(node.nodelist_loop, KINDS)


def _plain_if_text(node: Node) -> Node:
    """Text alone is the same in every language."""
    if not isinstance(node, Constant) or not all(isinstance(part, TextNode) for part in node.nodes):
        return node
    return _like(node, TextNode("".join(part.s for part in node.nodes if isinstance(part, TextNode))))


def _like[Made: Node](node: Any, made: Made) -> Made:
    """With what the framework notes of a node, to name its place in an error."""
    place: Any = made
    place.token, place.origin = node.token, getattr(node, "origin", None)
    return made


def _is_constant(node: Any) -> bool:
    if isinstance(node, (TextNode, CommentNode, LoadNode)):
        return True
    if type(node) is TranslateNode:
        return not node.asvar and node.message_context is None and _is_literal(node.filter_expression)
    if type(node) is StaticNode:
        return node.varname is None and _is_literal(node.path)
    if type(node) is URLNode:
        return not (node.args or node.kwargs or node.asvar) and _is_literal(node.view_name)
    if type(node) is SimpleNode and node.func is limit:
        return node.target_var is None and all(map(_is_literal, [*node.args, *node.kwargs.values()]))
    return False


def _is_literal(expression: Any) -> bool:
    """Whether it is a text or number as it stands, without a filter."""
    if not isinstance(expression, FilterExpression) or expression.filters:
        return False
    return not isinstance(expression.var, Variable) or expression.var.lookups is None


def _parts(value: Any) -> Iterator[Any]:
    """What a node holds, at any depth of lists and dictionaries."""
    if isinstance(value, dict):
        for item in value.values():
            yield from _parts(item)
    elif isinstance(value, (list, tuple)) and not isinstance(value, NodeList):
        for item in value:
            yield from _parts(item)
    else:
        yield value


def _quicken(expression: Any) -> None:
    expression.filters = [(quicker(function, given), given) for function, given in expression.filters]
    variable = expression.var
    if type(variable) is Variable and variable.lookups is not None and not variable.translate:
        expression.var = QuickVariable(str(variable.var))


def _quicken_test(test: Any) -> None:
    """The variables of an `{% if %}`, whose test is a tree of operators."""
    if isinstance(test, TemplateLiteral):
        _quicken(test.value)
    for operand in (getattr(test, "first", None), getattr(test, "second", None)):
        if operand is not None:
            _quicken_test(operand)


def _included(node: Any, engine: Any) -> NodeList | None:
    """The nodes of a partial; None where its name is not fixed, or it needs a template of its own."""
    if node.isolated_context or not _is_literal(node.template):
        return None
    name = node.template.var
    name = str(name.literal if isinstance(name, Variable) else name)
    if name.startswith("."):
        return None
    try:
        partial = engine.get_template(name)
        if not _is_ours(partial):
            return None
        nodelist: NodeList = partial.nodelist
    except (TemplateDoesNotExist, RecursionError):
        return None
    return None if any(any(nodelist.get_nodes_by_type(kind)) for kind in _NEED_A_TEMPLATE) else nodelist
