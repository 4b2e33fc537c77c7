"""The people and programs of the tests, by name, and short ways to let them act through the real verbs.

`Cast` is one shop's desk: Ann and Ben serve, Sue supervises, three bots work, the channel brings in what customers say.
`Chat` is one conversation of theirs. Nothing here writes a session, transfer, flow or message but by a verb.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import cache
from itertools import batched, count
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.db.models import Count, Prefetch, prefetch_related_objects

from agents_app.actors import Actor, ActorKind, agent_actor, client_actor, customer_actor, system_actor
from agents_app.models import Agent, ApiClient, PresenceChange, Team, Tenant
from config import clock
from config.errors import DomainError
from messaging_app import stream
from messaging_app.batch import BatchRow
from messaging_app.models import Conversation, Message, NeedRule, Operation
from messaging_app.thread import NewMessage
from sessions_app.actions import (
    batches,
    conversations,
    inbound,
    lifecycle,
    messages,
    participants,
    shop_messages,
    takeovers,
    transfers,
)
from sessions_app.core.locked_conversation import Outcome
from sessions_app.core.record.check import Check
from sessions_app.models import ChatSession, Participant, Transfer
from sessions_app.states import LIVE, Kind, Owner, Status, TransferStatus

_number = count(1)

APPS = ("agents_app", "messaging_app", "sessions_app")


class Cast:
    """A tenant with its desk. People are actors: `cast.ann`; their rows are `cast.agent("ann")`."""

    def __init__(self, slug: str = "shop", **settings: Any) -> None:
        self.tenant = Tenant.objects.create(slug=slug, name=slug.title(), **settings)
        self._agents: dict[str, Agent] = {}
        self._clients: dict[str, ApiClient] = {}
        self.ann = self.hire("ann")
        self.ben = self.hire("ben")
        self.cat = self.hire("cat")
        self.sue = self.hire("sue", role=Agent.Role.SUPERVISOR)
        self.bargain = self.program("bargain")
        self.faq = self.program("faq")
        self.follow_up = self.program("follow_up")
        self.channel = self.program("channel", ApiClient.Kind.INTEGRATOR)
        self.system = system_actor(self.tenant.pk)

    def hire(self, name: str, **fields: Any) -> Actor:
        """An agent who is there and available, unless `fields` say otherwise."""
        given = {"availability": Agent.Availability.AVAILABLE, "last_seen_at": clock.now(), "is_heard": True} | fields
        self._agents[name] = Agent.objects.create(tenant=self.tenant, name=name.title(), **given)
        return agent_actor(self._agents[name])

    def program(self, name: str, kind: str = ApiClient.Kind.BOT) -> Actor:
        self._clients[name] = ApiClient.objects.create(tenant=self.tenant, name=name, kind=kind)
        return client_actor(self._clients[name])

    def agent(self, name: str) -> Agent:
        return Agent.objects.get(pk=self._agents[name].pk)

    def pk(self, name: str) -> int:
        """Of an agent or a program."""
        return (self._agents.get(name) or self._clients[name]).pk

    def bot_row(self, name: str) -> ApiClient:
        return ApiClient.objects.get(pk=self._clients[name].pk)

    def change(self, name: str, **fields: Any) -> None:
        """Change an agent or program outside the verbs, as the admin does."""
        model, row = (Agent, self._agents.get(name)) if name in self._agents else (ApiClient, self._clients.get(name))
        assert row is not None
        model._default_manager.filter(pk=row.pk).update(**fields)

    def seen(self, *names: str) -> None:
        """These agents are heard of just now; without names, all."""
        chosen = [self._agents[name].pk for name in names or self._agents]
        Agent.objects.filter(pk__in=chosen).update(last_seen_at=clock.now())

    def team(self, name: str, *members: str) -> Team:
        team = Team.objects.create(tenant=self.tenant, name=name)
        team.members.set([self._agents[member] for member in members])
        return team

    def policy(self, **fields: Any) -> None:
        Tenant.objects.filter(pk=self.tenant.pk).update(**fields)

    def rule(self, kind: str, **fields: Any) -> NeedRule:
        return NeedRule.objects.create(tenant=self.tenant, kind=kind, name=f"{kind} {next(_number)}", **fields)

    def chat(self, account: str = "") -> Chat:
        """A new conversation, in which nothing has happened yet."""
        made = lifecycle.conversation_for(
            actor=self.channel, shop_id="shop-1", account_id=account or f"customer-{next(_number)}"
        )
        return Chat(self, made.pk)

    def busy(self, name: str, sessions: int) -> None:
        """Let an agent serve so many other conversations."""
        actor = agent_actor(self._agents[name])
        for _ in range(sessions):
            lifecycle.open_session(actor=actor, conversation_id=self.chat().id, robot=False)


class Chat:
    """One conversation: what its people do, and what became of it."""

    def __init__(self, cast: Cast, conversation_id: int) -> None:
        self.cast = cast
        self.id = conversation_id
        self.customer = customer_actor(cast.tenant, conversation_id, "Carla")

    # --- What became of it ---

    @property
    def row(self) -> Conversation:
        return Conversation.objects.get(pk=self.id)

    @property
    def controller(self) -> str:
        return self.row.controller

    @property
    def epoch(self) -> int:
        return self.row.epoch

    @property
    def sessions(self) -> list[ChatSession]:
        return list(ChatSession.objects.filter(conversation_id=self.id).order_by("pk"))

    @property
    def live(self) -> ChatSession:
        return ChatSession.objects.get(conversation_id=self.id, status__in=sorted(LIVE))

    @property
    def has_live(self) -> bool:
        return ChatSession.objects.filter(conversation_id=self.id, status__in=sorted(LIVE)).exists()

    @property
    def transfers(self) -> list[Transfer]:
        return list(Transfer.objects.filter(conversation_id=self.id).order_by("pk"))

    @property
    def pending(self) -> Transfer:
        """The one unanswered transfer."""
        return Transfer.objects.get(conversation_id=self.id, status=TransferStatus.PENDING)

    @property
    def has_pending(self) -> bool:
        return Transfer.objects.filter(conversation_id=self.id, status=TransferStatus.PENDING).exists()

    @property
    def operations(self) -> list[Operation]:
        return list(Operation.objects.filter(conversation_id=self.id).order_by("seq"))

    @property
    def event_types(self) -> list[str]:
        """What is on record, by type."""
        return [operation.type for operation in self.operations]

    @property
    def said(self) -> list[str]:
        return list(Message.objects.filter(conversation_id=self.id).order_by("pk").values_list("content", flat=True))

    def session(self, outcome: Outcome) -> ChatSession:
        return ChatSession.objects.get(pk=outcome.session_id)

    # --- What its people do ---

    def opens(self, actor: Actor, kind: str, **more: Any) -> Outcome:
        """Open a session of this kind; an integrator's robot session is the faq bot's, unless named."""
        robot = Kind(kind).is_robot
        if robot and actor.kind != ActorKind.BOT:
            more.setdefault("bot_id", self.cast.faq.id)
        return lifecycle.open_session(actor=actor, conversation_id=self.id, robot=robot, kind=kind, **more)

    def robot(self, actor: Actor | None = None, kind: str = Kind.AUTO_BARGAIN, **more: Any) -> Outcome:
        return self.opens(actor or self.cast.bargain, kind, **more)

    def human(self, actor: Actor | None = None, **more: Any) -> Outcome:
        return self.opens(actor or self.cast.ann, Kind.MANUAL_CUSTOMER_SERVICE, **more)

    def says(self, content: str = "Hello?", message_id: str = "", **more: Any) -> Outcome:
        """The customer says something."""
        words = NewMessage(content=content, message_id=message_id, **more)
        return inbound.receive_message(actor=self.cast.channel, conversation_id=self.id, words=words)

    def speaks(
        self, actor: Actor, content: str = "Here you are.", message_id: str = "", epoch: int | None = -1
    ) -> Outcome:
        """A bot (with the present epoch unless named), agent or participant says something."""
        words = NewMessage(content=content, message_id=message_id)
        return messages.post_message(
            actor=actor, conversation_id=self.id, words=words, epoch=self.epoch if epoch == -1 else epoch
        )

    def echo(self, content: str = "I am here myself.", message_id: str = "", **more: Any) -> Outcome:
        """A person answers from the shop's own app."""
        words = NewMessage(content=content, message_id=message_id, **more)
        return shop_messages.echo_message(actor=self.cast.channel, conversation_id=self.id, words=words)

    def brings(self, *rows: tuple[str, float, str], actor: Actor | None = None) -> None:
        """A batch, in one operation: who said it, how many seconds ago, and the words."""
        place = self.row
        batch = (
            BatchRow(
                line=number, platform=place.platform, shop_id=place.shop_id, account_id=place.account_id,
                message_id=f"row-{place.pk}-{place.seq}-{number}", sender_type=sender, content=content,
                sent_at=clock.now() - timedelta(seconds=age), is_robot=sender == "bot",
            )
            for number, (sender, age, content) in enumerate(rows, 1)
        )  # fmt: skip
        report = batches.ingest_batch(actor=actor or self.cast.channel, rows=batch)
        assert report.accepted == len(rows), report

    def escalate(self, actor: Actor | None = None, **more: Any) -> Outcome:
        return transfers.request_transfer(actor=actor or self.cast.bargain, conversation_id=self.id, **more)

    def accept(self, actor: Actor | None = None, **more: Any) -> Outcome:
        return transfers.accept_transfer(actor=actor or self.cast.ann, transfer_id=self.pending.pk, **more)

    def decline(self, actor: Actor, **more: Any) -> Outcome:
        return transfers.decline_transfer(actor=actor, transfer_id=self.pending.pk, **more)

    def withdraw(self, actor: Actor, **more: Any) -> Outcome:
        return transfers.withdraw_transfer(actor=actor, transfer_id=self.pending.pk, **more)

    def take(self, actor: Actor | None = None, **more: Any) -> Outcome:
        return takeovers.take_over(actor=actor or self.cast.ann, conversation_id=self.id, **more)

    def grab(self, actor: Actor, reason: str = "I know this customer.", **more: Any) -> Outcome:
        return takeovers.grab(actor=actor, conversation_id=self.id, reason=reason, **more)

    def hand_over(self, actor: Actor | None = None, **more: Any) -> Outcome:
        return transfers.hand_over(actor=actor or self.cast.ann, conversation_id=self.id, **more)

    def release(self, actor: Actor | None = None, **more: Any) -> Outcome:
        return takeovers.release_to_bot(actor=actor or self.cast.ann, conversation_id=self.id, **more)

    def reassign(self, actor: Actor | None = None, reason: str = "Ill.", **more: Any) -> Outcome:
        return takeovers.reassign(actor=actor or self.cast.sue, conversation_id=self.id, reason=reason, **more)

    def resolve(self, actor: Actor | None = None, **more: Any) -> Outcome:
        return conversations.resolve(actor=actor or self.cast.ann, conversation_id=self.id, **more)

    def sweep(self) -> Outcome:
        """What the sweeper does."""
        return lifecycle.expire_due(actor=self.cast.system, conversation_id=self.id)

    def guest(self, host: Actor | None = None, name: str = "Gus", **more: Any) -> Actor:
        """Somebody invited by the owner, who has joined by the link."""
        invited = participants.invite_participant(
            actor=host or self.cast.ann, conversation_id=self.id, name=name, **more
        )
        participants.join(tenant_id=self.cast.tenant.pk, token=invited.token)
        return self.participant_actor(invited.participant_id)

    def participant_actor(self, participant_id: int | None) -> Actor:
        row = Participant.objects.get(pk=participant_id)
        return Actor(
            kind=ActorKind.PARTICIPANT, tenant_id=row.tenant_id, id=row.pk, name=row.name, conversation_id=self.id
        )

    # --- Bringing it about that somebody has the turn ---

    def serve(self) -> Chat:
        """Ann serves a robot session that she took over."""
        self.robot()
        self.take()
        return self

    def queue(self) -> Chat:
        """A robot session waits for a human."""
        self.robot()
        self.escalate()
        return self


