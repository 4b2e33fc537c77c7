"""The verbs on webhooks: who may, what they refuse, what they leave on record."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from agents_app.actors import Actor
from agents_app.models import Agent
from config import clock
from messaging_app.models import WebhookDelivery
from messaging_app.webhooks import endpoints
from messaging_app.webhooks.endpoints import MOST_ENDPOINTS
from sessions_app.management.commands import api_doc
from tests.cast import Cast, Chat, Later, refused, refused_leaving, snapshot
from tests.webhooks.conftest import Hook, dispatched, hooked, sent
from tests.webhooks.receivers import Receiver, answers

URL = "https://hooks.example.com/tandem"


@pytest.fixture
def ada(cast: Cast) -> Actor:
    """The tenant's administrator."""
    return cast.hire("ada", role=Agent.Role.ADMIN)


# Every verb, with what it needs beside the actor and the webhook.
VERBS: dict[str, Callable[[Actor, Hook], Any]] = {
    "change": lambda a, h: endpoints.change_endpoint(actor=a, endpoint_id=h.id, description="mine"),
    "delete": lambda a, h: endpoints.delete_endpoint(actor=a, endpoint_id=h.id),
    "rotate": lambda a, h: endpoints.rotate_secret(actor=a, endpoint_id=h.id),
    "ping": lambda a, h: endpoints.ping(actor=a, endpoint_id=h.id),
    "replay": lambda a, h: endpoints.replay(actor=a, delivery_id=h.deliveries[0].pk),
    "replay since": lambda a, h: endpoints.replay_since(actor=a, endpoint_id=h.id, after=0),
}


@pytest.mark.parametrize("verb", VERBS)
def test_who_may(cast: Cast, others: Cast, ada: Actor, hook: Hook, chat: Chat, verb: str) -> None:
    """An integrator its own, an administrator all of the tenant; for anybody else there is no such thing."""
    chat.robot()
    dispatched()
    act = VERBS[verb]
    other = cast.program("other", "integrator")
    foreign = others.hire("ada", role=Agent.Role.ADMIN)
    before = snapshot()
    for actor in (other, others.channel, foreign):
        refused_leaving(before, "not_found", act, actor, hook)
    for actor in (cast.ann, cast.sue, cast.bargain, chat.customer):
        refused_leaving(before, "forbidden", act, actor, hook)
    act(ada, hook)
    if verb != "delete":
        act(cast.channel, hook)
        own = hooked(other, Receiver(url=URL))
        assert list(endpoints.endpoints_of(other)) == [own.row]
        assert list(endpoints.deliveries_of(other)) == []


def test_who_may_make_one(cast: Cast, ada: Actor) -> None:
    mine = endpoints.create_endpoint(actor=cast.channel, url=URL).endpoint
    ours = endpoints.create_endpoint(actor=ada, url=URL).endpoint
    assert (mine.owner_id, ours.owner_id) == (cast.channel.id, None)
    assert list(endpoints.endpoints_of(cast.channel)) == [mine]
    assert list(endpoints.endpoints_of(ada)) == [mine, ours]
    for actor in (cast.ann, cast.sue, cast.bargain, cast.chat().customer):
        refused("forbidden", endpoints.create_endpoint, actor=actor, url=URL)


def test_an_integrator_does_not_touch_the_administrators_webhooks(cast: Cast, ada: Actor) -> None:
    ours = endpoints.create_endpoint(actor=ada, url=URL).endpoint
    refused("not_found", endpoints.delete_endpoint, actor=cast.channel, endpoint_id=ours.pk)


def test_there_are_only_so_many(cast: Cast, ada: Actor) -> None:
    for _ in range(MOST_ENDPOINTS):
        last = endpoints.create_endpoint(actor=cast.channel, url=URL).endpoint
    refused("conflict", endpoints.create_endpoint, actor=cast.channel, url=URL)
    endpoints.create_endpoint(actor=ada, url=URL)
    endpoints.delete_endpoint(actor=cast.channel, endpoint_id=last.pk)
    endpoints.create_endpoint(actor=cast.channel, url=URL)


@pytest.mark.parametrize("types", [["session"], ["session.*", "message.created"], ["a_b.c_d.*"], []])
def test_types(cast: Cast, types: list[str]) -> None:
    assert endpoints.create_endpoint(actor=cast.channel, url=URL, types=types).endpoint.types == types


