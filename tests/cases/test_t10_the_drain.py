"""T10: offering what waits costs what is offered, not what waits, and no request waits for it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from threading import Event, current_thread
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from messaging_app.models import Conversation
from sessions_app.actions import sweep
from sessions_app.core import wake
from sessions_app.core.wake import Waker
from sessions_app.models import AssignmentDecision, ChatSession, Transfer
from tests.cast import Cast, Chat, Later
from tests.patience import PATIENCE

"""Seconds that a thread is given."""
AWAY = ("ann", "ben", "cat", "sue")


@pytest.fixture
def away(cast: Cast) -> Cast:
    """Everything is offered, and nobody is there."""
    cast.policy(transfer_policy="requeue", assignment="push")
    for name in AWAY:
        cast.change(name, availability="away")
    return cast


def comes(cast: Cast, name: str, room: int = 1) -> None:
    cast.change(name, availability="available", max_load=room)
    cast.seen()


def many(cast: Cast, number: int) -> None:
    """So many more that wait, each like one that the verbs have made."""
    made = cast.chat().queue()
    conversation, session, transfer = made.row, made.live, made.pending
    anew = {"id": None, "seq": 0, "chain": Conversation._meta.get_field("chain").get_default()}
    conversations = Conversation.objects.bulk_create(
        Conversation(**values(conversation) | anew | {"account_id": f"many-{place}"}) for place in range(number - 1)
    )
    sessions = ChatSession.objects.bulk_create(
        ChatSession(**values(session) | {"id": None, "conversation_id": one.pk}) for one in conversations
    )
    Transfer.objects.bulk_create(
        Transfer(**values(transfer) | {"id": None, "conversation_id": one.conversation_id, "session_id": one.pk})
        for one in sessions
    )


def values(row: Any) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields if not field.generated}


def asked(work: Any, *arguments: Any) -> list[str]:
    with CaptureQueriesContext(connection) as ran:
        work(*arguments)
    return [query["sql"] for query in ran]


def forget_them() -> None:
    """What was copied has no operations of its own, which an invariant asks for."""
    Transfer.objects.filter(conversation__account_id__startswith="many-").delete()
    ChatSession.objects.filter(conversation__account_id__startswith="many-").delete()
    Conversation.objects.filter(account_id__startswith="many-").delete()


@pytest.mark.parametrize("room", [0, 1, 3], ids=["nobody is free", "one place", "three places"])
def test_a_drain_asks_as_much_for_a_thousand_as_for_ten(away: Cast, room: int) -> None:
    many(away, 10)
    few = _drained(away, room)
    forget_them()
    many(away, 1000)
    plenty = _drained(away, room)
    forget_them()
    assert len(few) == len(plenty)
    assert len(few) == 2 if not room else len(few) > 2


def _drained(cast: Cast, room: int) -> list[str]:
    """What one drain asks, in a transaction that is undone."""
    from django.db import transaction

    with transaction.atomic():
        if room:
            comes(cast, "ann", room)
        before = Transfer.objects.filter(offered_to__isnull=False).count()
        queries = asked(sweep.drain, cast.tenant.pk)
        assert Transfer.objects.filter(offered_to__isnull=False).count() - before == room
        transaction.set_rollback(True)
    return queries


def test_the_line_is_read_without_packages_and_never_whole(away: Cast) -> None:
    many(away, 250)
    comes(away, "ann")
    queries = asked(sweep.drain, away.tenant.pk)
    [line] = [sql for sql in queries if "desk_order" in sql and "LIMIT 100" in sql]
    assert "context" not in line
    forget_them()


def test_nobody_free_asks_the_clock_and_the_agents_and_nothing_else(away: Cast) -> None:
    away.chat().queue()
    queries = asked(sweep.drain, away.tenant.pk)
    assert len(queries) == 2
    assert 'FROM "agents_app_agent"' in queries[1].replace("`", '"')


def test_a_sweep_over_a_thousand_that_wait_asks_what_one_over_ten_asks(away: Cast) -> None:
    many(away, 10)
    few = len(asked(sweep.sweep_due))
    forget_them()
    many(away, 1000)
    assert len(asked(sweep.sweep_due)) == few
    forget_them()


def test_words_of_who_waits_look_at_no_agent_one_by_one(away: Cast) -> None:
    """Why nobody could be offered it is on record once; then only whether anybody is free is asked."""
    chat = away.chat()
    chat.queue()
    assert AssignmentDecision.objects.get().why == "nobody fits"
    queries = asked(chat.says)
    assert not [sql for sql in queries if "agents_app_membership" in sql]
    assert AssignmentDecision.objects.count() == 1


def test_what_nobody_who_is_free_fits_does_not_hide_what_stands_behind(
    away: Cast, later: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "PAGE", 2)
    monkeypatch.setattr(sweep, "PAGES", 2)
    for _ in range(5):
        chat = away.chat()
        chat.robot()
        chat.escalate(needs={"zh": 3})
        later(1)
    last = away.chat().queue()
    comes(away, "ann")
    assert sweep.drain(away.tenant.pk) == 0
    assert sweep.drain(away.tenant.pk) == 1
    assert last.pending.offered_to_id == away.ann.id


# --- One at a time ------------------------------------------------------------------------------------------------


def test_a_drain_begins_none_within_itself(away: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it offers may make room elsewhere, at a commit of its own: it looks once more when it is done."""
    for _ in range(3):
        away.chat().queue()
    comes(away, "ann", 3)
    take, drain, depth, deepest = sweep._settle_each, sweep._drain, [0], [0]

    def within(tenant_id: int) -> int:
        depth[0] += 1
        deepest[0] = max(deepest[0], depth[0])
        try:
            return drain(tenant_id)
        finally:
            depth[0] -= 1

    def takes(found: list[tuple[int, int]]) -> int:
        done = take(found)
        assert sweep.drain(away.tenant.pk) == 0
        return done

    monkeypatch.setattr(sweep, "_drain", within)
    monkeypatch.setattr(sweep, "_settle_each", takes)
    assert sweep.drain(away.tenant.pk) == 3
    assert deepest == [1]


