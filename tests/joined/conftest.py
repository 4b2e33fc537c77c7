"""People who were sent a link, each with a browser of their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from sessions_app.actions import participants
from sessions_app.core.locked_conversation import Outcome
from tests.cast import Chat
from tests.events.conftest import hub

__all__ = ["hub"]


@pytest.fixture(autouse=True)
def _static_root(settings: Any, tmp_path: Path) -> None:
    """Whitenoise warns about a folder that only `collectstatic` makes."""
    settings.STATIC_ROOT = tmp_path


type Invite = Callable[..., Outcome]


@pytest.fixture
def invite(chat: Chat) -> Invite:
    """Ann, who serves, invites somebody; the answer has the link's token."""

    def by_ann(name: str = "Gus", **more: Any) -> Outcome:
        return participants.invite_participant(actor=chat.cast.ann, conversation_id=chat.id, name=name, **more)

    return by_ann


class Guest:
    """A browser that has joined by a link."""

    def __init__(self, invited: Outcome, client: Client | None = None) -> None:
        self.client = client or Client()
        self.pk = invited.participant_id
        answer = self.client.post("/join/", {"token": invited.token})
        assert (answer.status_code, answer["Location"]) == (302, f"/joined/{self.pk}/")

    def page(self, path: str = "") -> Any:
        return self.client.get(f"/joined/{self.pk}/{path}")

    def news(self, after: int = 0) -> Any:
        return self.client.get(f"/joined/{self.pk}/news/", {"seq": after}, headers={"HX-Request": "true"})

    def says(self, content: str, **more: str) -> Any:
        return self.client.post(f"/joined/{self.pk}/say/", {"content": content, **more})

    @property
    def cookie(self) -> str:
        return f"sessionid={self.client.cookies['sessionid'].value}"


@pytest.fixture
def join() -> Callable[..., Guest]:
    return Guest
