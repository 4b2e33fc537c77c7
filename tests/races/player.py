"""One worker of the fuzz: fires random verbs as random people and programs, mostly sensible, sometimes not.

It looks at a conversation without a lock and acts on what it saw a moment ago, as every client does.
"""

from __future__ import annotations

import random
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import config.db
from agents_app.actors import Actor
from agents_app.models import Agent
from config import clock
from config.errors import Busy, DomainError
from messaging_app.models import Conversation, Message
from messaging_app.thread import NewMessage
from sessions_app.actions import (
    conversations,
    departure,
    flows,
    inbound,
    lifecycle,
    messages,
    participants,
    presence,
    recovery,
    shop_messages,
    sweep,
    takeovers,
    transfers,
)
from sessions_app.core.locked_conversation import Outcome
from sessions_app.models import ChatSession, GuidedFlow, Transfer
from sessions_app.states import OPEN, HistoryMode, Kind, Status, TransferStatus
from tests.races.cast import ADMITS, ASKS, Cast
from tests.races.invariants import Acknowledged

type Row = dict[str, Any]
Call = Callable[[], Any]


@dataclass(slots=True)
class Tally:
    """What a worker reports: it is sent back through a pipe, so plain values only."""

    operations: int = 0
    accepted: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    retried: int = 0
    given_up: Counter[str] = field(default_factory=Counter)
    """By what was met last."""
    unexpected: list[str] = field(default_factory=list)
    acknowledged: list[Acknowledged] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.operations += other.operations
        self.accepted += other.accepted
        self.refused += other.refused
        self.retried += other.retried
        self.given_up += other.given_up
        self.unexpected += other.unexpected
        self.acknowledged += other.acknowledged


@dataclass(slots=True)
class View:
    """What a client saw, without a lock."""

    id: int
    epoch: int
    controller: str
    sessions: list[Row]
    transfers: list[Row]

    @property
    def live(self) -> Row | None:
        return next((s for s in self.sessions if s["status"] in ("ACTIVE", "TRANSFERRED")), None)


def look(conversation_id: int) -> View:
    epoch, controller = Conversation.objects.values_list("epoch", "controller").get(pk=conversation_id)
    sessions = ChatSession.objects.filter(conversation_id=conversation_id, status__in=sorted(OPEN))
    pending = Transfer.objects.filter(conversation_id=conversation_id, status=TransferStatus.PENDING)
    return View(
        conversation_id,
        epoch,
        controller,
        list(sessions.values("id", "status", "kind", "owner_kind", "agent_id", "bot_id")),
        list(pending.values("id", "kind", "to_agent_id", "to_team_id", "offered_to_id", "from_kind", "from_id")),
    )


