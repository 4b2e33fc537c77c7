"""Push assignment: a conversation in the queue is offered to one agent at a time (docs/assignment.md).

An offer is a proposal, not a reservation: accepting checks capacity under the agent's lock like every other way in. But
an open offer counts as load for other offers, and the agent's lock is held while one is made, so that nobody is offered
more than there is room for.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from agents_app import presence
from agents_app.models import Agent
from config import clock
from sessions_app.assignment import facts
from sessions_app.assignment.choice import Choice, choose
from sessions_app.assignment.teams import Teams
from sessions_app.models import AssignmentDecision, Transfer
from sessions_app.settle import load
from sessions_app.turn import Turn, seconds

FORGET_AT_ONCE = 10_000


def offer(turn: Turn) -> bool:
    """Offer what waits in this conversation to the agent whom its team's strategy names, if the team wants offers.

    True when it is left to the drain after the commit: agents are locked by rising id, and the one who fits may come
    before one that the verb holds already.
    """
    wanted = [t for t in turn.transfers if _waits_for_offers(turn, t)]
    return any(list(map(partial(_offer_one, turn), wanted)))  # all of them, not only up to the first


def _waits_for_offers(turn: Turn, transfer: Transfer) -> bool:
    is_closed = transfer.opens_at is not None and transfer.opens_at > turn.now
    if transfer.to_agent_id or transfer.offered_to_id or is_closed:
        return False
    own = transfer.to_team.assignment if transfer.to_team else ""
    return (own or turn.tenant.assignment) == turn.tenant.Assignment.PUSH


def _offer_one(turn: Turn, transfer: Transfer) -> bool:
    choice = _look(turn, transfer)
    while chosen := choice.chosen:
        if chosen.agent_id in turn.agents:
            _make(turn, transfer, choice, turn.agent(chosen.agent_id))
            return False
        if any(held > chosen.agent_id for held in turn.agents):
            return True
        turn.lock_agents(chosen.agent_id)
        choice = _look(turn, transfer)  # somebody else may have been faster while we waited for the lock
    _keep(turn, transfer, choice, None)
    return False


def _make(turn: Turn, transfer: Transfer, choice: Choice, agent: Agent) -> None:
    agent.last_offer_at = turn.now
    agent.save(update_fields=["last_offer_at"])
    transfer.offered_to = agent
    transfer.offer_expires_at = turn.now + _patience(transfer)
    transfer.save(update_fields=["offered_to", "offer_expires_at"])
    decision = _keep(turn, transfer, choice, agent)
    turn.record(
        "transfer.offered",
        transfer.session,
        transfer_id=transfer.pk,
        agent_id=agent.pk,
        strategy=choice.case.strategy,
        decision_id=decision.pk,
        expires_at=transfer.offer_expires_at.isoformat(timespec="microseconds"),
    )


def _patience(transfer: Transfer) -> timedelta:
    own = transfer.to_team.offer_timeout if transfer.to_team else None
    return seconds("OFFER_TIMEOUT") if own is None else timedelta(seconds=own)


def _look(turn: Turn, transfer: Transfer) -> Choice:
    tenant_id = turn.conversation.tenant_id
    [case] = facts.cases([transfer], Teams.of(tenant_id), turn.now)
    return choose(case, facts.candidates(tenant_id, turn.now, strategies=[case.strategy]))


def _keep(turn: Turn, transfer: Transfer, choice: Choice, agent: Agent | None) -> AssignmentDecision:
    """Keep why. The same decision for nobody is kept once."""
    why = _why(transfer, choice) if agent else choice.case.obstacle or "nobody fits"
    told = {word: [list(row) for row in rows] for word, rows in choice.verdicts.items()}
    if agent is None:
        last = transfer.decisions.order_by("-pk").first()
        if last and last.chosen_id is None and (last.why, last.candidates) == (why, told):
            return last
    return AssignmentDecision.objects.create(
        tenant_id=transfer.tenant_id,
        transfer=transfer,
        at=turn.now,
        strategy=choice.case.strategy,
        chosen=agent,
        why=why,
        candidates=told,
    )


def _why(transfer: Transfer, choice: Choice) -> str:
    chosen = choice.chosen
    own = transfer.to_team_id is None or (chosen is not None and transfer.to_team_id in chosen.weights)
    return choice.case.strategy if own else f"{choice.case.strategy}, overflow"


def refuse(turn: Turn, transfer: Transfer, *, reason: str) -> None:
    """The agent it was offered to is passed over; the next one is offered it at the end of the verb."""
    agent_id = transfer.offered_to_id
    transfer.refused_by = [*transfer.refused_by, agent_id]
    _take_back(transfer)
    turn.record("transfer.offer_refused", transfer.session, transfer_id=transfer.pk, agent_id=agent_id, reason=reason)


def withdraw_offer(turn: Turn, transfer: Transfer, *, reason: str) -> None:
    """The agent it was offered to cannot take it any more, and may be asked again later."""
    agent_id = transfer.offered_to_id
    _take_back(transfer)
    turn.record("transfer.offer_withdrawn", transfer.session, transfer_id=transfer.pk, agent_id=agent_id, reason=reason)


def _take_back(transfer: Transfer) -> None:
    transfer.offered_to = transfer.offer_expires_at = None
    transfer.save(update_fields=["refused_by", "offered_to", "offer_expires_at"])


def is_lapsed(turn: Turn, transfer: Transfer) -> bool:
    """Whether an open offer cannot be taken up any more: its agent has gone, or has no room left."""
    if transfer.offered_to_id is None:
        return False
    agent = presence.reachable(turn.now).filter(pk=transfer.offered_to_id).first()
    return agent is None or load(agent) >= agent.max_load


def may_have(turn: Turn, transfer: Transfer, agent_id: int) -> bool:
    """Whether an agent is in the transfer's team, or in one that it has overflowed to."""
    pool = Teams.of(transfer.tenant_id).pool(transfer.to_team_id, facts.waited(transfer, turn.now))
    return Agent.objects.filter(pk=agent_id, memberships__team__in=pool).exists()


def forget() -> int:
    """For the clock: decisions are kept as long as `DECISION_RETENTION` says. Returns how many went."""
    old = AssignmentDecision.objects.filter(at__lt=clock.now() - seconds("DECISION_RETENTION"))
    return old.filter(pk__in=list(old.values_list("pk", flat=True)[:FORGET_AT_ONCE])).delete()[0]
