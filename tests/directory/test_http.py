"""The directory of the example, as docs/people.md prints it, against a real server on this machine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agents_app import directory
from agents_app.directory import DirectoryFailed, Found, Person
from config.errors import NotFound
from sessions_app.models import Participant
from tests.api.world import agent
from tests.cast import Chat
from tests.standins import Asked, HttpStandIn, closed_port, http_stand_in

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.django_db(transaction=True)  # it refuses to be asked inside a transaction

STAFF = [{"name": "Wes", "email": "wes@example.org"}, {"name": "Wanda", "email": "wanda@example.org"}]


@pytest.fixture
def server(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpStandIn]:
    settings.DIRECTORY = "examples.http_directory.HttpDirectory"
    with http_stand_in() as server:
        monkeypatch.setenv("DIRECTORY_URL", server.url)
        monkeypatch.setenv("DIRECTORY_TOKEN", "the-token")

        def answers(asked: Asked) -> tuple[int, Any]:
            if asked.path == "/departments":
                return 200, [{"id": 7, "name": "Warehouse"}]
            return (200, STAFF) if asked.path == "/departments/7/members" else (404, {})

        server.answers = answers
        yield server


def test_the_page_prints_the_example() -> None:
    page = (ROOT / "docs" / "people.md").read_text()
    assert re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL) == [
        (ROOT / "examples" / "http_directory.py").read_text()
    ]


def test_it_is_asked_with_its_token_and_for_the_tenant(server: HttpStandIn) -> None:
    assert directory.search("shop", "ware") == [Found("7", "Warehouse")]
    assert directory.members_of("shop", "7") == [Person("Wes", "wes@example.org"), Person("Wanda", "wanda@example.org")]
    assert [(asked.path, asked.query) for asked in server.asked] == [
        ("/departments", {"tenant": "shop", "q": "ware"}),
        ("/departments/7/members", {"tenant": "shop"}),
    ]
    assert {asked.headers["authorization"] for asked in server.asked} == {"Bearer the-token"}


@pytest.mark.parametrize("id", ["8", "7/../8", "../departments", "7?tenant=other", ""])
def test_what_is_no_department_is_not_found(server: HttpStandIn, id: str) -> None:
    with pytest.raises(NotFound):
        directory.members_of("shop", id)
    assert all(asked.path == "/departments/8/members" for asked in server.asked)


@pytest.mark.parametrize("answer", [(500, {}), (302, {}), (200, "no JSON"), (200, [{"name": "Wes"}]), (200, "[1]")])
def test_a_server_that_fails_is_one_clear_error(server: HttpStandIn, answer: tuple[int, Any]) -> None:
    server.answers = lambda asked: answer
    with pytest.raises(DirectoryFailed):
        directory.members_of("shop", "7")


def test_a_server_that_is_not_there_is_one_too(server: HttpStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIRECTORY_URL", f"http://127.0.0.1:{closed_port()}")
    with pytest.raises(DirectoryFailed) as failed:
        directory.members_of("shop", "7")
    assert "the-token" not in str(failed.value)


def test_by_the_api_a_department_is_invited_once_by_one_key(chat: Chat, server: HttpStandIn) -> None:
    """The key's answer is kept beside the work and not around it: no network inside a transaction."""
    chat.serve()
    ann = agent(chat.cast, "ann")
    found = ann.get("departments", search="ware").json()
    assert found == {"departments": [{"id": "7", "name": "Warehouse"}]}
    path, body = f"conversations/{chat.id}/invite-department", {"department_id": "7"}
    first, again = (ann.post(path, body, key="once") for _ in range(2))
    assert (first.status_code, again.status_code, again["Idempotent-Replayed"]) == (201, 201, "true")
    assert first.json() == again.json()
    assert [member["name"] for member in first.json()["invited"]] == ["Wes", "Wanda"]
    assert Participant.objects.count() == 2
    assert len(server.asked) == 2  # one search, one look-up
    other = ann.post(path, body, key="twice").json()
    assert (other["invited"], [member["name"] for member in other["skipped"]]) == ([], ["Wes", "Wanda"])


def test_by_the_api_a_failure_is_a_502_that_invites_nobody_and_is_not_kept(chat: Chat, server: HttpStandIn) -> None:
    chat.serve()
    ann, (answers, server.answers) = agent(chat.cast, "ann"), (server.answers, lambda asked: (500, {}))
    path, body = f"conversations/{chat.id}/invite-department", {"department_id": "7"}
    failed = ann.post(path, body, key="once")
    assert (failed.status_code, failed.json()["code"]) == (502, "directory_failed")
    assert not Participant.objects.exists()
    server.answers = answers
    assert len(ann.post(path, body, key="once").json()["invited"]) == 2
