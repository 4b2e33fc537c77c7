"""T7.1: Redis gone or hanging costs latency and exact rates, nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from rest_framework.settings import api_settings

from config import buckets, redis_link
from messaging_app import live
from messaging_app.live import ChangeNotification
from tests.api.world import program
from tests.cast import Cast
from tests.faults.servers import Redis, free_port
from tests.patience import until

pytestmark = [pytest.mark.xdist_group("redis"), pytest.mark.services]

INBOUND = {"platform": "shop", "shop_id": "s-1", "account_id": "carla", "content": "Hello?"}


def use(settings: Any, url: str) -> None:
    settings.REDIS_URL, settings.REDIS_TIMEOUT = url, 5.0  # of a server that is there and slow nobody despairs
    buckets.forget()


@pytest.fixture
def server() -> Iterator[Redis]:
    with Redis() as made:
        yield made


def comes_back() -> None:
    """Until this process has seen that Redis is back."""
    until(lambda: not redis_link.link().is_away, "Redis is back, and nobody has noticed")


def test_t7_1_refused_the_api_works_and_ready_tells_it(cast: Cast, settings: Any) -> None:
    use(settings, f"redis://127.0.0.1:{free_port()}/0")
    channel = program(cast, "channel")
    assert channel.post("inbound", INBOUND).status_code == 201
    ready = channel.get("health/ready")
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    assert ready.json()["checks"]["redis"] != "ok"


def test_t7_1_hanging_it_slows_one_request_and_then_none(
    cast: Cast, settings: Any, server: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(settings, server.url)
    channel = program(cast, "channel")
    assert channel.post("inbound", INBOUND).status_code == 201
    server.hang()
    channel.post("inbound", INBOUND)  # finds it out
    assert redis_link.link().is_away
    asked: list[Exception] = []
    with monkeypatch.context() as patch:  # whoever asks it has to wait, and says then that it has failed
        patch.setattr(redis_link.link(), "failed", asked.append)
        live.announce([ChangeNotification(1, 1, 1)] * 10)
        buckets.take("anything", buckets.rate_of("1/min"))
        assert channel.post("inbound", INBOUND).status_code == 201
    assert asked == []
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
    assert live._published([ChangeNotification(1, 1, 1)])
    server.stop()
    server.start()
    live._published([ChangeNotification(1, 1, 1)])  # its connection is gone: this hint may be lost
    comes_back()
    assert live._published([ChangeNotification(1, 1, 1)])


def test_t7_1_what_is_told_is_not_waited_for_and_each_answer_is_its_own(settings: Any, server: Redis) -> None:
    use(settings, server.url)
    link = redis_link.link()
    for number in range(3):
        link.tell(b"SET", b"told", str(number).encode())
    assert link.command(b"GET", b"told") == b"2"
    link.tell(b"INCR", b"told")
    assert link.command(b"INCR", b"told") == 4


def test_t7_1_a_server_that_refuses_what_it_was_told_is_noticed_at_the_next_command(
    settings: Any, server: Redis
) -> None:
    use(settings, server.url)
    link = redis_link.link()
    link.tell(b"NO-SUCH-COMMAND")
    with pytest.raises(redis_link.Away):
        link.command(b"PING")
    comes_back()
    assert link.command(b"INCR", b"counted") == 1


def test_t7_1_a_server_that_started_again_meanwhile_owes_no_answer(settings: Any, server: Redis) -> None:
    use(settings, server.url)
    link = redis_link.link()
    link.tell(b"INCR", b"counted")
    server.stop()
    server.start()
    try:
        assert link.command(b"INCR", b"counted") == 1
    except redis_link.Away:
        comes_back()
        assert link.command(b"INCR", b"counted") == 1
