"""T7.1: Redis gone or hanging costs latency and exact rates, nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.cache import caches
from rest_framework.settings import api_settings

from config import redis_link
from messaging_app import live
from messaging_app.live import Hint
from tests.api.world import program
from tests.cast import Cast
from tests.faults.servers import Redis, free_port

pytestmark = [pytest.mark.xdist_group("redis"), pytest.mark.services]

INBOUND = {"platform": "shop", "shop_id": "s-1", "account_id": "carla", "content": "Hello?"}


def use(settings: Any, url: str) -> None:
    settings.REDIS_URL = url
    settings.CACHES = {"default": {"BACKEND": "config.cache.SharedCache", "LOCATION": url}}
    for cache in caches.all():
        cache.clear()


@pytest.fixture
def server() -> Iterator[Redis]:
    with Redis() as made:
        yield made


def lasts(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def comes_back() -> None:
    """Poll until this process has seen that Redis is back."""
    ends = time.monotonic() + 5
    while redis_link.link().is_away:
        assert time.monotonic() < ends, "Redis is back, and nobody has noticed for 5 s"
        time.sleep(0.05)


def test_t7_1_refused_the_api_works_and_ready_tells_it(cast: Cast, settings: Any) -> None:
    use(settings, f"redis://127.0.0.1:{free_port()}/0")
    channel = program(cast, "channel")
    assert channel.post("inbound", INBOUND).status_code == 201
    ready = channel.get("health/ready")
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    assert ready.json()["checks"]["redis"] != "ok"


def test_t7_1_hanging_it_slows_one_request_and_then_none(cast: Cast, settings: Any, server: Redis) -> None:
    use(settings, server.url)
    channel = program(cast, "channel")
    assert channel.post("inbound", INBOUND).status_code == 201
    server.hang()
    channel.post("inbound", INBOUND)  # finds it out
    assert redis_link.link().is_away
    assert lasts(lambda: live.announce([Hint(1, 1, 1)] * 10)) < 0.05
    assert lasts(lambda: caches["default"].get("anything")) < 0.05
    assert channel.post("inbound", INBOUND).status_code == 201
    server.go_on()
    comes_back()
    assert channel.get("health/ready").json()["status"] == "ok"


def test_t7_1_the_throttle_counts_by_process_meanwhile(
    cast: Cast, settings: Any, server: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(api_settings.DEFAULT_THROTTLE_RATES, "caller", "3/min")
    use(settings, server.url)
    channel = program(cast, "channel")
    server.stop()
    answers = [channel.get("conversations").status_code for _ in range(5)]
    assert answers == [200, 200, 200, 429, 429]
    server.start()
    comes_back()
    assert [channel.get("conversations").status_code for _ in range(5)] == [200, 200, 200, 429, 429]


def test_t7_1_a_restarted_server_is_missed_for_a_moment_only(settings: Any, server: Redis) -> None:
    use(settings, server.url)
    assert live._published([Hint(1, 1, 1)])
    server.stop()
    server.start()
    live._published([Hint(1, 1, 1)])  # its connection is gone: this hint may be lost
    comes_back()
    assert live._published([Hint(1, 1, 1)])
