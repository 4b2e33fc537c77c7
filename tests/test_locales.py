"""Every text that people read is there in each of the seven languages, with the same places to fill in.

The texts are found as the code and the templates name them, not in the catalogues, so that one which nobody has
extracted yet is missed too.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import polib
import pytest
from django.conf import settings
from django.template import Template
from django.template.engine import Engine
from django.templatetags.i18n import BlockTranslateNode, TranslateNode
from django.utils.translation import to_locale

ROOT = Path(__file__).parents[1]
APPS = ("config", "agents_app", "messaging_app", "sessions_app")
CALLS = {"_", "gettext", "gettext_lazy", "gettext_noop", "ngettext", "ngettext_lazy", "pgettext", "pgettext_lazy"}
WITH_PLURAL = {"ngettext", "ngettext_lazy"}
WITH_CONTEXT = {"pgettext", "pgettext_lazy"}
FILLED_IN = re.compile(r"%\(\w+\)[sd]|\{\w*\}|%[sd]")
TRANSLATED = [code for code, _ in settings.LANGUAGES if code != "en"]

type Text = tuple[str, str, str]
"""What is said, its plural, and the context that tells it from the same words elsewhere; empty where it has none."""


def in_code(path: Path) -> Iterator[Text]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name not in CALLS:
            continue
        said = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
        texts = [text for text in said if isinstance(text, str)]
        if name in WITH_CONTEXT and len(texts) > 1:
            yield texts[1], "", texts[0]
        elif texts and name not in WITH_CONTEXT:
            yield texts[0], texts[1] if name in WITH_PLURAL else "", ""


def in_template(path: Path) -> Iterator[Text]:
    template = Template(path.read_text(encoding="utf-8"), engine=Engine.get_default())
    of_type: Any = template.compile_nodelist().get_nodes_by_type
    for node in of_type(TranslateNode):
        literal = node.filter_expression.var.literal
        if isinstance(literal, str):
            yield literal.replace("%%", "%"), "", _context(node)
    for node in of_type(BlockTranslateNode):
        singular = node.render_token_list(node.singular)[0]
        plural = node.render_token_list(node.plural)[0] if node.plural else ""
        if node.trimmed:
            singular, plural = " ".join(singular.split()), " ".join(plural.split())
        yield singular, plural, _context(node)


def _context(node: Any) -> str:
    return str(node.message_context.resolve({})) if node.message_context else ""


@cache
def texts() -> dict[Text, str]:
    """All texts, each with a file that says it."""
    found: dict[Text, str] = {}
    for app in APPS:
        for path in sorted((ROOT / app).rglob("*.py")):
            found |= dict.fromkeys(in_code(path), str(path.relative_to(ROOT)))
    for path in sorted((ROOT / "templates").rglob("*.html")):
        found |= dict.fromkeys(in_template(path), str(path.relative_to(ROOT)))
    return found


def catalogue(language: str) -> Path:
    return ROOT / "locale" / to_locale(language) / "LC_MESSAGES" / "django.po"


@cache
def entries(language: str) -> dict[Text, polib.POEntry]:
    return {of(entry): entry for entry in polib.pofile(str(catalogue(language)))}


def of(entry: polib.POEntry | polib.MOEntry) -> Text:
    return entry.msgid, entry.msgid_plural or "", entry.msgctxt or ""


def said(entry: polib.POEntry | polib.MOEntry) -> list[str]:
    return list(entry.msgstr_plural.values()) if entry.msgid_plural else [entry.msgstr]


def test_the_texts_are_found() -> None:
    """The search itself: some of each kind."""
    found = texts()
    assert len(found) > 500
    assert ("Log out", "", "") in found
    assert any(plural for _, plural, _ in found)
    assert any(context for _, _, context in found)


@pytest.mark.parametrize("language", TRANSLATED)
def test_nothing_is_left_untranslated(language: str) -> None:
    translated = entries(language)
    missing = [
        f"{where}: {text[0]!r}"
        for text, where in texts().items()
        if text not in translated or translated[text].fuzzy or not all(said(translated[text]))
    ]
    assert not missing, f"{len(missing)} texts; `make messages` lists them in {catalogue(language)}:\n" + "\n".join(
        missing
    )


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_translation_fills_in_what_the_text_fills_in(language: str) -> None:
    wrong = []
    for entry in entries(language).values():
        forms = [set(FILLED_IN.findall(text)) for text in (entry.msgid, entry.msgid_plural)]
        # A plural form may leave the number out; a language with one form has it always.
        wrong += [
            f"{entry.msgid!r}: {text!r}"
            for text in said(entry)
            if not entry.obsolete and text and set(FILLED_IN.findall(text)) not in forms
        ]
    assert wrong == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_what_is_served_is_what_was_translated(language: str) -> None:
    """The compiled catalogue is committed, so that nobody needs GNU gettext to run Tandem."""
    written = {text: said(entry) for text, entry in entries(language).items() if not entry.obsolete and not entry.fuzzy}
    compiled = polib.mofile(str(catalogue(language).with_suffix(".mo")))
    served = {of(entry): said(entry) for entry in compiled}
    assert served == {text: forms for text, forms in written.items() if all(forms)}
