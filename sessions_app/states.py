"""The words of the domain and the one table of transitions. Pure: no ORM.

The verbs, the check on the database column, docs/states.md and the tests are made from what stands here.
The rules behind them: docs/rules.md, States and ranks.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum


class Status(StrEnum):
    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"
    TRANSFERRED = "TRANSFERRED"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    TIMEOUT = "TIMEOUT"


LIVE = frozenset({Status.ACTIVE, Status.TRANSFERRED})
TERMINAL = frozenset({Status.COMPLETED, Status.CANCELLED, Status.TIMEOUT})
OPEN = frozenset(Status) - TERMINAL

OPENING = frozenset({Status.ACTIVE, Status.PENDING})
"""How a session may begin. History that is grouped into sessions may also begin ended: see `GROUPED_OPENING`."""
GROUPED_OPENING = frozenset({Status.ACTIVE, Status.COMPLETED})

_END_ANYWHERE = {Status.CANCELLED: "cancel", Status.TIMEOUT: "expiry"}

TRANSITIONS: dict[Status, dict[Status, str]] = {
    Status.PENDING: {Status.ACTIVE: "activation, accept", **_END_ANYWHERE},
    Status.ACTIVE: {
        Status.PAUSED: "pause, preemption",
        Status.TRANSFERRED: "escalation, takeover (robot sessions)",
        Status.COMPLETED: "complete",
        **_END_ANYWHERE,
    },
    Status.PAUSED: {
        Status.ACTIVE: "resume, if paused from ACTIVE",
        Status.TRANSFERRED: "resume, if paused from TRANSFERRED",
        **_END_ANYWHERE,
    },
    Status.TRANSFERRED: {
        Status.ACTIVE: "release to bot; transfer declined, withdrawn or timed out",
        Status.PAUSED: "preemption by MANUAL_URGENT",
        Status.COMPLETED: "complete",
        **_END_ANYWHERE,
    },
    Status.COMPLETED: {},
    Status.CANCELLED: {},
    Status.TIMEOUT: {},
}


def allowed(before: Status, after: Status) -> bool:
    return after in TRANSITIONS[before]


class Kind(StrEnum):
    """What kind of session; `rank` decides conflicts, then age."""

    MANUAL_URGENT = "MANUAL_URGENT"
    MANUAL_CUSTOMER_SERVICE = "MANUAL_CUSTOMER_SERVICE"
    MANUAL_COMPLAINT = "MANUAL_COMPLAINT"
    AUTO_BARGAIN = "AUTO_BARGAIN"
    AUTO_ASSISTANT = "AUTO_ASSISTANT"
    AUTO_FOLLOW_UP = "AUTO_FOLLOW_UP"

    @property
    def is_robot(self) -> bool:
        return self.value.startswith("AUTO_")


class Priority(IntEnum):
    EMERGENCY = 1
    HIGH = 2
    MEDIUM = 3
    LOW = 4


class TaskType(StrEnum):
    CONSULTATION = "consultation"
    COMPLAINT = "complaint"
    ORDER_INQUIRY = "order_inquiry"
    NEGOTIATION = "negotiation"
    FOLLOW_UP = "follow_up"


PRIORITY = {
    Kind.MANUAL_URGENT: Priority.EMERGENCY,
    Kind.MANUAL_CUSTOMER_SERVICE: Priority.HIGH,
    Kind.MANUAL_COMPLAINT: Priority.HIGH,
    Kind.AUTO_BARGAIN: Priority.MEDIUM,
    Kind.AUTO_ASSISTANT: Priority.MEDIUM,
    Kind.AUTO_FOLLOW_UP: Priority.LOW,
}
TYPE_RANK = {kind: place for place, kind in enumerate(Kind, 1)}


def rank(kind: Kind, priority: Priority) -> int:
    """Smaller wins. A raised or lowered priority comes first, the type second: 11 is MANUAL_URGENT, 46 a follow-up."""
    return priority * 10 + TYPE_RANK[kind]


def robot_kind(task: TaskType) -> Kind:
    """The type of a robot session for which none was named."""
    return {TaskType.NEGOTIATION: Kind.AUTO_BARGAIN, TaskType.FOLLOW_UP: Kind.AUTO_FOLLOW_UP}.get(
        task, Kind.AUTO_ASSISTANT
    )


def human_kind(task: TaskType, *, urgent: bool = False) -> Kind:
    """The type of a human session for which none was named."""
    if urgent:
        return Kind.MANUAL_URGENT
    return Kind.MANUAL_COMPLAINT if task == TaskType.COMPLAINT else Kind.MANUAL_CUSTOMER_SERVICE


class Owner(StrEnum):
    """Who works a session now. SHOP is a person who answers from the shop's own app, outside Tandem."""

    NOBODY = ""
    BOT = "bot"
    AGENT = "agent"
    SHOP = "shop"


