"""A verb's hold on one conversation: the locked row, what is open on it, and the operations the verb makes.

Lock order everywhere: conversation, then agents by id. Sessions, transfers and flows need no lock of their own: nobody
writes them without holding their conversation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Self

from django.conf import settings
from django.db.models import Model, QuerySet, prefetch_related_objects

from agents_app import row_policies
from agents_app.actors import Actor, ActorKind
from agents_app.models import Agent, ApiClient, Tenant
from agents_app.policies import Policies
from agents_app.service_hours import Closure
from config import bulk_rows, clock, limits, statements
from config.db import lock_rows
from config.errors import TryAgain
from config.reserved_ids import reserve
from messaging_app import incoming, stream
from messaging_app.models import Conversation, Operation
from sessions_app.errors import NotFound
from sessions_app.models import ChatSession, GuidedFlow, SlaClock, Transfer
from sessions_app.states import (
    FLOW_BLOCKING,
    FLOW_OPEN,
    OPEN,
    FlowStatus,
    Origin,
    Owner,
    Status,
    TransferStatus,
)


def seconds(name: str) -> timedelta:
    """A time span of the installation, by its name in settings.TANDEM; `LockedConversation.policies` has a tenant's."""
    return timedelta(seconds=settings.TANDEM[name])


def pause_after(times: int, patience: timedelta) -> timedelta:
    """How long a request that was repeated `times` times waits for the next time: 1, 2, 4 … times `patience`, at most
    limits.LONGEST_PAUSE, but never less than `patience`. Pure.
    """
    doubled: int = 2 ** min(times - 1, 20)
    return max(patience, min(patience * doubled, limits.LONGEST_PAUSE))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a verb answers. `seq` is the conversation's last operation, `rule` the conflict rule that decided."""

    conversation_id: int
    seq: int
    epoch: int
    controller: str
    rule: str = ""
    session_id: int | None = None
    status: str = ""
    transfer_id: int | None = None
    message_id: str = ""
    participant_id: int | None = None
    token: str = ""
    is_repeat: bool = False
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ConversationKey:
    """A conversation by what the channel knows of it, made by `of`."""

    platform: str
    shop_id: str
    account_id: str
    customer_name: str = ""  # of a new one

    @classmethod
    def of(cls, platform: str, shop_id: str, account_id: str, *, customer_name: str = "") -> Self:
        """The key as it is stored. Raises `Malformed` for one that no conversation can have."""
        name = incoming.person_name(customer_name)
        return cls(*incoming.conversation_key(platform, shop_id, account_id), name)


