"""What is offered to the agent who looks, as cards: who it is, why, what the bot knows, and how long there is to answer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from messaging_app.models import Tier
from sessions_app.queries import Move, Row
from sessions_app.states import Priority
from sessions_app.workbench import shown, wording

LINES = 2
"""Of the context package: enough to decide whether to accept; the rest is in the side panel."""
LONG = 200


@dataclass(slots=True)
class OfferShown:
    """`left` of `whole` seconds remain; neither where the answer may come at any time."""

    row: Row
    move: Move
    face: shown.RowShown
    why: str
    urgency: str
    lines: list[tuple[str, str]]
    sender: str = ""
    left: int | None = None
    whole: int = 0
    told: str = ""  # read out once


def cards(offers: Iterable[Row], now: datetime) -> list[OfferShown]:
    return [_card(row, row.asked, now) for row in offers if row.asked]


def _card(row: Row, move: Move, now: datetime) -> OfferShown:
    face = shown.row_shown(row)
    card = OfferShown(
        row=row,
        move=move,
        face=face,
        why=shown.why_asked(move),
        urgency=wording.priority(_urgency(row, move)),
        lines=package_lines(move.context, row.conversation.last_text)[:LINES],
        sender=move.from_name,
    )
    if row.offered_until:
        card.left = max(0, round((row.offered_until - now).total_seconds()))
        card.whole = max(card.left, _patience(move))
    card.told = _told(card)
    return card


def _urgency(row: Row, move: Move) -> int | None:
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
    patience: int = settings.TANDEM["OFFER_TIMEOUT"] if move.patience is None else move.patience
    return patience


def _told(card: OfferShown) -> str:
    told = {"who": card.row.conversation.title, "why": card.why}
    text = _("Offered to you: %(who)s. %(why)s.") if card.why else _("Offered to you: %(who)s.")
    if card.left is None:
        return text % told
    left = ngettext("%(count)s second to answer.", "%(count)s seconds to answer.", card.left) % {"count": card.left}
    return f"{text % told} {left}"


def package_lines(package: dict[str, Any], last_text: str) -> list[tuple[str, str]]:
    """The lines of a context package with a name each, what helps most to decide first."""
    promises = [str(one) for one in package.get("promises") or ()]
    state = package.get("task_state") or {}
    known = [f"{name}: {value}" for name, value in state.items() if isinstance(value, str | int | float)]
    said = [m for m in package.get("messages") or () if m.get("sender_type") == "customer" and m.get("content")]
    lines = [
        (_("Suggestion"), str(package.get("suggestion") or "")),
        (_("Promised"), ", ".join(promises)),
        (_("Customer"), said[-1]["content"] if said else last_text),
        (_("Task"), ", ".join(known)),
    ]
    return [(name, text[:LONG]) for name, text in lines if text]
