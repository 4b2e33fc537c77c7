"""A day at the desk on which everything happens: by chance, but the same each time, through the real verbs."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from agents_app.actors import Actor, agent_actor
from agents_app.models import Agent, Membership, Team
from config import clock
from config.errors import DomainError
from messaging_app import relay
from sessions_app import tasks
from sessions_app.actions import conversations, lifecycle, presence, takeovers, transfers
from sessions_app.models import ChatSession, Transfer
from sessions_app.states import LIVE, Owner, TransferStatus
from tests.cast import Cast, Chat, Later

SKILLS = ("zh", "returns")


class Day:
    """`pushes` has its offers by `strategy`; `pulls` takes by hand. Both overflow to a second line."""

    def __init__(self, cast: Cast, later: Later, *, seed: int, strategy: str, **team: object) -> None:
        self.cast, self.later = cast, later
        self.random = random.Random(f"{seed}/{strategy}")
        self.second = Team.objects.create(tenant=cast.tenant, name="second line", assignment="push", capacity=2)
        rules = {"overflow_to": self.second, "overflow_after": 40, "first_reply_timeout": 90} | team
        self.first = Team.objects.create(
            tenant=cast.tenant, name="first line", assignment="push", strategy=strategy, offer_timeout=15, **rules
        )
        self.by_hand = Team.objects.create(tenant=cast.tenant, name="by hand", assignment="pull")
        self.agents: list[Actor] = []
        for number in range(7):
            skills = {name: self.random.randint(1, 5) for name in SKILLS if self.random.random() < 0.8}
            actor = cast.hire(f"agent {number}", max_load=self.random.randint(1, 3), skills=skills)
            teams = [self.second] if number == 6 else [self.first, self.by_hand] if number % 2 else [self.first]
            for one in teams:
                Membership.objects.create(team=one, agent_id=actor.pk, weight=self.random.randint(1, 3))
            presence.declare_availability(actor=actor, availability="available")
            self.agents.append(actor)
        self.chats: list[Chat] = []
        self.silent: set[int] = set()
        self.start = clock.now()

    def passes(self, steps: int) -> tuple[datetime, datetime]:
        """So many steps of some seconds, in each of which one thing happens and the clocks are looked at."""
        moves: dict[Callable[[], None], int] = {
            self._customer_asks: 14,
            self._agent_answers: 22,
            self._agent_takes_by_hand: 8,
            self._work_ends: 16,
            self._presence_changes: 6,
            self._agent_takes_over: 3,
            self._agent_grabs: 2,
            self._agent_hands_over: 3,
            self._something_urgent: 3,
            self._marked_urgent: 2,
            self._request_withdrawn: 2,
            self._work_is_paused: 2,
            self._work_resumes: 3,
            self._agent_falls_silent: 1,
            self._agent_replies: 10,
            self._supervisor_reassigns: 1,
        }
        begins = clock.now()
        for _ in range(steps):
            # What the last step took of real time counts too, so that the clocks never look later than they promise.
            begins += timedelta(seconds=self.random.uniform(0.5, 8))
            self.later(max(0.01, (begins - clock.now()).total_seconds()))
            self.cast.seen(*(f"agent {n}" for n, one in enumerate(self.agents) if one.pk not in self.silent))
            tasks.note_presence()  # who fell silent meanwhile did so before what comes now
            [move] = self.random.choices(list(moves), list(moves.values()))
            with suppress(DomainError):
                move()
            self.later(0.05)
            tasks.note_presence()
            tasks.move_on_from_silent_agents()
            tasks.sweep_due()
        end = clock.now()  # what becomes due from here on, nobody looks at any more
        while relay.stamp(self.cast.tenant.pk):
            pass
        return self.start, end

    # --- What happens ---

    def _customer_asks(self) -> None:
        chat = self.random.choice(self.chats) if self.chats and self.random.random() < 0.3 else self.cast.chat()
        if chat not in self.chats:
            self.chats.append(chat)
        if not chat.has_live:
            chat.robot()
        needs = {self.random.choice(SKILLS): self.random.randint(1, 3)} if self.random.random() < 0.4 else {}
        team = self.random.choices([self.first, self.by_hand, None], [6, 3, 1])[0]
        if chat.has_pending:  # whoever asks again adds nothing: a period is played with what was asked for in the end
            chat.escalate(reason="asked")
        else:
            chat.escalate(reason="asked", needs=needs, to_team_id=team.pk if team else None)

    def _pending(self, **more: object) -> list[Transfer]:
        waits = Transfer.objects.filter(tenant=self.cast.tenant, status=TransferStatus.PENDING, **more)
        return list(waits.order_by("pk"))

    def _agent_answers(self) -> None:
        offers = self._pending(offered_to__isnull=False)
        if not offers:
            return
        offer = self.random.choice(offers)
        actor = agent_actor(Agent.objects.get(pk=offer.offered_to_id))
        if self.random.random() < 0.15:
            transfers.decline_transfer(actor=actor, transfer_id=offer.pk, reason="not now")
        else:
            transfers.accept_transfer(actor=actor, transfer_id=offer.pk)

    def _agent_takes_by_hand(self) -> None:
        if waits := self._pending(offered_to=None):
            taken = self.random.choice(waits)
            transfers.accept_transfer(actor=self.random.choice(self.agents), transfer_id=taken.pk)

    def _served(self) -> list[ChatSession]:
        served = ChatSession.objects.filter(tenant=self.cast.tenant, owner_kind=Owner.AGENT, status__in=sorted(LIVE))
        return list(served.order_by("pk"))

    def _some_work(self) -> tuple[ChatSession, Actor]:
        served = self._served()
        if not served:
            raise DomainError("nobody serves")
        session = self.random.choice(served)
        return session, agent_actor(Agent.objects.get(pk=session.agent_id))

    def _work_ends(self) -> None:
        session, actor = self._some_work()
        if self.random.random() < 0.4:
            takeovers.release_to_bot(actor=actor, conversation_id=session.conversation_id, force=True)
        else:
            conversations.resolve(actor=actor, conversation_id=session.conversation_id)

    def _agent_replies(self) -> None:
        session, actor = self._some_work()
        Chat(self.cast, session.conversation_id).speaks(actor, "I am looking.", epoch=None)

    def _presence_changes(self) -> None:
        actor = self.random.choice(self.agents)
        self.silent.discard(actor.pk)
        if self.random.random() < 0.2:
            presence.change_capacity(actor=self.cast.sue, agent_id=actor.pk, max_load=self.random.randint(1, 4))
        word = self.random.choice(["available", "available", "break", "busy", "training"])
        presence.declare_availability(actor=actor, availability=word)

    def _agent_takes_over(self) -> None:
        chat = self.cast.chat()
        self.chats.append(chat)
        chat.robot()
        chat.take(self.random.choice(self.agents))

    def _agent_grabs(self) -> None:
        session, _ = self._some_work()
        takeovers.grab(actor=self.random.choice(self.agents), conversation_id=session.conversation_id, reason="mine")

    def _agent_hands_over(self) -> None:
        session, actor = self._some_work()
        transfers.hand_over(actor=actor, conversation_id=session.conversation_id, to_team_id=self.first.pk)

    def _something_urgent(self) -> None:
        if self.chats:
            actor = self.random.choice([self.cast.channel, self.random.choice(self.agents)])
            self.random.choice(self.chats).opens(actor, "MANUAL_URGENT")

    def _marked_urgent(self) -> None:
        if waits := self._pending():
            verb = self.random.choice([conversations.mark_urgent, conversations.unmark_urgent])
            verb(actor=self.cast.sue, conversation_id=self.random.choice(waits).conversation_id)

    def _request_withdrawn(self) -> None:
        if waits := self._pending():
            transfers.withdraw_transfer(actor=self.cast.sue, transfer_id=self.random.choice(waits).pk)

    def _work_is_paused(self) -> None:
        session, actor = self._some_work()
        lifecycle.pause_session(actor=actor, session_id=session.pk)

    def _work_resumes(self) -> None:
        paused = ChatSession.objects.filter(tenant=self.cast.tenant, status="PAUSED", on_hold=True).order_by("pk")
        if found := list(paused):
            lifecycle.resume_session(actor=self.cast.sue, session_id=self.random.choice(found).pk)

    def _agent_falls_silent(self) -> None:
        self.silent.add(self.random.choice(self.agents).pk)

    def _supervisor_reassigns(self) -> None:
        session, _ = self._some_work()
        takeovers.reassign(actor=self.cast.sue, conversation_id=session.conversation_id, reason="ill")