@dataclass(slots=True)
class LockedConversation:
    """A conversation under its lock, for one verb: what is open on it, and what the verb has recorded so far."""

    conversation: Conversation
    actor: Actor
    now: datetime
    sessions: list[ChatSession] = field(default_factory=list)  # open ones, oldest first
    transfers: list[Transfer] = field(default_factory=list)  # unanswered ones
    flows: list[GuidedFlow] = field(default_factory=list)  # those that block
    previews: list[GuidedFlow] = field(default_factory=list)  # those that do not, and have not ended
    clocks: list[SlaClock] = field(default_factory=list)  # those that have not ended
    policies: Policies = field(default_factory=Policies)  # of the tenant
    rule: str = ""
    operations: list[Operation] = field(default_factory=list)
    agents: dict[int, Agent] = field(default_factory=dict)  # locked
    closed: list[tuple[Transfer, Closure]] = field(default_factory=list)  # requested in this verb outside service hours
    bots: dict[int, ApiClient] = field(default_factory=dict)  # those that the lock was taken with
    followed: int = 0  # how many of the operations `unanswered.follow` has read
    detail: dict[str, Any] = field(default_factory=dict)  # joins the detail of the outcome, whichever the verb
    _tenant: Tenant | None = None

    @property
    def tenant(self) -> Tenant:
        """The tenant's row, read when it is first needed."""
        self._tenant = self._tenant or Tenant.objects.get(pk=self.conversation.tenant_id)
        return self._tenant

    @property
    def live(self) -> ChatSession | None:
        return next((s for s in self.sessions if s.is_live), None)

    @property
    def waiting(self) -> list[ChatSession]:
        """The sessions that wait for the turn: best rank first, then oldest. Those on hold wait for `resume`."""
        waiters = [s for s in self.sessions if s.status in (Status.PENDING, Status.PAUSED) and not s.on_hold]
        return sorted(waiters, key=lambda s: (s.rank, s.opened_at, s.pk))

    def session(self, session_id: int) -> ChatSession:
        """A session of this conversation, open or ended. Raises `NotFound`."""
        for session in self.sessions:
            if session.pk == session_id:
                return session
        try:
            return ChatSession.objects.get(pk=session_id, conversation=self.conversation)
        except ChatSession.DoesNotExist:
            raise NotFound("There is no such session.") from None

    def place(self, flow: GuidedFlow) -> None:
        """Put a flow that began, was bound or has moved into `flows`, into `previews`, or into neither."""
        self.flows = [f for f in self.flows if f.pk != flow.pk] + [flow] * (flow.status in FLOW_BLOCKING)
        self.previews = [f for f in self.previews if f.pk != flow.pk] + [flow] * (flow.status == FlowStatus.READY)

    def transfer_of(self, session: ChatSession) -> Transfer | None:
        return next((t for t in self.transfers if t.session_id == session.pk and t.is_pending), None)

    def record(self, type: str, session: ChatSession | None = None, **data: Any) -> Operation:
        """Add one operation for one change. `data` holds ids and digests, never what was said."""
        operation = stream.entry(
            self.conversation,
            actor=self.actor,
            type=type,
            at=self.now,
            session_id=session.pk if session else None,
            data={"rule": self.rule, **data} if self.rule else data,
        )
        self.operations.append(operation)
        return operation

    def lock_agents(self, *ids: int | None) -> None:
        """Lock these agents, and those whose paused sessions may resume in this verb: by id, against deadlocks."""
        paused = {s.agent_id for s in self.sessions if s.status == Status.PAUSED and s.owner_kind == Owner.AGENT}
        missing = ({i for i in ids if i} | {i for i in paused if i}) - self.agents.keys()
        if missing:
            rows = lock_rows(Agent.objects.filter(pk__in=missing, tenant_id=self.conversation.tenant_id))
            self.agents |= {agent.pk: agent for agent in rows}

    def bot(self, bot_id: int) -> ApiClient:
        """An active bot of the tenant. Raises `NotFound` for any other."""
        bot = self.bots.get(bot_id) or next(iter(_BOT.rows(bot_id, self.conversation.tenant_id)), None)
        if bot is None:
            raise NotFound("There is no such bot.")
        return bot

    def agent(self, agent_id: int | None) -> Agent:
        """An agent that `lock_agents` has locked. Raises `NotFound` for any other, and so for another tenant's."""
        try:
            return self.agents[agent_id or 0]
        except KeyError:
            raise NotFound("There is no such agent.") from None

    @property
    def opens_at(self) -> datetime | None:
        """When service opens for a pending transfer; None if it is open now, or nobody is asked for."""
        return next((t.opens_at for t in self.transfers if not t.is_open_at(self.now)), None)

    @property
    def raised_id(self) -> int | None:
        """The id of the newest transfer requested or made in this verb; None without one."""
        moves = (o for o in reversed(self.operations) if o.type in ("transfer.requested", "transfer.accepted"))
        return next((int(o.data["transfer_id"]) for o in moves), None)

    def outcome(self, session: ChatSession | None = None, **more: Any) -> Outcome:
        """The verb's outcome: a repeat if nothing was recorded, with the transfer it raised. `more` sets fields."""
        opening = {"opens_at": self.opens_at.isoformat()} if self.opens_at else {}
        return Outcome(
            conversation_id=self.conversation.pk,
            seq=more.pop("seq", self.conversation.seq),
            epoch=self.conversation.epoch,
            controller=str(self.conversation.controller),
            rule=self.rule,
            session_id=session.pk if session else None,
            status=str(session.status) if session else "",
            transfer_id=more.pop("transfer_id", self.raised_id),
            is_repeat=more.pop("is_repeat", not self.operations),
            detail={**opening, **self.detail, **more.pop("detail", {})},
            **more,
        )


