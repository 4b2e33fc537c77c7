"""How often something may happen: evenly, exactly, and as often for requests at once as for one after the other."""

from __future__ import annotations

import time
from collections.abc import Iterator
from threading import Barrier, Thread
from typing import Any

import pytest

from config import buckets, redis_link
from config.buckets import Rate, rate_of
from tests.faults.servers import Redis

FIVE_A_DAY = rate_of("5/day")
"""Within a test nothing comes back into it."""


class Clock:
    """Time in memory's buckets, moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def _all_are_full() -> Iterator[None]:
    buckets.forget()
    yield
    buckets.forget()


@pytest.fixture
def moved(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(buckets, "time", clock)
    return clock


@pytest.fixture
def in_redis(settings: Any) -> Iterator[None]:
    with Redis() as server:
        settings.REDIS_URL, settings.REDIS_TIMEOUT = server.url, 5.0
        yield


def _allowed(key: str, rate: Rate, times: int) -> list[bool]:
    return [buckets.take(key, rate).is_allowed for _ in range(times)]


def _at_once(rate: Rate, threads: int, each: int) -> int:
    """How many are let through of all that `threads` ask for at the same time."""
    begin, told = Barrier(threads), []

    def ask() -> None:
        begin.wait()
        told.extend(_allowed("somebody", rate, each))

    asking = [Thread(target=ask) for _ in range(threads)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert len(told) == threads * each
    return sum(told)


def test_a_rate_is_a_number_and_a_period() -> None:
    assert (rate_of("60/min"), rate_of("5/day")) == (Rate(60, 60), Rate(5, 86400))


def test_what_is_left_is_counted_down_and_then_nothing_is_given(moved: Clock) -> None:
    told = [buckets.take("somebody", rate_of("3/min")) for _ in range(5)]
    assert [taken.left for taken in told] == [2, 1, 0, 0, 0]
    assert [taken.is_allowed for taken in told] == [True, True, True, False, False]


def test_it_fills_evenly(moved: Clock) -> None:
    """Not all of it at once when the period is over: half a minute brings half of it."""
    rate = rate_of("6/min")
    assert _allowed("somebody", rate, 7) == [True] * 6 + [False]
    moved.now += 30
    assert _allowed("somebody", rate, 4) == [True] * 3 + [False]
    moved.now += 3600
    assert _allowed("somebody", rate, 7) == [True] * 6 + [False]


@pytest.mark.parametrize("rate", ["3/min", "7/min", "6000/min", "1/day"])
def test_whoever_waits_as_long_as_told_gets_one(moved: Clock, rate: str) -> None:
    limit = rate_of(rate)
    assert all(_allowed("somebody", limit, limit.most))
    refused = buckets.take("somebody", limit)
    assert not refused.is_allowed
    moved.now += refused.wait / 2
    assert not buckets.take("somebody", limit).is_allowed
    moved.now += refused.wait / 2 + 1e-6
    assert buckets.take("somebody", limit).is_allowed


def test_there_is_one_more_when_the_wait_is_over(moved: Clock) -> None:
    rate = rate_of("60/min")
    buckets.take("somebody", rate)
    moved.now += 0.25
    taken = buckets.take("somebody", rate)
    assert (taken.left, taken.wait) == (58, pytest.approx(0.75))


def test_nobody_takes_from_anothers(moved: Clock) -> None:
    assert _allowed("somebody", FIVE_A_DAY, 6) == [True] * 5 + [False]
    assert _allowed("somebody else", FIVE_A_DAY, 1) == [True]


def test_memory_keeps_a_bounded_number_of_them_and_forgets_who_took_least(
    moved: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buckets, "MOST_KEPT", 10)
    _allowed("the busiest", FIVE_A_DAY, 5)
    for number in range(100):
        buckets.take(f"passes by {number}", FIVE_A_DAY)
        assert len(buckets._own._full_at) <= 10
    assert _allowed("the busiest", FIVE_A_DAY, 1) == [False]


class Hesitant(dict[str, float]):
    """Lets another thread run between the look and what follows from it: without a lock, both have seen the same."""

    def get(self, *given: Any) -> Any:
        seen = super().get(*given)
        time.sleep(0)
        return seen


def test_threads_at_once_get_no_more_than_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets._own, "_full_at", Hesitant())
    assert _at_once(rate_of("50/day"), 8, 20) == 50


@pytest.mark.services
@pytest.mark.first_database
@pytest.mark.xdist_group("redis")
@pytest.mark.usefixtures("in_redis")
class TestInRedis:
    def test_threads_at_once_get_no_more_than_there_is(self) -> None:
        assert _at_once(rate_of("50/day"), 8, 20) == 50
        assert buckets._own._full_at == {}

    def test_what_is_left_is_counted_down_and_then_nothing_is_given(self) -> None:
        told = [buckets.take("somebody", FIVE_A_DAY) for _ in range(7)]
        assert [(taken.is_allowed, taken.left) for taken in told] == [
            *((True, left) for left in (4, 3, 2, 1, 0)),
            *((False, 0),) * 2,
        ]
        assert 17_200 < told[-1].wait <= 17_280  # a fifth of a day

    def test_processes_share_them(self, settings: Any) -> None:
        """Each has a connection of its own: here another link to the same server."""
        assert _allowed("somebody", FIVE_A_DAY, 3) == [True] * 3
        settings.REDIS_TIMEOUT += 1
        assert _allowed("somebody", FIVE_A_DAY, 3) == [True, True, False]

    def test_one_takes_one_round_trip_once_the_server_knows_the_script(self) -> None:
        buckets.take("somebody", FIVE_A_DAY)
        calls = redis_link.link().client.info("commandstats")["cmdstat_evalsha"]["calls"]
        for _ in range(10):
            buckets.take("somebody", FIVE_A_DAY)
        told = redis_link.link().client.info("commandstats")
        assert told["cmdstat_evalsha"]["calls"] == calls + 10
        assert told["cmdstat_get"]["calls"] == 11

    def test_a_full_bucket_is_forgotten(self) -> None:
        buckets.take("somebody", FIVE_A_DAY)
        (key,) = redis_link.link().client.scan_iter("*:bucket:*")
        assert 0 < redis_link.link().client.ttl(key) <= 17_281
