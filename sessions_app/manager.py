"""The facade for Python programs that live beside Tandem: the verbs, without HTTP.

    from sessions_app.manager import AutoSessionManager

    manager = AutoSessionManager(tenant="demo")
    session = manager.create_robot_session(shop_id=1, user_id="user123", task_type="negotiation")
    manager.transfer_to_human(session_id=session.session_id, reason="asks for a refund", urgency=1)

Every call is one verb; errors are those of `config.errors`. Names follow the predecessor's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from agents_app.actors import Actor, agent_actor, client_actor, system_actor
from agents_app.models import Agent, ApiClient, Tenant
from config.api import is_id
from config.errors import NotFound
from config.free_json import checked_text
from messaging_app import incoming
from messaging_app.batch import MAX_SHOWN, BatchRow, Rejected, read_object
from sessions_app import queries
from sessions_app.actions import batches, lifecycle, recovery, transfers
from sessions_app.core.locked_conversation import Outcome
from sessions_app.models import ChatSession, Transfer
from sessions_app.queries import Availability
from sessions_app.states import OPEN, Priority, TaskType


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionResult:
    session_id: int
    conversation_id: int
    status: str
    rule: str
    epoch: int
    transfer_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferResult:
    transfer_id: int
    session_id: int
    status: str
    accepted: bool
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult:
    processed_count: int
    duplicate_count: int
    rejected_count: int
    sessions_created: int
    sessions_extended: int
    transfers_raised: int
    errors: list[str]


class AutoSessionManager:
    """Acts as one bot of one tenant; the bot is made if it is new.

    `tenant` is the short name; None means the only tenant. Raises `NotFound` where that is not exactly one.
    """

    def __init__(self, tenant: str | None = None, *, bot: str = "auto-session", platform: str = "default") -> None:
        for field, name in (("tenant", tenant or ""), ("bot", bot)):
            checked_text(name, field)
        tenants = Tenant.objects.filter(slug=tenant) if tenant else Tenant.objects.all()
        first_two = list(tenants[:2])
        if len(first_two) != 1:
            raise NotFound(
                f"There is no tenant {tenant!r}." if tenant else "Name the tenant: there is not exactly one."
            )
        self.tenant = first_two[0]
        self.platform = platform
        client, _ = ApiClient.objects.get_or_create(tenant=self.tenant, name=bot, defaults={"kind": ApiClient.Kind.BOT})
        self._bot = client_actor(client)
        self._system = system_actor(self.tenant.pk, bot)

    def create_robot_session(
        self,
        *,
        shop_id: object,
        user_id: object,
        task_type: str = TaskType.CONSULTATION,
        priority: int | None = None,
        session_type: str | None = None,
        on_conflict: lifecycle.OnConflict = "wait",
        context: dict[str, Any] | None = None,
    ) -> SessionResult:
        """Open a robot session; see `open_session` for the conflict rules."""
        outcome = lifecycle.open_session(
            actor=self._bot,
            **self._key(shop_id, user_id),
            robot=True,
            kind=session_type,
            task=task_type,
            priority=priority,
            on_conflict=on_conflict,
            context=context,
        )
        return _session(outcome)

    def create_human_session(
        self,
        *,
        shop_id: object,
        user_id: object,
        human_user_id: object | None = None,
        task_type: str = TaskType.CONSULTATION,
        urgent: bool = False,
        reason: str = "",
    ) -> SessionResult:
        """Open a human session for the agent `human_user_id`, or in the queue when none is named."""
        actor = self._agent(human_user_id) if human_user_id is not None else self._system
        outcome = lifecycle.open_session(
            actor=actor,
            **self._key(shop_id, user_id),
            robot=False,
            task=task_type,
            urgent=urgent,
            reason=reason,
        )
        return _session(outcome)

    def process_chat_messages(self, messages: Iterable[Mapping[str, Any]], *, shop_id: object = "") -> BatchResult:
        """Store a batch of messages; a second time it changes nothing.

        Rows are those of docs/ingest.md. `user_id` is taken for `account_id`, `shop_id` for rows without one, and an id
        is derived from the content of a row that has none, so that the same row is the same message again.
        """
        rows = [_row(number, message, shop_id, self.platform) for number, message in enumerate(messages, 1)]
        report = batches.ingest_batch(actor=self._system, rows=rows)
        return BatchResult(
            processed_count=report.accepted,
            duplicate_count=report.duplicate,
            rejected_count=report.rejected,
            sessions_created=report.sessions_created,
            sessions_extended=report.sessions_extended,
            transfers_raised=report.transfers_raised,
            errors=[f"row {rejected.line}: {rejected.reason}" for rejected in report.rejections],
        )

    def transfer_to_human(
        self,
        *,
        session_id: int,
        human_user_id: object | None = None,
        reason: str = "",
        urgency: int | None = None,
        context: dict[str, Any] | None = None,
    ) -> TransferResult:
        """Escalate a robot's session to the queue, or to one agent. `urgency` 1 puts it before all others."""
        agent = self._agent(human_user_id) if human_user_id is not None else None
        outcome = transfers.request_transfer(
            actor=self._system,
            conversation_id=self._session(session_id).conversation_id,
            reason=reason,
            trigger="bot",
            to_agent_id=agent.id if agent else None,
            urgent=urgency == Priority.EMERGENCY,
            context={"urgency": urgency, **(context or {})} if urgency is not None else context,
        )
        transfer = Transfer.objects.get(pk=outcome.transfer_id or 0)
        return TransferResult(
            transfer_id=transfer.pk,
            session_id=transfer.session_id,
            status=transfer.status,
            accepted=transfer.accepted_by_id is not None,
            epoch=outcome.epoch,
        )

    def complete_session(self, *, session_id: int, outcome: str = "success", reason: str = "") -> SessionResult:
        """End a session: success, failed, or needs_human, which escalates it."""
        done = lifecycle.complete_session(actor=self._system, session_id=session_id, outcome=outcome, reason=reason)
        return _session(done)

    def pause_session(self, *, session_id: int, reason: str = "") -> SessionResult:
        return _session(lifecycle.pause_session(actor=self._system, session_id=session_id, reason=reason))

    def resume_session(self, *, session_id: int) -> SessionResult:
        return _session(lifecycle.resume_session(actor=self._system, session_id=session_id))

    def cancel_session(self, *, session_id: int, reason: str = "") -> SessionResult:
        return _session(lifecycle.cancel_session(actor=self._system, session_id=session_id, reason=reason))

    def recover(self, *, session_id: int, after_seq: int = 0, limit: int = recovery.MOST) -> recovery.RecoveryState:
        """The state of one of this bot's sessions: what it missed, page by page, and what has to be answered."""
        return recovery.recover(actor=self._bot, session_id=session_id, after_seq=after_seq, limit=limit)

    def open_sessions(self) -> list[SessionResult]:
        """The sessions of this bot that have not ended, the oldest first: where to begin again after a restart."""
        own = ChatSession.objects.filter(tenant=self.tenant, bot_id=self._bot.id, status__in=sorted(OPEN))
        rows = own.select_related("conversation").order_by("opened_at", "pk")
        return [
            SessionResult(
                session_id=row.pk,
                conversation_id=row.conversation_id,
                status=row.status,
                rule="",
                epoch=row.conversation.epoch,
            )
            for row in rows
        ]

    def check_availability(self, *, shop_id: object, user_id: object) -> Availability:
        """Whether something is live on the conversation now. A reading, not a promise: `create_…` decides."""
        return queries.availability(self._bot, shop_id=_id(shop_id), account_id=_id(user_id), platform=self.platform)

    def _key(self, shop_id: object, user_id: object) -> dict[str, Any]:
        return {"shop_id": _id(shop_id), "account_id": _id(user_id), "platform": self.platform}

    def _session(self, session_id: int) -> ChatSession:
        try:
            return ChatSession.objects.get(pk=session_id, tenant=self.tenant)
        except ChatSession.DoesNotExist:
            raise NotFound("There is no such session.") from None

    def _agent(self, human_user_id: object) -> Actor:
        """An agent by id, or by the name of the login."""
        agents = Agent.objects.filter(tenant=self.tenant, is_active=True)
        key = checked_text(str(human_user_id), "human_user_id")
        agent = agents.filter(pk=int(key)).first() if is_id(key) else agents.filter(user__username=key).first()
        if agent is None:
            raise NotFound(f"There is no agent {human_user_id!r}.")
        return agent_actor(agent)


