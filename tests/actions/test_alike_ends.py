"""Silent sessions that are alike end by the example of two, and everything is left as their verbs would have left it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.db import connection
from django.db.models import Exists, Model, QuerySet
from django.test.utils import CaptureQueriesContext

from agents_app import loops
from config import bulk_readings
from messaging_app.models import Conversation
from sessions_app.actions import alike_ends, conversations, ended_in_memory, lifecycle, sweep
from sessions_app.actions.alike_ends import end_alike
from sessions_app.core import wake
from sessions_app.models import GuidedFlow, Participant
from tests.actions.test_silent_ends import (
    ALONE,
    LONG,
    OTHERS,
    by_verbs,
    left_by,
    moment,
    places,
    stopping_at,
    waits_for_an_answer,
    was_flagged,
)
from tests.cast import Cast, Chat, Later

__all__ = ["moment"]

TIMES_OVER = 2
"""Chats of each kind."""


def urgent(chat: Chat) -> None:
    chat.robot()
    chat.says()
    conversations.mark_urgent(actor=chat.cast.sue, conversation_id=chat.id)


def paused(chat: Chat) -> None:
    chat.robot()
    lifecycle.pause_session(actor=chat.cast.bargain, session_id=chat.sessions[0].pk)


def another_s(chat: Chat) -> None:
    chat.robot(chat.cast.faq)


def spoke_and_was_answered(chat: Chat) -> None:
    chat.robot()
    chat.says()
    chat.speaks(chat.cast.bargain)


MORE: tuple[Callable[[Chat], None], ...] = (urgent, paused, another_s, spoke_and_was_answered)
ALIKE = tuple(begin for begin in (*ALONE, *MORE) if begin is not was_flagged)


@pytest.fixture(autouse=True)
def two_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """And no statement is kept: a mutant's is another one."""
    monkeypatch.setattr(alike_ends, "FEW", 1)
    monkeypatch.setattr(bulk_readings.BulkReading, "_built", property(lambda *_: None, lambda *_: None), raising=False)


@pytest.fixture
def some(cast: Cast, later: Later) -> dict[str, Chat]:
    """Those that wait for an answer, each for another time, when all of them should have ended."""
    made = {str(number): cast.chat() for number in range(4)}
    for chat in made.values():
        waits_for_an_answer(chat)
        later(7)
    later(LONG)
    return made


@pytest.fixture
def chats(cast: Cast, later: Later) -> dict[str, Chat]:
    """Some of each, by name, begun at different times, when all of them should have ended."""
    made = {}
    for number in range(TIMES_OVER):
        for begin in (*ALONE, *MORE, *OTHERS):
            made[f"{begin.__name__} {number}"] = chat = cast.chat()
            begin(chat)
            later(7)
    later(LONG)
    return made


def robots(cast: Cast, count: int) -> list[Chat]:
    chats = [cast.chat() for _ in range(count)]
    for chat in chats:
        chat.robot()
    return chats


def ids(chats: dict[str, Chat] | list[Chat]) -> list[int]:
    return [chat.id for chat in (chats.values() if isinstance(chats, dict) else chats)]


def by_examples(chats: dict[str, Chat], cast: Cast) -> set[int]:
    """End what is alike, and the others by their verbs. Returns those that were alike."""
    done = end_alike(ids(chats), loop=sweep.LOOP)
    by_verbs([place for place in places(chats) if place[1] not in done], cast)
    return done


def test_all_is_left_as_the_verbs_leave_it(cast: Cast, chats: dict[str, Chat], moment: datetime) -> None:
    done: set[int] = set()
    expected = left_by(lambda: by_verbs(places(chats), cast))
    ours = left_by(lambda: done.update(by_examples(chats, cast)))
    for name, rows in expected.items():
        for row, own in zip(rows, ours[name], strict=True):
            assert own == row, name
    alike = {chat.id for name, chat in chats.items() if name.split()[0] in {begin.__name__ for begin in ALIKE}}
    assert done == alike
    assert {row["status"] for row in expected["ChatSession"] if row["conversation_id"] in done} == {"TIMEOUT"}


def test_however_many_are_alike_the_statements_are_the_same(cast: Cast, later: Later) -> None:
    def statements(count: int) -> int:
        found = ids(robots(cast, count))
        later(LONG)
        with CaptureQueriesContext(connection) as queries:
            assert end_alike(found, loop=sweep.LOOP) == set(found)
        return len(queries)

    assert statements(10) == statements(30)


def test_what_is_not_due_is_left_alone(cast: Cast, later: Later) -> None:
    chats = robots(cast, 6)
    later.until(chats[0].sessions[0].expires_at, -1)
    assert end_alike(ids(chats), loop=sweep.LOOP) == set()
    later(3600)
    later_one = robots(cast, 1)
    assert end_alike(ids([*chats, *later_one]), loop=sweep.LOOP) == set(ids(chats))
    assert later_one[0].has_live