class Later:
    """Moves the database's clock, as the code sees it. Restored at the end of the test."""

    def __call__(self, seconds: float) -> None:
        clock.offset += timedelta(seconds=seconds)

    def until(self, moment: Any, seconds: float = 0) -> None:
        """Make it `seconds` after (before, if negative) `moment`."""
        clock.offset += moment - clock.now() + timedelta(seconds=seconds)


def snapshot() -> dict[str, list[tuple[Any, ...]]]:
    """Every row of the three apps, as the database gives it: equal before and after a refused verb."""
    rows = {}
    with connection.cursor() as cursor:
        for label, sql in _every_row():
            cursor.execute(sql)
            rows[label] = list(cursor.fetchall())
    return rows


@cache
def _every_row() -> list[tuple[str, str]]:
    """Each model with the SQL of its table: made by the ORM, it took a third of the time of the verbs' own tests."""
    models = [model for label in APPS for model in apps.get_app_config(label).get_models(include_auto_created=True)]
    quoted = connection.ops.quote_name
    return [
        (one._meta.label, f"SELECT * FROM {quoted(one._meta.db_table)} ORDER BY {quoted(one._meta.pk.column)}")
        for one in models
    ]


def refused(code: str, verb: Callable[..., Any], *args: Any, **kwargs: Any) -> DomainError:
    """The verb says no with this code, and not one row is changed by it. Returns the refusal."""
    return refused_leaving(snapshot(), code, verb, *args, **kwargs)


