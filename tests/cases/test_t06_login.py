"""Guessing passwords: five failures in 15 minutes lock the account and the address, at every form that takes a password."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from agents_app import tasks
from agents_app.logins import lockout
from agents_app.models import Agent
from config import buckets
from tests.cast import Cast

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse"
HERE, ELSEWHERE = "203.0.113.7", "203.0.113.8"


@pytest.fixture(autouse=True)
def _nobody_is_locked_out() -> None:
    buckets.forget()


@pytest.fixture(autouse=True)
def wait(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let so many seconds pass for django-axes, whose clock is the process's own."""
    now, passed = timezone.now, timedelta(0)

    def wait(seconds: float) -> None:
        nonlocal passed
        passed += timedelta(seconds=seconds)

    monkeypatch.setattr("axes.handlers.proxy.now", lambda: now() + passed)
    monkeypatch.setattr(timezone, "now", lambda: now() + passed)
    return wait


@pytest.fixture
def ann(cast: Cast) -> User:
    return staff(cast, "ann")


def staff(cast: Cast, name: str, **more: Any) -> User:
    user = User.objects.create_user(name, password=PASSWORD, is_staff=True, **more)
    Agent.objects.filter(pk=cast.agent(name).pk).update(user=user)
    return user


def tries(name: str = "ann", password: str = "guess", door: str = "/login/", address: str = HERE, **more: Any) -> Any:
    return Client().post(door, {"username": name, "password": password}, REMOTE_ADDR=address, **more)


def codes(times: int, **how: Any) -> list[int]:
    return [tries(**how).status_code for _ in range(times)]


@pytest.mark.parametrize("door", ["/login/", "/admin/login/"])
def test_t6_1_five_failures_lock_the_account_wherever_it_is_tried(ann: User, door: str) -> None:
    assert codes(5, door=door) == [200, 200, 200, 200, 429]
    for other in ("/login/", "/admin/login/"):
        assert tries(password=PASSWORD, door=other, address=ELSEWHERE).status_code == 429
    assert tries("ben", PASSWORD, address=ELSEWHERE).status_code == 200  # another account, another address


def test_t6_1_five_failures_lock_the_address_whatever_the_account(cast: Cast) -> None:
    ben = staff(cast, "ben")
    assert [tries(f"guess-{number}").status_code for number in range(5)] == [200, 200, 200, 200, 429]
    assert tries(ben.username, PASSWORD).status_code == 429
    assert tries(ben.username, PASSWORD, address=ELSEWHERE).status_code == 302


def test_t6_1_whoever_is_locked_out_is_told_for_how_long_in_their_language(ann: User) -> None:
    codes(5)
    answer = tries(password=PASSWORD, headers={"accept-language": "es"})
    assert answer.status_code == 429
    assert 1 <= int(answer["Retry-After"]) <= 900
    assert "15 min" in answer.content.decode()
    assert "Please wait" not in answer.content.decode()


def test_t6_1_an_account_that_is_not_there_is_locked_the_same(ann: User) -> None:
    """Nothing tells which accounts there are: not the status, not the page."""
    pages = {name: [tries(name, address=f"198.51.100.{n}") for n in range(6)] for name in ("ann", "zoe")}
    assert [page.status_code for page in pages["ann"]] == [page.status_code for page in pages["zoe"]]
    assert pages["ann"][5].content == pages["zoe"][5].content


@pytest.mark.parametrize("door", ["/login/", "/admin/login/"])
def test_t6_1_a_name_longer_than_any_account_is_counted_like_any_other(cast: Cast, door: str) -> None:
    """A failure's row holds 255 characters; PostgreSQL and MariaDB refuse more, and the login was 500."""
    assert codes(5, name="a" * 5_000, door=door) == [200, 200, 200, 200, 429]


def test_t6_1_the_lock_ends_by_itself_and_trying_does_not_prolong_it(ann: User, wait: Callable[[float], None]) -> None:
    codes(5)
    wait(600)
    assert codes(3, password=PASSWORD) == [429, 429, 429]
    wait(301)
    assert tries(password=PASSWORD).status_code == 302


def test_t6_1_four_failures_are_forgotten_after_a_quarter_of_an_hour(ann: User, wait: Callable[[float], None]) -> None:
    assert codes(4) == [200] * 4
    wait(901)
    assert codes(4) == [200] * 4


def test_t6_1_a_login_forgives_its_own_failures_and_no_others(cast: Cast, ann: User) -> None:
    staff(cast, "ben")
    assert codes(2) == [200] * 2
    codes(2, name="ben")
    assert tries("ben", PASSWORD).status_code == 302
    assert codes(3) == [200, 200, 429]  # ann's two still count, for whoever has ben's account


