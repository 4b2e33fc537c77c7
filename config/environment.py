"""Reads settings from the environment, each figure with the range it may have, and refuses to start on a wrong one.

A wrong value is reported in one sentence, whatever imports the settings (a server, a worker, a command), and ends the process
with exit code 1. Pure: nothing of Django.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import NoReturn

from environs import Env

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR
YEAR = 366 * DAY
PERIODS = {"s", "sec", "second", "m", "min", "minute", "h", "hour", "d", "day"}
"""What the period of a rate may be called."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number that an installation may set: its default, the range it must lie in, and the unit it is given in."""

    name: str
    default: float
    minimum: float
    maximum: float
    unit: str
    is_whole: bool = True

    def __str__(self) -> str:
        return f"{self.minimum:,} to {self.maximum:,} {self.unit}"

    def problem(self, value: object) -> str | None:
        """What is wrong with a value; None if it may be used."""
        if (
            not isinstance(value, int if self.is_whole else int | float)
            or isinstance(value, bool)
            or not isfinite(value)
        ):
            kind = "whole number" if self.is_whole else "number"
            return f"{self.name} is {str(value)[:50]!r}, but has to be a {kind}: {self}."
        if not self.minimum <= value <= self.maximum:
            return f"{self.name} is {value}, but has to be {self}."
        return None


class Environment(Env):
    """`environs` with ranges. Problems are collected, so that `refuse_if_wrong` can name all of them at once."""

    def __init__(self) -> None:
        super().__init__(eager=False)
        self.figures: dict[str, Figure] = {}
        self.problems: list[str] = []

    def whole(self, name: str, default: int, minimum: int, maximum: int, unit: str) -> int:
        """A whole number within its range, both ends included."""
        return int(self._figure(Figure(name, default, minimum, maximum, unit)))

    def number(self, name: str, default: float, minimum: float, maximum: float, unit: str) -> float:
        """A number within its range, both ends included."""
        return float(self._figure(Figure(name, default, minimum, maximum, unit, is_whole=False)))

    def rate(self, name: str, default: str) -> str:
        """A number for a period: `60/min`. REST framework reads the period's first letter only and would take a month
        for a minute, so the whole word is checked here."""
        value = self.str(name, "") or default
        number, _, period = value.partition("/")
        if not (number.isdecimal() and int(number) > 0 and period in PERIODS):
            self.problems.append(f"{name} is {value[:50]!r}, but has to be a rate such as 60/min (s, min, h or day).")
            return default
        return value

    def one_of(self, name: str, default: str, words: Sequence[str]) -> str:
        """One of `words`."""
        value = self.str(name, "") or default
        if value not in words:
            self.problems.append(f"{name} is {value[:50]!r}, but has to be {', '.join(words[:-1])} or {words[-1]}.")
            return default
        return value

    def refuse_if_wrong(self, more: Iterable[str] = ()) -> None:
        """End the process if any value read so far is wrong, or if there are `more` problems."""
        unread = [f"{name}: {' '.join(dict.fromkeys(texts))}" for name, texts in self._errors.items()]
        if problems := [*self.problems, *unread, *more]:
            refuse(problems)

    def _figure(self, figure: Figure) -> float:
        self.figures[figure.name] = figure
        text = self.str(figure.name, "").strip()
        if not text:
            return figure.default
        value: object = text
        with suppress(ValueError):  # `problem` reports it
            value = int(text) if figure.is_whole else float(text)
        problem = figure.problem(value)
        if problem or not isinstance(value, int | float):
            self.problems.append(problem or "")
            return figure.default
        return value


def refuse(problems: Iterable[str]) -> NoReturn:
    """End the process before it serves anything. SystemExit, because no importer of the settings may go on."""
    raise SystemExit("\n".join(f"Tandem does not start: {problem}" for problem in problems))


def environment(file: Path) -> Environment:
    """The environment; what it does not set is read from `file` (`.env`), if there is one."""
    env = Environment()
    env.read_env(file)
    return env
