"""The data of the component states: people, conversations and messages, as they stand at one moment.

Nothing of it is stored, ever: the models are filled in by hand, also in the fields that otherwise only `settle` and
`oplog` may write, which is allowed in this module alone. The ids are larger than any row's, so that no link leads to a
real one.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import count
from typing import Any

from agents_app.actors import Actor, agent_actor
from agents_app.models import Agent, ApiClient, Tenant
from config.clock import utc
from messaging_app.models import Controller, Conversation, Message, Operation, Tier
from messaging_app.models.agent_tools import Label
from messaging_app.models.attachments import Attachment
from sessions_app.models import ChatSession, GuidedFlow, Participant, SlaClock, Transfer
from sessions_app.queries import ConversationRow, Item, Move, ThreadPage
from sessions_app.states import FlowStatus, Kind, Owner, ParticipantStatus, Status, TransferKind, TransferStatus

FIRST = 9_000_000_000_000_000
"""The first id."""

_TIERS = {Controller.QUEUE: Tier.HAND_RAISED, Controller.NONE: Tier.RESOLVED}


class Fixtures:
    """One desk at one moment, as `viewer` sees it."""

    def __init__(self, viewer: Agent, now: datetime) -> None:
        self.now = now
        self._ids = count(FIRST)
        self._seqs = count(1)
        self.tenant = Tenant(pk=self._id(), slug="corner-shop", name="Corner Shop")
        self.me = Agent(pk=viewer.pk, tenant=self.tenant, name="Maya", role=Agent.Role.AGENT, max_load=5)
        self.boss = Agent(pk=viewer.pk, tenant=self.tenant, name="Sam", role=Agent.Role.SUPERVISOR, max_load=5)
        self.jun = Agent(pk=self._id(), tenant=self.tenant, name="Jun", role=Agent.Role.AGENT, max_load=5)
        self.bot = ApiClient(
            pk=self._id(), tenant=self.tenant, name="Bargain bot", kind=ApiClient.Kind.BOT, last_seen_at=now
        )

    def _id(self) -> int:
        return next(self._ids)

    def ago(self, seconds: float) -> datetime:
        return self.now - timedelta(seconds=seconds)

    def soon(self, seconds: float) -> datetime:
        return self.now + timedelta(seconds=seconds)

    @property
    def actor(self) -> Actor:
        return agent_actor(self.me)

    @property
    def supervisor(self) -> Actor:
        return agent_actor(self.boss)

    # --- Conversations and work --------------------------------------------------------------------------------------

    def conversation(self, controller: Controller = Controller.BOT, **values: Any) -> Conversation:
        defaults: dict[str, Any] = {
            "customer_name": "Ana Lima",
            "account_id": "ana-1204",
            "shop_id": "corner-shop",
            "tier": _TIERS.get(controller, Tier.ACTIVE),
            "epoch": 4,
            "seq": 17,
            "last_text": "Could you do 80 for two of them?",
            "last_sender": "customer",
            "last_activity_at": self.ago(190),
        }
        return Conversation(pk=self._id(), tenant=self.tenant, controller=controller, **defaults | values)

    def session(self, conversation: Conversation, owner: Agent | ApiClient | None = None, **values: Any) -> ChatSession:
        """A session of the conversation: of a bot, of an agent, or of nobody."""
        by_agent = isinstance(owner, Agent)
        task_state = {"item": "Copper kettle, 1.2 l", "asked": 80, "floor": 84}
        defaults: dict[str, Any] = {
            "kind": Kind.AUTO_BARGAIN,
            "status": Status.TRANSFERRED if by_agent else Status.ACTIVE,
            "owner_kind": Owner.AGENT if by_agent else Owner.BOT if owner else Owner.NOBODY,
            "agent": owner if by_agent else None,
            "bot": self.bot,
            "opened_at": self.ago(760),
            "last_activity_at": self.ago(190),
            "said": {"task_state": {name: {"value": value} | self.who(760) for name, value in task_state.items()}},
        }
        session = ChatSession(pk=self._id(), tenant=self.tenant, conversation=conversation, **defaults | values)
        session.set_priority(values.get("priority"))
        return session

    def who(self, ago: float, by: str = "bot", name: str = "") -> dict[str, str]:
        return {"by": by, "name": name or self.bot.name, "at": utc(self.ago(ago))}

    def said_of_it(self) -> dict[str, Any]:
        """The statements of a context package: by the bot, and by a colleague who had the conversation before."""
        who, jun = self.who(95), self.who(300, "agent", "Jun")
        return {
            "suggestion": "Offer 84 for two, with free delivery.",
            "promises": ["A look at it by Monday", "An answer today"],
            "urgency": 2,
            "said": {"suggestion": who, "promises": [jun, who], "urgency": who, "task_state": {}},
        }

    def transfer(self, session: ChatSession, **values: Any) -> Transfer:
        """A pending request with its context package."""
        defaults: dict[str, Any] = {
            "kind": TransferKind.ESCALATION,
            "status": TransferStatus.PENDING,
            "from_kind": "bot",
            "from_name": self.bot.name,
            "reason": "The customer wants less than I may give.",
            "trigger": "keyword",
            "requested_at": self.ago(95),
            "waiting_since": self.ago(95),
            "deadline": self.soon(205),
            "context": {
                "history": {"count": 12},
                "completeness": 0.83,
                **self.said_of_it(),
            },
        }
        return Transfer(
            pk=self._id(), tenant=self.tenant, conversation=session.conversation, session=session, **defaults | values
        )

    def flow(self, conversation: Conversation, status: FlowStatus, **values: Any) -> GuidedFlow:
        return GuidedFlow(
            pk=self._id(),
            tenant=self.tenant,
            conversation=conversation,
            status=status,
            pending_question="Which of the two addresses shall it go to?",
            missing_info=["delivery address"],
            expires_at=self.soon(1500),
            **values,
        )

    def clock(self, session: ChatSession, due: float, **values: Any) -> SlaClock:
        """A first response that is due in `due` seconds; below 0 it is overdue."""
        return SlaClock(
            pk=self._id(), session=session, kind=SlaClock.Kind.FIRST_RESPONSE, due_at=self.soon(due), **values
        )

    def participant(self, name: str, status: ParticipantStatus, **values: Any) -> Participant:
        defaults: dict[str, Any] = {"role": Participant.Role.GUEST, "invited_at": self.ago(60)}
        return Participant(pk=self._id(), tenant=self.tenant, name=name, status=status, **defaults | values)

    def label(self, name: str, colour: str) -> Label:
        return Label(pk=self._id(), tenant=self.tenant, name=name, colour=colour)

    # --- What was said -----------------------------------------------------------------------------------------------

    def said(self, by: str, text: str, ago: float, *, files: tuple[Attachment, ...] = (), **values: Any) -> Item:
        """`by` is a kind of sender; `sender_id` and `sender_name` go with it."""
        seq, mentioned = next(self._seqs), values.pop("mentioned", [])
        message = Message(
            pk=self._id(),
            sender_type=by,
            message_id=f"design-{seq}",
            content=text,
            sent_at=self.ago(ago),
            seq=seq,
            **values,
        )
        message._prefetched_objects_cache = {"attachments": list(files)}  # type: ignore[attr-defined]
        return Item(at=message.sent_at, seq=seq, message=message, mentioned=mentioned)

    def by_agent(self, agent: Agent, text: str, ago: float, **values: Any) -> Item:
        return self.said("agent", text, ago, sender_id=str(agent.pk), sender_name=agent.name, **values)

    def event(self, type: str, ago: float, who: str = "", **data: Any) -> Item:
        seq = next(self._seqs)
        operation = Operation(
            pk=self._id(), seq=seq, type=type, actor_kind="agent", actor_name=who, data=data, at=self.ago(ago)
        )
        return Item(at=operation.at, seq=seq, operation=operation)

    def file(self, name: str, media_type: str, size: int, **values: Any) -> Attachment:
        return Attachment(pk=self._id(), tenant=self.tenant, name=name, media_type=media_type, size=size, **values)

    # --- As the read side puts it together ---------------------------------------------------------------------------

    def row(self, conversation: Conversation, owner: Agent | ApiClient | None = None, **values: Any) -> ConversationRow:
        session = values.pop("session", None) or self.session(conversation, owner)
        return ConversationRow(conversation, live=session if owner else None, session=session, **values)

    def move(self, **values: Any) -> Move:
        defaults: dict[str, Any] = {
            "id": self._id(),
            "reason": "The customer wants less than I may give.",
            "trigger": "keyword",
            "from_name": self.bot.name,
            "requested_at": self.ago(5),
            "deadline": None,
            "offered_to_id": self.me.pk,
            "to_agent_id": None,
            "offer_expires_at": self.soon(19),
            "patience": 30,
            "context": self.said_of_it(),
        }
        return Move(**defaults | values)

    def page(self, conversation: Conversation, *sessions: ChatSession, **values: Any) -> ThreadPage:
        defaults: dict[str, Any] = {"said_at": self.ago(190), "viewer_load": 2, "viewer_most": 5, "read": FIRST}
        return ThreadPage(
            conversation=conversation, now=self.now, viewer_id=self.me.pk, sessions=list(sessions), **defaults | values
        )
