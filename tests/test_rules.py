"""docs/rules.md: its tables are those of the code, whatever cites a rule finds it there, and each invariant is checked."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from sessions_app.management.commands import rules_doc
from sessions_app.management.commands.rules_doc import PAGE, checks_of_invariants
from sessions_app.rights import field_rights

ROOT: Path = settings.BASE_DIR
TEXT = PAGE.read_text(encoding="utf-8")
PRODUCT = (
    "config",
    "agents_app",
    "messaging_app",
    "sessions_app",
    "static/js",
    "static/css",
    "templates",
    "docs",
    "bin",
)
CITING = (*PRODUCT, "tests", "benchmarks", "examples")
READ = {".py", ".md", ".html", ".js", ".css", ".sh", ".txt", ""}
DRAWN = re.compile(r"\bd=\"[^\"]*\"")
"""The outline of a picture, whose letters are no rules."""
INVARIANTS = sorted(map(int, re.findall(r'<a id="invariant-(\d+)"></a>', TEXT)))


def slug(heading: str) -> str:
    """The anchor of a heading, as pages of Markdown have it."""
    words = re.sub(r"<[^>]*>|[^\w\s-]", "", heading).strip().lower()
    return re.sub(r"\s", "-", words)


ANCHORS = {slug(heading) for heading in re.findall(r"^#+ (.*)$", TEXT, re.MULTILINE)} | set(
    re.findall(r'<a id="([\w-]+)"></a>', TEXT)
)

NAMED = re.compile(r"docs/rules\.md, ([A-Z][\w ]*)")
LINKED = re.compile(r"rules\.md#([\w-]+)")
CONFLICT = re.compile(r"(?<![\w#])C(\d)\b(?!:\d)")
INVARIANT = re.compile(r"\b[Ii]nvariants? (\d+)(?: and (\d+))?")


def files(*folders: str) -> Iterator[Path]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            is_ours = path.suffix in READ and "__pycache__" not in path.parts and "vendor" not in path.parts
            if is_ours and path.is_file():
                yield path


def cited(text: str) -> set[str]:
    """The anchors that a text asks for."""
    named = {slug(name) for name in NAMED.findall(text)}
    named |= {f"c{number}" for number in CONFLICT.findall(DRAWN.sub("", text))}
    named |= {f"invariant-{number}" for pair in INVARIANT.findall(text) for number in pair if number}
    return named | set(LINKED.findall(text))


def without_what_follows(name: str) -> set[str]:
    """A citation ends where its sentence may go on: `C0 to C7` and `Times` stand for their first words."""
    words = name.split("-")
    return {"-".join(words[:length]) for length in range(1, len(words) + 1)}


def test_docs_rules_is_fresh() -> None:
    call_command("rules_doc", "--check", stdout=StringIO())


def test_a_stale_table_is_told_and_ends_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(field_rights.RIGHTS, "grab", field_rights.RIGHTS["leave"])
    with pytest.raises(CommandError) as stale:
        call_command("rules_doc", "--check", stdout=StringIO())
    assert stale.value.returncode == 1


@pytest.mark.parametrize("mark", ["<!-- table: rights -->", "<!-- table: bounds -->"])
def test_a_mark_that_is_gone_or_misspelt_is_told(mark: str) -> None:
    with pytest.raises(CommandError, match=r"docs/rules\.md marks"):
        rules_doc.page(TEXT.replace(mark, mark.replace("table: ", "table: un")))


def test_a_figure_that_nobody_explains_is_told(settings: Any) -> None:
    settings.TANDEM = {**settings.TANDEM, "NEW_FIGURE": 1}
    with pytest.raises(CommandError, match="NEW_FIGURE"):
        rules_doc.page(TEXT)


@pytest.mark.parametrize(
    "path",
    [path for path in files(*CITING) if path != Path(__file__) and cited(path.read_text("utf-8"))],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_whatever_cites_a_rule_finds_it_on_the_page(path: Path) -> None:
    missing = {name for name in cited(path.read_text("utf-8")) if not without_what_follows(name) & ANCHORS}
    assert missing == set()


def test_a_rule_that_is_not_there_would_be_told() -> None:
    asked = cited(
        'as docs/rules.md, Miracles, has it (C9, invariant 99); see [there](rules.md#wonders) <path d="M1 C8 3"/>'
    )
    assert asked == {"miracles", "c9", "invariant-99", "wonders"}
    assert not asked & ANCHORS


def test_the_page_names_each_anchor_once_and_links_to_none_that_is_missing() -> None:
    explicit = re.findall(r'<a id="([\w-]+)"></a>', TEXT)
    assert sorted(explicit) == sorted(set(explicit))
    assert set(re.findall(r"\]\(#([\w-]+)\)", TEXT)) <= ANCHORS
    beside = re.findall(r"\]\((?!https?:)([\w./-]+\.\w+)(?:#[\w-]+)?\)", TEXT)
    assert [name for name in beside if not (PAGE.parent / name).exists()] == []


def test_no_rule_stands_where_whoever_clones_the_repository_cannot_read_it() -> None:
    outside = re.compile(r"domain\.md|\.\./shared|\"shared\" /|\(design: ")
    assert [str(path) for path in files(*PRODUCT) if outside.search(path.read_text("utf-8"))] == []


# --- Invariants --------------------------------------------------------------------------------------------------


def functions_of(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    found = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    for holder in (node for node in tree.body if isinstance(node, ast.ClassDef)):
        found |= {f"{holder.name}.{node.name}" for node in holder.body if isinstance(node, ast.FunctionDef)}
    return found


def test_the_invariants_are_numbered_without_a_gap_and_no_check_names_another() -> None:
    assert list(range(1, len(INVARIANTS) + 1)) == INVARIANTS
    assert list(checks_of_invariants()) == INVARIANTS


@pytest.mark.parametrize("number", INVARIANTS)
def test_each_invariant_is_checked_by_a_function_of_the_tests(number: int) -> None:
    checks = checks_of_invariants()[number]
    assert [path for path, _ in checks if path.startswith("tests/")]
    assert [check for check in checks if check[1] not in functions_of(check[0])] == []
