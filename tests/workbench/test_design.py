"""The design page shows every component in every state, from nothing that is in the database."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.template.loader import get_template
from django.test import Client
from django.utils.text import slugify

from agents_app.models import Agent
from sessions_app.workbench.design.component_states import COMPONENTS, each
from tests.workbench.conftest import Desk

ADDRESSES = [(component.name, slugify(state)) for component, state in each()]


@pytest.mark.parametrize(("component", "state"), ADDRESSES)
def test_each_state_is_drawn_without_a_query_of_its_own(
    desk: Desk, maya: Client, django_assert_max_num_queries: Any, component: str, state: str
) -> None:
    with django_assert_max_num_queries(3):  # who is logged in
        answer = maya.get(f"/design/{component}/{state}/")
    assert answer.status_code == 200
    page = answer.content.decode()
    assert f"specimen-{component}" in page
    assert "frame-ancestors 'self'" in answer["Content-Security-Policy"]
    assert answer["X-Frame-Options"] == "SAMEORIGIN"
    assert "<script>" not in page


def test_the_page_leads_to_all_of_them_each_by_a_name_of_its_own(desk: Desk, maya: Client) -> None:
    page = maya.get("/design/").content.decode()
    assert re.findall(r'<iframe src="/design/([^/]+)/([^/]+)/"', page) == ADDRESSES
    assert len(set(ADDRESSES)) == len(ADDRESSES)


def test_it_is_there_only_where_things_are_tried_and_for_people_of_the_desk(
    desk: Desk, maya: Client, settings: Any
) -> None:
    assert Client().get("/design/").status_code == 302
    assert maya.get("/design/row/nothing/").status_code == 404
    assert maya.get("/design/nothing/mine/").status_code == 404
    settings.TRY_IT = False
    assert maya.get("/design/").status_code == 404
    assert maya.get("/design/row/mine/").status_code == 404


def test_nothing_of_it_is_ever_stored(desk: Desk, maya: Client) -> None:
    before = [model.objects.count() for model in _models()]
    for component, state in ADDRESSES[::5]:
        maya.get(f"/design/{component}/{state}/")
    assert [model.objects.count() for model in _models()] == before
    assert Agent.objects.get(pk=desk.agents["maya"].pk).availability == desk.agents["maya"].availability


def _models() -> list[Any]:
    from django.apps import apps

    return [model for model in apps.get_models() if model.__module__.endswith("_app.models")]


def test_whatever_the_desk_is_made_of_is_among_them() -> None:
    """Each part of the desk's page is drawn by some component; a new one is missed here."""
    drawn = set().union(*(_parts(component.template) for component in COMPONENTS.values()))
    frame = {"conversation/_pane.html", "desk/_splitter.html"}  # what has no looks of its own
    assert _parts("desk/desk.html") - drawn == frame


def _parts(template: str) -> set[str]:
    """The templates that one includes, and those that they include."""
    source = Path(get_template(template).origin.name).read_text(encoding="utf-8")  # type: ignore[attr-defined]
    found = set(re.findall(r'{% include "([^"]+)"', source))
    return found.union(*(_parts(name) for name in found))
