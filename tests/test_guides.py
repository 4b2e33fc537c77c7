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


# --- Twenty changes ------------------------------------------------------------------------------------------------


CHANGES = re.findall(
    r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", text_of("CONTRIBUTING.md").partition("## Twenty")[2], re.MULTILINE
)[1:]
"""The rows of the table: a change, its one place, what has to follow."""
NAME = re.compile(r"`(\w+)`")


def files_of(cell: str) -> list[Path]:
    """The files that a cell names; of a folder all of its own."""
    paths = [ROOT / name for name in PATH.findall(cell)]
    return [file for path in paths for file in (sorted(path.glob("*.*")) if path.is_dir() else [path])]


def _stands_in(texts: list[str], name: str) -> bool:
    return (ROOT / name).is_file() or any(re.search(rf"\b{name}\b", text) for text in texts)


def test_there_are_twenty_changes() -> None:
    assert len(CHANGES) == 20


@pytest.mark.parametrize(("change", "place", "also"), CHANGES, ids=[change for change, _, _ in CHANGES])
def test_each_name_stands_in_a_file_of_its_row(change: str, place: str, also: str) -> None:
    for cell in (place, also):
        texts = [file.read_text(encoding="utf-8") for file in files_of(place + cell)]
        missing = {name for name in NAME.findall(cell) if not _stands_in(texts, name)}
        assert missing == set()


@pytest.mark.parametrize(
    ("change", "place"), [(change, place) for change, place, _ in CHANGES], ids=[c for c, _, _ in CHANGES]
)
def test_the_architecture_leads_to_each_place_in_one_step(change: str, place: str) -> None:
    """The first file of the place, or a folder it lies in, stands in *Where a change goes*."""
    section = text_of("docs/architecture.md").partition("## Where a change goes")[2].partition("\n## ")[0]
    first = Path(PATH.findall(place)[0])
    named = set(PATH.findall(section)) | {
        f"{folder}{name}" for folder in PATH.findall(section) for name in re.findall(r"`([\w.]+)`", section)
    }
    assert {str(first), f"{first.parent}/"} & named
