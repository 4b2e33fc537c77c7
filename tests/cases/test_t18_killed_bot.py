"""T18: the programs of the guides, as they are printed, are killed at each of their lines and begun again.

Each line has a bot of its own, with customers of its own, on one server. What a life left undone the next one does, once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.serving import ROOT, Served
from tests.cases.killing import RESTS, lines_of, lives
from tests.patience import PATIENCE

pytestmark = [pytest.mark.timeout(900), pytest.mark.xdist_group("killed-bot")]

BARGAIN = ROOT / "examples" / "bargain_bot.py"
FLOW = ROOT / "examples" / "size_flow.py"
KILLED = -9
STEPS = [
    pytest.param(4, marks=[pytest.mark.services, pytest.mark.first_database], id="every fourth line"),
    pytest.param(1, marks=pytest.mark.slow, id="each line"),
]
_KEYS = """
import json
from agents_app import credentials
from agents_app.models import ApiClient, Tenant
from django.core.management import call_command
from io import StringIO
tenant, told = Tenant.objects.get(slug="demo"), {}
for name in %r:
    out = StringIO()
    call_command("apikey", name, "--tenant", "demo", stdout=out)
    told[name] = [out.getvalue().strip(), str(ApiClient.objects.get(tenant=tenant, name=name).pk)]
print(json.dumps(told))
"""
_STATE = """
import json
from messaging_app.models import Conversation
from sessions_app.models import GuidedFlow
told = {}
for c in Conversation.objects.filter(account_id__startswith=%r):
    told[c.account_id] = {
        "sessions": [[s.status, s.outcome] for s in c.sessions.filter(bot__isnull=False)],
        "said": [[m.sender_type, m.content, m.message_id, m.seq, m.pk] for m in c.messages.order_by("seq")],
        "escalated": c.operations.filter(type="transfer.requested").values_list("seq", flat=True).first(),
        "flows": [[f.status, f.last_candidate] for f in GuidedFlow.objects.filter(conversation=c)],
    }
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = Served(tmp_path_factory.mktemp("killed"), API_RATE="1000000/min")
    yield served
    served.stop()


@dataclass
class World:
    """The shop's program, and the bots, one for each line."""

    served: Served
    folder: Path
    bots: dict[str, list[str]]
    shop: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        key = self.served.run("manage.py", "apikey", self.folder.name, "--tenant", "demo", "--kind", "integrator")
        self.shop = httpx.Client(
            base_url=f"{self.served.url}/api/v1", headers={"Authorization": f"Bearer {key}"}, timeout=PATIENCE
        )

    def post(self, path: str, body: dict[str, Any]) -> Any:
        return self.shop.post(path, json=body).raise_for_status().json()

    def says(self, account: str, text: str, bot: str = "") -> Any:
        """A customer writes; where nobody serves, a bot is brought in."""
        place = {"shop_id": "lamps", "account_id": account}
        told = self.post("/inbound", place | {"content": text})
        if bot and told["controller"] == "none":
            self.post("/sessions", place | {"bot_id": self.bots[bot][1], "task": "negotiation"})
        return told

    def job(self, bot: str, line: int, rest: int, *args: str) -> dict[str, Any]:
        env = {"TANDEM_URL": self.served.url, "TANDEM_KEY": self.bots[bot][0]}
        return {"env": env, "args": args, "line": line, "rest": rest, "output": str(self.folder / bot)}

    def state(self, prefix: str) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.served.run("manage.py", "shell", "-c", _STATE % prefix).splitlines()[-1])
        return told


@contextmanager
def world_of(served: Served, folder: Path, names: list[str]) -> Iterator[World]:
    keys = served.run("manage.py", "shell", "-c", _KEYS % names)
    world = World(served, folder, json.loads(keys.splitlines()[-1]))
    with world.shop:
        yield world


def line_with(program: Path, text: str) -> int:
    (found,) = [number for number, line in enumerate(program.read_text().splitlines(), 1) if text in line]
    return found


# --- The bargaining bot ---


