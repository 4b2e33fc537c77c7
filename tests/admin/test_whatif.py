"""The admin's page of what if: for those who may see the tenant, about that tenant, and changing nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from agents_app.models import Team
from config import clock
from messaging_app import relay
from tests.cast import Cast, snapshot

URL = "admin:sessions_app_assignmentdecision_what_if"


@pytest.fixture
def asked(here: Cast) -> dict[str, str]:
    """A period in which one customer asked Ann's team for a human, and was served."""
    chat = here.chat()
    chat.robot()
    chat.escalate(to_team_id=here.team("Returns", "ann").pk)
    chat.accept(here.ann)
    while relay.stamp(here.tenant.pk):
        pass
    now = timezone.localtime(clock.now())
    start, end = now - timedelta(minutes=30), now + timedelta(minutes=1)
    return {"tenant_row": str(here.tenant.pk), "start": f"{start:%Y-%m-%dT%H:%M}", "end": f"{end:%Y-%m-%dT%H:%M}"}


def test_a_period_is_compared_and_nothing_is_changed(operator: Client, here: Cast, asked: dict[str, str]) -> None:
    team = Team.objects.get(name="Returns")
    before = snapshot()
    page = operator.get(reverse(URL), asked | {"team": team.pk, "more": "2", "max_load": "3"})
    assert snapshot() == before
    [taken] = [row for row in page.context["rows"] if row[0] == "taken by an agent"]
    assert taken[1:] == (taken[1], taken[1], "0"), "what was taken by hand then is taken now"
    assert int(taken[1]) >= 1
    assert page.context["compared"].unlike == 0
    assert b"are as they were" in page.content


def test_the_form_comes_with_yesterday_and_says_what_is_wrong(operator: Client, here: Cast) -> None:
    assert b'type="datetime-local"' in operator.get(reverse(URL)).content
    wrong = {"tenant_row": here.tenant.pk, "start": "2026-11-20T10:00", "end": "2026-11-20T09:00", "strategy": "sticky"}
    assert b"The period ends before it begins." in operator.get(reverse(URL), wrong).content
    wrong |= {"end": "2026-11-20T11:00"}
    assert b"Say whose rules are changed." in operator.get(reverse(URL), wrong).content
    wrong |= {"strategy": "", "end": "2026-12-20T11:00"}
    assert b"At most seven days" in operator.get(reverse(URL), wrong).content


def test_only_ones_own_tenant_can_be_played(
    operator: Client, supervisor: Client, powerless: Client, client: Client, here: Cast
) -> None:
    Team.objects.create(tenant=Cast("other").tenant, name="Theirs")
    assert powerless.get(reverse(URL)).status_code == 403
    assert client.get(reverse(URL)).status_code == 302
    assert b"Theirs" in operator.get(reverse(URL)).content
    assert b"Theirs" not in supervisor.get(reverse(URL)).content
