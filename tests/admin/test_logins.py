"""Nobody takes over a login that may more than his own: whoever sets its password is it."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.urls import reverse

from agents_app.models import Agent
from messaging_app.models import Operation
from tests.admin.sites import url
from tests.cast import Cast

PASSWORD = {"usable_password": "true", "password1": "a-long-one-7", "password2": "a-long-one-7"}
OF_LOGINS = ("view_user", "change_user", "delete_user", "view_agent", "change_agent")


@pytest.fixture
def keeper(here: Cast) -> Client:
    """Ann of `here`, who may look after logins and agents, and nothing else."""
    return _keeper("here-ann")


@pytest.fixture
def chief(here: Cast) -> Client:
    """Sue of `here`, a supervisor who may do the same."""
    return _keeper("here-sue")


def _keeper(username: str) -> Client:
    user = User.objects.get(username=username)
    user.user_permissions.set(Permission.objects.filter(codename__in=OF_LOGINS))
    browser = Client()
    browser.force_login(user)
    return browser


def _login(here: Cast, kind: str) -> User:
    """Ben's, who is what is asked for."""
    user = User.objects.create_user("here-ben", password="one-of-his-own-7", is_staff=True)
    here.change("ben", user=user, role="supervisor" if "supervisor" in kind else "agent")
    more = Permission.objects.get(codename="change_apiclient")
    if kind == "superuser":
        user.is_superuser = True
    elif kind == "permission":
        user.user_permissions.add(more)
    elif kind == "permission of a group":
        group = Group.objects.get(name="shared group")
        group.permissions.add(more)
        user.groups.add(group)
    user.is_active = not kind.startswith("sleeping")
    if kind == "sleeping superuser":
        user.is_superuser = True
    elif kind == "sleeping permission":
        user.user_permissions.add(more)
    user.save()
    return user


def _rows() -> list[Any]:
    return [list(User.objects.order_by("pk").values()), list(Agent.objects.order_by("pk").values("pk", "is_active"))]


def _change(user: User, **changed: Any) -> dict[str, Any]:
    """What the page of a login sends."""
    return {
        "username": user.username,
        "is_active": "on",
        "agent-TOTAL_FORMS": 1,
        "agent-INITIAL_FORMS": 1,
        "agent-0-id": user.agent.pk,
        "agent-0-user": user.pk,
        "agent-0-name": user.agent.name,
        "agent-0-role": user.agent.role,
        "agent-0-max_load": user.agent.max_load,
    } | changed


def _ways(browser: Client, user: User) -> dict[str, Any]:
    """Each way to be somebody or to be rid of him, as the status of its answer."""
    page, several = url(User, "change", user.pk), url(User, "changelist")
    chosen = {ACTION_CHECKBOX_NAME: [user.pk]}
    gone = _change(user)
    del gone["is_active"]
    sent = {
        "password": (reverse("admin:auth_user_password_change", args=[user.pk]), PASSWORD),
        "name": (page, _change(user, username="ours")),
        "address": (page, _change(user, email="ours@example.org")),
        "deactivated": (page, gone),
        "unlocked": (several, chosen | {"action": "unlock"}),
        "deleted": (url(User, "delete", user.pk), {"post": "yes"}),
    }
    return {way: browser.post(address, data).status_code for way, (address, data) in sent.items()}


def _lacks(browser: Client, user: User) -> set[str]:
    """What the page of the action that deletes says is missing. A login with an agent is deleted by nobody."""
    chosen = {ACTION_CHECKBOX_NAME: [user.pk], "action": "delete_selected", "post": "yes"}
    return set(browser.post(url(User, "changelist"), chosen).context["perms_lacking"])


@pytest.mark.parametrize(
    "kind",
    [
        "superuser",
        "supervisor",
        "permission",
        "permission of a group",
        "sleeping superuser",
        "sleeping supervisor",
        "sleeping permission",
    ],
)
def test_a_login_that_may_more_is_not_taken_over(keeper: Client, here: Cast, kind: str) -> None:
    user = _login(here, kind)
    before = _rows()
    ways = _ways(keeper, user)
    assert set(ways.values()) == {403}, ways
    assert "user" in _lacks(keeper, user)
    assert keeper.get(reverse("admin:auth_user_password_change", args=[user.pk])).status_code == 403
    assert _rows() == before


@pytest.mark.parametrize("kind", ["superuser", "permission"])
def test_nor_by_a_supervisor(chief: Client, here: Cast, kind: str) -> None:
    user = _login(here, kind)
    before = _rows()
    ways = _ways(chief, user)
    assert set(ways.values()) == {403}, ways
    assert "user" in _lacks(chief, user)
    assert _rows() == before


