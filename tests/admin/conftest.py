"""Two tenants with a row of everything, `here` and `elsewhere`, and the people who open the admin."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from tests.admin.desks import everything
from tests.cast import Cast


@pytest.fixture
def here(db: None) -> Cast:
    Group.objects.create(name="shared group")
    return everything("here")


@pytest.fixture
def elsewhere(here: Cast) -> Cast:
    return everything("elsewhere")


def _browser(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def operator(here: Cast) -> Client:
    """Looks after the installation: a superuser without an agent."""
    return _browser(User.objects.create_superuser("operator"))


@pytest.fixture
def supervisor(here: Cast) -> Client:
    """Sue of `here`: a superuser with an agent."""
    user = User.objects.get(username="here-sue")
    user.is_superuser = True
    user.save()
    return _browser(user)


@pytest.fixture
def clerk(here: Cast) -> Client:
    """Ann of `here`: no supervisor and no superuser, but with every permission there is."""
    user = User.objects.get(username="here-ann")
    user.user_permissions.set(Permission.objects.all())
    return _browser(user)


@pytest.fixture
def stranger(here: Cast) -> Client:
    """Staff with every permission, and with neither an agent nor a superuser's rights."""
    user = User.objects.create_user("stranger", is_staff=True)
    user.user_permissions.set(Permission.objects.all())
    return _browser(user)


@pytest.fixture
def powerless(here: Cast) -> Client:
    """Staff with no permission at all."""
    return _browser(User.objects.create_user("powerless", is_staff=True))
