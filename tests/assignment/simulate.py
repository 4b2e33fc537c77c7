"""A desk over simulated hours: agents of mixed skills, conversations that arrive, offers that are taken or not.

    python -m tests.assignment.simulate --agents 200 --conversations 2000 --hours 4

Time is `config.clock.offset`, moved from event to event; the verbs, the offers and the sweeps are the real ones, on a
database of its own. After every sweep it is checked that nobody serves more than they may, that every open offer went to
somebody who was available then, and that nothing waits that a free agent could have. Prints one line a strategy.
"""

from __future__ import annotations

import argparse
import heapq
import os
import random
import statistics
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any
from unittest.mock import patch

SKILLS = ("returns", "payments", "en", "zh", "th")
OVERFLOW = timedelta(seconds=60)
SWEEP = 1.0
"""Seconds between two sweeps: the beat's."""


@dataclass
class Report:
    """What a run has shown. `faults` is empty, or one line for each thing that must not be."""

    strategy: str
    arrived: int = 0
    offers: int = 0
    taken: int = 0
    refused: int = 0
    left_waiting: int = 0
    explained: int = 0
    waits: list[float] = field(default_factory=list)
    served: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def told(self) -> str:
        waits = sorted(self.waits) or [0.0]
        shares = sorted(self.served.values()) or [0]
        return (
            f"{self.strategy:13} {self.arrived:6,} arrived {self.taken:6,} taken {self.offers:6,} offers"
            f" {self.refused:5,} refused {self.explained:6,} explained; wait median {statistics.median(waits):6.1f} s,"
            f" p95 {waits[int(len(waits) * 0.95)]:6.1f} s; served by one agent {shares[0]} to {shares[-1]};"
            f" {len(self.faults)} faults"
        )


