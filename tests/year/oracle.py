"""What must hold at every moment of the year, told from what was said and done, not from the product's own figures.

A customer who spoke last is *seen* while the conversation is queued, flagged, with a person who is there, with a flow
that may still answer, or with a living bot that has the turn. What a person has set aside waits for nobody.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Max

from agents_app import presence
from agents_app.models import Agent
from messaging_app.models import Controller, Conversation, Message, Operation
from sessions_app.models import ChatSession, GuidedFlow, Mail, Transfer
from sessions_app.states import FLOW_BLOCKING, LIVE, MailStatus, Owner, TransferStatus

SWEEP = timedelta(seconds=61)
"""The slowest beat that sees to it that nobody is forgotten, and a second to act."""
AT_ONCE = timedelta(seconds=5)
"""So long a free place may be told as one at once though somebody waits for it: it has to be seen first."""
ANSWERS = (Message.Sender.BOT, Message.Sender.AGENT, Message.Sender.SHOP)
PROMISE = "somebody will answer you then"
BY_MAIL = "passed on by e-mail"


@dataclass
class Oracle:
    aside: dict[int, int] = field(default_factory=dict)  # up to which message a person has set a conversation aside
    waits: dict[int, datetime] = field(default_factory=dict)  # who spoke last, unanswered, and since when
    unseen: dict[int, datetime] = field(default_factory=dict)
    promised: dict[int, datetime] = field(default_factory=dict)  # told that a human will answer, and not answered yet
    kept: int = 0
    looks: int = 0
    longest: timedelta = timedelta(0)
    faults: list[str] = field(default_factory=list)
    _heard: int = 0  # the newest system message that was read

    def fault(self, text: str) -> None:
        if len(self.faults) < 200:
            self.faults.append(text)

    # --- Who waits ---

    def set_aside(self, conversation_id: int) -> None:
        """A person has looked at the newest words and decided that they need no answer."""
        newest = Message.objects.filter(conversation_id=conversation_id).aggregate(seq=Max("seq"))["seq"]
        self.aside[conversation_id] = newest or 0
        self.promised.pop(conversation_id, None)

    def look(self, now: datetime, touched: Iterable[int]) -> datetime | None:
        """Judge this moment; returns when to look again at the latest, if somebody is unseen."""
        self.looks += 1
        for conversation_id in {*touched, *self._listen(now)}:
            self._read(conversation_id, now)
        limit = timedelta(seconds=settings.TANDEM["GROUP_AFTER"]) + SWEEP
        rows = {row.pk: row for row in Conversation.objects.filter(pk__in={*self.waits, *self.promised})}
        for conversation_id in list(self.waits):
            row = rows[conversation_id]
            if self._is_seen(row, now):
                self.unseen.pop(conversation_id, None)
                continue
            since = self.unseen.setdefault(conversation_id, now)
            self.longest = max(self.longest, now - since)
            if now - since > limit:
                live = ChatSession.objects.filter(conversation=row, status__in=sorted(LIVE)).first()
                self.fault(
                    f"{now}: {row.account_id} spoke at {self.waits[conversation_id]} and waits unseen since {since}: "
                    f"{row.controller}, {live and (live.status, live.owner_kind)}; {_lately(row)}"
                )
                del self.waits[conversation_id]
                self.unseen.pop(conversation_id)
        self._promises(rows, now)
        return min(self.unseen.values()) + limit + timedelta(seconds=1) if self.unseen else None

    def _read(self, conversation_id: int, now: datetime) -> None:
        said = Message.objects.filter(conversation_id=conversation_id, is_note=False)
        answered = said.filter(sender_type__in=ANSWERS).aggregate(seq=Max("seq"))["seq"] or 0
        after = max(answered, self.aside.get(conversation_id, 0))
        open_words = said.filter(sender_type=Message.Sender.CUSTOMER, seq__gt=after)
        if open_words.exists():
            self.waits.setdefault(conversation_id, now)
        else:
            self.waits.pop(conversation_id, None)
            self.unseen.pop(conversation_id, None)

    def _is_seen(self, row: Conversation, now: datetime) -> bool:
        if row.needs_human or row.controller == Controller.QUEUE:
            return row.waiting_since is not None
        if row.controller == Controller.FLOW:
            return GuidedFlow.objects.filter(conversation=row, status__in=sorted(FLOW_BLOCKING)).exists()
        live = ChatSession.objects.filter(conversation=row, status__in=sorted(LIVE)).select_related("bot", "agent")
        session = live.first()
        if session is None:
            return False
        if session.owner_kind == Owner.AGENT:
            return session.agent is not None and _is_there(session.agent, now)
        if session.owner_kind == Owner.BOT:
            return session.bot is not None and presence.is_alive(session.bot, now)
        return session.owner_kind == Owner.SHOP

    # --- What was promised ---

    def _listen(self, now: datetime) -> set[int]:
        """What customers have been told since the last look, by whichever verb or clock; where it changes who waits."""
        passed_on = set()
        for message in Message.objects.filter(sender_type=Message.Sender.SYSTEM, pk__gt=self._heard).order_by("pk"):
            self._heard, conversation_id = message.pk, message.conversation_id
            if PROMISE in message.content:
                self.promised.setdefault(conversation_id, now)
            if BY_MAIL in message.content:  # from now on the team has it there
                self.aside[conversation_id] = message.seq
                passed_on.add(conversation_id)
                if not Mail.objects.filter(conversation_id=conversation_id).exists():
                    self.fault(f"{now}: {conversation_id} was promised an e-mail that there is not")
        return passed_on

    def hear_who_serves(self) -> None:
        """Told after each act: somebody may take a conversation and hand it on before the next look."""
        if self.promised:
            here = Conversation.objects.filter(pk__in=self.promised, controller=Controller.HUMAN)
            for conversation_id in here.values_list("pk", flat=True):
                self.kept += 1
                del self.promised[conversation_id]

    def take_back(self, conversation_id: int) -> None:
        """A supervisor ends what was promised: that is theirs to decide."""
        self.promised.pop(conversation_id, None)

    def _promises(self, rows: dict[int, Conversation], now: datetime) -> None:
        """Kept once a person serves; broken if a bot has the turn, or nobody is asked any more, before that."""
        self.hear_who_serves()
        for conversation_id in list(self.promised):
            row = rows[conversation_id]
            if row.controller in (Controller.BOT, Controller.FLOW):
                self.fault(
                    f"{now}: {row.account_id} was promised a human, and a {row.controller} has the turn: {_lately(row)}"
                )
                del self.promised[conversation_id]
            elif row.controller == Controller.NONE and not row.needs_human:
                self.fault(
                    f"{now}: {row.account_id} was promised a human, and nobody is asked any more: {_lately(row)}"
                )
                del self.promised[conversation_id]

    def said_to_wait(self, conversation_id: int, seconds: int | None, now: datetime) -> None:
        """What a customer was told of the wait, against what the head of that queue has waited already."""
        asked = Transfer.objects.filter(conversation_id=conversation_id, status=TransferStatus.PENDING).first()
        if seconds is None or asked is None:
            return
        line = Transfer.objects.filter(
            tenant_id=asked.tenant_id,
            status=TransferStatus.PENDING,
            to_team=asked.to_team_id,
            to_agent=asked.to_agent_id,
            session__owner_kind=Owner.NOBODY,
        ).select_related("conversation")
        head = min(line, key=lambda t: (t.conversation.tier, t.conversation.desk_order), default=None)
        if head is None:
            return
        waited = (now - max(head.waiting_since, head.opens_at or head.waiting_since)).total_seconds()
        if seconds + AT_ONCE.total_seconds() < waited:
            self.fault(f"{now}: told to wait {seconds} s where the head of the queue has waited {waited:.0f} s")

    def last_words(self, now: datetime) -> None:
        """At the end of the year: no promise has grown old, and every e-mail that was promised went out."""
        for conversation_id, since in self.promised.items():
            if now - since > timedelta(days=5):
                self.fault(f"{conversation_id} was promised a human at {since} and has none yet")
        for mail in Mail.objects.exclude(status=MailStatus.SENT).filter(created_at__lt=now - timedelta(days=1)):
            self.fault(f"an e-mail of {mail.conversation_id} is {mail.status}: {mail.error}")


def _lately(row: Conversation) -> str:
    """What happened there last, for whoever looks into a fault."""
    last = list(Operation.objects.filter(conversation=row).order_by("-seq")[:8])
    return ", ".join(f"{one.at:%H:%M:%S} {one.type}" for one in reversed(last))


def _is_there(agent: Agent, now: datetime) -> bool:
    """Until the sessions of somebody who is gone must have moved on."""
    gone = timedelta(seconds=settings.TANDEM["AGENT_GONE_AFTER"])
    return agent.is_active and agent.last_seen_at is not None and now - agent.last_seen_at <= gone
