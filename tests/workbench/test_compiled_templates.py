"""What a compiled template renders is what the framework renders, to the byte, in every language and of odd values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.template import Context, Engine, engines
from django.template.loader_tags import IncludeNode
from django.test import Client
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy, override

from config.compiled_templates import Constant, Inlined, QuickOutput
from tests.cast import Later
from tests.workbench.conftest import Desk
from tests.workbench.test_query_budget import Full, pages

LOADERS = [f"django.template.loaders.{of}.Loader" for of in ("filesystem", "app_directories")]
OWN_EACH_TIME = re.compile(
    r'(?<=csrfmiddlewaretoken" value=")[^"]*|(?<=data-csrf=")[^"]*|(?<=name="message_id" value=")[^"]*'
    r'|(?<=data-now=")[^"]*|(?<=X-CSRFToken": ")[^"]*|<time.*?</time>'
)
PAGES = {
    "base.html": '{% load i18n static limits %}<a href="{% url "desk" %}?{{ q }}">{% translate "Desk" %}</a>'
    '{% block inner %}{% translate "Search" %}{% endblock %}{% static "css/core/base.css" %}{% limit "MAX_QUERY" %}',
    "page.html": '{% extends "base.html" %}{% load i18n %}{% block inner %}{{ block.super }}'
    '{% for row in rows %}{% include "row.html" with row=row last=forloop.last %}{% empty %}none{% endfor %}'
    '{% include "row.html" %}{{ last }}{% include name %}{% endblock %}',
    "row.html": "{% load i18n %}{# no #}{% translate 'Live' as live %}{{ row.a }}|{{ row.b.0 }}|{{ row.text }}|{{ row.text|length }}"
    "|{{ row.missing }}|{{ row.missing|default:'x' }}|{{ row.called }}|{{ row.safe }}|{{ row.lazy }}|{{ row.number }}"
    "|{{ row.items.x }}|{{ row.keys }}|{{ live }}|{% if row.missing.more %}1{% elif row.a and not row.number %}2"
    "{% elif row.number > 3 %}3{% else %}4{% endif %}{% if row.text %}5{% endif %}{% if nobody %}6{% else %}7{% endif %}"
    "|{% cycle 'odd' 'even' %}{{ forloop.counter }}",
    "plain.html": "{% load i18n %}{% translate 'Live' %}{{ row.text }}",
    "around.html": "{% include 'plain.html' %}{% autoescape off %}{{ row.text }}{% include 'plain.html' %}{% endautoescape %}",
}


class Thing:
    """A row with everything that a name can lead to."""

    text = "<b>&'\""
    safe = mark_safe("<i>")
    lazy = gettext_lazy("Live")
    number = 1234567
    items = {"x": "entry"}
    b = ("first",)
    a = None

    def called(self) -> str:
        return "<called>"

    def keys(self) -> str:
        return "keys"


def _engine(loaders: Any) -> Engine:
    libraries = {
        "i18n": "django.templatetags.i18n",
        "static": "django.templatetags.static",
        "limits": "config.template_limits",
    }
    return Engine(loaders=loaders, libraries=libraries)


@pytest.mark.parametrize("language", ["en", "de", "ar"])
@pytest.mark.parametrize("grouped", [False, True])
def test_a_template_of_every_kind_renders_as_it_does_uncompiled(language: str, grouped: bool, settings: Any) -> None:
    settings.USE_THOUSAND_SEPARATOR = grouped
    kept = ("django.template.loaders.locmem.Loader", PAGES)
    plain, compiled = _engine([kept]), _engine([("config.compiled_templates.Loader", [kept])])
    entry = {"text": "an entry", "items": {"x": 5}, "a": True, "number": 0, "b": {0: "zero"}, "keys": "own"}
    values = {"rows": [Thing(), entry, None, "text"], "row": Thing(), "q": "<q>", "name": "plain.html", "last": "outer"}
    for _ in range(2):
        with override(language):
            for name in ("page.html", "around.html", "row.html"):
                expected = plain.get_template(name).render(Context(dict(values)))
                assert compiled.get_template(name).render(Context(dict(values))) == expected


def test_what_is_the_same_for_all_is_put_together_and_a_partial_put_in_place() -> None:
    kept = ("django.template.loaders.locmem.Loader", PAGES)
    compiled = _engine([("config.compiled_templates.Loader", [kept])])
    nodes = compiled.get_template("around.html").nodelist
    assert [type(node) for node in nodes][:1] == [Inlined]
    assert [type(node) for node in compiled.get_template("plain.html").nodelist] == [Constant, QuickOutput]
    # A partial that keeps something between its renderings stays one.
    assert len(compiled.get_template("page.html").nodelist.get_nodes_by_type(IncludeNode)) == 3


@pytest.fixture
def full(desk: Desk) -> Full:
    return Full(desk)


@pytest.fixture
def uncompiled() -> Iterator[Any]:
    """Called with a loader or none, the pages are rendered by it, or by the framework's own."""
    engine = engines["django"].engine  # type: ignore[attr-defined]
    kept = engine.template_loaders

    def choose(*, plain: bool) -> None:
        engine.__dict__["template_loaders"] = engine.get_template_loaders(LOADERS) if plain else kept

    yield choose
    engine.__dict__["template_loaders"] = kept


def test_every_page_of_a_full_desk_is_the_same_to_the_byte(
    full: Full, maya: Client, uncompiled: Any, later: Later
) -> None:
    full.grow(9)
    later(150)  # in the middle of a minute: it takes seconds to render a page twice
    for name, caller, path, headers in pages(full, maya):
        shown = []
        for plain in (True, False):
            uncompiled(plain=plain)
            answer = caller.get(path, headers={**headers, "Accept-Language": "de"})
            assert answer.status_code == 200
            shown.append(OWN_EACH_TIME.sub("", answer.content.decode()))
        assert shown[0] == shown[1], name
