"""Conversations that have nothing to do with the strangers, and whose lives must not be later for them.

Each is a script: at which step of the day who does what. Steps are `STEP` seconds of the database's clock apart, so what
a day was like can be compared step by step with the same day without strangers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import datetime

from agents_app.models import Agent
from messaging_app.models import Operation
from sessions_app.models import Transfer
from tests.hostile.world import SHOP, World, made, person, program

STEP = 70
"""Seconds. No clock of the domain is within ten seconds of a multiple of it (30 s, 300 s, 1800 s, 8 h, 24 h)."""

type Deed = Callable[["Innocents", str], object]


class Innocents:
    """The channel, the bot and the agent of these conversations; `play` does what the scripts say for one step."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._channel = program(world.tenant, "innocent channel", "integrator")
        self._bot = program(world.tenant, "innocent bot")
        self._agent = person(world.tenant, "innocent agent")
        self._conversations: dict[str, str] = {}

    def play(self, step: int) -> None:
        # Who works is heard of, as their programs and pages see to.
        made(self._bot.post("sessions/heartbeat", {}))
        made(self._agent.post("sessions/heartbeat", {}))
        if step == 0:
            made(self._agent.post("agents/me/availability", {"availability": Agent.Availability.AVAILABLE}))
        for name, script in SCRIPTS.items():
            for deed in script.get(step, ()):
                deed(self, name)

    def days(self, began: datetime) -> dict[str, list[tuple[int, str]]]:
        """What happened to each conversation, and at which step."""
        told: dict[str, list[tuple[int, str]]] = defaultdict(list)
        names = {int(pk): name for name, pk in self._conversations.items()}
        rows = Operation.objects.filter(conversation_id__in=names).order_by("conversation_id", "seq")
        for conversation_id, kind, at in rows.values_list("conversation_id", "type", "at"):
            told[names[conversation_id]].append((int((at - began).total_seconds() // STEP), kind))
        return dict(told)

    # --- Deeds ---

    def says(self, name: str, content: str = "Is the lamp still there?") -> None:
        body = {"shop_id": SHOP, "account_id": f"innocent {name}", "content": content}
        told = made(self._channel.post("inbound", body))
        self._conversations.setdefault(name, told["conversation_id"])
        pk = int(told["conversation_id"])
        if pk not in self._world.innocent:
            self._world.innocent.append(pk)

    def opens(self, name: str) -> None:
        made(self._bot.post("sessions", {"conversation_id": self._conversations[name]}))

    def answers(self, name: str) -> None:
        epoch = self._bot.get(f"conversations/{self._conversations[name]}").json()["epoch"]
        body = {"conversation_id": self._conversations[name], "content": "It is.", "epoch": epoch}
        made(self._bot.post("messages", body))

    def escalates(self, name: str) -> None:
        made(self._bot.post(f"conversations/{self._conversations[name]}/escalate", {"reason": "Asks for a rebate."}))

    def asks_by_flow(self, name: str) -> None:
        body = {
            "conversation_id": self._conversations[name],
            "trigger_id": f"flow of {name}",
            "question": "Which size?",
        }
        made(self._bot.post("flows", body))

    def is_accepted(self, name: str) -> None:
        waits = Transfer.objects.get(conversation_id=self._conversations[name], status="PENDING")
        made(self._agent.post(f"transfers/{waits.pk}/accept", {}))

    def is_served(self, name: str) -> None:
        made(self._agent.post("messages", {"conversation_id": self._conversations[name], "content": "Here I am."}))

    def is_resolved(self, name: str) -> None:
        made(self._agent.post(f"conversations/{self._conversations[name]}/resolve", {}))


def _says(content: str) -> Deed:
    return lambda innocents, name: innocents.says(name, content)


SCRIPTS: dict[str, dict[int, list[Deed]]] = {
    "that is served": {
        0: [Innocents.says, Innocents.opens],
        1: [Innocents.answers],
        3: [Innocents.says, Innocents.escalates],
        5: [Innocents.is_accepted],
        6: [Innocents.is_served],
        9: [Innocents.is_resolved],
    },
    "that nobody accepts": {1: [Innocents.says, Innocents.opens], 2: [Innocents.escalates], 12: [Innocents.says]},
    "whose bot falls silent": {0: [Innocents.says, Innocents.opens], 2: [Innocents.answers]},
    "that is only grouped": {0: [Innocents.says], 4: [Innocents.says], 33: [Innocents.says]},
    "that asks for a human": {2: [Innocents.says, Innocents.opens], 3: [_says("I want to talk to a human, please.")]},
    "with a flow": {1: [Innocents.says, Innocents.opens], 2: [Innocents.asks_by_flow], 3: [_says("L, please.")]},
}
