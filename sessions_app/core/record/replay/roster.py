"""The agents of a tenant, rebuilt from its `agent.presence` events."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sessions_app.core.record.replay.replayed import Fault, OperationLike

PRESENCE = ("availability", "reason", "is_heard", "max_load", "is_drained")


@dataclass(slots=True)
class Roster:
    """The agents of a tenant, by id. Each event says what was so before, and what is so now."""

    agents: dict[int, dict[str, Any]] = field(default_factory=dict)
    presence_logs: dict[int, list[tuple[Any, ...]]] = field(default_factory=dict)
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
            self.presence_logs.setdefault(agent, []).append((operation.at, *facts.values()))
            self._rooms.setdefault(agent, []).append((operation.pos or 0, facts["max_load"]))

    def room(self, agent: int, pos: int) -> int | None:
        """An agent's `max_load` at a position of the stream; None before the agent's first event."""
        max_loads = self._rooms.get(agent, [])
        place = bisect_right(max_loads, pos, key=lambda entry: entry[0])
        return max_loads[place - 1][1] if place else None
