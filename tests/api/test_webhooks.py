"""The door to webhooks. What the verbs behind it do is in tests/webhooks."""

from __future__ import annotations

from typing import Any

import pytest

from agents_app.models import Agent
from messaging_app.models import WebhookDelivery, WebhookEndpoint
from tests.api.world import Caller, agent, program
from tests.cast import Cast

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _loopback(settings: Any) -> None:
    settings.WEBHOOK_ALLOW_LOOPBACK = True


@pytest.fixture
def shop(cast: Cast) -> Caller:
    return program(cast, "channel")


def made(caller: Caller, **more: Any) -> dict[str, Any]:
    answer = caller.post("webhooks", {"url": "http://127.0.0.1:9999/events"} | more)
    assert answer.status_code == 201, answer.content
    told: dict[str, Any] = answer.json()
    return told


def test_the_secret_is_shown_when_it_is_made_and_never_again(shop: Caller) -> None:
    webhook = made(shop, types=["session.*"], description="orders")
    secret = webhook.pop("secret")
    assert secret == WebhookEndpoint.objects.get().secret
    assert shop.get(f"webhooks/{webhook['id']}").json() == webhook
    assert shop.get("webhooks").json()["results"] == [webhook]
    assert (webhook["types"], webhook["description"], webhook["is_enabled"]) == (["session.*"], "orders", True)

    rotated = shop.post(f"webhooks/{webhook['id']}/rotate-secret", {"keep_old_for": 60}).json()
    assert rotated["secret"] not in ("", secret)
    assert rotated["old_secret_until"]
    assert secret not in shop.get("webhooks").text + shop.get(f"webhooks/{webhook['id']}").text


def test_it_is_changed_and_deleted(shop: Caller) -> None:
    address = f"webhooks/{made(shop)['id']}"
    changed = shop.send("PATCH", address, {"types": ["message.created"], "is_enabled": False})
    assert changed.status_code == 200
    assert (changed.json()["types"], changed.json()["is_enabled"]) == (["message.created"], False)
    assert changed.json()["url"] == "http://127.0.0.1:9999/events"
    assert shop.post(f"{address}/ping").json()["code"] == "conflict"
    assert shop.send("DELETE", address).status_code == 204
    assert shop.get(address).status_code == shop.send("DELETE", address).status_code == 404
    assert shop.get("webhooks").json()["results"] == []


def test_what_cannot_work_is_refused(shop: Caller, settings: Any) -> None:
    settings.WEBHOOK_ALLOW_LOOPBACK = False
    for url in ("http://127.0.0.1:9/", "https://127.0.0.1/", "ftp://example.org", "x"):
        answer = shop.post("webhooks", {"url": url})
        assert (answer.status_code, answer.json()["code"]) == (400, "address_refused"), url
    assert shop.post("webhooks", {"url": "https://example.org", "types": ["Nothing At All"]}).status_code == 400
    assert not WebhookEndpoint.objects.exists()


def test_a_ping_its_delivery_and_sending_it_again(shop: Caller) -> None:
    address = f"webhooks/{made(shop)['id']}"
    ping = shop.post(f"{address}/ping")
    assert ping.status_code == 201
    assert (ping.json()["type"], ping.json()["status"], ping.json()["log"]) == ("ping", "pending", [])
    assert shop.get(f"{address}/deliveries").json()["results"] == [ping.json()]
    assert shop.get(f"{address}/deliveries", status="failed").json()["results"] == []
    assert shop.get(f"{address}/deliveries", status="lost").status_code == 400

    tried = {"at": "2026-01-01T00:00:00+00:00", "code": None, "error": "no answer", "answer": "", "milliseconds": 9}
    WebhookDelivery.objects.update(status="failed", next_attempt_at=None, attempts=1, log=[tried])
    again = shop.post(f"{address}/deliveries/{ping.json()['id']}/replay").json()
    assert (again["status"], again["event_id"], again["attempts"]) == ("pending", ping.json()["event_id"], 0)
    assert again["log"][0]["error"] == "no answer"


def test_a_replay_goes_back_in_the_stream(cast: Cast, shop: Caller) -> None:
    cast.chat().robot()
    webhook = made(shop)
    back = shop.post(f"webhooks/{webhook['id']}/replay", {"after": 0})
    assert (back.status_code, back.json()["pos"]) == (200, 0)
    for body in ({}, {"after": 0, "since": "2026-01-01T00:00:00Z"}, {"after": 2**52}):
        assert shop.post(f"webhooks/{webhook['id']}/replay", body).status_code == 400


def test_each_program_has_its_own_and_an_administrator_all(cast: Cast, others: Cast, shop: Caller) -> None:
    webhook = made(shop)
    address = f"webhooks/{webhook['id']}"
    delivery = shop.post(f"{address}/ping").json()["id"]
    cast.program("second", "integrator")
    second = program(cast, "second")
    mine = made(second)
    for stranger in (second, program(others, "channel")):
        for verb, path in (
            ("GET", address),
            ("PATCH", address),
            ("DELETE", address),
            ("GET", f"{address}/deliveries"),
            ("POST", f"{address}/ping"),
            ("POST", f"{address}/rotate-secret"),
            ("POST", f"{address}/deliveries/{delivery}/replay"),
        ):
            assert stranger.send(verb, path).status_code == 404, (verb, path)
    # Nor through a webhook of one's own.
    assert second.post(f"webhooks/{mine['id']}/deliveries/{delivery}/replay").status_code == 404
    cast.hire("ada", role=Agent.Role.ADMIN)
    assert {row["id"] for row in agent(cast, "ada").get("webhooks").json()["results"]} == {webhook["id"], mine["id"]}


def test_bots_and_agents_have_none(cast: Cast) -> None:
    for caller in (program(cast, "bargain"), agent(cast, "ann"), agent(cast, "sue")):
        assert caller.get("webhooks").json()["code"] == "forbidden"
        assert caller.post("webhooks", {"url": "https://example.org"}).status_code == 403
    cast.change("faq", scopes=["webhooks:write"])
    assert program(cast, "faq").get("webhooks").status_code == 403  # a scope opens a door; the verb still says no


def test_a_key_sent_again_makes_no_second_one(shop: Caller) -> None:
    first, again = (shop.post("webhooks", {"url": "http://127.0.0.1:9999/"}, key="k") for _ in range(2))
    assert first.json() == again.json()
    assert WebhookEndpoint.objects.count() == 1
