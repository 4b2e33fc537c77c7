"""How long a login lasts: since its last request, and since the password was typed; at pages, the API, sockets and streams."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from agents_app import tasks
from agents_app.connections import credential
from tests.cast import Cast

pytestmark = pytest.mark.django_db
Wait = Callable[[float], None]


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Wait:
    """Let so many seconds pass for Django's sessions, whose clock is the process's own."""
    now, passed = timezone.now, timedelta(0)

    def wait(seconds: float) -> None:
        nonlocal passed
        passed += timedelta(seconds=seconds)

    monkeypatch.setattr(timezone, "now", lambda: now() + passed)
    return wait


@pytest.fixture
def ann(cast: Cast, settings: Any) -> Client:
    """Ann, who has logged in at the page; a login ends after 100 idle seconds, and after 1,000 in any case."""
    settings.SESSION_IDLE, settings.SESSION_ABSOLUTE = 100, 1000
    agent = cast.agent("ann")
    agent.user = User.objects.create_user("ann", password="correct horse")
    agent.save()
    browser = Client()
    assert enters(browser).status_code == 302
    return browser


def enters(browser: Client) -> Any:
    return browser.post("/login/", {"username": "ann", "password": "correct horse"})


def is_in(browser: Client) -> bool:
    page, api = browser.get("/desk/").status_code, browser.get("/api/v1/teams").status_code
    assert (page, api) in {(200, 200), (302, 401)}
    return page == 200


def test_t6_1_a_login_that_nobody_uses_ends(ann: Client, wait: Wait) -> None:
    wait(94)
    assert is_in(ann)
    wait(101)
    assert not is_in(ann)


def test_t6_1_a_login_in_use_goes_on_until_its_end(ann: Client, wait: Wait) -> None:
    for _ in range(11):
        wait(90)
        assert is_in(ann)
    wait(11)  # 1,001 s since the password
    assert not is_in(ann)


def test_t6_1_a_shorter_lifetime_counts_for_logins_that_are_there(ann: Client, wait: Wait, settings: Any) -> None:
    wait(50)
    settings.SESSION_ABSOLUTE = 40
    assert not is_in(ann)
    assert not Session.objects.exists()


def test_t6_1_typing_the_password_again_begins_anew(ann: Client, wait: Wait) -> None:
    for _ in range(10):
        wait(90)
        assert is_in(ann)
    ann.logout()
    enters(ann)
    wait(90)
    assert is_in(ann)


def test_t6_1_a_socket_ends_with_its_login(ann: Client, wait: Wait) -> None:
    held = credential.authenticate(session_key=ann.session.session_key)
    assert held
    assert credential.which_are_revoked([held]) == set()
    wait(101)
    assert credential.which_are_revoked([held]) == {held}
    assert credential.authenticate(session_key=ann.session.session_key) is None


def test_not_every_request_writes_a_row(ann: Client, wait: Wait) -> None:
    wait(4)
    ann.get("/language/")
    before = Session.objects.get().expire_date
    wait(2)
    ann.get("/language/")
    assert Session.objects.get().expire_date > before


def test_sessions_that_are_over_are_removed(ann: Client, wait: Wait) -> None:
    assert tasks.forget_logins() == 0
    wait(101)
    assert tasks.forget_logins() == 1
    assert not Session.objects.exists()
