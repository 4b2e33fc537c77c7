"""What the desk and the customer's page show of how long a customer waits."""

from __future__ import annotations

from datetime import time, timedelta
from typing import Any

import pytest
from django.test import Client

from agents_app.models import Calendar, OpeningHours, SlaPolicy, Tenant
from config import clock
from sessions_app.actions import sweep
from tests.cast import Later
from tests.workbench.conftest import Desk


def text(response: Any) -> str:
    return " ".join(response.content.decode().split())


@pytest.fixture
def closed(desk: Desk, later: Later) -> None:
    """Open tomorrow, all day."""
    made = Calendar.objects.create(tenant=desk.tenant, name="office", time_zone="UTC")
    tomorrow = (clock.now().weekday() + 1) % 7
    OpeningHours.objects.create(calendar=made, weekday=tomorrow, opens=time(0), closes=time(0))
    Tenant.objects.update(calendar=made)


def test_a_promise_is_a_chip_that_says_how_it_stands(desk: Desk, maya: Client, later: Later, act: Any) -> None:
    SlaPolicy.objects.create(tenant=desk.tenant, name="standard", first_response=250)
    Tenant.objects.update(sla=SlaPolicy.objects.get())
    conversation = desk.queued()
    pages = ("/desk/", f"/desk/c/{conversation.pk}/", f"/desk/c/{conversation.pk}/news/?seq=1")

    def chips() -> set[str]:
        shown = [text(maya.get(page, headers={"HX-Request": "true"} if "news" in page else {})) for page in pages]
        assert all(page.count('class="chip due') == (2 if "/c/" in url and "news" not in url else 1)
                   for url, page in zip(pages, shown, strict=True))  # fmt: skip
        return {page.split('class="chip due')[1].split("<time")[0] for page in shown}

    assert chips() == {'" title="First response">Due in '}
    later(210)
    sweep.sweep_due()
    assert chips() == {' is-near" title="First response">Due in '}
    later(41)
    sweep.sweep_due()
    assert chips() == {' is-late" title="First response">Overdue '}
    assert "The first response is overdue" in text(maya.get(pages[1]))
    act(maya, conversation.pk, "accept")
    maya.post(f"{pages[1]}say/", {"mode": "reply", "content": "Here I am."})
    assert all('class="chip due' not in text(maya.get(page)) for page in pages[:2])


def test_whoever_waits_is_shown_when_it_opens(desk: Desk, maya: Client, closed: None, client: Client) -> None:
    client.post("/try-it/say/", {"content": "human please"})
    day = (clock.now() + timedelta(days=1)).date()
    page = text(client.get("/try-it/"))
    assert f'open again <time data-moment datetime="{day}T00:00:00+00:00">' in page
    assert "We are closed now and open again on" in page
    [row] = maya.get("/desk/").context["rows"]
    opened = text(maya.get(f"/desk/c/{row.row.id}/"))
    assert f'<dt>Open again</dt><dd><time data-moment datetime="{day}T00:00:00+00:00">' in opened
    assert 'class="message from-system"' in opened


def test_whoever_waits_while_somebody_is_there_is_shown_no_opening(desk: Desk, maya: Client) -> None:
    assert "Open again" not in text(maya.get(f"/desk/c/{desk.queued().pk}/"))


def test_what_became_an_email_is_said_in_the_thread(desk: Desk, maya: Client, closed: None, settings: Any) -> None:
    settings.EMAIL_URL = "memory://"
    Tenant.objects.update(after_hours="email", email="desk@example.org")
    conversation = desk.queued()
    page = text(maya.get(f"/desk/c/{conversation.pk}/"))
    assert "Nobody is there: this goes to the team by e-mail" in page
    assert conversation.controller == "none"
