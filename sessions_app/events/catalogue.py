"""The table of all types of event: what one means, what its data holds, and which fields people from outside get.

The AsyncAPI document and the webhooks of the OpenAPI document are made from it. A test finds a type that the code
records and this table lacks, and checks real events against the schemas, which are made of the parts in `schemas`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agents_app.actors import ActorKind
from agents_app.models import Team
from messaging_app.events import MESSAGE_CREATED
from messaging_app.models import Message
from sessions_app.events.schemas import (
    ANSWER,
    GROUPED,
    ID,
    LABEL,
    MAIL,
    MESSAGE,
    MISSED,
    MOMENT,
    MOVED,
    NUMBER,
    OVERRIDE,
    OWNER,
    PERSON,
    PRESENCE,
    RULE,
    SET_ASIDE,
    SLA_CLOCK,
    STATUS,
    TEXT,
    TRANSFER,
    TRANSFER_ENDED,
    UNANSWERED,
    YES_NO,
    Schema,
    list_of,
    nullable,
    one_of,
)
from sessions_app.states import FlowStatus, Kind, Owner, Priority, TransferKind


@dataclass(frozen=True, slots=True, kw_only=True)
class EventType:
    """`has` are fields of every event's data, `may` fields that are there only where they apply.

    `shared` are the fields that people from outside the desk receive. Types of one `family` share a schema in the
    OpenAPI document: nobody wants fifty generated classes that hardly differ.
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


_MOVED_SHARED = ("before", "after", "owner_kind")
_PERSON_SHARED = ("participant_id", "role", "status")


def _moved(meaning: str, **may: Schema) -> EventType:
    """A session has another status."""
    return EventType(meaning=meaning, has=MOVED, may=may, shared=_MOVED_SHARED, family="SessionMoved")


def _person(meaning: str, **has: Schema) -> EventType:
    """Somebody beside the owner was invited, came or went."""
    return EventType(meaning=meaning, has={**PERSON, **has}, shared=_PERSON_SHARED, family="ParticipantChanged")


def _ended(meaning: str) -> EventType:
    """Somebody beside the owner is out of the conversation, and nobody took them out."""
    may = {"reason": TEXT | {"description": "Why it ended, where nobody ended it."}}
    return EventType(meaning=meaning, has=PERSON, may=may, shared=_PERSON_SHARED, family="ParticipantChanged")


