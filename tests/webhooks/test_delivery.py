"""What is sent, how it is signed, when it is tried again, and what is on record of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from config import clock
from config.errors import Busy
from messaging_app import relay
from messaging_app.models import Operation, WebhookDelivery, WebhookEndpoint
from messaging_app.webhooks import delivery, endpoints, outbox, post
from messaging_app.webhooks.delivery import GIVE_UP, JITTER, LEASE, SCHEDULE
from sessions_app.actions import presence
from tests.cast import Cast, Chat, Later
from tests.patience import PATIENCE
from tests.webhooks.conftest import Hook, dispatched, hooked, sent
from tests.webhooks.receivers import Manner, Receiver, answers, babbles, drips, hangs, never_ends, resets

WAIT = 0.4
"""Seconds for an answer, where none comes."""


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(post, "SECONDS", PATIENCE)


# --- What is sent ---


def test_a_change_of_presence_is_sent_to_whom_wants_it(cast: Cast, receivers: Callable[[], Receiver]) -> None:
    wants, other = (hooked(cast.channel, receivers(), types=[types]) for types in ("agent.*", "session.*"))
    cast.chat().robot()
    presence.declare_availability(actor=cast.ann, availability="busy")
    presence.declare_availability(actor=cast.ann, availability="busy")
    sent()
    assert [got.json["type"] for got in other.receiver.got] == ["session.opened"]
    [got] = wants.receiver.got
    event = Webhook(wants.secret).verify(got.body, got.headers)["data"]
    assert (event["type"], event["conversation_id"]) == ("agent.presence", None)
    assert (event["data"]["agent_id"], event["data"]["availability"]) == (str(cast.ann.id), "busy")


def test_an_event_arrives_signed_and_whole(hook: Hook, chat: Chat) -> None:
    chat.robot()
    assert sent() == 1
    [got] = hook.receiver.got
    told = Webhook(hook.secret).verify(got.body, got.headers)
    operation = Operation.objects.get(conversation_id=chat.id)
    assert got.id == f"evt_{chat.cast.tenant.pk}_{operation.pos}"
    assert set(told) == {"type", "timestamp", "data"}
    assert (told["type"], told["data"]["type"]) == ("session.opened", "session.opened")
    assert datetime.fromisoformat(told["timestamp"]) == operation.at
    assert (told["data"]["seq"], told["data"]["pos"]) == (1, operation.pos)
    assert got.headers["content-type"] == "application/json"
    assert hook.receiver.url.split("/")[2] == got.headers["host"]
    row = hook.only
    assert (row.status, row.attempts, row.last_code, row.last_error) == ("delivered", 1, 200, "")
    assert sent() == 0


def test_a_forged_or_changed_webhook_is_refused_by_the_library(hook: Hook, chat: Chat) -> None:
    """The failing control of the test above."""
    chat.robot()
    sent()
    [got] = hook.receiver.got
    for secret, body, headers in (
        (post.new_secret(), got.body, got.headers),
        (hook.secret, got.body + b" ", got.headers),
        (hook.secret, got.body, got.headers | {"webhook-id": "evt_1_99"}),
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(body, headers)


def test_events_arrive_in_order_and_only_the_types_asked_for(cast: Cast, receivers: Callable[[], Receiver]) -> None:
    everything, some = hooked(cast.channel, receivers()), hooked(cast.channel, receivers(), types=["transfer.*"])
    one = hooked(cast.channel, receivers(), types=["session.opened", "no.such_type"])
    for _ in range(3):
        cast.chat().queue().accept()
    sent()
    positions = list(Operation.objects.order_by("pos").values_list("pos", flat=True))
    assert everything.receiver.positions == positions
    told = [got.json["type"] for got in some.receiver.got]
    assert told == ["transfer.requested", "transfer.accepted"] * 3
    assert [got.json["type"] for got in one.receiver.got] == ["session.opened"] * 3
    assert {row.pos for hook in (everything, some, one) for row in [hook.row]} == {positions[-1]}


def test_a_webhook_gets_what_happens_after_it_was_made(cast: Cast, receivers: Callable[[], Receiver]) -> None:
    cast.chat().robot()
    dispatched()
    hook = hooked(cast.channel, receivers())
    cast.chat().says("Hello")
    sent()
    assert [got.json["type"] for got in hook.receiver.got] == ["message.created"]


def test_no_event_of_another_tenant_is_sent(cast: Cast, others: Cast, receivers: Callable[[], Receiver]) -> None:
    ours, theirs = hooked(cast.channel, receivers()), hooked(others.channel, receivers())
    cast.chat().robot()
    others.chat().queue()
    sent()
    assert len(ours.receiver.got) == 1
    assert len(theirs.receiver.got) == 3
    for hook, desk in ((ours, cast), (theirs, others)):
        assert {row.tenant_id for row in hook.deliveries} == {desk.tenant.pk}
        assert all(id.startswith(f"evt_{desk.tenant.pk}_") for id in hook.receiver.ids)


# --- Rotation ---


def test_while_a_secret_is_rotated_both_verify(hook: Hook, chat: Chat, later: Later) -> None:
    old = hook.secret
    new = endpoints.rotate_secret(actor=hook.actor, endpoint_id=hook.id).secret
    chat.robot()
    sent()
    [got] = hook.receiver.got
    for secret in (old, new):
        assert Webhook(secret).verify(got.body, got.headers)["type"] == "session.opened"
    later(24 * 3600 + 1)
    chat.says()
    sent()
    last = hook.receiver.got[-1]
    assert (last.is_signed_with(new), last.is_signed_with(old), len(last.signatures)) == (True, False, 1)


def test_a_secret_that_got_out_ends_at_once(hook: Hook, chat: Chat) -> None:
    new = endpoints.rotate_secret(actor=hook.actor, endpoint_id=hook.id, keep_old_for=0).secret
    chat.robot()
    sent()
    [got] = hook.receiver.got
    assert (got.is_signed_with(new), got.is_signed_with(hook.secret)) == (True, False)
    assert hook.row.old_secret == ""


# --- Receivers that fail ---

BAD: dict[str, tuple[Manner, int | None, str]] = {
    "an error": (answers(500, b"Oh no."), 500, "HTTP 500"),
    "a hang": (hangs, None, f"No answer within {WAIT} s"),
    "a drip": (drips, None, f"No answer within {WAIT} s"),
    "a reset": (resets, None, "The connection failed"),
    "no HTTP": (babbles, None, "The connection failed"),
    "a redirect": (answers(302, Location="/elsewhere"), 302, "HTTP 302: redirects are not followed"),
}


@pytest.mark.parametrize("manner", BAD)
def test_the_schedule_is_kept_whatever_the_receiver_does(
    hook: Hook, chat: Chat, later: Later, manner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the clock of the database: never early, late by the jitter at most, ten times, then kept for a replay."""
    hook.receiver.behaves, code, error = BAD[manner]
    if code is None and error.startswith("No answer"):
        monkeypatch.setattr(post, "SECONDS", WAIT)
    chat.robot()
    dispatched()
    for attempt in range(1, len(SCHEDULE) + 1):
        assert sent() == 1
        row = hook.only
        assert (row.attempts, len(row.log), row.last_code) == (attempt, attempt, code)
        assert row.last_error.startswith(error)
        if attempt < len(SCHEDULE):
            assert row.next_attempt_at is not None
            waits = (row.next_attempt_at - datetime.fromisoformat(row.log[-1]["at"])).total_seconds()
            assert SCHEDULE[attempt] <= waits <= SCHEDULE[attempt] * (1 + JITTER)
            later.until(row.next_attempt_at, -1)
            assert sent() == 0
            later(1)
    assert hook.only.status == "failed"
    assert hook.row.is_enabled
    later(10 * 24 * 3600)
    assert sent() == 0
    hook.receiver.behaves = answers(204)
    monkeypatch.setattr(post, "SECONDS", PATIENCE)
    endpoints.replay(actor=hook.actor, delivery_id=hook.only.pk)
    assert sent() == 1
    assert (hook.only.status, hook.only.attempts, hook.row.failing_since) == ("delivered", 1, None)
    assert len(set(hook.receiver.ids)) == 1
    assert len(hook.receiver.got) == len(SCHEDULE) + 1