def test_t6_1_behind_a_proxy_the_address_is_the_one_the_proxy_saw(cast: Cast, settings: Any) -> None:
    ben = staff(cast, "ben")
    settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"NUM_PROXIES": 1}
    for number in range(5):
        tries(f"guess-{number}", headers={"x-forwarded-for": f"10.0.0.{number}, {HERE}"})
    assert tries(ben.username, PASSWORD, headers={"x-forwarded-for": f"10.9.9.9, {HERE}"}).status_code == 429
    assert tries(ben.username, PASSWORD, headers={"x-forwarded-for": ELSEWHERE}).status_code == 302
    assert tries(ben.username, headers={"x-forwarded-for": "nonsense"}).status_code == 200


def test_t6_1_the_old_password_of_a_change_is_guessed_no_longer(ann: User) -> None:
    browser = Client(REMOTE_ADDR=HERE)
    browser.force_login(ann)
    body = {"old_password": "guess", "new_password1": "battery staple", "new_password2": "battery staple"}
    told = [browser.post("/admin/password_change/", body).status_code for _ in range(6)]
    assert told == [200, 200, 200, 200, 429, 429]
    assert browser.post("/admin/password_change/", body | {"old_password": PASSWORD}).status_code == 429
    ann.refresh_from_db()
    assert ann.check_password(PASSWORD)


def test_t6_1_an_administrator_unlocks_a_login_of_the_own_tenant(cast: Cast, others: Cast, ann: User) -> None:
    sue, stranger = (
        User.objects.create_user(name, password=PASSWORD, is_staff=True, is_superuser=True) for name in ("sue", "eve")
    )
    Agent.objects.filter(pk=cast.agent("sue").pk).update(user=sue)
    Agent.objects.filter(pk=others.agent("sue").pk).update(user=stranger)
    codes(5)
    for user, status in ((stranger, 429), (sue, 302)):
        browser = Client()
        browser.force_login(user)
        browser.post("/admin/auth/user/", {"action": "unlock", "_selected_action": [ann.pk]})
        assert tries(password=PASSWORD, address=ELSEWHERE).status_code == status


def test_failures_that_do_not_count_any_more_are_removed(ann: User, wait: Callable[[float], None]) -> None:
    codes(2)
    assert tasks.forget_logins() == 0
    wait(901)
    assert tasks.forget_logins() == 1
    assert not AccessAttempt.objects.exists()


def test_no_password_is_kept_of_a_failure(ann: User) -> None:
    tries(password="almost right")
    row = AccessAttempt.objects.get()
    assert "almost" not in f"{row.get_data}{row.post_data}"


# --- How often, and how many at once -----------------------------------------------------------------------------


def test_t6_1_a_form_that_takes_a_secret_is_limited_by_address(ann: User, settings: Any) -> None:
    settings.LOGIN_RATE, settings.AXES_FAILURE_LIMIT = "3/min", 100
    assert codes(4) == [200, 200, 200, 429]
    assert codes(1, door="/admin/login/") == [429]
    assert Client().post("/join/", {"token": "guess"}, REMOTE_ADDR=HERE).status_code == 429
    assert codes(1, address=ELSEWHERE) == [200]


@pytest.mark.parametrize("path", ["/login/", "/api/docs", "/api/docs/errors", "/join/guess", "/nowhere/"])
def test_t6_1_a_page_that_asks_for_no_login_is_limited_by_address(db: None, settings: Any, path: str) -> None:
    settings.PAGE_RATE = "2/min"
    told = [Client().get(path, REMOTE_ADDR=HERE) for _ in range(3)]
    assert [answer.status_code == 429 for answer in told] == [False, False, True]
    assert 1 <= int(told[2]["Retry-After"]) <= 61
    forged = Client(REMOTE_ADDR=HERE)
    forged.cookies["sessionid"] = "made-up"
    assert forged.get(path).status_code == 429


def test_t6_1_whoever_has_logged_in_is_not_limited_by_address(ann: User, settings: Any) -> None:
    settings.PAGE_RATE = "1/min"
    browser = Client(REMOTE_ADDR=HERE)
    browser.force_login(ann)
    assert [browser.get("/desk/").status_code for _ in range(3)] == [200] * 3


def test_t6_1_health_is_not_limited(db: None, settings: Any) -> None:
    settings.PAGE_RATE = "1/min"
    assert [Client().get("/api/v1/health/live", REMOTE_ADDR=HERE).status_code for _ in range(3)] == [200] * 3


def test_t6_1_few_passwords_are_hashed_at_once_and_the_rest_is_sent_away(
    ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sent away quickly, with nothing counted against anybody."""
    monkeypatch.setattr(lockout, "PATIENCE", 0.01)
    with lockout.hashing():
        answer = tries(password=PASSWORD)
        assert answer.status_code == 503
        assert answer["Retry-After"] == "2"
    assert not AccessAttempt.objects.exists()
    assert tries(password=PASSWORD).status_code == 302


def test_t6_1_no_more_wait_for_a_hash_than_there_is_room_for() -> None:
    for _ in range(lockout.WAITING + 1):
        assert lockout._room.acquire(blocking=False)
    try:
        with pytest.raises(lockout.TooManyLogins), lockout.hashing():
            pass
    finally:
        for _ in range(lockout.WAITING + 1):
            lockout._room.release()
    with lockout.hashing():
        pass