class Player:
    def __init__(self, cast: Cast, seed: int, index: int, moves: dict[str, int] | None = None) -> None:
        self.cast = cast
        self.random = random.Random(f"{seed}/{index}")
        self.tally = Tally()
        self.views: dict[int, View] = {}
        self.tokens: list[str] = []
        self.past: list[int] = []  # transfers that were pending once
        self.step = 0
        self._count_retries()
        self.moves = [(weight, getattr(self, f"_{name}")) for name, weight in (moves or MOVES).items()]

    def _count_retries(self) -> None:
        judged = config.db.is_transient

        def counting(error: Exception) -> bool:
            transient = judged(error)
            self.tally.retried += transient
            return transient

        config.db.is_transient = counting

    def play(self, operations: int) -> Tally:
        while self.tally.operations < operations:
            self.step += 1
            self._one()
        return self.tally

    def _one(self) -> None:
        conversation_id = self.random.choice(self.cast.conversations)
        view = self.views.get(conversation_id)
        if view is None or self.random.random() < 0.7:
            view = self.views[conversation_id] = look(conversation_id)
            self.past = [*self.past, *(t["id"] for t in view.transfers)][-20:]
        call = None
        while call is None:
            weights, moves = zip(*((w, m) for w, m in self.moves), strict=True)
            call = self.random.choices(moves, weights)[0](view)
        if self.random.random() < 0.1:
            time.sleep(self.random.random() * 0.02)  # a bot that thinks, a person who hesitates
        self.tally.operations += 1
        name = getattr(call, "__name__", "verb")
        try:
            name = call() or name
        except Busy as busy:
            self.tally.given_up[repr(busy.__cause__)[:200]] += 1
        except DomainError as error:
            if error.fields.get("reason") == "message_id_taken":  # an id here is always the same message
                self.tally.unexpected.append(f"the same message again was refused: {error}")
            self.tally.refused[error.code] += 1
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            where = next((frame for frame in reversed(frames) if "site-packages" not in frame.filename), frames[-1])
            self.tally.unexpected.append(f"{type(error).__name__} at {where.name}: {str(error)[:300]}")
        else:
            self.tally.accepted[name] += 1

    # --- Choosing ---

    def _agent(self) -> Actor:
        return self.random.choice(self.cast.agents)

    def _owner(self, row: Row | None) -> Actor | None:
        """Who works a session, as an actor; now and then somebody else tries."""
        if row is None or self.random.random() < 0.1:
            return self._anybody()
        if row["owner_kind"] == "agent":
            return next(a for a in self.cast.agents if a.id == row["agent_id"])
        if row["bot_id"]:
            return next(b for b in self.cast.bots if b.id == row["bot_id"])
        return self.cast.agents[-1]

    def _anybody(self) -> Actor:
        return self.random.choice([*self.cast.agents, *self.cast.bots, self.cast.integrator, self.cast.system])

    def _session(self, view: View, *statuses: str) -> Row | None:
        fitting = [s for s in view.sessions if s["status"] in statuses]
        if not fitting and self.random.random() < 0.05:
            fitting = view.sessions
        return self.random.choice(fitting) if fitting else None

    def _epoch(self, view: View) -> int | None:
        return view.epoch if self.random.random() < 0.3 else None

    def _words(self, kind: str, view: View, content: str = "") -> NewMessage:
        """Ids that the other workers use at about the same time: the same message arrives from several sides."""
        number = self.step // 4 + self.random.randrange(3)
        id = f"{self.cast.tenant_id}-{kind}-{view.id}-{number}"
        return NewMessage(content=content or f"{kind} {number}", message_id=id)

    def _acknowledge(self, outcome: Outcome, words: NewMessage, epoch: int | None = None) -> str:
        told = None if outcome.is_repeat else epoch
        self.tally.acknowledged.append(Acknowledged(words.message_id, outcome.conversation_id, outcome.seq, told))
        return "message repeated" if outcome.is_repeat else "message"

    # --- Speaking ---

    def _customer_says(self, view: View) -> Call:
        words = self._words("customer", view, ASKS if self.random.random() < 0.05 else "")
        actor = self.random.choice([self.cast.customer, self.cast.integrator])
        return lambda: self._acknowledge(
            inbound.receive_message(actor=actor, conversation_id=view.id, words=words), words
        )

    def _bot_says(self, view: View) -> Call | None:
        live = view.live
        if view.controller != "bot" and self.random.random() < 0.8:
            return None
        known = [b for b in self.cast.bots if live and b.id == live["bot_id"]]
        actor = known[0] if known and self.random.random() < 0.95 else self.random.choice(self.cast.bots)
        epoch = view.epoch if self.random.random() < 0.9 else max(0, view.epoch - self.random.randrange(4))
        words = self._words("bot", view, ADMITS if self.random.random() < 0.1 else "")
        words = self._by_name(view) or words
        return lambda: self._acknowledge(
            messages.post_message(actor=actor, conversation_id=view.id, words=words, epoch=epoch), words, epoch
        )

    def _by_name(self, view: View) -> NewMessage | None:
        """An answer to one message alone, now and then: the others wait on."""
        said = Message.objects.filter(conversation_id=view.id, sender_type=Message.Sender.CUSTOMER).order_by("-pk")
        lately = list(said.values_list("pk", flat=True)[:4]) if self.random.random() < 0.5 else []
        return NewMessage(content="To that.", message_id=f"re-{self.random.choice(lately)}") if lately else None

    def _agent_says(self, view: View) -> Call | None:
        live = view.live
        if live is None or live["owner_kind"] != "agent":
            return None
        actor, words = self._owner(live) or self._agent(), self._words("agent", view)
        return lambda: self._acknowledge(
            messages.post_message(actor=actor, conversation_id=view.id, words=words), words
        )

    def _note(self, view: View) -> Call:
        words, actor = self._words("note", view), self._agent()
        return lambda: self._acknowledge(messages.post_note(actor=actor, conversation_id=view.id, words=words), words)

    def _echo(self, view: View) -> Call:
        words = self._words("echo", view)
        return lambda: self._acknowledge(
            shop_messages.echo_message(actor=self.cast.integrator, conversation_id=view.id, words=words), words
        )

    # --- Opening and ending ---

    def _open_robot(self, view: View) -> Call:
        kind = self.random.choice([None, *(k for k in Kind if k.is_robot)])
        actor = self.random.choice([*self.cast.bots, self.cast.integrator])
        more = {
            "priority": self.random.choice([None] * 8 + [1, 2, 3, 4]),
            "on_conflict": self.random.choice(["wait", "wait", "fail"]),
            "bot_id": actor.id if actor in self.cast.bots else self.random.choice(self.cast.bots).id,
        }
        return self._verb(lifecycle.open_session, actor=actor, conversation_id=view.id, robot=True, kind=kind, **more)

    def _open_human(self, view: View) -> Call:
        actor = self.random.choice([*self.cast.agents, self.cast.customer, self.cast.integrator])
        urgent = actor is not self.cast.customer and self.random.random() < 0.15
        return self._verb(lifecycle.open_session, actor=actor, conversation_id=view.id, robot=False, urgent=urgent)

    def _activate(self, view: View) -> Call | None:
        return self._drive(lifecycle.activate_session, view, "PENDING")

    def _pause(self, view: View) -> Call | None:
        return self._drive(lifecycle.pause_session, view, "ACTIVE", expected_epoch=self._epoch(view))

    def _resume(self, view: View) -> Call | None:
        return self._drive(lifecycle.resume_session, view, "PAUSED")

    def _complete(self, view: View) -> Call | None:
        outcome = self.random.choice(["success", "failed", "needs_human"])
        return self._drive(lifecycle.complete_session, view, "ACTIVE", "TRANSFERRED", outcome=outcome)

    def _cancel(self, view: View) -> Call | None:
        return self._drive(lifecycle.cancel_session, view, *(s for s in Status if s in OPEN))

    def _set_priority(self, view: View) -> Call | None:
        priority = self.random.randint(1, 4)
        return self._drive(lifecycle.set_priority, view, *(s for s in Status if s in OPEN), priority=priority)

    def _expire(self, view: View) -> Call:
        return self._verb(lifecycle.expire_due, actor=self.cast.system, conversation_id=view.id)

    def _recover(self, view: View) -> Call | None:
        return self._drive(recovery.recover, view, *(s for s in Status if s in OPEN))

    def _drive(self, verb: Callable[..., Any], view: View, *statuses: str, **more: Any) -> Call | None:
        row = self._session(view, *statuses)
        if row is None:
            return None
        return self._verb(verb, actor=self._owner(row) or self._anybody(), session_id=row["id"], **more)

    # --- Moving ---

    def _escalate(self, view: View) -> Call:
        live = view.live
        actor = self.random.choice([self._owner(live) or self.cast.integrator, self.cast.customer, self._agent()])
        to: dict[str, Any] = self.random.choice(
            [{}, {}, {"to_team_id": self.cast.team_id}, {"to_agent_id": self._agent().id}]
        )
        more: dict[str, Any] = {} if actor is self.cast.customer else {"urgent": self.random.random() < 0.1, **to}
        return self._verb(transfers.request_transfer, actor=actor, conversation_id=view.id, reason="asked", **more)

    def _hand_over(self, view: View) -> Call | None:
        live = view.live
        if live is None or live["owner_kind"] != "agent":
            return None
        to = self.random.choice([{"to_team_id": self.cast.team_id}, {"to_agent_id": self._agent().id}])
        return self._verb(
            transfers.hand_over,
            actor=self._owner(live),
            conversation_id=view.id,
            expected_epoch=self._epoch(view),
            **to,
        )

    def _accept(self, view: View) -> Call | None:
        transfer = self._transfer(view)
        if transfer is None:
            return None
        wanted = transfer.get("to_agent_id") or transfer.get("offered_to_id")
        fitting = [a for a in self.cast.agents if a.id == wanted] or self.cast.agents
        actor = self.random.choice(fitting)
        return self._verb(
            transfers.accept_transfer, actor=actor, transfer_id=transfer["id"], override=self.random.random() < 0.2
        )

    def _decline(self, view: View) -> Call | None:
        transfer = self._transfer(view)
        if transfer is None:
            return None
        wanted = transfer.get("to_agent_id") or transfer.get("offered_to_id")
        actor = next((a for a in self.cast.agents if a.id == wanted), self.cast.agents[-1])
        return self._verb(transfers.decline_transfer, actor=actor, transfer_id=transfer["id"], reason="no")

    def _withdraw(self, view: View) -> Call | None:
        transfer = self._transfer(view)
        if transfer is None:
            return None
        people = [*self.cast.agents, *self.cast.bots]
        sender = [a for a in people if a.id == transfer.get("from_id") and a.kind == transfer.get("from_kind")]
        actor = self.random.choice([*sender, *sender, self.cast.agents[-1], self._anybody()])
        return self._verb(transfers.withdraw_transfer, actor=actor, transfer_id=transfer["id"])

    def _transfer(self, view: View) -> Row | None:
        if view.transfers and self.random.random() < 0.95:
            return self.random.choice(view.transfers)
        return {"id": self.random.choice(self.past)} if self.past and self.random.random() < 0.1 else None

    def _take_over(self, view: View) -> Call | None:
        if view.controller != "bot" and self.random.random() < 0.8:
            return None
        return self._verb(
            takeovers.take_over, actor=self._agent(), conversation_id=view.id, override=self.random.random() < 0.2
        )

    def _grab(self, view: View) -> Call | None:
        if view.controller != "human" and self.random.random() < 0.8:
            return None
        return self._verb(
            takeovers.grab,
            actor=self._agent(),
            conversation_id=view.id,
            reason="mine",
            override=self.random.random() < 0.2,
            expected_epoch=self._epoch(view),
        )

    def _release(self, view: View) -> Call | None:
        if view.controller != "human":
            return None
        return self._verb(
            takeovers.release_to_bot,
            actor=self._owner(view.live),
            conversation_id=view.id,
            force=self.random.random() < 0.3,
            expected_epoch=self._epoch(view),
        )

    def _reassign(self, view: View) -> Call | None:
        if view.controller != "human":
            return None
        return self._verb(takeovers.reassign, actor=self.cast.agents[-1], conversation_id=view.id, reason="away")

    def _resolve(self, view: View) -> Call | None:
        if view.controller != "human":
            return None
        return self._verb(conversations.resolve, actor=self._owner(view.live), conversation_id=view.id)

    # --- Being there ---

    def _declare(self, view: View) -> Call:
        word = self.random.choice(["available", "available", "busy", "break", "away", "offline"])
        return self._verb(presence.declare_availability, actor=self._agent(), availability=word)

    def _heartbeat(self, view: View) -> Call:
        return self._verb(presence.heartbeat, actor=self._agent())

    def _fall_silent(self, view: View) -> Call:
        """No verb does that: a heartbeat does not come, and time passes."""
        agent = Agent.objects.filter(pk=self._agent().id)

        @config.db.retried
        def fall_silent() -> str:
            agent.update(last_seen_at=clock.now() - timedelta(days=1))
            return "fall_silent"

        return fall_silent

    def _dismiss(self, view: View) -> Call:
        """Never the supervisor: somebody must be there to dismiss the others."""
        agent = self.random.choice(self.cast.agents[:-1])
        return self._verb(departure.dismiss_agent, actor=self.cast.agents[-1], agent_id=agent.id, reason="left")

    def _rehire(self, view: View) -> Call:
        """Past the verbs, as a form does it: whoever has left works here again, and is offline."""

        @config.db.retried
        def rehire() -> str:
            Agent.objects.filter(tenant_id=self.cast.tenant_id, is_active=False).update(is_active=True)
            return "rehire"

        return rehire

    def _drain_agent(self, view: View) -> Call:
        supervisor, agent = self.cast.agents[-1], self._agent()
        verb = self.random.choice([departure.drain_agent, departure.undrain_agent, departure.undrain_agent])
        return self._verb(verb, actor=supervisor, agent_id=agent.id, reason="soon")

    def _change_capacity(self, view: View) -> Call:
        room = self.random.choice([1, 1, 2, 2, 3])
        supervisor = self.cast.agents[-1]
        return self._verb(presence.change_capacity, actor=supervisor, agent_id=self._agent().id, max_load=room)

    def _drain(self, view: View) -> Call:
        def drain() -> str:
            sweep.drain(self.cast.tenant_id)
            return "drain"

        return drain

    # --- The other people, the marks, the flows ---

    def _people(self, view: View) -> Call:
        owner = self._owner(view.live) or self._agent()
        return self.random.choice(
            [
                self._verb(
                    participants.invite_colleague, actor=owner, conversation_id=view.id, agent_id=self._agent().id
                ),
                self._verb(participants.leave, actor=self._agent(), conversation_id=view.id),
                lambda: self._invite(view, owner),
                self._join,
            ]
        )

    def _invite(self, view: View, owner: Actor) -> str:
        outcome = participants.invite_participant(
            actor=owner, conversation_id=view.id, name="Guest", history=HistoryMode.FROM_NOW
        )
        self.tokens.append(outcome.token)
        return "invite_participant"

    def _join(self) -> str:
        participants.join(
            tenant_id=self.cast.tenant_id, token=self.random.choice(self.tokens) if self.tokens else "none"
        )
        return "join"

    def _mark(self, view: View) -> Call:
        verb = self.random.choice(
            [
                conversations.pin,
                conversations.unpin,
                conversations.todo,
                conversations.untodo,
                conversations.mark_urgent,
                conversations.unmark_urgent,
                conversations.raise_flag,
                conversations.acknowledge,
            ]
        )
        return self._verb(verb, actor=self._agent(), conversation_id=view.id)

    def _flow(self, view: View) -> Call:
        """A flow's trigger is shared by all workers, and not every flow is bound from the beginning."""
        trigger = f"{self.cast.tenant_id}-{self.step // 12}-{self.random.randrange(2)}"
        actor = self.cast.integrator
        flow = GuidedFlow.objects.filter(tenant_id=self.cast.tenant_id).order_by("-pk").first()
        if flow is None or self.random.random() < 0.3:
            where = self.random.choice([view.id, None])
            return self._verb(flows.open_flow, actor=actor, trigger_id=trigger, question="?", conversation_id=where)
        if flow.conversation_id is None and self.random.random() < 0.5:
            return self._verb(flows.bind_flow, actor=actor, flow_id=flow.pk, conversation_id=view.id)
        if flow.status == "rerunning" and self.random.random() < 0.3:
            return self._verb(flows.renew_flow, actor=actor, flow_id=flow.pk, version=flow.version)
        to = self.random.choice(["rerunning", "ready_preview", "applied", "failed", "waiting_user_reply", "ignored"])
        return self._verb(flows.move_flow, actor=actor, flow_id=flow.pk, to=to, version=flow.version)

    @staticmethod
    def _verb(verb: Callable[..., Any], **arguments: Any) -> Call:
        def call() -> str:
            verb(**arguments)
            return verb.__name__

        return call


