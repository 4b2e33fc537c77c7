"""What was asked for a session before: whatever has to ask for it once more asks for the same.

A transfer ends with a pause, or with the agent who took it; the customer's wish does not. So the team, the skills and the
reasons that were given are those of the requests since the session last went from a bot to people.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from agents_app.actors import ActorKind
from agents_app.models import Agent, Team
from agents_app.skills import Skills
from config.clock import utc
from sessions_app.models import ChatSession, Transfer
from sessions_app.models.stored_package import readable
from sessions_app.states import TransferKind, TransferStatus

_BY_ITSELF = ("resume", "absence", "departure", "no_reply")
"""The triggers of what is asked for once more: the reason that the system gives says nothing of the customer's."""


@dataclass(frozen=True, slots=True)
class AskedBefore:
    to_team: Team | None = None
    to_agent: Agent | None = None  # if that agent can still be asked
    needs: Skills = field(default_factory=dict)
    reasons: list[dict[str, str]] = field(default_factory=list)  # as a package keeps them, oldest first


def asked_before(session: ChatSession, *, handover: Transfer | None = None) -> AskedBefore:
    """Of the newest request; the newest skills that were named; all reasons. `handover` is one that nobody has answered yet.

    A handover that nobody accepted was never so, unless it is this one.
    """
    asked = list(_requests(session, handover))
    if not asked:
        return AskedBefore()
    agent = asked[0].to_agent
    return AskedBefore(
        to_team=asked[0].to_team,
        to_agent=agent if agent and agent.is_active and not agent.is_drained else None,
        needs=next((transfer.needs for transfer in asked if transfer.needs), {}),
        reasons=_reasons(reversed(asked)),
    )


def _requests(session: ChatSession, handover: Transfer | None) -> Iterator[Transfer]:
    """Back to the escalation by which people were asked; the newest first. What a bot got back is over."""
    for transfer in session.transfers.select_related("to_team", "to_agent").order_by("-pk"):
        if transfer.kind == TransferKind.RETURN:
            return
        is_agreed = transfer.status == TransferStatus.ACCEPTED or (handover and transfer.pk == handover.pk)
        if transfer.kind in (TransferKind.ESCALATION, TransferKind.REASSIGNMENT) or (
            transfer.kind == TransferKind.HANDOVER and is_agreed
        ):
            yield transfer
        if transfer.kind == TransferKind.ESCALATION:
            return


def _reasons(asked: Iterator[Transfer]) -> list[dict[str, str]]:
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for transfer in asked:
        package = readable(transfer.context)
        by, reason = package.get("reason_by", ""), package.get("reason", "")
        is_own = by == ActorKind.SYSTEM and transfer.trigger in _BY_ITSELF
        given = [{"by": by, "reason": reason, "at": utc(transfer.requested_at)}] if reason and not is_own else []
        for one in (*given, *package.get("reasons", [])):
            found.setdefault((one["by"], one["reason"], one["at"]), one)
    return list(found.values())
