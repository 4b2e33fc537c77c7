"""Many threads: a receiver that hangs holds up no other, the clock is never held up, nothing is sent twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Barrier, Event
from typing import Any

import pytest
from django.db import connection, connections

from agents_app.models import ApiClient
from config import clock
from messaging_app import relay
from messaging_app.models import WebhookDelivery, WebhookEndpoint
from messaging_app.tasks import send_webhooks
from messaging_app.webhooks import delivery, post, senders
from messaging_app.webhooks.senders import Senders
from tests.cast import Cast, Later
from tests.patience import PATIENCE, until
from tests.webhooks.conftest import dispatched, hooked
from tests.webhooks.receivers import Receiver, answers, hangs, receiver

pytestmark = pytest.mark.usefixtures("shared")


@pytest.fixture
def desk(shared: None, later: Later) -> Cast:
    """Without the check of the invariants: these tests are about what comes after the stream."""
    return Cast()


@pytest.fixture
def process(shared: None) -> Iterator[Callable[..., Senders]]:
    """The senders of one more process."""
    with ExitStack() as stack:

        def start(*threads: int) -> Senders:
            made = Senders(*threads)
            stack.callback(made.close)
            return made

        yield start


@pytest.fixture
def start_receiver(process: Any) -> Iterator[Callable[[], Receiver]]:
    """Receivers that end before the senders do, so that nobody waits for one that hangs."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(receiver())


