"""Which parts a context package may hold, and how a stored one with invalid parts is read. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sessions_app.states import Priority

GIVEN = ("suggestion", "promises", "urgency", "task_state")
"""The parts that a caller may add to the package."""


def part_problem(name: str, item: Any) -> str:
    """What is wrong with one part of the package, as a sentence; empty for nothing."""
    if name not in GIVEN:
        return f"Unknown; a context takes {', '.join(GIVEN)}."
    if name == "suggestion":
        return "" if isinstance(item, str) else "Send text."
    if name == "task_state":
        return "" if isinstance(item, dict) else "Send an object."
    if name == "urgency":
        is_one = item is None or (type(item) is int and item in Priority)
        return "" if is_one else "Send 1 (emergency), 2 (high), 3 (medium) or 4 (low)."
    is_list = isinstance(item, list) and all(isinstance(text, str) for text in item)
    return "" if is_list else "Send a list of texts."


def sound(stored: Any) -> dict[str, Any]:
    """The entries that a session keeps, without invalid ones, so that nothing stored stops the work on it."""
    if not isinstance(stored, dict):
        return {}
    made: dict[str, Any] = {}
    for name in ("suggestion", "urgency"):
        if _is_entry(stored.get(name), name) and stored[name]["value"] is not None:
            made[name] = stored[name]
    promises, state = stored.get("promises"), stored.get("task_state")
    if isinstance(promises, list):
        made["promises"] = [entry for entry in promises if _is_entry(entry, "suggestion")]
    if isinstance(state, dict):
        made["task_state"] = {name: entry for name, entry in state.items() if _is_entry(entry, "")}
    if isinstance(lacks := stored.get("left_out"), list):
        made["left_out"] = [part for part in lacks if part in GIVEN]
    return {name: item for name, item in made.items() if item}


def _is_entry(stored: Any, of: str) -> bool:
    return is_attributed(stored) and "value" in stored and not (of and part_problem(of, stored["value"]))


def is_attributed(stored: Any) -> bool:
    """Whether an entry says who said it, and when: a time with its zone."""
    if not (isinstance(stored, dict) and all(isinstance(stored.get(name), str) for name in ("by", "name", "at"))):
        return False
    try:
        return datetime.fromisoformat(stored["at"]).tzinfo is not None
    except ValueError:
        return False


def readable(stored: Any) -> dict[str, Any]:
    """A stored package as it can be shown, without what breaks the schema. `{}` where there is none."""
    if not isinstance(stored, dict):
        return {}
    kept = {name: item for name, item in stored.items() if name not in GIVEN or not part_problem(name, item)}
    messages = kept.get("messages", [])
    if not _are_reasons(kept.get("reasons", [])):
        del kept["reasons"]
    if "said" in kept and not _is_attribution(kept["said"]):
        del kept["said"]
    is_whole = isinstance(messages, list) and all(map(_is_message, messages))
    return kept if is_whole else kept | {"messages": [], "history": None}


def _are_reasons(given: Any) -> bool:
    names = ("by", "reason", "at")
    return isinstance(given, list) and all(
        isinstance(reason, dict) and all(isinstance(reason.get(name), str) for name in names) for reason in given
    )


def _is_attribution(said: Any) -> bool:
    """Whether `said` of a package names who said each part, and when."""
    if not isinstance(said, dict):
        return False
    promises, state = said.get("promises", []), said.get("task_state", {})
    if not (isinstance(promises, list) and isinstance(state, dict)):
        return False
    single = [said[name] for name in ("suggestion", "urgency") if name in said]
    return all(map(is_attributed, [*single, *promises, *state.values()]))


def _is_message(stored: Any) -> bool:
    names = ("message_id", "sender_type", "content", "sent_at")
    if not (isinstance(stored, dict) and all(isinstance(stored.get(name), str) for name in names)):
        return False
    try:
        datetime.fromisoformat(stored["sent_at"])
    except ValueError:
        return False
    return True