class Origin(StrEnum):
    OPENED = "opened"  # announced by a robot or an agent
    GROUPED = "grouped"  # found afterwards in messages that nobody announced


class Override(StrEnum):
    """Why an agent has more than they take on: what an operation's `override_why` says beside `override`."""

    NONE = ""
    FULL = "full"  # a supervisor, who had no room, took it all the same
    DRAINED = "drained"  # a supervisor, who gets nothing new, took it all the same
    CAME_BACK = "came_back"  # after a pause it is theirs again, whatever they have taken meanwhile


class TransferKind(StrEnum):
    ESCALATION = "escalation"
    HANDOVER = "handover"
    TAKEOVER = "takeover"
    GRAB = "grab"
    RETURN = "return"
    REASSIGNMENT = "reassignment"


class TransferStatus(StrEnum):
    PENDING = "PENDING"
    ACCEPTED = "ACCEPTED"
    DECLINED = "DECLINED"
    WITHDRAWN = "WITHDRAWN"
    TIMED_OUT = "TIMED_OUT"


class FlowStatus(StrEnum):
    WAITING = "waiting_user_reply"
    RERUNNING = "rerunning"
    READY = "ready_preview"
    APPLIED = "applied"
    IGNORED = "ignored"
    EXPIRED = "expired"
    FAILED = "failed"


FLOW_BLOCKING = frozenset({FlowStatus.WAITING, FlowStatus.RERUNNING})
FLOW_OPEN = FLOW_BLOCKING | {FlowStatus.READY}
"""Those that have not ended; each of them expires."""
FLOW_TRANSITIONS: dict[FlowStatus, frozenset[FlowStatus]] = {
    FlowStatus.WAITING: frozenset({FlowStatus.RERUNNING, FlowStatus.EXPIRED, FlowStatus.IGNORED, FlowStatus.FAILED}),
    FlowStatus.RERUNNING: frozenset(
        {FlowStatus.READY, FlowStatus.WAITING, FlowStatus.IGNORED, FlowStatus.FAILED, FlowStatus.EXPIRED}
    ),
    FlowStatus.READY: frozenset({FlowStatus.APPLIED, FlowStatus.IGNORED, FlowStatus.EXPIRED, FlowStatus.RERUNNING}),
    FlowStatus.APPLIED: frozenset(),
    FlowStatus.IGNORED: frozenset(),
    FlowStatus.EXPIRED: frozenset(),
    FlowStatus.FAILED: frozenset(),
}


class ParticipantStatus(StrEnum):
    INVITED = "invited"
    JOINED = "joined"
    LEFT = "left"
    REMOVED = "removed"
    ENDED = "ended"  # the work ended, and with it the participation


class NoticeStatus(StrEnum):
    """How far the notice to an invited participant has come. NONE: there is nothing to send."""

    NONE = ""
    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"


class MailStatus(StrEnum):
    """How far a request that became an e-mail has come."""

    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"


class HistoryMode(StrEnum):
    """How much of the conversation a participant sees."""

    NONE = "none"
    FROM_NOW = "from_now"
    LAST = "last"
    ALL = "all"


class Derived(StrEnum):
    """What other systems call a session's state. Derived, never stored."""

    AI_HANDLING = "ai_handling"
    QUEUED = "queued"
    SERVING = "serving"
    WAITING = "waiting"
    RESOLVED = "resolved"

    @property
    def alias(self) -> str:
        """The same state in the words of another family of systems."""
        return {"ai_handling": "bot_active", "queued": "pending_manual", "serving": "manual_live"}.get(
            self.value, "closed" if self.value == "resolved" else self.value
        )


def derived(status: Status, kind: Kind, owner: Owner) -> Derived:
    """What other systems call the state of such a session; the only source of `Derived`."""
    if status in TERMINAL:
        return Derived.RESOLVED
    if status == Status.PAUSED or (status == Status.PENDING and kind.is_robot):
        return Derived.WAITING
    if status == Status.PENDING or owner == Owner.NOBODY:
        return Derived.QUEUED
    return Derived.AI_HANDLING if owner == Owner.BOT else Derived.SERVING