def _session(outcome: Outcome) -> SessionResult:
    assert outcome.session_id is not None
    return SessionResult(
        session_id=outcome.session_id,
        conversation_id=outcome.conversation_id,
        status=outcome.status,
        rule=outcome.rule,
        epoch=outcome.epoch,
        transfer_id=outcome.transfer_id,
    )


_SENDERS = {"user": "customer", "robot": "bot", "human": "agent"}


def _id(value: object) -> str:
    """An id as text: many programs use numbers. What is neither number nor text is refused further down."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value  # type: ignore[return-value]


def _row(number: int, message: Any, shop_id: object, platform: str) -> BatchRow | Rejected:
    """A row of the batch, or why it is rejected. No row stops another."""
    if not isinstance(message, Mapping):
        return Rejected(number, f"a row is an object, not {incoming.named(message)}", "")
    values = {"platform": platform, "shop_id": shop_id, "sender_type": "customer", **message}
    values.setdefault("account_id", values.get("user_id"))
    values |= {name: _id(values[name]) for name in ("shop_id", "account_id")}
    if isinstance(values.get("timestamp"), datetime):
        values["timestamp"] = values["timestamp"].isoformat()
    sender = values["sender_type"]
    values["sender_type"] = _SENDERS.get(sender, sender) if isinstance(sender, str) else sender
    if "message_id" not in values:
        identity = "\n".join(
            str(values.get(key)) for key in ("platform", "shop_id", "account_id", "timestamp", "sender_type", "content")
        )
        values["message_id"] = str(uuid5(NAMESPACE_URL, incoming.clean(identity)))
    row = read_object(number, values)
    return row if isinstance(row, BatchRow) else Rejected(number, row, incoming.clean(str(dict(message)))[:MAX_SHOWN])
