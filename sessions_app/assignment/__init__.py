"""Push assignment: a conversation in the queue is offered to one agent at a time (docs/assignment.md).

An offer is a proposal, not a reservation: accepting checks capacity under the agent's lock like every other way in. But
an open offer counts as load for other offers, and the agent's lock is held while one is made, so that nobody is offered
more than there is room for.
"""

from __future__ import annotations

from functools import partial

from agents_app import loops, presence
from agents_app.actors import system_actor
from agents_app.models import Agent
from config import clock, statements
from sessions_app.assignment import facts
from sessions_app.assignment.choice import REFUSED, Choice, choose
from sessions_app.assignment.strategies import pause
from sessions_app.assignment.teams import Teams
from sessions_app.core import presence_log
from sessions_app.core.capacity import load
from sessions_app.core.locked_conversation import LockedConversation, seconds
from sessions_app.models import AssignmentDecision, Transfer

MOST_ROUNDS = 30_000
"""Where the counts of rounds and of ignored offers stop: their columns hold 32,767 at most."""


def offer(locked: LockedConversation) -> bool:
    """Offer what waits in this conversation to the agent whom its team's strategy chooses, if the team wants offers.

    Returns True when it is left to the drain after the commit: agents are locked by rising id, and the chosen one may
    come before one that the verb has locked already.
    """
    transfers = [t for t in locked.transfers if _waits_for_offers(locked, t)]
    return any(list(map(partial(_offer_one, locked), transfers)))  # all of them, not only up to the first


def _waits_for_offers(locked: LockedConversation, transfer: Transfer) -> bool:
    is_closed = transfer.opens_at is not None and transfer.opens_at > locked.now
    if transfer.to_agent_id or transfer.offered_to_id or is_closed:
        return False
    own = transfer.to_team.assignment if transfer.to_team else ""
    return (own or locked.tenant.assignment) == locked.tenant.Assignment.PUSH


def _offer_one(locked: LockedConversation, transfer: Transfer) -> bool:
    """Offer one transfer; True if it is left to the drain. While nobody is free, agents are judged only once."""
    free = facts.with_room(locked.now).filter(tenant_id=transfer.tenant_id)
    if not free.exists() and transfer.decisions.exists():
        return False
    choice = _choose_agent(locked, transfer)
    while chosen := choice.chosen:
        if chosen.agent_id in locked.agents:
            _make_offer(locked, transfer, choice, locked.agent(chosen.agent_id))
            return False
        if any(held > chosen.agent_id for held in locked.agents):
            return True
        locked.lock_agents(chosen.agent_id)
        choice = _choose_agent(locked, transfer)  # somebody else may have been faster while we waited for the lock
    _plan_next_round(locked, transfer, choice)
    _record_decision(locked, transfer, choice, None)
    return False


def _plan_next_round(locked: LockedConversation, transfer: Transfer, choice: Choice) -> None:
    """Set the next round of offers where agents who could have it refused or ignored it. Each pause is longer.

    Where nobody could have it there is no next round to wait for: it is offered as soon as somebody can.
    """
    if transfer.next_round_at is None and REFUSED in choice.verdicts and not choice.case.obstacle:
        transfer.next_round_at = locked.now + pause(locked.policies.offer_round_pause, transfer.offer_round)
        statements.update(transfer, "next_round_at")


def next_round(locked: LockedConversation, transfer: Transfer) -> None:
    """Begin a new round: everybody may be offered it again. The verb makes the offer at its end, if somebody fits."""
    transfer.refused_by, transfer.next_round_at = [], None
    transfer.offer_round = min(transfer.offer_round + 1, MOST_ROUNDS)
    statements.update(transfer, "refused_by", "next_round_at", "offer_round")
    locked.record("transfer.offers_renewed", transfer.session, transfer_id=transfer.pk, round=transfer.offer_round)


def _make_offer(locked: LockedConversation, transfer: Transfer, choice: Choice, agent: Agent) -> None:
    agent.last_offer_at = locked.now
    statements.update(agent, "last_offer_at")
    transfer.offered_to = agent
    transfer.offer_expires_at = locked.now + locked.policies.within(transfer.to_team).offer_timeout
    transfer.next_round_at = None
    statements.update(transfer, "offered_to", "offer_expires_at", "next_round_at")
    decision = _record_decision(locked, transfer, choice, agent)
    locked.record(
        "transfer.offered",
        transfer.session,
        transfer_id=transfer.pk,
        agent_id=agent.pk,
        strategy=choice.case.strategy,
        decision_id=decision.pk,
        expires_at=transfer.offer_expires_at.isoformat(timespec="microseconds"),
    )


def _choose_agent(locked: LockedConversation, transfer: Transfer) -> Choice:
    tenant_id = locked.conversation.tenant_id
    [case] = facts.cases([transfer], Teams.of(tenant_id), locked.now)
    return choose(case, facts.candidates(tenant_id, locked.now, strategies=[case.strategy]))


