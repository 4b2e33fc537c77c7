"""The offers to the agent who looks, as cards: the customer, the reason, what the bot knows, the time to answer."""

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
"""Lines of the context package on a card: enough to decide whether to accept. The rest is in the side panel."""
LONG = 200
"""Characters of such a line; the rest is cut."""


@dataclass(slots=True)
class OfferShown:
    """A card. `left` of `whole` seconds remain to answer; without a deadline, `left` is None and `whole` is 0."""

    row: ConversationRow
    move: Move
    face: presenters.RowShown
    why: str
    urgency: str
    lines: list[tuple[str, str, task_state.TaskStateLine | None]]
    sender: str = ""
    left: int | None = None
    whole: int = 0
    announcement: str = ""  # read out once


def cards(offers: Iterable[ConversationRow], now: datetime) -> list[OfferShown]:
    return [_card(row, row.pending, now) for row in offers if row.pending]


def _card(row: ConversationRow, move: Move, now: datetime) -> OfferShown:
    face = presenters.row_shown(row)
    card = OfferShown(
        row=row,
        move=move,
        face=face,
        why=presenters.why_asked(move),
        urgency=wording.priority(_urgency(row, move)),
        lines=_without_repeats(package_lines(move.context, row.conversation.last_text, move.from_name)[:LINES]),
        sender=move.from_name,
    )
    if row.offered_until:
        card.left = max(0, round((row.offered_until - now).total_seconds()))
        card.whole = max(card.left, _patience(move))
    card.announcement = _announcement(card)
    return card


def _urgency(row: ConversationRow, move: Move) -> int | None:
    """The priority to show: an emergency by the conversation's tier, else the package's urgency, else the session's."""
    if row.conversation.tier == Tier.EMERGENCY:
        return Priority.EMERGENCY
    urgency = move.context.get("urgency")
    if isinstance(urgency, int):
        return urgency
    return row.session.priority if row.session else None


def _patience(move: Move) -> int:
    """The seconds that the agent was given to answer, from the beginning."""
    if move.offer_expires_at is None:
        return round((move.deadline - move.requested_at).total_seconds()) if move.deadline else 0
    return move.patience


def _announcement(card: OfferShown) -> str:
    params = {"who": card.row.conversation.title, "why": card.why}
    text = _("Offered to you: %(who)s. %(why)s.") if card.why else _("Offered to you: %(who)s.")
    if card.left is None:
        return text % params
    left = ngettext("%(count)s second to answer.", "%(count)s seconds to answer.", card.left) % {"count": card.left}
    return f"{text % params} {left}"


def package_lines(
    package: dict[str, Any], last_text: str, sender: str = ""
) -> list[tuple[str, str, task_state.TaskStateLine | None]]:
    """The lines of a context package as (name, text, attribution), the most helpful for the decision first.

    The attribution is None for what `sender` said, because the card names them already.
    """
    said = list(entries(package))
    parts = {part: [entry for entry in said if entry.part == part] for part in ("suggestion", "promises", "task_state")}
    task = [
        f"{entry.name}: {entry.value}" for entry in parts["task_state"] if isinstance(entry.value, str | int | float)
    ]
    spoken = [m for m in package.get("messages") or () if m.get("sender_type") == "customer" and m.get("content")]
    lines = [
        (
            _("Suggestion"),
            ", ".join(entry.value for entry in parts["suggestion"]),
            _attribution(parts["suggestion"], sender),
        ),
        (_("Promised"), ", ".join(entry.value for entry in parts["promises"]), _attribution(parts["promises"], sender)),
        (_("Customer"), spoken[-1]["content"] if spoken else last_text, None),
        (_("Task"), ", ".join(task), _attribution(parts["task_state"], sender)),
    ]
    return [(name, text[:LONG], by) for name, text, by in lines if text]


def _without_repeats(
    lines: list[tuple[str, str, task_state.TaskStateLine | None]],
) -> list[tuple[str, str, task_state.TaskStateLine | None]]:
    """Drop the attribution of a line where the next line has the same: it is shown once, below both."""
    following = [*(by for _, _, by in lines), None][1:]
    return [(name, text, None if by == after else by) for (name, text, by), after in zip(lines, following, strict=True)]


def _attribution(said: list[Said], sender: str) -> task_state.TaskStateLine | None:
    """Who said these, and when if that was at one time; None where the sender said all of them."""
    names = list(dict.fromkeys(wording.said_by(entry.by, entry.who) for entry in said if entry.by))
    if all(entry.who == sender for entry in said if entry.by):
        return None
    times = {entry.at for entry in said}
    return task_state.TaskStateLine("", by=", ".join(names), at=times.pop() if len(times) == 1 else None)
