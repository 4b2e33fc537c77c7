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
"""Agents that a transfer offers."""


def _to(form: dict[str, Any]) -> dict[str, Any]:
    """The agent or team that was chosen; neither for the queue. Raises `Malformed`."""
    kind, _colon, pk = form["to"].partition(":")
    if kind == "queue" and not pk:
        return {"to_agent_id": None, "to_team_id": None}
    if kind not in ("agent", "team") or not (pk.isascii() and pk.isdigit() and len(pk) <= limits.MAX_DIGITS):
        raise Malformed(_("Choose to whom it should go."))
    return {f"to_{kind}_id": int(pk)}


def _transfer(*, actor: Actor, conversation_id: int, form: dict[str, Any]) -> Outcome:
    """From the human who serves: to a colleague or team, who must accept it; or, by a supervisor, back to the queue."""
    to = _to(form)
    if form["to"] == "queue":
        return takeovers.reassign(actor=actor, conversation_id=conversation_id, reason=form["reason"])
    return transfers.hand_over(
        actor=actor, conversation_id=conversation_id, reason=form["reason"], expected_epoch=form["epoch"], **to
    )


def _escalate(*, actor: Actor, conversation_id: int, form: dict[str, Any]) -> Outcome:
    """From the bot."""
    return transfers.request_transfer(
        actor=actor, conversation_id=conversation_id, reason=form["reason"], expected_epoch=form["epoch"], **_to(form)
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
    """To whom a conversation could go now, for the form that asks. Without a `verb` to nobody."""

    verb: str = ""
    queue: str = ""  # what the queue is called here; empty where it does not go there
    there: list[Agent] = field(default_factory=list)  # available now
    away: list[Agent] = field(default_factory=list)
    teams: list[tuple[int, str]] = field(default_factory=list)


def recipients(actor: Actor, live: ChatSession | None) -> Recipients:
    """Colleagues with their load, those who are there first, and teams. A reading: the verb asks again under the lock."""
    if live is None or live.owner_kind not in (Owner.AGENT, Owner.BOT):
        return Recipients()
    found = Recipients("escalate" if live.owner_kind == Owner.BOT else "transfer")
    if found.verb == "escalate":
        found.queue = _("The queue: whoever is free")
    elif actor.is_supervisor:  # who takes it from an agent without asking anybody
        found.queue = _("The queue, at once")
    askable = queries.agents(actor).filter(is_drained=False)
    agents: Any = askable.prefetch_related(None).exclude(pk=live.agent_id or 0).order_by("name", "pk")
    for agent in agents[:RECIPIENTS_MOST]:
        (found.there if agent.is_reachable else found.away).append(agent)
    teams = queries.teams(actor).select_related(None).prefetch_related(None).order_by("name", "pk")
    found.teams = list(teams.values_list("pk", "name"))
    return found
