"""A measured figure with what it stands beside and what it has to be; and how peers take turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from common import quantile

type Call = Callable[[], object]
type Rounds = dict[str, list[list[float]]]

LONGEST_SLICE = 5.0
"""Seconds: a slice that takes longer ends there, if it has a few calls by then."""
FEWEST = 5
P10, P50 = 0.10, 0.50


@dataclass(slots=True)
class Figure:
    """One line of the table. `land` and `aim` are limits: upper ones, or lower ones where more is better."""

    row: str
    what: str
    beside: str
    value: float | None = None
    spread: tuple[float, float] | None = None
    unit: str = "×"
    is_less_better: bool = True
    land: float | None = None
    aim: float | None = None
    detail: dict[str, Any] = field(default_factory=dict)
    why_not: str = ""

    @property
    def verdict(self) -> str:
        if self.value is None:
            return "not measured"
        if self.land is None:
            return ""
        if self.aim is not None and self._holds(self.aim):
            return "aim"
        return "landed" if self._holds(self.land) else "not reached"

    def _holds(self, limit: float) -> bool:
        assert self.value is not None
        return self.value <= limit if self.is_less_better else self.value >= limit

    @property
    def value_text(self) -> str:
        return "–" if self.value is None else f"{_short(self.value)} {self.unit}"

    @property
    def spread_text(self) -> str:
        return " to ".join(map(_short, self.spread)) if self.spread else ""

    @property
    def limits_text(self) -> str:
        sign = "≤" if self.is_less_better else "≥"
        return ", ".join(f"{sign} {limit:g}" for limit in (self.land, self.aim) if limit is not None)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"verdict": self.verdict}


def _short(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.4f}" if 0 < value < 0.1 else f"{value:.2f}"


class Seconds(float):
    """What a call returns that says itself how long the part of it took that counts."""


def timed(call: Call) -> float:
    start = time.perf_counter()
    result = call()
    return result if isinstance(result, Seconds) else time.perf_counter() - start


def slice_of(call: Call, count: int) -> list[float]:
    taken: list[float] = []
    while len(taken) < count and (sum(taken) < LONGEST_SLICE or len(taken) < FEWEST):
        taken.append(timed(call))
    return taken


def in_turns(calls: Mapping[str, Call], rounds: int, count: int, warm: int = 3) -> Rounds:
    """So many rounds, in each a slice of every peer; who begins changes from round to round."""
    for call in calls.values():
        for _ in range(warm):
            call()
    taken: Rounds = {name: [] for name in calls}
    for number in range(rounds):
        names = list(calls) if number % 2 == 0 else list(calls)[::-1]
        for name in names:
            taken[name].append(slice_of(calls[name], count))
    return taken


def ratio(
    ours: Sequence[Sequence[float]], theirs: Sequence[Sequence[float]], share: float = P10
) -> tuple[float, tuple[float, float]]:
    """The median over the rounds of the quantiles' ratio, and its middle half."""
    found = [quantile(mine, share) / quantile(other, share) for mine, other in zip(ours, theirs, strict=True)]
    return quantile(found, 0.5), (quantile(found, 0.25), quantile(found, 0.75))


def inverse(found: tuple[float, tuple[float, float]], factor: float = 1.0) -> tuple[float, tuple[float, float]]:
    """Of a ratio of times that of rates."""
    middle, (low, high) = found
    return factor / middle, (factor / high, factor / low)


def ms(rounds: Sequence[Sequence[float]], share: float) -> float:
    """The least of the rounds' quantiles, in milliseconds: the service time when nothing else held the machine up."""
    return round(min(quantile(one, share) for one in rounds) * 1000, 3)


def times(taken: Rounds) -> dict[str, dict[str, float]]:
    return {name: {"p10_ms": ms(rounds, P10), "p50_ms": ms(rounds, P50)} for name, rounds in taken.items()}
