"""One version, told alike by all; release notes out of the changelog."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from io import StringIO
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from config import build
from sessions_app.events import asyncapi
from sessions_app.management.commands import api_doc
from sessions_app.management.commands.serve import Command
from tests.api.world import Caller

ROOT = Path(__file__).parents[1]
STATED: str = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
KINDS = ["Upgrading", "Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
WRITTEN = """\
# Changelog

## [Unreleased]

### Added

- Not out yet.

## [1.1.0-rc.1] - 2027-01-02

### Upgrading

- Read [docs/hours.md](docs/hours.md) and [the schema](docs/a.json), or [the web](https://example.org).

## [1.0.0] - 2026-12-01

- The first one.
"""


def _command() -> ModuleType:
    """`bin/release-notes`, which has no ending."""
    loader = SourceFileLoader("release_notes", str(ROOT / "bin/release-notes"))
    spec = spec_from_loader(loader.name, loader)
    assert spec
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


release = _command()


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "bin/release-notes", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


# --- The version ---


@pytest.mark.django_db
def test_the_api_tells_the_version_of_pyproject() -> None:
    assert Caller().get("build").json()["version"] == STATED


def test_both_documents_of_the_api_have_the_version_of_pyproject() -> None:
    assert api_doc.document()["info"]["version"] == STATED
    assert asyncapi.document()["info"]["version"] == STATED


def test_serve_says_which_version_is_ready() -> None:
    told = StringIO()
    listening = SimpleNamespace(listening_addresses=[("127.0.0.1", 8000)])
    Command(stdout=told)._ready(listening, embedded=True, demo=[])
    assert told.getvalue().startswith(f"Tandem {STATED} is ready")


def test_the_newest_section_of_the_changelog_is_the_version_of_pyproject() -> None:
    """A version is raised and written about in one commit: docs/releasing.md."""
    newest = next(name for name in release.sections(CHANGELOG) if name != "Unreleased")
    assert newest == STATED == build.VERSION
    assert release.VERSION.fullmatch(STATED)


# --- The changelog ---


def test_every_version_has_a_date_and_the_newest_stands_first() -> None:
    released = {name: date for name, (date, _) in release.sections(CHANGELOG).items() if name != "Unreleased"}
    assert all(released.values())
    assert list(released.values()) == sorted(released.values(), reverse=True)


def test_each_section_is_of_a_known_kind_and_in_the_usual_order() -> None:
    for name, (_, text) in release.sections(CHANGELOG).items():
        kinds = re.findall(r"^### (.+)$", text, re.MULTILINE)
        assert kinds == [kind for kind in KINDS if kind in kinds], name


def test_an_entry_is_one_line() -> None:
    body = CHANGELOG[CHANGELOG.index("\n## ") :]
    entries = [line for line in body.splitlines() if line.startswith("- ")]
    assert [line for line in body.splitlines() if line.startswith(" ")] == []
    assert [line for line in entries if len(re.sub(r"\(\[.*?\]\(.*?\)\)", "", line)) > 160] == []
    assert len(entries) == len(set(entries)) > 50


# --- Release notes ---


def test_the_notes_of_a_version_are_its_section() -> None:
    told = run(STATED)
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout == run().stdout == run(f"v{STATED}").stdout
    entries = [line for line in release.sections(CHANGELOG)[STATED][1].splitlines() if line.startswith("- ")]
    assert len([line for line in told.stdout.splitlines() if line.startswith("- ")]) == len(entries)


def test_notes_of_a_version_that_is_not_written_about_are_refused() -> None:
    told = run("99.0.0")
    assert (told.returncode, told.stdout) == (1, "")
    assert "CHANGELOG.md says nothing of 99.0.0" in told.stderr


def test_sections_end_where_the_next_begins() -> None:
    assert {name: date for name, (date, _) in release.sections(WRITTEN).items()} == {
        "Unreleased": "",
        "1.1.0-rc.1": "2027-01-02",
        "1.0.0": "2026-12-01",
    }
    assert release.sections(WRITTEN)["1.0.0"][1] == "- The first one."


def test_links_to_files_become_paths_in_notes_and_others_stay() -> None:
    told = release.notes(release.sections(WRITTEN)["1.1.0-rc.1"][1])
    assert "Read `docs/hours.md` and the schema (`docs/a.json`), or [the web](https://example.org)." in told


def _problems(version: str, changelog: str = WRITTEN, stated: str = "", *tags: str) -> list[str]:
    return list(release.problems(version, stated or version, release.sections(changelog), set(tags)))


def test_a_version_whose_changes_are_all_written_down_can_be_released() -> None:
    assert _problems("1.1.0-rc.1", WRITTEN.replace("- Not out yet.", "")) == []


def test_entries_left_under_unreleased_keep_a_release_back() -> None:
    assert _problems("1.1.0-rc.1") == ["There are entries under Unreleased: move them to 1.1.0-rc.1."]


@pytest.mark.parametrize(
    ("version", "stated", "tags", "said"),
    [
        ("1.1", "", (), "1.1 is no version such as 1.2.3."),
        ("1.1.0-rc.1", "1.0.0", (), "pyproject.toml says 1.0.0, not 1.1.0-rc.1."),
        ("1.2.0", "", (), "CHANGELOG.md has no section for 1.2.0."),
        ("1.0.0", "", (), "1.0.0 is not the newest section of CHANGELOG.md: that is 1.1.0-rc.1."),
        ("1.1.0-rc.1", "", ("v1.1.0-rc.1",), "There is a tag v1.1.0-rc.1 already."),
    ],
)
def test_what_keeps_a_version_from_being_released_is_a_sentence(
    version: str, stated: str, tags: tuple[str, ...], said: str
) -> None:
    assert said in _problems(version, WRITTEN, stated, *tags)


@pytest.mark.parametrize(
    ("heading", "said"),
    [("## [1.0.0]\n\n- Text.", "no date"), ("## [1.0.0] - 2026-12-01\n", "no text")],
)
def test_a_section_needs_a_date_and_a_text(heading: str, said: str) -> None:
    assert _problems("1.0.0", heading) == [f"The section of 1.0.0 in CHANGELOG.md has {said}."]
