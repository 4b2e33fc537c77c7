"""T2: one row that fails, in whatever way, stops no other: in every clock, with every kind of exception.

Each clock has three items, of which the first in order fails. The others are done in the same round; the first is put off,
with its reason; it is passed over until its time has come; and it is done once the cause is gone.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from copy import copy
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import IntegrityError, OperationalError, connection, transaction
from django.test import Client
from django.utils import timezone

from agents_app import loops, tasks
from agents_app.models import Agent, Backoff
from config import clock
from config.errors import Busy, Conflict
from messaging_app import relay, search
from messaging_app.attachments import rows as attachments
from messaging_app.batch import read_line
from messaging_app.models import (
    Conversation,
    Message,
    Operation,
    SearchCursor,
    StreamHead,
    WebhookDelivery,
    WebhookEndpoint,
)
from messaging_app.models.attachments import Attachment
from messaging_app.webhooks import delivery, outbox
from messaging_app.webhooks.post import ReceiverResponse
from messaging_app.webhooks.senders import Senders
from sessions_app.actions import batches, import_queue, mails, notices, participants, presence, silence, sweep
from sessions_app.models import Batch, Mail, Participant, Transfer
from sessions_app.states import MailStatus, NoticeStatus
from tests.cast import Cast, Chat, Later
from tests.office import FRIDAYS, berlin, by_email

pytestmark = pytest.mark.usefixtures("failures_are_meant")

AWAY, GONE = 61, 301
"""Seconds after which an agent counts as away, and a transfer or an agent is given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """One loop over `items`, by their keys. The work's `part` is called once for each; `key_of` its arguments tells for which."""

    loop: str
    items: list[int]
    run: Callable[[], object]
    is_done: Callable[[int], bool]
    part: tuple[Any, str]
    key_of: Callable[..., int]

    @contextmanager
    def broken(self, error: Exception) -> Iterator[list[int]]:
        """For the first item the part raises this. Yields the keys for which it was called."""
        where, name = self.part
        real, called = getattr(where, name), list[int]()

        def part(*args: Any, **kwargs: Any) -> Any:
            called.append(key := self.key_of(*args, **kwargs))
            if key == self.items[0]:
                raise copy(error)
            return real(*args, **kwargs)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(where, name, part)
            yield called

    @property
    def done(self) -> list[int]:
        return [key for key in self.items if self.is_done(key)]


