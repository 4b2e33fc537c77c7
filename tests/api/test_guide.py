"""What docs/integrators.md prints is run as it is printed, against a real server process."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from agents_app.credentials.secrets import find_client
from agents_app.models import ApiClient, Tenant
from tests.api.serving import ROOT, Served
from tests.patience import PATIENCE

GUIDE = (ROOT / "docs" / "integrators.md").read_text()
BLOCKS = re.findall(r"^```(.+?)\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


def blocks(of: str) -> list[str]:
    return [block for name, block in BLOCKS if name == of]


@pytest.fixture(scope="module")
def ran(served: Served) -> str:
    """What the guide's shell blocks print, one after the other."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "".join(blocks("sh"))],
        cwd=ROOT,
        env=served.env | {"TANDEM_URL": served.url},
        timeout=PATIENCE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_bot_of_the_guide_is_the_example() -> None:
    assert blocks("python") == [(ROOT / "examples" / "bargain_bot.py").read_text()]


def test_every_page_the_guide_names_is_there() -> None:
    for page in re.findall(r"\]\(([^)#:]+)\)", GUIDE):
        assert (ROOT / "docs" / page).exists(), page


@pytest.mark.services
@pytest.mark.first_database
def test_the_guide_runs_as_it_is_printed(ran: str) -> None:
    (printed,) = blocks("text")
    assert printed in ran
    (problem,) = blocks("json")
    assert json.dumps(json.loads(problem), separators=(",", ":")) in ran
    assert ran.lower().count("idempotent-replayed: true") == 1
    assert '"accepted":2' in ran
    assert "openapi-python-client" in ran


@pytest.mark.services
@pytest.mark.first_database
def test_the_bot_has_made_a_deal_with_each_of_its_customers(ran: str, served: Served) -> None:
    told = served.run(
        "manage.py",
        "shell",
        "-c",
        "from sessions_app.models import ChatSession; from messaging_app.models import Message;"
        "places = ('li.wei', 'noor');"
        "ends = [(s.status, s.outcome) for s in ChatSession.objects.filter(conversation__account_id__in=places)];"
        "said = Message.objects.filter(conversation__account_id__in=places).values_list('content', flat=True);"
        "print(ends, sorted(said))",
    )
    said = ["25 is my last word.", "27 then.", "30 for two?", "Done: 27.", "Done: 30.", "Is 20 possible?"]
    assert told.endswith(f"{[('COMPLETED', 'success')] * 2} {said}")


@pytest.mark.services
@pytest.mark.first_database
def test_an_agent_of_the_guide_is_let_in(served: Served) -> None:
    (script,) = blocks("python agent")
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=served.env | {"TANDEM_URL": served.url},
        timeout=PATIENCE,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "Maya\n"


# --- The command that makes keys ---------------------------------------------------------------------------------


def apikey(*arguments: str) -> str:
    out = StringIO()
    call_command("apikey", *arguments, stdout=out)
    return out.getvalue().strip()


@pytest.mark.django_db
def test_apikey_makes_a_program_and_changes_its_key() -> None:
    tenant = Tenant.objects.create(slug="demo", name="Demo")
    key = apikey("bargain", "--tenant", "demo", "--scopes", "messages:write, events:read")
    client = find_client(key)
    assert client is not None
    assert (client.tenant, client.name, client.kind) == (tenant, "bargain", "bot")
    assert client.scopes == ["messages:write", "events:read"]
    other = apikey("bargain", "--new-key")
    assert find_client(key) is None
    assert find_client(other) == client
    assert apikey("bargain", "--id") == str(client.pk)
    assert find_client(other) == client


@pytest.mark.django_db
def test_apikey_says_what_is_wrong() -> None:
    def refused(*arguments: str) -> str:
        with pytest.raises(CommandError) as error:
            apikey(*arguments)
        return str(error.value)

    assert "no tenant yet" in refused("bargain")
    Tenant.objects.create(slug="demo", name="Demo")
    assert "no program 'bargain'" in refused("bargain", "--new-key")
    assert "no program 'bargain'" in refused("bargain", "--id")
    apikey("bargain")
    assert "--new-key" in refused("bargain")
    assert "no scope 'all'" in refused("other", "--scopes", "all")
    Tenant.objects.create(slug="second", name="Second")
    assert "several tenants" in refused("other")
    assert "no tenant 'third'" in refused("other", "--tenant", "third")
    assert ApiClient.objects.count() == 1
