"""One figure, one place: a limit is a number in its declaration, and a name everywhere else.

Declarations are the settings (config/settings.py), config/limits.py for what several places mind, and a constant of a module for
what that module alone minds. Whatever finds a figure elsewhere is tried on one that is put back.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.template import Context, Template

from agents_app import policies
from config import limits
from tests.test_architecture import TREES

ROOT = Path(settings.BASE_DIR)
LEAST = 10
"""Below it a number is the width of a few fixed words, or a place in a text."""
ONCE = {
    ("agents_app/models/service_hours.py", "1000"): "what customers are told after hours",
    ("agents_app/models/hours.py", "64"): "a time zone",
    ("agents_app/models/clients.py", "96"): "who calls, by kind and number",
    ("agents_app/models/clients.py", "200"): "the route of a kept answer",
    ("messaging_app/webhooks/api.py", "7 * 24 * 3600"): "how long the secret before counts",
    ("messaging_app/models/stream.py", "96"): "where the unsigned record ends",
    ("messaging_app/models/stream.py", "80"): "a signature",
    ("sessions_app/api/requests.py", "200"): "the token of a link",
    ("sessions_app/api/requests.py", "2 ** 31 - 1"): "the version of a flow, in 32 bits",
    ("sessions_app/models/flows.py", "24"): "the status of a flow",
    ("sessions_app/models/batches.py", "200"): "the name of a kept file",
    ("sessions_app/workbench/forms.py", "64"): "a place in the list",
    ("sessions_app/workbench/forms.py", "32"): "whom a move goes to",
}
"""Bounds that stand where they belong, each in one place."""
TWICE = {
    ("messaging_app/models/attachments.py", "100"): 2,  # a media type; a place in the store
    ("sessions_app/models/sessions.py", "32"): 2,  # the kind of a session; its outcome
}
EXCERPTS = {"config/consistency.py", "sessions_app/core/record/material.py"}
"""Where the message of somebody else's exception is cut, which no column holds."""
BYTES = {"messaging_app/attachments/recordings.py"}
"""Where a length is that of a file's header."""
PLACES_OF_SETTINGS = {
    "config/settings.py",
    "config/consistency.py",
    "agents_app/policies.py",
    "sessions_app/promises/clocks.py",
    "sessions_app/management/commands/rules_doc.py",
}
"""Where a policy's setting may be named. The record's replay is told the clocks, by name."""
REPLAY = "sessions_app/core/record/replay/"

LONGEST = {"max_length", "max_value"}
"""What a bound is called, as an argument or in a dictionary of arguments."""


def _number(node: ast.AST | None) -> str:
    """A number that is written out, also as a product or a power; empty for anything else."""
    if node is None or any(not isinstance(n, ast.Constant | ast.BinOp | ast.operator) for n in ast.walk(node)):
        return ""
    value = eval(ast.unparse(node), {})
    return ast.unparse(node) if isinstance(value, int) and value >= LEAST else ""


def _word(node: ast.AST | None) -> object:
    return node.value if isinstance(node, ast.Constant) else None


def bounds(tree: ast.AST) -> Iterator[str]:
    """How long or large a field may be, written out."""
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg in LONGEST and (text := _number(node.value)):
            yield text
        if isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            yield from filter(None, (_number(value) for key, value in pairs if _word(key) in LONGEST))


