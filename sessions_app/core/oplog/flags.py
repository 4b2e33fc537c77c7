"""The flag that a human is needed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from messaging_app.models import Conversation
from sessions_app.core.locked_conversation import LockedConversation

SERVED, TAKEN_UP, ANSWERED = "a human serves", "somebody has the turn again", "the customer was answered"
"""Why a flag was cleared although nobody cleared it."""


def flag(locked: LockedConversation, need: dict[str, Any], *, waiting_since: datetime | None = None) -> None:
    """Mark the conversation as needing a human, with the evidence in `need`. Does nothing while a human serves it.

    With `waiting_since` its waiting clock counts from then, unless it has run for longer already.
    """
    conversation: Conversation = locked.conversation
    if conversation.needs_human and conversation.need == need:
        return
    if locked.live and locked.live.is_human_served:
        return
    conversation.needs_human, conversation.need = True, need
    data = {k: v for k, v in need.items() if k != "evidence"}
    if waiting_since:
        since = conversation.waiting_since = min(conversation.waiting_since or waiting_since, waiting_since)
        data["waiting_since"] = since.isoformat(timespec="microseconds")
    locked.record("attention.raised", locked.live, **data)


def unflag(locked: LockedConversation, reason: str) -> None:
    """Clear the flag: a human has looked at the conversation, or nobody has to any more."""
    if locked.conversation.needs_human:
        locked.conversation.needs_human, locked.conversation.need = False, {}
        locked.record("attention.cleared", locked.live, reason=reason)


def set_aside(locked: LockedConversation, reason: str) -> None:
    """Record that somebody decided that the customer's words want no answer; the flag is cleared too."""
    if locked.conversation.needs_human or locked.conversation.unanswered_since:
        locked.conversation.needs_human, locked.conversation.need = False, {}
        locked.record("attention.cleared", locked.live, reason=reason, set_aside=True)