def _record_decision(
    locked: LockedConversation, transfer: Transfer, choice: Choice, agent: Agent | None
) -> AssignmentDecision:
    """Store the decision. One for nobody that equals the last is not stored again."""
    why = _why(transfer, choice) if agent else choice.case.obstacle or "nobody fits"
    verdicts = {verdict: [list(row) for row in rows] for verdict, rows in choice.verdicts.items()}
    if agent is None:
        last = transfer.decisions.order_by("-pk").first()
        if last and last.chosen_id is None and (last.why, last.candidates) == (why, verdicts):
            return last
    return AssignmentDecision.objects.create(
        tenant_id=transfer.tenant_id,
        transfer=transfer,
        at=locked.now,
        strategy=choice.case.strategy,
        chosen=agent,
        why=why,
        candidates=verdicts,
    )


def _why(transfer: Transfer, choice: Choice) -> str:
    chosen = choice.chosen
    is_own_team = transfer.to_team_id is None or (chosen is not None and transfer.to_team_id in chosen.weights)
    notes = [] if is_own_team else ["overflow"]
    if transfer.offer_round > 1:
        notes.append(f"round {transfer.offer_round}")
    return ", ".join([choice.case.strategy, *notes])


def refuse(locked: LockedConversation, transfer: Transfer, *, reason: str) -> None:
    """Record that the agent refuses the offer; the next one is offered it at the end of the verb."""
    agent_id = transfer.offered_to_id
    transfer.refused_by = [*transfer.refused_by, agent_id]
    _take_back(transfer)
    locked.record("transfer.offer_refused", transfer.session, transfer_id=transfer.pk, agent_id=agent_id, reason=reason)


def ignore(locked: LockedConversation, transfer: Transfer) -> None:
    """Record that the agent did not answer in time. After `offers_ignored` in a row the agent is NOT_RESPONDING."""
    agent_id = transfer.offered_to_id
    refuse(locked, transfer, reason="not answered in time")
    locked.lock_agents(agent_id)
    agent, most = locked.agent(agent_id), locked.policies.offers_ignored
    agent.offers_ignored = min(agent.offers_ignored + 1, MOST_ROUNDS)
    if not most or agent.offers_ignored < most or agent.availability != Agent.Availability.AVAILABLE:
        statements.update(agent, "offers_ignored")
        return
    agent.availability, agent.availability_reason = Agent.Availability.NOT_RESPONDING, ""
    agent.availability_since, agent.offers_ignored = locked.now, 0
    statements.update(agent, "availability", "availability_reason", "availability_since", "offers_ignored")
    presence_log.note(agent, locked.now, system_actor(agent.tenant_id))
    presence_log.wake_drain_after_commit(agent)


def answered(locked: LockedConversation, agent_id: int) -> None:
    """Reset the ignored offers of an agent who accepts or declines. Locks the agent only if there are any."""
    if Agent.objects.filter(pk=agent_id, offers_ignored__gt=0).exists():
        locked.lock_agents(agent_id)
        agent = locked.agent(agent_id)
        agent.offers_ignored = 0
        statements.update(agent, "offers_ignored")


def withdraw_offer(locked: LockedConversation, transfer: Transfer, *, reason: str) -> None:
    """Withdraw an offer that the agent cannot take any more; the agent may be offered it again later."""
    agent_id = transfer.offered_to_id
    _take_back(transfer)
    locked.record(
        "transfer.offer_withdrawn", transfer.session, transfer_id=transfer.pk, agent_id=agent_id, reason=reason
    )


def _take_back(transfer: Transfer) -> None:
    transfer.offered_to = transfer.offer_expires_at = None
    statements.update(transfer, "refused_by", "offered_to", "offer_expires_at")


def is_lapsed(locked: LockedConversation, transfer: Transfer) -> bool:
    """Whether an open offer cannot be taken up any more: its agent has gone, or has no room left."""
    if transfer.offered_to_id is None:
        return False
    agent = presence.takes_work(locked.now).filter(pk=transfer.offered_to_id).first()
    return agent is None or load(agent) >= agent.max_load


def may_have(locked: LockedConversation, transfer: Transfer, agent_id: int) -> bool:
    """Whether an agent is in the transfer's team, or in one that it has overflowed to."""
    pool = Teams.of(transfer.tenant_id).pool(transfer.to_team_id, facts.waited(transfer, locked.now))
    return Agent.objects.filter(pk=agent_id, memberships__team__in=pool).exists()


def forget() -> int:
    """For the clock: delete decisions older than `DECISION_RETENTION`. Returns how many."""
    old = AssignmentDecision.objects.filter(at__lt=clock.now() - seconds("DECISION_RETENTION"))
    return loops.delete_in_pieces(old)
