"""An agent's machine dies in the middle of a conversation: somebody else has it soon, and nothing said is lost."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.serving import ROOT, Served
from tests.patience import PATIENCE, until

AWAY, GRACE = 1800, 3600
"""Seconds of silence until an agent counts as away, and until the sessions move on. The test moves the agent's last sign of
life, and not time: nobody falls silent because the machine is slow.
"""

TEAM = (
    "from agents_app.models import *; t = Team.objects.create(tenant=Tenant.objects.get(), name='Service',"
    " assignment='push'); [Membership.objects.create(team=t, agent=a) for a in Agent.objects.all()]; print(t.pk)"
)


MOVE_ON = "from sessions_app.actions import silence; print('moved:', silence.move_on_from_silent_agents())"


def last_heard(served: Served, seconds_ago: int) -> None:
    """Maya was last heard of so long ago."""
    served.run(
        "manage.py",
        "shell",
        "-c",
        "from datetime import timedelta; from config import clock; from agents_app.models import Agent;"
        f"ago = clock.now() - timedelta(seconds={seconds_ago});"
        "assert Agent.objects.filter(user__username='maya').update(last_seen_at=ago) == 1",
    )


def is_heard(served: Served) -> bool:
    """Whether Maya was heard of since she was put back."""
    told = served.run(
        "manage.py",
        "shell",
        "-v",
        "0",
        "-c",
        "from datetime import timedelta; from config import clock; from agents_app.models import Agent;"
        f"ago = clock.now() - timedelta(seconds={AWAY});"
        "print(Agent.objects.filter(user__username='maya', last_seen_at__gt=ago).count())",
    )
    return told.endswith("1")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    made = Served(tmp_path, AGENT_AWAY_AFTER=str(AWAY), AGENT_GONE_AFTER=str(GRACE))
    yield made
    made.stop()


@pytest.fixture
def desk(served: Served) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Open an agent's desk in a process of its own."""
    opened: list[subprocess.Popen[str]] = []

    def open_desk(name: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(ROOT / "tests" / "faults" / "at_desk.py"), served.url, name]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        opened.append(process)
        assert process.stdout
        assert process.stdout.readline() == "here\n"
        return process

    yield open_desk
    for process in opened:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


class Api:
    """Calls as one caller; a refusal ends the test."""

    def __init__(self, served: Served, *, key: str = "", login: str = "") -> None:
        cookies = served.login(login) if login else {}
        headers = {"Authorization": f"Bearer {key}"} if key else {"X-CSRFToken": cookies["csrftoken"]}
        self.http = httpx.Client(base_url=f"{served.url}/api/v1/", headers=headers, cookies=cookies, timeout=PATIENCE)

    def get(self, path: str, **query: Any) -> Any:
        return self.http.get(path, params=query).raise_for_status().json()

    def post(self, path: str, **body: Any) -> Any:
        return self.http.post(path, json=body).raise_for_status().json()


@pytest.fixture
def api(served: Served) -> Iterator[Callable[..., Api]]:
    made: list[Api] = []

    def make(**who: str) -> Api:
        made.append(Api(served, **who))
        return made[-1]

    yield make
    for one in made:
        one.http.close()


@pytest.mark.services
@pytest.mark.first_database
def test_a_killed_agents_conversation_is_with_somebody_else_after_the_grace_and_whole(
    served: Served, desk: Callable[[str], subprocess.Popen[str]], api: Callable[..., Api]
) -> None:
    team = served.run("manage.py", "shell", "-v", "0", "-c", TEAM).split()[-1]
    shop = api(key=served.key("shop", "integrator"))
    bot = api(key=served.key("bargain"))
    maya, jun = api(login="maya"), api(login="jun")
    mayas, _ = desk("maya"), desk("jun")
    maya.post("agents/me/availability", availability="available")

    first = shop.post("inbound", shop_id="lamps", account_id="li", content="Hello?", message_id="m-0")
    conversation = first["conversation_id"]
    bot.post("sessions", conversation_id=conversation, task="negotiation")
    asked = bot.post(f"conversations/{conversation}/escalate", reason="a refund", to_team_id=team)
    maya.post(f"transfers/{asked['transfer_id']}/accept")
    jun.post("agents/me/availability", availability="available")
    maya.post("messages", conversation_id=conversation, content="I am Maya.", message_id="a-0")

    acknowledged = ["m-0", "a-0"]

    def waiting() -> list[Any]:
        """The customer says one more thing, and the transfers that wait afterwards."""
        name = f"m-{len(acknowledged)}"
        shop.post("inbound", conversation_id=conversation, content=f"Are you there? {name}", message_id=name)
        acknowledged.append(name)
        found: list[Any] = shop.get("transfers", conversation_id=conversation, status="PENDING")["results"]
        return found

    last_heard(served, AWAY + 60)
    until(lambda: is_heard(served), "an open desk page is no sign of life")
    mayas.kill()
    mayas.wait()
    last_heard(served, GRACE - 600)  # away, and not gone yet
    assert served.run("manage.py", "shell", "-v", "0", "-c", MOVE_ON).endswith("moved: 0")
    assert waiting() == []
    last_heard(served, GRACE + 1)
    until(
        lambda: any(t["kind"] == "reassignment" and t["offered_to_id"] for t in waiting()),
        "the conversation stayed with an agent who is gone",
    )

    [waits] = shop.get("transfers", conversation_id=conversation, status="PENDING")["results"]
    assert waits["offered_to_id"] == jun.get("agents/me")["id"]
    jun.post(f"transfers/{waits['id']}/accept")
    jun.post("messages", conversation_id=conversation, content="I am Jun.", message_id="a-1")
    said = shop.get(f"conversations/{conversation}/messages", limit=200)["results"]
    assert sorted(m["message_id"] for m in said) == sorted([*acknowledged, "a-1"])