def refused_leaving(before: object, code: str, verb: Callable[..., Any], *args: Any, **kwargs: Any) -> DomainError:
    """`refused`, for many tries in a row that must all leave the same snapshot."""
    with pytest.raises(DomainError) as refusal:
        verb(*args, **kwargs)
    assert refusal.value.code == code, f"refused with {refusal.value.code} ({refusal.value}), not {code}"
    assert snapshot() == before, f"refused with {code}, and yet something was changed"
    return refusal.value


def broken_invariants() -> Iterable[str]:
    """Which of the invariants (docs/rules.md, Invariants) the stored rows break, in words; empty when none."""
    for key in _several_live():
        yield f"1: conversation {key} has more than one live session"
    for session in ChatSession.objects.filter(status__in=sorted(LIVE), owner_kind=Owner.NOBODY, origin="opened"):
        asked = session.transfers.filter(status=TransferStatus.PENDING).count()
        if asked != 1:
            yield f"5: live session {session.pk} has no owner and {asked} unanswered transfers"
    for agent in Agent.objects.filter(
        chatsession__owner_kind=Owner.AGENT, chatsession__status__in=sorted(LIVE)
    ).distinct():
        yield from _over_capacity(agent)
    for ended in Transfer.objects.exclude(status=TransferStatus.PENDING).filter(ended_at=None):
        yield f"5: transfer {ended.pk} is {ended.status} and never ended"
    by_seq = Prefetch("operations", Operation.objects.order_by("seq"))
    for some in batched(Conversation.objects.all(), 300):
        prefetch_related_objects(some, by_seq, "sessions")
        for conversation in some:
            yield from _broken_in(conversation)
    for operation in Operation.objects.filter(conversation=None):
        if stream.first_broken_link([operation]):
            yield f"6: operation {operation.pk}, of no conversation, does not fit its hash"
    yield from _untold_presence()


