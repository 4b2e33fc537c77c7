"""Earlier requests of a session: whatever has to ask for a human once more asks for the same.

A transfer ends with a pause, or with the agent who took it; the customer's wish does not. So the team, the skills and
the reasons are taken from the requests since the session last went from a bot to people.
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
"""The triggers of requests that the system repeats: the reason that it gives for them is not the customer's."""


@dataclass(frozen=True, slots=True)
class EarlierRequests:
    """What the earlier requests asked for; empty where there were none."""

    to_team: Team | None = None
    to_agent: Agent | None = None  # if that agent can still be asked
    needs: Skills = field(default_factory=dict)
    reasons: list[dict[str, str]] = field(default_factory=list)  # as a package keeps them, oldest first


def earlier_requests(session: ChatSession, *, handover: Transfer | None = None) -> EarlierRequests:
    """The team and agent of the newest request, the newest skills that were named, and all reasons.

    A handover counts only if it was accepted; `handover` is a pending one that counts as well.
    """
    requests = list(_requests(session, handover))
    if not requests:
        return EarlierRequests()
    agent = requests[0].to_agent
    return EarlierRequests(
        to_team=requests[0].to_team,
        to_agent=agent if agent and agent.is_active and not agent.is_drained else None,
        needs=next((transfer.needs for transfer in requests if transfer.needs), {}),
        reasons=_reasons(reversed(requests)),
    )


def _requests(session: ChatSession, handover: Transfer | None) -> Iterator[Transfer]:
    """Back to the escalation that first asked for people, the newest first. What a bot got back is over."""
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


def _reasons(requests: Iterator[Transfer]) -> list[dict[str, str]]:
    reasons: dict[tuple[str, str, str], dict[str, Any]] = {}
    for transfer in requests:
        package = readable(transfer.context)
        by, reason = package.get("reason_by", ""), package.get("reason", "")
        is_own = by == ActorKind.SYSTEM and transfer.trigger in _BY_ITSELF
        given = [{"by": by, "reason": reason, "at": utc(transfer.requested_at)}] if reason and not is_own else []
        for entry in (*given, *package.get("reasons", [])):
            reasons.setdefault((entry["by"], entry["reason"], entry["at"]), entry)
    return list(reasons.values())