class Desk:
    """One tenant with one team that wants offers, one that it overflows to, and people who behave like people."""

    def __init__(self, strategy: str, *, agents: int, conversations: int, hours: float, seed: int = 1) -> None:
        from agents_app.actors import agent_actor, client_actor
        from agents_app.models import Agent, ApiClient, Membership, Team, Tenant
        from config import clock

        self.random = random.Random(f"{seed}/{strategy}")
        self.report = Report(strategy)
        self.start = clock.now()
        self.hours = hours
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._number = count()
        self._last_decision = 0
        self._could_since: dict[int, float] = {}
        self.tenant = Tenant.objects.create(slug=f"sim-{strategy}-{seed}", name="Sim", transfer_policy="requeue")
        self.overflow = Team.objects.create(tenant=self.tenant, name="second line", assignment="push")
        self.team = Team.objects.create(
            tenant=self.tenant,
            name="first line",
            assignment="push",
            strategy=strategy,
            overflow_to=self.overflow,
            overflow_after=OVERFLOW.seconds,
        )
        self.agents = {}
        for number in range(agents):
            skills = {name: self.random.randint(1, 5) for name in self.random.sample(SKILLS, 3)}
            row = Agent.objects.create(
                tenant=self.tenant, name=f"Agent {number}", max_load=self.random.randint(1, 4), skills=skills
            )
            team = self.overflow if number % 5 == 0 else self.team
            Membership.objects.create(team=team, agent=row, weight=self.random.randint(1, 3))
            self.agents[row.pk] = agent_actor(row)
        self.bot = client_actor(ApiClient.objects.create(tenant=self.tenant, name="bot"))
        self.tenant.default_team = self.team
        self.tenant.save()
        self._plan(conversations)

    # --- Time ---

    def _at(self, seconds: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (seconds, next(self._number), event))

    def _plan(self, conversations: int) -> None:
        """Everybody comes within the first minutes; arrivals are dense in the middle."""
        for actor in self.agents.values():
            self._at(self.random.uniform(0, 300), lambda actor=actor: self._declare(actor, "available"))
        for number in range(conversations):
            at = self.random.triangular(300, self.hours * 3600, self.hours * 1800)
            self._at(at, lambda number=number: self._arrives(number))

    def run(self) -> Report:
        from sessions_app.actions import sweep

        self.now, next_sweep = 0.0, SWEEP
        while self._events and self.now < self.hours * 3600 * 3:
            at, _, event = self._events[0]
            if next_sweep < at:
                self._go(next_sweep)
                sweep.sweep_due()
                self._look()
                next_sweep = self._next_due()
            else:
                heapq.heappop(self._events)
                self._go(at)
                event()
                next_sweep = min(max(next_sweep, self.now), self.now + SWEEP)
        self.report.explained = self._explained()
        self.report.left_waiting = self._pending().count()
        return self.report

    def _go(self, seconds: float) -> None:
        from config import clock

        self.now = max(self.now, seconds)
        clock.offset += self.start + timedelta(seconds=self.now) - clock.now()

    def _next_due(self) -> float:
        """When a sweep has something to do, if nothing happens before; the sweeps until then would find nothing."""
        moments = [self.start + timedelta(days=365)]
        for waiting_since, *due in self._pending().values_list("waiting_since", "deadline", "offer_expires_at"):
            moments += [at for at in (waiting_since + OVERFLOW, *due) if at and at > self._moment()]
        return (min(moments) - self.start).total_seconds() + SWEEP

    # --- What happens ---

    def _declare(self, actor: Any, availability: str) -> None:
        """Comes for an hour or so, then has a break for some minutes, again and again."""
        from sessions_app.actions import presence

        presence.declare_availability(actor=actor, availability=availability)
        away = availability == "available"
        after = self.random.expovariate(1 / (3600 if away else 400))
        if self.now + after < self.hours * 3600:
            word = self.random.choice(["break", "busy", "training", "offline"]) if away else "available"
            self._at(self.now + after, lambda: self._declare(actor, word))
        elif not away:  # nobody goes home while customers wait
            self._at(self.now + after, lambda: self._declare(actor, "available"))
        self._look()

    def _arrives(self, number: int) -> None:
        from sessions_app.actions import lifecycle, transfers

        self.report.arrived += 1
        conversation = lifecycle.conversation_for(actor=self.bot, shop_id="shop", account_id=f"customer {number}")
        lifecycle.open_session(actor=self.bot, conversation_id=conversation.pk, robot=True)
        needs = {self.random.choice(SKILLS): self.random.randint(1, 3)} if self.random.random() < 0.6 else {}
        transfers.request_transfer(
            actor=self.bot,
            conversation_id=conversation.pk,
            reason="asked",
            needs=needs,
            urgent=self.random.random() < 0.03,
        )
        self._look()

    def _answers(self, transfer_id: int, agent_id: int) -> None:
        """The agent takes the offer, says no, or looks elsewhere."""
        from config.errors import DomainError
        from sessions_app.actions import transfers
        from sessions_app.models import Transfer

        transfer = Transfer.objects.get(pk=transfer_id)
        if transfer.status != "PENDING" or transfer.offered_to_id != agent_id:
            return
        actor, mood = self.agents[agent_id], self.random.random()
        if mood < 0.05:
            return  # the offer runs out
        if mood < 0.12:
            transfers.decline_transfer(actor=actor, transfer_id=transfer_id, reason="not now")
            self.report.refused += 1
        else:
            try:
                transfers.accept_transfer(actor=actor, transfer_id=transfer_id)
            except DomainError as error:
                self._fault(f"an open offer could not be accepted: {error}")
                return
            self.report.taken += 1
            self.report.served[agent_id] += 1
            self.report.waits.append((self._moment() - transfer.waiting_since).total_seconds())
            spent = self.random.lognormvariate(5.6, 0.6)  # about five minutes
            self._at(self.now + spent, lambda: self._ends(actor, transfer.conversation_id))
        self._look()

    def _ends(self, actor: Any, conversation_id: int) -> None:
        from config.errors import DomainError
        from sessions_app.actions import conversations as desk

        with suppress(DomainError):
            desk.resolve(actor=actor, conversation_id=conversation_id)
        self._look()

    def _moment(self) -> datetime:
        return self.start + timedelta(seconds=self.now)

    # --- What must be so ---

    def _pending(self) -> Any:
        from sessions_app.models import Transfer

        return Transfer.objects.filter(tenant=self.tenant, status="PENDING")

    def _look(self) -> None:
        """Find new offers, let their agents answer, and judge what is so now."""
        from agents_app.models import Agent
        from sessions_app.models import AssignmentDecision

        made = AssignmentDecision.objects.filter(tenant=self.tenant, chosen__isnull=False, pk__gt=self._last_decision)
        for decision in made.order_by("pk"):
            self._last_decision = decision.pk
            self.report.offers += 1
            agent = Agent.objects.get(pk=decision.chosen_id)
            if agent.availability != "available":
                self._fault(f"{agent} was offered something, being {agent.availability}")
            self._at(
                self.now + self.random.uniform(1, 25),
                lambda transfer=decision.transfer_id, agent=decision.chosen_id: self._answers(transfer, agent),
            )
        self._judge()

    def _judge(self) -> None:
        from sessions_app.assignment import facts
        from sessions_app.assignment.choice import choose
        from sessions_app.assignment.teams import Teams

        moment = self._moment()
        people = facts.candidates(self.tenant.pk, moment, strategies=[])
        for one in people:
            if one.busy > one.max_load:
                self._fault(f"agent {one.agent_id} has {one.busy} of {one.max_load}")
        line = facts.cases(facts.in_line(self.tenant.pk, moment, limit=1000), Teams.of(self.tenant.pk), moment)
        could = {case.transfer_id for case in line if choose(case, people).chosen}
        self._could_since = {transfer: self._could_since.get(transfer, self.now) for transfer in could}
        for transfer, since in self._could_since.items():
            if self.now - since > SWEEP:  # until then the next sweep does it
                self._fault(f"transfer {transfer} waits, and somebody was free for it since {since:.0f} s")

    def _fault(self, text: str) -> None:
        self.report.faults.append(f"{self.now:.0f} s: {text}")

    def _explained(self) -> int:
        """Offers whose decision names everybody who was looked at, the chosen one as the first who fits."""
        from sessions_app.models import AssignmentDecision

        good = 0
        made = AssignmentDecision.objects.filter(tenant=self.tenant, chosen__isnull=False)
        for decision in made.iterator():
            fits = decision.candidates.get("fits", [])
            named = [row[0] for rows in decision.candidates.values() for row in rows]
            good += bool(fits) and fits[0][0] == decision.chosen_id and len(named) == len(set(named)) > 0
        return good


