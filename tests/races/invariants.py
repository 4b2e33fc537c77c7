"""The invariants (docs/rules.md, Invariants), asserted over all rows of a tenant once everything is quiet.

Checked here: 1 to 11 and 14, and the numbering of the stream. 12 (batches) and 13 (rights) have tests of their own.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction

from agents_app.actors import system_actor
from agents_app.models import Agent, PresenceChange
from config import clock
from config.db import lock_rows
from messaging_app import stream
from messaging_app.models import Conversation, Message, Operation, StreamHead
from sessions_app.actions import departure
from sessions_app.core import capacity
from sessions_app.core.locked_conversation import lock_conversation
from sessions_app.core.record.replay import PRESENCE, Fault, LoadChange, Replay, Roster, differences
from sessions_app.models import ChatSession, GuidedFlow, Participant, Transfer
from sessions_app.states import LIVE, OPEN, Owner, TransferStatus
from sessions_app.unit import settle

LATE = timedelta(seconds=5)
"""How long a deadline may have passed while a sweeper lives."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A message somebody was told is stored: where, and what a bot named as the epoch."""

    message_id: str
    conversation_id: int
    seq: int
    epoch: int | None = None


def snapshot(conversation_id: int) -> dict[str, Any]:
    """All that a conversation is, at one moment: read under its lock."""
    with transaction.atomic():
        lock_rows(Conversation.objects.filter(pk=conversation_id)).get()
        return _rows(conversation_id)


def _rows(conversation_id: int) -> dict[str, Any]:
    def of(model: Any) -> list[dict[str, Any]]:
        return list(model.objects.filter(conversation_id=conversation_id).order_by("pk").values())

    return {
        "conversation": Conversation.objects.filter(pk=conversation_id).values().get(),
        "sessions": of(ChatSession),
        "transfers": of(Transfer),
        "flows": of(GuidedFlow),
        "participants": of(Participant),
        "messages": of(Message),
    }


def check(
    tenant_id: int,
    *,
    acknowledged: Iterable[Acknowledged] = (),
    snapshots: Iterable[dict[str, Any]] = (),
    only: Sequence[int] = (),
    sweeper_lived: bool = True,
    stamped: bool = True,
    quiet_at: datetime | None = None,
) -> list[Fault]:
    """Every broken invariant. `snapshots` were taken on the way by `snapshot`; `only` names some conversations.

    `quiet_at` is when the sweeper stopped: what became due while we look is nobody's fault.
    """
    faults: list[Fault] = []
    loads: list[LoadChange] = []
    threads: dict[int, Replay] = {}
    taken = defaultdict(list)
    for rows in snapshots:
        taken[rows["conversation"]["id"]].append(rows)
    every = Conversation.objects.filter(tenant_id=tenant_id).values_list("pk", flat=True).order_by("pk")
    for conversation_id in only or every:
        operations = list(Operation.objects.filter(conversation_id=conversation_id).order_by("seq"))
        thread = Replay(settings.TANDEM, id=conversation_id)
        try:
            thread.apply(operations)
        except (KeyError, ValueError, AssertionError) as error:
            thread.faults.append(Fault(9, f"conversation {conversation_id}: cannot be replayed: {error!r}"))
        threads[conversation_id] = thread
        faults += thread.faults
        loads += thread.loads
        faults += _conversation(thread, operations, sweeper_lived=sweeper_lived)
        faults += _snapshots(conversation_id, operations, taken[conversation_id])
        faults += _derived(tenant_id, conversation_id)
    roster = Roster()
    roster.apply(Operation.objects.filter(tenant_id=tenant_id, type="agent.presence").order_by("pk"))
    faults += _presence(tenant_id, roster)
    faults += _load(tenant_id, loads if stamped else [], roster)
    faults += _acknowledged(tenant_id, threads, acknowledged)
    faults += _departed(tenant_id) if sweeper_lived else []
    faults += _database(tenant_id, quiet_at or clock.now())
    if stamped:
        faults += _stream(tenant_id)
    return faults


def _conversation(thread: Replay, operations: Sequence[Operation], *, sweeper_lived: bool) -> list[Fault]:
    faults = []
    rows = Replay.of_rows(_rows(thread.id), settings.TANDEM)
    faults += [Fault(9, f"conversation {thread.id}: {text}") for text in differences(thread, rows)]
    if [o.seq for o in operations] != list(range(1, len(operations) + 1)):
        faults.append(Fault(6, f"conversation {thread.id}: its operations are not numbered 1..n"))
    if broken := stream.first_broken_link(operations):
        faults.append(Fault(6, f"conversation {thread.id}: the chain breaks at operation {broken.seq}"))
    if operations and Conversation.objects.get(pk=thread.id).chain != operations[-1].chain:
        faults.append(Fault(6, f"conversation {thread.id}: its row does not hold the last link"))
    faults += [
        Fault(5, f"transfer {id} has {thread.ends.get(id, 0)} ends")
        for id, transfer in thread.transfers.items()
        if thread.ends.get(id, 0) != (transfer.status != TransferStatus.PENDING)
    ]
    if sweeper_lived and thread.lateness > LATE:
        faults.append(Fault(11, f"conversation {thread.id}: a deadline was applied {thread.lateness} late"))
    return faults