EVENT_TYPES: dict[str, EventType] = {
    # --- What is said
    MESSAGE_CREATED: EventType(
        meaning="Something was said; `message` has the words.",
        has={
            "message": ID,
            "message_id": TEXT,
            "sender_type": one_of(Message.Sender.values),
            "is_note": YES_NO,
            "digest": TEXT | {"description": "Of the words; stays when they are erased."},
            "answer": ANSWER | {"description": "What the sender was answered; empty for what came in a batch."},
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
            "unanswered_since": UNANSWERED,
            "mentions": list_of(ID) | {"description": "The agents whom a private note names."},
            "attachments": list_of(
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
            "created": list_of({"type": "object", "required": list(GROUPED), "properties": GROUPED}),
            "extended": list_of({"type": "object", "required": list(GROUPED), "properties": GROUPED}),
            "joined": list_of(list_of(ID)) | {"description": "Pairs: a session that went, and the one it went into."},
        },
        may={
            "stored": NUMBER
            | {"description": "How many of them were new; the rest waited for a session. Older ones have none."},
            "proof": TEXT | {"description": "A digest of those as they were stored."},
            "unanswered_since": UNANSWERED,
            "awaits_answer": YES_NO
            | {"description": "Older ones have it for that: whether the customer awaits an answer after this."},
        },
    ),
    # --- Sessions
    "session.opened": EventType(
        meaning="A session began, ACTIVE or PENDING.",
        has={"kind": one_of(Kind), "status": STATUS, "rank": NUMBER, "opened_at": MOMENT, **OWNER},
        shared=("kind", "status", "owner_kind"),
    ),
    "session.activated": _moved("A session that waited got its turn.", missed_from_seq=MISSED),
    "session.paused": _moved("A session yields: it was preempted, or paused on request.", preempted=YES_NO),
    "session.resumed": _moved("A paused session has the turn again.", missed_from_seq=MISSED, **OVERRIDE),
    "session.transferred": _moved("A robot session goes to a human, or to the queue."),
    "session.returned": _moved("A session goes back to its bot.", missed_from_seq=MISSED),
    "session.completed": _moved("A session ended well, or was ended on purpose.", outcome=TEXT, set_aside=SET_ASIDE),
    "session.cancelled": _moved("A session was given up.", outcome=TEXT),
    "session.timed_out": _moved("Nothing happened in time; the clock ended the session."),
    "session.ending_soon": EventType(
        meaning="The session of an agent ends soon by itself, at `expires_at` (HUMAN_SESSION_WARNING before it).",
        has={"expires_at": MOMENT, **OWNER},
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
        has={"was_kind": one_of(Owner), "was_id": nullable(ID), **OWNER},
        may={"transfer_id": ID},
    ),
    # --- Transfers
    "transfer.requested": EventType(
        meaning="A move was asked for.",
        has={
            **TRANSFER,
            "reason_by": one_of(["", *ActorKind]) | {"description": "Whose words the reason is; empty without one."},
            "trigger": TEXT,
            "to_agent_id": nullable(ID),
            "to_team_id": nullable(ID),
            "opens_at": nullable(MOMENT) | {"description": "When there is somebody; null when there is now."},
        },
        may={"deadline": MOMENT | {"description": "Until when it waits for an answer."}},
        shared=("transfer_id", "kind"),
    ),
    "transfer.asked_again": EventType(
        meaning="Nobody answered, and it waits on: the same request, for everybody, with a new deadline.",
        has={
            **TRANSFER,
            "times": NUMBER | {"description": "How often it has been asked again by now."},
            "waiting_since": MOMENT,
            "deadline": MOMENT | {"description": "The pauses grow: 1, 2, 4 … times TRANSFER_TIMEOUT, at most an hour."},
            "opens_at": nullable(MOMENT) | {"description": "When there is somebody; null, or past, when there is now."},
            "declined_by": nullable(ID) | {"description": "The agent it was addressed to, who said no."},
            "to_team_id": nullable(ID),
        },
    ),
    "transfer.changed": EventType(
        meaning="What waits was asked for again, and more was said: who is wanted, what is needed, why.",
        has={"transfer_id": ID, "kind": one_of(TransferKind)},
        may={
            "reason": TEXT | {"description": "What was added to the reasons; may be empty."},
            "to_agent_id": ID,
            "to_team_id": ID,
            "needs": {
                "type": "object",
                "description": "Skills that are needed now, each with a level.",
                "additionalProperties": NUMBER,
            },
            "reason_by": one_of(["", *ActorKind]) | {"description": "Whose words the reason is; empty without one."},
        },
    ),
    "transfer.readdressed": EventType(
        meaning="The one agent who was asked cannot answer; a team is asked, or the queue.",
        has={
            "transfer_id": ID,
            "kind": one_of(TransferKind),
            "reason": TEXT,
            "to_team_id": nullable(ID),
            "deadline": MOMENT,
        },
    ),
    "transfer.accepted": EventType(
        meaning="A move was accepted, or made at once.",
        has=TRANSFER_ENDED,
        may={"override_why": OVERRIDE["override_why"]},
        shared=("transfer_id", "kind"),
        family="TransferEnded",
    ),
    "transfer.declined": EventType(
        meaning="The one it was addressed to said no.",
        has=TRANSFER_ENDED,
        may={"override_why": OVERRIDE["override_why"]},
        family="TransferEnded",
    ),
    "transfer.withdrawn": EventType(
        meaning="A move is not asked for any more.",
        has=TRANSFER_ENDED,
        may={"override_why": OVERRIDE["override_why"]},
        family="TransferEnded",
    ),
    "transfer.timed_out": EventType(
        meaning="Nobody answered in time.",
        has=TRANSFER_ENDED,
        may={"override_why": OVERRIDE["override_why"]},
        family="TransferEnded",
    ),
    "transfer.offered": EventType(
        meaning="What waits in the queue was offered to one agent, who has until `expires_at`.",
        has={
            "transfer_id": ID,
            "agent_id": ID,
            "strategy": one_of(Team.Strategy.values),
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
        meaning="A request that came after hours goes to the team by e-mail.", has=MAIL, family="Mail"
    ),
    "mail.sent": EventType(meaning="The e-mail went out.", has=MAIL, family="Mail"),
    "mail.failed": EventType(meaning="The e-mail could not be sent; somebody should look.", has=MAIL, family="Mail"),
    "sla.warned": EventType(
        meaning="A customer has waited for most of the time that was promised.", has=SLA_CLOCK, family="ServiceLevel"
    ),
    "sla.breached": EventType(
        meaning="A customer has waited for longer than was promised.", has=SLA_CLOCK, family="ServiceLevel"
    ),
    "sla.met": EventType(meaning="What was promised was kept.", has=SLA_CLOCK, family="ServiceLevel"),
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
            **PRESENCE,
            "is_reachable": YES_NO | {"description": "Declared available, and heard of."},
            "before": {
                "type": ["object", "null"],
                "description": "What of these was so before; null when nothing was known of the agent.",
                "required": list(PRESENCE),
                "properties": PRESENCE,
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
        has={"flow_id": ID, "status": one_of(FlowStatus), "trigger_id": TEXT},
    ),
    "flow.bound": EventType(
        meaning="A flow was tied to its conversation.",
        has={"flow_id": ID, "status": one_of(FlowStatus), "expires_at": MOMENT, "lease_until": nullable(MOMENT)},
    ),
    "flow.moved": EventType(
        meaning="A flow went on.",
        has={
            "flow_id": ID,
            "before": one_of(FlowStatus),
            "after": one_of(FlowStatus),
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
        has={"effect": one_of(["flag", "escalate"]), "kind": TEXT},
        may={
            "severity": TEXT,
            "reason": TEXT,
            "by": TEXT,
            "by_kind": one_of(["", *ActorKind]),
            "waiting_since": MOMENT
            | {
                "description": "Since when the customer waits: of the kind `no_answer`, for an answer that is nobody's to give; of the kind `unanswered`, where the session ended by its clock, for the human who was asked for."
            },
        },
    ),
    "attention.cleared": EventType(
        meaning="A human has looked at it, or nobody has to any more.",
        has={"reason": TEXT},
        may={"set_aside": SET_ASIDE},
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
    "conversation.labelled": EventType(meaning="A label was put on.", has=LABEL, family="ConversationLabelled"),
    "conversation.unlabelled": EventType(meaning="A label was taken off.", has=LABEL, family="ConversationLabelled"),
}


def schema_of(type: str) -> Schema:
    """The JSON schema of what an event of this type adds to `EVENT`, as agents and programs receive it."""
    own: Schema = {"type": {"const": type}, "data": EVENT_TYPES[type].schema()}
    if type == MESSAGE_CREATED:
        own["message"] = MESSAGE
    return {"type": "object", "required": list(own), "properties": own}


def for_outsiders(event: dict[str, Any]) -> dict[str, Any]:
    """An event as customers and participants receive it: only the `shared` fields of its data, no reasons."""
    shared = EVENT_TYPES[event["type"]].shared
    return event | {"data": {name: value for name, value in event["data"].items() if name in shared}}
