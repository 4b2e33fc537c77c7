"""What the guides for those who come name is there: files, commands of make, and the code that they quote."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GUIDES = ("README.md", "CONTRIBUTING.md", "STYLE.md", "SECURITY.md", "CHANGELOG.md", "docs/releasing.md")
SOURCES = ("config", "agents_app", "messaging_app", "sessions_app", "tests", "static/js")
MADE_LATER = ("data/", "docs/decisions/NNNN-", "locale/*")
"""Names of what is not in the repository, or of many files at once."""
PATH = re.compile(r"`([\w.-]+/[\w./*-]*)`")
ADDRESS = re.compile(r"/?(desk|admin|api|try-it|design)/")
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")
FENCED = re.compile(r"^```(python|js)\n(.*?)^```", re.MULTILINE | re.DOTALL)
OF_MAKE = re.compile(r"^([a-z][a-z0-9-]*(?: [a-z][a-z0-9-]*)*):", re.MULTILINE)


def text_of(guide: str) -> str:
    return (ROOT / guide).read_text(encoding="utf-8")


def plain(code: str) -> str:
    """Without the indentation, which a quotation loses."""
    return "\n".join(line.strip() for line in code.strip().splitlines())


@cache
def sources() -> tuple[str, ...]:
    files = (file for folder in SOURCES for file in sorted((ROOT / folder).rglob("*")) if file.suffix in {".py", ".js"})
    return tuple(plain(file.read_text(encoding="utf-8")) for file in files)


def files_named(guide: str) -> Iterator[str]:
    text = text_of(guide)
    yield from (name for name in PATH.findall(text) if not name.startswith(MADE_LATER) and not ADDRESS.match(name))
    yield from (str(Path(guide).parent / link) for link in LINK.findall(text))


@pytest.mark.parametrize("guide", GUIDES)
def test_every_file_that_a_guide_names_is_there(guide: str) -> None:
    named = set(files_named(guide))
    assert named
    assert {name for name in named if not (ROOT / name).exists()} == set()


@pytest.mark.parametrize("guide", ["CONTRIBUTING.md", "docs/releasing.md", "README.md"])
def test_every_command_of_make_that_a_guide_names_is_there(guide: str) -> None:
    targets = {name for line in OF_MAKE.findall(text_of("Makefile")) for name in line.split()}
    named = set(re.findall(r"(?:`|^)(?:[A-Z]+=\S+ )?make ([a-z][a-z-]+)", text_of(guide), re.MULTILINE))
    assert named
    assert named - targets == set()


@pytest.mark.parametrize(
    "quoted",
    [code for guide in ("STYLE.md", "CONTRIBUTING.md") for _, code in FENCED.findall(text_of(guide))],
    ids=lambda code: code.strip().splitlines()[0][:60],
)
def test_what_the_guides_quote_stands_in_the_code(quoted: str) -> None:
    assert any(plain(quoted) in source for source in sources())
