"""Skills: what an agent can do and a conversation needs, at a level from 1 to 5. A language is one, by its code."""

from __future__ import annotations

import re
from collections.abc import Mapping

from config.free_json import is_storable

LOWEST, HIGHEST = 1, 5
_LINE = re.compile(r"(?P<name>\S(?:.*\S)?)\s+(?P<level>\S+)")
MAX_NAME = 50
MOST = 100
"""Skills of one agent, or needed for one conversation."""

type Skills = Mapping[str, int]


def read(text: str) -> dict[str, int]:
    """One skill a line with its level: `returns 3`. Raises `ValueError` with what is wrong in which line."""
    skills: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise ValueError(f"Line {number} needs a skill and its level from 1 to 5, such as: returns 3.")
        skills |= checked({match["name"]: match["level"]})
    return skills


def checked(skills: Mapping[str, object]) -> dict[str, int]:
    """The skills with their names in lower case. Raises `ValueError` for a wrong level or name, or too many."""
    levels: dict[str, int] = {}
    if len(skills) > MOST:
        raise ValueError(f"At most {MOST} skills.")
    for name, level in skills.items():
        word = name.strip().lower()
        if not word or len(word) > MAX_NAME or not is_storable(word):
            raise ValueError(f"A skill's name has 1 to {MAX_NAME} characters.")
        if not str(level).isdigit() or not LOWEST <= int(str(level)) <= HIGHEST:
            raise ValueError(f"The level of {word!r} must be a whole number from {LOWEST} to {HIGHEST}.")
        levels[word] = int(str(level))
    return levels


def lacking(has: Skills, needs: Skills) -> dict[str, int]:
    """The needed skills that are missing, or not at the needed level."""
    return {name: level for name, level in needs.items() if has.get(name, 0) < level}


def together(*needs: Skills) -> dict[str, int]:
    """All of these needs together, each skill at its highest level."""
    levels: dict[str, int] = {}
    for skills in needs:
        for name, level in skills.items():
            levels[name] = max(level, levels.get(name, 0))
    return levels
