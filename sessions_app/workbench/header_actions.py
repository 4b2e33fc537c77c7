"""The verbs behind the header's menu: to whom the turn goes, pausing it, and the marks on a conversation.

Each takes what the browser sent and calls one verb.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.utils.translation import gettext as _

from agents_app.actors import Actor
from agents_app.models import Agent
from config import limits
from config.errors import Malformed
from sessions_app import queries
from sessions_app.actions import conversations as marks
from sessions_app.actions import lifecycle, takeovers, transfers
from sessions_app.core.locked_conversation import Outcome
from sessions_app.models import ChatSession
from sessions_app.states import Owner

RECIPIENTS_MOST = 200
"""Agents listed in the transfer form, at most."""


def _target(form: dict[str, Any]) -> dict[str, Any]:
    """The chosen agent or team as the verb's arguments; both None for the queue. Raises `Malformed`."""
    kind, _colon, pk = form["to"].partition(":")
    if kind == "queue" and not pk:
        return {"to_agent_id": None, "to_team_id": None}
    if kind not in ("agent", "team") or not (pk.isascii() and pk.isdigit() and len(pk) <= limits.MAX_DIGITS):
        raise Malformed(_("Choose to whom it should go."))
    return {f"to_{kind}_id": int(pk)}


def _transfer(*, actor: Actor, conversation_id: int, form: dict[str, Any]) -> Outcome:
    """Hand over from the human who serves to a colleague or team, who must accept; to the queue, reassign at once."""
    target = _target(form)
    if form["to"] == "queue":
        return takeovers.reassign(actor=actor, conversation_id=conversation_id, reason=form["reason"])
    return transfers.hand_over(
        actor=actor, conversation_id=conversation_id, reason=form["reason"], expected_epoch=form["epoch"], **target
    )


def _escalate(*, actor: Actor, conversation_id: int, form: dict[str, Any]) -> Outcome:
    """Request a transfer from the bot that serves."""
    return transfers.request_transfer(
        actor=actor,
        conversation_id=conversation_id,
        reason=form["reason"],
        expected_epoch=form["epoch"],
        **_target(form),
    )


def _withdraw(*, actor: Actor, conversation_id: int, form: dict[str, Any]) -> Outcome:
    if not form["transfer"]:
        raise Malformed("Nothing was named to withdraw.")
    return transfers.withdraw_transfer(actor=actor, transfer_id=form["transfer"], reason=form["reason"])


def _pause(*, actor: Actor, conversation_id: int, form: dict[str, Any]) -> Outcome:
    return lifecycle.pause_session(
        actor=actor, session_id=form["session"] or 0, reason=form["reason"], expected_epoch=form["epoch"]
    )


def _resume(*, actor: Actor, conversation_id: int, form: dict[str, Any]) -> Outcome:
    return lifecycle.resume_session(actor=actor, session_id=form["session"] or 0)


def _mark(verb: Callable[..., Outcome], *, actor: Actor, conversation_id: int, form: dict[str, Any]) -> Outcome:
    return verb(actor=actor, conversation_id=conversation_id)


VERBS: dict[str, Callable[..., Outcome]] = {
    "transfer": _transfer,
    "escalate": _escalate,
    "withdraw": _withdraw,
    "pause": _pause,
    "resume": _resume,
    "pin": partial(_mark, marks.pin),
    "unpin": partial(_mark, marks.unpin),
    "todo": partial(_mark, marks.todo),
    "untodo": partial(_mark, marks.untodo),
    "mark-urgent": partial(_mark, marks.mark_urgent),
    "unmark-urgent": partial(_mark, marks.unmark_urgent),
}


# --- To whom -----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Recipients:
    """To whom a conversation could go now, for the transfer form. Without a `verb` it cannot go to anybody."""

    verb: str = ""
    queue: str = ""  # its label; empty where the queue is no choice
    there: list[Agent] = field(default_factory=list)  # available now
    away: list[Agent] = field(default_factory=list)
    teams: list[tuple[int, str]] = field(default_factory=list)


def recipients(actor: Actor, live: ChatSession | None) -> Recipients:
    """The choices of the transfer form: available colleagues, others, teams. The verb checks again under the lock."""
    if live is None or live.owner_kind not in (Owner.AGENT, Owner.BOT):
        return Recipients()
    recipients = Recipients("escalate" if live.owner_kind == Owner.BOT else "transfer")
    if recipients.verb == "escalate":
        recipients.queue = _("The queue: whoever is free")
    elif actor.is_supervisor:  # reassigns it without the agent's consent
        recipients.queue = _("The queue, at once")
    candidates = queries.agents(actor).filter(is_drained=False)
    agents: Any = candidates.prefetch_related(None).exclude(pk=live.agent_id or 0).order_by("name", "pk")
    for agent in agents[:RECIPIENTS_MOST]:
        (recipients.there if agent.is_reachable else recipients.away).append(agent)
    teams = queries.teams(actor).select_related(None).prefetch_related(None).order_by("name", "pk")
    recipients.teams = list(teams.values_list("pk", "name"))
    return recipients
