"""What a compiled template renders is what the framework renders, to the byte, in every language and of odd values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.template import Context, Engine, engines
from django.template.loader_tags import IncludeNode
from django.test import Client
from django.utils.safestring import mark_safe
from django.utils.timezone import override as zone
from django.utils.translation import gettext_lazy, override

from config.compiled_templates import Constant, Inlined, QuickOutput
from config.template_code import Coded
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


PAST = [
    timedelta(seconds=30, minutes=m)
    for m in (0, 1, 59, 60, 61, 1439, 1440, 10_080, 20_160, 40_318, 40_320, 60_000, 10**6)
]


@pytest.mark.parametrize("language", ["en", "de", "ar", "zh-hans"])
def test_how_long_ago_and_how_long_until_are_said_as_the_framework_says_it(language: str, settings: Any) -> None:
    now = datetime.now(UTC)
    elsewhere, today = now.astimezone(ZoneInfo("Asia/Tokyo")), now.date()
    moments = [now + sign * delta for delta in PAST for sign in (1, -1)]
    values = [*moments, elsewhere, now.replace(tzinfo=None), today, None, ""]
    source = "{{ v|timesince }}|{{ v|timeuntil }}|{{ v|date:'c' }}|{{ v|timesince:w }}|{{ v|date:'Y' }}|{{ v|date }}"
    kept = ("django.template.loaders.locmem.Loader", {"times.html": source})
    plain, compiled = _engine([kept]), _engine([("config.compiled_templates.Loader", [kept])])
    first: Any = compiled.get_template("times.html").nodelist[0]
    assert "_since" in repr(first.filter_expression.filters)
    settings.TIME_ZONE = "Europe/Berlin"
    with override(language), zone("Europe/Berlin"):
        for value in values:
            context = {"v": value, "w": now}
            shown = [engine.get_template("times.html").render(Context(dict(context))) for engine in (plain, compiled)]
            assert shown[0] == shown[1], value


def test_a_partial_that_sets_no_name_becomes_one_function_and_one_that_does_stays() -> None:
    pages = {
        "sets.html": "{% load i18n %}{% translate 'Live' as live %}{{ live }}{{ row.text }}",
        "none.html": "{% if row.a %}{{ row.text }}{% elif row.number == 5 %}five{% else %}{{ row.b.x }}{% endif %}<br>"
        "{% for one in row.b %}{{ one }}-{{ forloop.counter }}{{ row.text }}{% endfor %}{{ row.text|length }}{{ row.get }}{{ other }}",
        "all.html": "{% include 'sets.html' with row=row %}{% include 'none.html' with row=row %}{{ live }}",
    }
    kept = ("django.template.loaders.locmem.Loader", pages)
    plain, compiled = _engine([kept]), _engine([("config.compiled_templates.Loader", [kept])])
    nodes: Any = compiled.get_template("all.html").nodelist
    sets, none, _ = nodes
    assert ([type(node) for node in none.nodelist], Coded in map(type, sets.nodelist)) == ([Coded], False)
    things: list[Any] = [Thing(), {"text": "<b>", "b": {"x": "<x>"}, "number": 5}, {"a": Thing()}, "text", 5, None, [1]]
    for thing in things:
        for escaped in (True, False):
            shown = [
                engine.get_template("all.html").render(Context({"row": thing}, autoescape=escaped))
                for engine in (plain, compiled)
            ]
            assert shown[0] == shown[1], thing
    assert plain.get_template("all.html").render(Context()) == compiled.get_template("all.html").render(Context())