def lengths(tree: ast.AST) -> Iterator[str]:
    """`len(text) > 200`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and isinstance(node.left, ast.Call) and ast.unparse(node.left.func) == "len":
            yield from filter(None, map(_number, node.comparators))


def cuts(tree: ast.AST) -> Iterator[str]:
    """`text[:500]`; what is shorter is an excerpt in a message."""
    for node in ast.walk(tree):
        upper = node.slice.upper if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice) else None
        if (text := _number(upper)) and int(eval(text, {})) >= min(limits.MAX_NAME, limits.MAX_REASON):
            yield text


def settings_of_policies(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value in policies.BY_SETTING:
            yield str(node.value)


def typed(text: str) -> Iterator[str]:
    """How much a page lets people type, written out: in a template, or in a pattern of a script."""
    yield from re.findall(r'\b(?:max|maxlength|minlength)="\d+"|\bmax[lL]ength\s*=\s*\d+|\{\d*,\d{2,}\}', text)


def _found(look: Callable[[ast.AST], Iterable[str]]) -> Counter[tuple[str, str]]:
    return Counter((path, text) for path, tree in TREES.items() for text in look(tree))


def test_a_bound_of_a_field_is_a_limit_with_a_name() -> None:
    assert _found(bounds) == dict.fromkeys(ONCE, 1) | TWICE


def test_what_is_compared_and_cut_is_a_limit_with_a_name() -> None:
    assert [where for where in _found(lengths) if where[0] not in BYTES] == []
    assert [where for where in _found(cuts) if where[0] not in EXCERPTS] == []


def test_a_policys_setting_is_read_by_the_policies_alone() -> None:
    found = _found(settings_of_policies)
    assert [w for w in found if w[0] not in PLACES_OF_SETTINGS and not w[0].startswith(REPLAY)] == []


def test_pages_and_scripts_read_what_may_be_typed() -> None:
    files = [*(ROOT / "templates").rglob("*.html"), *(ROOT / "static" / "js").rglob("*.js")]
    assert len(files) > 100
    assert [(file.name, text) for file in files for text in typed(file.read_text(encoding="utf-8"))] == []


def test_every_limit_is_read_by_two_places_or_more() -> None:
    """What one module alone minds is its own constant."""
    texts = [path.read_text(encoding="utf-8") for path in ROOT.joinpath("templates").rglob("*.html")]
    texts += [ast.unparse(tree) for path, tree in TREES.items() if path != "config/limits.py"]
    names = [name for name in vars(limits) if name.isupper()]
    assert len(names) > 30
    everywhere = "\n".join(texts)
    assert {name for name in names if len(re.findall(rf"\b{name}\b", everywhere)) < 2} == set()


SAID = re.compile(
    r"(?P<before>\d[\d,.]*) ?(?P<unit>s|h|minutes|hours|days|seconds)? \(`(?P<name>[A-Z_]{5,})`\)"
    r"|`(?P<name_first>[A-Z_]{5,})` ?\(?(?P<after>\d[\d,.]*\d|\d)(?: ?(?P<unit_after>s|h|minutes|hours|days|seconds)\b)?"
)
UNITS = {"": 1, "s": 1, "seconds": 1, "minutes": 60, "h": 3600, "hours": 3600, "days": 86_400}


def said(text: str) -> Iterator[tuple[str, float]]:
    """Settings that are named with a figure: `GROUP_AFTER` (60 s), or 30 minutes (`HISTORY_GAP`)."""
    for found in SAID.finditer(text):
        unit = found["unit"] or found["unit_after"] or ""
        yield (
            found["name"] or found["name_first"],
            float((found["before"] or found["after"]).replace(",", "")) * UNITS[unit],
        )


def test_the_documents_say_the_figures_that_the_settings_have() -> None:
    pages = list((ROOT / "docs").glob("*.md"))
    told = [(page.name, *figure) for page in pages for figure in said(page.read_text(encoding="utf-8"))]
    told += [(path, *figure) for path, tree in TREES.items() for text in _texts(tree) for figure in said(text)]
    assert len(told) >= 30
    wrong = [line for line in told if line[1] in settings.FIGURES and settings.FIGURES[line[1]].default != line[2]]
    assert wrong == []


def _texts(tree: ast.AST) -> Iterator[str]:
    return (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))


# --- What finds them finds one that is put back ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("look", "code"),
    [
        (bounds, "name = forms.CharField(max_length=200)"),
        (bounds, "seq = serializers.IntegerField(max_value=2**53)"),
        (lengths, "len(text) > 5_000"),
        (cuts, "reason.strip()[:500]"),
        (settings_of_policies, "until = now + seconds('TRANSFER_TIMEOUT')"),
        (settings_of_policies, "settings.TANDEM['GROUP_AFTER']"),
    ],
)
def test_a_figure_that_is_put_back_is_found(look: Callable[[ast.AST], Iterable[str]], code: str) -> None:
    assert len(list(look(ast.parse(code)))) == 1


@pytest.mark.parametrize(
    "text", ['<input maxlength="500">', '<input type="number" max="1000">', "/^[^s]{0,40}$/", "field.maxLength = 200"]
)
def test_a_figure_that_is_put_back_into_a_page_is_found(text: str) -> None:
    assert len(list(typed(text))) == 1


def test_a_wrong_figure_in_a_document_is_found() -> None:
    text = "`GROUP_AFTER` (61 s), 31 minutes (`HISTORY_GAP`), `OFFER_TIMEOUT` 30 s, `MAX_BODY_BYTES` (1,000,000)"
    assert list(said(text)) == [
        ("GROUP_AFTER", 61), ("HISTORY_GAP", 1860), ("OFFER_TIMEOUT", 30), ("MAX_BODY_BYTES", 1_000_000),
    ]  # fmt: skip


def test_a_page_that_names_no_limit_is_no_page() -> None:
    assert Template('{% load limits %}{% limit "MAX_SHORTCUT" 1 %}').render(Context()) == str(1 + limits.MAX_SHORTCUT)
    with pytest.raises(AttributeError):
        Template('{% load limits %}{% limit "MAX_NOTHING" %}').render(Context())


@pytest.mark.parametrize(("own", "gap"), [("", 600), ("900", 900)])
def test_the_gap_of_history_is_the_robots_idle_clock_unless_it_is_set(own: str, gap: int) -> None:
    asked = [sys.executable, "-c", "from config import settings; print(settings.TANDEM['HISTORY_GAP'])"]
    env = os.environ | {"DEFAULT_SESSION_TIMEOUT": "600", "HISTORY_GAP": own}
    told = subprocess.run(asked, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == str(gap)
