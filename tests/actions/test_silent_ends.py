"""Many silent sessions are ended in one transaction, and everything is left as their verbs would have left it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import DateTimeField, Value
from django.db.models.functions import Cast as CastTo
from django.test.utils import CaptureQueriesContext

from agents_app import loops
from agents_app.models import Backoff
from config import clock
from messaging_app.models import Conversation, Operation
from sessions_app.actions import ended_in_memory, flows, silent_ends, sweep
from sessions_app.actions.lifecycle import expire_due
from sessions_app.actions.silent_ends import end_silent
from sessions_app.core import wake
from sessions_app.models import ChatSession, GuidedFlow, Participant, SlaClock, Transfer
from sessions_app.states import Kind
from tests.built_anew import statements_built_anew
from tests.cast import Cast, Chat, Later

LONG = 40 * 24 * 3600
"""Seconds after which every session has ended by itself."""


def silent(chat: Chat) -> None:
    chat.robot()


def waits_for_an_answer(chat: Chat) -> None:
    chat.robot()
    chat.says("Is anybody there?")


def was_flagged(chat: Chat) -> None:
    chat.queue()
    chat.decline(chat.cast.sue)


def served_by_the_shop(chat: Chat) -> None:
    chat.brings(("customer", 60, "Hello"), ("shop", 30, "We are here."))


def nobodys(chat: Chat) -> None:
    chat.brings(("customer", 60, "Hello"))


def had_a_human(chat: Chat) -> None:
    chat.serve().release()


def in_the_queue(chat: Chat) -> None:
    chat.queue()


def with_an_agent(chat: Chat) -> None:
    chat.serve()


def before_another(chat: Chat) -> None:
    chat.robot(chat.cast.faq, Kind.AUTO_ASSISTANT)
    chat.robot()


def with_a_flow(chat: Chat) -> None:
    chat.robot()
    flows.open_flow(
        actor=chat.cast.bargain,
        trigger_id=f"size {chat.id}",
        question="Which size?",
        conversation_id=chat.id,
        missing_info=["size"],
    )


def with_a_colleague(chat: Chat) -> None:
    chat.serve()
    chat.guest()
    chat.release()


ALONE: tuple[Callable[[Chat], None], ...] = (silent, waits_for_an_answer, was_flagged, served_by_the_shop, had_a_human)
"""Those on which nothing but one session is open."""
OTHERS: tuple[Callable[[Chat], None], ...] = (
    nobodys,
    in_the_queue,
    with_an_agent,
    before_another,
    with_a_flow,
    with_a_colleague,
)


@pytest.fixture
def chats(cast: Cast, later: Later) -> dict[str, Chat]:
    """One of each, by name, when all of them should have ended."""
    made = {begin.__name__: cast.chat() for begin in (*ALONE, *OTHERS)}
    for begin in (*ALONE, *OTHERS):
        begin(made[begin.__name__])
    later(LONG)
    return made


@pytest.fixture
def moment(monkeypatch: pytest.MonkeyPatch, chats: dict[str, Chat]) -> Iterator[datetime]:
    """The clock stands still."""
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)
    stopped = CastTo(Value(now - clock.offset, output_field=DateTimeField()), DateTimeField())
    monkeypatch.setattr(clock, "DbNow", lambda: stopped)
    with statements_built_anew():
        yield now


def places(chats: dict[str, Chat]) -> list[tuple[int, int]]:
    return [(chat.cast.tenant.pk, chat.id) for chat in chats.values()]


def by_verbs(places: list[tuple[int, int]], cast: Cast) -> None:
    for _, conversation_id in places:
        expire_due(actor=cast.system, conversation_id=conversation_id)


def left_by(work: Callable[[], Any]) -> dict[str, list[Any]]:
    """All rows after this, which is undone. Of operations without the keys, which no sequence gives twice."""
    with transaction.atomic():
        work()
        found = {
            model.__name__: list(model._default_manager.order_by("pk").values())
            for model in (Conversation, ChatSession, Transfer, GuidedFlow, SlaClock, Participant)
        }
        recorded = Operation.objects.order_by("conversation_id", "seq").values()
        found["Operation"] = [{k: v for k, v in row.items() if k not in ("id", "pos")} for row in recorded]
        transaction.set_rollback(True)
    return found


def test_all_is_left_as_the_verbs_leave_it(cast: Cast, chats: dict[str, Chat], moment: datetime) -> None:
    done: set[int] = set()

    def at_once() -> None:
        done.update(end_silent(places(chats), loop=sweep.LOOP))
        by_verbs([place for place in places(chats) if place[1] not in done], cast)

    expected = left_by(lambda: by_verbs(places(chats), cast))
    ours = left_by(at_once)
    for name, rows in expected.items():
        for row, own in zip(rows, ours[name], strict=True):
            assert own == row, name
    assert done == {chats[begin.__name__].id for begin in ALONE}
    assert {row["status"] for row in expected["ChatSession"] if row["conversation_id"] in done} == {"TIMEOUT"}


def test_a_sweep_ends_them_at_once_and_looks_at_the_others_one_by_one(
    cast: Cast, chats: dict[str, Chat], monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    woken: list[int] = []
    monkeypatch.setattr(wake, "wake", woken.append)
    with django_capture_on_commit_callbacks(execute=True):
        assert sweep.sweep_due() >= len(ALONE)
    for begin in ALONE:
        assert chats[begin.__name__].sessions[-1].status == "TIMEOUT"
        assert not chats[begin.__name__].has_live
    assert set(woken) == {cast.tenant.pk}


def test_however_many_there_are_the_statements_are_the_same(cast: Cast, later: Later) -> None:
    def statements(count: int) -> int:
        for _ in range(count):
            cast.chat().robot()
        later(LONG)
        open_ones = ChatSession.objects.filter(ended_at=None).values_list("tenant_id", "conversation_id")
        with CaptureQueriesContext(connection) as queries:
            assert len(end_silent(list(open_ones), loop=sweep.LOOP)) == count
        return len(queries)

    assert statements(10) == statements(30)


def test_so_few_are_left_to_their_verbs(chats: dict[str, Chat]) -> None:
    assert end_silent(places(chats)[: silent_ends.FEW], loop=sweep.LOOP) == set()


def test_what_is_not_due_or_was_put_off_is_left_alone(cast: Cast, later: Later) -> None:
    chats = {str(number): cast.chat() for number in range(6)}
    for chat in chats.values():
        chat.robot()
    assert end_silent(places(chats), loop=sweep.LOOP) == set()
    later(LONG)
    now = clock.now()
    put_off = Backoff.objects.create(
        loop=sweep.LOOP, key=chats["3"].id, tenant=cast.tenant, first_failed_at=now, retry_at=now - timedelta(seconds=1)
    )
    assert end_silent(places(chats), loop=sweep.LOOP) == {chat.id for chat in chats.values()} - {chats["3"].id}
    sweep.sweep_due()
    assert not chats["3"].has_live
    assert not Backoff.objects.filter(pk=put_off.pk).exists(), "the loop has told that it works again"


@pytest.mark.usefixtures("failures_are_meant")
def test_what_goes_wrong_in_one_stops_no_other(cast: Cast, later: Later, monkeypatch: pytest.MonkeyPatch) -> None:
    chats = {str(number): cast.chat() for number in range(6)}
    for chat in chats.values():
        chat.robot()
    later(LONG)
    for module in (ended_in_memory, __import__("sessions_app.unit.unit_of_work", fromlist=["settle"])):
        monkeypatch.setattr(module, "settle", stopping_at(chats["3"].id, module.settle))
    sweep.sweep_due()
    assert [chat.has_live for chat in chats.values()] == [number == "3" for number in chats]
    assert loops.put_off() == {sweep.LOOP: 1}
    monkeypatch.undo()


def stopping_at(conversation_id: int, real: Callable[[Any], None]) -> Callable[[Any], None]:
    def settle(locked: Any) -> None:
        if locked.conversation.pk == conversation_id:
            raise RuntimeError("something unforeseen")
        real(locked)

    return settle