def lock_conversation(
    actor: Actor, conversation_id: int, *, known_only: bool = True, makes: type[Model] | None = None
) -> LockedConversation:
    """Lock the conversation and read what is open on it. Raises `NotFound`, also for another tenant's.

    It is also raised for a conversation that the actor may not know of: one that a token is not bound to, and one in
    which a bot never had a session (the rule of `visible`). `known_only=False` allows the latter, to open one. `makes`
    names the model of which the verb will store a row: its id is reserved with the lock.

    The clock is read again with every row that has a deadline: PostgreSQL reads a row, and the clock with it, before it
    waits for the lock, and not again unless somebody has changed the row meanwhile.
    """
    named = statements.asked([_CONVERSATION], actor.tenant_id, conversation_id)
    if makes:
        reserve(makes)
    is_open = statements.together(_OPEN, conversation_id)
    [rows] = named()
    conversation: Conversation | None = next(iter(rows), None)
    if conversation is None or (actor.conversation_id or conversation.pk) != conversation.pk:
        raise NotFound("There is no such conversation.")
    return _with_what_is_open(actor, conversation, is_open, known_only=known_only)


def lock_by_key(actor: Actor, key: ConversationKey, *, makes: type[Model] | None = None) -> LockedConversation:
    """Lock the conversation of this key, which is made if it is new; `makes` as in `lock_conversation`. Raises `NotFound` for one that the actor is not
    bound to, and `TryAgain` for one that has gone while it was looked for.
    """
    names = ("tenant", "platform", "shop_id", "account_id")
    values = (actor.tenant_id, key.platform, key.shop_id, key.account_id)
    for _ in range(2):
        found = statements.asked(_BY_KEY, *values)
        reserve(Conversation, **dict(zip(names, values, strict=True)))
        if makes:
            reserve(makes)
        [callers] = statements.together([_BOT], actor.id, actor.tenant_id) if actor.kind == ActorKind.BOT else [[]]
        bots = {bot.pk: bot for bot in callers}
        named, [tenant] = found()
        if actor.conversation_id is not None and [row.pk for row in named] != [actor.conversation_id]:
            raise NotFound("There is no such conversation.")
        if named:
            is_open = statements.together(_OPEN, named[0].pk)
            locked = _with_what_is_open(actor, named[0], is_open, known_only=False)
            locked.bots = bots
            return locked
        conversation = bulk_rows.fresh(
            Conversation,
            {},
            tenant_id=actor.tenant_id,
            platform=key.platform,
            shop_id=key.shop_id,
            account_id=key.account_id,
            customer_name=key.customer_name,
        )
        if statements.insert_unless_there(conversation, *names):
            return LockedConversation(
                conversation=conversation,
                actor=actor,
                now=tenant.db_now + clock.offset,
                policies=row_policies.of(tenant),
                bots=bots,
                _tenant=tenant,
            )
    raise TryAgain("a conversation was made and has gone again")


def _with_what_is_open(
    actor: Actor, conversation: Any, is_open: Sequence[list[Any]], *, known_only: bool
) -> LockedConversation:
    sessions, flows, transfers, clocks, bots = is_open
    if known_only and actor.kind == ActorKind.BOT and not _has_worked(actor, conversation, sessions):
        raise NotFound("There is no such conversation.")
    bot_of = {bot.pk: bot for bot in bots}
    session_of = {session.pk: session for session in sessions}
    for session in sessions:
        session.conversation = conversation
        if session.bot_id:
            session.bot = bot_of[session.bot_id]
    for row in (*transfers, *clocks):
        row.conversation, row.session = conversation, session_of[row.session_id]
    if clocks:
        prefetch_related_objects(clocks, "calendar")
    return LockedConversation(
        conversation=conversation,
        actor=actor,
        now=max(row.db_now for row in (conversation, *sessions, *flows)) + clock.offset,
        sessions=sessions,
        transfers=transfers,
        flows=[flow for flow in flows if flow.status in FLOW_BLOCKING],
        previews=[flow for flow in flows if flow.status == FlowStatus.READY],
        clocks=clocks,
        policies=row_policies.on(conversation),
    )


