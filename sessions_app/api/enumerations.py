"""The enumerations of the API's document: each a component of its own, named for the domain and never for a serializer.

`config.openapi.name_enums` puts a reference wherever the document has one of these sets of values; a test finds a set
without a name here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from agents_app.actors import ActorKind
from agents_app.models import DECLARABLE, Agent, Team, Tenant
from agents_app.sharing import Sharing
from messaging_app.models import Controller, Conversation, Message, Tier, WebhookDelivery
from messaging_app.models.agent_tools import Label
from sessions_app.actions.bulk import BulkAction
from sessions_app.actions.lifecycle import OUTCOMES
from sessions_app.api.requests import SENDERS
from sessions_app.models import Batch, Participant, SlaClock
from sessions_app.queries import view_filters
from sessions_app.states import (
    Derived,
    FlowStatus,
    HistoryMode,
    Kind,
    NoticeStatus,
    Origin,
    Override,
    Owner,
    ParticipantStatus,
    Priority,
    Status,
    TaskType,
    TransferKind,
    TransferStatus,
)


def _of(words: Iterable[Any]) -> list[Any]:
    return [getattr(word, "value", word) for word in words]


ENUMS: dict[str, tuple[list[Any], str]] = {
    "ActorKind": (_of(ActorKind), "Who did something."),
    "AgentRole": (_of(Agent.Role), "What an agent may do at the desk: each may do what the one before may."),
    "AssignmentMode": (_of(Tenant.Assignment), "Whether agents take what waits (pull), or are offered it (push)."),
    "AssignmentStrategy": (_of(Team.Strategy), "By which rule the next agent is chosen."),
    "AttentionEffect": (["flag", "escalate"], "What a rule of need does: mark the conversation, or ask for a human."),
    "Availability": (
        _of(Agent.Availability),
        "What an agent declares; only `available` is offered anything. `not_responding` Tandem finds, when offers are ignored.",
    ),
    "DeclaredAvailability": ([word for word, _ in DECLARABLE], "What an agent declares."),
    "BatchSenderType": (SENDERS, "Who said a message of a batch."),
    "BatchState": (_of(Batch.State), "How far a batch is."),
    "BulkAction": (_of(BulkAction), "What is done to each of many conversations."),
    "ClockKind": (_of(SlaClock.Kind), "What a customer was promised."),
    "ClockState": (_of(SlaClock.State), "How a promise fares. A breached one runs on until `ended_at`."),
    "Controller": (_of(Controller), "Who gets the customer's next message."),
    "ConversationKind": (_of(Conversation.Kind), "One customer, or a group."),
    "DeliveryStatus": (_of(WebhookDelivery.Status), "Whether a webhook's delivery has arrived."),
    "DeskView": (list(view_filters.VIEWS), "A part of the desk's list."),
    "EndedStatus": (["COMPLETED", "CANCELLED", "TIMEOUT"], "How a session has ended."),
    "FlowStatus": (_of(FlowStatus), "Where a guided flow is. `waiting_user_reply` and `rerunning` hold the turn."),
    "OverrideReason": (_of(Override), "Why an agent has more than they take on; empty where they have not."),
    "HistoryMode": (_of(HistoryMode), "How much of what was said before is shown to somebody invited."),
    "InvitedRole": (
        [role for role in Participant.Role.values if role != Participant.Role.COLLABORATOR],
        "As what somebody from outside the desk is invited.",
    ),
    "LabelColour": (_of(Label.Colour), "A label's colour at the desk."),
    "LiveOwnerKind": ([kind.value for kind in Owner if kind], "Who works a live session."),
    "NoticeStatus": (_of(NoticeStatus), "Whether an invitation's notice went out; empty when none was to be sent."),
    "OnConflict": (["wait", "fail"], "What becomes of a session that cannot be live at once: it waits, or 409."),
    "Outcome": (list(OUTCOMES), "How a session ends. `needs_human` escalates a bot's session instead."),
    "OwnerKind": (_of(Owner), "Who works a session; empty for nobody."),
    "ParticipantRole": (_of(Participant.Role), "As what somebody is in a conversation beside its owner."),
    "ParticipantStatus": (_of(ParticipantStatus), "Whether somebody is in the conversation."),
    "Priority": (_of(Priority), "1 emergency, 2 high, 3 medium, 4 low."),
    "ReadinessStatus": (
        ["ok", "degraded", "unavailable"],
        "Whether a process can serve; `degraded`: Redis is away, or something failed and is put off.",
    ),
    "ReasonGiver": (["", *_of(ActorKind)], "Whose words a reason is; empty without one."),
    "RecoveryState": (
        ["yours", "paused", "waiting", "moved", "ended"],
        "What has become of a session: it is the caller's turn; it is paused; it waits; somebody else has it; it ended.",
    ),
    "SaidByKind": (
        [kind.value for kind in ActorKind if kind not in (ActorKind.CUSTOMER, ActorKind.PARTICIPANT)],
        "Who said something about the work: never a customer or guest.",
    ),
    "SenderType": (_of(Message.Sender), "Who said a message."),
    "ServiceLevelState": (["warned", "breached"], "Longer than was promised (breached), or nearly so (warned)."),
    "SessionKind": (_of(Kind), "A session's type; its rank decides conflicts."),
    "SessionOrigin": (_of(Origin), "Opened by somebody, or found in messages."),
    "SessionState": (_of(Derived), "What other systems call a session's status."),
    "SessionStatus": (_of(Status), "A session's status: docs/states.md."),
    "Sharing": (_of(Sharing), "Whose it is: an agent's own, a team's, or the tenant's."),
    "TaskType": (_of(TaskType), "What a session is about."),
    "Tier": (
        _of(Tier),
        "Place in the desk's order: 1 emergency, 2 hand raised (queued), 3 needs a human, 4 active, 5 resolved.",
    ),
    "TransferKind": (_of(TransferKind), "How a session changes its owner."),
    "TransferStatus": (_of(TransferStatus), "What became of a transfer; all but PENDING is final."),
}
"""By name: the values, and the component's description."""
