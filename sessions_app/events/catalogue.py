"""Every type of event: what it says, what its data holds, and what of that a customer or participant is told.

The AsyncAPI document and docs/events.md's list are made of it. A test finds a type that the code records and this table
lacks, and holds real events against the schemas.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from agents_app.actors import ActorKind
from agents_app.models import Agent, Team
from messaging_app.events import MESSAGE_CREATED
from messaging_app.models import Controller, Message
from sessions_app.models import Participant, SlaClock
from sessions_app.states import (
    FlowStatus,
    Kind,
    NoticeStatus,
    Override,
    Owner,
    ParticipantStatus,
    Priority,
    Status,
    TransferKind,
)

type Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "integer"}
ID: Schema = {"type": "string", "pattern": "^[0-9]+$"}
YES_NO: Schema = {"type": "boolean"}
MOMENT: Schema = {"type": "string", "format": "date-time"}
RULE: Schema = {"type": "string", "description": "The conflict rule that decided, C0 to C7."}


def _one_of(words: type[StrEnum] | list[str]) -> Schema:
    return {"type": "string", "enum": [str(word) for word in words]}


def _maybe(schema: Schema) -> Schema:
    return schema | {"type": [schema["type"], "null"]}


def _list(item: Schema) -> Schema:
    return {"type": "array", "items": item}


@dataclass(frozen=True, slots=True, kw_only=True)
class EventType:
    """`has` is in every event's data, `may` only where it applies; `shared` is what people from outside are told of it.

    Types of one `family` have one schema in the OpenAPI document: of fifty types that differ by little nobody wants a class each.
    """

    meaning: str
    has: Mapping[str, Schema] = field(default_factory=dict)
    may: Mapping[str, Schema] = field(default_factory=dict)
    shared: tuple[str, ...] = ()
    family: str = ""

    def schema(self) -> Schema:
        return {
            "type": "object",
            "required": list(self.has),
            "properties": {**self.has, **self.may, "rule": RULE},
        }


_OWNER = {"owner_kind": _one_of(Owner), "owner_id": _maybe(ID)}
_STATUS = _one_of(Status)
_MOVED = {"before": _STATUS, "after": _STATUS, "reason": TEXT, **_OWNER}
_MISSED = _maybe(NUMBER) | {"description": "The conversation's operation since which things were said without it."}
_MOVED_SHARED = ("before", "after", "owner_kind")
_TRANSFER = {"transfer_id": ID, "kind": _one_of(TransferKind), "reason": TEXT}
_OVERRIDE = {
    "override": YES_NO,
    "override_why": _one_of(Override) | {"description": "Why it was let through; empty where nothing had to be."},
}
_ANSWERED = {**_TRANSFER, "agent_id": _maybe(ID), "override": _OVERRIDE["override"]}
_PERSON = {
    "participant_id": ID,
    "agent_id": _maybe(ID),
    "role": _one_of(Participant.Role.values),
    "status": _one_of(ParticipantStatus),
    "notice": _one_of(NoticeStatus),
}
_PERSON_SHARED = ("participant_id", "role", "status")
_MAIL = {"mail_id": ID, "transfer_id": ID}
_CLOCK = {
    "clock_id": ID,
    "kind": _one_of(SlaClock.Kind.values),
    "target": NUMBER | {"description": "Seconds."},
    "due_at": _maybe(MOMENT) | {"description": "Null when it did not run at the end, or is never due."},
}
_PRESENCE = {
    "availability": _one_of(Agent.Availability.values),
    "reason": TEXT,
    "is_heard": YES_NO | {"description": "Whether there was a heartbeat lately (AGENT_AWAY_AFTER, 60 s)."},
    "max_load": NUMBER,
    "is_drained": YES_NO | {"description": "Whether the agent gets nothing new, and keeps what they serve."},
}
_ANSWER: Schema = {
    "type": "object",
    "properties": {
        "controller": _one_of(Controller.values) | {"description": "Who gets the customer's next message."},
        "epoch": NUMBER | {"description": "The turn's number: a bot sends it with what it says."},
        "rule": TEXT | {"description": "The conflict rule that decided, C0 to C7; empty where none had to."},
        "session_id": _maybe(ID) | {"description": "The session that covers it; null until one does."},
        "transfer_id": _maybe(ID) | {"description": "The transfer that it raised."},
        "status": TEXT | {"description": "The session's status; empty where there is none."},
    },
}
_SET_ASIDE = YES_NO | {"description": "Present where an agent decided that the customer's words want no answer."}
_LABEL = {"label_id": ID, "label": TEXT | {"description": "Its name at that time."}}
_UNANSWERED = _maybe(MOMENT) | {
    "description": "Since when the customer waits for an answer after this, null for no longer; absent where it follows "
    "from the event's type, or nothing changes."
}
_GROUPED = {
    "session_id": ID,
    "kind": _one_of(Kind),
    "status": _STATUS,
    "owner_kind": _one_of(Owner),
    "messages": NUMBER,
}


def _moved(meaning: str, **may: Schema) -> EventType:
    return EventType(meaning=meaning, has=_MOVED, may=may, shared=_MOVED_SHARED, family="SessionMoved")


def _person(meaning: str, **has: Schema) -> EventType:
    return EventType(meaning=meaning, has={**_PERSON, **has}, shared=_PERSON_SHARED, family="ParticipantChanged")


def _ended(meaning: str) -> EventType:
    may = {"reason": TEXT | {"description": "Why it ended, where nobody ended it."}}
    return EventType(meaning=meaning, has=_PERSON, may=may, shared=_PERSON_SHARED, family="ParticipantChanged")


EVENT_TYPES: dict[str, EventType] = {
    # --- What is said
    MESSAGE_CREATED: EventType(
        meaning="Something was said; `message` has the words.",
        has={
            "message": ID,
            "message_id": TEXT,
            "sender_type": _one_of(Message.Sender.values),
            "is_note": YES_NO,
            "digest": TEXT | {"description": "Of the words; stays when they are erased."},
            "answer": _ANSWER | {"description": "What the sender was answered; empty for what came in a batch."},
        },
        may={
            "proof": TEXT
            | {
                "description": "A digest of the message as it was stored: who said it, when, the words. Older ones have none."
            },
            "epoch": NUMBER | {"description": "The turn in which a bot spoke."},
            "is_history": YES_NO
            | {"description": "It came long after it was said (LATE_MESSAGE); nobody is asked to answer."},
            "answers_id": ID | {"description": "The one message of the customer's that it answers, by its id `re-…`."},
            "unanswered_since": _UNANSWERED,
            "mentions": _list(ID) | {"description": "The agents whom a private note names."},
            "attachments": _list(
                {"type": "object", "required": ["id", "digest"], "properties": {"id": ID, "digest": TEXT}}
            )
            | {"description": "What came with it, by digest (SHA-256); the rest is in `message`."},
        },
        shared=("message", "message_id", "sender_type", "is_note"),
    ),
    "messages.grouped": EventType(
        meaning="Messages came in a batch, or waited without a session, and were put into sessions.",
        has={
            "messages": NUMBER,
            "digest": TEXT,
            "created": _list({"type": "object", "required": list(_GROUPED), "properties": _GROUPED}),
            "extended": _list({"type": "object", "required": list(_GROUPED), "properties": _GROUPED}),
            "joined": _list(_list(ID)) | {"description": "Pairs: a session that went, and the one it went into."},
        },
        may={
            "stored": NUMBER
            | {"description": "How many of them were new; the rest waited for a session. Older ones have none."},
            "proof": TEXT | {"description": "A digest of those as they were stored."},
            "unanswered_since": _UNANSWERED,
            "awaits_answer": YES_NO
            | {"description": "Older ones have it for that: whether the customer awaits an answer after this."},
        },
    ),
    # --- Sessions
    "session.opened": EventType(
        meaning="A session began, ACTIVE or PENDING.",
        has={"kind": _one_of(Kind), "status": _STATUS, "rank": NUMBER, "opened_at": MOMENT, **_OWNER},
        shared=("kind", "status", "owner_kind"),
    ),
    "session.activated": _moved("A session that waited got its turn.", missed_from_seq=_MISSED),
    "session.paused": _moved("A session yields: it was preempted, or paused on request.", preempted=YES_NO),
    "session.resumed": _moved("A paused session has the turn again.", missed_from_seq=_MISSED, **_OVERRIDE),
    "session.transferred": _moved("A robot session goes to a human, or to the queue."),
    "session.returned": _moved("A session goes back to its bot.", missed_from_seq=_MISSED),
    "session.completed": _moved("A session ended well, or was ended on purpose.", outcome=TEXT, set_aside=_SET_ASIDE),
    "session.cancelled": _moved("A session was given up.", outcome=TEXT),
    "session.timed_out": _moved("Nothing happened in time; the clock ended the session."),
    "session.ending_soon": EventType(
        meaning="The session of an agent ends soon by itself, at `expires_at` (HUMAN_SESSION_WARNING before it).",
        has={"expires_at": MOMENT, **_OWNER},
    ),
    "session.held": EventType(
        meaning="A preempted session waits for `resume` from now on, not for its turn.", family="SessionHold"
    ),
    "session.hold_ended": EventType(
        meaning="A session that was on hold waits for its turn again.", family="SessionHold"
    ),
    "session.priority_set": EventType(
        meaning="A session's priority was raised or lowered.",
        has={"priority": NUMBER | {"enum": [p.value for p in Priority]}, "rank": NUMBER},
    ),
    "ownership.changed": EventType(
        meaning="A session has another owner, or none, without a change of status.",
        has={"was_kind": _one_of(Owner), "was_id": _maybe(ID), **_OWNER},
        may={"transfer_id": ID},
    ),
    # --- Transfers
    "transfer.requested": EventType(
        meaning="A move was asked for.",
        has={
            **_TRANSFER,
            "reason_by": _one_of(["", *ActorKind]) | {"description": "Whose words the reason is; empty without one."},
            "trigger": TEXT,
            "to_agent_id": _maybe(ID),
            "to_team_id": _maybe(ID),
            "opens_at": _maybe(MOMENT) | {"description": "When there is somebody; null when there is now."},
        },
        may={"deadline": MOMENT | {"description": "Until when it waits for an answer."}},
        shared=("transfer_id", "kind"),
    ),
    "transfer.asked_again": EventType(
        meaning="Nobody answered, and it waits on: the same request, for everybody, with a new deadline.",
        has={
            **_TRANSFER,
            "times": NUMBER | {"description": "How often it has been asked again by now."},
            "waiting_since": MOMENT,
            "deadline": MOMENT | {"description": "The pauses grow: 1, 2, 4 … times TRANSFER_TIMEOUT, at most an hour."},
            "opens_at": _maybe(MOMENT) | {"description": "When there is somebody; null, or past, when there is now."},
            "declined_by": _maybe(ID) | {"description": "The agent it was addressed to, who said no."},
            "to_team_id": _maybe(ID),
        },
    ),
    "transfer.changed": EventType(
        meaning="What waits was asked for again, and more was said: who is wanted, what is needed, why.",
        has={"transfer_id": ID, "kind": _one_of(TransferKind)},
        may={
            "reason": TEXT | {"description": "What was added to the reasons; may be empty."},
            "to_agent_id": ID,
            "to_team_id": ID,
            "needs": {
                "type": "object",
                "description": "Skills that are needed now, each with a level.",
                "additionalProperties": NUMBER,
            },
            "reason_by": _one_of(["", *ActorKind]) | {"description": "Whose words the reason is; empty without one."},
        },
    ),
    "transfer.readdressed": EventType(
        meaning="The one agent who was asked cannot answer; a team is asked, or the queue.",
        has={
            "transfer_id": ID,
            "kind": _one_of(TransferKind),
            "reason": TEXT,
            "to_team_id": _maybe(ID),
            "deadline": MOMENT,
        },
    ),
    "transfer.accepted": EventType(
        meaning="A move was accepted, or made at once.",
        has=_ANSWERED,
        may={"override_why": _OVERRIDE["override_why"]},
        shared=("transfer_id", "kind"),
        family="TransferEnded",
    ),
    "transfer.declined": EventType(
        meaning="The one it was addressed to said no.",
        has=_ANSWERED,
        may={"override_why": _OVERRIDE["override_why"]},
        family="TransferEnded",
    ),
    "transfer.withdrawn": EventType(
        meaning="A move is not asked for any more.",
        has=_ANSWERED,
        may={"override_why": _OVERRIDE["override_why"]},
        family="TransferEnded",
    ),
    "transfer.timed_out": EventType(
        meaning="Nobody answered in time.",
        has=_ANSWERED,
        may={"override_why": _OVERRIDE["override_why"]},
        family="TransferEnded",
    ),
    "transfer.offered": EventType(
        meaning="What waits in the queue was offered to one agent, who has until `expires_at`.",
        has={
            "transfer_id": ID,
            "agent_id": ID,
            "strategy": _one_of(Team.Strategy.values),
            "decision_id": ID,
            "expires_at": MOMENT,
        },
    ),
    "transfer.offer_refused": EventType(
        meaning="The agent it was offered to is passed over.",
        has={"transfer_id": ID, "agent_id": ID, "reason": TEXT},
        family="TransferOfferEnded",
    ),
    "transfer.offers_renewed": EventType(
        meaning="Everybody who could have had it refused or ignored it; after a pause all are asked anew.",
        has={"transfer_id": ID, "round": NUMBER | {"description": "2 for the second time that everybody is asked."}},
    ),
    "transfer.offer_withdrawn": EventType(
        meaning="The agent it was offered to has gone or is full, and may be asked again.",
        has={"transfer_id": ID, "agent_id": ID, "reason": TEXT},
        family="TransferOfferEnded",
    ),
    # --- After hours, service levels
    "mail.queued": EventType(
        meaning="A request that came after hours goes to the team by e-mail.", has=_MAIL, family="Mail"
    ),
    "mail.sent": EventType(meaning="The e-mail went out.", has=_MAIL, family="Mail"),
    "mail.failed": EventType(meaning="The e-mail could not be sent; somebody should look.", has=_MAIL, family="Mail"),
    "sla.warned": EventType(
        meaning="A customer has waited for most of the time that was promised.", has=_CLOCK, family="ServiceLevel"
    ),
    "sla.breached": EventType(
        meaning="A customer has waited for longer than was promised.", has=_CLOCK, family="ServiceLevel"
    ),
    "sla.met": EventType(meaning="What was promised was kept.", has=_CLOCK, family="ServiceLevel"),
    # --- People
    "participant.invited": _person("Somebody from outside the desk was invited."),
    "participant.invited_again": _person("The invitation has a new link; the old one ended."),
    "participant.notified": _person("The notice with the link went out.", channel=TEXT),
    "participant.notice_failed": _person("The notice could not be sent.", channel=TEXT),
    "participant.joined": _person("An invited participant came in by the link."),
    "participant.left": _person("A participant left."),
    "participant.removed": _person("A participant was taken out."),
    "collaborator.joined": _person("A colleague came in beside the owner."),
    "collaborator.left": _person("A colleague left."),
    "collaborator.removed": _person("A colleague was taken out."),
    "participant.ended": _ended("The last open session ended, and with it the participation."),
    "collaborator.ended": _ended(
        "A colleague is beside the owner no longer: the last open session ended, they own the conversation themselves, or"
        " they have left the desk."
    ),
    # --- Agents
    "agent.presence": EventType(
        meaning="An agent declared another availability, came, went, takes on more or less, or does not respond to offers.",
        has={
            "agent_id": ID,
            "name": TEXT,
            **_PRESENCE,
            "is_reachable": YES_NO | {"description": "Declared available, and heard of."},
            "before": {
                "type": ["object", "null"],
                "description": "What of these was so before; null when nothing was known of the agent.",
                "required": list(_PRESENCE),
                "properties": _PRESENCE,
            },
        },
    ),
    "agent.dismissed": EventType(
        meaning="An agent does not work here any more; what was theirs goes on elsewhere.",
        has={"agent_id": ID, "name": TEXT, "reason": TEXT},
    ),
    "agent.drained": EventType(
        meaning="An agent gets nothing new from now on, and keeps what they serve.",
        has={"agent_id": ID, "name": TEXT, "reason": TEXT},
        family="AgentDrained",
    ),
    "agent.undrained": EventType(
        meaning="An agent gets new work again.",
        has={"agent_id": ID, "name": TEXT, "reason": TEXT},
        family="AgentDrained",
    ),
    # --- Guided flows
    "flow.opened": EventType(
        meaning="A program asked the customer something.",
        has={"flow_id": ID, "status": _one_of(FlowStatus), "trigger_id": TEXT},
    ),
    "flow.bound": EventType(
        meaning="A flow was tied to its conversation.",
        has={"flow_id": ID, "status": _one_of(FlowStatus), "expires_at": MOMENT, "lease_until": _maybe(MOMENT)},
    ),
    "flow.moved": EventType(
        meaning="A flow went on.",
        has={
            "flow_id": ID,
            "before": _one_of(FlowStatus),
            "after": _one_of(FlowStatus),
            "version": NUMBER,
        },
    ),
    "flow.renewed": EventType(
        meaning="A flow that works on an answer has more time for it.",
        has={"flow_id": ID, "version": NUMBER, "lease_until": MOMENT},
    ),
    "message.echoed": EventType(
        meaning="The channel told back what a bot or an agent had said here: nobody else has spoken.",
        has={"message": ID, "message_id": TEXT, "echo_id": TEXT},
    ),
    # --- Needs and marks
    "attention.raised": EventType(
        meaning="Somebody should look at this conversation.",
        has={"effect": _one_of(["flag", "escalate"]), "kind": TEXT},
        may={
            "severity": TEXT,
            "reason": TEXT,
            "by": TEXT,
            "by_kind": _one_of(["", *ActorKind]),
            "waiting_since": MOMENT
            | {
                "description": "Since when the customer waits: of the kind `no_answer`, for an answer that is nobody's to give; of the kind `unanswered`, where the session ended by its clock, for the human who was asked for."
            },
        },
    ),
    "attention.cleared": EventType(
        meaning="A human has looked at it, or nobody has to any more.",
        has={"reason": TEXT},
        may={"set_aside": _SET_ASIDE},
    ),
    "customer.renamed": EventType(
        meaning="The channel told the customer's name, or another one. The conversation has it.",
        has={
            "digest": TEXT | {"description": "Of the name; stays when it is erased."},
            "replaces": TEXT | {"description": "Of the name before; empty where there was none."},
        },
    ),
    "conversation.urgent_set": EventType(meaning="Marked as urgent.", family="ConversationMarked"),
    "conversation.urgent_cleared": EventType(meaning="Not urgent any more.", family="ConversationMarked"),
    "conversation.pinned": EventType(meaning="Pinned to the top of the desk.", family="ConversationMarked"),
    "conversation.unpinned": EventType(meaning="Not pinned any more.", family="ConversationMarked"),
    "conversation.todo_set": EventType(meaning="Something is left to do.", family="ConversationMarked"),
    "conversation.todo_cleared": EventType(meaning="Nothing is left to do.", family="ConversationMarked"),
    "conversation.labelled": EventType(meaning="A label was put on.", has=_LABEL, family="ConversationLabelled"),
    "conversation.unlabelled": EventType(meaning="A label was taken off.", has=_LABEL, family="ConversationLabelled"),
}

ATTACHMENT: Schema = {
    "type": "object",
    "required": ["id", "name", "media_type", "size", "sha256", "width", "height", "url", "preview_url"],
    "properties": {
        "id": TEXT,
        "name": TEXT,
        "media_type": TEXT | {"description": "By its content."},
        "size": NUMBER | {"description": "Bytes."},
        "sha256": TEXT,
        "width": _maybe(NUMBER) | {"description": "Of a picture."},
        "height": _maybe(NUMBER),
        "url": TEXT | {"description": "Where the file is, for whoever may read the message."},
        "preview_url": _maybe(TEXT) | {"description": "A small copy of a picture."},
    },
}

MESSAGE: Schema = {
    "type": ["object", "null"],
    "description": "With `message.created`: what was said, as it is stored now; null where the reader may not see it.",
    "required": ["id", "message_id", "sender_type", "sender_name", "content", "sent_at", "is_note", "attachments"],
    "properties": {
        "id": TEXT,
        "message_id": TEXT,
        "sender_type": _one_of(Message.Sender.values),
        "sender_name": TEXT,
        "content": TEXT | {"description": "May be empty where something is attached."},
        "sent_at": MOMENT,
        "is_note": YES_NO,
        "attachments": _list(ATTACHMENT),
    },
}


EVENT: Schema = {
    "type": "object",
    "required": ["id", "type", "tenant", "conversation_id", "session_id", "seq", "pos", "at", "actor", "data"],
    "properties": {
        "id": TEXT | {"description": "The same by every way an event can come: to know what was handled already."},
        "type": TEXT,
        "tenant": TEXT,
        "conversation_id": _maybe(TEXT)
        | {"description": "Null where something is the tenant's, as `agent.presence` is."},
        "session_id": _maybe(TEXT),
        "seq": NUMBER
        | {"description": "Its number in the conversation: 1, 2, 3 without a gap. Always 1 where there is none."},
        "pos": NUMBER | {"description": "Its place in the tenant's stream. Whoever sees a part of it sees gaps."},
        "at": MOMENT,
        "actor": {
            "type": "object",
            "required": ["kind", "id", "name"],
            "properties": {"kind": _one_of(ActorKind), "id": _maybe(TEXT), "name": TEXT},
        },
        "data": {"type": "object"},
    },
}
"""What all events have in common."""


def schema_of(type: str) -> Schema:
    """What an event of this type has beyond `EVENT`, as agents and programs are told it."""
    own: Schema = {"type": {"const": type}, "data": EVENT_TYPES[type].schema()}
    if type == MESSAGE_CREATED:
        own["message"] = MESSAGE
    return {"type": "object", "required": list(own), "properties": own}


def for_outsiders(event: dict[str, Any]) -> dict[str, Any]:
    """What a customer or participant is told of an event: that it happened, and nothing of the desk's own reasons."""
    shared = EVENT_TYPES[event["type"]].shared
    return event | {"data": {name: value for name, value in event["data"].items() if name in shared}}