def simulate(strategy: str, *, agents: int, conversations: int, hours: float, seed: int = 1) -> Report:
    """One run, on the database that Django is set up with. The clock is as before afterwards."""
    from config import clock

    before = clock.offset
    try:
        return Desk(strategy, agents=agents, conversations=conversations, hours=hours, seed=seed).run()
    finally:
        clock.offset = before


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--agents", type=int, default=200)
    parser.add_argument("--conversations", type=int, default=2000)
    parser.add_argument("--hours", type=float, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--strategy", action="append", help="one of them; all when none is named")
    asked = parser.parse_args()
    os.environ["DATABASE_URL"] = "sqlite://:memory:"
    os.environ["AGENT_AWAY_AFTER"] = os.environ["AGENT_GONE_AFTER"] = "86400"  # silence has tests of its own
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django

    django.setup()
    from django.core.management import call_command

    from agents_app.models import Team
    from sessions_app.actions import sweep
    from sessions_app.core import wake

    call_command("migrate", verbosity=0)
    patch.object(
        wake, "wake", sweep.settle_offers_and_drain
    ).start()  # in this thread, at the moment that the clock stands at
    print(f"{asked.agents} agents, {asked.conversations:,} conversations in {asked.hours:g} hours")
    faults = 0
    for strategy in asked.strategy or Team.Strategy.values:
        report = simulate(
            strategy, agents=asked.agents, conversations=asked.conversations, hours=asked.hours, seed=asked.seed
        )
        print(report.told(), flush=True)
        print(*report.faults[:20], sep="\n")
        faults += len(report.faults)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
