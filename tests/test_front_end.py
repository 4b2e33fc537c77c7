"""Rules of the pages' scripts and styles that no page would show: who may import whom, and where a colour may stand."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

import pytest
from django.conf import settings

JS = Path(settings.BASE_DIR) / "static" / "js"
CSS = Path(settings.BASE_DIR) / "static" / "css"
TEMPLATES = Path(settings.BASE_DIR) / "templates"
MOST_LINES = 450

# --- Which script may import which -------------------------------------------------------------------------------

LAYERS = ({"pages"}, {"desk"}, {"conversation", "chat"}, {"list", "messages", "layout"}, {"core"})
"""From the top: a folder may import from those below it and from itself. Folders of one layer know nothing of each other."""

BEFORE_FIRST_PAINT = {"layout/theme.js", "layout/initial-widths.js"}
"""Plain scripts, not modules: they run before the page is drawn, so they import nothing and nobody imports them."""

BROWSER = {
    "localStorage": {"core/storage.js"} | BEFORE_FIRST_PAINT,
    "sessionStorage": {"core/storage.js"},
    "fetch(": {"core/http.js"},
    "XMLHttpRequest": {"core/http.js", "pages/design.js"},  # the design page's uploads end nowhere
    "WebSocket": {"core/socket.js"},
    "EventSource": set(),
    "htmx.": {"core/htmx.js"},
    "Idiomorph": {"core/morph.js"},
}
"""What of the browser and of the vendored libraries only one module may use."""


def imports_of(name: str, source: str) -> list[str]:
    """The modules that one imports, at its top or later, by their paths below static/js."""
    found = re.findall(r'(?:\bfrom\s+|\bimport\s*\(?\s*)"(\.[^"]+)"', source)
    folder = PurePosixPath(name).parent
    return [_normal(folder / path) for path in found]


def _normal(path: PurePosixPath) -> str:
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts)


def folder_of(name: str) -> str:
    return name.partition("/")[0]


def layer_of(name: str) -> int:
    return next(number for number, folders in enumerate(LAYERS) if folder_of(name) in folders)


def is_allowed(name: str, imported: str) -> bool:
    if BEFORE_FIRST_PAINT & {name, imported}:
        return False
    return folder_of(name) == folder_of(imported) or layer_of(name) < layer_of(imported)


def bare(source: str) -> str:
    """The code without its comments and texts."""
    source = re.sub(r'"(?:[^"\\\n]|\\.)*"', '""', source)
    return re.sub(r"(?<!:)//.*", "", source)


SCRIPTS = {path.relative_to(JS).as_posix(): path.read_text(encoding="utf-8") for path in sorted(JS.rglob("*.js"))}
IMPORTS = {name: imports_of(name, source) for name, source in SCRIPTS.items()}


def circle(graph: dict[str, list[str]]) -> list[str]:
    """Some modules that import each other in a circle; empty where none do."""
    done: set[str] = set()

    def walk(name: str, way: list[str]) -> list[str]:
        if name in way:
            return [*way[way.index(name) :], name]
        if name not in done:
            for imported in graph[name]:
                if found := walk(imported, [*way, name]):
                    return found
            done.add(name)
        return []

    return next((found for name in graph if (found := walk(name, []))), [])


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_imports_only_from_below(name: str) -> None:
    assert [imported for imported in IMPORTS[name] if imported not in SCRIPTS] == []
    assert [imported for imported in IMPORTS[name] if not is_allowed(name, imported)] == []


def test_no_scripts_import_each_other_in_a_circle() -> None:
    assert circle(IMPORTS) == []


def test_a_circle_would_be_seen() -> None:
    assert circle({"a": ["b"], "b": ["c"], "c": ["b"]}) == ["b", "c", "b"]


@pytest.mark.parametrize(
    ("name", "imported"),
    [
        ("core/http.js", "list/row-order.js"),
        ("list/row-order.js", "messages/outbox.js"),
        ("chat/chat.js", "conversation/thread.js"),
        ("conversation/thread.js", "desk/offers.js"),
        ("desk/offers.js", "pages/desk.js"),
        ("pages/desk.js", "layout/theme.js"),
    ],
)
def test_an_import_from_above_or_from_beside_would_be_seen(name: str, imported: str) -> None:
    assert not is_allowed(name, imported)


def test_every_way_to_import_is_seen() -> None:
    source = 'import "./a.js";\nimport { x } from "../core/b.js";\nawait import("./c.js");\nexport { y } from "./d.js";'
    assert imports_of("desk/e.js", source) == ["desk/a.js", "core/b.js", "desk/c.js", "desk/d.js"]


@pytest.mark.parametrize("what", BROWSER)
def test_the_browser_is_asked_in_one_place(what: str) -> None:
    users = {name for name, source in SCRIPTS.items() if what in bare(source)}
    assert users == BROWSER[what]


def test_every_script_is_loaded_by_a_page_or_imported() -> None:
    pages = "".join(path.read_text(encoding="utf-8") for path in TEMPLATES.rglob("*.html"))
    loaded = set(re.findall(r"'js/([\w/-]+\.js)'", pages))
    assert loaded <= set(SCRIPTS)
    assert {folder_of(name) for name in loaded} == {"pages", "layout"}
    assert set(SCRIPTS) == loaded | {name for imported in IMPORTS.values() for name in imported}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_short_and_says_what_it_is_for(name: str) -> None:
    assert SCRIPTS[name].startswith("// ")
    assert SCRIPTS[name].count("\n") < MOST_LINES


# --- Styles ------------------------------------------------------------------------------------------------------

TOKENS = "core/tokens.css"
ADMIN = "pages/admin.css"
"""Stands in the pages of the admin's theme, which have none of our tokens."""