def test_types_that_cannot_be(cast: Cast) -> None:
    before = snapshot()
    wrong: list[Any] = [
        ["*"],
        ["Session.opened"],
        ["session.*.x"],
        [".x"],
        [""],
        ["a b"],
        [7],
        "session",
        ["x"] * 51,
        ["x" * 65],
    ]
    for types in wrong:
        refused_leaving(before, "malformed", endpoints.create_endpoint, actor=cast.channel, url=URL, types=types)


def test_secrets_are_random_and_only_the_verb_shows_them(cast: Cast) -> None:
    one, two = (endpoints.create_endpoint(actor=cast.channel, url=URL) for _ in range(2))
    assert one.secret != two.secret
    assert one.secret.startswith("whsec_")
    assert one.secret not in str(one.endpoint) + str(one.endpoint.changes)


@pytest.mark.parametrize("seconds", [-1, 8 * 24 * 3600])
def test_an_old_secret_does_not_go_on_for_ever(hook: Hook, seconds: int) -> None:
    refused("malformed", endpoints.rotate_secret, actor=hook.actor, endpoint_id=hook.id, keep_old_for=seconds)


def test_what_was_done_is_on_record(cast: Cast, ada: Actor, hook: Hook) -> None:
    endpoints.change_endpoint(actor=ada, endpoint_id=hook.id, url=URL, types=["session.*"], is_enabled=False)
    endpoints.change_endpoint(actor=cast.channel, endpoint_id=hook.id, is_enabled=True)
    new = endpoints.rotate_secret(actor=cast.channel, endpoint_id=hook.id).secret
    endpoints.replay_since(actor=ada, endpoint_id=hook.id, after=0)
    endpoints.delete_endpoint(actor=ada, endpoint_id=hook.id)
    changes = hook.row.changes
    assert [(change["what"], change["by"]) for change in changes] == [
        ("created", "integrator channel"),
        ("address changed", "agent Ada"),
        ("types changed", "agent Ada"),
        ("disabled", "agent Ada"),
        ("enabled", "integrator channel"),
        ("secret rotated", "integrator channel"),
        ("sent again", "agent Ada"),
        ("deleted", "agent Ada"),
    ]
    assert changes[1]["url"] == URL
    assert not any(secret in str(changes) for secret in (new, hook.secret))


def test_a_deleted_webhook_is_gone_but_for_the_record(hook: Hook, cast: Cast, later: Later) -> None:
    hook.receiver.behaves = answers(500)
    cast.chat().robot()
    sent()
    endpoints.delete_endpoint(actor=hook.actor, endpoint_id=hook.id)
    cast.chat().robot()
    later(3600)
    assert sent() == 0
    assert (hook.row.secret, hook.row.old_secret) == ("", "")
    assert [(row.status, row.last_error) for row in hook.deliveries] == [("failed", "The webhook was deleted")]
    assert list(endpoints.endpoints_of(hook.actor)) == []
    refused("not_found", endpoints.replay, actor=hook.actor, delivery_id=hook.deliveries[0].pk)


def test_switched_off_and_on_it_goes_on_where_it_stopped(hook: Hook, cast: Cast) -> None:
    cast.chat().robot()
    sent()
    endpoints.change_endpoint(actor=hook.actor, endpoint_id=hook.id, is_enabled=False)
    for _ in range(2):
        cast.chat().robot()
    assert sent() == 0
    assert hook.row.disabled_reason == "Switched off by integrator channel."
    endpoints.change_endpoint(actor=hook.actor, endpoint_id=hook.id, is_enabled=True)
    assert sent() == 2
    assert hook.receiver.positions == sorted(set(hook.receiver.positions))
    assert hook.row.disabled_reason == ""


def test_a_new_address_counts_for_what_is_pending(hook: Hook, cast: Cast, receivers: Callable[[], Receiver]) -> None:
    hook.receiver.behaves = answers(503, Retry_After="3600")
    cast.chat().robot()
    sent()
    other = receivers()
    endpoints.change_endpoint(actor=hook.actor, endpoint_id=hook.id, url=other.url)
    assert (hook.row.not_before, hook.row.failing_since) == (None, None)
    endpoints.replay(actor=hook.actor, delivery_id=hook.only.pk)
    sent()
    assert other.ids == hook.receiver.ids


# --- Ping ---


def test_a_ping_goes_before_all_that_waits_and_shows_what_came_of_it(hook: Hook, cast: Cast) -> None:
    cast.chat().robot()
    hook.receiver.behaves = answers(200, b"pong")
    made = endpoints.ping(actor=hook.actor, endpoint_id=hook.id)
    sent()
    first = hook.receiver.got[0]
    assert (first.id, first.json["type"], first.json["data"]["type"]) == (made.event_id, "ping", "ping")
    assert first.is_signed_with(hook.secret)
    made.refresh_from_db()
    assert (made.status, made.last_code, made.log[0]["answer"]) == ("delivered", 200, "pong")
    assert hook.receiver.got[1].json["type"] == "session.opened"


