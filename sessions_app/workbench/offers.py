"""What is offered to the agent who looks, as cards: who it is, why, what the bot knows, and how long there is to answer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from messaging_app.models import Tier
from sessions_app.core.context_package import Said, entries
from sessions_app.queries import ConversationRow, Move
from sessions_app.states import Priority
from sessions_app.workbench import presenters, task_state, wording

LINES = 2
"""Of the context package: enough to decide whether to accept; the rest is in the side panel."""
LONG = 200


@dataclass(slots=True)
class OfferShown:
    """`left` of `whole` seconds remain; neither where the answer may come at any time."""

    row: ConversationRow
    move: Move
    face: presenters.RowShown
    why: str
    urgency: str
    lines: list[tuple[str, str, task_state.TaskStateLine | None]]
    sender: str = ""
    left: int | None = None
    whole: int = 0
    told: str = ""  # read out once


def cards(offers: Iterable[ConversationRow], now: datetime) -> list[OfferShown]:
    return [_card(row, row.asked, now) for row in offers if row.asked]


def _card(row: ConversationRow, move: Move, now: datetime) -> OfferShown:
    face = presenters.row_shown(row)
    card = OfferShown(
        row=row,
        move=move,
        face=face,
        why=presenters.why_asked(move),
        urgency=wording.priority(_urgency(row, move)),
        lines=_told_once(package_lines(move.context, row.conversation.last_text, move.from_name)[:LINES]),
        sender=move.from_name,
    )
    if row.offered_until:
        card.left = max(0, round((row.offered_until - now).total_seconds()))
        card.whole = max(card.left, _patience(move))
    card.told = _told(card)
    return card


def _urgency(row: ConversationRow, move: Move) -> int | None:
    """An emergency is one, whoever called it so; else what the package says, or what the session has."""
    if row.conversation.tier == Tier.EMERGENCY:
        return Priority.EMERGENCY
    told = move.context.get("urgency")
    if isinstance(told, int):
        return told
    return row.session.priority if row.session else None


def _patience(move: Move) -> int:
    """How many seconds the agent was given."""
    if move.offer_expires_at is None:
        return round((move.deadline - move.requested_at).total_seconds()) if move.deadline else 0
    return move.patience


def _told(card: OfferShown) -> str:
    told = {"who": card.row.conversation.title, "why": card.why}
    text = _("Offered to you: %(who)s. %(why)s.") if card.why else _("Offered to you: %(who)s.")
    if card.left is None:
        return text % told
    left = ngettext("%(count)s second to answer.", "%(count)s seconds to answer.", card.left) % {"count": card.left}
    return f"{text % told} {left}"


def package_lines(
    package: dict[str, Any], last_text: str, sender: str = ""
) -> list[tuple[str, str, task_state.TaskStateLine | None]]:
    """The lines of a context package with a name each, what helps most to decide first; and with who said it and when,
    where that was not whoever asks: the card names the sender already."""
    told = list(entries(package))
    texts = {part: [one for one in told if one.part == part] for part in ("suggestion", "promises", "task_state")}
    known = [f"{one.name}: {one.value}" for one in texts["task_state"] if isinstance(one.value, str | int | float)]
    spoken = [m for m in package.get("messages") or () if m.get("sender_type") == "customer" and m.get("content")]
    lines = [
        (_("Suggestion"), ", ".join(one.value for one in texts["suggestion"]), _by(texts["suggestion"], sender)),
        (_("Promised"), ", ".join(one.value for one in texts["promises"]), _by(texts["promises"], sender)),
        (_("Customer"), spoken[-1]["content"] if spoken else last_text, None),
        (_("Task"), ", ".join(known), _by(texts["task_state"], sender)),
    ]
    return [(name, text[:LONG], by) for name, text, by in lines if text]


def _told_once(
    lines: list[tuple[str, str, task_state.TaskStateLine | None]],
) -> list[tuple[str, str, task_state.TaskStateLine | None]]:
    """Where the next line was said by the same at the same time, that one tells it for both."""
    following = [*(by for _, _, by in lines), None][1:]
    return [(name, text, None if by == after else by) for (name, text, by), after in zip(lines, following, strict=True)]


def _by(told: list[Said], sender: str) -> task_state.TaskStateLine | None:
    """Who said it; and when, where that was one of them at one time."""
    names = list(dict.fromkeys(wording.said_by(one.by, one.who) for one in told if one.by))
    if all(one.who == sender for one in told if one.by):
        return None
    times = {one.at for one in told}
    return task_state.TaskStateLine("", by=", ".join(names), at=times.pop() if len(times) == 1 else None)
