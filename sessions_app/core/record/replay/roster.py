"""The agents of a tenant, as its events of presence tell it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sessions_app.core.record.replay.replayed import Fault, OperationLike

PRESENCE = ("availability", "reason", "is_heard", "max_load", "is_drained")


@dataclass(slots=True)
class Roster:
    """The agents of a tenant, as its events of presence tell it. Each tells what was so before, and what is so now."""

    agents: dict[int, dict[str, Any]] = field(default_factory=dict)
    sheets: dict[int, list[tuple[Any, ...]]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    _rooms: dict[int, list[tuple[int, int]]] = field(default_factory=dict)

    def apply(self, operations: Iterable[OperationLike]) -> None:
        """In the order in which they were made."""
        for operation in operations:
            data, agent = operation.data, operation.data["agent_id"]
            facts = {name: data[name] for name in PRESENCE}
            known = self.agents.get(agent)
            if data["before"] != known:
                text = f"agent {agent} was {known}; the event at {operation.at} says {data['before']}"
                self.faults.append(Fault(9, text))
            if facts == known:
                self.faults.append(Fault(6, f"agent {agent}: the event at {operation.at} tells of no change"))
            self.agents[agent] = facts
            self.sheets.setdefault(agent, []).append((operation.at, *facts.values()))
            self._rooms.setdefault(agent, []).append((operation.pos or 0, facts["max_load"]))

    def room(self, agent: int, pos: int) -> int | None:
        """How much an agent took on at a position of the stream; None where nothing was told of it yet."""
        rooms = self._rooms.get(agent, [])
        place = bisect_right(rooms, pos, key=lambda told: told[0])
        return rooms[place - 1][1] if place else None