class World:
    """What a clock is made of: the shop's desk, and the test's way of moving time."""

    def __init__(self, cast: Cast, later: Later, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cast, self.later, self.settings, self.monkeypatch = cast, later, settings, monkeypatch
        for threads in (notices._threads, mails._threads, import_queue._threads):
            monkeypatch.setattr(threads, "take", lambda _key, work: work() is None or True)
        for module in (notices, mails):  # each test is undone, so all of it is one transaction
            monkeypatch.setattr(module, "never_in_a_transaction", lambda: None)

    def chats(self, prepare: Callable[[Chat], object]) -> list[int]:
        found = []
        for _ in range(3):
            chat = self.cast.chat()
            prepare(chat)
            found.append(chat.id)
        return found

    def only_ann_takes_offers(self) -> None:
        self.cast.policy(assignment="push")
        for name in ("ben", "cat", "sue"):
            self.cast.change(name, availability="break")


def _of_conversation(*, conversation_id: int, **_: Any) -> int:
    return conversation_id


def _is_offered(conversation_id: int) -> bool:
    return Transfer.objects.filter(conversation_id=conversation_id, offered_to__isnull=False).exists()


def _controller(word: str) -> Callable[[int], bool]:
    return lambda key: Conversation.objects.get(pk=key).controller == word


def sweeper(world: World) -> Clock:
    items = world.chats(Chat.queue)
    world.later(GONE)
    return Clock(
        loop="sweep", items=items, run=sweep.sweep_due, part=(sweep, "expire_due"), key_of=_of_conversation,
        is_done=lambda key: not Transfer.objects.filter(conversation_id=key, status="PENDING").exists(),
    )  # fmt: skip


def looking(world: World) -> Clock:
    world.only_ann_takes_offers()
    items = world.chats(Chat.queue)
    assert all(map(_is_offered, items))
    world.cast.change("ann", availability="break")
    return Clock(
        loop="sweep", items=items, run=lambda: sweep.settle_offers_and_drain(world.cast.tenant.pk),
        part=(sweep, "expire_due"), key_of=_of_conversation, is_done=lambda key: not _is_offered(key),
    )  # fmt: skip


def drain(world: World) -> Clock:
    world.only_ann_takes_offers()
    world.cast.change("ann", availability="break")
    items = world.chats(Chat.queue)
    world.cast.change("ann", availability="available")
    return Clock(
        loop="sweep", items=items, run=lambda: sweep.drain(world.cast.tenant.pk),
        part=(sweep, "expire_due"), key_of=_of_conversation, is_done=_is_offered,
    )  # fmt: skip


def choosing(world: World) -> Clock:
    """While the drain decides to whom each could be offered."""
    its = drain(world)
    return replace(its, loop="offers", part=(sweep, "choose"), key_of=lambda case, *_: case.conversation_id)


def silent_agents(world: World) -> Clock:
    items = world.chats(Chat.serve)
    world.later(GONE)
    return Clock(
        loop="silent-agents", items=items, run=silence.move_on_from_silent_agents,
        part=(silence, "reassign"), key_of=_of_conversation, is_done=_controller("queue"),
    )  # fmt: skip


def dead_bots(world: World) -> Clock:
    world.cast.change("bargain", heartbeat_timeout=30, last_seen_at=clock.now())

    def waits(chat: Chat) -> None:
        chat.robot()
        chat.says()

    items = world.chats(waits)
    world.later(31)
    return Clock(
        loop="dead-bots", items=items, run=silence.escalate_from_dead_bots, part=(silence, "raise_need"),
        key_of=lambda turn, **_: turn.conversation.pk, is_done=_controller("queue"),
    )  # fmt: skip


def presences(world: World) -> Clock:
    presence.note_changes()
    world.later(AWAY)
    return Clock(
        loop="presence", items=sorted(Agent.objects.values_list("pk", flat=True)), run=presence.note_changes,
        part=(presence.presence_log, "note"), key_of=lambda agent, *_, **__: agent.pk,  # type: ignore[attr-defined]
        is_done=lambda key: not Agent.objects.get(pk=key).is_heard,
    )  # fmt: skip


def grouping(world: World) -> Clock:
    items = world.chats(Chat.says)
    world.later(AWAY)
    return Clock(
        loop="grouping", items=items, run=batches.group_unsessioned, part=(batches, "store_living"),
        key_of=lambda turn, *_: turn.conversation.pk,
        is_done=lambda key: not Message.objects.filter(conversation_id=key, session_id=None).exists(),
    )  # fmt: skip


def noticing(world: World) -> Clock:
    world.settings.EMAIL_URL = "memory://"

    def invite(chat: Chat) -> None:
        chat.serve()
        participants.invite_participant(
            actor=world.cast.ann, conversation_id=chat.id, name="Gus", contact="gus@example.org"
        )

    world.chats(invite)
    world.monkeypatch.setattr(notices, "send", lambda notice: "e-mail")
    return Clock(
        loop="notices", items=sorted(Participant.objects.values_list("pk", flat=True)), run=notices.send_waiting,
        part=(notices, "take_notice"), key_of=lambda *, participant_id, **_: participant_id,
        is_done=lambda key: Participant.objects.get(pk=key).notice_status == NoticeStatus.SENT,
    )  # fmt: skip


def mailing(world: World) -> Clock:
    world.settings.EMAIL_URL = "memory://"
    by_email(world.cast)
    world.later.until(berlin(FRIDAYS["spring"], "18:00"))
    world.chats(Chat.queue)
    world.monkeypatch.setattr(mails, "send_mail", lambda **_: None)
    return Clock(
        loop="mails", items=sorted(Mail.objects.values_list("pk", flat=True)), run=mails.send_waiting,
        part=(mails, "_letter"), key_of=lambda turn, mail: mail.pk,
        is_done=lambda key: Mail.objects.get(pk=key).status == MailStatus.SENT,
    )  # fmt: skip


def stored_batches(world: World) -> Clock:
    world.monkeypatch.setattr(import_queue, "_drop_file", lambda _: None)  # what is undone comes back without its file
    kept = [import_queue.keep(actor=world.cast.channel, file=io.BytesIO(b""), size=0).pk for _ in range(3)]
    return Clock(
        loop="batches", items=kept, run=import_queue.wake, part=(import_queue, "_claim"), key_of=lambda key: key,
        is_done=lambda key: Batch.objects.get(pk=key).state == Batch.State.DONE,
    )  # fmt: skip


def forgotten_batches(world: World) -> Clock:
    def ended(_: int) -> int:
        name = default_storage.save("batches/old.ndjson", ContentFile(b""))
        its = {"state": Batch.State.FAILED, "ended_at": clock.now() - import_queue.KEPT - timedelta(days=1)}
        return Batch.objects.create(tenant=world.cast.tenant, client_id=world.cast.channel.id, file=name, **its).pk

    return Clock(
        loop="forget-batches", items=[ended(number) for number in range(3)], run=import_queue.forget,
        part=(import_queue, "_drop_file"), key_of=lambda batch: batch.pk,
        is_done=lambda key: not Batch.objects.filter(pk=key).exists(),
    )  # fmt: skip


def forgotten_attachments(world: World) -> Clock:
    chat = world.cast.chat()
    old = clock.now() - timedelta(days=400)
    its = {"name": "a.png", "media_type": "image/png", "size": 1, "uploader_kind": "customer", "created_at": old}
    items = [
        Attachment.objects.create(
            tenant=world.cast.tenant, conversation_id=chat.id, storage_key=f"{number}", client_id=f"{number}", **its
        ).pk
        for number in range(3)
    ]
    return Clock(
        loop="forget-attachments", items=items, run=attachments.forget, part=(attachments, "_forget_one"),
        key_of=lambda tenant_id, pk, key: pk, is_done=lambda key: not Attachment.objects.filter(pk=key).exists(),
    )  # fmt: skip


def _endpoints(world: World) -> list[int]:
    urls = [f"https://receiver.example/{number}" for number in range(3)]
    its = {"tenant": world.cast.tenant, "owner_id": world.cast.channel.id, "secret": "whsec_c2VjcmV0"}
    return [WebhookEndpoint.objects.create(url=url, **its).pk for url in urls]


def dispatching(world: World) -> Clock:
    items = _endpoints(world)
    world.cast.chat().robot()
    relay.stamp_all()
    return Clock(
        loop="webhook-dispatch", items=items, run=outbox.dispatch, part=(outbox, "_dispatch"), key_of=lambda key: key,
        is_done=lambda key: WebhookDelivery.objects.filter(endpoint_id=key).exists(),
    )  # fmt: skip


def _is_delivered(**which: int) -> bool:
    return not WebhookDelivery.objects.filter(status="pending", **which).exists()


def _answered(world: World) -> None:
    """The receivers answer 200; what is sent is not what these are about."""
    world.monkeypatch.setattr(delivery.Post, "send", lambda *_: ReceiverResponse(code=200))  # type: ignore[attr-defined]


def sending(world: World) -> Clock:
    _answered(world)
    items = dispatching(world).items
    outbox.dispatch()
    senders = Senders()
    world.monkeypatch.setattr("messaging_app.webhooks.senders.connections.close_all", lambda: None)
    world.monkeypatch.setattr(senders, "wake", lambda *_: 0)
    return Clock(
        loop="webhook-senders", items=items, part=(delivery, "_next"), key_of=lambda key: key,
        run=lambda: [senders._serve(key) for key, _ in delivery.due()], is_done=lambda key: _is_delivered(endpoint_id=key),
    )  # fmt: skip


def delivering(world: World) -> Clock:
    """Some events of one endpoint, of which the first cannot be recorded. Its lease is renewed for each, whatever fails then:
    there is no transaction around it that could take that back."""
    world.monkeypatch.setattr(loops, "_savepoint", nullcontext)
    world.monkeypatch.setattr(delivery, "SLICE_SECONDS", 60)
    _answered(world)
    [first, *_] = dispatching(world).items
    world.chats(Chat.robot)
    relay.stamp_all()
    WebhookEndpoint.objects.exclude(pk=first).update(is_enabled=False)
    outbox.dispatch()
    items = list(WebhookDelivery.objects.order_by("pos").values_list("pk", flat=True))
    assert len(items) >= 3
    return Clock(
        loop="webhook-deliveries", items=items, run=lambda: [delivery.serve(key) for key, _ in delivery.due()],
        part=(delivery, "_record"), key_of=lambda sent, _: sent.pk, is_done=lambda key: _is_delivered(pk=key),
    )  # fmt: skip


def indexing(world: World) -> Clock:
    others = [Cast("second"), Cast("third")]
    for desk in (world.cast, *others):
        desk.chat().says("parcel")
    relay.stamp_all()

    def is_done(key: int) -> bool:
        reached = SearchCursor.objects.filter(tenant_id=key).values_list("pos", flat=True).first() or 0
        return reached == StreamHead.objects.get(tenant_id=key).pos

    return Clock(
        loop="search", items=[desk.tenant.pk for desk in (world.cast, *others)], run=search.index_some,
        part=(search, "index"), key_of=lambda key: key, is_done=is_done,
    )  # fmt: skip


def stamping(world: World) -> Clock:
    if connection.vendor == "sqlite":
        pytest.skip("On SQLite operations are stamped as they are written.")
    others = [Cast("second"), Cast("third")]
    for desk in (world.cast, *others):
        desk.chat().says("parcel")
    return Clock(
        loop="relay", items=[desk.tenant.pk for desk in (world.cast, *others)], run=relay.stamp_all,
        part=(relay, "stamp"), key_of=lambda key: key,
        is_done=lambda key: not Operation.objects.filter(tenant_id=key, pos=None).exists(),
    )  # fmt: skip


def forgotten_logins(world: World) -> Clock:
    """The jobs of one clock are items too: two here, by number."""
    AccessAttempt.objects.create(username="ann", failures_since_start=1)
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(days=400))
    ran: list[int] = []
    world.monkeypatch.setattr(tasks.lifetime, "forget", lambda: len(ran.append(1) or ""))  # type: ignore[attr-defined]
    return Clock(
        loop="forget-logins", items=[1, 2], run=tasks.forget_logins, part=(tasks.lifetime, "forget"),  # type: ignore[attr-defined]
        key_of=lambda: 1, is_done=lambda key: key in ran if key == 1 else not AccessAttempt.objects.exists(),
    )  # fmt: skip


