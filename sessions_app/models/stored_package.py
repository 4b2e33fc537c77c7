"""What a stored context package may hold, and how one that is not sound is read. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sessions_app.states import Priority

GIVEN = ("suggestion", "promises", "urgency", "task_state")
"""What whoever asks for a human may add to the package."""


def part_problem(name: str, item: Any) -> str:
    """What is wrong with one part of the package; empty for nothing."""
    if name not in GIVEN:
        return f"Unknown; a context takes {', '.join(GIVEN)}."
    if name == "suggestion":
        return "" if isinstance(item, str) else "Send text."
    if name == "task_state":
        return "" if isinstance(item, dict) else "Send an object."
    if name == "urgency":
        is_one = item is None or (type(item) is int and item in Priority)
        return "" if is_one else "Send 1 (emergency), 2 (high), 3 (medium) or 4 (low)."
    is_list = isinstance(item, list) and all(isinstance(one, str) for one in item)
    return "" if is_list else "Send a list of texts."


def sound(stored: Any) -> dict[str, Any]:
    """What a session keeps as said, without what cannot be: nothing that somebody stored stops the work on it."""
    if not isinstance(stored, dict):
        return {}
    made: dict[str, Any] = {}
    for name in ("suggestion", "urgency"):
        if _is_entry(stored.get(name), name) and stored[name]["value"] is not None:
            made[name] = stored[name]
    promises, state = stored.get("promises"), stored.get("task_state")
    if isinstance(promises, list):
        made["promises"] = [one for one in promises if _is_entry(one, "suggestion")]
    if isinstance(state, dict):
        made["task_state"] = {name: one for name, one in state.items() if _is_entry(one, "")}
    if isinstance(lacks := stored.get("left_out"), list):
        made["left_out"] = [part for part in lacks if part in GIVEN]
    return {name: item for name, item in made.items() if item}


def _is_entry(stored: Any, of: str) -> bool:
    return is_attributed(stored) and "value" in stored and not (of and part_problem(of, stored["value"]))


def is_attributed(stored: Any) -> bool:
    """Whether it says who, and when."""
    if not (isinstance(stored, dict) and all(isinstance(stored.get(name), str) for name in ("by", "name", "at"))):
        return False
    try:
        return datetime.fromisoformat(stored["at"]).tzinfo is not None
    except ValueError:
        return False


def readable(stored: Any) -> dict[str, Any]:
    """A stored package such that it can be shown: what breaks the schema is left out. `{}` where none travelled."""
    if not isinstance(stored, dict):
        return {}
    kept = {name: item for name, item in stored.items() if name not in GIVEN or not part_problem(name, item)}
    messages = kept.get("messages", [])
    if not _are_reasons(kept.get("reasons", [])):
        del kept["reasons"]
    if "said" in kept and not _is_by(kept["said"]):
        del kept["said"]
    is_whole = isinstance(messages, list) and all(map(_is_message, messages))
    return kept if is_whole else kept | {"messages": [], "history": None}


def _are_reasons(given: Any) -> bool:
    names = ("by", "reason", "at")
    return isinstance(given, list) and all(
        isinstance(one, dict) and all(isinstance(one.get(name), str) for name in names) for one in given
    )


def _is_by(said: Any) -> bool:
    """Whether it says who said each part, and when."""
    if not isinstance(said, dict):
        return False
    promises, state = said.get("promises", []), said.get("task_state", {})
    if not (isinstance(promises, list) and isinstance(state, dict)):
        return False
    told = [said[name] for name in ("suggestion", "urgency") if name in said]
    return all(map(is_attributed, [*told, *promises, *state.values()]))


def _is_message(said: Any) -> bool:
    names = ("message_id", "sender_type", "content", "sent_at")
    if not (isinstance(said, dict) and all(isinstance(said.get(name), str) for name in names)):
        return False
    try:
        datetime.fromisoformat(said["sent_at"])
    except ValueError:
        return False
    return True
