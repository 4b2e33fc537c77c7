"""Protections, each taken out by patching a worker after it is forked. What no test misses is not protected by a test.

The database's own constraints stand behind most of them; where a constraint would catch the mutant before an invariant
breaks, it surfaces as an IntegrityError, and a second mutant removes both.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from messaging_app import thread
from messaging_app.detection import Detector
from messaging_app.models import Conversation, Message, Operation
from sessions_app.actions import messages, presence, sweep
from sessions_app.core import locked_conversation
from sessions_app.core.locked_conversation import LockedConversation
from sessions_app.promises import unanswered
from sessions_app.unit import settle, timers, unit_of_work
from tests.races.player import PRESENCE_MOVES, TAKING_MOVES

_SESSION, _TRANSFER, _OPERATION = (
    "sessions_app_chatsession",
    "sessions_app_transfer",
    "messaging_app_operation",
)


@dataclass(frozen=True, slots=True)
class Mutant:
    """`taken` patches the process it runs in; `roles` says which processes; `statements` change the database before.

    It is hunted by `moves` of its own where the usual ones seldom meet it.
    """

    name: str
    taken: Callable[[], None]
    roles: tuple[str, ...] = ("worker",)
    statements: tuple[str, ...] = ()
    moves: dict[str, int] | None = None

    def apply(self, role: str) -> None:
        if role in self.roles:
            self.taken()

    def prepare_database(self) -> None:
        with connection.cursor() as cursor:
            for statement in self.statements:
                cursor.execute(statement)


def _drop(table: str, constraint: str) -> str:
    return f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {constraint}"


_NUMBERS = (
    _drop(_OPERATION, "operation_seq_once"),
    f"DROP TRIGGER IF EXISTS operation_no_gap ON {_OPERATION}",
)
_locked = locked_conversation.lock_rows  # type: ignore[attr-defined]


def _no_conversation_lock() -> None:
    def unlocked(rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows.order_by("pk") if rows.model is Conversation else _locked(rows)

    locked_conversation.lock_rows = unlocked  # type: ignore[attr-defined]


def _no_agent_lock() -> None:
    def unlocked(rows: QuerySet[Any]) -> QuerySet[Any]:
        return _locked(rows) if rows.model is Conversation else rows.order_by("pk")

    locked_conversation.lock_rows = unlocked  # type: ignore[attr-defined]


def _no_lock_for_presence() -> None:
    presence.lock_rows = lambda rows: rows.order_by("pk")  # type: ignore[attr-defined]


def _no_epoch_check() -> None:
    as_bot = messages._as_bot

    def unfenced(
        locked: LockedConversation, words: thread.NewMessage, epoch: int | None, detector: Detector
    ) -> tuple[Message, Operation]:
        return as_bot(locked, words, locked.conversation.epoch, detector)

    messages._as_bot = unfenced


def _no_fence() -> None:
    def unfenced(
        locked: LockedConversation, words: thread.NewMessage, epoch: int | None, detector: Detector
    ) -> tuple[Message, Operation]:
        return messages.append_message(locked, words, Message.Sender.BOT, session=locked.live, epoch=epoch)

    messages._as_bot = unfenced


def _verbs_leave_timers_to_the_sweeper() -> None:
    unit_of_work.apply_due = lambda locked: False  # type: ignore[attr-defined]


def _sweeper_does_not_look_again() -> None:
    """It times out what is there when it comes, because something was due when it looked: now, or a while ago."""
    due, apply_due, looked = sweep.due, unit_of_work.apply_due, set[tuple[int, int]]()  # type: ignore[attr-defined]

    def slow(*arguments: Any) -> set[tuple[int, int]]:
        for _ in range(10):  # the players apply most of what is due before it is seen
            looked.update(due(*arguments))
            time.sleep(0.02)
        return set(looked)

    def blind(locked: LockedConversation) -> bool:
        for transfer in list(locked.transfers):
            timers._time_out_transfer(locked, transfer)
        apply_due(locked)
        return False

    sweep.due, unit_of_work.apply_due = slow, blind  # type: ignore[assignment,attr-defined]


def _no_resume() -> None:
    settle._give_the_turn = lambda locked: None


def _no_repeats() -> None:
    thread.find = lambda conversation, words, *, sender_type, actor: None


def _no_look_for_a_waiting_transfer() -> None:
    LockedConversation.transfer_of = lambda self, session: None  # type: ignore[method-assign]


def _nobody_minds_who_waits() -> None:
    unanswered.update_flag = lambda locked, *, had_turn: None


CONTROL = Mutant("nothing", lambda: None)
MUTANTS = {
    mutant.name: mutant
    for mutant in (
        Mutant("conversation-lock", _no_conversation_lock),
        Mutant(
            "lock-and-constraints",
            _no_conversation_lock,
            statements=(_drop(_SESSION, "one_live_session"), *_NUMBERS, _drop(_TRANSFER, "one_pending_transfer")),
        ),
        Mutant("agent-lock", _no_agent_lock, moves=TAKING_MOVES),
        Mutant("presence-lock", _no_lock_for_presence, roles=("worker", "sweeper"), moves=PRESENCE_MOVES),
        Mutant("epoch", _no_epoch_check),
        Mutant("fence", _no_fence),
        Mutant("timers-in-verbs", _verbs_leave_timers_to_the_sweeper),
        Mutant("look-again", _sweeper_does_not_look_again, roles=("sweeper",)),
        Mutant("resume", _no_resume, roles=("worker", "sweeper")),
        Mutant("repeats", _no_repeats),
        Mutant("unanswered", _nobody_minds_who_waits),
        Mutant("pending-transfer", _no_look_for_a_waiting_transfer),
        Mutant(
            "pending-transfer-and-constraint",
            _no_look_for_a_waiting_transfer,
            statements=(_drop(_TRANSFER, "one_pending_transfer"),),
        ),
    )
}