def test_a_receiver_that_hangs_holds_up_no_other(
    desk: Cast, process: Callable[..., Senders], start_receiver: Callable[[], Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    """More of them than there are threads, each in the middle of its request; the others get all that is theirs."""
    monkeypatch.setattr(post, "SECONDS", 2 * PATIENCE)
    ours = process(4, 2)
    slow = [hooked(desk.channel, start_receiver()) for _ in range(3)]
    quick = [hooked(desk.channel, start_receiver()) for _ in range(2)]
    for hook in slow:
        hook.receiver.behaves = hangs
    # Two that are known to fail already: they hold the threads for their like.
    known = [hooked(desk.channel, start_receiver()) for _ in range(5)]
    for hook in known:
        hook.receiver.behaves = hangs
        WebhookEndpoint.objects.filter(pk=hook.id).update(failing_since="2020-01-01T00:00Z")
    for _ in range(5):
        desk.chat().robot()
    dispatched()
    assert ours.wake() == 10
    until(lambda: all(len(hook.receiver.got) == 5 for hook in quick))
    desk.chat().robot()
    dispatched()
    ours.wake()
    until(lambda: all(len(hook.receiver.got) == 6 for hook in quick))
    for hook in quick:
        assert hook.receiver.positions == sorted(hook.receiver.positions)
    # What was sent to them may still be on its way, as long as the others took.
    until(lambda: [len(hook.receiver.got) for hook in slow] == [1, 1, 1])
    until(lambda: sum(len(hook.receiver.got) for hook in known) == 2)
    assert (
        not WebhookDelivery.objects.filter(endpoint_id__in=[hook.id for hook in slow + known]).exclude(log=[]).exists()
    )


def test_a_receiver_that_is_slow_and_never_fails_holds_up_no_other(
    desk: Cast, process: Callable[..., Senders], start_receiver: Callable[[], Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one thread for the quick ones: after its first answer it is known, and has them no more."""
    monkeypatch.setattr(senders, "SLOW", 1.0)
    monkeypatch.setattr(delivery, "SLICE_SECONDS", 0.1)
    monkeypatch.setattr(post, "SECONDS", 2 * PATIENCE)
    ours = process(1, 1)
    slow, quick = hooked(desk.channel, start_receiver()), hooked(desk.channel, start_receiver())

    def takes_its_time(receiver: Receiver, request: Any) -> None:
        receiver.over.wait(1.5 if len(receiver.got) == 1 else 2 * PATIENCE)
        answers(200)(receiver, request)

    slow.receiver.behaves = takes_its_time
    for _ in range(3):
        desk.chat().robot()
    dispatched()
    ours.wake(slow.id)
    until(lambda: len(slow.receiver.got) == 2)
    assert slow.row.failing_since is None
    ours.wake()
    until(lambda: len(quick.receiver.got) == 3)
    assert len(slow.receiver.got) == 2


def test_what_hung_goes_on_where_it_stopped(
    desk: Cast, process: Callable[..., Senders], start_receiver: Callable[[], Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(post, "SECONDS", 1.0)
    hook = hooked(desk.channel, start_receiver())
    hook.receiver.behaves = hangs
    for _ in range(3):
        desk.chat().robot()
    dispatched()
    ours = process()
    ours.wake()
    until(lambda: hook.row.failing_since)
    hook.receiver.behaves = answers(200)
    waiting = WebhookDelivery.objects.filter(endpoint_id=hook.id, next_attempt_at__isnull=False)

    def goes_on() -> bool:
        waiting.update(next_attempt_at=clock.now())  # so that nobody waits for the schedule
        ours.wake()
        return hook.statuses == ["delivered"] * 3

    until(goes_on)
    assert len(set(hook.receiver.ids)) == 3
    assert hook.row.failing_since is None


def test_two_processes_send_each_event_once_and_in_order(
    desk: Cast, process: Callable[..., Senders], start_receiver: Callable[[], Receiver]
) -> None:
    hooks = [hooked(desk.channel, start_receiver()) for _ in range(4)]
    for _ in range(20):
        desk.chat().robot()
    dispatched()
    one, two = process(4, 1), process(4, 1)

    def is_done() -> bool:
        one.wake()
        two.wake()
        return not WebhookDelivery.objects.filter(status="pending").exists()

    until(is_done)
    for hook in hooks:
        assert len(hook.receiver.got) == 20
        assert hook.receiver.positions == sorted(set(hook.receiver.positions))
        assert {(row.status, len(row.log)) for row in hook.deliveries} == {("delivered", 1)}
    until(lambda: not WebhookEndpoint.objects.exclude(lease_until=None).exists())


def test_of_many_claims_at_once_one_wins(desk: Cast, start_receiver: Callable[[], Receiver]) -> None:
    hook = hooked(desk.channel, start_receiver())
    crowd, rounds = 4, 5
    together = Barrier(crowd)

    def claims() -> list[bool]:
        won = []
        try:
            for _ in range(rounds):
                together.wait(PATIENCE)
                lease = delivery._claim(hook.id)
                won.append(lease is not None)
                together.wait(PATIENCE)
                if lease:
                    delivery._release(hook.id, lease)
        finally:
            connections.close_all()
        return won

    with ThreadPoolExecutor(crowd) as threads:
        results = [thread.result() for thread in [threads.submit(claims) for _ in range(crowd)]]
    assert [sum(won) for won in zip(*results, strict=True)] == [1] * rounds


def test_nobody_sends_what_is_under_way(
    desk: Cast, process: Callable[..., Senders], start_receiver: Callable[[], Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(post, "SECONDS", 2 * PATIENCE)
    hook = hooked(desk.channel, start_receiver())
    hook.receiver.behaves = hangs
    desk.chat().robot()
    dispatched()
    process().wake()
    until(lambda: hook.receiver.got)
    assert (process().wake(), delivery.serve(hook.id), len(hook.receiver.got)) == (0, 0, 1)


def test_no_transaction_and_no_lock_is_held_while_a_request_is_under_way(
    desk: Cast, process: Callable[..., Senders], start_receiver: Callable[[], Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    open_ones: list[bool] = []
    original = post.Post.send

    def watched(self: post.Post, *args: Any) -> post.ReceiverResponse:
        open_ones.append(connection.in_atomic_block)
        return original(self, *args)

    monkeypatch.setattr(post.Post, "send", watched)
    monkeypatch.setattr(post, "SECONDS", 2 * PATIENCE)
    hook = hooked(desk.channel, start_receiver())
    hook.receiver.behaves = hangs
    desk.chat().robot()
    dispatched()
    process().wake()
    until(lambda: hook.receiver.got)
    # The row may be written to, and new events find their way into it.
    WebhookEndpoint.objects.filter(pk=hook.id).update(description="written")
    desk.chat().robot()
    dispatched()
    assert len(hook.deliveries) == 2
    assert open_ones == [False]


def test_the_clock_is_not_held_up(
    desk: Cast, process: Callable[..., Senders], start_receiver: Callable[[], Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The beat's task is back while every receiver still hangs."""
    ours = process()
    monkeypatch.setattr("messaging_app.tasks.senders", ours)
    monkeypatch.setattr(post, "SECONDS", 2 * PATIENCE)
    hooks = [hooked(desk.channel, start_receiver()) for _ in range(3)]
    for hook in hooks:
        hook.receiver.behaves = hangs
    desk.chat().robot()
    relay.stamp_all()
    assert send_webhooks() == 3
    assert send_webhooks() <= 3
    until(lambda: all(hook.receiver.got for hook in hooks))
    assert not WebhookDelivery.objects.exclude(log=[]).exists()


def test_a_fault_of_ours_ends_no_thread(
    desk: Cast,
    process: Callable[..., Senders],
    start_receiver: Callable[[], Receiver],
    monkeypatch: pytest.MonkeyPatch,
    later: Later,
) -> None:
    hook = hooked(desk.channel, start_receiver())
    desk.chat().robot()
    dispatched()
    ours = process(1, 1)
    with monkeypatch.context() as patched:
        failed = Event()

        def broken(*args: Any, **kwargs: Any) -> int:
            failed.set()
            raise RuntimeError("no luck")

        patched.setattr(senders.delivery, "serve", broken)  # type: ignore[attr-defined]
        ours.wake()
        assert failed.wait(PATIENCE)

    def is_sent() -> bool:
        later(1)  # what failed is put off
        ours.wake()
        return hook.statuses == ["delivered"]

    until(is_sent)


def test_closing_ends_between_two_requests(
    desk: Cast, process: Callable[..., Senders], start_receiver: Callable[[], Receiver]
) -> None:
    """What was not sent yet is another's to send at once: the lease is given back."""
    hook = hooked(desk.channel, start_receiver())
    ours = process(1, 1)

    def closes(receiver: Receiver, request: Any) -> None:
        ours._stopped.set()
        answers(200)(receiver, request)

    hook.receiver.behaves = closes
    for _ in range(3):
        desk.chat().robot()
    dispatched()
    ours.wake()
    until(lambda: hook.receiver.got)
    ours.close()
    assert hook.statuses == ["delivered", "pending", "pending"]
    assert hook.row.lease_until is None
    assert ours.wake() == 1
    assert len(hook.receiver.got) == 1


def test_a_program_that_was_switched_off_gets_nothing_and_loses_nothing(
    desk: Cast, process: Callable[..., Senders], start_receiver: Callable[[], Receiver]
) -> None:
    hook = hooked(desk.channel, start_receiver())
    desk.chat().robot()
    dispatched()
    program = ApiClient.objects.filter(pk=desk.channel.id)
    program.update(is_active=False)
    desk.chat().robot()
    dispatched()
    assert (delivery.due(), len(hook.deliveries)) == ([], 1)
    assert delivery.serve(hook.id) == 0
    assert hook.receiver.got == []
    program.update(is_active=True)
    dispatched()
    ours = process()
    ours.wake()
    until(lambda: hook.statuses == ["delivered", "delivered"])