def test_it_is_looked_at_still(keeper: Client, here: Cast) -> None:
    user = _login(here, "superuser")
    page = keeper.get(url(User, "change", user.pk))
    assert page.status_code == 200
    assert user.password not in page.text
    assert "here-ben" in keeper.get(url(User, "changelist")).text


@pytest.mark.parametrize(
    ("who", "kind"),
    [
        ("keeper", "agent"),
        ("chief", "agent"),
        ("chief", "supervisor"),
        ("supervisor", "superuser"),
        ("supervisor", "permission"),
        ("operator", "superuser"),
        ("operator", "supervisor"),
    ],
)
def test_who_may_as_much_still_looks_after_it(request: pytest.FixtureRequest, here: Cast, who: str, kind: str) -> None:
    browser: Client = request.getfixturevalue(who)
    user = _login(here, kind)
    page = url(User, "change", user.pk)
    assert browser.post(reverse("admin:auth_user_password_change", args=[user.pk]), PASSWORD).status_code == 302
    data = _change(user, username="renamed")
    del data["is_active"]
    assert browser.post(page, data).status_code == 302
    user.refresh_from_db()
    assert user.check_password("a-long-one-7")
    assert (user.username, user.is_active) == ("renamed", False)
    unlock = {ACTION_CHECKBOX_NAME: [user.pk], "action": "unlock"}
    assert browser.post(url(User, "changelist"), unlock).status_code == 302
    assert browser.get(url(User, "delete", user.pk)).status_code == 200
    assert "user" not in _lacks(browser, user)


def test_everybody_looks_after_his_own(keeper: Client, here: Cast) -> None:
    own = User.objects.get(username="here-ann")
    assert keeper.post(reverse("admin:auth_user_password_change", args=[own.pk]), PASSWORD).status_code == 302
    own.refresh_from_db()
    assert own.check_password("a-long-one-7")


@pytest.mark.parametrize("kind", ["superuser", "supervisor", "permission"])
def test_its_agent_is_not_marked_as_gone(keeper: Client, here: Cast, kind: str) -> None:
    agent = _login(here, kind).agent
    page = url(Agent, "change", agent.pk)
    assert keeper.post(page, {"name": "Benjamin", "max_load": 3}).status_code == 302
    agent.refresh_from_db()
    assert (agent.name, agent.max_load, agent.is_active) == ("Benjamin", 3, True)


@pytest.mark.parametrize("who", ["chief", "supervisor", "operator"])
def test_a_plain_agent_is_marked_as_gone(
    request: pytest.FixtureRequest, here: Cast, django_capture_on_commit_callbacks: Any, who: str
) -> None:
    """By the verb: on record, and what was theirs goes on."""
    browser: Client = request.getfixturevalue(who)
    agent = _login(here, "agent").agent
    chat = here.chat()
    chat.human(here.ben)
    told = {"name": "Ben", "max_load": 3, "role": agent.role, "user": agent.user_id}
    with django_capture_on_commit_callbacks(execute=True):
        assert browser.post(url(Agent, "change", agent.pk), told).status_code == 302
    agent.refresh_from_db()
    assert not agent.is_active
    assert chat.controller == "queue"
    record = Operation.objects.get(type="agent.dismissed")
    assert (record.data["agent_id"], record.actor_name) == (agent.pk, "operator" if who == "operator" else "here Sue")


def test_not_by_an_agent(keeper: Client, here: Cast) -> None:
    agent = _login(here, "agent").agent
    assert keeper.post(url(Agent, "change", agent.pk), {"name": "Ben", "max_load": 3}).status_code == 302
    agent.refresh_from_db()
    assert agent.is_active


def test_agents_are_dismissed_with_a_reason_from_their_list(chief: Client, here: Cast) -> None:
    agent = _login(here, "agent").agent
    chosen = {ACTION_CHECKBOX_NAME: [agent.pk, here.sue.pk], "action": "dismiss"}
    page = chief.post(url(Agent, "changelist"), chosen)
    assert "It goes on record." in page.text
    answer = chief.post(url(Agent, "changelist"), chosen | {"reason": "The season is over."}, follow=True)
    assert "Done for 1 agent." in answer.text
    assert "Sue: Nobody dismisses themselves" in answer.text
    assert not Agent.objects.get(pk=agent.pk).is_active
    assert Agent.objects.get(pk=here.sue.pk).is_active
    assert Operation.objects.get(type="agent.dismissed").data["reason"] == "The season is over."
