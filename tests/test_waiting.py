"""The formula behind the expected wait: its edges, and that it is of the right size where the truth is known."""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable

import pytest

from sessions_app.queries.expected_wait import expected_wait


@pytest.mark.parametrize(
    ("ahead", "free", "capacity", "service", "wait"),
    [
        (0, 1, 10, 300.0, 0),  # a place is free
        (3, 4, 10, None, 0),  # and one is left behind those in front, whatever a service takes
        (0, 0, 1, 300.0, 300),  # one agent with one place
        (1, 0, 1, 300.0, 600),
        (0, 0, 10, 300.0, 30),  # of ten places one becomes free soon
        (4, 2, 10, 300.0, 90),  # two go in at once, the third after them is this one
        (0, 0, 10, None, None),  # nothing measured is not nothing to wait
        (0, 0, 0, 300.0, None),  # nobody is there
        (2, 0, 0, None, None),
    ],
)
def test_the_formula(ahead: int, free: int, capacity: int, service: float | None, wait: float | None) -> None:
    assert expected_wait(ahead=ahead, free=free, capacity=capacity, service=service) == wait


@pytest.mark.parametrize("untaken", [0.0, 29.0, 31.0, 900.0])
@pytest.mark.parametrize(("ahead", "free", "service"), [(0, 1, None), (0, 5, 300.0), (0, 0, 300.0), (7, 2, 300.0)])
def test_nobody_is_told_less_than_the_head_of_the_queue_has_waited_already(
    untaken: float, ahead: int, free: int, service: float | None
) -> None:
    told = expected_wait(ahead=ahead, free=free, capacity=10, service=service, untaken=untaken)
    plain = expected_wait(ahead=ahead, free=free, capacity=10, service=service)
    assert told is not None
    assert plain is not None
    assert told == max(plain, untaken)


def test_a_wait_does_not_make_known_what_is_not() -> None:
    assert expected_wait(ahead=0, free=0, capacity=10, service=None, untaken=600.0) is None
    assert expected_wait(ahead=0, free=0, capacity=0, service=300.0, untaken=600.0) is None


def test_more_in_front_is_longer_and_more_places_are_shorter() -> None:
    def waits(**more: int) -> float:
        found = expected_wait(**{"ahead": 3, "free": 0, "capacity": 4} | more, service=60.0)
        assert found is not None
        return found

    assert waits(ahead=4) > waits(ahead=3) > waits(capacity=5) > waits(capacity=5, free=1)


type Draw = Callable[[random.Random], float]
SERVICE = 300.0
SPREADS: dict[str, Draw] = {
    "exponential": lambda chance: chance.expovariate(1 / SERVICE),
    "even": lambda chance: chance.uniform(0.5 * SERVICE, 1.5 * SERVICE),
    "always the same": lambda _: SERVICE,
}


def simulated(draw: Draw, *, places: int, load: float, seed: int) -> tuple[float, float]:
    """A day of a desk with so many places: the mean estimate, and the mean wait, of those who had to wait.

    Customers come at random and are served in their order. What is estimated from is what a desk would know: the mean
    of the last 50 services that have ended.
    """
    chance = random.Random(seed)
    now, free_at = 0.0, [0.0] * places
    begins: deque[float] = deque()  # of those who still wait
    came: deque[float] = deque()  # when each of them did
    running: list[tuple[float, float]] = []  # end and span of each service
    ended: deque[float] = deque(maxlen=50)
    estimates, waits = [], []
    for _ in range(20_000):
        now += chance.expovariate(places * load / SERVICE)
        while begins and begins[0] <= now:
            begins.popleft()
            came.popleft()
        while running and running[0][0] <= now:
            ended.append(heapq.heappop(running)[1])
        ahead, free = len(begins), sum(moment <= now for moment in free_at)
        known = sum(ended) / len(ended) if ended else None
        untaken = now - came[0] if came else 0.0
        told = expected_wait(
            ahead=ahead, free=free if not ahead else 0, capacity=places, service=known, untaken=untaken
        )
        start, span = max(now, free_at[0]), draw(chance)
        heapq.heapreplace(free_at, start + span)
        heapq.heappush(running, (start + span, span))
        if start == now:
            assert told == 0
            continue
        begins.append(start)
        came.append(now)
        if told is not None:
            estimates.append(told)
            waits.append(start - now)
    assert len(waits) > 2_000
    return sum(estimates) / len(estimates), sum(waits) / len(waits)


@pytest.mark.parametrize(
    ("spread", "least", "most"),
    [("exponential", 0.95, 1.15), ("even", 0.95, 1.4), ("always the same", 0.95, 1.6)],
)
@pytest.mark.parametrize(("places", "load"), [(1, 0.8), (8, 0.9), (30, 0.95)])
def test_the_estimate_is_of_the_right_size(places: int, load: float, spread: str, least: float, most: float) -> None:
    """On the long side, and never by much: the head's own wait lifts what is told after it by some hundredths."""
    estimate, wait = simulated(SPREADS[spread], places=places, load=load, seed=7)
    assert least <= estimate / wait <= most, f"{estimate:.0f} s were told, {wait:.0f} s was the truth"


def test_the_simulation_tells_a_wrong_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    """The failing control: counting only those in front, without the place that has to become free first."""

    def wrong(*, ahead: int, free: int, capacity: int, service: float | None, untaken: float) -> float | None:
        return 0.0 if free > ahead else None if service is None else ahead * service / capacity

    monkeypatch.setitem(globals(), "expected_wait", wrong)
    estimate, wait = simulated(SPREADS["exponential"], places=1, load=0.8, seed=7)
    assert estimate / wait < 0.9