def test_who_comes_meanwhile_is_served_by_another_round() -> None:
    waker, rounds = Waker(), list[int]()

    def work() -> int:
        rounds.append(len(rounds))
        if len(rounds) < 3:
            assert waker.run_exclusively(1, work) == 0
            assert waker.run_exclusively(2, lambda: 5) == 5, "another tenant's is its own"
        return 1

    assert waker.run_exclusively(1, work) == 3
    assert waker.run_exclusively(1, lambda: 7) == 7


def test_a_round_that_fails_leaves_the_next_one_free() -> None:
    waker = Waker()
    with pytest.raises(ZeroDivisionError):
        waker.run_exclusively(1, lambda: 1 // 0)
    assert waker.run_exclusively(1, lambda: 7) == 7


def test_it_begins_anew_only_so_often() -> None:
    waker, rounds = Waker(), list[int]()

    def work() -> int:
        rounds.append(1)
        return waker.run_exclusively(1, work)

    waker.run_exclusively(1, work)
    assert len(rounds) == 10


# --- The thread ---------------------------------------------------------------------------------------------------


class Heard:
    """What a waker does, held up until it is let go."""

    def __init__(self) -> None:
        self.waker = Waker()
        self.tenants: list[int] = []
        self.threads: set[str] = set()
        self.begun, self.go, self.done = Event(), Event(), Event()
        self.waker.set_work(self._work)

    def _work(self, tenant_id: int) -> None:
        self.begun.set()
        assert self.go.wait(PATIENCE)
        self.tenants.append(tenant_id)
        self.threads.add(current_thread().name)
        if tenant_id == 0:
            self.done.set()
        if tenant_id == 13:
            raise RuntimeError("unlucky")


@pytest.fixture
def heard() -> Iterator[Heard]:
    heard = Heard()
    yield heard
    heard.go.set()
    heard.waker.stop(PATIENCE)


def test_wake_ups_of_a_tenant_that_waits_are_one(heard: Heard) -> None:
    heard.waker.wake(1)
    assert heard.begun.wait(PATIENCE)
    for tenant in (1, 2, 1, 2, 2, 0):
        heard.waker.wake(tenant)
    heard.go.set()
    assert heard.done.wait(PATIENCE)
    assert heard.tenants == [1, 1, 2, 0], "1 once more: it was woken while it was looked at"
    assert heard.threads == {"drain"}


def test_a_failure_stops_no_other_tenant(heard: Heard, caplog: pytest.LogCaptureFixture) -> None:
    heard.go.set()
    heard.waker.wake(13)
    heard.waker.wake(0)
    assert heard.done.wait(PATIENCE)
    assert heard.tenants == [13, 0]
    assert "the queue of tenant 13 could not be looked at" in caplog.text


def test_what_finds_no_room_is_left_to_the_sweep(heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wake, "ROOM", 2)
    heard.waker.wake(1)
    assert heard.begun.wait(PATIENCE)
    assert [heard.waker.wake(tenant) for tenant in (2, 3, 4, 3)] == [True, True, False, True]


def test_it_ends_when_nothing_wakes_it_and_begins_again(heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wake, "IDLE", 0.01)
    heard.go.set()
    heard.waker.wake(5)
    assert heard.begun.wait(PATIENCE)
    thread = heard.waker._thread
    if thread is not None:
        thread.join(PATIENCE)
    assert heard.waker._thread is None
    heard.waker.wake(0)
    assert heard.done.wait(PATIENCE)


def test_it_stops_after_what_is_under_way(heard: Heard) -> None:
    heard.waker.wake(1)
    assert heard.begun.wait(PATIENCE)
    heard.waker.wake(2)
    heard.go.set()
    heard.waker.stop(PATIENCE)
    assert heard.tenants == [1]
    assert heard.waker.wake(3) is False


FORKED = """
import os, threading
import django
django.setup()
from sessions_app.core import wake
looked = threading.Semaphore(0)
def look(tenant):
    os.write(1, b"parent " if os.getpid() == parent else b"child ")
    looked.release()
wake.set_work(look)
parent = os.getpid()
wake.wake(1)
looked.acquire()
child = os.fork()
wake.wake(2)
looked.acquire(timeout=300)
if child == 0:
    os._exit(0)
os.waitpid(child, 0)
"""


def test_a_forked_process_has_a_thread_of_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
        env={"DJANGO_SETTINGS_MODULE": "config.settings", "PATH": "/usr/bin:/bin", "DEBUG": "1"},
    )
    assert sorted(done.stdout.split()) == ["child", "parent", "parent"]