@pytest.mark.parametrize("step", STEPS)
def test_the_printed_bot_killed_at_a_line_and_begun_again_answers_each_word_once(
    served: Served, tmp_path: Path, step: int
) -> None:
    lines, rest = lines_of(BARGAIN)[::step], line_with(BARGAIN, "time.sleep(")
    names = {line: f"{tmp_path.name}-{line}" for line in lines}
    with world_of(served, tmp_path, list(names.values())) as world:
        for bot in names.values():
            world.says(f"{bot}-asks", "Hello?", bot)
            world.says(f"{bot}-asks", "Is 20 possible?")
            world.says(f"{bot}-agrees", "30 for two?", bot)
            world.says(f"{bot}-leaves", "Hello?", bot)
        ended = lives(BARGAIN, [world.job(bot, line, rest) for line, bot in names.items()])
        assert set(ended) == {KILLED, RESTS}
        never = {line for line, code in zip(lines, ended, strict=True) if code == RESTS}
        assert never <= not_reached(), "the other lines are on the way of every life"
        for bot in names.values():  # while it is dead
            world.says(f"{bot}-asks", "30 then.")
            left = world.says(f"{bot}-leaves", "A human, please.")["conversation_id"]
            world.post(f"/conversations/{left}/escalate", {"reason": "asks for one"})
        assert set(lives(BARGAIN, [world.job(bot, 0, rest) for bot in names.values()])) == {RESTS}
        state = world.state(tmp_path.name)
        for line, bot in names.items():
            where = f"killed at line {line}"
            asks, agrees, leaves = (state[f"{bot}-{who}"] for who in ("asks", "agrees", "leaves"))
            assert answers(asks) == ["It is 40. Your offer?", "25 is my last word.", "Done: 30."], where
            assert answers(agrees) == ["Done: 30."], where
            assert asks["sessions"] == agrees["sessions"] == [["COMPLETED", "success"]], where
            assert answers(leaves) in ([], ["It is 40. Your offer?"]), where
            assert leaves["sessions"] == [["TRANSFERRED", ""]], where
            assert all(seq < leaves["escalated"] for who, _, _, seq, _ in leaves["said"] if who == "bot"), where


def answers(told: dict[str, Any]) -> list[str]:
    """What a bot said, in the order of what it answered; each by the id of that."""
    said = {message_id: content for who, content, message_id, _, _ in told["said"] if who == "bot"}
    assert len(said) == len([who for who, *_ in told["said"] if who == "bot"])
    given = [said.pop(f"re-{pk}") for who, _, _, _, pk in told["said"] if who == "customer" and f"re-{pk}" in said]
    assert not said, "an answer to nothing"
    return given


def not_reached() -> set[int]:
    """What the bot does when something fails, when the turn moves under its hands, or behind a deal."""
    text = BARGAIN.read_text().splitlines()
    of_pause = range(line_with(BARGAIN, "def pause("), line_with(BARGAIN, "def main("))
    rare = ("except PASSING", "failed = error", "return  #", "Thank you.")
    return set(of_pause) | {number for number, line in enumerate(text, 1) if any(words in line for words in rare)}


# --- The guided flow ---


@pytest.mark.parametrize("step", STEPS)
def test_the_flow_killed_at_a_line_and_begun_again_comes_to_its_end_once(
    served: Served, tmp_path: Path, step: int
) -> None:
    rest = line_with(FLOW, "time.sleep(0 if")
    names = {f"{tmp_path.name}-{line}": line for line in lines_of(FLOW)[::step]}
    with world_of(served, tmp_path, list(names)) as world:
        left, reached = dict(names), set()
        for _ in range(8):
            jobs = [world.job(bot, line, rest, "lamps", bot, "size") for bot, line in left.items()]
            for bot, code in zip(list(left), lives(FLOW, jobs), strict=True):
                if code == KILLED:
                    reached.add(names[bot])
                    left[bot] = 0
                elif code == 0:
                    del left[bot]
                else:
                    assert code == RESTS, (world.folder / bot).read_text()
            if not left:
                break
            for account, missing in waiting(world, set(left)):  # first the one, then the other: it asks a second time
                world.says(account, "It is order 7712." if "order number" in missing else "M, please.")
        assert left == {}, "they came to their end"
        state = world.state(tmp_path.name)
        for bot, line in names.items():
            where = f"killed at line {line}"
            said = [content for who, content, *_ in state[bot]["said"] if who == "bot"]
            assert said == ["Noted: order 7712 in size M."], where
            assert state[bot]["flows"] == [["applied", "7712 M"]], where
            assert state[bot]["sessions"] == [["COMPLETED", "success"]], where
            assert (world.folder / bot).read_text().endswith("said: Noted: order 7712 in size M.\n"), where
        assert len(reached) > len(names) * 0.7


def waiting(world: World, bots: set[str]) -> list[tuple[str, list[str]]]:
    """The flows that wait for their customer, with what they miss."""
    page, found = world.shop.get("/flows?status=waiting_user_reply&limit=200").raise_for_status().json(), []
    for flow in page["results"]:
        told = world.shop.get(f"/conversations/{flow['conversation_id']}").raise_for_status().json()
        if told["account_id"] in bots:
            found.append((told["account_id"], flow["missing_info"]))
    return found