def _snapshots(conversation_id: int, operations: Sequence[Operation], taken: list[dict[str, Any]]) -> list[Fault]:
    """10: what a client has that took a snapshot and then followed the events."""
    faults = []
    fresh = Replay.of_rows(_rows(conversation_id), settings.TANDEM)
    for rows in taken:
        client = Replay.of_rows(rows, settings.TANDEM)
        since = client.seq
        try:
            client.apply(o for o in operations if o.seq > since)
        except (KeyError, ValueError, AssertionError) as error:
            faults.append(Fault(10, f"conversation {conversation_id}: cannot follow from {since}: {error!r}"))
            continue
        faults += [
            Fault(10, f"conversation {conversation_id} followed from {since}: {text}")
            for text in differences(client, fresh)
        ]
    return faults


def _derived(tenant_id: int, conversation_id: int) -> list[Fault]:
    """14: who gets the next message, and the place in the list, follow from the rows."""
    with transaction.atomic():
        turn = lock_conversation(system_actor(tenant_id), conversation_id)
        stored = turn.conversation
        controller = settle.controller_of(turn)
        faults = []
        if controller != stored.controller:
            faults.append(Fault(14, f"conversation {conversation_id} says {stored.controller}, is {controller}"))
        if settle._holder(turn.live) != stored.holder:
            faults.append(Fault(14, f"conversation {conversation_id} names another holder than its live session"))
        if settle._tier(turn) != stored.tier:
            faults.append(Fault(14, f"conversation {conversation_id} is in tier {stored.tier}"))
        place = settle.desk_order(stored.waiting_since, stored.last_activity_at)
        if stored.seq and place != stored.desk_order:
            faults.append(Fault(14, f"conversation {conversation_id} has the wrong place in the list"))
        return faults


def _presence(tenant_id: int, roster: Roster) -> list[Fault]:
    """6, 9: each change of presence has one event and one line of the presence log, and the events give the rows."""
    faults = [*roster.faults]
    for agent in Agent.objects.filter(tenant_id=tenant_id).order_by("pk"):
        lines = PresenceChange.objects.filter(agent=agent).order_by("at", "pk")
        logged, told = list(lines.values_list("at", *PRESENCE)), roster.presence_logs.get(agent.pk, [])
        if logged != told:
            faults.append(
                Fault(6, f"the presence log of agent {agent.pk} has {len(logged)} lines, not those of the events")
            )
        facts = (
            agent.availability,
            agent.availability_reason,
            agent.is_heard,
            agent.max_load,
            agent.is_drained,
        )
        if told and told[-1][1:] != facts:
            faults.append(Fault(9, f"agent {agent.pk} is {facts}; the events say {told[-1][1:]}"))
    return faults


def _departed(tenant_id: int) -> list[Fault]:
    """Nothing waits for somebody who does not work here any more."""
    left = departure.holdings(Agent.objects.filter(tenant_id=tenant_id, is_active=False))
    return [Fault(11, f"conversation {where}: agent {agent} has left and still has it") for _, where, agent in left]


def _load(tenant_id: int, changes: list[LoadChange], roster: Roster) -> list[Fault]:
    """4: by replay, in the order of the stream, which respects the order in which agents were locked."""
    faults = []
    limits = dict(Agent.objects.filter(tenant_id=tenant_id).values_list("pk", "max_load"))
    load: Counter[int] = Counter()
    for change in sorted(changes, key=lambda c: (c.pos, c.change)):
        load[change.agent_id] += change.change
        told = roster.room(change.agent_id, change.pos)
        room = limits.get(change.agent_id, 0) if told is None else told
        if change.change > 0 and load[change.agent_id] > room and not change.is_override:
            faults.append(Fault(4, f"agent {change.agent_id} got session {load[change.agent_id]} of {room}"))
    owned = ChatSession.objects.filter(tenant_id=tenant_id, owner_kind=Owner.AGENT, status__in=sorted(LIVE))
    counted = Counter(owned.values_list("agent_id", flat=True))
    if changes and counted != +load:
        faults.append(Fault(4, f"agents own {dict(counted)}; the operations say {dict(+load)}"))
    return faults