COLOUR = re.compile(
    r"#[0-9a-fA-F]{3,8}\b|\b(?:rgba?|hsla?|hwb|lab|lch|oklab|oklch|color|light-dark)\(|\b(?:black|white|red|green|blue|grey|gray)\b"
)
MIXES = re.compile(r"color-mix\(in \w+, ")
LENGTH = re.compile(r"\b\d*\.?\d+(?:px|rem|pt)\b")
SIZED = re.compile(r"^(?:font|font-size|border(?:-[a-z]+){0,2}-radius)$")

STYLES = {path.relative_to(CSS).as_posix(): path.read_text(encoding="utf-8") for path in sorted(CSS.rglob("*.css"))}


def declarations(source: str) -> list[tuple[str, str]]:
    source = re.sub(r"/\*.*?\*/", "", source, flags=re.DOTALL)
    return [(name, value.strip()) for name, value in re.findall(r"([\w-]+):\s*([^;{}]+);", source)]


def literals(source: str) -> list[str]:
    """What a style says by itself and should say by a token: colours, sizes of type, radii."""
    found = []
    for name, value in declarations(source):
        own = re.sub(r"var\([^)]*\)", "", value)
        if COLOUR.search(MIXES.sub("color-mix(", own)) or (SIZED.match(name) and LENGTH.search(own)):
            found.append(f"{name}: {value}")
    return found


@pytest.mark.parametrize("name", [name for name in STYLES if name not in {TOKENS, ADMIN}])
def test_a_style_names_colours_and_sizes_of_type_by_tokens(name: str) -> None:
    assert literals(STYLES[name]) == []


@pytest.mark.parametrize(
    "code",
    [
        "a { color: #fff; }",
        "a { background: light-dark(#fff, #000); }",
        "a { background: color-mix(in oklab, var(--good), black 12%); }",
        "a { border: 1px solid rgb(0 0 0 / 50%); }",
        "a { box-shadow: 0 1px 2px #0005; }",
        "a { font-size: 0.84375rem; }",
        "a { font: 0.75rem/1.5 var(--font-mono); }",
        "a { border-radius: 4px var(--radius) 0 0; }",
        "a { border-start-end-radius: 4px; }",
    ],
)
def test_a_literal_would_be_seen(code: str) -> None:
    assert literals(code)


def test_what_follows_from_a_token_or_from_the_element_is_no_literal() -> None:
    code = (
        "a { color: currentColor; background: color-mix(in srgb, var(--sunken) 90%, transparent); border-radius: 50%; }"
    )
    assert literals(f"{code} b {{ font-size: 1em; padding: 3px; }}") == []


@pytest.mark.parametrize("name", [name for name in STYLES if name != ADMIN])
def test_every_token_that_a_style_uses_is_defined(name: str) -> None:
    defined = {token for source in STYLES.values() for token in re.findall(r"(--[\w-]+)\s*:", source)}
    by_script = {"--own-views", "--own-list", "--own-context"}
    assert set(re.findall(r"var\((--[\w-]+)", STYLES[name])) - defined - by_script == set()


def test_no_token_is_left_over() -> None:
    used = {token for source in STYLES.values() for token in re.findall(r"var\((--[\w-]+)", source)}
    assert set(re.findall(r"(--[\w-]+)\s*:", STYLES[TOKENS])) - used == set()


@pytest.mark.parametrize("name", STYLES)
def test_a_style_is_short_and_says_what_it_is_for(name: str) -> None:
    assert STYLES[name].startswith("/* ")
    assert STYLES[name].count("\n") < MOST_LINES


def test_every_style_is_loaded_by_a_page() -> None:
    pages = "".join(path.read_text(encoding="utf-8") for path in TEMPLATES.rglob("*.html"))
    loaded = set(re.findall(r"'css/([\w/-]+\.css)'", pages))
    assert set(STYLES) == loaded | {ADMIN}