MOVES = {
    "customer_says": 14,
    "bot_says": 14,
    "agent_says": 8,
    "note": 1,
    "echo": 1,
    "open_robot": 8,
    "open_human": 5,
    "activate": 2,
    "pause": 4,
    "resume": 5,
    "complete": 4,
    "cancel": 2,
    "set_priority": 2,
    "expire": 2,
    "recover": 1,
    "escalate": 7,
    "hand_over": 5,
    "accept": 12,
    "decline": 3,
    "withdraw": 3,
    "take_over": 6,
    "grab": 5,
    "release": 5,
    "reassign": 1,
    "resolve": 4,
    "people": 3,
    "mark": 3,
    "flow": 3,
    "dismiss": 1,
    "rehire": 2,
    "drain_agent": 2,
}

DESK_MOVES = {
    "customer_says": 6,
    "agent_says": 6,
    "open_robot": 6,
    "open_human": 3,
    "escalate": 14,
    "hand_over": 6,
    "accept": 22,
    "decline": 8,
    "grab": 8,
    "take_over": 4,
    "release": 8,
    "resolve": 6,
    "reassign": 3,
    "complete": 3,
    "declare": 14,
    "heartbeat": 8,
    "fall_silent": 2,
    "change_capacity": 3,
    "dismiss": 2,
    "rehire": 4,
    "drain_agent": 4,
    "drain": 8,
}
"""The desk at its busiest: agents take, refuse, grab, come and go while the queue is offered to them."""

PRESENCE_MOVES = {"declare": 6, "heartbeat": 3, "fall_silent": 2, "change_capacity": 6, "customer_says": 1}
"""The same few agents from all sides."""

TAKING_MOVES = {
    "open_robot": 4,
    "open_human": 16,
    "escalate": 6,
    "accept": 16,
    "grab": 8,
    "take_over": 8,
    "release": 12,
    "resolve": 6,
    "complete": 4,
}
"""Agents with room for one or two take what they can and give it back."""