def _acknowledged(tenant_id: int, threads: dict[int, Replay], acknowledged: Iterable[Acknowledged]) -> list[Fault]:
    """2: what was acknowledged is there once, where it was said to be; 3: a bot's words were said in the epoch it named."""
    faults = []
    stored = Message.objects.filter(tenant_id=tenant_id).values_list("message_id", "conversation_id", "seq")
    where = defaultdict(set)
    for message_id, conversation_id, seq in stored:
        where[message_id].add((conversation_id, seq))
    faults += [Fault(2, f"message {id} is stored {len(found)} times") for id, found in where.items() if len(found) > 1]
    for told in set(acknowledged):
        if where.get(told.message_id) != {(told.conversation_id, told.seq)}:
            found = where.get(told.message_id, "nowhere")
            faults.append(Fault(2, f"message {told.message_id} was acknowledged as {told.seq}; it is {found}"))
        thread = threads.get(told.conversation_id)
        said_in = thread.epoch_at.get(told.seq) if thread else None
        if told.epoch is not None and said_in != told.epoch:
            faults.append(Fault(3, f"bot message {told.message_id} named epoch {told.epoch} and was said in {said_in}"))
    return faults


def _database(tenant_id: int, quiet_at: datetime) -> list[Fault]:
    """What the rows alone show: 1, 5 and 11."""
    faults = []
    live = ChatSession.objects.filter(tenant_id=tenant_id, status__in=sorted(LIVE))
    for conversation_id, count in Counter(live.values_list("conversation_id", flat=True)).items():
        if count > 1:
            faults.append(Fault(1, f"conversation {conversation_id} has {count} live sessions"))
    pending = Transfer.objects.filter(tenant_id=tenant_id, status=TransferStatus.PENDING)
    for session_id, count in Counter(pending.values_list("session_id", flat=True)).items():
        if count > 1:
            faults.append(Fault(5, f"session {session_id} has {count} unanswered transfers"))
    long_ago = quiet_at - LATE
    due = quiet_at - LATE - timedelta(seconds=settings.TANDEM["GROUP_AFTER"])
    lain = Conversation.objects.filter(
        tenant_id=tenant_id, controller="none", needs_human=False, unanswered_since__lt=due
    )
    called = "is overdue: the customer waits since"
    faults += [Fault(11, f"conversation {c.pk} {called} {c.unanswered_since}, and nobody was called") for c in lain]
    overdue = ChatSession.objects.filter(tenant_id=tenant_id, status__in=sorted(OPEN), expires_at__lt=long_ago)
    faults += [Fault(11, f"session {s.pk} is overdue since {s.expires_at}") for s in overdue]
    untold = ChatSession.objects.filter(tenant_id=tenant_id, status__in=sorted(OPEN), warns_at__lt=long_ago)
    faults += [Fault(11, f"the warning of the end of session {s.pk} is overdue since {s.warns_at}") for s in untold]
    faults += [
        Fault(11, f"transfer {t.pk} is overdue since {t.deadline}") for t in pending.filter(deadline__lt=long_ago)
    ]
    for transfer in pending.filter(offered_to__isnull=False).select_related("offered_to"):
        agent = transfer.offered_to
        if agent.availability != Agent.Availability.AVAILABLE or capacity.load(agent) >= agent.max_load:  # type: ignore[union-attr]
            faults.append(Fault(4, f"transfer {transfer.pk} is still offered to {agent}, who cannot take it"))
    return faults


def _stream(tenant_id: int) -> list[Fault]:
    """The tenant's stream is numbered 1..n, and keeps each conversation's order; what has none is a chain of one."""
    places = list(
        Operation.objects.filter(tenant_id=tenant_id).order_by("pos").values_list("pos", "conversation_id", "seq")
    )
    faults = []
    if [pos for pos, _, _ in places] != list(range(1, len(places) + 1)):
        faults.append(Fault(6, "the tenant's stream is not numbered 1..n"))
    head = StreamHead.objects.filter(tenant_id=tenant_id).values_list("pos", flat=True).first() or 0
    if head != len(places):
        faults.append(Fault(6, f"the head of the stream stands at {head} of {len(places)}"))
    last: Counter[int] = Counter()
    for pos, conversation_id, seq in places:
        if conversation_id is None:
            continue
        if seq != last[conversation_id] + 1:
            faults.append(Fault(6, f"position {pos} holds operation {seq} of conversation {conversation_id}"))
        last[conversation_id] = seq
    alone = Operation.objects.filter(tenant_id=tenant_id, conversation=None)
    changed = [operation.pos for operation in alone if stream.first_broken_link([operation])]
    return faults + [Fault(6, f"position {pos} holds an operation that is not as it was written") for pos in changed]
