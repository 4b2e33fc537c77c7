"""What is due on a conversation, and what follows at the end of every verb, in memory: for whoever stores many at a time."""

from __future__ import annotations

from typing import Any, NoReturn

from django.db import connection, transaction

from config import statements
from messaging_app import stream
from sessions_app import assignment
from sessions_app.core.locked_conversation import LockedConversation
from sessions_app.models import ChatSession
from sessions_app.promises import reply_deadlines, sla
from sessions_app.unit.settle import settle
from sessions_app.unit.timers import apply_due


class _Asks(Exception):
    """The functions of a verb have asked the database."""


def _refuse(*args: Any) -> NoReturn:
    raise _Asks


def is_ended(locked: LockedConversation) -> bool:
    """Apply what is due, by the same functions and in the same order as the end of every verb (`unit_of_work`).

    False where that is left to the verb: nothing is due, or more has to be asked or done.
    """
    try:
        with connection.execute_wrapper(_refuse), statements.held_back(ChatSession):
            if not apply_due(locked):
                return False
            settle(locked)
            reply_deadlines.follow(locked)
            is_left = assignment.offer(locked)
            sla.follow(locked)
    except _Asks:
        transaction.set_rollback(False)  # it was not sent: the transaction is whole
        return False
    stream.seal(locked.conversation, locked.operations)
    return not (is_left or locked.sessions)