def test_the_body_of_a_ping_is_that_of_the_document(hook: Hook) -> None:
    """…and nothing is in it that the document does not tell of."""
    endpoints.ping(actor=hook.actor, endpoint_id=hook.id)
    sent()
    (body,) = [one.json for one in hook.receiver.got]
    document = api_doc.document()
    told = document["webhooks"]["ping"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    whole = Draft202012Validator({**told, "components": document["components"]}, format_checker=FormatChecker())
    assert [error.message for error in whole.iter_errors(body)] == []
    assert set(body) == set(told["properties"])
    assert set(body["data"]) == set(document["components"]["schemas"]["PingEvent"]["properties"])


def test_a_ping_is_tried_once(hook: Hook, later: Later) -> None:
    hook.receiver.behaves = answers(500)
    made = endpoints.ping(actor=hook.actor, endpoint_id=hook.id)
    sent()
    made.refresh_from_db()
    assert (made.status, made.attempts) == ("failed", 1)
    endpoints.change_endpoint(actor=hook.actor, endpoint_id=hook.id, is_enabled=False)
    refused("conflict", endpoints.ping, actor=hook.actor, endpoint_id=hook.id)


# --- Replay ---


def test_a_replay_is_a_new_attempt_of_the_same_id(hook: Hook, chat: Chat) -> None:
    chat.robot()
    sent()
    endpoints.replay(actor=hook.actor, delivery_id=hook.only.pk)
    assert (hook.only.status, hook.only.attempts) == ("pending", 0)
    sent()
    one, two = hook.receiver.got
    assert (one.id, one.body) == (two.id, two.body)
    assert (hook.only.status, len(hook.only.log)) == ("delivered", 2)


def test_all_since_a_position_is_sent_once_more(hook: Hook, cast: Cast) -> None:
    for _ in range(5):
        cast.chat().robot()
    sent()
    ids = hook.receiver.ids
    # As if an old delivery had left the log: it comes back from the stream.
    WebhookDelivery.objects.filter(event_id=ids[3]).delete()
    middle = hook.receiver.positions[1]
    endpoints.replay_since(actor=hook.actor, endpoint_id=hook.id, after=middle)
    cast.chat().robot()
    sent()
    assert hook.receiver.ids[5:-1] == ids[2:]
    assert hook.row.pos == hook.receiver.positions[-1]
    assert set(hook.statuses) == {"delivered"}


def test_all_since_a_time(hook: Hook, cast: Cast, later: Later) -> None:
    cast.chat().robot()
    later(600)
    since = clock.now()
    cast.chat().robot()
    cast.chat().robot()
    sent()
    endpoints.replay_since(actor=hook.actor, endpoint_id=hook.id, since=since)
    assert sent() == 2
    endpoints.replay_since(actor=hook.actor, endpoint_id=hook.id, since=since - timedelta(days=1))
    assert sent() == 3
    endpoints.replay_since(actor=hook.actor, endpoint_id=hook.id, since=clock.now() + timedelta(days=1))
    assert sent() == 0


@pytest.mark.parametrize(
    "more", [{}, {"after": 1, "since": datetime(2026, 1, 1, tzinfo=UTC)}, {"after": -1}, {"after": 10_000}]
)
def test_a_replay_names_one_place_that_lies_behind(hook: Hook, chat: Chat, more: dict[str, Any]) -> None:
    chat.robot()
    dispatched()
    refused("malformed", endpoints.replay_since, actor=hook.actor, endpoint_id=hook.id, **more)


def test_a_replay_does_not_wait_for_what_the_receiver_asked_before(hook: Hook, chat: Chat) -> None:
    hook.receiver.behaves = answers(429, Retry_After="3600")
    chat.robot()
    sent()
    assert hook.row.not_before is not None
    hook.receiver.behaves = answers(200)
    endpoints.replay(actor=hook.actor, delivery_id=hook.only.pk)
    assert sent() == 1


def test_there_is_nothing_to_replay_where_nothing_is(cast: Cast) -> None:
    for number in (0, -1, 10**12):
        refused("not_found", endpoints.replay, actor=cast.channel, delivery_id=number)


def test_a_loop_of_changes_does_not_fill_the_row(hook: Hook) -> None:
    row = hook.row
    for number in range(150):
        row.note("tried", by="system", at=clock.now(), number=number)
    assert [change["number"] for change in row.changes] == list(range(50, 150))
