"""The glossary names what is there: a rename without it fails here."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec

import pytest
from django.conf import settings

PACKAGES = ("config", "agents_app", "messaging_app", "sessions_app")
PAGE = settings.BASE_DIR / "docs" / "glossary.md"
TEXT = PAGE.read_text(encoding="utf-8")
ROWS = [line for line in TEXT.splitlines() if line.startswith("| **")]
DOCUMENTS = "".join(
    (settings.BASE_DIR / "docs" / name).read_text("utf-8") for name in ("api/openapi.json", "asyncapi.yaml")
)
ADDRESSES = json.loads((settings.BASE_DIR / "docs" / "api" / "openapi.json").read_text("utf-8"))["paths"]
DOTTED = re.compile(rf"`((?:{'|'.join(PACKAGES)})(?:\.\w+)*)`")
PATH = re.compile(rf"`((?:{'|'.join(PACKAGES)})/[\w/]+\.\w+)`")
FIELD = re.compile(r"`(\w+)\.(\w+)` in `([\w/]+)\.py`")


def modules_first(name: str) -> Iterator[tuple[str, list[str]]]:
    """Every way to take a dotted name for a module and what is in it, the longest module first."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        yield ".".join(parts[:length]), parts[length:]


def is_there(name: str) -> bool:
    for module, within in modules_first(name):
        try:
            found = find_spec(module) is not None
        except ModuleNotFoundError:  # what would hold it is no package
            found = False
        if found:
            thing: object = import_module(module)
            for part in within:
                thing = getattr(thing, part, None)
            return thing is not None
    return False


@pytest.mark.parametrize("name", sorted(set(DOTTED.findall(TEXT))))
def test_each_module_class_and_function_that_the_glossary_names_is_there(name: str) -> None:
    assert is_there(name)


@pytest.mark.parametrize("path", sorted(set(PATH.findall(TEXT))))
def test_each_file_that_the_glossary_names_is_there(path: str) -> None:
    assert (settings.BASE_DIR / path).is_file()


@pytest.mark.parametrize(("model", "field", "path"), sorted(set(FIELD.findall(TEXT))))
def test_each_field_that_the_glossary_names_is_there(model: str, field: str, path: str) -> None:
    rows = getattr(import_module(path.replace("/", ".")), model)
    assert field in {one.name for one in rows._meta.get_fields()}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("**")[1])
def test_each_word_is_explained_and_says_where_it_stands(row: str) -> None:
    word, means, code, api = (cell.strip() for cell in row.strip("|").split(" | "))
    assert means.endswith(".")
    assert DOTTED.search(code) or FIELD.search(code)
    assert api
    assert word.startswith("**")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("**")[1])
def test_what_the_api_calls_it_is_in_the_documents_of_the_api(row: str) -> None:
    for word in re.findall(r"`([^`]+)`", row.rsplit(" | ", 1)[1]):
        method, _, address = word.partition(" ")
        if method in {"GET", "POST"}:
            assert method.lower() in ADDRESSES[f"/api/v1/{address}"]
        else:
            name = re.escape(word.partition(": ")[0])
            assert re.search(rf"(?<![\w.]){name}(?![\w.])", DOCUMENTS), word


def test_no_word_is_explained_twice() -> None:
    words = [row.split("**")[1] for row in ROWS]
    assert sorted(words) == sorted(set(words))


@pytest.mark.parametrize(
    "name", ["sessions_app.nothing", "sessions_app.unit.settle.unsettle", "config.errors.DomainError.no"]
)
def test_what_is_gone_would_be_told(name: str) -> None:
    assert not is_there(name)