def wrong_in_the_record() -> Iterable[str]:
    """What `check_stream` would tell."""
    for tenant in Tenant.objects.order_by("pk"):
        yield from map(str, Check(tenant).run())


def _untold_presence() -> Iterable[str]:
    """Each line of a presence log has its event and each event its line, with the same facts in the same order."""
    facts = ("availability", "reason", "is_heard", "max_load", "is_drained")
    logged, told = defaultdict(list), defaultdict(list)
    for agent_id, *line in PresenceChange.objects.order_by("at", "pk").values_list("agent_id", "at", *facts):
        logged[agent_id].append(line)
    for operation in Operation.objects.filter(type="agent.presence").order_by("pk"):
        told[operation.data["agent_id"]].append([operation.at, *(operation.data[name] for name in facts)])
    for pk in Agent.objects.values_list("pk", flat=True):
        if logged[pk] != told[pk]:
            yield f"6: the presence log of agent {pk} says {logged[pk]}; the events say {told[pk]}"


def _several_live() -> Iterable[int]:
    live = ChatSession.objects.filter(status__in=sorted(LIVE)).values("conversation_id")
    return live.annotate(n=Count("pk")).filter(n__gt=1).values_list("conversation_id", flat=True)


def _over_capacity(agent: Agent) -> Iterable[str]:
    served = ChatSession.objects.filter(agent=agent, owner_kind=Owner.AGENT, status__in=sorted(LIVE))
    if served.count() <= agent.max_load:
        return
    overridden = Transfer.objects.filter(accepted_by=agent, is_override=True, session__in=served).exists()
    resumed = Operation.objects.filter(session_id__in=served.values("pk"), type="session.resumed", data__override=True)
    if not (overridden or resumed.exists()):
        yield f"4: {agent} serves {served.count()} of {agent.max_load} with no override on record"


