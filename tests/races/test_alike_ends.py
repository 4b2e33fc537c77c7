"""Silent sessions that are alike end in transactions at once, each once, and nobody else has their conversations meanwhile."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from config import bulk_readings, clock
from config.db import lock_free_rows
from messaging_app.models import Conversation, Operation
from sessions_app.actions import alike_ends, lifecycle, sweep
from sessions_app.models import ChatSession
from sessions_app.states import Status
from tests.races.cast import Cast
from tests.races.test_contention import at_once, cast

__all__ = ["cast"]

pytestmark = [pytest.mark.races, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def silent(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Conversations whose sessions should have ended; two that are alike are enough, and four are done at once."""
    monkeypatch.setattr(alike_ends, "FEW", 1)
    monkeypatch.setattr(alike_ends, "AT_ONCE", 4)
    for conversation_id in cast.conversations:
        lifecycle.open_session(actor=cast.bots[0], conversation_id=conversation_id, robot=True)
    clock.offset += timedelta(days=40)
    return list(cast.conversations)


def test_each_is_ended_once_however_many_sweep_at_once(silent: list[int]) -> None:
    done = at_once([lambda: alike_ends.end_alike(silent, loop=sweep.LOOP) for _ in range(3)])
    ended = ChatSession.objects.filter(conversation__in=silent, status=Status.TIMEOUT)
    recorded = Operation.objects.filter(conversation__in=silent, type="session.timed_out")
    assert ended.count() == recorded.count() == sum(map(len, done))
    while left := set(silent) - set(ended.values_list("conversation_id", flat=True)):
        assert alike_ends.end_alike([*left], loop=sweep.LOOP) or sweep.sweep_due(), "who held it has gone"
    assert recorded.count() == len(silent)


@pytest.mark.parametrize("is_locked", [True, False])
def test_nobody_else_has_the_conversations_meanwhile(
    is_locked: bool, silent: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And without the lock, others would: so this is noticed if it is forgotten."""
    free: list[int] = []
    lockable, store = alike_ends._LOCKED.build, alike_ends._store

    def look() -> None:
        with transaction.atomic():
            free.extend(row.pk for row in lock_free_rows(Conversation.objects.filter(pk__in=silent[:4])))

    def store_later(*given: Any) -> None:
        at_once([look])
        store(*given)

    def not_locked(*given: Any) -> Any:
        rows = lockable(*given)
        rows.query.select_for_update = False
        return rows

    monkeypatch.setattr(alike_ends, "_store", store_later)
    if not is_locked:
        monkeypatch.setattr(alike_ends, "_LOCKED", bulk_readings.BulkReading(not_locked, [0], ""))
    assert alike_ends.end_alike(silent[:4], loop=sweep.LOOP) == set(silent[:4])
    assert free == ([] if is_locked else silent[:4])