@pytest.mark.django_db(transaction=True)
def test_no_verb_drains_in_its_own_thread(away: Cast, the_real_waker: None) -> None:
    threads, done = [], Event()

    def look(tenant_id: int) -> None:
        threads.append(current_thread().name)
        done.set()

    wake.set_work(look)
    try:
        chat = away.chat().serve()
        chat.resolve(away.ann)
        assert done.wait(PATIENCE)
    finally:
        wake.set_work(sweep.settle_offers_and_drain)
    assert set(threads) == {"drain"}
    assert current_thread().name != "drain"


@pytest.mark.django_db(transaction=True)
def test_what_waits_is_offered_by_the_thread(away: Cast, the_real_waker: None) -> None:
    comes(away, "ann", 1)
    busy = away.chat().serve()
    waits: Chat = away.chat().queue()
    assert waits.pending.offered_to_id is None
    done = Event()

    def look(tenant_id: int) -> None:
        sweep.settle_offers_and_drain(tenant_id)
        done.set()

    wake.stop(PATIENCE)
    wake.begin_anew()
    wake.set_work(look)
    try:
        busy.resolve(away.ann)
        assert done.wait(PATIENCE)
        wake.stop(PATIENCE)
    finally:
        wake.set_work(sweep.settle_offers_and_drain)
    assert waits.pending.offered_to_id == away.ann.id