def _broken_in(conversation: Conversation) -> Iterable[str]:
    """Of one whose sessions, and operations by `seq`, are at hand."""
    operations = list(conversation.operations.all())
    sessions = {session.pk: session for session in conversation.sessions.all()}
    if [o.seq for o in operations] != list(range(1, conversation.seq + 1)):
        yield f"6: the operations of {conversation.pk} are {[o.seq for o in operations]}, its seq is {conversation.seq}"
    if broken := stream.first_broken_link(operations):
        yield f"6: operation {broken.seq} of {conversation.pk} does not fit the chain"
    open_ones = [s for s in sessions.values() if s.status in (*LIVE, Status.PENDING, Status.PAUSED)]
    live = [s for s in open_ones if s.status in LIVE]
    line = sorted((s for s in open_ones if s not in live and not s.on_hold), key=lambda s: (s.rank, s.opened_at, s.pk))
    if line and not live and (line[0].is_robot or line[0].status != Status.PENDING):
        yield f"7: session {line[0].pk} waits in {conversation.pk} and nothing is live"
    for session in open_ones:
        if session.ended_at is not None:
            yield f"8: session {session.pk} has ended and is {session.status}"
    for name, value in _replayed(operations).items():
        its = sessions.get(name) or ChatSession.objects.filter(pk=name).first()
        if its is not None and (stored := (its.status, its.owner_kind)) != value:
            yield f"9: session {name} is {stored}; its operations say {value}"


def _replayed(operations: list[Operation]) -> dict[int, tuple[str, str]]:
    """Status and owner of each session, from the operations alone."""
    states: dict[int, tuple[str, str]] = {}
    for operation in operations:
        data = operation.data
        if operation.type == "messages.grouped":
            states |= {told["session_id"]: (told["status"], told["owner_kind"]) for told in data["created"]}
            states |= {told["session_id"]: (told["status"], told["owner_kind"]) for told in data["extended"]}
            for gone, _ in data["joined"]:
                states.pop(gone, None)
        if operation.session_id is None:
            continue
        if operation.type == "session.opened":
            states[operation.session_id] = (data["status"], data["owner_kind"])
        elif operation.type.startswith("session.") and "after" in data:
            states[operation.session_id] = (data["after"], data["owner_kind"])
        elif operation.type == "ownership.changed":
            states[operation.session_id] = (states[operation.session_id][0], data["owner_kind"])
    return states


__all__ = [
    "Cast",
    "Chat",
    "Later",
    "broken_invariants",
    "refused",
    "refused_leaving",
    "snapshot",
    "wrong_in_the_record",
]
