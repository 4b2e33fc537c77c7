"""What docs/flows.md prints is run as it is printed; and the flow of the example is killed in the middle of a rerun."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.serving import ROOT, Served
from tests.patience import PATIENCE, until

PAGE = (ROOT / "docs" / "flows.md").read_text()
BLOCKS = re.findall(r"^```(.+?)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
PROGRAM = ROOT / "examples" / "size_flow.py"


def block(of: str) -> str:
    (found,) = [text for name, text in BLOCKS if name == of]
    return found


def test_the_flow_of_the_page_is_the_example() -> None:
    assert block("python") == PROGRAM.read_text()


def test_every_page_it_names_is_there() -> None:
    for page in re.findall(r"\]\(([^)#:]+)\)", PAGE):
        assert (ROOT / "docs" / page).exists(), page


@pytest.mark.services
@pytest.mark.first_database
def test_the_page_runs_as_it_is_printed(served: Served) -> None:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block("sh")],
        cwd=ROOT,
        env=served.env | {"TANDEM_URL": served.url},
        timeout=PATIENCE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, block("text")), done.stdout + done.stderr
    told = served.run(
        "manage.py",
        "shell",
        "-c",
        "from sessions_app.models import ChatSession, GuidedFlow; from messaging_app.models import Message;"
        "flow = GuidedFlow.objects.get(trigger_id='order-size-1');"
        "print(flow.status, flow.last_candidate, ChatSession.objects.get(conversation=flow.conversation).status,"
        "list(Message.objects.filter(conversation=flow.conversation).order_by('pk').values_list('content', flat=True)))",
    )
    said = ["It is order 7712.", "M, please.", "Noted: order 7712 in size M."]
    assert told.endswith(f"applied 7712 M COMPLETED {said}")


# --- A crash in the middle of a rerun ----------------------------------------------------------------------------


def let_the_lease_run_out(served: Served, trigger: str) -> None:
    """Time moves by the row, and not by the clock of the machine, which may be slow to begin a process again."""
    served.run(
        "manage.py",
        "shell",
        "-c",
        "from datetime import timedelta; from config import clock; from sessions_app.models import GuidedFlow;"
        f"found = GuidedFlow.objects.filter(trigger_id={trigger!r}, status='rerunning');"
        "assert found.update(lease_until=clock.now() - timedelta(seconds=1)) == 1",
    )


class Program:
    """The example as a process of its own."""

    def __init__(self, served: Served, key: str, account: str, output: Path) -> None:
        self._output = output.open("a")
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAM), "lamps", account, f"size-{account}"],
            env=served.env | {"TANDEM_URL": served.url, "TANDEM_KEY": key},
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ends(self) -> int:
        try:
            return self.process.wait(timeout=PATIENCE)
        finally:
            self.process.kill()
            self._output.close()


@pytest.mark.services
@pytest.mark.first_database
@pytest.mark.parametrize("comes_back", ["in time", "late"])
def test_killed_in_the_middle_of_a_rerun_and_begun_again_it_comes_to_its_end(
    served: Served, tmp_path: Path, comes_back: str
) -> None:
    """The process is stopped before the answer comes, so that its flow is rerunning when it is killed.

    In time, a restart finds the rerun and goes on with it. Late, the lease has run out: the flow has failed, the bot has
    the turn again, and a restart finds that and begins the next flow with what the customer has said already.
    """
    account = comes_back.replace(" ", "-")
    bot, shop = served.key(f"sizes-{account}"), served.key(f"shop-{account}", "integrator")
    api, held = f"{served.url}/api/v1", {"Authorization": f"Bearer {shop}"}

    def flow(number: int = 1) -> dict[str, Any]:
        trigger = {"trigger_id": f"size-{account}-{number}"}
        found = httpx.get(f"{api}/flows", params=trigger, headers=held, timeout=PATIENCE).json()["results"]
        return found[0] if found else {"status": ""}

    def says(content: str) -> dict[str, Any]:
        body = {"shop_id": "lamps", "account_id": account, "content": content}
        answer = httpx.post(f"{api}/inbound", json=body, headers=held, timeout=PATIENCE)
        told: dict[str, Any] = answer.raise_for_status().json()
        return told

    output = tmp_path / "output"
    program = Program(served, bot, account, output)
    until(lambda: flow()["status"] == "waiting_user_reply")
    program.signal(signal.SIGSTOP)
    assert says("Order 7712, size M.")["controller"] == "flow"
    assert flow()["status"] == "rerunning"
    program.signal(signal.SIGKILL)
    assert program.ends() == -signal.SIGKILL
    if comes_back == "late":
        let_the_lease_run_out(served, f"size-{account}-1")
        until(lambda: flow()["status"] == "failed")  # by the sweeper: nobody else touches the conversation
        assert flow()["failed_reason"] == "the rerun's lease ran out"
        assert says("Hello?")["controller"] == "bot"
    again = Program(served, bot, account, output)
    assert again.ends() == 0, output.read_text()
    assert output.read_text().endswith("said: Noted: order 7712 in size M.\n")
    last = flow(2 if comes_back == "late" else 1)
    assert (last["status"], last["last_candidate"]) == ("applied", "7712 M")