def test_the_jitter_spreads_what_failed_together(hook: Hook, chat: Chat, later: Later) -> None:
    hook.receiver.behaves = answers(500)
    for _ in range(8):
        chat.says()
    sent()
    later(6)
    sent()
    waits = {(row.next_attempt_at - datetime.fromisoformat(row.log[-1]["at"])).seconds for row in hook.deliveries}
    assert len(waits) > 1


def test_one_that_fails_does_not_hold_up_the_next(hook: Hook, cast: Cast, later: Later) -> None:
    """In order where nothing failed; what failed comes later, and nothing is lost."""

    def refuses_the_first(receiver: Receiver, request: Any) -> None:
        answers(500 if len(receiver.got) == 1 else 200)(receiver, request)

    hook.receiver.behaves = refuses_the_first
    for _ in range(4):
        cast.chat().robot()
    sent()
    first, *rest = hook.receiver.positions
    assert rest == sorted(rest)
    assert hook.statuses == ["pending", "delivered", "delivered", "delivered"]
    later(6)
    sent()
    assert hook.receiver.positions[-1] == first
    assert set(hook.statuses) == {"delivered"}


def test_after_a_failure_the_thread_is_free_for_others(hook: Hook, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    """One request and no more of a receiver that has just begun to hang; then it counts as failing."""
    monkeypatch.setattr(post, "SECONDS", WAIT)
    hook.receiver.behaves = hangs
    for _ in range(3):
        cast.chat().robot()
    dispatched()
    assert delivery.due() == [(hook.id, False)]
    assert delivery.serve(hook.id) == 1
    assert delivery.due() == [(hook.id, True)]


def test_of_a_huge_answer_only_the_beginning_is_read(hook: Hook, chat: Chat) -> None:
    hook.receiver.behaves = never_ends
    chat.robot()
    sent()
    row = hook.only
    assert row.status == "delivered"
    assert len(row.log[0]["answer"]) == post.KEPT
    assert "\x00" not in row.log[0]["answer"]


def test_the_log_keeps_each_attempt(hook: Hook, chat: Chat, later: Later) -> None:
    hook.receiver.behaves = answers(500, "Kaputt: 坏了 ".encode() * 200)
    chat.robot()
    sent()
    hook.receiver.behaves = answers(200, b"Thanks.")
    later(6)
    sent()
    first, second = hook.only.log
    assert (first["code"], first["error"], first["answer"][:10]) == (500, "HTTP 500", "Kaputt: 坏了")
    assert (second["code"], second["error"], second["answer"]) == (200, "", "Thanks.")
    assert len(first["answer"].encode()) <= post.KEPT + 3
    assert first["at"] < second["at"]


def test_410_disables_at_once_and_loses_nothing(hook: Hook, cast: Cast, later: Later) -> None:
    hook.receiver.behaves = answers(410)
    for _ in range(3):
        cast.chat().robot()
    assert sent() == 1
    row = hook.row
    assert (row.is_enabled, row.disabled_reason) == (False, "The receiver answered 410: it wants no more.")
    assert row.changes[-1]["by"] == "system"
    cast.chat().robot()
    later(3600)
    assert sent() == 0
    hook.receiver.behaves = answers(200)
    endpoints.change_endpoint(actor=hook.actor, endpoint_id=hook.id, is_enabled=True)
    assert sent() == 4
    assert set(hook.statuses) == {"delivered"}


def test_five_days_without_a_success_disable(hook: Hook, chat: Chat, later: Later) -> None:
    hook.receiver.behaves = answers(500)
    for _ in range(GIVE_UP.days):
        chat.says()
        sent()
        assert hook.row.is_enabled
        later(24 * 3600)
    chat.says()
    sent()
    assert not hook.row.is_enabled
    assert "5 days" in hook.row.disabled_reason
    assert "pending" in hook.statuses


def test_one_success_begins_the_five_days_anew(hook: Hook, chat: Chat, later: Later) -> None:
    for status in (500, 200, 500):
        hook.receiver.behaves = answers(status)
        chat.says()
        sent()
        later(4 * 24 * 3600)
    hook.receiver.behaves = answers(500)
    sent()
    assert hook.row.is_enabled


@pytest.mark.parametrize(
    ("asked", "waits"),
    [("90", 90), ("0", 0), ("9999999999", 86_400), ("date", 600), ("-5", 0), ("soon", 0), ("", 0), ("²", 0)],
)
def test_a_receiver_may_ask_for_time(hook: Hook, cast: Cast, later: Later, asked: str, waits: int) -> None:
    """Within bounds, and for everything that waits for it."""
    if asked == "date":
        asked = format_datetime(clock.now() + timedelta(seconds=601), usegmt=True)
    hook.receiver.behaves = answers(503, Retry_After=asked)
    cast.chat().robot()
    cast.chat().robot()
    made = sent()
    if waits < 10:
        assert made == 2
        return
    assert made == 1
    hook.receiver.behaves = answers(200)
    later(waits - 10)
    assert sent() == 0
    later(12)
    assert sent() == 2


def test_other_answers_cannot_ask_for_time(hook: Hook, chat: Chat) -> None:
    hook.receiver.behaves = answers(500, Retry_After="3600")
    chat.robot()
    sent()
    assert hook.row.not_before is None


def test_an_event_that_is_no_longer_kept_is_told_and_nobody_is_blamed(hook: Hook, cast: Cast) -> None:
    cast.chat().robot()
    cast.chat().robot()
    dispatched()
    gone = hook.deliveries[0].pk
    WebhookDelivery.objects.filter(pk=gone).update(pos=0)
    delivery.serve(hook.id)
    row = WebhookDelivery.objects.get(pk=gone)
    assert (row.status, row.last_error) == ("failed", "The event is no longer kept")
    assert (hook.statuses, hook.row.failing_since) == (["failed", "delivered"], None)


def test_an_event_that_cannot_be_told_stops_nothing(hook: Hook, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    cast.chat().robot()
    cast.chat().robot()
    dispatched()
    first = hook.deliveries[0].pos
    original = delivery.rendered  # type: ignore[attr-defined]

    def broken(operations: list[Operation], **more: Any) -> Any:
        return 1 / 0 if operations[0].pos == first else original(operations, **more)

    monkeypatch.setattr(delivery, "rendered", broken)
    sent()
    assert hook.statuses == ["pending", "delivered"]
    assert hook.deliveries[0].last_error == "Not sent: ZeroDivisionError"


# --- The lease ---


class Killed(BaseException):
    """Like a kill: nothing after it runs."""


def _dies(*args: Any, **kwargs: Any) -> None:
    raise Killed


def test_what_a_sender_that_died_had_not_recorded_is_sent_again(
    hook: Hook, cast: Cast, later: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At least once, and under the same id."""
    for _ in range(2):
        cast.chat().robot()
    dispatched()
    with monkeypatch.context() as patched:
        patched.setattr(delivery, "_record", _dies)
        patched.setattr(delivery, "_release", lambda *args: None)
        with pytest.raises(Killed):
            delivery.serve(hook.id)
    assert len(hook.receiver.got) == 1
    assert (hook.statuses, hook.deliveries[0].log) == (["pending", "pending"], [])
    assert sent() == 0, "the lease of the dead"
    assert delivery.serve(hook.id) == 0
    later(LEASE.total_seconds() + 1)
    assert sent() == 2
    assert hook.receiver.ids[0] == hook.receiver.ids[1]
    assert hook.statuses == ["delivered", "delivered"]


def test_a_sender_that_lost_its_lease_stops(hook: Hook, cast: Cast, later: Later) -> None:
    """It slept through its lease in the middle of a request; another has begun meanwhile."""
    for _ in range(3):
        cast.chat().robot()
    dispatched()

    original = post.Post.send

    def overslept(self: post.Post, *args: Any) -> Any:
        answer = original(self, *args)
        if len(hook.receiver.got) == 1:
            clock.offset += LEASE * 2
            WebhookEndpoint.objects.filter(pk=hook.id).update(lease_until=clock.now() + LEASE)
        return answer

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(post.Post, "send", overslept)
        assert delivery.serve(hook.id) == 1
    assert len(hook.receiver.got) == 1
    assert hook.statuses == ["delivered", "pending", "pending"]
    assert hook.row.lease_until is not None, "the other's lease is left alone"


def test_a_failure_that_comes_late_takes_no_success_back(hook: Hook, chat: Chat) -> None:
    chat.robot()
    sent()
    delivery._record(hook.only, post.ReceiverResponse(error="No answer within 10 s"))
    assert (hook.only.status, hook.only.next_attempt_at, len(hook.only.log)) == ("delivered", None, 2)


# --- The outbox ---


def test_rows_and_cursor_move_together(hook: Hook, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dispatcher that dies in between leaves neither; the next makes each once."""
    for _ in range(3):
        cast.chat().robot()
    before = hook.row.pos
    with monkeypatch.context() as patched:
        patched.setattr(WebhookEndpoint, "save", _dies)
        with pytest.raises(Killed):
            dispatched()
    assert (hook.row.pos, hook.deliveries) == (before, [])
    monkeypatch.setattr(outbox, "BATCH", 2)
    dispatched()
    dispatched()
    assert [row.pos for row in hook.deliveries] == [before + 1, before + 2, before + 3]


@pytest.mark.usefixtures("failures_are_meant")
def test_a_dispatcher_that_cannot_have_a_row_goes_on_with_the_others(
    cast: Cast, receivers: Callable[[], Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck, free = hooked(cast.channel, receivers()), hooked(cast.channel, receivers())
    cast.chat().robot()
    relay.stamp_all()
    original = outbox._dispatch

    def busy(endpoint_id: int) -> int:
        if endpoint_id == stuck.id:
            raise Busy
        return original(endpoint_id)

    monkeypatch.setattr(outbox, "_dispatch", busy)
    assert outbox.dispatch() == 1
    assert (len(stuck.deliveries), len(free.deliveries)) == (0, 1)


def test_the_log_forgets_what_is_old_and_ended(hook: Hook, cast: Cast, later: Later) -> None:
    cast.chat().robot()
    sent()
    endpoints.change_endpoint(actor=hook.actor, endpoint_id=hook.id, is_enabled=False)
    later(outbox.KEPT.total_seconds() - 60)
    assert outbox.forget() == 0
    endpoints.change_endpoint(actor=hook.actor, endpoint_id=hook.id, is_enabled=True)
    hook.receiver.behaves = answers(500)
    cast.chat().robot()
    sent()
    later(120)
    assert outbox.forget() == 1
    assert hook.statuses == ["pending"]