def _locked(tenant_id: int, conversation_id: int) -> QuerySet[Conversation]:
    return _locking(Conversation.objects.filter(pk=conversation_id, tenant_id=tenant_id))


def _locking(rows: QuerySet[Conversation]) -> QuerySet[Conversation]:
    return lock_rows(row_policies.with_policies(rows.annotate(db_now=clock.DbNow())))


def _locked_by_key(tenant_id: int, platform: str, shop_id: str, account_id: str) -> QuerySet[Conversation]:
    key = {"platform": platform, "shop_id": shop_id, "account_id": account_id}
    return _locking(Conversation.objects.filter(tenant_id=tenant_id, **key))


def _tenant_now(tenant_id: int, *_: str) -> QuerySet[Tenant]:
    return Tenant.objects.filter(pk=tenant_id).annotate(db_now=clock.DbNow())


def _open_sessions(conversation_id: int) -> QuerySet[ChatSession]:
    rows = ChatSession.objects.filter(conversation=conversation_id, status__in=sorted(OPEN))
    return rows.annotate(db_now=clock.DbNow()).order_by("opened_at", "pk")


def _open_flows(conversation_id: int) -> QuerySet[GuidedFlow]:
    rows = GuidedFlow.objects.filter(conversation=conversation_id, status__in=sorted(FLOW_OPEN))
    return rows.annotate(db_now=clock.DbNow()).order_by("pk")


def _unanswered(conversation_id: int) -> QuerySet[Transfer]:
    sessions = _open_sessions(conversation_id).order_by().values("pk")
    return Transfer.objects.filter(pending_key__in=sessions, status=TransferStatus.PENDING).order_by("pk")


def _running_clocks(conversation_id: int) -> QuerySet[SlaClock]:
    return SlaClock.objects.filter(open_key__in=_open_sessions(conversation_id).order_by().values("pk")).order_by("pk")


def _bots_at_work(conversation_id: int) -> QuerySet[ApiClient]:
    return ApiClient.objects.filter(pk__in=_open_sessions(conversation_id).order_by().values("bot")).order_by("pk")


def _active_bot(pk: int, tenant_id: int) -> QuerySet[ApiClient]:
    return ApiClient.objects.filter(pk=pk, tenant_id=tenant_id, is_active=True)


_BOT = statements.Reading(_active_bot, 0, 0)
_CONVERSATION = statements.Reading(_locked, 0, 0)
_BY_KEY = [statements.Reading(build, 0, "", "", "") for build in (_locked_by_key, _tenant_now)]
_OPEN = [
    statements.Reading(build, 0) for build in (_open_sessions, _open_flows, _unanswered, _running_clocks, _bots_at_work)
]
"""What is open on a locked conversation, in one statement that begins when the lock is held: it sees what was committed
by whoever had the lock before.
"""


def _has_worked(bot: Actor, conversation: Conversation, sessions: Iterable[ChatSession]) -> bool:
    """Whether the bot has or had a session here; queried only where it has no open one."""
    if any(session.bot_id == bot.pk for session in sessions):
        return True
    return ChatSession.objects.filter(conversation=conversation, bot_id=bot.pk).exists()


def is_unclaimed(session: ChatSession) -> bool:
    """Whether the session was grouped from messages in which nobody of the shop has spoken yet: it is nobody's turn."""
    return session.origin == Origin.GROUPED and session.owner_kind == Owner.NOBODY