CLOCKS = (
    sweeper, looking, drain, choosing, silent_agents, dead_bots, presences, grouping, noticing, mailing, stored_batches,
    forgotten_batches, forgotten_attachments, dispatching, sending, delivering, indexing, stamping, forgotten_logins,
)  # fmt: skip
ERRORS = (
    Conflict("the rules say no"),
    Busy(),
    IntegrityError("UNIQUE constraint failed"),
    OperationalError("canceling statement due to statement timeout"),
    TypeError("unsupported operand"),
    OverflowError("date value out of range"),
    RecursionError("maximum recursion depth exceeded"),
)

every_clock = pytest.mark.parametrize("make", CLOCKS, ids=lambda make: make.__name__)


@pytest.fixture
def world(cast: Cast, later: Later, settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> World:
    settings.MEDIA_ROOT = tmp_path
    return World(cast, later, settings, monkeypatch)


def others_are_done(its: Clock, error: Exception) -> None:
    """The check of T2.1: in the round in which the first item fails, all others are done, and it is put off."""
    with its.broken(error):
        its.run()
    assert its.done == its.items[1:]
    assert _put_off() == [(its.loop, its.items[0], 1)]


def _put_off() -> list[tuple[str, int, int]]:
    return list(Backoff.objects.values_list("loop", "key", "attempts"))


@every_clock
def test_t2_1_one_that_fails_stops_no_other(make: Callable[[World], Clock], world: World) -> None:
    its = make(world)
    for error in ERRORS:
        if make is silent_agents and isinstance(error, Conflict):
            continue  # somebody else was faster: that is no failure
        with transaction.atomic():  # the same world again for the next kind of error
            others_are_done(its, error)
            row = Backoff.objects.get()
            assert row.error == f"{type(error).__name__}: {error}"
            assert row.tenant_id in (world.cast.tenant.pk, None)
            Backoff.objects.update(
                retry_at=clock.now() + timedelta(seconds=60)
            )  # a slow machine takes longer than a pause
            with its.broken(error) as tried:
                its.run()
            assert its.items[0] not in tried, "it is passed over until its time has come"
            transaction.set_rollback(True)


@every_clock
def test_t2_1_it_is_mended_by_itself_once_the_cause_is_gone(make: Callable[[World], Clock], world: World) -> None:
    its = make(world)
    others_are_done(its, TypeError("broken"))
    world.later(1.5)
    its.run()
    assert its.done == its.items
    assert _put_off() == []
    assert loops.failures() == {its.loop: 1}, "counted for good"


def unguarded(loop: str, items: Iterable[Any], work: Callable[..., Any]) -> Iterator[Any]:
    """A loop as it was: the first that fails ends it."""
    for item in items:
        yield work(*item)


@every_clock
def test_control_without_the_guard_the_check_notices(
    make: Callable[[World], Clock], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    its = make(world)
    monkeypatch.setattr(loops, "each", unguarded)
    monkeypatch.setattr(loops, "one", lambda loop, tenant_id, key, work: work())
    with pytest.raises((TypeError, AssertionError)):
        others_are_done(its, TypeError("broken"))


def test_t2_1_put_off_items_do_not_fill_the_page(world: World) -> None:
    broken = world.chats(Chat.queue)
    well = world.cast.chat().queue()
    world.later(GONE)
    found = {conversation_id for _, conversation_id in sweep.due(limit=3, of_sessions=3)}
    for key in broken:
        loops._put_off("sweep", world.cast.tenant.pk, key, "broken")
    assert found >= set(broken[:2])
    assert sweep.due(limit=3, of_sessions=3) == {(world.cast.tenant.pk, well.id)}


@pytest.mark.parametrize("refused_by", [[{"a": 1}], [[1]]])
def test_t2_1_one_row_that_no_decision_can_be_made_of_stops_no_offer(world: World, refused_by: list[Any]) -> None:
    world.only_ann_takes_offers()
    world.cast.change("ann", availability="break")
    odd, *well = world.chats(Chat.queue)
    Transfer.objects.filter(conversation_id=odd).update(refused_by=refused_by)
    world.cast.change("ann", availability="available", max_load=2)
    assert sweep.drain(world.cast.tenant.pk) == 2
    assert [key for key in (odd, *well) if _is_offered(key)] == well
    assert _put_off() == [("offers", odd, 1)], "the odd one, and not its tenant"


def test_t2_1_what_is_put_off_costs_the_next_in_line_no_place(world: World) -> None:
    world.only_ann_takes_offers()
    world.cast.change("ann", availability="break")
    world.monkeypatch.setattr(sweep, "PAGE", 2)
    world.monkeypatch.setattr(sweep, "PAGES", 1)
    broken = world.chats(Chat.queue)
    well = world.cast.chat().queue()
    for key in broken:
        loops._put_off("offers", world.cast.tenant.pk, key, "broken")
    world.cast.change("ann", availability="available", max_load=1)
    assert sweep.drain(world.cast.tenant.pk) == 1
    assert _is_offered(well.id)


def test_t2_1_pauses_grow_to_an_hour_and_a_restart_forgets_nothing(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    its = sweeper(world)
    for number in range(1, 15):
        if number == 5:
            loops._unwritten.clear()  # all that a process keeps; the rest is in the row
        before = clock.now()
        with its.broken(TypeError("broken")):
            sweep.sweep_due()
        row = Backoff.objects.get()
        assert row.attempts == number
        assert before <= row.retry_at - loops.pause(number) <= clock.now()
        world.later.until(row.retry_at, seconds=0.1)
        world.cast.seen()
    pauses = [loops.pause(number).total_seconds() for number in range(1, 15)]
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600, 3600]
    logged = [record for record in caplog.records if record.name == "agents_app.loops"]
    assert [bool(record.exc_info) for record in logged] == [True] + [False] * 13, "one traceback, then a line each"
    assert f"sweep: {its.items[0]} of tenant {world.cast.tenant.pk} failed" in logged[0].getMessage()
    sweep.sweep_due()
    assert (its.done, _put_off()) == (its.items, [])


@pytest.mark.django_db
def test_t2_1_an_item_that_breaks_its_transaction_can_still_be_put_off(cast: Cast) -> None:
    """A constraint of the database itself, inside somebody's transaction, as all of this test is one."""

    def work(tenant_id: int, key: int) -> int:
        if key == 1:
            Message.objects.create(tenant_id=tenant_id, conversation_id=chat.id, seq=None)  # type: ignore[misc]
        return key

    chat = cast.chat()
    assert list(loops.each("of-a-test", [(cast.tenant.pk, 1), (cast.tenant.pk, 2)], work)) == [2]
    assert "IntegrityError" in Backoff.objects.get().error


def test_t2_1_what_cannot_be_written_down_ends_the_run_and_is_said_once(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    its = sweeper(world)

    def away(*_: Any) -> int:
        raise Busy

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(loops, "_put_off", away)
        for _ in range(3):
            with its.broken(OperationalError("the connection is lost")) as tried:
                sweep.sweep_due()
            assert (tried, its.done) == (its.items[:1], [])
    [said] = [record.getMessage() for record in caplog.records if record.name == "agents_app.loops"]
    assert "this run ends, and the next tries again" in said
    sweep.sweep_due()
    assert its.done == its.items
    loops._unwritten.clear()


def test_t2_1_a_row_that_nobody_tries_any_more_is_removed(world: World) -> None:
    for key in (1, 2):
        loops._put_off("sweep", world.cast.tenant.pk, key, "broken")
    world.later(loops.FORGOTTEN.total_seconds() - 10)
    loops._put_off("sweep", world.cast.tenant.pk, 2, "broken")
    assert loops.forget() == 0
    world.later(20)
    assert tasks.forget_put_off() == 1
    assert _put_off() == [("sweep", 2, 2)]


def test_t2_1_reasons_can_be_stored_whatever_they_hold(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops.log, "disabled", True)  # pytest-xdist cannot send what no text can hold

    def work(*_: Any) -> None:
        raise ValueError("\ud800 \x00 " + "long " * 200) from TypeError("below")

    assert list(loops.each("of-a-test", [(None, 1)], work)) == []
    reason = Backoff.objects.get().error
    assert len(reason) == Backoff.MOST_ERROR
    assert "\x00" not in reason


def test_old_rows_are_deleted_in_pieces(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "PIECE", 2)
    monkeypatch.setattr(loops, "PIECES", 2)
    rows = Backoff.objects.all()
    Backoff.objects.bulk_create(
        Backoff(loop="of-a-test", key=key, first_failed_at=clock.now(), retry_at=clock.now()) for key in range(5)
    )
    assert (loops.delete_in_pieces(rows), rows.count()) == (4, 1), "no run is endless"
    assert (loops.delete_in_pieces(rows), rows.count()) == (1, 0)


# --- It is told --------------------------------------------------------------------------------------------------


def test_what_is_put_off_is_told_by_ready_and_by_the_metrics(world: World) -> None:
    ready = Client().get("/api/v1/health/ready")
    assert (ready.json()["status"], ready.json()["checks"]["loops"]) == ("ok", "ok")
    its = sweeper(world)
    others_are_done(its, TypeError("customer's words"))
    ready = Client().get("/api/v1/health/ready")
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    assert ready.json()["checks"]["loops"] == "put off: sweep 1"
    told = Client().get("/api/v1/metrics", REMOTE_ADDR="127.0.0.1").content.decode()
    assert 'tandem_loop_failures_total{loop="sweep"} 1.0' in told
    assert 'tandem_loop_put_off{loop="sweep"} 1.0' in told
    world.later(1.5)
    sweep.sweep_due()
    told = Client().get("/api/v1/metrics", REMOTE_ADDR="127.0.0.1").content.decode()
    assert 'tandem_loop_failures_total{loop="sweep"} 1.0' in told
    assert "tandem_loop_put_off{" not in told
    assert Client().get("/api/v1/health/ready").json()["status"] == "ok"


# --- T2.2 and T2.3: a statement that lasts too long, a transaction of many operations -----------------------------


def test_t2_2_a_statement_timeout_on_the_lowest_id_keeps_nobody_waiting(world: World) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("PostgreSQL's statement_timeout.")
    items = world.chats(Chat.queue)
    world.later(GONE)
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION linger() RETURNS trigger AS $$ BEGIN PERFORM pg_sleep(600); RETURN NEW; END $$ LANGUAGE plpgsql"
        )
        cursor.execute(
            "CREATE TRIGGER linger BEFORE UPDATE ON sessions_app_transfer FOR EACH ROW"
            f" WHEN (OLD.conversation_id = {min(items)}) EXECUTE FUNCTION linger()"
        )
        cursor.execute("SET LOCAL statement_timeout = 5000")
    sweep.sweep_due()
    waiting = Transfer.objects.filter(status="PENDING").values_list("conversation_id", flat=True)
    assert list(waiting) == [min(items)]
    assert "statement timeout" in Backoff.objects.get().error
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER linger ON sessions_app_transfer")
    world.later(1.5)
    sweep.sweep_due()
    assert (waiting.all().count(), _put_off()) == (0, [])


def test_t2_3_a_transaction_of_many_operations_is_stamped_to_the_last(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("Elsewhere the relay stamps, behind the commit.")
    monkeypatch.setattr(relay, "BATCH", 10)
    sent_at = (clock.now() - timedelta(days=2)).isoformat()
    lines = [
        json.dumps(
            {
                "platform": "p",
                "shop_id": "s",
                "account_id": f"c{number}",
                "message_id": f"m{number}",
                "sender_type": "customer",
                "content": "hi",
                "timestamp": sent_at,
            }
        ).encode()
        for number in range(45)
    ]
    report = batches.ingest_batch(
        actor=cast.channel, rows=[read_line(number, line) for number, line in enumerate(lines, 1)]
    )
    assert report.accepted == 45, report.rejections
    told = Operation.objects.filter(tenant=cast.tenant)
    assert told.count() >= 45
    assert not told.filter(pos=None).exists()
    assert StreamHead.objects.get(tenant=cast.tenant).pos == told.count()