def test_the_queue_is_looked_at_once_they_have_ended(
    cast: Cast, later: Later, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    woken: list[int] = []
    monkeypatch.setattr(wake, "wake", woken.append)
    found = ids(robots(cast, 4))
    later(LONG)
    with django_capture_on_commit_callbacks(execute=True):
        assert end_alike(found, loop=sweep.LOOP) == set(found)
    assert set(woken) == {cast.tenant.pk}


def test_a_rule_that_compares_a_time_parts_those_that_are_alike(
    some: dict[str, Chat], cast: Cast, moment: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = Conversation.objects.filter(pk__in=ids(some)).order_by("unanswered_since")
    between = waiting.values_list("unanswered_since", flat=True)[1]

    def stricter(real: Callable[[Any], None]) -> Callable[[Any], None]:
        def settle(locked: Any) -> None:
            since = locked.conversation.unanswered_since
            locked.conversation.is_urgent = since is not None and since <= between
            real(locked)

        return settle

    for module in settling():
        monkeypatch.setattr(module, "settle", stricter(module.settle))
    done: set[int] = set()
    expected = left_by(lambda: by_verbs(places(some), cast))
    assert left_by(lambda: done.update(by_examples(some, cast))) == expected
    assert done == set(ids(some))
    assert {row["tier"] for row in expected["Conversation"] if row["id"] in done} == {1, 3}


def settling() -> tuple[Any, Any]:
    """The modules in which the end of a verb is settled."""
    return ended_in_memory, __import__("sessions_app.unit.unit_of_work", fromlist=["settle"])


@pytest.mark.usefixtures("failures_are_meant")
def test_what_goes_wrong_in_one_stops_no_other(cast: Cast, later: Later, monkeypatch: pytest.MonkeyPatch) -> None:
    chats = robots(cast, 6)
    later(LONG)
    for module in settling():
        monkeypatch.setattr(module, "settle", stopping_at(chats[0].id, module.settle))
    sweep.sweep_due()
    assert [chat.has_live for chat in chats] == [chat is chats[0] for chat in chats]
    assert loops.put_off() == {sweep.LOOP: 1}


@pytest.mark.parametrize("name", [*alike_ends._SESSION, *alike_ends._CONVERSATION])
def test_what_is_not_compared_is_not_read(name: str, cast: Cast, later: Later, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a rule needs a column that need not be equal in those that are alike, they are left to others."""
    if name == "tenant_id":
        pytest.skip("their tenant is read by it")
    chats = robots(cast, 4)
    for chat in chats:
        chat.says()
    later(LONG)
    for names in ("_SESSION", "_CONVERSATION"):
        kept = tuple(own for own in getattr(alike_ends, names) if own != name)
        monkeypatch.setattr(alike_ends, names, kept)
    assert end_alike(ids(chats), loop=sweep.LOOP) == set()


# --- Mutants: what these tests are for, is noticed ----------------------------------------------------------------


def without(model: type[Model], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether there is a row of this model is not asked."""

    def exists(rows: QuerySet[Any]) -> Exists:
        return Exists(rows.none() if rows.model is model else rows)

    monkeypatch.setattr(alike_ends, "Exists", exists)


def not_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another session of the conversation is not seen."""
    real = alike_ends._OPEN_SESSIONS.build
    newest = lambda locked, now: real(locked, now).filter(kind="AUTO_BARGAIN")  # noqa: E731
    monkeypatch.setattr(alike_ends._OPEN_SESSIONS, "build", newest)


MUTANTS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "flows": lambda patch: without(GuidedFlow, patch),
    "participants": lambda patch: without(Participant, patch),
    "others": not_alone,
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_condition_that_is_left_out_is_noticed(
    mutant: str, cast: Cast, chats: dict[str, Chat], moment: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = left_by(lambda: by_verbs(places(chats), cast))
    MUTANTS[mutant](monkeypatch)
    assert left_by(lambda: by_examples(chats, cast)) != expected


@pytest.mark.parametrize("name", ["epoch", "unanswered_since", "last_activity_at", "chain"])
def test_a_value_of_another_row_is_noticed(
    name: str, cast: Cast, chats: dict[str, Chat], moment: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that are alike get what the first one of them has."""
    expected = left_by(lambda: by_verbs(places(chats), cast))
    real = alike_ends._prepared

    def prepared(rows: Any, end: Any, now: datetime) -> Any:
        return real([row._replace(**{name: getattr(rows[0], name)}) for row in rows], end, now)

    monkeypatch.setattr(alike_ends, "_prepared", prepared)
    assert left_by(lambda: by_examples(chats, cast)) != expected
