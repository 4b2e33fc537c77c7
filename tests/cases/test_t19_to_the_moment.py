"""T19: a deadline fires at its very moment, and not a microsecond before: what looks for it and what applies it agree.

With `<` for `<=` in either, a conversation would be found and not settled, or settled and never found: a test that moves
the clock by seconds does not see it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from config import clock
from sessions_app.actions import flows, sweep
from sessions_app.models import ChatSession, GuidedFlow, SlaClock, Transfer
from sessions_app.states import FlowStatus
from sessions_app.unit import unit_of_work
from tests.cast import Chat
from tests.office import HOUR, levels

MICROSECOND = timedelta(microseconds=1)


def _robot(chat: Chat) -> None:
    chat.robot()


def _asked(chat: Chat) -> None:
    """The customer waits for a bot that has promised an answer."""
    chat.cast.change("bargain", turn_timeout=60)
    chat.robot()
    chat.says()


def _queue(chat: Chat) -> None:
    chat.queue()


def _offered(chat: Chat) -> None:
    chat.cast.policy(assignment="push")
    chat.queue()
    assert chat.pending.offered_to_id


def _flow(chat: Chat) -> None:
    chat.robot()
    flows.open_flow(actor=chat.cast.bargain, trigger_id="t", question="Which size?", conversation_id=chat.id)


def _rerunning(chat: Chat) -> None:
    _flow(chat)
    GuidedFlow.objects.update(status=FlowStatus.RERUNNING)


def _promised(chat: Chat) -> None:
    levels(chat.cast, first_response=HOUR)
    chat.queue()


DEADLINES: tuple[tuple[Callable[[Chat], None], Any, str], ...] = (
    (_robot, ChatSession, "expires_at"),
    (_asked, ChatSession, "reply_due_at"),
    (_queue, Transfer, "deadline"),
    (_offered, Transfer, "offer_expires_at"),
    (_flow, GuidedFlow, "expires_at"),
    (_rerunning, GuidedFlow, "lease_until"),
    (_promised, SlaClock, "wakes_at"),
)


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Let it be exactly this moment, for whoever looks and for whoever has locked the conversation."""
    lock_conversation = unit_of_work.lock_conversation  # type: ignore[attr-defined]

    def stand_at(moment: datetime) -> None:
        def lock(*args: Any, **kwargs: Any) -> Any:
            taken = lock_conversation(*args, **kwargs)
            taken.now = moment
            return taken

        monkeypatch.setattr(clock, "now", lambda: moment)
        monkeypatch.setattr(unit_of_work, "lock_conversation", lock)

    return stand_at


@pytest.mark.parametrize(
    ("prepare", "model", "column"), DEADLINES, ids=[f"{model.__name__}.{name}" for _, model, name in DEADLINES]
)
def test_t19_a_deadline_fires_at_its_moment_and_not_before(
    prepare: Callable[[Chat], None], model: Any, column: str, chat: Chat, at: Callable[[datetime], None]
) -> None:
    prepare(chat)
    moment = clock.now() + timedelta(seconds=10)
    assert model.objects.update(**{column: moment}) == 1
    mine = (chat.cast.tenant.pk, chat.id)

    at(moment - MICROSECOND)
    seq = chat.row.seq
    assert mine not in sweep.due()
    chat.sweep()
    assert chat.row.seq == seq, "not before"

    at(moment)
    assert mine in sweep.due(), "whoever looks finds it"
    sweep.sweep_due()
    assert chat.row.seq > seq, "and it has been applied"
    assert mine not in sweep.due()
